//! Under what bytes that broke the rules of a WebSocket or of Engine.IO are counted.

use ferriwire_proto::engine::packet::ParseError;
use ferriwire_proto::websocket::Violation;

use super::reasons::{LimitKind, ViolationKind};

/// Under what a client's mistake is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Limit(LimitKind),
    Violation(ViolationKind),
}

impl From<&Violation> for Fault {
    fn from(violation: &Violation) -> Self {
        match violation {
            Violation::MessageTooLarge { .. } => Self::Limit(LimitKind::Payload),
            Violation::TooManyFragments { .. } => Self::Limit(LimitKind::Fragments),
            Violation::InflateBudget { .. } => Self::Limit(LimitKind::InflateBudget),
            Violation::ReservedBits(_)
            | Violation::ReservedOpcode(_)
            | Violation::NotMasked
            | Violation::Masked
            | Violation::LengthNotMinimal(_)
            | Violation::LengthOutOfRange(_)
            | Violation::ControlFragmented
            | Violation::ControlTooLong
            | Violation::NothingToContinue
            | Violation::MessageInterrupted
            | Violation::CloseCodeIncomplete
            | Violation::CloseCodeInvalid(_)
            | Violation::InvalidUtf8
            | Violation::InvalidDeflate
            | _ => Self::Violation(ViolationKind::Frame),
        }
    }
}

impl From<&ParseError> for Fault {
    fn from(error: &ParseError) -> Self {
        match error {
            ParseError::TooManyPackets { .. } => Self::Limit(LimitKind::PacketsPerPayload),
            ParseError::Empty
            | ParseError::UnknownType(_)
            | ParseError::Base64
            | ParseError::Length
            | ParseError::Utf8
            | _ => Self::Violation(ViolationKind::EnginePacket),
        }
    }
}
