//! What a peer can break in a packet.

use std::error::Error;
use std::fmt;

use crate::packet::{AckId, PacketKind};

/// The peer broke the protocol. The connection cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The first character is not a packet type.
    UnknownType,
    /// A binary packet without a number of attachments, or with zero of them.
    AttachmentCount,
    /// More attachments were announced than a packet may have.
    TooManyAttachments {
        /// How many it may have.
        limit: usize,
    },
    /// A placeholder that is malformed or refers to no attachment.
    Placeholder,
    /// Placeholders refer to the same attachments again and again.
    Expansion {
        /// How many bytes the arguments may copy out of the attachments.
        limit: usize,
    },
    /// An acknowledgement id that is missing, or larger than [`AckId::MAX`].
    AckId,
    /// Text that is not JSON.
    Json(String),
    /// A message that is not MessagePack, or no packet.
    MessagePack(String),
    /// What a program's own codec said of a message, shortened.
    Codec(String),
    /// A payload that this kind of packet cannot carry.
    Shape(PacketKind),
    /// Arrays and objects are nested deeper than they may be.
    TooDeep,
    /// An event name that only the implementations may use.
    ReservedName(String),
    /// An event name that is too long.
    NameTooLong {
        /// How long it is.
        len: usize,
        /// How long it may be.
        limit: usize,
    },
    /// More arguments than a packet may have.
    TooManyArguments {
        /// How many it may have.
        limit: usize,
    },
    /// The text of a packet and its attachments together are too large.
    TooLarge {
        /// How large they are, as far as is known.
        len: usize,
        /// How large they may be.
        limit: usize,
    },
    /// Text while attachments are missing.
    UnexpectedText,
    /// Binary data that belongs to no packet.
    UnexpectedBinary,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType => f.write_str("unknown packet type"),
            Self::AttachmentCount => f.write_str("illegal number of attachments"),
            Self::TooManyAttachments { limit } => write!(f, "more than {limit} attachments"),
            Self::Placeholder => f.write_str("illegal attachment: placeholder refers to none"),
            Self::Expansion { limit } => {
                write!(f, "placeholders repeat attachments beyond {limit} bytes")
            }
            Self::AckId => {
                write!(f, "acknowledgement id is missing or exceeds {}", AckId::MAX)
            }
            Self::Json(message) => write!(f, "payload is not valid JSON: {message}"),
            Self::MessagePack(what) => write!(f, "malformed MessagePack: {what}"),
            Self::Codec(what) => write!(f, "the codec refuses a message: {what}"),
            Self::Shape(kind) => write!(f, "payload does not suit a packet of kind {kind:?}"),
            Self::TooDeep => f.write_str("payload is nested too deeply"),
            Self::ReservedName(name) => write!(f, "{name:?} is a reserved event name"),
            Self::NameTooLong { len, limit } => {
                write!(f, "event name of {len} bytes exceeds the limit of {limit}")
            }
            Self::TooManyArguments { limit } => write!(f, "more than {limit} arguments"),
            Self::TooLarge { len, limit } => {
                write!(f, "packet of {len} bytes exceeds the limit of {limit}")
            }
            Self::UnexpectedText => f.write_str("text while attachments are missing"),
            Self::UnexpectedBinary => f.write_str("binary data that belongs to no packet"),
        }
    }
}

impl Error for Violation {}
