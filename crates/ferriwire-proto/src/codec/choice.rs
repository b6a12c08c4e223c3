//! Which encoding a server speaks, chosen when the program runs.

use std::sync::Arc;

use serde::Serialize;

use super::{CustomCodec, EncodeError, Limits, Violation, custom, json, msgpack};
use crate::encoded::Encoded;
use crate::engine::Message;
use crate::packet::{AckId, Packet};

/// How packets become messages, and messages packets. Both sides must choose the same one: nothing
/// on the wire says which it is. Mirrors the reference's option `parser`.
///
/// Typed values go straight to and from bytes in each of them.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Codec {
    /// Text, with attachments for binary data: what every client speaks unless told otherwise.
    #[default]
    Json,
    /// MessagePack: one binary message for each packet, as `socket.io-msgpack-parser` 3 has it.
    MessagePack,
    /// A program's own encoding. Payloads lose their types on the way, so it costs more than the others.
    Custom(Arc<dyn CustomCodec>),
}

impl Codec {
    /// A program's own encoding.
    #[must_use]
    pub fn custom(codec: impl CustomCodec) -> Self {
        Self::Custom(Arc::new(codec))
    }

    /// Whether events can be [stamped](Self::encode_stamped_event), as connection state recovery
    /// needs. A program's own codec has no place for an offset that could be filled in later.
    #[must_use]
    pub fn has_offsets(&self) -> bool {
        match self {
            Self::Json | Self::MessagePack => true,
            Self::Custom(_) => false,
        }
    }

    /// Reads packets of one connection.
    #[must_use]
    pub fn decoder(&self) -> Decoder {
        match self {
            Self::Json => Decoder::Json(json::Decoder::new()),
            Self::MessagePack => Decoder::MessagePack(Box::default()),
            Self::Custom(codec) => Decoder::Custom(Box::new(custom::Decoder::new(&**codec))),
        }
    }

    /// Encodes an event whose arguments are nested at most `max_depth` deep, and never deeper than
    /// [`MAX_DEPTH`](super::MAX_DEPTH). The same holds for the payloads of the others.
    ///
    /// # Errors
    ///
    /// When `name` is reserved, or `payload` cannot be sent.
    #[inline]
    pub fn encode_event<P: Serialize + ?Sized>(
        &self,
        namespace: &str,
        id: Option<AckId>,
        name: &str,
        payload: &P,
        max_depth: usize,
    ) -> Result<Encoded, EncodeError> {
        match self {
            Self::Json => json::encode_event(namespace, id, name, payload, max_depth),
            Self::MessagePack => msgpack::encode_event(namespace, id, name, payload, max_depth),
            Self::Custom(codec) => {
                custom::encode_event(&**codec, namespace, id, name, payload, max_depth)
            }
        }
    }

    /// Encodes an event that asks for no acknowledgement, with room for an offset behind its
    /// arguments: to be [stamped](Encoded::stamp) before it is sent.
    ///
    /// # Errors
    ///
    /// As [`encode_event`](Self::encode_event), and always when it [cannot](Self::has_offsets).
    pub fn encode_stamped_event<P: Serialize + ?Sized>(
        &self,
        namespace: &str,
        name: &str,
        payload: &P,
        max_depth: usize,
    ) -> Result<Encoded, EncodeError> {
        match self {
            Self::Json => json::encode_stamped_event(namespace, name, payload, max_depth),
            Self::MessagePack => msgpack::encode_stamped_event(namespace, name, payload, max_depth),
            Self::Custom(_) => Err(EncodeError::Codec(NO_OFFSETS.to_owned())),
        }
    }

    /// Encodes the answer to an event.
    ///
    /// # Errors
    ///
    /// When `payload` cannot be sent.
    pub fn encode_ack<P: Serialize + ?Sized>(
        &self,
        namespace: &str,
        id: AckId,
        payload: &P,
        max_depth: usize,
    ) -> Result<Encoded, EncodeError> {
        match self {
            Self::Json => json::encode_ack(namespace, id, payload, max_depth),
            Self::MessagePack => msgpack::encode_ack(namespace, id, payload, max_depth),
            Self::Custom(codec) => custom::encode_ack(&**codec, namespace, id, payload, max_depth),
        }
    }

    /// The same in memory that is used again and again: a text without attachments needs no other.
    ///
    /// # Errors
    ///
    /// When `payload` cannot be sent.
    #[inline]
    pub fn encode_answer<P: Serialize + ?Sized>(
        &self,
        scratch: &mut Vec<u8>,
        namespace: &str,
        id: AckId,
        payload: &P,
        max_depth: usize,
    ) -> Result<Answer, EncodeError> {
        match self {
            Self::Json => json::encode_answer(scratch, namespace, id, payload, max_depth),
            Self::MessagePack | Self::Custom(_) => {
                let message = self.encode_ack(namespace, id, payload, max_depth);
                message.map(Answer::Message)
            }
        }
    }

