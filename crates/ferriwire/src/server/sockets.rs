//! All sockets of one client: who may join, which handlers run, and what waits for them.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use ferriwire_proto::codec::{Arguments, EncodeError, OwnedArguments, Payload, Violation};
use ferriwire_proto::connection::Key;
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::{CloseReason, Revision, Transport};
use ferriwire_proto::packet::AckId;
use serde::Serialize;

use super::joining::{self, Admission, Decision};
use super::membership::{Membership, State};
use super::namespace::{Joined, Screening};
use super::namespaces::Namespaces;
use super::reason::DisconnectReason;
use super::recovery::{self, Beginning};
use crate::config::Config;
use crate::engine::Session;
use crate::engine::running::{BoxFuture, Ended, Running, panic_message};
use crate::engine::session::Input;
use crate::event::HandlerError;
use crate::handshake::ConnectError;
use crate::hints::Mistake;
use crate::shown::shown;

/// How many bytes of events, with what it takes to keep them, may wait for `on_connect`, or for other handlers, before the
/// connection is not read from any more. Acknowledgements are still taken up to then.
const MAX_HELD: usize = 64 * 1024;

/// All sockets of one client.
pub(crate) struct Sockets {
    session: Session,
    config: Arc<Config>,
    namespaces: Arc<Namespaces>,
    /// By the key that the protocol gave the namespace.
    slots: Vec<Slot>,
    running: Running<Job, Work>,
    held_bytes: usize,
    /// What the protocol has to be told.
    verdicts: Vec<Verdict>,
    /// The client has joined a namespace, once.
    accepted: bool,
    /// The client broke the protocol, or has gone: nothing more is heard.
    over: bool,
    grace_ends: Option<Instant>,
}

/// What became of a namespace, for the protocol to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted(Key),
    Refused(Key),
    /// The server took the socket out.
    Left(Key),
}

enum Slot {
    Free,
    /// `auth` decides.
    Joining,
    Joined(Occupant),
}

/// A socket, and its events that wait.
struct Occupant {
    key: Key,
    socket: Box<dyn Joined>,
    /// `on_connect`, or middleware of an event, runs: events wait.
    waiting: bool,
    held: VecDeque<HeldEvent>,
}

struct HeldEvent {
    name: String,
    ack: Option<AckId>,
    arguments: OwnedArguments,
    /// What all this takes.
    bytes: usize,
}

impl HeldEvent {
    fn new(name: &str, ack: Option<AckId>, arguments: Arguments<'_>) -> Self {
        let bytes = [size_of::<Self>(), name.len(), arguments.size()];
        Self {
            name: name.to_owned(),
            ack,
            arguments: arguments.to_owned(),
            bytes: bytes.into_iter().fold(0, usize::saturating_add),
        }
    }
}

/// What a running future is for.
enum Job {
    Authorize(Key, Arc<str>),
    Connect(Key, Arc<Membership>),
    /// Middleware decides on an event.
    Screen(Key, Arc<Membership>, Box<HeldEvent>),
    /// With when it began, if that is measured.
    Event(Key, Arc<Membership>, Option<Instant>),
    Disconnect,
}

/// A running future itself: `auth` and middleware, which come to a decision, or a handler.
enum Work {
    Decide(BoxFuture<Decision>),
    Screen(Screening),
    Handle(BoxFuture<()>),
}

impl Future for Work {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Decide(decision) => decision.as_mut().poll(cx).map(Outcome::Decided),
            Self::Screen(screening) => screening.as_mut().poll(cx).map(Outcome::Screened),
            Self::Handle(handler) => handler.as_mut().poll(cx).map(|()| Outcome::Handled),
        }
    }
}

/// What came of it.
enum Outcome {
    Decided(Decision),
    Screened(Result<(), HandlerError>),
    Handled,
}

/// The payload of an accepted CONNECT.
#[derive(Serialize)]
struct Accepted<'a> {
    sid: &'a str,
}

