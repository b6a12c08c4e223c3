//! What can go wrong: one small enum per operation.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::cluster::NodeId;
use crate::server::RemoteSocket;

use ferriwire_proto::value::Value;

pub use ferriwire_proto::codec::EncodeError;
pub use ferriwire_proto::reconnect::BufferFull;

/// The result of starting or running a server.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A server could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened at.
    Io(std::io::Error),
    /// It was given nowhere to listen.
    NoListener,
    /// The certificate, the key or the authorities for TLS cannot be used: see the cause.
    Tls(Box<dyn std::error::Error + Send + Sync>),
    /// None of the browser client's files is in the folder that the configuration names.
    NoClientBundle(PathBuf),
    /// The name, value, path or domain of the configured cookie of that name cannot stand in one.
    InvalidCookie(String),
    /// A handler was declared for an event that only the library may name.
    ReservedEvent(String),
    /// Two namespaces of one name were declared.
    DuplicateNamespace(String),
    /// The pattern or regular expression of a dynamic namespace cannot be read.
    InvalidNamespacePattern(String),
    /// Clients shall be able to come back, but the program's own codec has no place for the offsets
    /// by which they would say what they have seen.
    RecoveryWithCustomCodec,
}

/// A message could not be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum EmitError {
    /// The client has gone.
    Disconnected,
    /// More waits for the client than the configuration allows; it is being closed.
    Full,
    /// The event's name is one that only the library may use, such as `connect`.
    Reserved(String),
    /// The payload cannot be written: see the cause.
    Encode(EncodeError),
    /// There is no such namespace on this server.
    NoSuchNamespace(String),
    /// The client, which is ours, was closed.
    Closed,
    /// More waits for a server than our client keeps.
    BufferFull(BufferFull),
    /// Our client kept it for its next connection, and dropped it for later ones.
    Displaced,
    /// It was volatile, and could not be sent at once.
    Dropped,
}

/// An acknowledgement did not come.
#[derive(Debug)]
#[non_exhaustive]
pub enum AckError {
    /// It was not asked for, because the event could not be sent.
    Emit(EmitError),
    /// The client did not answer in time.
    Timeout(Duration),
    /// The client went away before it answered.
    Disconnected,
    /// The client owes us as many acknowledgements as the configuration allows.
    TooManyPending(usize),
    /// The answer does not fit the expected type.
    Mismatch(String),
    /// Nobody on that server listens to the event.
    NoListener,
    /// The other side's handler answered with an error, as [`HandlerError`](crate::HandlerError) writes it.
    Refused {
        /// Its message.
        message: String,
        /// What it added to be acted upon.
        data: Option<Value>,
    },
}

/// The sockets that there are could not be told, or not all of them.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchError {
    /// There is no such namespace on this server.
    NoSuchNamespace(String),
    /// Some servers have not answered in time.
    Incomplete {
        /// The sockets of the others.
        sockets: Vec<RemoteSocket>,
        /// Who has not answered.
        missing: Vec<NodeId>,
    },
}

/// A room could not be joined.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// The socket has left.
    Disconnected,
    /// The socket is in as many rooms as the configuration allows.
    TooManyRooms(usize),
    /// The room's name is longer than the limit, both in bytes.
    NameTooLong(usize, usize),
}

/// What is shown of another socket's data is not of the type that was asked for. Its `Display` says
/// where and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataError(pub(crate) String);

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(formatter, "cannot listen: {error}"),
            Self::NoListener => formatter.write_str("no address to listen at"),
            Self::Tls(cause) => write!(formatter, "TLS cannot start: {cause}"),
            Self::NoClientBundle(folder) => {
                write!(formatter, "no client files in {}", folder.display())
            }
            Self::InvalidCookie(name) => write!(formatter, "cookie {name:?} is no valid one"),
            Self::ReservedEvent(name) => write!(formatter, "event name {name:?} is reserved"),
            Self::DuplicateNamespace(name) => {
                write!(formatter, "namespace {name:?} is declared twice")
            }
            Self::InvalidNamespacePattern(why) => {
                write!(
                    formatter,
                    "names of a dynamic namespace cannot be read: {why}"
                )
            }
            Self::RecoveryWithCustomCodec => {
                formatter.write_str("recovery does not work with a codec of the program's own")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Tls(cause) => Some(&**cause),
            Self::NoListener
            | Self::NoClientBundle(_)
            | Self::InvalidCookie(_)
            | Self::ReservedEvent(_)
            | Self::DuplicateNamespace(_)
            | Self::InvalidNamespacePattern(_)
            | Self::RecoveryWithCustomCodec => None,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for EmitError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => formatter.write_str("client has gone"),
            Self::Full => formatter.write_str("client reads too slowly and is being closed"),
            Self::Reserved(name) => write!(formatter, "event name {name:?} is reserved"),
            Self::Encode(error) => write!(formatter, "payload cannot be written: {error}"),
            Self::NoSuchNamespace(name) => write!(formatter, "no namespace {name:?}"),
            Self::Closed => formatter.write_str("client is closed"),
            Self::BufferFull(full) => full.fmt(formatter),
            Self::Displaced => formatter.write_str("dropped for later events while not connected"),
            Self::Dropped => formatter.write_str("dropped because it could not be sent at once"),
        }
    }
}

impl std::error::Error for EmitError {}

impl From<BufferFull> for EmitError {
    fn from(full: BufferFull) -> Self {
        Self::BufferFull(full)
    }
}

impl From<EncodeError> for EmitError {
    fn from(error: EncodeError) -> Self {
        if let EncodeError::ReservedName(name) = error {
            Self::Reserved(name)
        } else {
            Self::Encode(error)
        }
    }
}

impl fmt::Display for AckError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Emit(error) => error.fmt(formatter),
            Self::Timeout(timeout) => write!(formatter, "no acknowledgement within {timeout:?}"),
            Self::Disconnected => formatter.write_str("other side has gone before it answered"),
            Self::TooManyPending(limit) => {
                write!(formatter, "client owes {limit} acknowledgements, the limit")
            }
            Self::Mismatch(message) => write!(formatter, "unexpected answer: {message}"),
            Self::NoListener => formatter.write_str("nobody on that server listens to the event"),
            Self::Refused { message, .. } => formatter.write_str(message),
        }
    }
}

impl std::error::Error for AckError {}

impl From<EmitError> for AckError {
    fn from(error: EmitError) -> Self {
        Self::Emit(error)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchNamespace(name) => write!(formatter, "no namespace {name:?}"),
            Self::Incomplete { missing, .. } => {
                write!(
                    formatter,
                    "{} servers have not answered in time",
                    missing.len()
                )
            }
        }
    }
}

impl std::error::Error for FetchError {}

impl fmt::Display for DataError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "unexpected data: {}", self.0)
    }
}

impl std::error::Error for DataError {}

impl fmt::Display for JoinError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => formatter.write_str("socket has left"),
            Self::TooManyRooms(limit) => write!(formatter, "socket is in {limit} rooms, the limit"),
            Self::NameTooLong(len, limit) => {
                write!(formatter, "room name of {len} bytes exceeds {limit}")
            }
        }
    }
}

impl std::error::Error for JoinError {}
