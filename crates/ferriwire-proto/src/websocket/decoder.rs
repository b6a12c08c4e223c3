//! From bytes to messages and control frames (RFC 6455 sections 5.1 to 5.6).

mod direct;

use std::borrow::Cow;

use super::close::CloseFrame;
use super::deflate::Inflater;
use super::frame::{FIN, Header, MASKED, OpCode};
use super::mask::mask;
use super::message::Message;
use super::received::{PartialHeader, ReceivedHeader};
use super::violation::Violation;

/// Which end of the connection decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Frames from the peer must be masked.
    Server,
    /// Frames from the peer must not be masked.
    Client,
}

/// What a peer may make the decoder hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message in bytes; 1,000,000 unless told otherwise.
    pub max_message: usize,
    /// The largest number of fragments of a message, empty ones included; 0 for any, 1024 unless
    /// told otherwise.
    pub max_fragments: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 1_000_000,
            max_fragments: 1024,
        }
    }
}

/// Decodes what one peer sends, however it is cut into pieces.
///
/// ```text
///   +--> Header --> Payload --+--> close frame, violation --> finished
///   |                         |
///   +----- a frame ended -----+
/// ```
///
/// Work is linear in the bytes decoded. Memory is that of the messages which have not ended: between
/// messages there is none. After a close frame or a violation everything is consumed and dropped.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    limits: Limits,
    /// With permessage-deflate.
    inflater: Option<Inflater>,
    /// `None` once finished.
    stream: Option<Stream>,
    /// A control payload that arrives in pieces, kept while the last answer may borrow from it.
    control: Option<Box<ControlPayload>>,
}

impl Decoder {
    /// A decoder at the beginning of the stream behind the handshake.
    #[must_use]
    pub fn new(role: Role, limits: Limits) -> Self {
        Self {
            role,
            limits,
            inflater: None,
            stream: Some(Stream::default()),
            control: None,
        }
    }

    /// The same decoder, for a connection on which permessage-deflate was negotiated.
    ///
    /// A compressed message is held as it came until its end is there, so that what arrives slowly
    /// takes no more memory than it would without, and is then inflated at once.
    #[must_use]
    pub fn with_inflater(mut self, inflater: Option<Inflater>) -> Self {
        self.inflater = inflater;
        self
    }

    /// Consumes a prefix of `input`, unmasking it in place, and says what that completed.
    ///
    /// Without an item all of `input` is consumed. With one, call again with the rest of it, even
    /// if nothing is left: the call after an item releases what that item borrowed.
    pub fn decode<'a>(&'a mut self, input: &'a mut [u8]) -> Result<Decoded<'a>, Violation> {
        let input_len = input.len();
        let mut rest = input;
        match self.take_text(&mut rest)? {
            Some(text) => Ok(Decoded {
                consumed: input_len.saturating_sub(rest.len()),
                item: Some(Item::Text(Cow::Borrowed(text))),
            }),
            None => self.decode_any(rest),
        }
    }

