//! Messages to packets.

use std::borrow::Cow;

use bytes::Bytes;

use super::reader::{Reader, Token, malformed};
use crate::codec::{Arguments, Decoded, Limits, Payload, Violation, depth};
use crate::engine::Message;
use crate::packet::{AckId, Body, Packet, PacketKind, is_reserved};

/// Reads packets; each is one message.
#[derive(Debug, Default)]
pub struct Decoder {
    /// What the packet borrows from that was returned last.
    message: Bytes,
}

impl Decoder {
    /// A decoder.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            message: Bytes::new(),
        }
    }

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
        match message {
            Message::Text(_) => Err(Violation::UnexpectedText),
            Message::Binary(data) => {
                let (len, limit) = (data.len(), limits.max_packet);
                if len > limit {
                    return Err(Violation::TooLarge { len, limit });
                }
                self.message = data;
                let entries = Entries::read(&self.message, depth::capped(limits.max_depth))?;
                entries.packet(limits).map(Decoded::Packet)
            }
        }
    }

    /// Frees what the last packet was borrowed from, rather than when the next message comes.
    pub fn release(&mut self) {
        self.message = Bytes::new();
    }
}

/// A value and the place where it begins.
type Entry<'a> = Option<(Token<'a>, Reader<'a>)>;

/// What a packet may consist of; anything else in it is ignored.
#[derive(Default)]
struct Entries<'a> {
    kind: Entry<'a>,
    namespace: Entry<'a>,
    data: Entry<'a>,
    id: Entry<'a>,
}

impl<'a> Entries<'a> {
    /// Walks through the whole message.
    fn read(message: &'a Bytes, max_depth: usize) -> Result<Self, Violation> {
        let mut reader = Reader::new(message, 0);
        let Token::Map(len) = reader.next()? else {
            return Err(malformed("a packet is no map"));
        };
        let mut entries = Self::default();
        for _ in 0..len {
            let entry = match reader.key()? {
                Token::String("type") => Some(&mut entries.kind),
                Token::String("nsp") => Some(&mut entries.namespace),
                Token::String("data") => Some(&mut entries.data),
                Token::String("id") => Some(&mut entries.id),
                _ => None,
            };
            let start = reader;
            let token = reader.next()?;
            reader = start;
            if let Some(entry) = entry {
                // The reference takes the last one; two readers could disagree.
                if entry.is_some() {
                    return Err(malformed("an entry of the packet is there twice"));
                }
                *entry = Some((token, start));
                // A list of arguments is one level around them.
                skip_entry(&mut reader, token, max_depth)?;
            } else {
                reader.skip(max_depth)?;
            }
        }
        if !reader.is_at_end() {
            return Err(malformed("something follows the packet"));
        }
        // What JavaScript leaves undefined is not there.
        for entry in [&mut entries.data, &mut entries.id] {
            entry.take_if(|(token, _)| *token == Token::Undefined);
        }
        Ok(entries)
    }

    fn packet(self, limits: &Limits) -> Result<Packet<'a>, Violation> {
        let kind = self.kind.and_then(|(token, _)| integer(token));
        let kind = match kind.ok_or(Violation::UnknownType)? {
            0 => PacketKind::Connect,
            1 => PacketKind::Disconnect,
            2 => PacketKind::Event,
            3 => PacketKind::Ack,
            4 => PacketKind::ConnectError,
            _ => return Err(Violation::UnknownType),
        };
        let Some((Token::String(namespace), _)) = self.namespace else {
            return Err(malformed("a packet without a namespace"));
        };
        let id = match self.id {
            None => None,
            Some((token, _)) => {
                let id = integer(token).map(AckId).filter(|id| *id <= AckId::MAX);
                Some(id.ok_or(Violation::AckId)?)
            }
        };
        let shape = Violation::Shape(kind);
        let body = match (kind, self.data) {
            (PacketKind::Connect, None) => Body::Connect(None),
            (PacketKind::Connect, Some((Token::Map(_), start))) => {
                Body::Connect(Some(payload(start)))
            }
            (PacketKind::Disconnect, None) => Body::Disconnect,
            (PacketKind::ConnectError, Some((Token::Map(_) | Token::String(_), start))) => {
                Body::ConnectError(payload(start))
            }
            (PacketKind::Event, Some((Token::Array(len), start))) => event(id, start, len, limits)?,
            (PacketKind::Ack, Some((Token::Array(len), mut start))) => {
                start.next()?;
                Body::Ack {
                    id: id.ok_or(Violation::AckId)?,
                    arguments: arguments(start, len, limits)?,
                }
            }
            _ => return Err(shape),
        };
        Ok(Packet { namespace, body })
    }
}

/// Goes past one entry of the packet. The depth of arguments is counted in each of them.
fn skip_entry<'a>(
    reader: &mut Reader<'a>,
    token: Token<'a>,
    max_depth: usize,
) -> Result<(), Violation> {
    let Token::Array(len) = token else {
        return reader.skip(max_depth);
    };
    reader.next()?;
    for _ in 0..len {
        reader.skip(max_depth)?;
    }
    Ok(())
}

fn payload(start: Reader<'_>) -> Payload<'_> {
    Payload::MessagePack(Arguments::in_message(start.list(1), 1))
}

fn event<'a>(
    id: Option<AckId>,
    mut start: Reader<'a>,
    len: usize,
    limits: &Limits,
) -> Result<Body<'a>, Violation> {
    let shape = Violation::Shape(PacketKind::Event);
    let Some(len) = len.checked_sub(1) else {
        return Err(shape);
    };
    start.next()?;
    let name = match start.next()? {
        Token::String(name) => Cow::Borrowed(name),
        // In the form that JavaScript gives a number as the name of a property.
        Token::Unsigned(name) => Cow::Owned(name.to_string()),
        Token::Signed(name) => Cow::Owned(name.to_string()),
        Token::Float(name) if name.is_finite() => Cow::Owned(name.to_string()),
        _ => return Err(shape),
    };
    let (size, limit) = (name.len(), limits.max_event_name);
    if size > limit {
        return Err(Violation::NameTooLong { len: size, limit });
    }
    if is_reserved(&name) {
        return Err(Violation::ReservedName(name.into_owned()));
    }
    Ok(Body::Event {
        id,
        name,
        arguments: arguments(start, len, limits)?,
    })
}

fn arguments<'a>(
    start: Reader<'a>,
    len: usize,
    limits: &Limits,
) -> Result<Arguments<'a>, Violation> {
    let limit = limits.max_arguments;
    if len > limit {
        return Err(Violation::TooManyArguments { limit });
    }
    Ok(Arguments::in_message(start.list(len), limit))
}

/// A whole number that is not negative. Some encoders know no other numbers than floating point.
fn integer(token: Token<'_>) -> Option<u64> {
    match token {
        Token::Unsigned(value) => Some(value),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole and in range"
        )]
        Token::Float(value) if value.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&value) => {
            Some(value as u64)
        }
        _ => None,
    }
}

/// Up to here every whole number has a floating point form of its own.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;
