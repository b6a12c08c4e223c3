//! Events of a client: those that wait, and their way through listeners and middleware to handlers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Context;

use ferriwire_proto::codec::{Arguments, OwnedArguments, Violation};
use ferriwire_proto::connection::Key;
use ferriwire_proto::packet::AckId;

use super::Sockets;
use super::slots::Slot;
use super::work::{Job, Work};
use crate::engine::LimitKind;
use crate::event::HandlerError;
use crate::hints::Mistake;
use crate::server::membership::Membership;
use crate::server::namespace::{Handled, Joined, Screening};
use crate::server::starter::{Arrival, Left, Starter};
use crate::shown::shown;

/// How many bytes of events, with what it takes to keep them, may wait for `on_connect`, or for other handlers, before the
/// connection is not read from any more. Acknowledgements are still taken up to then.
pub(super) const MAX_HELD: u32 = 64 * 1024;

pub(super) struct HeldEvent {
    name: String,
    ack: Option<AckId>,
    arguments: OwnedArguments,
    /// What all this takes.
    pub(super) bytes: u32,
}

impl HeldEvent {
    #[inline(never)]
    fn new(event: &Arrival<'_>) -> Self {
        let bytes = [size_of::<Self>(), event.name.len(), event.arguments.size()];
        let bytes = bytes.into_iter().fold(0, usize::saturating_add);
        Self {
            name: event.name.to_owned(),
            ack: event.ack,
            arguments: event.arguments.to_owned(),
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        }
    }

    fn arrival<'a>(&'a self, arguments: &'a Arguments<'a>) -> Arrival<'a> {
        Arrival {
            name: &self.name,
            ack: self.ack,
            arguments,
        }
    }
}

impl Sockets {
    pub(crate) fn handle_event(&mut self, key: Key, event: &Arrival<'_>, cx: &mut Context<'_>) {
        self.session.shard().traffic().event_in();
        let Some(Slot::Joined(occupant)) = self.slots.get(key.index()) else {
            return;
        };
        if occupant.waiting || occupant.held().next().is_some() || self.is_full() {
            return self.hold(key, event);
        }
        self.dispatch(key, event, cx);
    }

    /// Keeps an event until its handlers may start.
    #[inline(never)]
    fn hold(&mut self, key: Key, event: &Arrival<'_>) {
        let full = self.is_full();
        let Slot::Joined(occupant) = self.slot(key) else {
            return;
        };
        // Who has left is not heard any more.
        if !occupant.socket.membership().is_connected() {
            return;
        }
        let event = HeldEvent::new(event);
        let bytes = event.bytes;
        occupant.held.get_or_insert_default().push_back(event);
        if full && self.held_bytes == 0 {
            self.session.slowed(LimitKind::RunningHandlers);
        }
        self.held_bytes = self.held_bytes.saturating_add(bytes);
    }

    /// Shows an event to those who see all of them, and has its handlers started at once, or as soon
    /// as middleware has let it pass.
    pub(super) fn dispatch(&mut self, key: Key, event: &Arrival<'_>, cx: &mut Context<'_>) {
        self.run_handlers(key, event, cx, |socket, starter| {
            socket.handle(event, starter)
        });
    }

    /// Lets middleware decide on an event.
    #[inline(never)]
    fn screen(
        &mut self,
        key: Key,
        screening: Screening,
        event: &Arrival<'_>,
        cx: &mut Context<'_>,
    ) {
        let Slot::Joined(occupant) = self.slot(key) else {
            return;
        };
        occupant.waiting = true;
        let membership = Arc::clone(occupant.socket.membership());
        let job = Job::Screen(key, membership, Box::new(HeldEvent::new(event)));
        self.start(job, Work::Screen(screening), cx);
    }

    /// Middleware has decided on an event.
    pub(super) fn screened(
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
                let event = event.arrival(&arguments);
                self.run_handlers(key, &event, cx, |socket, starter| {
                    socket.dispatch(&event, starter)
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

    /// Has `begin` start handlers. One that does not wait has ended when this returns, and nothing was noted of it.
    fn run_handlers(
        &mut self,
        key: Key,
        event: &Arrival<'_>,
        cx: &mut Context<'_>,
        begin: impl FnOnce(&dyn Joined, &mut Starter<'_, '_>) -> Result<Handled, Violation>,
    ) {
        let Some(Slot::Joined(occupant)) = self.slots.get(key.index()) else {
            return;
        };
        let mut starter = Starter::new(cx, self.session.shard().metrics());
        starter.run(|starter| begin(&*occupant.socket, starter));
        if let Some(left) = starter.left {
            self.conclude(key, event, *left, cx);
        }
    }

    /// Does what is left to do when handlers were started.
    #[inline(never)]
    fn conclude(&mut self, key: Key, event: &Arrival<'_>, left: Left, cx: &mut Context<'_>) {
        if let Some(Slot::Joined(occupant)) = self.slots.get(key.index()) {
            let membership = occupant.socket.membership();
            for (handler, started) in left.waiting {
                let job = Job::Event(key, Arc::clone(membership), started);
                self.running.keep(job, Work::Handle(handler));
            }
        }
        if left.is_unheard {
            self.unheard(key, event, cx);
        }
        if let Some(violation) = left.violation {
            self.violate(&violation.into(), cx);
        }
        if let Some(panic) = left.panicked {
            self.handler_panicked(key, &panic, cx);
        } else if let Some(screening) = left.screening {
            self.screen(key, screening, event, cx);
        }
    }

    /// A handler has panicked that was just started.
    #[cold]
    fn handler_panicked(&mut self, key: Key, panic: &str, cx: &mut Context<'_>) {
        if let Some(Slot::Joined(occupant)) = self.slots.get(key.index()) {
            let membership = Arc::clone(occupant.socket.membership());
            self.panicked(key, &membership, panic, cx);
        }
    }

    /// Nobody listens to an event, which must be correct all the same.
    #[cold]
    fn unheard(&mut self, key: Key, event: &Arrival<'_>, cx: &mut Context<'_>) {
        let Some(Slot::Joined(occupant)) = self.slots.get(key.index()) else {
            return;
        };
        let membership = occupant.socket.membership();
        let namespace = membership.hub().name();
        let name = event.name;
        tracing::debug!(socket = %membership.shown_id(), event = %shown(name), namespace = %shown(namespace), "no handler");
        if self.config().hints.is_some()
            && let Some(declared) = occupant.socket.declared_events()
        {
            let mistake = Mistake::NoHandler {
                namespace,
                event: name,
            };
            self.config().hint(mistake, || declared);
        }
        if let Err(violation) = event.arguments.validate() {
            self.violate(&violation.into(), cx);
        }
    }

    /// Starts what waited, as far as handlers may run.
    #[inline(never)]
    pub(super) fn dispatch_held(&mut self, cx: &mut Context<'_>) {
        for index in 0..self.slots.len() {
            while !self.is_full() {
                let Some(Slot::Joined(occupant)) = self.slots.get_mut(index) else {
                    break;
                };
                // Who has left is not heard any more.
                if occupant.waiting || !occupant.socket.membership().is_connected() {
                    break;
                }
                let waiting = occupant.held.as_deref_mut();
                let Some(held) = waiting.and_then(VecDeque::pop_front) else {
                    occupant.held = None;
                    break;
                };
                let key = occupant.key;
                self.held_bytes = self.held_bytes.saturating_sub(held.bytes);
                let arguments = held.arguments.as_arguments();
                self.dispatch(key, &held.arrival(&arguments), cx);
            }
        }
    }
}
