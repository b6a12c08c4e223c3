//! The task of a client: one loop, and one place that drains all its state machines.
//!
//! One turn, in this order: what handles ask for; what has arrived, each message at once to its
//! namespace; handlers that go on; deadlines; what the machines want done, until each has nothing more;
//! then what waits is written. The turn is repeated until nothing happens in it, and then the task
//! sleeps until the next deadline.

mod joining;
mod layer;
mod link;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ferriwire_proto::connection::client::{Client as Namespaces, Output as NamespaceOutput};
use ferriwire_proto::connection::{ConnectionTimeout, Key};
use ferriwire_proto::engine::client::{Cookies, Output as SessionOutput};
use ferriwire_proto::engine::queue::{Control, Entry};
use ferriwire_proto::engine::{CloseReason, Revision};
use ferriwire_proto::reconnect::{Output as ReconnectOutput, Reconnect};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use self::layer::{Broken, Layer};
use self::link::{Link, Tools};
use super::auth::Claims;
use super::config::ClientConfig;
use super::error::ConnectFailure;
use super::handle::Owner;
use super::random::Random;
use super::reason::DisconnectReason;
use super::reconnection::Reconnection;
use super::shared::{Joining, Membership, Note, Shared, Waiter, now};
use super::suspended::Clocks;
use super::transport::http::Origin;
use crate::engine::running::{BoxFuture, Running};
use crate::error::AckError;

/// How often a turn is repeated before other tasks have theirs.
const TURNS: usize = 32;

/// Keeps one client.
pub(crate) struct Task {
    shared: Arc<Shared>,
    tools: Tools,
    reconnect: Reconnect,
    link: Option<Link>,
    layer: Layer,
    auths: Running<Key, BoxFuture<Claims>>,
    /// CONNECT packets that are to be made.
    wanted: Vec<Key>,
    /// The pause before the attempt that is made next.
    pause: Duration,
    /// The number of the attempt that is made; 0 for the first one.
    attempt: u32,
    deadlines: Deadlines,
    /// For pauses alone, so that those of a seed are the same whatever else is drawn.
    chance: Random,
    /// What the next pause is made of.
    random: u32,
    clocks: Clocks,
    closing: Option<Closing>,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// What the machines named when they were drained.
#[derive(Default)]
struct Deadlines {
    session: Option<Instant>,
    namespaces: Option<Instant>,
    reconnect: Option<Instant>,
}

/// What a session that is over has left behind.
struct Gone {
    joined: Vec<Key>,
    /// Who waits for what the session did not acknowledge.
    waiting: Vec<Waiter>,
}

/// The program wants no more of the client.
struct Closing {
    /// Who waits for that.
    waiting: Vec<oneshot::Sender<()>>,
    /// Handlers may go on until then, once there is no session any more.
    grace_ends: Option<Instant>,
}

impl Task {
    pub(crate) fn new(
        shared: Arc<Shared>,
        owner: Weak<Owner>,
        config: ClientConfig,
        origin: Arc<Origin>,
    ) -> Self {
        let mut namespaces = Namespaces::new(config.namespaces, config.codec.clone());
        if config.engine.revision == Revision::V3 {
            namespaces = namespaces.with_protocol_4();
        }
        let layer = Layer::new(Arc::clone(&shared), owner, namespaces, config.max_running);
        let mut chance = Random::new(config.seed);
        Self {
            shared,
            random: chance.number(),
            chance,
            clocks: Clocks::read(),
            reconnect: Reconnect::new(config.reconnect),
            tools: Tools {
                origin,
                random: Random::new(config.seed),
                cookies: Cookies::new(),
                config,
            },
            link: None,
            layer,
            auths: Running::new(),
            wanted: Vec::new(),
            pause: Duration::ZERO,
            attempt: 0,
            deadlines: Deadlines::default(),
            closing: None,
            sleep: None,
        }
    }

