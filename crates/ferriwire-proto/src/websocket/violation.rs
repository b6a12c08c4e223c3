//! How a peer can break RFC 6455, and what it is told.

use std::error::Error;
use std::fmt;

/// What the peer did wrong. The connection cannot go on after any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// Reserved bits are set without an extension that gives them a meaning on this frame.
    ReservedBits(u8),
    /// The opcode has no meaning.
    ReservedOpcode(u8),
    /// A client did not mask its frame.
    NotMasked,
    /// A server masked its frame.
    Masked,
    /// The length is written in more bytes than it needs.
    LengthNotMinimal(u64),
    /// The highest bit of a length in eight bytes is set.
    LengthOutOfRange(u64),
    /// A close, ping or pong frame is not final.
    ControlFragmented,
    /// A close, ping or pong frame has a payload that does not fit into one length byte.
    ControlTooLong,
    /// There is no message that the frame could continue.
    NothingToContinue,
    /// A new message begins within another one.
    MessageInterrupted,
    /// The payload of a close frame is a single byte.
    CloseCodeIncomplete,
    /// No endpoint may send this close code.
    CloseCodeInvalid(u16),
    /// A text message or the reason of a close frame is not UTF-8.
    InvalidUtf8,
    /// A message is larger than this side accepts, by the lengths that its frames declare or by what
    /// it inflates to.
    MessageTooLarge {
        /// The declared length of the message so far, or how much was inflated.
        declared: u64,
        /// The largest length accepted.
        limit: usize,
    },
    /// A message has more fragments than this side accepts.
    TooManyFragments {
        /// The largest number accepted.
        limit: u32,
    },
    /// The payload of a compressed message is not DEFLATE, or has no end.
    InvalidDeflate,
    /// All connections together inflate too much at a time.
    InflateBudget {
        /// How much they may.
        limit: usize,
    },
}

impl Violation {
    /// The code of the close frame that answers it (RFC 6455 section 7.4.1).
    #[must_use]
    pub const fn close_code(&self) -> u16 {
        match self {
            Self::ReservedBits(_)
            | Self::ReservedOpcode(_)
            | Self::NotMasked
            | Self::Masked
            | Self::LengthNotMinimal(_)
            | Self::LengthOutOfRange(_)
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::NothingToContinue
            | Self::MessageInterrupted
            | Self::CloseCodeIncomplete
            | Self::CloseCodeInvalid(_) => 1002,
            Self::InvalidUtf8 | Self::InvalidDeflate => 1007,
            Self::TooManyFragments { .. } => 1008,
            Self::MessageTooLarge { .. } | Self::InflateBudget { .. } => 1009,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits(bits) => write!(f, "reserved bits {bits:#04x} without an extension"),
            Self::ReservedOpcode(bits) => write!(f, "reserved opcode {bits:#x}"),
            Self::NotMasked => f.write_str("frame of a client without a mask"),
            Self::Masked => f.write_str("frame of a server with a mask"),
            Self::LengthNotMinimal(len) => write!(f, "length {len} not in its shortest form"),
            Self::LengthOutOfRange(len) => write!(f, "length {len} exceeds 2^63 - 1"),
            Self::ControlFragmented => f.write_str("fragmented control frame"),
            Self::ControlTooLong => f.write_str("control frame longer than 125 bytes"),
            Self::NothingToContinue => f.write_str("continuation without a message"),
            Self::MessageInterrupted => f.write_str("new message within a fragmented one"),
            Self::CloseCodeIncomplete => f.write_str("close frame with one byte of a code"),
            Self::CloseCodeInvalid(code) => write!(f, "invalid close code {code}"),
            Self::InvalidUtf8 => f.write_str("text that is not valid UTF-8"),
            Self::MessageTooLarge { declared, limit } => {
                write!(
                    f,
                    "message of {declared} bytes exceeds the limit of {limit}"
                )
            }
            Self::TooManyFragments { limit } => {
                write!(f, "message of more than {limit} fragments")
            }
            Self::InvalidDeflate => f.write_str("compressed payload that is not valid"),
            Self::InflateBudget { limit } => {
                write!(f, "more than {limit} bytes inflated at a time")
            }
        }
    }
}

impl Error for Violation {}
