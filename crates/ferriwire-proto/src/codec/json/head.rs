//! What stands before the JSON of a packet, and what the JSON must be for each kind.

use std::borrow::Cow;

use bytes::Bytes;

use super::read::{Error, Number, Reader};
use crate::codec::args::Bounds;
use crate::codec::{Arguments, Limits, Payload, Violation};
use crate::packet::{AckId, Body, Packet, PacketKind, is_reserved};

/// How many digits the number of attachments may have, whatever the limit.
const MAX_COUNT_DIGITS: usize = 5;

/// A packet whose JSON was not looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) kind: PacketKind,
    /// Zero exactly when the kind is not binary.
    pub(super) attachments: usize,
    pub(super) namespace: &'a str,
    id: Option<AckId>,
    pub(super) payload: &'a str,
}

impl<'a> Head<'a> {
    #[inline]
    pub(super) fn parse(text: &'a str, limits: &Limits) -> Result<Self, Violation> {
        let mut chars = text.chars();
        let kind = chars.next().and_then(PacketKind::from_digit);
        let kind = kind.ok_or(Violation::UnknownType)?;
        let rest = chars.as_str();
        let (attachments, rest) = if kind.is_binary() {
            attachment_count(rest, limits.max_attachments)?
        } else {
            (0, rest)
        };
        let (namespace, rest) = namespace(rest);
        let (id, payload) = match kind {
            PacketKind::Connect | PacketKind::Disconnect | PacketKind::ConnectError => (None, rest),
            PacketKind::Event | PacketKind::BinaryEvent => ack_id(rest)?,
            PacketKind::Ack | PacketKind::BinaryAck => {
                let (id, payload) = ack_id(rest)?;
                (Some(id.ok_or(Violation::AckId)?), payload)
            }
        };
        Ok(Self {
            kind,
            attachments,
            namespace,
            id,
            payload,
        })
    }

    /// The packet, with the JSON checked as far as its kind tells.
    #[inline]
    pub(super) fn packet(
        self,
        attachments: &'a [Bytes],
        limits: &Limits,
    ) -> Result<Packet<'a>, Violation> {
        let Self { kind, payload, .. } = self;
        let shape = Violation::Shape(kind);
        let bounds = Bounds::of(limits);
        let body = match kind {
            PacketKind::Connect if payload.is_empty() => Body::Connect(None),
            PacketKind::Connect if payload.starts_with('{') => {
                check_json(payload, bounds)?;
                Body::Connect(Some(Payload::Json(payload)))
            }
            PacketKind::Disconnect if payload.is_empty() => Body::Disconnect,
            PacketKind::ConnectError if payload.starts_with(['{', '"']) => {
                check_json(payload, bounds)?;
                Body::ConnectError(Payload::Json(payload))
            }
            PacketKind::Connect | PacketKind::Disconnect | PacketKind::ConnectError => {
                return Err(shape);
            }
            PacketKind::Event | PacketKind::BinaryEvent => {
                let (name, end) = event_name(payload, kind, limits.max_event_name)?;
                Body::Event {
                    id: self.id,
                    name,
                    arguments: Arguments::in_text(payload, end, attachments, bounds),
                }
            }
            PacketKind::Ack | PacketKind::BinaryAck => {
                let list = match (payload, kind) {
                    // An answer without arguments may leave out the list.
                    ("", PacketKind::Ack) => "[]",
                    (list, _) if list.starts_with('[') => list,
                    _ => return Err(shape),
                };
                Body::Ack {
                    id: self.id.ok_or(Violation::AckId)?,
                    arguments: Arguments::in_text(list, 0, attachments, bounds),
                }
            }
        };
        Ok(Packet {
            namespace: self.namespace,
            body,
        })
    }
}

fn attachment_count(text: &str, limit: usize) -> Result<(usize, &str), Violation> {
    let (digits, rest) = split_digits(text);
    let rest = rest.strip_prefix('-').ok_or(Violation::AttachmentCount)?;
    if digits.len() > MAX_COUNT_DIGITS {
        return Err(Violation::TooManyAttachments { limit });
    }
    match digits.parse::<usize>() {
        Ok(0) | Err(_) => Err(Violation::AttachmentCount),
        Ok(count) if count > limit => Err(Violation::TooManyAttachments { limit }),
        Ok(count) => Ok((count, rest)),
    }
}

fn namespace(text: &str) -> (&str, &str) {
    if text.starts_with('/') {
        text.split_once(',').unwrap_or((text, ""))
    } else {
        ("/", text)
    }
}

#[inline]
fn ack_id(text: &str) -> Result<(Option<AckId>, &str), Violation> {
    let mut id = 0_u64;
    let mut digits = 0_usize;
    for byte in text.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        // Only used if there are so few digits that it does not wrap around.
        id = id.wrapping_mul(10).wrapping_add(digit.into());
        digits = digits.wrapping_add(1);
    }
    if digits == 0 {
        return Ok((None, text));
    }
    let id = AckId(id);
    if digits > AckId::MAX_DIGITS || id > AckId::MAX {
        return Err(Violation::AckId);
    }
    Ok((Some(id), text.get(digits..).unwrap_or_default()))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit());
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

fn check_json(text: &str, bounds: Bounds) -> Result<(), Violation> {
    let mut reader = Reader::new(text, &[]).within_levels(bounds.depth());
    let outcome = reader.skip().and_then(|()| reader.end());
    outcome.map_err(|error| reader.violation(&error))
}

/// Reads the first element of a list, and nothing behind it. Says also where that ends.
fn event_name(
    list: &str,
    kind: PacketKind,
    limit: usize,
) -> Result<(Cow<'_, str>, usize), Violation> {
    if !list.starts_with('[') {
        return Err(Violation::Shape(kind));
    }
    let mut reader = Reader::new(list, &[]);
    let name = read_name(&mut reader).map_err(|error| reader.violation(&error))?;
    let name = name.ok_or(Violation::Shape(kind))?;
    let len = name.len();
    if len > limit {
        return Err(Violation::NameTooLong { len, limit });
    }
    if is_reserved(&name) {
        return Err(Violation::ReservedName(name.into_owned()));
    }
    Ok((name, reader.offset()))
}

/// A string, or a number in the form that JavaScript gives it as the name of a property. Nothing
/// else is a name.
fn read_name<'a>(reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Error> {
    reader.list()?;
    let name = match reader.peek() {
        b'"' => return reader.string().map(Some),
        b'-' | b'0'..=b'9' => match reader.number()? {
            Number::Unsigned(name) => name.to_string(),
            Number::Signed(name) => name.to_string(),
            // Negative zero has no sign there.
            Number::Float(0.0) => "0".to_owned(),
            Number::Float(name) => name.to_string(),
            Number::Beyond => return Err(Error::syntax("number out of range")),
        },
        b'[' | b'{' => return Ok(None),
        _ if reader.is_at_end() => return Ok(None),
        _ => return reader.skip().map(|()| None),
    };
    Ok(Some(Cow::Owned(name)))
}