impl Sockets {
    pub(crate) fn new(session: Session, config: Arc<Config>, namespaces: Arc<Namespaces>) -> Self {
        Self {
            session,
            config,
            namespaces,
            slots: Vec::new(),
            running: Running::new(),
            held_bytes: 0,
            verdicts: Vec::new(),
            accepted: false,
            over: false,
            grace_ends: None,
        }
    }

    pub(crate) fn authorize(
        &mut self,
        key: Key,
        namespace: &str,
        payload: Option<Payload<'_>>,
        cx: &mut Context<'_>,
    ) {
        // Handlers of events wait when there are too many, but the hooks of a socket do not.
        if self.running.len() >= self.config.limits.max_running_handlers {
            tracing::debug!(session = ?self.session.id(), namespace = %shown(namespace), "refused while too many handlers are running");
            self.verdicts.push(Verdict::Refused(key));
            let refusal = ConnectError::new("too many handlers are running");
            return self.refuse(namespace, &refusal);
        }
        let decision = catch_unwind(AssertUnwindSafe(|| {
            let (session, config) = (&self.session, &self.config);
            joining::begin(&self.namespaces, session, config, namespace, payload)
        }));
        let decision = match decision {
            Ok(Some(decision)) => decision,
            Ok(None) => {
                self.verdicts.push(Verdict::Refused(key));
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
        self.verdicts.push(Verdict::Accepted(key));
        self.accepted = true;
        let hook = socket.connected(beginning);
        *self.slot(key) = Slot::Joined(Occupant {
            key,
            socket,
            waiting: hook.is_some(),
            held: VecDeque::new(),
        });
        if let Some(hook) = hook {
            self.start(Job::Connect(key, membership), Work::Handle(hook), cx);
        }
    }

    fn speaks_protocol_4(&self) -> bool {
        self.session.request().revision() == Revision::V3
    }

    pub(crate) fn refuse(&self, namespace: &str, error: &ConnectError) {
        let codec = &self.config.codec;
        let message = if !self.speaks_protocol_4() {
            codec.encode_connect_error(namespace, error)
        } else if let Some(data) = error.truthy_data() {
            codec.encode_error(namespace, data)
        } else {
            codec.encode_error(namespace, error.message())
        };
        self.push_refusal(message);
    }

    /// An unknown namespace is refused with an object, whatever the client speaks.
    fn refuse_unknown(&self, namespace: &str) {
        self.namespaces.counters().namespace_unknown();
        let session = self.session.id();
        tracing::debug!(?session, namespace = %shown(namespace), "unknown namespace refused");
        let mistake = Mistake::UnknownNamespace(namespace);
        self.config.hint(mistake, || self.namespaces.names());
        let error = joining::invalid_namespace();
        let codec = &self.config.codec;
        self.push_refusal(codec.encode_connect_error(namespace, &error));
    }

    fn push_refusal(&self, message: Result<Encoded, EncodeError>) {
        match message {
            // A client that has gone does not mind.
            Ok(message) => drop(self.session.push(&Arc::new(message), false)),
            Err(error) => tracing::error!(%error, "a refusal cannot be written"),
        }
    }

    pub(crate) fn handle_event(
        &mut self,
        key: Key,
        name: &str,
        ack: Option<AckId>,
        arguments: Arguments<'_>,
        cx: &mut Context<'_>,
    ) {
        self.session.shard().traffic().event_in();
        let full = self.running.len() >= self.config.limits.max_running_handlers;
        let Slot::Joined(occupant) = self.slot(key) else {
            return;
        };
        if !occupant.socket.membership().is_connected() {
            return;
        }
        if full || occupant.waiting || !occupant.held.is_empty() {
            let held = HeldEvent::new(name, ack, arguments);
            let bytes = held.bytes;
            occupant.held.push_back(held);
            self.held_bytes = self.held_bytes.saturating_add(bytes);
            return;
        }
        self.dispatch(key, name, ack, arguments, cx);
    }

    /// Shows an event to those who see all of them, and has its handlers started at once, or as soon
    /// as middleware has let it pass.
    fn dispatch(
        &mut self,
        key: Key,
        name: &str,
        ack: Option<AckId>,
        arguments: Arguments<'_>,
        cx: &mut Context<'_>,
    ) {
        let mut screening = None;
        self.run_handlers(key, name, arguments, cx, |socket, start| {
            screening = socket.announce(name, arguments, start)?;
            if screening.is_some() {
                return Ok(true);
            }
            socket.dispatch(name, arguments, ack, start)
        });
        if let Some(screening) = screening
            && let Slot::Joined(occupant) = self.slot(key)
        {
            occupant.waiting = true;
            let membership = Arc::clone(occupant.socket.membership());
            let event = Box::new(HeldEvent::new(name, ack, arguments));
            let job = Job::Screen(key, membership, event);
            self.start(job, Work::Screen(screening), cx);
        }
    }

    /// Middleware has decided on an event.
    fn screened(
        &mut self,
        key: Key,
        membership: &Arc<Membership>,
        event: &HeldEvent,
        decision: Result<(), HandlerError>,
        cx: &mut Context<'_>,
    ) {
        let Slot::Joined(occupant) = self.slot(key) else {
            return;
        };
        if !Arc::ptr_eq(occupant.socket.membership(), membership) {
            return;
        }
        occupant.waiting = false;
        // Who has left in the meantime is not heard any more.
        if !membership.is_connected() {
            return;
        }
        match decision {
            Ok(()) => {
                let arguments = event.arguments.as_arguments();
                self.run_handlers(key, &event.name, arguments, cx, |socket, start| {
                    socket.dispatch(&event.name, arguments, event.ack, start)
                });
            }
            Err(error) => {
                if let Some(hook) = occupant.socket.refused(&event.name, event.ack, error) {
                    let job = Job::Event(key, Arc::clone(membership), None);
                    self.start(job, Work::Handle(hook), cx);
                }
            }
        }
    }

    /// Starts what `begin` hands out; it returns whether the event has any handlers.
    fn run_handlers(
        &mut self,
        key: Key,
        name: &str,
        arguments: Arguments<'_>,
        cx: &mut Context<'_>,
        begin: impl FnOnce(&dyn Joined, &mut dyn FnMut(BoxFuture<()>)) -> Result<bool, Violation>,
    ) {
        let Some(Slot::Joined(occupant)) = self.slots.get(key.index()) else {
            return;
        };
        let membership = Arc::clone(occupant.socket.membership());
        let running = &mut self.running;
        let is_measured = self.session.shard().metrics().is_some();
        let mut ended = Vec::new();
        let mut start = |handler| {
            let job = Job::Event(key, Arc::clone(&membership), is_measured.then(Instant::now));
            ended.extend(running.start(job, Work::Handle(handler), cx));
        };
        // The program's own decoding runs in there, and a panic of that is one of its handler.
        let result = catch_unwind(AssertUnwindSafe(|| begin(&*occupant.socket, &mut start)));
        // Looked up before handlers that have ended could take the socket out.
        let declared = match (&result, &self.config.hints) {
            (Ok(Ok(false)), Some(_)) => occupant.socket.declared_events(),
            _ => None,
        };
        for handler in ended {
            self.finish(handler, cx);
        }
        match result {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                let namespace = membership.hub().name();
                tracing::debug!(socket = %membership.shown_id(), event = %shown(name), namespace = %shown(namespace), "no handler");
                if let Some(declared) = declared {
                    let mistake = Mistake::NoHandler {
                        namespace,
                        event: name,
                    };
                    self.config.hint(mistake, || declared);
                }
                if let Err(violation) = arguments.validate() {
                    self.violate(&violation, false, cx);
                }
            }
            Ok(Err(violation)) => self.violate(&violation, false, cx),
            Err(panic) => self.panicked(key, &membership, &panic_message(&*panic), cx),
        }
    }

    /// Starts what waited, as far as handlers may run.
    fn dispatch_held(&mut self, cx: &mut Context<'_>) {
        if self.held_bytes == 0 {
            return;
        }
        for index in 0..self.slots.len() {
            while self.running.len() < self.config.limits.max_running_handlers {
                let Some(Slot::Joined(occupant)) = self.slots.get_mut(index) else {
                    break;
                };
                // Who has left is not heard any more.
                if occupant.waiting || !occupant.socket.membership().is_connected() {
                    break;
                }
                let Some(held) = occupant.held.pop_front() else {
                    break;
                };
                let key = occupant.key;
                self.held_bytes = self.held_bytes.saturating_sub(held.bytes);
                let arguments = held.arguments.as_arguments();
                self.dispatch(key, &held.name, held.ack, arguments, cx);
            }
        }
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
                    self.namespaces.counters().refused_by_auth();
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

    fn auth_panicked(&mut self, key: Key, namespace: &str, panic: &str) {
        tracing::error!(session = ?self.session.id(), namespace = %shown(namespace), panic = %shown(panic), "auth or middleware panicked");
        self.namespaces.counters().handler_panicked();
        self.end_joining(key);
        self.refuse(namespace, &ConnectError::new("internal error"));
    }

    /// One of a socket's handlers has panicked, which costs it its membership and nothing else.
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
        self.verdicts.push(Verdict::Refused(key));
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
            self.verdicts.push(Verdict::Left(key));
            self.end(key, reason, cx);
        }
    }