    /// A namespace that is to be known, and joined.
    pub(crate) fn add(
        &mut self,
        membership: Arc<Membership>,
        joining: Joining,
        first_failure: bool,
    ) {
        let now = now();
        self.layer.add(membership, joining, first_failure, now);
        self.reconnect.connect(now);
    }

    /// A session that must be dead since the machine slept is ended at once.
    fn note_sleep(&mut self) {
        let clocks = Clocks::read();
        let slept = std::mem::replace(&mut self.clocks, clocks).slept_until(clocks);
        let Some(link) = &mut self.link else { return };
        let patience = link.session.opened().map(|opened| {
            let interval = opened.ping_interval;
            interval.saturating_add(opened.ping_timeout)
        });
        if patience.is_some_and(|patience| slept > patience) {
            link.session.abort(CloseReason::PingTimeout);
        }
    }

    /// Says whether anything has happened.
    fn turn(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut progress = self.take_notes(now, cx);
        if let Some(link) = &mut self.link {
            progress |= link.poll_input(&mut self.layer, &mut self.tools, now, cx);
        }
        if self
            .link
            .as_ref()
            .is_some_and(|link| link.session.is_open())
        {
            self.end_unwanted(now, cx);
        }
        match self.layer.poll_running(cx) {
            Ok(ended) => progress |= ended,
            Err(Broken(what)) => {
                progress = true;
                if let Some(link) = &mut self.link {
                    link.failure.get_or_insert(ConnectFailure::Violation(what));
                    link.session.abort(CloseReason::ParseError);
                }
            }
        }
        while let Some((key, claims)) = self.auths.poll_next(cx) {
            progress = true;
            self.send_connect(key, claims, now, cx);
        }
        progress |= self.set_reading(now);
        self.handle_timeout(now);
        progress |= self.drain(now, cx);
        if let Some(link) = &mut self.link {
            progress |= link.write(&self.layer, &mut self.tools, cx);
            self.shared.set_writable(link.is_writable());
        }
        // What was written has made room.
        progress | self.set_reading(now)
    }

    fn take_notes(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let notes = self.shared.take_notes();
        let any = !notes.is_empty();
        for note in notes {
            match note {
                Note::Close(done) => self.close(done, now, cx),
                // What is closed stays so; whoever waits is told by what is dropped here.
                _ if self.closing.is_some() => {}
                Note::Add {
                    membership,
                    joining,
                    first_failure,
                } => self.add(membership, joining, first_failure),
                Note::Connect(membership) => {
                    if let Some(key) = self.own_key(&membership) {
                        self.layer.namespaces.join(key, now);
                        self.reconnect.connect(now);
                        self.layer.note_active(true);
                    }
                }
                Note::Disconnect(membership) => {
                    membership.note_left();
                    if let Some(key) = self.own_key(&membership) {
                        self.layer.leave(key, now, cx);
                        self.end_unwanted(now, cx);
                    }
                }
                Note::Cut => {
                    if self.link.is_some() {
                        self.end_session(CloseReason::TransportClose, now, cx);
                    }
                }
            }
        }
        any
    }

    /// The key of a namespace, unless another one has taken its place.
    fn own_key(&self, membership: &Arc<Membership>) -> Option<Key> {
        let key = *membership.key.get()?;
        let own = self.layer.membership(key)?;
        Arc::ptr_eq(own, membership).then_some(key)
    }

