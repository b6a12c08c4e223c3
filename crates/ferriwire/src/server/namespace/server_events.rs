//! Listening to the other servers of a cluster.

use std::future::Future;

use ferriwire_proto::codec::{ArgumentsError, from_args, to_args};
use ferriwire_proto::value::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Declared, Namespace};
use crate::engine::running::BoxFuture;
use crate::event::{ErrorAnswer, Listens};

/// A listener without the types of its payload and answer.
pub(crate) type ServerListener =
    Box<dyn Fn(&Args) -> Result<BoxFuture<Args>, ArgumentsError> + Send + Sync>;

/// What belongs to the library, beside what clients may not name either.
const RESERVED: [&str; 3] = ["connect", "connection", "new_namespace"];

/// Whether servers may not say this to each other.
pub(crate) fn is_reserved_between_servers(event: &str) -> bool {
    RESERVED.contains(&event)
}

impl<D: Send + Sync + 'static, S> Namespace<D, S> {
    /// Handles an event that another server of the cluster has sent with
    /// [`NamespaceHandle::server_side_emit`](crate::NamespaceHandle::server_side_emit) to this
    /// namespace. What the handler returns is the answer, if one is wanted. Several handlers of one
    /// event all run, and the first one answers.
    ///
    /// Handlers start in the order in which one server has sent its events, and interleave only at
    /// `.await`. They share one task with everything that other servers ask for: do not block it.
    ///
    /// Mirrors the reference's `namespace.on` for `serverSideEmit`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{Event, Namespace};
    ///
    /// const LOAD: Event<(), u64> = Event::new("load");
    ///
    /// let chat = Namespace::new("/chat").on_server_event(LOAD, async |()| 42);
    /// ```
    #[must_use]
    #[doc(alias = "serverSideEmit")]
    pub fn on_server_event<E, T, F, Fut>(mut self, event: E, handler: F) -> Namespace<D, Declared>
    where
        E: Listens<T, Fut::Output> + 'static,
        T: DeserializeOwned + Send + 'static,
        F: FnOnce(T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        E::Answer: Send,
    {
        let name = event.name();
        if is_reserved_between_servers(name) {
            self.declaration.reserved.get_or_insert(name);
        }
        let listener: ServerListener = Box::new(move |args| {
            let payload: T = from_args(args)?;
            let handler = handler.clone();
            Ok(Box::pin(async move {
                match E::reply(handler(payload).await) {
                    Ok(answer) => written(name, &answer),
                    Err(error) => {
                        if let Some(error) = error.internal() {
                            tracing::error!(event = name, %error, "a handler of a server's event failed");
                        }
                        written(name, &error.to_answer())
                    }
                }
            }))
        });
        let listeners = self.declaration.server_events.entry(name).or_default();
        listeners.push(listener);
        self.declared()
    }
}

/// An answer without its type.
pub(crate) fn written<A: Serialize>(event: &str, answer: &A) -> Args {
    to_args(answer).unwrap_or_else(|error| {
        tracing::error!(event, %error, "an answer cannot be written");
        to_args(&ErrorAnswer::new("internal error")).unwrap_or_default()
    })
}
