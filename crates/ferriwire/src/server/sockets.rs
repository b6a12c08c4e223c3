//! All sockets of one client: who may join, which handlers run, and what waits for them.

mod events;
mod slots;
mod work;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use ferriwire_proto::codec::{Arguments, EncodeError, Payload};
use ferriwire_proto::connection::{Key, Violation};
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::{CloseReason, Revision, Transport};
use ferriwire_proto::packet::AckId;
use serde::Serialize;

use self::events::MAX_HELD;
use self::slots::{Occupant, Slot, Slots};
use self::work::{Job, Outcome, Work};
use super::joining::{self, Admission};
use super::membership::{Membership, State};
use super::namespaces::Namespaces;
use super::reason::DisconnectReason;
use super::recovery::{self, Beginning};
use crate::config::Config;
use crate::engine::running::{Ended, Running, panic_message};
use crate::engine::session::Input;
use crate::engine::{LimitKind, Session};
use crate::handshake::ConnectError;
use crate::hints::Mistake;
use crate::shown::shown;

/// All sockets of one client.
pub(crate) struct Sockets {
    session: Session,
    namespaces: Arc<Namespaces>,
    slots: Slots,
    running: Running<Job, Work>,
    held_bytes: u32,
    /// What the protocol has to be told: nothing, most of the time.
    #[expect(clippy::box_collection, reason = "one word instead of three")]
    verdicts: Option<Box<Vec<Verdict>>>,
    /// The client has joined a namespace, once.
    accepted: bool,
    /// The client broke the protocol, or has gone: nothing more is heard.
    over: bool,
    /// Of the few whose handlers still run when the session has ended.
    grace_ends: Option<Box<Instant>>,
}

/// What became of a namespace, for the protocol to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted(Key),
    Refused(Key),
    /// The server took the socket out.
    Left(Key),
}

/// The payload of an accepted CONNECT.
#[derive(Serialize)]
struct Accepted<'a> {
    sid: &'a str,
}

impl Sockets {
    pub(crate) fn new(session: Session, namespaces: Arc<Namespaces>) -> Self {
        Self {
            session,
            namespaces,
            slots: Slots::new(),
            running: Running::new(),
            held_bytes: 0,
            verdicts: None,
            accepted: false,
            over: false,
            grace_ends: None,
        }
    }

    #[inline(never)]
    pub(crate) fn authorize(
        &mut self,
        key: Key,
        namespace: &str,
        payload: Option<Payload<'_>>,
        cx: &mut Context<'_>,
    ) {
        // Handlers of events wait when there are too many, but the hooks of a socket do not.
        if self.running.len() >= self.config().limits.max_running_handlers {
            tracing::debug!(session = ?self.session.id(), namespace = %shown(namespace), "refused while too many handlers are running");
            self.session.limited(LimitKind::RunningHandlers);
            self.decide(Verdict::Refused(key));
            let refusal = ConnectError::new("too many handlers are running");
            return self.refuse(namespace, &refusal);
        }
        let decision = catch_unwind(AssertUnwindSafe(|| {
            joining::begin(&self.namespaces, &self.session, namespace, payload)
        }));
        let decision = match decision {
            Ok(Some(decision)) => decision,
            Ok(None) => {
                self.decide(Verdict::Refused(key));
                return self.refuse_unknown(namespace);
            }
            Err(panic) => return self.auth_panicked(key, namespace, &panic_message(&*panic)),
        };
        *self.slot(key) = Slot::Joining;
        let job = Job::Authorize(key, namespace.into());
        self.start(job, Work::Decide(decision), cx);
    }

    fn admit(&mut self, key: Key, admission: Admission, cx: &mut Context<'_>) {
        let Admission {
            socket,
            candidate,
            returning,
        } = admission;
        let membership = Arc::clone(candidate.membership());
        let hub = membership.hub();
        let beginning = match returning.zip(hub.recovery()) {
            Some((returning, recovery)) => {
                match recovery.admit(&membership, socket.data(), *returning) {
                    Ok(beginning) => beginning,
                    Err(refusal) => {
                        self.end_joining(key);
                        return self.refuse(hub.name(), &refusal);
                    }
                }
            }
            None => {
                let connect = if self.speaks_protocol_4() {
                    hub.encode_connect(&())
                } else {
                    let sid = membership.id().as_str();
                    hub.encode_connect(&Accepted { sid })
                };
                let connect = match connect {
                    Ok(connect) => Arc::new(connect),
                    Err(error) => {
                        tracing::error!(%error, "a CONNECT packet cannot be written");
                        return self.end_joining(key);
                    }
                };
                hub.admit(&membership, socket.data(), &connect);
                Beginning::Fresh
            }
        };
        self.decide(Verdict::Accepted(key));
        self.accepted = true;
        let hook = socket.connected(beginning);
        *self.slot(key) = Slot::Joined(Occupant {
            key,
            socket,
            waiting: hook.is_some(),
            held: None,
        });
        if let Some(hook) = hook {
            self.start(Job::Connect(key, membership), Work::Handle(hook), cx);
        }
    }

