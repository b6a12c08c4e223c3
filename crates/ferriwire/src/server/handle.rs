//! Emitting from anywhere.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::broadcast::{Addressed, Broadcast, Target};
use crate::error::EmitError;
use crate::event::Accepts;

/// A namespace as seen from outside its handlers: cheap to clone, usable from any task.
///
/// # Examples
///
/// ```
/// use ferriwire::{EmitError, Namespace, Server};
///
/// # fn run() -> Result<(), EmitError> {
/// let server = Server::new().namespace(Namespace::new("/chat"));
/// let chat = server.handle("/chat");
/// chat.to("lobby").emit("said", "the server is about to start")?;
/// assert!(server.handle("/nowhere").emit("said", "nobody hears this").is_err());
/// # Ok(())
/// # }
/// # run().unwrap();
/// ```
#[derive(Clone)]
pub struct NamespaceHandle {
    namespace: Addressed,
    ack_timeout: Duration,
}

impl NamespaceHandle {
    pub(crate) fn new(namespace: Addressed, ack_timeout: Duration) -> Self {
        Self {
            namespace,
            ack_timeout,
        }
    }

    /// All sockets of the namespace.
    pub fn all(&self) -> Broadcast {
        Broadcast::new(self.namespace.clone(), self.ack_timeout)
    }

    /// The sockets in a room, or one socket by its id.
    #[doc(alias = "in")]
    pub fn to(&self, target: impl Into<Target>) -> Broadcast {
        self.all().to(target)
    }

    /// All sockets but those in a room, or one socket.
    pub fn except(&self, target: impl Into<Target>) -> Broadcast {
        self.all().except(target)
    }

    /// Sends an event to all sockets of the namespace.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::emit`].
    pub fn emit<E, P>(&self, event: E, payload: P) -> Result<(), EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        self.all().emit(event, payload)
    }

    /// How many sockets are in the namespace on this node; none if there is no such namespace.
    #[must_use]
    pub fn socket_count(&self) -> usize {
        self.namespace.hub().map_or(0, |hub| hub.len())
    }
}

impl fmt::Debug for NamespaceHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name: &Arc<str> = match &self.namespace {
            Addressed::Hub(hub) => hub.name(),
            Addressed::Missing(name) => name,
        };
        formatter
            .debug_tuple("NamespaceHandle")
            .field(name)
            .finish()
    }
}
