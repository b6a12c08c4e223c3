//! The namespaces of a client: packets to handlers, and who is told what.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::task::Context;
use std::time::Instant;

use ferriwire_proto::codec::{Arguments, ArgumentsError, OwnedArguments, Payload};
use ferriwire_proto::connection::Key;
use ferriwire_proto::connection::client::{Client as Namespaces, Incoming, Violation};
use ferriwire_proto::engine::Message;
use ferriwire_proto::value::Value;

use super::super::dispatch::{self, Came, Hook, Listeners};
use super::super::error::ConnectFailure;
use super::super::handle::{Client, Owner};
use super::super::reason::DisconnectReason;
use super::super::shared::{Joining, Membership, Shared};
use super::super::stream::Kept;
use crate::engine::running::{BoxFuture, Running};
use crate::error::AckError;
use crate::handshake::ConnectError;
use crate::shown::shown;

pub(super) struct Layer {
    pub(super) shared: Arc<Shared>,
    pub(super) owner: Weak<Owner>,
    pub(super) namespaces: Namespaces,
    /// By key.
    members: Vec<Option<Member>>,
    /// The namespace that the client was built with, where the hooks of the whole client are, also when it was
    /// left.
    first: Option<Arc<Membership>>,
    pub(super) running: Running<Arc<str>>,
    held: VecDeque<Held>,
    held_bytes: usize,
    pub(super) max_running: usize,
}

/// A namespace that was added.
struct Member {
    membership: Arc<Membership>,
    joining: Option<(Joining, bool)>,
    attempts: u32,
    /// How often `auth` could not be made since it was joined last.
    auth_failures: u32,
    /// The program was told that it is joined, and not that it is so no more.
    is_in: bool,
}

/// An event that waits for a handler to end.
struct Held {
    membership: Arc<Membership>,
    came: Came,
    name: Box<str>,
    arguments: OwnedArguments,
    bytes: usize,
}

/// What a packet was, behind what it was borrowed from.
enum Step {
    Done,
    Connected {
        key: Key,
        recovered: bool,
    },
    Failed(Key, ConnectFailure),
    Left(Key),
    /// A packet whose arguments are none.
    Broken(String),
}

/// The server sent what cannot be read.
pub(super) struct Broken(pub(super) String);

impl Layer {
    pub(super) fn new(
        shared: Arc<Shared>,
        owner: Weak<Owner>,
        namespaces: Namespaces,
        max_running: usize,
    ) -> Self {
        Self {
            shared,
            owner,
            namespaces,
            members: Vec::new(),
            first: None,
            running: Running::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            max_running,
        }
    }