    fn close(&mut self, done: Option<oneshot::Sender<()>>, now: Instant, cx: &mut Context<'_>) {
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
    fn end_unwanted(&mut self, now: Instant, cx: &mut Context<'_>) {
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

    /// Above the bound for what waits, nothing more is taken from the server.
    /// Says whether that is new.
    fn set_reading(&mut self, now: Instant) -> bool {
        let Some(link) = &mut self.link else {
            return false;
        };
        let config = &self.tools.config;
        let incoming = self.layer.held_bytes();
        self.shared.set_incoming(incoming);
        let is_reading = incoming <= config.max_incoming
            && self.shared.outgoing.lock().queue().bytes() <= config.max_queued.saturating_mul(2);
        let is_new = link.set_reading(is_reading, now);
        if is_new {
            self.layer.namespaces.set_reading(is_reading, now);
        }
        is_new
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(link) = &mut self.link {
            link.session.handle_timeout(now);
        }
        self.layer.namespaces.handle_timeout(now);
        self.reconnect.handle_timeout(now, self.random);
        let late = self.shared.outgoing.lock().handle_timeout(now);
        for waiter in late.into_iter().flatten() {
            // Whoever waits knows how long.
            waiter(Err(AckError::Timeout(Duration::ZERO)));
        }
    }

    /// Does what the machines want done.
    fn drain(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        loop {
            let mut again = self.drain_session(now, cx);
            again |= self.drain_namespaces(now, cx);
            again |= self.start_auths(now, cx);
            again |= self.drain_reconnect(now, cx);
            if !again {
                return progress;
            }
            progress = true;
        }
    }

    fn drain_session(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while let Some(link) = &mut self.link {
            let tools = &mut self.tools;
            match link.session.poll_output() {
                SessionOutput::Poll => link.start_poll(tools),
                SessionOutput::OpenWebSocket => link.open_socket(tools),
                SessionOutput::Opened => self.session_opened(cx),
                SessionOutput::OpenCandidate => link.open_candidate(tools),
                SessionOutput::SendProbe => link.send_probe(tools),
                SessionOutput::DropCandidate => link.drop_candidate(tools, cx),
                SessionOutput::Switch => {
                    link.switch(&self.layer, tools);
                    let transport = link.session.transport();
                    self.shared.set_transport(Some(transport));
                    self.layer.tell(|all| &all.upgrade, &transport, cx);
                }
                SessionOutput::SendPing => self.push(Entry::Control(Control::Ping)),
                SessionOutput::SendPong => self.push(Entry::Control(Control::Pong)),
                SessionOutput::BeginClose => link.begin_close(&self.layer),
                SessionOutput::Closed(reason) => self.end_session(reason, now, cx),
                SessionOutput::Timeout(deadline) => {
                    self.deadlines.session = deadline;
                    return progress;
                }
            }
            progress = true;
        }
        self.deadlines.session = None;
        progress
    }

    fn push(&self, entry: Entry) {
        self.shared.outgoing.lock().queue().push(entry);
    }

    fn session_opened(&mut self, cx: &mut Context<'_>) {
        let Some(link) = &self.link else { return };
        {
            let mut outgoing = self.shared.outgoing.lock();
            outgoing.queue().set_dialect(link.session.dialect());
            outgoing.queue().set_deflater(link.deflater());
        }
        let attempts = self.reconnect.handle_connected();
        if attempts > 0 {
            let done = Reconnection::Done(attempts);
            self.layer.tell(|all| &all.reconnection, &done, cx);
        }
    }

    /// The session is over, or was never opened.
    fn end_session(&mut self, reason: CloseReason, now: Instant, cx: &mut Context<'_>) {
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
        for waiter in gone.waiting.into_iter().flatten() {
            waiter(Err(AckError::Disconnected));
        }
        for key in gone.joined {
            self.layer.left(key, DisconnectReason::from(reason), cx);
        }
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

    fn drain_namespaces(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        loop {
            match self.layer.namespaces.poll_output() {
                NamespaceOutput::Connect(key) => self.wanted.push(key),
                NamespaceOutput::Disconnect(key) => {
                    let name = self.layer.namespaces.namespace(key).unwrap_or("/");
                    match self.shared.codec.encode_disconnect(name) {
                        Ok(packet) => self.push(Entry::Message(Arc::new(packet))),
                        Err(error) => tracing::error!(%error, "DISCONNECT cannot be written"),
                    }
                }
                NamespaceOutput::Close(timeout) => {
                    if let Some(link) = &mut self.link {
                        link.failure.get_or_insert(ConnectFailure::Timeout);
                        link.session.abort(match timeout {
                            ConnectionTimeout::Connect => CloseReason::TransportError,
                            ConnectionTimeout::Attachments => CloseReason::ParseError,
                        });
                    }
                }
                NamespaceOutput::Late(key) => self.layer.late(key, now, cx),
                NamespaceOutput::Timeout(deadline) => {
                    self.deadlines.namespaces = deadline;
                    return progress;
                }
            }
            progress = true;
        }
    }

    fn drain_reconnect(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        if self.link.as_ref().is_some_and(|link| link.is_ending) {
            // What is queued leaves on the old session, and nothing of it on the next one.
            self.deadlines.reconnect = None;
            return false;
        }
        loop {
            match self.reconnect.poll_output() {
                ReconnectOutput::Abandon => self.abandon(now, cx),
                ReconnectOutput::Wait { delay, .. } => {
                    self.pause = delay;
                    self.random = self.chance.number();
                }
                ReconnectOutput::Attempt { attempt } => {
                    self.attempt = attempt;
                    if attempt > 0 {
                        let event = Reconnection::Attempt {
                            number: attempt,
                            after: self.pause,
                        };
                        self.layer.tell(|all| &all.reconnection, &event, cx);
                    }
                    self.shared.outgoing.lock().queue().set_deflater(None);
                    self.link = Some(Link::new(&self.tools));
                }
                ReconnectOutput::GiveUp => {
                    self.layer
                        .tell(|all| &all.reconnection, &Reconnection::GaveUp, cx);
                }
                ReconnectOutput::Timeout(deadline) => {
                    self.deadlines.reconnect = deadline;
                    return progress;
                }
            }
            progress = true;
        }
    }

    /// The attempt has taken too long, which counts already.
    fn abandon(&mut self, now: Instant, cx: &mut Context<'_>) {
        if self.link.is_none() {
            return;
        }
        let gone = self.drop_session(now);
        self.tell_gone(gone, CloseReason::TransportError, cx);
        let is_last = !self.reconnect.is_active();
        self.attempt_failed(&ConnectFailure::Timeout, is_last, now, cx);
        self.end_unwanted(now, cx);
    }

    /// Whether the task has nothing left to do.
    fn is_over(&mut self, now: Instant) -> bool {
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

    /// Sleeps until something is due. Ready: something is.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let outgoing = self.shared.outgoing.lock().deadline();
        let grace = self.closing.as_ref().and_then(|closing| closing.grace_ends);
        let all = [self.deadlines.first(), outgoing, grace];
        let Some(deadline) = all.into_iter().flatten().min() else {
            self.sleep = None;
            return Poll::Pending;
        };
        let deadline = tokio::time::Instant::from_std(deadline);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if sleep.deadline() != deadline {
                    sleep.as_mut().reset(deadline);
                }
                sleep
            }
            None => self
                .sleep
                .insert(Box::pin(tokio::time::sleep_until(deadline))),
        };
        let due = sleep.as_mut().poll(cx);
        if due.is_ready() {
            self.sleep = None;
        }
        due
    }
}

impl Deadlines {
    fn first(&self) -> Option<Instant> {
        let all = [self.session, self.namespaces, self.reconnect];
        all.into_iter().flatten().min()
    }
}

/// Also when the runtime goes down.
impl Drop for Task {
    fn drop(&mut self) {
        self.shared.end();
        for happened in self.layer.members().filter_map(|one| one.happened.as_ref()) {
            happened.end();
        }
    }
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        task.shared.waker.register(cx.waker());
        task.note_sleep();
        for _ in 0..TURNS {
            let now = now();
            if task.turn(now, cx) {
                continue;
            }
            if task.is_over(now) {
                return Poll::Ready(());
            }
            if task.poll_sleep(cx).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
