//! Messages to packets: the program reads them, and what it has read is judged.

use std::fmt;

use bytes::Bytes;

use super::{CustomCodec, CustomDecoder, UntypedBody, UntypedPacket, guarded};
use crate::codec::{Decoded, EncodeError, Limits, Violation, msgpack};
use crate::encoded::Encoded;
use crate::engine::Message;
use crate::value::{Args, Value};

/// How many times the size of the largest packet a program's codec may make of one, measured in
/// MessagePack. Formats that leave out names, or that are compressed, grow.
const GROWTH: usize = 4;

/// Reads packets with a program's codec.
///
/// Whatever comes out of that is written as MessagePack and read again, so that a packet is judged,
/// and its arguments are decoded, in one place.
pub struct Decoder {
    /// Nothing after a violation.
    program: Option<Program>,
    /// How many messages of the packet under way there were, and how many bytes they had.
    parts: usize,
    len: usize,
    packets: msgpack::Decoder,
}

impl Decoder {
    pub(in crate::codec) fn new(codec: &dyn CustomCodec) -> Self {
        Self {
            program: guarded(|| Ok(codec.decoder())).ok().map(Program::new),
            parts: 0,
            len: 0,
            packets: msgpack::Decoder::new(),
        }
    }

    /// Takes a message in.
    ///
    /// # Errors
    ///
    /// What the peer broke, as far as the program's codec or we can tell.
    pub fn decode<'a>(
        &'a mut self,
        message: Message<'_>,
        limits: &Limits,
    ) -> Result<Decoded<'a>, Violation> {
        let Some(mut program) = self.program.take() else {
            return Err(Violation::Codec("it has failed before".to_owned()));
        };
        self.count(&message, limits)?;
        let packet = program.decode(message).map_err(Violation::Codec)?;
        let Some(packet) = packet else {
            self.program = Some(program);
            return Ok(Decoded::Incomplete);
        };
        (self.parts, self.len) = (0, 0);
        let message = to_message(packet, limits.max_depth)?;
        let limits = Limits {
            max_packet: limits.max_packet.saturating_mul(GROWTH),
            ..*limits
        };
        let decoded = self.packets.decode(Message::Binary(message), &limits)?;
        self.program = Some(program);
        Ok(decoded)
    }

    /// Frees what the last packet was borrowed from, rather than when the next message comes.
    pub fn release(&mut self) {
        self.packets.release();
    }

    fn count(&mut self, message: &Message<'_>, limits: &Limits) -> Result<(), Violation> {
        let len = match message {
            Message::Text(text) => text.len(),
            Message::Binary(data) => data.len(),
        };
        self.len = self.len.saturating_add(len);
        if self.len > limits.max_packet {
            return Err(Violation::TooLarge {
                len: self.len,
                limit: limits.max_packet,
            });
        }
        // The first one needs not be an attachment.
        if self.parts > limits.max_attachments {
            return Err(Violation::TooManyAttachments {
                limit: limits.max_attachments,
            });
        }
        self.parts = self.parts.saturating_add(1);
        Ok(())
    }
}

/// The program's decoder. It may panic in its destructor as well, and that may be dropped while
/// another panic unwinds, when a second one would end the process.
struct Program(Option<Box<dyn CustomDecoder>>);

impl Program {
    fn new(decoder: Box<dyn CustomDecoder>) -> Self {
        Self(Some(decoder))
    }

    fn decode(&mut self, message: Message<'_>) -> Result<Option<UntypedPacket>, String> {
        guarded(|| match &mut self.0 {
            Some(decoder) => decoder.decode(message),
            None => Ok(None),
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let decoder = self.0.take();
        // Nobody is left to tell.
        let _ = guarded(|| {
            drop(decoder);
            Ok(())
        });
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("parts", &self.parts)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

fn to_message(packet: UntypedPacket, max_depth: usize) -> Result<Bytes, Violation> {
    let message = encode(&packet, max_depth).and_then(|encoded| {
        let message = encoded.attachments().next().cloned();
        message.ok_or_else(|| EncodeError::Codec("a packet without a form".to_owned()))
    });
    message.map_err(|error| {
        dismantle(packet.body);
        match error {
            EncodeError::TooDeep => Violation::TooDeep,
            EncodeError::ReservedName(name) => Violation::ReservedName(name),
            EncodeError::Shape(kind) => Violation::Shape(kind),
            EncodeError::TooManyAttachments
            | EncodeError::Binary
            | EncodeError::Serialize(_)
            | EncodeError::Codec(_) => Violation::Codec(error.to_string()),
        }
    })
}

fn encode(packet: &UntypedPacket, max_depth: usize) -> Result<Encoded, EncodeError> {
    let namespace = &packet.namespace;
    match &packet.body {
        UntypedBody::Connect(payload) => msgpack::encode_connect(namespace, payload, max_depth),
        UntypedBody::Disconnect => Ok(msgpack::encode_disconnect(namespace)),
        UntypedBody::Event { id, name, args } => {
            msgpack::encode_event(namespace, *id, name, args, max_depth)
        }
        UntypedBody::Ack { id, args } => msgpack::encode_ack(namespace, *id, args, max_depth),
        UntypedBody::ConnectError(payload) => {
            msgpack::encode_connect_error(namespace, payload, max_depth)
        }
    }
}

/// Drops a packet without recursion: nobody has bounded yet how deep it is.
fn dismantle(body: UntypedBody) {
    let mut values = match body {
        UntypedBody::Connect(payload) => payload.into_iter().collect(),
        UntypedBody::Disconnect => Vec::new(),
        UntypedBody::Event {
            args: Args(args), ..
        }
        | UntypedBody::Ack {
            args: Args(args), ..
        } => args,
        UntypedBody::ConnectError(payload) => vec![payload],
    };
    while let Some(value) = values.pop() {
        match value {
            Value::Array(items) => values.extend(items),
            Value::Object(entries) => values.extend(entries.into_values()),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Binary(_) => {}
        }
    }
}
