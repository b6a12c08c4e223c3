//! Events of a client: those that wait, and their way through listeners and middleware to handlers.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use ferriwire_proto::codec::{Arguments, OwnedArguments, Violation};
use ferriwire_proto::connection::Key;
use ferriwire_proto::packet::AckId;

use super::Sockets;
use super::slots::Slot;
use super::work::{Job, Work};
use crate::engine::LimitKind;
use crate::engine::running::{BoxFuture, panic_message, poll_guarded};
use crate::event::HandlerError;
use crate::hints::Mistake;
use crate::server::membership::Membership;
use crate::server::namespace::{Joined, Screening};
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
    fn new(name: &str, ack: Option<AckId>, arguments: Arguments<'_>) -> Self {
        let bytes = [size_of::<Self>(), name.len(), arguments.size()];
        let bytes = bytes.into_iter().fold(0, usize::saturating_add);
        Self {
            name: name.to_owned(),
            ack,
            arguments: arguments.to_owned(),
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        }
    }
}

impl Sockets {
    pub(crate) fn handle_event(
        &mut self,
        key: Key,
        name: &str,
        ack: Option<AckId>,
        arguments: Arguments<'_>,
        cx: &mut Context<'_>,
    ) {
        self.session.shard().traffic().event_in();
        let full = self.running.len() >= self.config().limits.max_running_handlers;
        let Slot::Joined(occupant) = self.slot(key) else {
            return;
        };
        if !occupant.socket.membership().is_connected() {
            return;
        }
        if full || occupant.waiting || occupant.held().next().is_some() {
            let held = HeldEvent::new(name, ack, arguments);
            return self.hold(key, held, full);
        }
        self.dispatch(key, name, ack, arguments, cx);
    }

    /// Keeps an event until its handlers may start.
    #[inline(never)]
    fn hold(&mut self, key: Key, event: HeldEvent, full: bool) {
        let Slot::Joined(occupant) = self.slot(key) else {
            return;
        };
        let bytes = event.bytes;
        occupant.held.get_or_insert_default().push_back(event);
        if full && self.held_bytes == 0 {
            self.session.slowed(LimitKind::RunningHandlers);
        }
        self.held_bytes = self.held_bytes.saturating_add(bytes);
    }

    /// Shows an event to those who see all of them, and has its handlers started at once, or as soon
    /// as middleware has let it pass.
    pub(super) fn dispatch(
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
        if let Some(screening) = screening {
            self.screen(key, screening, HeldEvent::new(name, ack, arguments), cx);
        }
    }

    /// Lets middleware decide on an event.
    #[inline(never)]
    fn screen(&mut self, key: Key, screening: Screening, event: HeldEvent, cx: &mut Context<'_>) {
        let Slot::Joined(occupant) = self.slot(key) else {
            return;
        };
        occupant.waiting = true;
        let membership = Arc::clone(occupant.socket.membership());
        let job = Job::Screen(key, membership, Box::new(event));
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
    ///
    /// A handler that does not wait has ended when this returns, and nothing was noted of it.
    pub(super) fn run_handlers(
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
        let membership = occupant.socket.membership();
        let metrics = self.session.shard().metrics();
        let running = &mut self.running;
        let mut panicked = None;
        let mut start = |handler| {
            let started = metrics.map(|_| Instant::now());
            let mut work = Work::Handle(handler);
            match poll_guarded(&mut work, cx) {
                Poll::Ready(Ok(_)) => {
                    if let Some((metrics, started)) = metrics.zip(started) {
                        metrics.handler_time.record(started.elapsed());
                    }
                }
                Poll::Ready(Err(panic)) => panicked = panicked.take().or(Some(panic)),
                Poll::Pending => {
                    running.keep(Job::Event(key, Arc::clone(membership), started), work);
                }
            }
        };
        // The program's own decoding runs in there, and a panic of that is one of its handler.
        let result = catch_unwind(AssertUnwindSafe(|| begin(&*occupant.socket, &mut start)));
        if panicked.is_none() && matches!(result, Ok(Ok(true))) {
            return;
        }
        self.conclude(key, name, arguments, result, panicked, cx);
    }

    /// An event was not simply handled: nobody listens to it, it is wrong, or a handler has panicked.
    #[cold]
    fn conclude(
        &mut self,
        key: Key,
        name: &str,
        arguments: Arguments<'_>,
        result: std::thread::Result<Result<bool, Violation>>,
        panicked: Option<String>,
        cx: &mut Context<'_>,
    ) {
        let Some(Slot::Joined(occupant)) = self.slots.get(key.index()) else {
            return;
        };
        // Looked up before a handler that has panicked takes the socket out.
        let declared = match (&result, &self.config().hints) {
            (Ok(Ok(false)), Some(_)) => occupant.socket.declared_events(),
            _ => None,
        };
        let membership = Arc::clone(occupant.socket.membership());
        if let Some(panic) = panicked {
            self.panicked(key, &membership, &panic, cx);
        }
        match result {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => self.unheard(&membership, name, arguments, declared, cx),
            Ok(Err(violation)) => self.violate(&violation.into(), cx),
            Err(panic) => self.panicked(key, &membership, &panic_message(&*panic), cx),
        }
    }

    /// Nobody listens to an event, which must be correct all the same.
    #[cold]
    fn unheard(
        &mut self,
        membership: &Membership,
        event: &str,
        arguments: Arguments<'_>,
        declared: Option<Vec<&'static str>>,
        cx: &mut Context<'_>,
    ) {
        let namespace = membership.hub().name();
        tracing::debug!(socket = %membership.shown_id(), event = %shown(event), namespace = %shown(namespace), "no handler");
        if let Some(declared) = declared {
            let mistake = Mistake::NoHandler { namespace, event };
            self.config().hint(mistake, || declared);
        }
        if let Err(violation) = arguments.validate() {
            self.violate(&violation.into(), cx);
        }
    }

    /// Starts what waited, as far as handlers may run.
    #[inline(never)]
    pub(super) fn dispatch_held(&mut self, cx: &mut Context<'_>) {
        for index in 0..self.slots.len() {
            while self.running.len() < self.config().limits.max_running_handlers {
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
                self.dispatch(key, &held.name, held.ack, arguments, cx);
            }
        }
    }
}
