//! Why a client is not connected.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use ferriwire_proto::engine::CloseReason;
use ferriwire_proto::value::Value;

use crate::handshake::ConnectError;

/// A namespace could not be joined, or an attempt to connect has failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The server does not let the client in, and says why. It is not tried again.
    Refused(ConnectError),
    /// The server answered in another version of the protocol: it is Socket.IO 2, which needs
    /// [`ClientBuilder::revision`](crate::client::ClientBuilder::revision). It is not tried again.
    Incompatible,
    /// The network did not let the client through, or the connection broke.
    Network(Arc<io::Error>),
    /// The server answered a request with that status instead of what it was to answer.
    #[doc(alias = "context")]
    #[doc(alias = "description")]
    Http {
        /// The status.
        status: u16,
        /// What the body says, as far as it is kept.
        body: String,
    },
    /// It took too long.
    Timeout,
    /// What the server sent breaks the protocol.
    Violation(String),
    /// What identifies the client could not be made, or is no object.
    Auth(String),
    /// There is an address, a header or another setting that cannot be used.
    Configuration(String),
    /// There is such a namespace on this client already.
    AlreadyJoined,
    /// All attempts that were allowed have failed, this one last.
    GaveUp(Box<Self>),
    /// The client was closed, or left the namespace, meanwhile.
    Closed,
}

impl ConnectFailure {
    pub(crate) fn closed_early() -> Self {
        io::Error::from(io::ErrorKind::UnexpectedEof).into()
    }

    /// How much the server has made of it, in bytes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Refused(error) => {
                let data = error.details().map_or(0, Value::size);
                error.message().len().saturating_add(data)
            }
            Self::Http { body: text, .. } | Self::Violation(text) => text.len(),
            Self::GaveUp(last) => last.size(),
            Self::Auth(_)
            | Self::Configuration(_)
            | Self::Network(_)
            | Self::Incompatible
            | Self::Timeout
            | Self::AlreadyJoined
            | Self::Closed => 0,
        }
    }

    /// What the end of a session says of the attempt to open it.
    pub(crate) fn of_close(reason: CloseReason) -> Self {
        Self::Network(Arc::new(io::Error::other(reason.as_str())))
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(formatter),
            Self::Incompatible => {
                formatter.write_str("server speaks another version of the protocol")
            }
            Self::Network(error) => error.fmt(formatter),
            Self::Http { status, .. } => write!(formatter, "server answered with status {status}"),
            Self::Timeout => formatter.write_str("timeout"),
            Self::Violation(what) => write!(formatter, "server broke the protocol: {what}"),
            Self::Auth(what) => write!(formatter, "auth cannot be sent: {what}"),
            Self::Configuration(what) => write!(formatter, "{what} cannot be used"),
            Self::AlreadyJoined => formatter.write_str("namespace is in use on this client"),
            Self::GaveUp(last) => write!(formatter, "no attempt succeeded: {last}"),
            Self::Closed => formatter.write_str("client is closed"),
        }
    }
}

impl Error for ConnectFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(error) => Some(error),
            Self::Network(error) => Some(&**error),
            Self::GaveUp(last) => Some(&**last),
            Self::Incompatible
            | Self::Http { .. }
            | Self::Timeout
            | Self::Violation(_)
            | Self::Auth(_)
            | Self::Configuration(_)
            | Self::AlreadyJoined
            | Self::Closed => None,
        }
    }
}

impl From<io::Error> for ConnectFailure {
    fn from(error: io::Error) -> Self {
        Self::Network(Arc::new(error))
    }
}

impl From<hyper::Error> for ConnectFailure {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() {
            return Self::Violation(error.to_string());
        }
        Self::Network(Arc::new(io::Error::other(error)))
    }
}