    /// Looks after the sockets that somebody took out, in a handler or from outside this task.
    pub(crate) fn end_leaving(&mut self, cx: &mut Context<'_>) {
        if !self.session.take_attention() {
            return;
        }
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
            self.verdicts.push(Verdict::Left(key));
            self.end(key, reason, cx);
        }
        if close_connection {
            for slot in &self.slots {
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
    pub(crate) fn end(&mut self, key: Key, reason: DisconnectReason, cx: &mut Context<'_>) {
        let Slot::Joined(occupant) = std::mem::replace(self.slot(key), Slot::Free) else {
            return;
        };
        let held = occupant.held.iter().map(|held| held.bytes).sum();
        self.held_bytes = self.held_bytes.saturating_sub(held);
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
    pub(crate) fn violate(
        &mut self,
        violation: &dyn std::fmt::Display,
        of_state: bool,
        cx: &mut Context<'_>,
    ) {
        tracing::debug!(session = ?self.session.id(), violation = %shown(violation), "connection closed: the client broke the protocol");
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
        while let Some(ended) = self.running.poll_next(cx) {
            self.finish(ended, cx);
        }
        self.dispatch_held(cx);
        if self.grace_ends.is_some_and(|ends| now >= ends) && !self.running.is_empty() {
            tracing::warn!(
                session = ?self.session.id(),
                handlers = self.running.len(),
                "handlers ended after their grace"
            );
            self.running.clear();
            self.grace_ends = None;
        }
    }

    /// The session has ended.
    pub(crate) fn closed(&mut self, reason: CloseReason, now: Instant, cx: &mut Context<'_>) {
        self.over = true;
        self.grace_ends = now.checked_add(self.config.limits.handler_grace);
        self.end_all(reason.into(), cx);
    }

    pub(crate) fn take_verdicts(&mut self) -> Vec<Verdict> {
        std::mem::take(&mut self.verdicts)
    }

    pub(crate) fn was_accepted(&self) -> bool {
        self.accepted
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// When the handlers that still run are ended.
    pub(crate) fn grace_ends(&self) -> Option<Instant> {
        self.grace_ends.filter(|_| !self.running.is_empty())
    }

    /// Whether more events may come.
    pub(crate) fn wants_events(&self) -> bool {
        self.running.len() < self.config.limits.max_running_handlers && self.held_bytes < MAX_HELD
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.running.is_empty()
    }

    fn slot(&mut self, key: Key) -> &mut Slot {
        let index = key.index();
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || Slot::Free);
        }
        &mut self.slots[index]
    }
}

impl Drop for Sockets {
    /// A connection task that was dropped, or has panicked, leaves nobody in a namespace.
    fn drop(&mut self) {
        for slot in &self.slots {
            if let Slot::Joined(occupant) = slot {
                occupant.socket.membership().depart(false);
                occupant.socket.membership().begin_end();
                occupant.socket.membership().end();
                occupant.socket.membership().drop_listeners();
            }
        }
    }
}
