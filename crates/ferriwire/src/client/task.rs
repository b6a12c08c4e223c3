//! The task of a client: one loop, and one place that drains all its state machines.
//!
//! One turn, in this order: what handles ask for; what has arrived, each message at once to its
//! namespace; handlers that go on; deadlines; what the machines want done, until each has nothing more;
//! then what waits is written. The turn is repeated until nothing happens in it, and then the task
//! sleeps until the next deadline.

mod closing;
mod drain;
mod joining;
mod layer;
mod link;
mod lost;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ferriwire_proto::connection::Key;
use ferriwire_proto::connection::client::Client as Namespaces;
use ferriwire_proto::engine::client::Cookies;
use ferriwire_proto::engine::{CloseReason, Revision};
use ferriwire_proto::reconnect::Reconnect;
use tokio::time::Sleep;

use self::closing::Closing;
use self::layer::{Broken, Layer};
use self::link::{Link, Tools};
use super::auth::Claims;
use super::config::ClientConfig;
use super::error::ConnectFailure;
use super::handle::Owner;
use super::random::Random;
use super::shared::{Joining, Membership, Note, Shared, now};
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
