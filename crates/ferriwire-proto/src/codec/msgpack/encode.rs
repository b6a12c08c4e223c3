//! Packets to messages.

use bytes::Bytes;
use serde::Serialize;

use super::serialize::{ValueWriter, serialize_arguments};
use super::write;
use crate::codec::{EncodeError, depth};
use crate::encoded::{Encoded, Kind};
use crate::log::Offset;
use crate::packet::{AckId, PacketKind, is_reserved};

/// A guess of how large a packet is, so that most are written without growing the buffer.
const USUAL_PACKET: usize = 256;

/// Encodes an event.
///
/// # Errors
///
/// When `name` is reserved, or `payload` cannot be sent.
pub fn encode_event<P: Serialize + ?Sized>(
    namespace: &str,
    id: Option<AckId>,
    name: &str,
    payload: &P,
    max_depth: usize,
) -> Result<Encoded, EncodeError> {
    if is_reserved(name) {
        return Err(EncodeError::ReservedName(name.to_owned()));
    }
    let mut packet = Packet::begin(PacketKind::Event, 3 + usize::from(id.is_some()));
    packet.arguments(Some(name), payload, max_depth, None)?;
    if let Some(id) = id {
        packet.id(id);
    }
    Ok(packet.finish(namespace, Kind::Event))
}

/// Encodes an event that asks for no acknowledgement, with room for an offset as its last argument:
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
    if is_reserved(name) {
        return Err(EncodeError::ReservedName(name.to_owned()));
    }
    let mut packet = Packet::begin(PacketKind::Event, 3);
    packet.arguments(Some(name), payload, max_depth, Some(ROOM_FOR_OFFSET))?;
    let arguments_end = packet.buffer.len();
    packet.namespace(namespace);
    let behind = packet.buffer.len().saturating_sub(arguments_end);
    Ok(packet.encoded(Kind::Event).with_slot(behind))
}

/// Text of the length that an offset has, to be overwritten.
const ROOM_FOR_OFFSET: &str = "----------------";
const _: () = assert!(ROOM_FOR_OFFSET.len() == Offset::LEN);

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
    let mut packet = Packet::begin(PacketKind::Ack, 4);
    packet.arguments(None, payload, max_depth, None)?;
    packet.id(id);
    Ok(packet.finish(namespace, Kind::Control))
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
    let data = serialize_value(payload, max_depth)?;
    let kind = PacketKind::Connect;
    match data.first() {
        Some(&NIL) => Ok(Packet::begin(kind, 2).finish(namespace, Kind::Control)),
        Some(first) if is_map(*first) => {
            let mut packet = Packet::begin(kind, 3);
            packet.data(&data);
            Ok(packet.finish(namespace, Kind::Control))
        }
        Some(_) | None => Err(EncodeError::Shape(kind)),
    }
}

/// Encodes DISCONNECT.
#[must_use]
pub fn encode_disconnect(namespace: &str) -> Encoded {
    Packet::begin(PacketKind::Disconnect, 2).finish(namespace, Kind::Control)
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
    let data = serialize_value(payload, max_depth)?;
    let kind = PacketKind::ConnectError;
    if !data
        .first()
        .is_some_and(|first| is_map(*first) || is_string(*first))
    {
        return Err(EncodeError::Shape(kind));
    }
    Ok(refusal(namespace, &data))
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
    Ok(refusal(namespace, &serialize_value(payload, max_depth)?))
}

fn refusal(namespace: &str, data: &[u8]) -> Encoded {
    let mut packet = Packet::begin(PacketKind::ConnectError, 3);
    packet.data(data);
    packet.finish(namespace, Kind::Control)
}

/// A packet that is being written, its entries in the order of the reference.
struct Packet {
    buffer: Vec<u8>,
}

impl Packet {
    fn begin(kind: PacketKind, entries: usize) -> Self {
        let mut buffer = Vec::with_capacity(USUAL_PACKET);
        write::map(&mut buffer, entries);
        write::string(&mut buffer, "type");
        write::unsigned(&mut buffer, u64::from(kind.as_digit() - b'0'));
        Self { buffer }
    }

    fn arguments<P: Serialize + ?Sized>(
        &mut self,
        name: Option<&str>,
        payload: &P,
        max_depth: usize,
        last: Option<&str>,
    ) -> Result<(), EncodeError> {
        let buffer = &mut self.buffer;
        write::string(buffer, "data");
        let header = buffer.len();
        // How many arguments there are is known at their end, but nearly always this is right.
        write::array(buffer, 0);
        if let Some(name) = name {
            write::string(buffer, name);
        }
        let count = serialize_arguments(buffer, payload, max_depth)?;
        if let Some(last) = last {
            write::string(buffer, last);
        }
        let around = usize::from(name.is_some()).saturating_add(last.is_some().into());
        let len = count.saturating_add(around);
        match (len, buffer.get_mut(header)) {
            (0..=0x0f, Some(place)) => *place |= len.to_le_bytes()[0],
            _ => {
                let mut announced = Vec::new();
                write::array(&mut announced, len);
                buffer.splice(header..=header, announced);
            }
        }
        Ok(())
    }

    fn data(&mut self, data: &[u8]) {
        write::string(&mut self.buffer, "data");
        self.buffer.extend_from_slice(data);
    }

    fn id(&mut self, id: AckId) {
        write::string(&mut self.buffer, "id");
        write::unsigned(&mut self.buffer, id.0);
    }

    fn namespace(&mut self, namespace: &str) {
        write::string(&mut self.buffer, "nsp");
        write::string(&mut self.buffer, namespace);
    }

    fn finish(mut self, namespace: &str, kind: Kind) -> Encoded {
        self.namespace(namespace);
        self.encoded(kind)
    }

    fn encoded(self, kind: Kind) -> Encoded {
        Encoded::binary_packet(Bytes::from(self.buffer), kind)
    }
}

pub(super) fn serialize_value<P: Serialize + ?Sized>(
    payload: &P,
    max_depth: usize,
) -> Result<Vec<u8>, EncodeError> {
    let mut data = Vec::new();
    payload.serialize(ValueWriter {
        out: &mut data,
        left: depth::capped(max_depth),
    })?;
    Ok(data)
}

const NIL: u8 = 0xc0;

fn is_map(first: u8) -> bool {
    matches!(first, 0x80..=0x8f | 0xde | 0xdf)
}

fn is_string(first: u8) -> bool {
    matches!(first, 0xa0..=0xbf | 0xd9..=0xdb)
}