    /// Takes the first frame off `input`, if it is all of a short text and lies there whole: what nearly
    /// every frame is. `None` says that it is for [`decode`](Self::decode), which takes all that there is.
    ///
    /// Nothing of the text is kept here, so that it may be handled while the decoder stays where it is.
    #[inline]
    pub fn take_text<'a>(
        &mut self,
        input: &mut &'a mut [u8],
    ) -> Result<Option<&'a str>, Violation> {
        let [WHOLE_TEXT, second, a, b, c, d, ..] = **input else {
            return Ok(None);
        };
        let len = usize::from(second & !MASKED);
        let end = len.saturating_add(SHORT_HEADER);
        let is_usual = self.role == Role::Server
            && second & MASKED != 0
            && len <= Header::MAX_CONTROL
            && len <= self.limits.max_message
            && end <= input.len()
            && self.stream.as_ref().is_some_and(Stream::is_idle);
        if !is_usual {
            return Ok(None);
        }
        let frame = input.split_off_mut(..end).unwrap_or_default();
        let payload = frame.get_mut(SHORT_HEADER..).unwrap_or_default();
        mask([a, b, c, d], 0, payload);
        match str::from_utf8(payload) {
            Ok(text) => Ok(Some(text)),
            Err(_) => {
                self.stream = None;
                Err(Violation::InvalidUtf8)
            }
        }
    }

    fn decode_any<'a>(&'a mut self, input: &'a mut [u8]) -> Result<Decoded<'a>, Violation> {
        if !self.stream.as_ref().is_some_and(Stream::is_within_control) {
            self.control = None;
        }
        let input_len = input.len();
        // Taken out, so that whatever leaves early leaves the decoder finished.
        let Some(mut stream) = self.stream.take() else {
            return Ok(Decoded {
                consumed: input_len,
                item: None,
            });
        };
        let mut rest = input;
        let item = loop {
            let deflate = self.inflater.is_some();
            let Some(mut frame) = stream.next_frame(&mut rest, self.role, self.limits, deflate)?
            else {
                break None;
            };
            let piece = frame.take_payload(&mut rest);
            match frame.opcode {
                OpCode::Continuation | OpCode::Text | OpCode::Binary => {
                    let item =
                        stream.handle_data(frame, piece, self.limits, self.inflater.as_ref())?;
                    if item.is_some() || rest.is_empty() {
                        break item;
                    }
                }
                OpCode::Ping => {
                    let payload = stream.handle_control(frame, piece, &mut self.control);
                    break payload.map(Item::Ping);
                }
                OpCode::Pong => {
                    let payload = stream.handle_control(frame, piece, &mut self.control);
                    break payload.map(Item::Pong);
                }
                OpCode::Close => {
                    let payload = stream.handle_control(frame, piece, &mut self.control);
                    break payload
                        .map(CloseFrame::decode)
                        .transpose()?
                        .map(Item::Close);
                }
            }
        };
        let consumed = input_len.saturating_sub(rest.len());
        if !matches!(item, Some(Item::Close(_))) {
            self.stream = Some(stream);
        }
        Ok(Decoded { consumed, item })
    }

    /// Whether a message has had its first fragment, and not its last.
    #[must_use]
    pub fn is_within_fragments(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(Stream::is_within_fragments)
    }

    /// Whether the last item has borrowed nothing that another call would release.
    #[must_use]
    #[inline]
    pub fn is_released(&self) -> bool {
        self.control.is_none()
    }

    /// Whether no part of a frame or of a message is held.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.stream.as_ref().is_none_or(Stream::is_idle)
    }
}

/// The first byte of a text that is one frame, and not compressed.
const WHOLE_TEXT: u8 = FIN | OpCode::Text.bits();

/// How long the header of a short frame with a mask is.
const SHORT_HEADER: usize = 6;

/// The answer of [`Decoder::decode`].
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// How many bytes of the input are done with.
    pub consumed: usize,
    /// What they completed; without it all of the input is consumed.
    pub item: Option<Item<'a>>,
}

