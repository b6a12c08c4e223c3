//! The seven packets of Socket.IO 5 (section 1.3.1 of docs/protocol.md), independent of how they
//! are encoded.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::{Arguments, Payload};

/// One packet as it was decoded.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// The namespace, `/` when the peer left it out.
    pub namespace: &'a str,
    /// What the packet says.
    pub body: Body<'a>,
}

/// What a packet says. A binary event is an event here, and a binary acknowledgement an
/// acknowledgement: the attachments stand in the arguments.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// Joins the namespace, with an object.
    Connect(Option<Payload<'a>>),
    /// Leaves the namespace.
    Disconnect,
    /// A named message.
    Event {
        /// Present when the peer waits for an acknowledgement.
        id: Option<AckId>,
        /// Its name, at most 256 bytes and none of [`RESERVED`].
        name: Cow<'a, str>,
        /// What follows the name.
        arguments: Arguments<'a>,
    },
    /// The answer to an event.
    Ack {
        /// The number that the event carried.
        id: AckId,
        /// The values of the answer.
        arguments: Arguments<'a>,
    },
    /// The namespace refused to be joined, with an object or a string.
    ConnectError(Payload<'a>),
}

/// The kinds of packets, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PacketKind {
    /// `0`
    Connect,
    /// `1`
    Disconnect,
    /// `2`
    Event,
    /// `3`
    Ack,
    /// `4`
    ConnectError,
    /// `5`
    BinaryEvent,
    /// `6`
    BinaryAck,
}

impl PacketKind {
    /// The kind that this digit stands for.
    #[must_use]
    pub const fn from_digit(digit: char) -> Option<Self> {
        Some(match digit {
            '0' => Self::Connect,
            '1' => Self::Disconnect,
            '2' => Self::Event,
            '3' => Self::Ack,
            '4' => Self::ConnectError,
            '5' => Self::BinaryEvent,
            '6' => Self::BinaryAck,
            _ => return None,
        })
    }

    /// The digit that stands for it on the wire.
    #[must_use]
    pub const fn as_digit(self) -> u8 {
        match self {
            Self::Connect => b'0',
            Self::Disconnect => b'1',
            Self::Event => b'2',
            Self::Ack => b'3',
            Self::ConnectError => b'4',
            Self::BinaryEvent => b'5',
            Self::BinaryAck => b'6',
        }
    }

    /// Whether attachments follow it.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }
}

/// The number by which an acknowledgement finds its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AckId(pub u64);

impl AckId {
    /// The largest one: what a JavaScript number holds exactly.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// How many digits it may have on the wire.
    pub const MAX_DIGITS: usize = 16;
}

impl fmt::Display for AckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Event names that belong to the implementations, so that neither side may send them.
pub const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// Whether `name` is one of [`RESERVED`].
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_digits_agree() {
        for digit in '\0'..='\u{ff}' {
            match PacketKind::from_digit(digit) {
                Some(kind) => assert_eq!(char::from(kind.as_digit()), digit),
                None => assert!(!('0'..='6').contains(&digit), "{digit}"),
            }
        }
    }

    #[test]
    fn names_that_merely_look_like_reserved_ones_are_free() {
        for name in [
            "connection",
            "error",
            "Connect",
            "__proto__",
            "toString",
            "",
            "end",
        ] {
            assert!(!is_reserved(name), "{name}");
        }
        assert!(RESERVED.iter().all(|name| is_reserved(name)));
    }
}