    /// Encodes CONNECT: from a client with what authenticates it, from a server with the socket's
    /// id. A payload that serialises as nothing, such as `()` or `None`, is left out.
    ///
    /// # Errors
    ///
    /// When `payload` is not an object, or cannot be sent.
    pub fn encode_connect<P: Serialize + ?Sized>(
        &self,
        namespace: &str,
        payload: &P,
        max_depth: usize,
    ) -> Result<Encoded, EncodeError> {
        match self {
            Self::Json => json::encode_connect(namespace, payload, max_depth),
            Self::MessagePack => msgpack::encode_connect(namespace, payload, max_depth),
            Self::Custom(codec) => custom::encode_connect(&**codec, namespace, payload, max_depth),
        }
    }

    /// Encodes DISCONNECT.
    ///
    /// # Errors
    ///
    /// Only a program's own codec refuses it.
    pub fn encode_disconnect(&self, namespace: &str) -> Result<Encoded, EncodeError> {
        match self {
            Self::Json => Ok(json::encode_disconnect(namespace)),
            Self::MessagePack => Ok(msgpack::encode_disconnect(namespace)),
            Self::Custom(codec) => custom::encode_disconnect(&**codec, namespace),
        }
    }

    /// Encodes the refusal of a CONNECT.
    ///
    /// # Errors
    ///
    /// When `payload` is neither an object nor a string, or cannot be sent.
    pub fn encode_connect_error<P: Serialize + ?Sized>(
        &self,
        namespace: &str,
        payload: &P,
        max_depth: usize,
    ) -> Result<Encoded, EncodeError> {
        match self {
            Self::Json => json::encode_connect_error(namespace, payload, max_depth),
            Self::MessagePack => msgpack::encode_connect_error(namespace, payload, max_depth),
            Self::Custom(codec) => {
                custom::encode_connect_error(&**codec, namespace, payload, max_depth)
            }
        }
    }

    /// Encodes the refusal of a CONNECT for a client of Socket.IO 4, to whom it may be any value.
    ///
    /// # Errors
    ///
    /// When `payload` cannot be sent.
    pub fn encode_error<P: Serialize + ?Sized>(
        &self,
        namespace: &str,
        payload: &P,
        max_depth: usize,
    ) -> Result<Encoded, EncodeError> {
        match self {
            Self::Json => json::encode_error(namespace, payload, max_depth),
            Self::MessagePack => msgpack::encode_error(namespace, payload, max_depth),
            Self::Custom(codec) => custom::encode_error(&**codec, namespace, payload, max_depth),
        }
    }
}

/// The answer to an event, as [`Codec::encode_answer`] leaves it.
#[derive(Debug)]
pub enum Answer {
    /// A text. Its WebSocket frame is what the memory holds from there on.
    Frame(usize),
    /// A message like any other.
    Message(Encoded),
}

const NO_OFFSETS: &str = "it has no place for an offset";

/// Puts the packets of one connection together from its messages.
///
/// Small while no packet is under way. After a violation it is empty, but the connection is over.
#[derive(Debug)]
#[non_exhaustive]
pub enum Decoder {
    /// Reads [`Codec::Json`].
    Json(json::Decoder),
    /// Reads [`Codec::MessagePack`].
    MessagePack(Box<msgpack::Decoder>),
    /// Reads [`Codec::Custom`].
    Custom(Box<custom::Decoder>),
}

impl Decoder {
    /// Takes a message in.
    ///
    /// # Errors
    ///
    /// What the peer broke.
    pub fn decode<'a>(
        &'a mut self,
        message: Message<'a>,
        limits: &Limits,
    ) -> Result<Decoded<'a>, Violation> {
        match self {
            Self::Json(decoder) => decoder.decode(message, limits),
            Self::MessagePack(decoder) => decoder.decode(message, limits),
            Self::Custom(decoder) => decoder.decode(message, limits),
        }
    }

    /// Frees what the last packet was borrowed from, rather than when the next message comes.
    pub fn release(&mut self) {
        match self {
            Self::Json(decoder) => decoder.release(),
            Self::MessagePack(decoder) => decoder.release(),
            Self::Custom(decoder) => decoder.release(),
        }
    }
}

/// What a message was.
#[derive(Debug)]
pub enum Decoded<'a> {
    /// A packet, or the last attachment of one.
    Packet(Packet<'a>),
    /// The first part of a packet whose attachments follow.
    Announced {
        /// Where it goes.
        namespace: &'a str,
    },
    /// An attachment that is not the last one.
    Attachment,
    /// A part of a packet that does not say yet what it is.
    Incomplete,
}