    /// Adds a namespace. Who waits for it is told when there is one of that name.
    pub(super) fn add(
        &mut self,
        membership: Arc<Membership>,
        joining: Joining,
        first_failure: bool,
        now: Instant,
    ) {
        let same = self.members().find(|one| one.name == membership.name);
        let key = match same.and_then(|same| same.key.get().copied()) {
            Some(key) if self.namespaces.is_active(key) => {
                // Nobody waits for it any more, maybe.
                drop(joining.send(Err(ConnectFailure::AlreadyJoined)));
                return;
            }
            Some(key) => key,
            None => match self.namespaces.add(&membership.name) {
                Some(key) => key,
                None => return,
            },
        };
        if membership.key.set(key).is_err() {
            return;
        }
        self.first.get_or_insert_with(|| Arc::clone(&membership));
        {
            let mut outgoing = self.shared.outgoing.lock();
            if let Some(before) = self.membership(key) {
                before.status.lock().is_replaced = true;
            }
            outgoing.add(key, membership.lane);
        }
        let count = key.index() + 1;
        if let Some(missing) = count.checked_sub(self.members.len()) {
            self.members.reserve_exact(missing);
            self.members.resize_with(count, || None);
        }
        if let Some(place) = self.members.get_mut(key.index()) {
            let before = place.take();
            if let Some(happened) = before.and_then(|one| one.membership.happened.clone()) {
                happened.end();
            }
            *place = Some(Member {
                membership,
                joining: Some((joining, first_failure)),
                attempts: 0,
                auth_failures: 0,
                is_in: false,
            });
        }
        self.namespaces.join_anew(key, now);
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Arc<Membership>> {
        self.members.iter().flatten().map(|one| &one.membership)
    }

    pub(super) fn membership(&self, key: Key) -> Option<&Arc<Membership>> {
        let member = self.members.get(key.index())?.as_ref()?;
        Some(&member.membership)
    }

    /// Which attempt to join a namespace this is.
    pub(super) fn next_attempt(&mut self, key: Key) -> u32 {
        let member = self.members.get_mut(key.index()).and_then(Option::as_mut);
        member.map_or(0, |member| {
            let number = member.attempts;
            member.attempts = number.saturating_add(1);
            number
        })
    }

    /// How often `auth` could not be made in a row, before this time.
    pub(super) fn count_auth_failure(&mut self, key: Key) -> u32 {
        let member = self.members.get_mut(key.index()).and_then(Option::as_mut);
        member.map_or(0, |member| {
            let before = member.auth_failures;
            member.auth_failures = before.saturating_add(1);
            before
        })
    }

    /// Whether the first failure to connect is one to join, for whoever waits for that.
    pub(super) fn ends_with_failure(&self, key: Key) -> bool {
        let member = self.members.get(key.index()).and_then(Option::as_ref);
        let joining = member.and_then(|member| member.joining.as_ref());
        joining.is_some_and(|(_, first_failure)| *first_failure)
    }

    /// Who waits for a namespace is told that it is not joined, and it is not to be.
    fn give_up(&mut self, key: Key, failure: ConnectFailure, now: Instant) {
        self.namespaces.leave(key);
        self.end_lane(key, now);
        self.set_left(key);
        self.resolve(key, Err(failure));
    }

    /// Takes a message in.
    pub(super) fn handle_message(
        &mut self,
        message: Message<'_>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Result<(), Broken> {
        let step = self.read(message, now, cx);
        let step = step.map_err(|violation| Broken(violation.to_string()))?;
        match step {
            Step::Done => {}
            Step::Connected { key, recovered } => self.connected(key, recovered, now, cx)?,
            Step::Failed(key, failure) => {
                self.end_lane(key, now);
                self.set_left(key);
                self.fail(key, &failure, cx);
            }
            Step::Left(key) => {
                self.end_lane(key, now);
                self.left(key, DisconnectReason::Server, cx);
            }
            Step::Broken(what) => return Err(Broken(what)),
        }
        Ok(())
    }

    fn read(
        &mut self,
        message: Message<'_>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Result<Step, Violation> {
        let Self {
            shared,
            owner,
            namespaces,
            members,
            running,
            held,
            held_bytes,
            max_running,
            first: _,
        } = self;
        let Some(incoming) = namespaces.handle_message(message, now)? else {
            return Ok(Step::Done);
        };
        Ok(match incoming {
            Incoming::Connected { key, recovered } => Step::Connected { key, recovered },
            Incoming::Refused { key, payload } => {
                Step::Failed(key, ConnectFailure::Refused(refusal(payload)))
            }
            Incoming::Incompatible { key } => Step::Failed(key, ConnectFailure::Incompatible),
            Incoming::Disconnect { key } => Step::Left(key),
            Incoming::Event {
                key,
                id,
                name,
                arguments,
            } => {
                let member = members.get(key.index()).and_then(Option::as_ref);
                let Some(Member { membership, .. }) = member else {
                    return Ok(Step::Done);
                };
                let (joined, leaving) = {
                    let status = membership.status.lock();
                    (status.joined, status.leaving)
                };
                if leaving > 0 {
                    return Ok(Step::Done);
                }
                let came = Came { joined, id };
                if running.len() >= *max_running || !held.is_empty() {
                    let one = Held::new(membership, came, &name, arguments.to_owned());
                    *held_bytes = held_bytes.saturating_add(one.bytes);
                    held.push_back(one);
                    return Ok(Step::Done);
                }
                match dispatch(owner, membership, came, &name, arguments, running, cx) {
                    Ok(()) => Step::Done,
                    Err(what) => Step::Broken(what),
                }
            }
            Incoming::Ack { key, id, arguments } => {
                let waiter = shared.outgoing.lock().handle_ack(key, id, now);
                if let Some(Some(waiter)) = waiter {
                    waiter(Ok(arguments));
                }
                Step::Done
            }
            Incoming::Ignored => Step::Done,
        })
    }

    fn connected(
        &mut self,
        key: Key,
        recovered: bool,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Result<(), Broken> {
        let Some(membership) = self.membership(key).map(Arc::clone) else {
            return Ok(());
        };
        let joined = {
            // In front of what handlers emit (case 80).
            let mut outgoing = self.shared.outgoing.lock();
            let mut status = membership.status.lock();
            if status.leaving > 0 {
                return Ok(());
            }
            status.id = self.namespaces.id(key).map(Arc::from);
            status.recovered = recovered;
            status.joined = status.joined.wrapping_add(1);
            outgoing.handle_joined(key, now);
            status.joined
        };
        while let Some(event) = self.namespaces.take_early(key) {
            let came = Came {
                joined,
                id: event.id,
            };
            let one = Held::new(&membership, came, &event.name, event.arguments);
            self.held_bytes = self.held_bytes.saturating_add(one.bytes);
            self.held.push_back(one);
        }
        if let Some(happened) = &membership.happened {
            happened.push(Kept::Connected { recovered }, 0);
        }
        let broken = self.start_held(cx);
        self.start_hooks(&membership, |listeners| &listeners.connect, &(), cx);
        if let Some(Some(member)) = self.members.get_mut(key.index()) {
            member.auth_failures = 0;
            member.is_in = true;
        }
        self.resolve(key, Ok(()));
        broken
    }

    /// The namespace could not be joined.
    pub(super) fn fail(&mut self, key: Key, failure: &ConnectFailure, cx: &mut Context<'_>) {
        if let Some(membership) = self.membership(key).map(Arc::clone) {
            self.tell_failure(&membership, failure, cx);
        }
        self.resolve(key, Err(failure.clone()));
    }

    /// The server does not let the client join in time, who goes on waiting unless it is not to.
    pub(super) fn late(&mut self, key: Key, now: Instant, cx: &mut Context<'_>) {
        if let Some(membership) = self.membership(key).map(Arc::clone) {
            self.tell_failure(&membership, &ConnectFailure::Timeout, cx);
        }
        if self.ends_with_failure(key) {
            self.give_up(key, ConnectFailure::Timeout, now);
        }
    }

    /// An attempt to open a session has failed, for all that wanted to join.
    pub(super) fn attempt_failed(
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
    pub(super) fn session_lost(&mut self, failure: &ConnectFailure, is_last: bool, now: Instant) {
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

    pub(super) fn tell_failure(
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

    /// Tells whoever waits for a namespace.
    pub(super) fn resolve(&mut self, key: Key, result: Result<(), ConnectFailure>) {
        let member = self.members.get_mut(key.index()).and_then(Option::as_mut);
        if let Some((joining, _)) = member.and_then(|member| member.joining.take()) {
            // Nobody may wait any more.
            drop(joining.send(result));
        }
    }

    pub(super) fn active(&self) -> Vec<Arc<Membership>> {
        let active = self.members().filter(|one| {
            let key = one.key.get();
            key.is_some_and(|key| self.namespaces.is_active(*key))
        });
        active.map(Arc::clone).collect()
    }

    /// The program leaves a namespace, or the whole client.
    pub(super) fn leave(&mut self, key: Key, now: Instant, cx: &mut Context<'_>) {
        let member = self.members.get(key.index()).and_then(Option::as_ref);
        let was_joined = member.is_some_and(|member| member.is_in);
        self.namespaces.leave(key);
        self.end_lane(key, now);
        if was_joined {
            self.left(key, DisconnectReason::Client, cx);
        } else {
            self.set_left(key);
        }
        self.resolve(key, Err(ConnectFailure::Closed));
    }

    /// The namespace is joined no more.
    pub(super) fn left(&mut self, key: Key, reason: DisconnectReason, cx: &mut Context<'_>) {
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

    fn set_left(&self, key: Key) {
        if let Some(membership) = self.membership(key) {
            let mut status = membership.status.lock();
            status.id = None;
            status.recovered = false;
            // Never again by this alone: with the last attempt it is over for all.
            status.active &= self.namespaces.is_active(key);
        }
    }

    fn end_lane(&self, key: Key, now: Instant) {
        let lost = self.shared.outgoing.lock().handle_left(key, now);
        for waiter in lost.into_iter().flatten() {
            waiter(Err(AckError::Disconnected));
        }
    }

    /// Notes which namespaces are going to be joined without anybody's doing.
    pub(super) fn note_active(&self, is_trying: bool) {
        for membership in self.members() {
            let key = membership.key.get();
            let active = key.is_some_and(|key| self.namespaces.is_active(*key));
            let mut status = membership.status.lock();
            status.active = active && is_trying && status.leaving == 0;
        }
    }

    /// Goes on with handlers, and begins those that waited for others.
    pub(super) fn poll_running(&mut self, cx: &mut Context<'_>) -> Result<bool, Broken> {
        let mut progress = false;
        while let Some((namespace, result)) = self.running.poll_next(cx) {
            progress = true;
            note_end(&namespace, result);
        }
        self.start_held(cx)?;
        Ok(progress)
    }

    fn start_held(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        while self.running.len() < self.max_running
            && let Some(one) = self.held.pop_front()
        {
            self.held_bytes = self.held_bytes.saturating_sub(one.bytes);
            let arguments = one.arguments.as_arguments();
            let (membership, came) = (&one.membership, one.came);
            let running = &mut self.running;
            let started = dispatch(
                &self.owner,
                membership,
                came,
                &one.name,
                arguments,
                running,
                cx,
            );
            let Err(what) = started else { continue };
            if membership.is_in(came) {
                return Err(Broken(what));
            }
            // The session that brought it is over, and no other one is to blame.
            tracing::debug!(event = %shown(&one.name), what, "an event of an earlier session is broken");
        }
        Ok(())
    }

    /// How many bytes of events wait for handlers.
    pub(super) fn held_bytes(&self) -> usize {
        let streams = self.members().filter_map(|one| one.happened.as_ref());
        let bytes = streams.map(|happened| happened.bytes());
        bytes.fold(self.held_bytes, usize::saturating_add)
    }

    /// Starts hooks of the whole client.
    pub(super) fn tell<T: Clone + Send + 'static>(
        &mut self,
        hooks: impl Fn(&Listeners) -> &Vec<Hook<T>>,
        what: &T,
        cx: &mut Context<'_>,
    ) {
        if let Some(first) = self.first.as_ref().map(Arc::clone) {
            self.start_hooks(&first, hooks, what, cx);
        }
    }

    fn start_hooks<T: Clone + Send + 'static>(
        &mut self,
        membership: &Arc<Membership>,
        hooks: impl Fn(&Listeners) -> &Vec<Hook<T>>,
        what: &T,
        cx: &mut Context<'_>,
    ) {
        let Some(owner) = self.owner.upgrade() else {
            return;
        };
        let hooks = hooks(&membership.listeners.lock()).clone();
        let client = Client::new(Arc::clone(membership), owner);
        for hook in hooks {
            let called = catch_unwind(AssertUnwindSafe(|| hook(client.clone(), what.clone())));
            match called {
                Ok(future) => start(&mut self.running, &membership.name, future, cx),
                Err(_) => tracing::error!(namespace = %shown(&membership.name), "a hook panicked"),
            }
        }
    }
}

impl Held {
    fn new(
        membership: &Arc<Membership>,
        came: Came,
        name: &str,
        arguments: OwnedArguments,
    ) -> Self {
        let bytes = arguments.as_arguments().size();
        // With something for each event, so that empty ones are bounded, too.
        let bytes = bytes
            .saturating_add(name.len())
            .saturating_add(size_of::<Self>());
        Self {
            membership: Arc::clone(membership),
            came,
            name: name.into(),
            arguments,
            bytes,
        }
    }
}

/// Starts the handlers of an event. What it is asked for, the first one answers. An error: its
/// arguments cannot be read.
fn dispatch(
    owner: &Weak<Owner>,
    membership: &Arc<Membership>,
    came: Came,
    name: &str,
    arguments: Arguments<'_>,
    running: &mut Running<Arc<str>>,
    cx: &mut Context<'_>,
) -> Result<(), String> {
    let Some(owner) = owner.upgrade() else {
        return Ok(());
    };
    if let Some(happened) = &membership.happened {
        let args = arguments.decode().map_err(|error| error.to_string())?;
        let name = name.to_owned();
        happened.push(Kept::Event { name, args, came }, arguments.size());
    }
    let matching = membership.listeners.lock().matching(name);
    let client = Client::new(Arc::clone(membership), owner);
    for any in &matching.any {
        let called = catch_unwind(AssertUnwindSafe(|| any(&client, name, arguments)));
        match called {
            Ok(Ok(future)) => start(running, &membership.name, future, cx),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => tracing::error!(event = %shown(name), "a catch-all listener panicked"),
        }
    }
    let mut came = came;
    for handler in &matching.events {
        let called = catch_unwind(AssertUnwindSafe(|| handler(&client, arguments, came)));
        match called {
            Ok(Ok(future)) => start(running, &membership.name, future, cx),
            Ok(Err(ArgumentsError::Mismatch { path, message })) => {
                dispatch::answer_mismatch(&client, name, came, path, &message);
            }
            Ok(Err(error @ ArgumentsError::Syntax(_))) => return Err(error.to_string()),
            Err(_) => tracing::error!(event = %shown(name), "a handler panicked"),
        }
        came.id = None;
    }
    Ok(())
}

fn start(
    running: &mut Running<Arc<str>>,
    namespace: &Arc<str>,
    future: BoxFuture<()>,
    cx: &mut Context<'_>,
) {
    if let Some((namespace, result)) = running.start(Arc::clone(namespace), future, cx) {
        note_end(&namespace, result);
    }
}

fn note_end(namespace: &str, result: Result<(), String>) {
    if let Err(panic) = result {
        tracing::error!(namespace = %shown(namespace), panic = %shown(&panic), "a handler panicked");
    }
}

/// Reads a refusal: a message and perhaps data, and from servers of Socket.IO 2 one of them alone.
fn refusal(payload: Payload<'_>) -> ConnectError {
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
