//! Packets to messages, each serialised in one pass behind the room for its head.

use bytes::Bytes;
use serde::Serialize;

use crate::codec::args::{serialize_arguments, serialize_value, write_string};
use crate::codec::{Answer, EncodeError, MAX_ATTACHMENTS};
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
    max_depth: usize,
) -> Result<Encoded, EncodeError> {
    encode_event_ending(namespace, id, name, payload, max_depth, b"]")
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
    max_depth: usize,
) -> Result<Encoded, EncodeError> {
    let event = encode_event_ending(namespace, None, name, payload, max_depth, OFFSET_AND_END)?;
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
    max_depth: usize,
    end: &[u8],
) -> Result<Encoded, EncodeError> {
    if is_reserved(name) {
        return Err(EncodeError::ReservedName(name.to_owned()));
    }
    let mut builder = begin(namespace, id);
    let body = builder.body();
    body.push(b'[');
    write_string(body, name);
    let attachments = serialize_arguments(body, true, payload, MAX_ATTACHMENTS, max_depth)?;
    body.extend_from_slice(end);
    let kinds = [PacketKind::Event, PacketKind::BinaryEvent];
    Ok(finish(builder, kinds, attachments, Kind::Event))
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
    max_depth: usize,
) -> Result<Encoded, EncodeError> {
    let mut builder = begin(namespace, Some(id));
    let body = builder.body();
    body.push(b'[');
    let attachments = serialize_arguments(body, false, payload, MAX_ATTACHMENTS, max_depth)?;
    body.push(b']');
    let kinds = [PacketKind::Ack, PacketKind::BinaryAck];
    Ok(finish(builder, kinds, attachments, Kind::Control))
}

/// Encodes the answer to an event in memory that is used again and again.
///
/// # Errors
///
/// When `payload` cannot be sent.
#[inline]
pub(in crate::codec) fn encode_answer<P: Serialize + ?Sized>(
    scratch: &mut Vec<u8>,
    namespace: &str,
    id: AckId,
    payload: &P,
    max_depth: usize,
) -> Result<Answer, EncodeError> {
    let mut builder = Builder::within(std::mem::take(scratch), MAX_HEAD);
    begin_in(&mut builder, namespace, Some(id));
    let body = builder.body();
    body.push(b'[');
    let attachments = serialize_arguments(body, false, payload, MAX_ATTACHMENTS, max_depth)?;
    body.push(b']');
    if attachments.is_empty() {
        let start;
        (*scratch, start) = builder.finish_frame(&head(PacketKind::Ack));
        return Ok(Answer::Frame(start));
    }
    let kinds = [PacketKind::Ack, PacketKind::BinaryAck];
    Ok(Answer::Message(finish(
        builder,
        kinds,
        attachments,
        Kind::Control,
    )))
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
    max_depth: usize,
) -> Result<Encoded, EncodeError> {
    encode_value(
        namespace,
        PacketKind::Connect,
        payload,
        max_depth,
        |text| match text {
            b"null" => Some(0),
            [b'{', ..] => Some(text.len()),
            _ => None,
        },
    )
}

/// Encodes DISCONNECT.
#[must_use]
pub fn encode_disconnect(namespace: &str) -> Encoded {
    let builder = begin(namespace, None);
    builder.finish(&head(PacketKind::Disconnect), Vec::new(), Kind::Control)
}

/// Encodes the refusal of a CONNECT.
///
/// # Errors
///
/// When `payload` is neither an object nor a string, or cannot be sent.
pub fn encode_connect_error<P: Serialize + ?Sized>(
    namespace: &str,
    payload: &P,
    max_depth: usize,
) -> Result<Encoded, EncodeError> {
    encode_value(
        namespace,
        PacketKind::ConnectError,
        payload,
        max_depth,
        |text| matches!(text, [b'{' | b'"', ..]).then_some(text.len()),
    )
}

/// Encodes the refusal of a CONNECT for a client of Socket.IO 4, to whom it may be any value.
///
/// # Errors
///
/// When `payload` cannot be sent.
pub fn encode_error<P: Serialize + ?Sized>(
    namespace: &str,
    payload: &P,
    max_depth: usize,
) -> Result<Encoded, EncodeError> {
    encode_value(
        namespace,
        PacketKind::ConnectError,
        payload,
        max_depth,
        |text| Some(text.len()),
    )
}

/// Encodes a packet whose payload is one value. `keep` says how much of its text is sent, or that
/// such a packet cannot carry it.
fn encode_value<P: Serialize + ?Sized>(
    namespace: &str,
    kind: PacketKind,
    payload: &P,
    max_depth: usize,
    keep: impl FnOnce(&[u8]) -> Option<usize>,
) -> Result<Encoded, EncodeError> {
    let mut builder = begin(namespace, None);
    let body = builder.body();
    let start = body.len();
    serialize_value(body, payload, max_depth)?;
    let kept = keep(body.get(start..).unwrap_or_default()).ok_or(EncodeError::Shape(kind))?;
    body.truncate(start.saturating_add(kept));
    Ok(builder.finish(&head(kind), Vec::new(), Kind::Control))
}

/// Begins a packet with what stands between its head and its payload.
fn begin(namespace: &str, id: Option<AckId>) -> Builder {
    let size = namespace.len().saturating_add(USUAL_PAYLOAD);
    let mut builder = Builder::new(MAX_HEAD, size);
    begin_in(&mut builder, namespace, id);
    builder
}

#[inline]
fn begin_in(builder: &mut Builder, namespace: &str, id: Option<AckId>) {
    let body = builder.body();
    if namespace != "/" {
        body.extend_from_slice(namespace.as_bytes());
        body.push(b',');
    }
    if let Some(AckId(id)) = id {
        body.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
    }
}

/// Message type, packet type and "10-", which are known last.
const MAX_HEAD: usize = 5;

/// Puts the head in front, of the first kind without attachments and of the second one with some.
fn finish(
    builder: Builder,
    [text, binary]: [PacketKind; 2],
    attachments: Vec<Bytes>,
    kind: Kind,
) -> Encoded {
    if attachments.is_empty() {
        return builder.finish(&head(text), attachments, kind);
    }
    const { assert!(MAX_ATTACHMENTS < 100, "two digits are enough") };
    let [message, packet] = head(binary);
    let count = attachments.len();
    let digit = |value: usize| b'0' | (value % 10).to_le_bytes()[0];
    let head = [message, packet, digit(count / 10), digit(count), b'-'];
    if count < 10 {
        let [.., ones, end] = head;
        return builder.finish(&[message, packet, ones, end], attachments, kind);
    }
    builder.finish(&head, attachments, kind)
}

fn head(kind: PacketKind) -> [u8; 2] {
    [b'4', kind.as_digit()]
}
