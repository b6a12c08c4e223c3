//! What runs for a client's sockets: decisions about joining and about events, and handlers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use ferriwire_proto::connection::Key;

use super::events::HeldEvent;
use crate::engine::running::BoxFuture;
use crate::event::HandlerError;
use crate::server::joining::Decision;
use crate::server::membership::Membership;
use crate::server::namespace::Screening;

/// What a running future is for.
pub(super) enum Job {
    Authorize(Key, Arc<str>),
    Connect(Key, Arc<Membership>),
    /// Middleware decides on an event.
    Screen(Key, Arc<Membership>, Box<HeldEvent>),
    /// With when it began, if that is measured.
    Event(Key, Arc<Membership>, Option<Instant>),
    Disconnect,
}

/// A running future itself: `auth` and middleware, which come to a decision, or a handler.
pub(super) enum Work {
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
pub(super) enum Outcome {
    Decided(Decision),
    Screened(Result<(), HandlerError>),
    Handled,
}
