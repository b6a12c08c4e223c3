//! What a server can break, as its client sees it.

use std::error::Error;
use std::fmt;

use crate::codec;

/// The server broke the protocol. Each of these closes the session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A packet that is none.
    Packet(codec::Violation),
    /// More events before the answer to CONNECT than are kept.
    TooMuchEarly {
        /// How many bytes are.
        limit: usize,
    },
}

impl From<codec::Violation> for Violation {
    fn from(violation: codec::Violation) -> Self {
        Self::Packet(violation)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(violation) => violation.fmt(f),
            Self::TooMuchEarly { limit } => {
                write!(f, "more than {limit} bytes of events before CONNECT")
            }
        }
    }
}

impl Error for Violation {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Packet(violation) => Some(violation),
            Self::TooMuchEarly { .. } => None,
        }
    }
}
