//! The namespaces of a client: packets to handlers, and who is told what.

mod failing;
mod handlers;
mod leaving;

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::task::Context;
use std::time::Instant;

use ferriwire_proto::connection::Key;
use ferriwire_proto::connection::client::{Client as Namespaces, Incoming, Violation};
use ferriwire_proto::engine::Message;

use self::failing::refusal;
use self::handlers::{Held, dispatch};
pub(super) use self::leaving::tell_lost;
use super::super::dispatch::Came;
use super::super::error::ConnectFailure;
use super::super::handle::Owner;
use super::super::reason::DisconnectReason;
use super::super::shared::{Joining, Membership, Shared};
use super::super::stream::Kept;
use crate::engine::running::Running;

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
        if *membership.key.get_or_init(|| key) != key {
            return;
        }
        self.first.get_or_insert_with(|| Arc::clone(&membership));
        if let Some(before) = self.membership(key) {
            let mut outgoing = self.shared.outgoing.lock();
            before.status.lock().is_replaced = true;
            outgoing.replace(key, membership.lane);
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
                let lost = self.end_lane(key, now);
                self.set_left(key);
                self.fail(key, &failure, cx);
                tell_lost(lost);
            }
            Step::Left(key) => {
                let lost = self.end_lane(key, now);
                self.left(key, DisconnectReason::Server, cx);
                tell_lost(lost);
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

    /// Tells whoever waits for a namespace.
    pub(super) fn resolve(&mut self, key: Key, result: Result<(), ConnectFailure>) {
        let member = self.members.get_mut(key.index()).and_then(Option::as_mut);
        if let Some((joining, _)) = member.and_then(|member| member.joining.take()) {
            // Nobody may wait any more.
            drop(joining.send(result));
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
}
