//! A program's own handlers on top of bare sessions.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use ferriwire_proto::engine::{self, CloseReason};

use super::core::Application;
use super::running::{BoxFuture, Ended, Running};
use super::session::Input;
use super::task::SessionHandler;
use super::{Message, Session};
use crate::shown::shown;

type Hook<A> = Arc<dyn Fn(Session, A) -> BoxFuture<()> + Send + Sync>;

/// What a program wants to hear of.
#[derive(Clone, Default)]
pub(super) struct Handlers {
    pub(super) connect: Option<Arc<dyn Fn(Session) -> BoxFuture<()> + Send + Sync>>,
    pub(super) message: Option<Hook<Message>>,
    pub(super) close: Option<Hook<CloseReason>>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Handlers").finish_non_exhaustive()
    }
}

impl Application for Arc<Handlers> {
    fn open(&self, session: &Session, _: Instant) -> Box<dyn SessionHandler> {
        Box::new(HandledSession {
            session: session.clone(),
            handlers: Self::clone(self),
            running: Running::new(),
            held: VecDeque::new(),
            connecting: false,
            grace_ends: None,
        })
    }
}

/// One session with a program's handlers.
struct HandledSession {
    session: Session,
    handlers: Arc<Handlers>,
    running: Running<Handler>,
    /// Messages that arrived while `on_connect` ran or too many handlers did.
    held: VecDeque<Message>,
    connecting: bool,
    grace_ends: Option<Instant>,
}

/// Which handler it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handler {
    Connect,
    Other,
}

impl HandledSession {
    fn start(&mut self, which: Handler, future: BoxFuture<()>, cx: &mut Context<'_>) {
        if let Some(ended) = self.running.start(which, future, cx) {
            self.finish(ended);
        }
    }

    fn finish(&mut self, (which, result): Ended<Handler>) {
        match result {
            Ok(()) if which == Handler::Connect => self.connecting = false,
            Ok(()) => {}
            Err(panic) => {
                tracing::error!(session = ?self.session.id(), panic = %shown(panic), "a handler panicked");
                self.session.tell(Input::Abort(CloseReason::ServerError));
            }
        }
    }

    fn deliver(&mut self, message: Message, cx: &mut Context<'_>) {
        if let Some(handler) = &self.handlers.message {
            let future = handler(self.session.clone(), message);
            self.start(Handler::Other, future, cx);
        }
    }

    fn is_full(&self) -> bool {
        self.connecting || self.running.len() >= self.session.config().limits.max_running_handlers
    }
}

impl SessionHandler for HandledSession {
    fn opened(&mut self, _: Instant, cx: &mut Context<'_>) {
        if let Some(handler) = &self.handlers.connect {
            self.connecting = true;
            let future = handler(self.session.clone());
            self.start(Handler::Connect, future, cx);
        }
    }

    fn handle_message(&mut self, message: engine::Message<'_>, _: Instant, cx: &mut Context<'_>) {
        let message = match message {
            engine::Message::Text(text) => Message::Text(text.into_owned()),
            engine::Message::Binary(data) => Message::Binary(data),
        };
        if self.is_full() || !self.held.is_empty() {
            self.held.push_back(message);
        } else {
            self.deliver(message, cx);
        }
    }

    fn poll(&mut self, now: Instant, cx: &mut Context<'_>) {
        while let Some(ended) = self.running.poll_next(cx) {
            self.finish(ended);
        }
        while !self.is_full() {
            let Some(message) = self.held.pop_front() else {
                break;
            };
            self.deliver(message, cx);
        }
        if self.grace_ends.is_some_and(|ends| now >= ends) {
            self.running.clear();
            self.grace_ends = None;
        }
    }

    fn wants_to_read(&self) -> bool {
        !self.is_full() && self.held.is_empty()
    }

    fn deadline(&self) -> Option<Instant> {
        self.grace_ends.filter(|_| !self.running.is_empty())
    }

    fn closed(&mut self, reason: CloseReason, now: Instant, cx: &mut Context<'_>) {
        self.held.clear();
        self.grace_ends = now.checked_add(self.session.config().limits.handler_grace);
        if let Some(handler) = &self.handlers.close {
            let future = handler(self.session.clone(), reason);
            self.start(Handler::Other, future, cx);
        }
    }

    fn is_finished(&self) -> bool {
        self.running.is_empty()
    }
}
