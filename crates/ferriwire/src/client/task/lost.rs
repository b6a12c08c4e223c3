//! A session that is over, or was never opened: what becomes of the next attempt, and who is told.

use std::task::Context;
use std::time::Instant;

use ferriwire_proto::connection::Key;
use ferriwire_proto::engine::CloseReason;

use super::Task;
use super::layer::tell_lost;
use crate::client::error::ConnectFailure;
use crate::client::reason::DisconnectReason;
use crate::client::reconnection::Reconnection;
use crate::client::shared::Waiter;

/// What a session that is over has left behind.
struct Gone {
    joined: Vec<Key>,
    /// Who waits for what the session did not acknowledge.
    waiting: Vec<Waiter>,
}

impl Task {
    /// The session is over, or was never opened.
    pub(super) fn end_session(&mut self, reason: CloseReason, now: Instant, cx: &mut Context<'_>) {
        let Some(link) = &self.link else { return };
        let was_open = link.session.opened().is_some();
        let (failure, is_ending) = (link.failure.clone(), link.is_ending);
        let gone = self.drop_session(now);
        if !self.layer.namespaces.has_active() {
            self.reconnect.stop();
        } else if is_ending {
            // The next attempt has waited for this.
        } else if was_open {
            self.reconnect.handle_lost(now, self.random);
        } else {
            self.reconnect.handle_failed(now, self.random);
        }
        self.tell_gone(gone, reason, cx);
        let is_last = !self.reconnect.is_active();
        let failure = failure.unwrap_or_else(|| ConnectFailure::of_close(reason));
        match (is_ending, was_open) {
            (true, _) => {}
            (false, true) => self.layer.session_lost(&failure, is_last, now),
            (false, false) => self.attempt_failed(&failure, is_last, now, cx),
        }
        self.end_unwanted(now, cx);
    }

    /// Drops the session with its transports, and what was made for it.
    fn drop_session(&mut self, now: Instant) -> Gone {
        self.link = None;
        self.auths.clear();
        self.shared.set_transport(None);
        self.shared.set_writable(false);
        Gone {
            joined: self.layer.namespaces.handle_closed(),
            waiting: self.shared.outgoing.lock().handle_closed(now),
        }
    }

    /// Tells of the end of a session, once it is known whether the client comes back.
    fn tell_gone(&mut self, gone: Gone, reason: CloseReason, cx: &mut Context<'_>) {
        self.layer.note_active(self.reconnect.is_active());
        for key in gone.joined {
            self.layer.left(key, DisconnectReason::from(reason), cx);
        }
        tell_lost(gone.waiting);
    }

    fn attempt_failed(
        &mut self,
        failure: &ConnectFailure,
        is_last: bool,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        if self.attempt > 0 {
            let failed = Reconnection::Failed(failure.clone());
            self.layer.tell(|all| &all.reconnection, &failed, cx);
        }
        self.layer.attempt_failed(failure, is_last, now, cx);
    }

    /// The attempt has taken too long, which counts already.
    pub(super) fn abandon(&mut self, now: Instant, cx: &mut Context<'_>) {
        if self.link.is_none() {
            return;
        }
        let gone = self.drop_session(now);
        self.tell_gone(gone, CloseReason::TransportError, cx);
        let is_last = !self.reconnect.is_active();
        self.attempt_failed(&ConnectFailure::Timeout, is_last, now, cx);
        self.end_unwanted(now, cx);
    }
}
