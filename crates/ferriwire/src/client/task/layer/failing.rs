//! Namespaces that could not be joined: who is told, and who goes on waiting.

use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use ferriwire_proto::codec::Payload;
use ferriwire_proto::connection::Key;
use ferriwire_proto::value::Value;

use super::Layer;
use super::leaving::tell_lost;
use crate::client::error::ConnectFailure;
use crate::client::shared::Membership;
use crate::client::stream::Kept;
use crate::handshake::ConnectError;

impl Layer {
    /// Whether the first failure to connect is one to join, for whoever waits for that.
    pub(in crate::client::task) fn ends_with_failure(&self, key: Key) -> bool {
        let member = self.members.get(key.index()).and_then(Option::as_ref);
        let joining = member.and_then(|member| member.joining.as_ref());
        joining.is_some_and(|(_, first_failure)| *first_failure)
    }

    /// Who waits for a namespace is told that it is not joined, and it is not to be.
    fn give_up(&mut self, key: Key, failure: ConnectFailure, now: Instant) {
        self.namespaces.leave(key);
        let lost = self.end_lane(key, now);
        self.set_left(key);
        self.resolve(key, Err(failure));
        tell_lost(lost);
    }

    /// The namespace could not be joined.
    pub(in crate::client::task) fn fail(
        &mut self,
        key: Key,
        failure: &ConnectFailure,
        cx: &mut Context<'_>,
    ) {
        if let Some(membership) = self.membership(key).map(Arc::clone) {
            self.tell_failure(&membership, failure, cx);
        }
        self.resolve(key, Err(failure.clone()));
    }

    /// The server does not let the client join in time, who goes on waiting unless it is not to.
    pub(in crate::client::task) fn late(&mut self, key: Key, now: Instant, cx: &mut Context<'_>) {
        if let Some(membership) = self.membership(key).map(Arc::clone) {
            self.tell_failure(&membership, &ConnectFailure::Timeout, cx);
        }
        if self.ends_with_failure(key) {
            self.give_up(key, ConnectFailure::Timeout, now);
        }
    }

    /// An attempt to open a session has failed, for all that wanted to join.
    pub(in crate::client::task) fn attempt_failed(
        &mut self,
        failure: &ConnectFailure,
        is_last: bool,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        for membership in self.active() {
            self.tell_failure(&membership, failure, cx);
            let Some(key) = membership.key.get().copied() else {
                continue;
            };
            if self.ends_with_failure(key) {
                self.give_up(key, failure.clone(), now);
            } else if is_last {
                let last = Box::new(failure.clone());
                self.resolve(key, Err(ConnectFailure::GaveUp(last)));
            }
        }
    }

    /// A session was lost before all that wanted to join had done so.
    pub(in crate::client::task) fn session_lost(
        &mut self,
        failure: &ConnectFailure,
        is_last: bool,
        now: Instant,
    ) {
        for membership in self.active() {
            let Some(key) = membership.key.get().copied() else {
                continue;
            };
            if self.ends_with_failure(key) {
                self.give_up(key, failure.clone(), now);
            } else if is_last {
                self.resolve(key, Err(failure.clone()));
            }
        }
    }

    pub(in crate::client::task) fn tell_failure(
        &mut self,
        membership: &Arc<Membership>,
        failure: &ConnectFailure,
        cx: &mut Context<'_>,
    ) {
        if let Some(happened) = &membership.happened {
            happened.push(Kept::ConnectError(failure.clone()), failure.size());
        }
        self.start_hooks(membership, |all| &all.connect_error, failure, cx);
    }

    pub(in crate::client::task) fn active(&self) -> Vec<Arc<Membership>> {
        let active = self.members().filter(|one| {
            let key = one.key.get();
            key.is_some_and(|key| self.namespaces.is_active(*key))
        });
        active.map(Arc::clone).collect()
    }
}

/// Reads a refusal: a message and perhaps data, and from servers of Socket.IO 2 one of them alone.
pub(super) fn refusal(payload: Payload<'_>) -> ConnectError {
    match payload.decode::<Value>() {
        Ok(Value::String(text)) => ConnectError::new(text),
        Ok(Value::Object(members)) => {
            let Some(message) = members.get("message").and_then(Value::as_str) else {
                return ConnectError::new("refused").data(Value::Object(members));
            };
            let error = ConnectError::new(message);
            match members.get("data") {
                Some(data) => error.data(data.clone()),
                None => error,
            }
        }
        Ok(other) => ConnectError::new("refused").data(other),
        Err(_) => ConnectError::new("refused"),
    }
}
