//! Why a packet cannot be sent.

use std::error::Error;
use std::fmt;

use super::args::SerializeError;
use super::limits::MAX_ATTACHMENTS;
use crate::packet::PacketKind;

/// Why a packet cannot be sent. The peer does not come into it: the caller can mend this.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The event name belongs to the implementations.
    ReservedName(String),
    /// The payload is nested deeper than it may be, which is [`MAX_DEPTH`](super::MAX_DEPTH) levels at most.
    TooDeep,
    /// The payload holds more than [`MAX_ATTACHMENTS`] pieces of binary data.
    TooManyAttachments,
    /// Binary data in a packet that cannot carry it: only events and acknowledgements do.
    Binary,
    /// A payload that this kind of packet cannot carry.
    Shape(PacketKind),
    /// The payload's type refused to be serialised, or has no form in JSON.
    Serialize(String),
    /// What a program's own codec said of the packet, shortened.
    Codec(String),
}

impl From<SerializeError> for EncodeError {
    fn from(error: SerializeError) -> Self {
        match error {
            SerializeError::TooDeep => Self::TooDeep,
            SerializeError::TooManyAttachments => Self::TooManyAttachments,
            SerializeError::Binary => Self::Binary,
            SerializeError::Serde(message) => Self::Serialize(message),
        }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedName(name) => write!(f, "{name:?} is a reserved event name"),
            Self::TooDeep => f.write_str("payload is nested too deeply"),
            Self::TooManyAttachments => {
                write!(f, "payload has more than {MAX_ATTACHMENTS} attachments")
            }
            Self::Binary => f.write_str("only events and acknowledgements carry binary data"),
            Self::Shape(kind) => write!(f, "payload does not suit a packet of kind {kind:?}"),
            Self::Serialize(message) => write!(f, "payload cannot be serialised: {message}"),
            Self::Codec(what) => write!(f, "the codec refuses the packet: {what}"),
        }
    }
}

impl Error for EncodeError {}