    fn speaks_protocol_4(&self) -> bool {
        self.session.request().revision() == Revision::V3
    }

    #[cold]
    pub(crate) fn refuse(&self, namespace: &str, error: &ConnectError) {
        let codec = &self.config().codec;
        let max_depth = self.config().limits.max_depth;
        let message = if !self.speaks_protocol_4() {
            codec.encode_connect_error(namespace, error, max_depth)
        } else if let Some(data) = error.truthy_data() {
            codec.encode_error(namespace, data, max_depth)
        } else {
            codec.encode_error(namespace, error.message(), max_depth)
        };
        self.push_refusal(message);
    }

    /// An unknown namespace is refused with an object, whatever the client speaks.
    #[cold]
    fn refuse_unknown(&self, namespace: &str) {
        self.namespaces.counters().namespace_unknown();
        let session = self.session.id();
        tracing::debug!(?session, namespace = %shown(namespace), "unknown namespace refused");
        let mistake = Mistake::UnknownNamespace(namespace);
        self.config().hint(mistake, || self.namespaces.names());
        let error = joining::invalid_namespace();
        let codec = &self.config().codec;
        let max_depth = self.config().limits.max_depth;
        self.push_refusal(codec.encode_connect_error(namespace, &error, max_depth));
    }

    fn push_refusal(&self, message: Result<Encoded, EncodeError>) {
        match message {
            // A client that has gone does not mind.
            Ok(message) => drop(self.session.push(&Arc::new(message), false)),
            Err(error) => tracing::error!(%error, "a refusal cannot be written"),
        }
    }

    fn decide(&mut self, verdict: Verdict) {
        self.verdicts.get_or_insert_default().push(verdict);
    }

    fn start(&mut self, job: Job, work: Work, cx: &mut Context<'_>) {
        if let Some(ended) = self.running.start(job, work, cx) {
            self.finish(ended, cx);
        }
    }

    fn finish(&mut self, (job, result): Ended<Job, Outcome>, cx: &mut Context<'_>) {
        match (job, result) {
            (Job::Authorize(..), _) if self.over => {}
            (Job::Authorize(key, _), Ok(Outcome::Decided(Ok(admission)))) => {
                self.admit(key, admission, cx);
            }
            (Job::Authorize(key, namespace), Ok(Outcome::Decided(Err(refusal)))) => {
                let session = self.session.id();
                tracing::debug!(?session, namespace = %shown(&namespace), refusal = %shown(&refusal), "client refused");
                self.end_joining(key);
                if refusal == joining::invalid_namespace() {
                    self.refuse_unknown(&namespace);
                } else {
                    match refusal.limit() {
                        Some(limit) => self.session.limited(limit),
                        None => self.namespaces.counters().refused_by_auth(),
                    }
                    self.refuse(&namespace, &refusal);
                }
            }
            (Job::Authorize(key, namespace), result) => {
                self.auth_panicked(key, &namespace, &result.err().unwrap_or_default());
            }
            (Job::Connect(key, membership), Ok(_)) => {
                if let Slot::Joined(occupant) = self.slot(key)
                    && Arc::ptr_eq(occupant.socket.membership(), &membership)
                {
                    occupant.waiting = false;
                }
            }
            (Job::Screen(key, membership, event), Ok(outcome)) => {
                if let Outcome::Screened(decision) = outcome {
                    self.screened(key, &membership, &event, decision, cx);
                }
            }
            (Job::Event(_, _, started), Ok(_)) => {
                let metrics = self.session.shard().metrics();
                if let Some((metrics, started)) = metrics.zip(started) {
                    metrics.handler_time.record(started.elapsed());
                }
            }
            (Job::Disconnect, Ok(_)) => {}
            (
                Job::Connect(key, membership)
                | Job::Screen(key, membership, _)
                | Job::Event(key, membership, _),
                Err(panic),
            ) => {
                self.panicked(key, &membership, &panic, cx);
            }
            (Job::Disconnect, Err(panic)) => {
                tracing::error!(session = ?self.session.id(), panic = %shown(panic), "a disconnect handler panicked");
                self.namespaces.counters().handler_panicked();
            }
        }
    }

