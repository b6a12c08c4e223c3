//! Packets to messages, each serialised in one pass behind the room for its head.

use std::fmt;
use std::io::Write as _;

use serde::Serialize;

use crate::codec::args::{serialize_arguments, serialize_value};
use crate::codec::{EncodeError, MAX_ATTACHMENTS};
use crate::encoded::{Builder, Encoded, Kind};
use crate::log::Offset;
use crate::packet::{AckId, PacketKind, is_reserved};

/// A guess of how large a payload is, so that most are written without growing the buffer.
const USUAL_PAYLOAD: usize = 128;

/// Encodes an event.
///
/// # Errors
///
/// When `name` is reserved, or `payload` cannot be sent.
#[inline]
pub fn encode_event<P: Serialize + ?Sized>(
    namespace: &str,
    id: Option<AckId>,
    name: &str,
    payload: &P,
) -> Result<Encoded, EncodeError> {
    encode_event_ending(namespace, id, name, payload, b"]")
}

/// Encodes an event that asks for no acknowledgement, with room for an offset behind its arguments:
/// to be [stamped](Encoded::stamp) before it is sent.
///
/// # Errors
///
/// As [`encode_event`].
pub fn encode_stamped_event<P: Serialize + ?Sized>(
    namespace: &str,
    name: &str,
    payload: &P,
) -> Result<Encoded, EncodeError> {
    let event = encode_event_ending(namespace, None, name, payload, OFFSET_AND_END)?;
    Ok(event.with_slot(2))
}

/// One more argument, to be overwritten, and the end of the list.
const OFFSET_AND_END: &[u8; Offset::LEN + 4] = b",\"----------------\"]";

#[inline]
fn encode_event_ending<P: Serialize + ?Sized>(
    namespace: &str,
    id: Option<AckId>,
    name: &str,
    payload: &P,
    end: &[u8],
) -> Result<Encoded, EncodeError> {
    if is_reserved(name) {
        return Err(EncodeError::ReservedName(name.to_owned()));
    }
    let mut builder = builder(namespace);
    let body = builder.body();
    body.push(b'[');
    serialize_value(body, name)?;
    let attachments = serialize_arguments(body, true, payload, MAX_ATTACHMENTS)?;
    body.extend_from_slice(end);
    let kind = if attachments.is_empty() {
        PacketKind::Event
    } else {
        PacketKind::BinaryEvent
    };
    let head = head(kind, attachments.len(), namespace, id);
    Ok(builder.finish(&head, attachments, Kind::Event))
}

/// Encodes the answer to an event.
///
/// # Errors
///
/// When `payload` cannot be sent.
pub fn encode_ack<P: Serialize + ?Sized>(
    namespace: &str,
    id: AckId,
    payload: &P,
) -> Result<Encoded, EncodeError> {
    let mut builder = builder(namespace);
    let body = builder.body();
    body.push(b'[');
    let attachments = serialize_arguments(body, false, payload, MAX_ATTACHMENTS)?;
    body.push(b']');
    let kind = if attachments.is_empty() {
        PacketKind::Ack
    } else {
        PacketKind::BinaryAck
    };
    let head = head(kind, attachments.len(), namespace, Some(id));
    Ok(builder.finish(&head, attachments, Kind::Control))
}

/// Encodes CONNECT: from a client with what authenticates it, from a server with the socket's id.
/// A payload that serialises as nothing, such as `()` or `None`, is left out.
///
/// # Errors
///
/// When `payload` is not an object, or cannot be sent.
pub fn encode_connect<P: Serialize + ?Sized>(
    namespace: &str,
    payload: &P,
) -> Result<Encoded, EncodeError> {
    encode_value(namespace, PacketKind::Connect, payload, |text| match text {
        b"null" => Some(0),
        [b'{', ..] => Some(text.len()),
        _ => None,
    })
}

/// Encodes DISCONNECT.
#[must_use]
pub fn encode_disconnect(namespace: &str) -> Encoded {
    let head = head(PacketKind::Disconnect, 0, namespace, None);
    Builder::new(head.len(), 0).finish(&head, Vec::new(), Kind::Control)
}

/// Encodes the refusal of a CONNECT.
///
/// # Errors
///
/// When `payload` is neither an object nor a string, or cannot be sent.
pub fn encode_connect_error<P: Serialize + ?Sized>(
    namespace: &str,
    payload: &P,
) -> Result<Encoded, EncodeError> {
    encode_value(namespace, PacketKind::ConnectError, payload, |text| {
        matches!(text, [b'{' | b'"', ..]).then_some(text.len())
    })
}

/// Encodes the refusal of a CONNECT for a client of Socket.IO 4, to whom it may be any value.
///
/// # Errors
///
/// When `payload` cannot be sent.
pub fn encode_error<P: Serialize + ?Sized>(
    namespace: &str,
    payload: &P,
) -> Result<Encoded, EncodeError> {
    encode_value(namespace, PacketKind::ConnectError, payload, |text| {
        Some(text.len())
    })
}

/// Encodes a packet whose payload is one value. `keep` says how much of its text is sent, or that
/// such a packet cannot carry it.
fn encode_value<P: Serialize + ?Sized>(
    namespace: &str,
    kind: PacketKind,
    payload: &P,
    keep: impl FnOnce(&[u8]) -> Option<usize>,
) -> Result<Encoded, EncodeError> {
    let mut builder = builder(namespace);
    let body = builder.body();
    let start = body.len();
    serialize_value(body, payload)?;
    let kept = keep(body.get(start..).unwrap_or_default()).ok_or(EncodeError::Shape(kind))?;
    body.truncate(start.saturating_add(kept));
    let head = head(kind, 0, namespace, None);
    Ok(builder.finish(&head, Vec::new(), Kind::Control))
}

/// A builder with room for any head of this namespace.
fn builder(namespace: &str) -> Builder {
    // Message type, packet type, "10-", the namespace with its comma, the id.
    let max_head = namespace.len().saturating_add(6 + AckId::MAX_DIGITS);
    Builder::new(max_head, USUAL_PAYLOAD)
}

fn head(kind: PacketKind, attachments: usize, namespace: &str, id: Option<AckId>) -> Vec<u8> {
    let mut head = vec![b'4', kind.as_digit()];
    let mut append = |part: fmt::Arguments<'_>| {
        let written = head.write_fmt(part);
        debug_assert!(written.is_ok(), "writing to a vector does not fail");
    };
    if kind.is_binary() {
        append(format_args!("{attachments}-"));
    }
    if namespace != "/" {
        append(format_args!("{namespace},"));
    }
    if let Some(id) = id {
        append(format_args!("{id}"));
    }
    head
}
