//! What a server can break while it opens a session, or later.

use std::error::Error;
use std::fmt;

use super::OpenError;

/// The server broke the protocol. Each of these ends the session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The first packet is not the one that opens the session.
    NotOpened,
    /// What opens the session cannot be used.
    Open(OpenError),
    /// The session was opened a second time.
    OpenedTwice,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpened => f.write_str("the first packet does not open the session"),
            Self::Open(error) => write!(f, "the session cannot be opened: {error}"),
            Self::OpenedTwice => f.write_str("the session was opened a second time"),
        }
    }
}

impl Error for Violation {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Open(error) => Some(error),
            Self::NotOpened | Self::OpenedTwice => None,
        }
    }
}