    #[cold]
    fn auth_panicked(&mut self, key: Key, namespace: &str, panic: &str) {
        tracing::error!(session = ?self.session.id(), namespace = %shown(namespace), panic = %shown(panic), "auth or middleware panicked");
        self.namespaces.counters().handler_panicked();
        self.end_joining(key);
        self.refuse(namespace, &ConnectError::new("internal error"));
    }

    /// One of a socket's handlers has panicked, which costs it its membership and nothing else.
    #[cold]
    fn panicked(
        &mut self,
        key: Key,
        membership: &Arc<Membership>,
        panic: &str,
        cx: &mut Context<'_>,
    ) {
        tracing::error!(socket = %membership.shown_id(), panic = %shown(panic), "a handler panicked");
        self.namespaces.counters().handler_panicked();
        self.expel(key, membership, DisconnectReason::ServerError, cx);
    }

    fn end_joining(&mut self, key: Key) {
        self.decide(Verdict::Refused(key));
        *self.slot(key) = Slot::Free;
    }

    /// Takes one socket out, and tells its client.
    fn expel(
        &mut self,
        key: Key,
        membership: &Arc<Membership>,
        reason: DisconnectReason,
        cx: &mut Context<'_>,
    ) {
        let Slot::Joined(occupant) = self.slot(key) else {
            return;
        };
        if Arc::ptr_eq(occupant.socket.membership(), membership) {
            membership.disconnect(false);
            self.decide(Verdict::Left(key));
            self.end(key, reason, cx);
        }
    }

    /// Looks after the sockets that somebody took out, in a handler or from outside this task. Says
    /// whether there may have been any.
    pub(crate) fn end_leaving(&mut self, cx: &mut Context<'_>) -> bool {
        let has_any = self.session.take_attention();
        if has_any {
            self.end_those_who_leave(cx);
        }
        has_any
    }

    #[cold]
    fn end_those_who_leave(&mut self, cx: &mut Context<'_>) {
        let mut close_connection = false;
        for index in 0..self.slots.len() {
            let Some(Slot::Joined(occupant)) = self.slots.get(index) else {
                continue;
            };
            let state = occupant.socket.membership().state();
            close_connection |= state == State::LeavingWithConnection;
            let reason = match state {
                State::Joining | State::Connected | State::Gone => continue,
                State::Leaving | State::LeavingWithConnection => {
                    DisconnectReason::ServerNamespaceDisconnect
                }
                State::Superseded => DisconnectReason::ResumedElsewhere,
            };
            let key = occupant.key;
            self.decide(Verdict::Left(key));
            self.end(key, reason, cx);
        }
        if close_connection {
            for slot in self.slots.iter() {
                if let Slot::Joined(occupant) = slot {
                    occupant.socket.membership().disconnect(false);
                }
            }
            self.end_all(DisconnectReason::ServerNamespaceDisconnect, cx);
            self.over = true;
            self.session
                .tell(Input::CloseApart(CloseReason::ForcedClose));
        }
    }

    /// The socket has left: its hook runs at once, its running handlers go on to their end.
    #[inline(never)]
    pub(crate) fn end(&mut self, key: Key, reason: DisconnectReason, cx: &mut Context<'_>) {
        let Slot::Joined(occupant) = std::mem::replace(self.slot(key), Slot::Free) else {
            return;
        };
        let held = occupant.held().map(|held| held.bytes);
        self.held_bytes = held.fold(self.held_bytes, u32::saturating_sub);
        // First: what is sent from now on is kept for a client that may come back.
        let membership = occupant.socket.membership();
        membership.depart(recovery::may_come_back(reason));
        membership.begin_end();
        for hook in occupant.socket.disconnecting(reason) {
            self.start(Job::Disconnect, Work::Handle(hook), cx);
        }
        occupant.socket.membership().end();
        for hook in occupant.socket.disconnected(reason) {
            self.start(Job::Disconnect, Work::Handle(hook), cx);
        }
        occupant.socket.membership().drop_listeners();
    }

    fn end_all(&mut self, reason: DisconnectReason, cx: &mut Context<'_>) {
        for index in 0..self.slots.len() {
            if let Some(Slot::Joined(occupant)) = self.slots.get(index) {
                let key = occupant.key;
                self.end(key, reason, cx);
            }
        }
    }

