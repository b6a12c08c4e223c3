//! From a packet's arguments to a user's closure and back to an acknowledgement.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use ferriwire_proto::codec::args::{Arguments, ArgumentsError};
use ferriwire_proto::packet::AckId;
use ferriwire_proto::value::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::membership::Membership;
use super::socket::Socket;
use super::starter::{Arrival, Starter};
use crate::error::EmitError;
use crate::event::{ErrorAnswer, HandlerError, Listens, Payload};
use crate::hints::Mistake;
use crate::shown::shown;

/// A handler of one event, without the types of its payload and answer.
pub(crate) type EventHandler<D> = Box<
    dyn Fn(
            &Socket<D>,
            &Arguments<'_>,
            Option<AckId>,
            &mut Starter<'_, '_>,
        ) -> Result<(), ArgumentsError>
        + Send
        + Sync,
>;

/// A handler of all events.
pub(crate) type AnyHandler<D> = Box<
    dyn Fn(&Socket<D>, &Arrival<'_>, &mut Starter<'_, '_>) -> Result<(), ArgumentsError>
        + Send
        + Sync,
>;

/// Makes a handler whose return value is the acknowledgement.
pub(crate) fn answering<D, E, T, F, Fut>(event: E, handler: F) -> EventHandler<D>
where
    D: Send + Sync + 'static,
    E: Listens<T, Fut::Output>,
    T: DeserializeOwned + Send + 'static,
    F: FnOnce(Socket<D>, T) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future + Send + 'static,
    E::Answer: Send,
{
    let name = event.name();
    Box::new(move |socket, arguments, ack, starter| {
        let payload: T = arguments.decode()?;
        let begin = || handler.clone()(socket.clone(), payload);
        starter.start(
            socket.membership(),
            begin,
            move |membership, returned| match E::reply(returned) {
                Ok(answer) => answer_with(membership, name, ack, &answer),
                Err(error) => answer_failure(membership, name, ack, &error),
            },
        );
        Ok(())
    })
}

/// Makes a handler that answers when, and if, it likes.
pub(crate) fn with_ack<D, T, A, F, Fut>(event: &'static str, handler: F) -> EventHandler<D>
where
    D: Send + Sync + 'static,
    T: DeserializeOwned + Send + 'static,
    A: 'static,
    F: FnOnce(Socket<D>, T, Ack<A>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Box::new(move |socket, arguments, ack, starter| {
        let payload: T = arguments.decode()?;
        let ack = Ack {
            membership: Arc::clone(socket.membership()),
            event,
            id: ack,
            answer: PhantomData,
        };
        let begin = || handler.clone()(socket.clone(), payload, ack);
        starter.start(socket.membership(), begin, |_, ()| ());
        Ok(())
    })
}

/// Makes a handler of all events.
pub(crate) fn any<D, F, Fut>(handler: F) -> AnyHandler<D>
where
    D: Send + Sync + 'static,
    F: FnOnce(Socket<D>, String, Args) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Box::new(move |socket, event, starter| {
        let payload: Args = event.arguments.decode()?;
        let begin = || handler.clone()(socket.clone(), event.name.to_owned(), payload);
        starter.start(socket.membership(), begin, |_, ()| ());
        Ok(())
    })
}

fn answer_with<A: Serialize>(membership: &Membership, name: &str, ack: Option<AckId>, answer: &A) {
    if let Some(id) = ack
        && let Err(error) = membership.answer(id, answer)
    {
        answer_unwritten(membership, name, id, &error);
    }
}

#[cold]
fn answer_unwritten(membership: &Membership, name: &str, id: AckId, error: &EmitError) {
    // A client that has gone does not wait for its answer.
    if !matches!(error, EmitError::Disconnected | EmitError::Full) {
        tracing::error!(event = %shown(name), %error, "an acknowledgement cannot be written");
        answer_error(membership, id, &ErrorAnswer::new("internal error"));
    }
}

/// A handler, or middleware, has failed.
#[cold]
pub(crate) fn answer_failure(
    membership: &Membership,
    name: &str,
    ack: Option<AckId>,
    error: &HandlerError,
) {
    let answer = error.to_answer();
    if let Some(error) = error.internal() {
        let socket = membership.shown_id();
        tracing::error!(event = %shown(name), %socket, error = %shown(error), "a handler failed");
    }
    if let Some(id) = ack {
        answer_error(membership, id, &answer);
    }
}

/// The payload is correct, but not what the handler takes.
#[cold]
pub(crate) fn answer_mismatch(
    membership: &Membership,
    name: &str,
    ack: Option<AckId>,
    path: String,
    message: &str,
) {
    membership.hub().counters().payload_did_not_fit();
    let expected = expectation(message);
    tracing::debug!(
        socket = %membership.shown_id(),
        event = %shown(name),
        path = %shown(&path),
        expected = %shown(expected),
        "payload does not fit the handler"
    );
    let mistake = Mistake::Mismatch {
        namespace: membership.hub().name(),
        event: name,
        path: &path,
        expected,
    };
    membership.config().hint(mistake, Vec::<&str>::new);
    if let Some(id) = ack {
        answer_error(membership, id, &ErrorAnswer::mismatch(path));
    }
}

/// What serde's message says about the program's type. The rest quotes what the client sent.
fn expectation(message: &str) -> &str {
    // Shortened: the words of the client may have been longer than what is kept.
    let is_whole = !message.ends_with("..");
    match message.rsplit_once(", expected ") {
        Some((_, _)) if !is_whole => "another type is expected",
        Some((before, _)) => message.get(before.len() + 2..).unwrap_or_default(),
        None if message.starts_with("missing field `") => message,
        None => "another type is expected",
    }
}

fn answer_error(membership: &Membership, id: AckId, answer: &ErrorAnswer) {
    match membership.answer(id, answer) {
        Ok(()) | Err(EmitError::Disconnected | EmitError::Full) => {}
        Err(error) => tracing::error!(%error, "an error acknowledgement cannot be written"),
    }
}

/// The answer that a client waits for, to be given early, later, or not at all.
#[derive(Debug)]
pub struct Ack<A = ()> {
    membership: Arc<Membership>,
    event: &'static str,
    id: Option<AckId>,
    answer: PhantomData<fn(A)>,
}

impl<A> Ack<A> {
    /// Whether the client asked for an answer at all.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.id.is_some()
    }

    /// Answers. Nothing happens when the client did not ask.
    ///
    /// # Errors
    ///
    /// The client has gone, or the answer cannot be written.
    pub fn send<P: Payload<A>>(mut self, answer: P) -> Result<(), EmitError> {
        let Some(id) = self.id.take() else {
            return Ok(());
        };
        self.membership.answer(id, &answer)
    }
}

impl<A> Drop for Ack<A> {
    /// The client waits for the answer, and will not get one.
    fn drop(&mut self) {
        if self.id.is_none() || !self.membership.is_connected() {
            return;
        }
        let socket = self.membership.shown_id();
        tracing::debug!(%socket, event = %shown(self.event), "an acknowledgement is never given");
        let mistake = Mistake::Unanswered {
            namespace: self.membership.hub().name(),
            event: self.event,
        };
        self.membership.config().hint(mistake, Vec::<&str>::new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_mismatch_only_what_is_expected_is_kept() {
        for (message, expected) in [
            (
                "invalid type: string \"pin 1234\", expected u64",
                "expected u64",
            ),
            (
                "invalid value: string \"x, expected y\", expected a name",
                "expected a name",
            ),
            (
                "unknown field `pin`, expected `a` or `b`",
                "expected `a` or `b`",
            ),
            ("missing field `name`", "missing field `name`"),
            ("missing argument, expected a string", "expected a string"),
            (
                "invalid type: string \"x, expected secr..",
                "another type is expected",
            ),
            ("bad pin 1234", "another type is expected"),
        ] {
            assert_eq!(expectation(message), expected, "{message}");
        }
    }
}
