//! Under what a packet that broke the rules of Socket.IO is counted.

use ferriwire_proto::codec;
use ferriwire_proto::connection::{self, ConnectionTimeout, Refusal};

use crate::engine::{Fault, LimitKind, ViolationKind};

impl From<&connection::Violation> for Fault {
    fn from(violation: &connection::Violation) -> Self {
        use connection::Violation;
        match violation {
            Violation::Packet(violation) => violation.into(),
            Violation::NotJoined | Violation::JoinedTwice | Violation::ConnectError | _ => {
                Self::Violation(ViolationKind::State)
            }
        }
    }
}

impl From<&codec::Violation> for Fault {
    fn from(violation: &codec::Violation) -> Self {
        use codec::Violation;
        match violation {
            Violation::TooManyAttachments { .. } => Self::Limit(LimitKind::Attachments),
            Violation::TooDeep => Self::Limit(LimitKind::Depth),
            Violation::NameTooLong { .. } => Self::Limit(LimitKind::EventName),
            Violation::TooManyArguments { .. } => Self::Limit(LimitKind::Arguments),
            Violation::TooLarge { .. } | Violation::Expansion { .. } => {
                Self::Limit(LimitKind::Payload)
            }
            Violation::Json(_)
            | Violation::MessagePack(_)
            | Violation::Codec(_)
            | Violation::Shape(_) => Self::Violation(ViolationKind::Payload),
            Violation::Placeholder | Violation::UnexpectedText | Violation::UnexpectedBinary => {
                Self::Violation(ViolationKind::Attachments)
            }
            Violation::ReservedName(_) => Self::Violation(ViolationKind::ReservedName),
            Violation::UnknownType | Violation::AttachmentCount | Violation::AckId | _ => {
                Self::Violation(ViolationKind::Packet)
            }
        }
    }
}

impl From<Refusal> for LimitKind {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooManyNamespaces { .. } => Self::Namespaces,
            Refusal::InvalidName => Self::NamespaceName,
        }
    }
}

impl From<ConnectionTimeout> for LimitKind {
    fn from(timeout: ConnectionTimeout) -> Self {
        match timeout {
            ConnectionTimeout::Connect => Self::ConnectTime,
            ConnectionTimeout::Attachments => Self::AttachmentsTime,
        }
    }
}
