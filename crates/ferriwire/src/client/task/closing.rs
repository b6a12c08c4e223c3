//! The way to the end of a client: namespaces are left, the session is closed, handlers get their time.

use std::task::Context;
use std::time::Instant;

use ferriwire_proto::connection::Key;
use tokio::sync::oneshot;

use super::Task;

/// The program wants no more of the client.
pub(super) struct Closing {
    /// Who waits for that.
    pub(super) waiting: Vec<oneshot::Sender<()>>,
    /// Handlers may go on until then, once there is no session any more.
    pub(super) grace_ends: Option<Instant>,
}

impl Task {
    pub(super) fn close(
        &mut self,
        done: Option<oneshot::Sender<()>>,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        self.shared.set_closed();
        if let Some(closing) = &mut self.closing {
            closing.waiting.extend(done);
            return;
        }
        let keys: Vec<Key> = self
            .layer
            .members()
            .filter_map(|one| one.key.get().copied())
            .collect();
        for key in keys {
            self.layer.leave(key, now, cx);
        }
        self.closing = Some(Closing {
            waiting: done.into_iter().collect(),
            grace_ends: None,
        });
        self.end_unwanted(now, cx);
    }

    /// Without a namespace that is wanted nobody needs the session.
    pub(super) fn end_unwanted(&mut self, now: Instant, cx: &mut Context<'_>) {
        if self.layer.namespaces.has_active() {
            return;
        }
        self.reconnect.stop();
        // What is to be sent for the namespaces that were left stands in front of the end.
        self.drain_namespaces(now, cx);
        if let Some(link) = &mut self.link {
            link.session.close(now);
            link.is_ending = true;
            // Who joins from now on does so on the next session.
            self.layer.namespaces.handle_closed();
        }
    }

    /// Whether the task has nothing left to do.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        let Some(closing) = &mut self.closing else {
            return false;
        };
        if self.link.is_some() {
            return false;
        }
        if closing.grace_ends.is_none() {
            // Nobody waits any longer: a handler may be one of them.
            for waiting in closing.waiting.drain(..) {
                // Whoever waited may have given up.
                let _ = waiting.send(());
            }
            self.shared.forget_all();
            closing.grace_ends = now.checked_add(self.tools.config.handler_grace);
        }
        closing.waiting.clear();
        self.layer.running.is_empty() || closing.grace_ends.is_none_or(|ends| ends <= now)
    }
}
