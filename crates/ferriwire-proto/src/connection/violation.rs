//! What a client can break beyond single packets.

use std::error::Error;
use std::fmt;

use crate::codec;

/// The client broke the protocol. Each of these closes the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A packet that is none.
    Packet(codec::Violation),
    /// A packet for a namespace that it has not joined.
    NotJoined,
    /// A CONNECT for a namespace that it has joined, or is joining.
    JoinedTwice,
    /// A CONNECT_ERROR, which only servers send.
    ConnectError,
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
            Self::NotJoined => f.write_str("packet for a namespace that was not joined"),
            Self::JoinedTwice => f.write_str("second CONNECT for the same namespace"),
            Self::ConnectError => f.write_str("CONNECT_ERROR from a client"),
        }
    }
}

impl Error for Violation {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Packet(violation) => Some(violation),
            Self::NotJoined | Self::JoinedTwice | Self::ConnectError => None,
        }
    }
}
