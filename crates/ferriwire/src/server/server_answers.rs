//! What other servers answer.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use ferriwire_proto::codec::from_args;
use serde::de::DeserializeOwned;

use crate::cluster::NodeId;
use crate::cluster::node::Gathering;
use crate::cluster::requests::Reply;
use crate::error::AckError;

/// The answers of other servers, on their way. The event is sent whether this is awaited or not.
#[must_use = "the event is sent, but its answers are only seen by awaiting this"]
pub struct ServerAnswers<A> {
    asked: Vec<Gathering>,
    answer: PhantomData<fn() -> A>,
}

/// All that came of asking the other servers.
#[derive(Debug)]
#[non_exhaustive]
pub struct ServerResponses<A> {
    /// What they said, in the order in which they said it.
    pub values: Vec<A>,
    /// Who gave no usable answer, and why. A server that has left meanwhile is not missing.
    pub missing: Vec<MissingServer>,
}

/// A server that gave no usable answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct MissingServer {
    /// Which.
    pub node: NodeId,
    /// Why.
    pub error: AckError,
}

impl<A> ServerResponses<A> {
    /// Whether all servers answered; so it is when there are no others.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

impl<A> ServerAnswers<A> {
    pub(crate) fn new(asked: Vec<Gathering>) -> Self {
        Self {
            asked,
            answer: PhantomData,
        }
    }

    /// Waits so long, from when the event was sent. Default 5 s, as the reference always does.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        for gathering in &mut self.asked {
            gathering.set_timeout(timeout);
        }
        self
    }
}

impl<A: DeserializeOwned + 'static> ServerAnswers<A> {
    async fn all(self) -> ServerResponses<A> {
        let mut responses = ServerResponses {
            values: Vec::new(),
            missing: Vec::new(),
        };
        for gathering in self.asked {
            let timeout = gathering.timeout();
            let silent = gathering.all(|reply| responses.read(reply)).await;
            responses
                .missing
                .extend(silent.into_iter().map(|node| MissingServer {
                    node,
                    error: AckError::Timeout(timeout),
                }));
        }
        responses
    }
}

impl<A: DeserializeOwned + 'static> ServerResponses<A> {
    fn read(&mut self, reply: Reply) {
        let Reply::Answer(node, answer) = reply else {
            return;
        };
        let decoded = match answer {
            Some(args) => from_args(&args).map_err(|error| AckError::Mismatch(error.to_string())),
            None => Err(AckError::NoListener),
        };
        match decoded {
            Ok(value) => self.values.push(value),
            Err(error) => self.missing.push(MissingServer { node, error }),
        }
    }
}

impl<A: DeserializeOwned + Send + 'static> IntoFuture for ServerAnswers<A> {
    type Output = ServerResponses<A>;
    type IntoFuture = Pin<Box<dyn Future<Output = ServerResponses<A>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.all())
    }
}

impl<A> fmt::Debug for ServerAnswers<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ServerAnswers")
            .finish_non_exhaustive()
    }
}
