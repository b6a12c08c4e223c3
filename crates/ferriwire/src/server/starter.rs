//! Starting the handlers of one event: each is polled at once, and what waits is kept by the connection task.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use ferriwire_proto::codec::{Arguments, Violation};
use ferriwire_proto::packet::AckId;

use super::membership::Membership;
use super::namespace::{Handled, Screening};
use crate::engine::metrics::Metrics;
use crate::engine::running::{BoxFuture, panic_message};

/// An event as it came from the client.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) name: &'a str,
    /// Present when the client waits for an answer.
    pub(crate) ack: Option<AckId>,
    pub(crate) arguments: &'a Arguments<'a>,
}

/// Starts handlers, and gathers what is left to do.
pub(crate) struct Starter<'a, 'b> {
    cx: &'a mut Context<'b>,
    /// If it is measured how long handlers take.
    metrics: Option<&'a Metrics>,
    /// Nothing, when all handlers have ended well.
    pub(crate) left: Option<Box<Left>>,
}

/// What is left to do when the handlers of an event were started.
#[derive(Default)]
pub(crate) struct Left {
    /// Those that wait, with when they began.
    pub(crate) waiting: Vec<(BoxFuture<()>, Option<Instant>)>,
    /// What the first one that panicked said.
    pub(crate) panicked: Option<String>,
    /// Nobody listens to the event.
    pub(crate) is_unheard: bool,
    /// This decides on the event before its handlers may be started.
    pub(crate) screening: Option<Screening>,
    /// The arguments break the protocol.
    pub(crate) violation: Option<Violation>,
}

impl<'a, 'b> Starter<'a, 'b> {
    pub(crate) fn new(cx: &'a mut Context<'b>, metrics: Option<&'a Metrics>) -> Self {
        Self {
            cx,
            metrics,
            left: None,
        }
    }

    /// Runs what starts handlers, and notes what came of it. The program's own decoding runs in there, and a
    /// panic of that is one of its handler.
    pub(crate) fn run(&mut self, begin: impl FnOnce(&mut Self) -> Result<Handled, Violation>) {
        let begun = catch_unwind(AssertUnwindSafe(|| match begin(self) {
            Ok(Handled::Begun) => {}
            Ok(Handled::Unheard) => self.left().is_unheard = true,
            Ok(Handled::Screened(screening)) => self.left().screening = Some(screening),
            Err(violation) => self.left().violation = Some(violation),
        }));
        if let Err(panic) = begun {
            self.note_panic(&*panic);
        }
    }

    /// Runs a handler up to where it waits, and `finish` with what it returns. For one that does not wait
    /// nothing is kept: neither a place among those that run, nor its socket.
    pub(crate) fn start<F: Future + Send + 'static>(
        &mut self,
        membership: &Arc<Membership>,
        begin: impl FnOnce() -> F,
        finish: impl Fn(&Membership, F::Output) + Send + 'static,
    ) {
        let started = self.metrics.map(|_| Instant::now());
        // Dropped behind what catches a panic, so that a second one does not end the process.
        let mut future = None;
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let future = future.insert(Box::pin(begin()));
            let returned = future.as_mut().poll(self.cx);
            returned.map(|returned| finish(membership, returned))
        }));
        match (polled, future) {
            (Ok(Poll::Ready(())), _) => {
                if let Some((metrics, started)) = self.metrics.zip(started) {
                    metrics.handler_time.record(started.elapsed());
                }
            }
            (Ok(Poll::Pending), Some(future)) => self.keep(membership, future, finish, started),
            (Ok(Poll::Pending), None) => {}
            (Err(panic), _) => self.note_panic(&*panic),
        }
    }

    #[inline(never)]
    fn keep<F: Future + Send + 'static>(
        &mut self,
        membership: &Arc<Membership>,
        future: Pin<Box<F>>,
        finish: impl Fn(&Membership, F::Output) + Send + 'static,
        started: Option<Instant>,
    ) {
        let membership = Arc::clone(membership);
        let rest = Box::pin(async move {
            let returned = future.await;
            finish(&membership, returned);
        });
        self.left().waiting.push((rest, started));
    }

    #[cold]
    fn note_panic(&mut self, panic: &(dyn Any + Send)) {
        let panicked = &mut self.left().panicked;
        panicked.get_or_insert_with(|| panic_message(panic));
    }

    #[inline(never)]
    fn left(&mut self) -> &mut Left {
        self.left.get_or_insert_default()
    }
}
