//! What a server answers to an event.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ferriwire_proto::codec::{Arguments, ArgumentsError};
use ferriwire_proto::connection::Key;
use ferriwire_proto::packet::AckId;
use ferriwire_proto::value::{Args, Value};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::shared::Membership;
use crate::error::AckError;

/// The answer of the server to an event, which was sent when this was made: await it. If it is dropped
/// before, nobody waits for the answer any more, and an event that has not left is not sent, unless it is to be
/// [sent until it is acknowledged](super::ClientBuilder::retries).
#[must_use = "the answer comes to whoever awaits it"]
pub struct Acknowledgement<A> {
    state: State<A>,
    timeout: Duration,
}

enum State<A> {
    Failed(Option<AckError>),
    Waiting {
        answer: oneshot::Receiver<Result<A, AckError>>,
        /// Forgotten when it is dropped.
        _asked: Option<Asked>,
    },
}

/// An acknowledgement that is expected, until this is dropped.
pub(crate) struct Asked {
    membership: Arc<Membership>,
    key: Key,
    id: AckId,
}

impl Asked {
    pub(crate) fn new(membership: Arc<Membership>, key: Key, id: AckId) -> Self {
        Self {
            membership,
            key,
            id,
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // What is dropped with it runs outside of the lock.
        let forgotten = self
            .membership
            .shared
            .outgoing
            .lock()
            .forget(self.key, self.id);
        drop(forgotten);
    }
}

impl<A> Acknowledgement<A> {
    pub(crate) fn waiting(
        answer: oneshot::Receiver<Result<A, AckError>>,
        asked: Option<Asked>,
        timeout: Option<Duration>,
    ) -> Self {
        Self {
            state: State::Waiting {
                answer,
                _asked: asked,
            },
            timeout: timeout.unwrap_or_default(),
        }
    }

    pub(crate) fn failed(error: AckError) -> Self {
        Self {
            state: State::Failed(Some(error)),
            timeout: Duration::ZERO,
        }
    }
}

impl<A> Future for Acknowledgement<A> {
    type Output = Result<A, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let timeout = self.timeout;
        let result = match &mut self.state {
            State::Failed(error) => Err(error.take().unwrap_or(AckError::Disconnected)),
            State::Waiting { answer, .. } => match Pin::new(answer).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(result)) => result,
                // Nobody will answer: the task has ended.
                Poll::Ready(Err(_)) => Err(AckError::Disconnected),
            },
        };
        Poll::Ready(result.map_err(|error| {
            if matches!(error, AckError::Timeout(_)) {
                return AckError::Timeout(timeout);
            }
            error
        }))
    }
}

impl<A> fmt::Debug for Acknowledgement<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Acknowledgement")
            .finish_non_exhaustive()
    }
}

/// Reads an answer: a value, or what a handler of ours says when it fails.
pub(crate) fn decode<A: DeserializeOwned + 'static>(
    arguments: &Arguments<'_>,
) -> Result<A, AckError> {
    // The program's own types may panic, which is not to end the client.
    let decoded = catch_unwind(AssertUnwindSafe(|| read(arguments)));
    decoded.unwrap_or_else(|_| Err(AckError::Mismatch("reading it panicked".to_owned())))
}

fn read<A: DeserializeOwned + 'static>(arguments: &Arguments<'_>) -> Result<A, AckError> {
    if let Some(refusal) = refusal(arguments) {
        return Err(refusal);
    }
    arguments.decode().map_err(|error| match error {
        ArgumentsError::Syntax(violation) => AckError::Mismatch(violation.to_string()),
        ArgumentsError::Mismatch { path, message } => {
            AckError::Mismatch(format!("{message} at {path:?}"))
        }
    })
}

/// Exactly `{"error":{"message":..}}`, with `data` and `path` if there are any.
fn refusal(arguments: &Arguments<'_>) -> Option<AckError> {
    // Hardly any other answer begins so, and needs to be read twice.
    if !arguments.begins_with_member("error") {
        return None;
    }
    let Args(values) = arguments.decode().ok()?;
    let [Value::Object(outer)] = values.as_slice() else {
        return None;
    };
    let error = outer.get("error").filter(|_| outer.len() == 1)?;
    let members = error.as_object()?;
    let is_known = |name: &str| matches!(name, "message" | "data" | "path");
    if !members.iter().all(|(name, _)| is_known(name)) {
        return None;
    }
    Some(AckError::Refused {
        message: error.get("message")?.as_str()?.to_owned(),
        data: error.get("data").cloned(),
    })
}
