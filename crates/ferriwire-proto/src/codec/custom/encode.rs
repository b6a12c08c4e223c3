//! Packets to messages: typed values become untyped ones, and the program writes them.

use serde::Serialize;

use super::{CustomCodec, Parts, UntypedBody, UntypedPacket, guarded};
use crate::codec::{EncodeError, msgpack};
use crate::encoded::{Builder, Encoded, Kind};
use crate::packet::{AckId, PacketKind, is_reserved};
use crate::value::Value;

pub(in crate::codec) fn encode_event<P: Serialize + ?Sized>(
    codec: &dyn CustomCodec,
    namespace: &str,
    id: Option<AckId>,
    name: &str,
    payload: &P,
    max_depth: usize,
) -> Result<Encoded, EncodeError> {
    if is_reserved(name) {
        return Err(EncodeError::ReservedName(name.to_owned()));
    }
    let body = UntypedBody::Event {
        id,
        name: name.to_owned(),
        args: msgpack::to_args(payload, max_depth)?,
    };
    write(codec, namespace, body, Kind::Event)
}

pub(in crate::codec) fn encode_ack<P: Serialize + ?Sized>(
    codec: &dyn CustomCodec,
    namespace: &str,
    id: AckId,
    payload: &P,
    max_depth: usize,
) -> Result<Encoded, EncodeError> {
    let args = msgpack::to_args(payload, max_depth)?;
    write(
        codec,
        namespace,
        UntypedBody::Ack { id, args },
        Kind::Control,
    )
}

pub(in crate::codec) fn encode_connect<P: Serialize + ?Sized>(
    codec: &dyn CustomCodec,
    namespace: &str,
    payload: &P,
    max_depth: usize,
) -> Result<Encoded, EncodeError> {
    let payload = Some(msgpack::to_value(payload, max_depth)?).filter(|payload| !payload.is_null());
    if payload.as_ref().is_some_and(|value| !is_object(value)) {
        return Err(EncodeError::Shape(PacketKind::Connect));
    }
    write(
        codec,
        namespace,
        UntypedBody::Connect(payload),
        Kind::Control,
    )
}

pub(in crate::codec) fn encode_disconnect(
    codec: &dyn CustomCodec,
    namespace: &str,
) -> Result<Encoded, EncodeError> {
    write(codec, namespace, UntypedBody::Disconnect, Kind::Control)
}

pub(in crate::codec) fn encode_connect_error<P: Serialize + ?Sized>(
    codec: &dyn CustomCodec,
    namespace: &str,
    payload: &P,
    max_depth: usize,
) -> Result<Encoded, EncodeError> {
    let payload = msgpack::to_value(payload, max_depth)?;
    if !is_object(&payload) && payload.as_str().is_none() {
        return Err(EncodeError::Shape(PacketKind::ConnectError));
    }
    write(
        codec,
        namespace,
        UntypedBody::ConnectError(payload),
        Kind::Control,
    )
}

pub(in crate::codec) fn encode_error<P: Serialize + ?Sized>(
    codec: &dyn CustomCodec,
    namespace: &str,
    payload: &P,
    max_depth: usize,
) -> Result<Encoded, EncodeError> {
    let body = UntypedBody::ConnectError(msgpack::to_value(payload, max_depth)?);
    write(codec, namespace, body, Kind::Control)
}

fn is_object(value: &Value) -> bool {
    value.as_object().is_some()
}

fn write(
    codec: &dyn CustomCodec,
    namespace: &str,
    body: UntypedBody,
    kind: Kind,
) -> Result<Encoded, EncodeError> {
    let packet = UntypedPacket {
        namespace: namespace.to_owned(),
        body,
    };
    let Parts { text, binary } = guarded(|| codec.encode(&packet)).map_err(EncodeError::Codec)?;
    match text {
        Some(text) => {
            let mut builder = Builder::new(MESSAGE.len(), text.len());
            builder.body().extend_from_slice(text.as_bytes());
            Ok(builder.finish(MESSAGE, binary, kind))
        }
        None if binary.is_empty() => Err(EncodeError::Codec("a packet without parts".to_owned())),
        None => Ok(Encoded::binary_packets(binary, kind)),
    }
}

/// The Engine.IO packet type of a message.
const MESSAGE: &[u8] = b"4";
