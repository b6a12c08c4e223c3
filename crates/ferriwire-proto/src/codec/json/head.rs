//! What stands before the JSON of a packet, and what the JSON must be for each kind.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, Visitor};

use crate::codec::depth::{self, MAX_DEPTH};
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
    pub(super) fn packet(
        self,
        attachments: &'a [Bytes],
        limits: &Limits,
    ) -> Result<Packet<'a>, Violation> {
        let Self { kind, payload, .. } = self;
        let shape = Violation::Shape(kind);
        let body = match kind {
            PacketKind::Connect if payload.is_empty() => Body::Connect(None),
            PacketKind::Connect if payload.starts_with('{') => {
                check_json(payload)?;
                Body::Connect(Some(Payload::Json(payload)))
            }
            PacketKind::Disconnect if payload.is_empty() => Body::Disconnect,
            PacketKind::ConnectError if payload.starts_with(['{', '"']) => {
                check_json(payload)?;
                Body::ConnectError(Payload::Json(payload))
            }
            PacketKind::Connect | PacketKind::Disconnect | PacketKind::ConnectError => {
                return Err(shape);
            }
            PacketKind::Event | PacketKind::BinaryEvent => Body::Event {
                id: self.id,
                name: event_name(payload, kind, limits.max_event_name)?,
                arguments: Arguments::in_text(payload, true, attachments, limits.max_arguments),
            },
            PacketKind::Ack | PacketKind::BinaryAck => {
                let list = match (payload, kind) {
                    // An answer without arguments may leave out the list.
                    ("", PacketKind::Ack) => "[]",
                    (list, _) if list.starts_with('[') => list,
                    _ => return Err(shape),
                };
                Body::Ack {
                    id: self.id.ok_or(Violation::AckId)?,
                    arguments: Arguments::in_text(list, false, attachments, limits.max_arguments),
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

fn ack_id(text: &str) -> Result<(Option<AckId>, &str), Violation> {
    let (digits, rest) = split_digits(text);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    if digits.len() > AckId::MAX_DIGITS {
        return Err(Violation::AckId);
    }
    let id = digits.parse().map(AckId).ok();
    let id = id.filter(|id| *id <= AckId::MAX).ok_or(Violation::AckId)?;
    Ok((Some(id), rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

fn check_json(text: &str) -> Result<(), Violation> {
    if !depth::is_within(text.as_bytes(), MAX_DEPTH) {
        return Err(Violation::TooDeep);
    }
    let mut json = serde_json::Deserializer::from_str(text);
    json.disable_recursion_limit();
    IgnoredAny::deserialize(&mut json)
        .and_then(|_| json.end())
        .map_err(|error| Violation::Json(error.to_string()))
}

/// Reads the first element of a list, and nothing behind it.
fn event_name(list: &str, kind: PacketKind, limit: usize) -> Result<Cow<'_, str>, Violation> {
    let elements = list.strip_prefix('[').ok_or(Violation::Shape(kind))?;
    let mut elements = serde_json::Deserializer::from_str(elements).into_iter();
    let name = match elements.next() {
        Some(Ok(EventName(name))) => name,
        Some(Err(error)) if !error.is_data() => return Err(Violation::Json(error.to_string())),
        Some(Err(_)) | None => return Err(Violation::Shape(kind)),
    };
    let len = name.len();
    if len > limit {
        return Err(Violation::NameTooLong { len, limit });
    }
    if is_reserved(&name) {
        return Err(Violation::ReservedName(name.into_owned()));
    }
    Ok(name)
}

/// A string, or a number in the form that JavaScript gives it as the name of a property.
struct EventName<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for EventName<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EventNameVisitor)
    }
}

struct EventNameVisitor;

impl<'de> Visitor<'de> for EventNameVisitor {
    type Value = EventName<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<EventName<'de>, E> {
        Ok(EventName(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<EventName<'de>, E> {
        Ok(EventName(Cow::Owned(name.to_owned())))
    }

    fn visit_u64<E>(self, name: u64) -> Result<EventName<'de>, E> {
        Ok(EventName(Cow::Owned(name.to_string())))
    }

    fn visit_i64<E>(self, name: i64) -> Result<EventName<'de>, E> {
        Ok(EventName(Cow::Owned(name.to_string())))
    }

    fn visit_f64<E: Error>(self, name: f64) -> Result<EventName<'de>, E> {
        // Negative zero has no sign there.
        let name = if name == 0.0 { 0.0 } else { name };
        Ok(EventName(Cow::Owned(name.to_string())))
    }
}
