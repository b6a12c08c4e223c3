//! What carries messages between servers.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::id::NodeId;
use super::message::Message;

/// A future of a backend.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way for servers to hear each other. It sees messages, never sockets.
///
/// One task per server uses it: it joins, sends one message after the other, and receives at the same
/// time. When joining fails or the link ends, the task joins again, a little later each time; clients
/// of the same server do not notice. Whatever takes longer than five seconds, but for
/// [`Link::receive`], is given up.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Joins the others under this id.
    fn join<'a>(&'a self, node: &'a NodeId) -> Pending<'a, Result<Joined, Unavailable>>;
}

/// What [`Backend::join`] gives.
pub struct Joined {
    /// The way to the others.
    pub link: Box<dyn Link>,
    /// Who is there already.
    pub peers: Vec<NodeId>,
}

/// One server's way to the others. Dropping it leaves them.
pub trait Link: Send + Sync {
    /// Sends a message to one server, or to all others. What was sent first arrives first.
    ///
    /// # Errors
    ///
    /// It did not get through: the message is lost, the link is not.
    fn publish<'a>(
        &'a self,
        to: Option<&'a NodeId>,
        message: &'a Arc<Message>,
    ) -> Pending<'a, Result<(), Unavailable>>;

    /// What comes next; `None` when the link has ended. Dropping the future loses nothing.
    fn receive(&self) -> Pending<'_, Option<Incoming>>;

    /// Tells the others that this server leaves them.
    fn leave(&self) -> Pending<'_, ()>;
}

/// What a [`Link`] brings.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// A server has come.
    Joined(NodeId),
    /// A server has left, or was lost: it owes no answers any more.
    Left(NodeId),
    /// A server says something.
    Message(Arc<Message>),
    /// So many messages in front of what comes next did not fit, or were lost otherwise.
    Lost(u64),
}

/// A backend does not work at the moment.
#[derive(Debug)]
pub struct Unavailable(Box<dyn Error + Send + Sync>);

impl Unavailable {
    /// For this reason.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "backend is not available: {}", self.0)
    }
}

impl Error for Unavailable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

impl fmt::Debug for Joined {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Joined")
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}