/// A message or a control frame. Messages are borrowed from the input when all of their payload lay
/// in it, and owned when they had to be put together.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A text message.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// To be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// The answer to a ping, or unsolicited.
    Pong(&'a [u8]),
    /// The peer sends nothing more; it need not say why.
    Close(Option<CloseFrame<'a>>),
}

/// Where the peer's stream of frames stands.
#[derive(Debug, Default)]
struct Stream {
    position: Position,
    /// The data message that has begun. Control frames may stand between its fragments.
    message: Option<Message>,
}

impl Stream {
    /// The frame that the next bytes belong to, whose header is checked and taken off `rest`.
    fn next_frame(
        &mut self,
        rest: &mut &mut [u8],
        role: Role,
        limits: Limits,
        deflate: bool,
    ) -> Result<Option<Frame>, Violation> {
        let header = match &mut self.position {
            Position::Payload(frame) => {
                let frame = *frame;
                self.position = Position::default();
                return Ok(Some(frame));
            }
            Position::Header(partial) => match partial.complete(rest, role, deflate)? {
                Some(header) => header,
                None => return Ok(None),
            },
        };
        if let Some(message) = self.message_of(header)? {
            message.begin_fragment(header.payload_len, limits)?;
        }
        Frame::new(header, limits).map(Some)
    }

    /// The message that a data frame begins or continues.
    fn message_of(&mut self, header: ReceivedHeader) -> Result<Option<&mut Message>, Violation> {
        let begun = match header.opcode {
            OpCode::Close | OpCode::Ping | OpCode::Pong => return Ok(None),
            OpCode::Continuation => {
                let message = self.message.as_mut();
                return message.ok_or(Violation::NothingToContinue).map(Some);
            }
            OpCode::Text | OpCode::Binary if header.compressed => {
                Message::deflated(header.opcode == OpCode::Text)
            }
            OpCode::Text => Message::text(),
            OpCode::Binary => Message::binary(),
        };
        if self.message.is_some() {
            return Err(Violation::MessageInterrupted);
        }
        Ok(Some(self.message.insert(begun)))
    }

    /// Takes the next piece of a data frame's payload, which may be the last of its message.
    fn handle_data<'a>(
        &mut self,
        frame: Frame,
        piece: &'a [u8],
        limits: Limits,
        inflater: Option<&Inflater>,
    ) -> Result<Option<Item<'a>>, Violation> {
        // The header of every data frame has left a message here.
        let mut message = self.message.take().ok_or(Violation::NothingToContinue)?;
        if frame.fin && frame.remaining == 0 {
            return message.finish(piece, limits, inflater).map(Some);
        }
        message.append(piece, frame.fin.then_some(frame.remaining))?;
        self.message = Some(message);
        if frame.remaining > 0 {
            self.position = Position::Payload(frame);
        }
        Ok(None)
    }

    /// Takes the next piece of a control frame's payload, and gives the whole payload with the last.
    fn handle_control<'a>(
        &mut self,
        frame: Frame,
        piece: &'a [u8],
        control: &'a mut Option<Box<ControlPayload>>,
    ) -> Option<&'a [u8]> {
        if frame.remaining == 0 && frame.received == piece.len() {
            return Some(piece);
        }
        let payload = control.get_or_insert_default();
        payload.append(piece);
        if frame.remaining > 0 {
            self.position = Position::Payload(frame);
            return None;
        }
        Some(payload.as_bytes())
    }

    fn is_within_control(&self) -> bool {
        match &self.position {
            Position::Header(_) => false,
            Position::Payload(frame) => frame.opcode.is_control(),
        }
    }

    fn is_within_fragments(&self) -> bool {
        let within_first = match &self.position {
            Position::Header(_) => false,
            Position::Payload(frame) => !frame.opcode.is_control(),
        };
        let message = self.message.as_ref();
        message.is_some_and(|message| !within_first || message.fragments() > 1)
    }

    fn is_idle(&self) -> bool {
        let between_frames = match &self.position {
            Position::Header(partial) => partial.is_empty(),
            Position::Payload(_) => false,
        };
        between_frames && self.message.is_none()
    }
}

/// Within a header, of which nothing need have arrived, or within a payload.
#[derive(Debug)]
enum Position {
    Header(PartialHeader),
    Payload(Frame),
}

impl Default for Position {
    fn default() -> Self {
        Self::Header(PartialHeader::default())
    }
}

/// A frame whose payload is arriving.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: OpCode,
    fin: bool,
    key: [u8; 4],
    received: usize,
    remaining: usize,
}

impl Frame {
    fn new(header: ReceivedHeader, limits: Limits) -> Result<Self, Violation> {
        let declared = header.payload_len;
        let limit = limits.max_message;
        Ok(Self {
            opcode: header.opcode,
            fin: header.fin,
            key: header.key,
            received: 0,
            // Cannot fail behind the checks of the message and of control frames.
            remaining: usize::try_from(declared)
                .map_err(|_| Violation::MessageTooLarge { declared, limit })?,
        })
    }

    /// Takes what there is of the payload off `rest` and unmasks it.
    fn take_payload<'a>(&mut self, rest: &mut &'a mut [u8]) -> &'a [u8] {
        let len = self.remaining.min(rest.len());
        let piece = rest.split_off_mut(..len).unwrap_or_default();
        self.unmask(piece);
        piece
    }

    /// Takes what comes next of the payload.
    fn unmask(&mut self, piece: &mut [u8]) {
        mask(self.key, self.received, piece);
        self.received = self.received.saturating_add(piece.len());
        self.remaining = self.remaining.saturating_sub(piece.len());
    }
}

/// The payload of a control frame that arrives in pieces.
#[derive(Debug)]
struct ControlPayload {
    bytes: [u8; Header::MAX_CONTROL],
    len: usize,
}

impl ControlPayload {
    fn append(&mut self, piece: &[u8]) {
        let room = self.bytes.iter_mut().skip(self.len);
        for (room, byte) in room.zip(piece) {
            *room = *byte;
            self.len = self.len.saturating_add(1);
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Default for ControlPayload {
    fn default() -> Self {
        Self {
            bytes: [0; Header::MAX_CONTROL],
            len: 0,
        }
    }
}

#[cfg(test)]
mod tests;