    /// The client broke the protocol, which ends its connection.
    #[cold]
    pub(crate) fn violate(&mut self, violation: &Violation, cx: &mut Context<'_>) {
        tracing::debug!(session = ?self.session.id(), violation = %shown(violation), "connection closed: the client broke the protocol");
        self.session.at_fault(violation);
        let of_state = !matches!(violation, Violation::Packet(_));
        // As the reference has it: a polling client without a waiting GET cannot be told at once.
        let silent = self.session.transport() == Transport::Polling
            && !self.session.outbox().has_waiting_poll();
        let reason = if of_state && silent {
            CloseReason::ForcedServerClose
        } else {
            CloseReason::ForcedClose
        };
        self.close(reason, cx);
    }

    #[cold]
    pub(crate) fn close(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.over, true) {
            self.end_all(reason.into(), cx);
            self.session.tell(Input::Close(reason));
        }
    }

    /// Whether anybody waited for it.
    pub(crate) fn handle_ack(&self, key: Key, id: AckId, arguments: Arguments<'_>) -> bool {
        let Some(Slot::Joined(occupant)) = self.slots.get(key.index()) else {
            return false;
        };
        let membership = occupant.socket.membership();
        let expected = membership.handle_ack(id, arguments);
        if !expected {
            tracing::debug!(socket = %membership.shown_id(), ?id, "nobody waits for this answer");
            self.namespaces.counters().unexpected_ack();
        }
        expected
    }

    /// Runs handlers, and looks after sockets that were taken out from outside this task.
    pub(crate) fn poll(&mut self, now: Instant, cx: &mut Context<'_>) {
        self.end_leaving(cx);
        if self.running.may_go_on() {
            self.poll_running(cx);
        }
        if self.held_bytes != 0 {
            self.dispatch_held(cx);
        }
        if self.grace_ends.is_some() {
            self.watch_grace(now);
        }
    }

    #[inline(never)]
    fn poll_running(&mut self, cx: &mut Context<'_>) {
        while let Some(ended) = self.running.poll_next(cx) {
            self.finish(ended, cx);
        }
    }

    #[cold]
    fn watch_grace(&mut self, now: Instant) {
        if self.grace_ends.as_deref().is_some_and(|ends| now >= *ends) && !self.running.is_empty() {
            self.end_handlers();
        }
    }

    fn end_handlers(&mut self) {
        tracing::debug!(
            session = ?self.session.id(),
            handlers = self.running.len(),
            "handlers ended after their grace"
        );
        self.session.limited(LimitKind::HandlerGrace);
        self.running.clear();
        self.grace_ends = None;
    }

    /// The session has ended.
    pub(crate) fn closed(&mut self, reason: CloseReason, now: Instant, cx: &mut Context<'_>) {
        self.over = true;
        self.end_all(reason.into(), cx);
        if !self.running.is_empty() {
            let ends = now.checked_add(self.config().limits.handler_grace);
            self.grace_ends = ends.map(Box::new);
        }
    }

    pub(crate) fn has_verdicts(&self) -> bool {
        self.verdicts.is_some()
    }

    pub(crate) fn take_verdicts(&mut self) -> Vec<Verdict> {
        self.verdicts
            .take()
            .map(|verdicts| *verdicts)
            .unwrap_or_default()
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn config(&self) -> &Config {
        self.session.config()
    }

    pub(crate) fn was_accepted(&self) -> bool {
        self.accepted
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// When the handlers that still run are ended.
    pub(crate) fn grace_ends(&self) -> Option<Instant> {
        let ends = self.grace_ends.as_deref().copied();
        ends.filter(|_| !self.running.is_empty())
    }

    /// Whether more events may come.
    pub(crate) fn wants_events(&self) -> bool {
        !self.is_full() && self.has_room()
    }

    /// Whether as many handlers run as may. The limit is only looked up when any do.
    fn is_full(&self) -> bool {
        !self.running.is_empty() && self.running.len() >= self.config().limits.max_running_handlers
    }

    /// Whether more events may wait.
    pub(crate) fn has_room(&self) -> bool {
        self.held_bytes < MAX_HELD
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.running.is_empty()
    }

    fn slot(&mut self, key: Key) -> &mut Slot {
        self.slots.get_or_free(key.index())
    }
}

impl Drop for Sockets {
    /// A connection task that was dropped, or has panicked, leaves nobody in a namespace.
    fn drop(&mut self) {
        for slot in self.slots.iter() {
            if let Slot::Joined(occupant) = slot {
                occupant.socket.membership().depart(false);
                occupant.socket.membership().begin_end();
                occupant.socket.membership().end();
                occupant.socket.membership().drop_listeners();
            }
        }
    }
}
