//! Namespaces that are joined no more, because of the program, the server or the connection.

use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use ferriwire_proto::connection::Key;

use super::Layer;
use crate::client::error::ConnectFailure;
use crate::client::reason::DisconnectReason;
use crate::client::shared::Waiter;
use crate::client::stream::Kept;
use crate::error::AckError;

impl Layer {
    /// The program leaves a namespace, or the whole client.
    pub(in crate::client::task) fn leave(&mut self, key: Key, now: Instant, cx: &mut Context<'_>) {
        let member = self.members.get(key.index()).and_then(Option::as_ref);
        let was_joined = member.is_some_and(|member| member.is_in);
        self.namespaces.leave(key);
        let lost = self.end_lane(key, now);
        if was_joined {
            self.left(key, DisconnectReason::Client, cx);
        } else {
            self.set_left(key);
        }
        self.resolve(key, Err(ConnectFailure::Closed));
        tell_lost(lost);
    }

    /// The namespace is joined no more.
    pub(in crate::client::task) fn left(
        &mut self,
        key: Key,
        reason: DisconnectReason,
        cx: &mut Context<'_>,
    ) {
        self.set_left(key);
        if let Some(Some(member)) = self.members.get_mut(key.index()) {
            let membership = Arc::clone(&member.membership);
            if !std::mem::take(&mut member.is_in) {
                return;
            }
            // Whatever came behind that, it is the program that has left.
            let has_left = membership.status.lock().leaving > 0;
            let reason = if has_left {
                DisconnectReason::Client
            } else {
                reason
            };
            if let Some(happened) = &membership.happened {
                happened.push(Kept::Disconnected(reason), 0);
            }
            self.start_hooks(&membership, |all| &all.disconnect, &reason, cx);
        }
    }

    pub(super) fn set_left(&self, key: Key) {
        if let Some(membership) = self.membership(key) {
            let mut status = membership.status.lock();
            status.id = None;
            status.recovered = false;
            // Never again by this alone: with the last attempt it is over for all.
            status.active &= self.namespaces.is_active(key);
        }
    }

    /// Nothing of that namespace leaves any more. Those whose answers are lost by it are to be
    /// [told](tell_lost), behind the hooks, as the reference does.
    #[must_use]
    pub(super) fn end_lane(&self, key: Key, now: Instant) -> Vec<Waiter> {
        self.shared.outgoing.lock().handle_left(key, now)
    }
}

/// Answers are lost, as those are told who wait for them.
pub(in crate::client::task) fn tell_lost(lost: Vec<Waiter>) {
    for waiter in lost.into_iter().flatten() {
        waiter(Err(AckError::Disconnected));
    }
}
