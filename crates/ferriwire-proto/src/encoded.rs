//! One outgoing message and its wire forms, each made at most once.
//!
//! A message is serialised with room in front, so that the WebSocket header, the Engine.IO packet
//! type, the Socket.IO packet header and the payload end up in one contiguous buffer. A server's
//! frames carry no mask, so every receiver of a broadcast shares that buffer.

mod attachment;
mod deflated;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use self::attachment::Attachment;
use self::deflated::DeflatedFrame;
use crate::engine::Dialect;
use crate::engine::queue::Overflow;
use crate::log::Offset;
use crate::websocket::Deflater;
use crate::websocket::frame::{Header, OpCode, text_frame_lens};

/// The Engine.IO packet type of a message, its first character.
const MESSAGE: &[u8] = b"4";

/// An outgoing message, ready to be written to any number of receivers.
///
/// It consists of at most one text and any number of binary messages that follow it
/// without anything in between.
#[derive(Debug)]
pub struct Encoded {
    /// Unused room, then the WebSocket header, then the text of the Engine.IO packet.
    buffer: Vec<u8>,
    /// Where the WebSocket header begins. Equal to the length of `buffer` when there is no text.
    frame_start: usize,
    /// Where the text of the Engine.IO packet begins.
    text_start: usize,
    attachments: Vec<Attachment>,
    kind: Kind,
    /// How many bytes stand behind the room that was left for an offset: in the text, or in the
    /// binary message if there is no text.
    slot: Option<usize>,
    waiting: Waiting,
    /// Whether a transport that compresses may compress this one.
    compress: bool,
    /// The frame of the text, compressed.
    deflated: DeflatedFrame,
}

/// How an event waits in a queue, if not like any other.
#[derive(Debug, Default)]
struct Waiting {
    overflow: Option<Overflow>,
    conflation_key: Option<Arc<str>>,
}

/// What an encoded message is, as far as queueing is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A user's event: policies of a full queue may drop it.
    Event,
    /// Anything that must not be dropped: CONNECT, DISCONNECT, acknowledgements, handshakes.
    Control,
    /// A complete WebSocket control frame, without a form on other transports.
    ControlFrame,
}

impl Encoded {
    /// A text message of the layer above Engine.IO.
    #[must_use]
    pub fn text_message(text: &str) -> Self {
        let mut builder = Builder::new(MESSAGE.len(), text.len());
        builder.body().extend_from_slice(text.as_bytes());
        builder.finish(MESSAGE, Vec::new(), Kind::Event)
    }

    /// A binary message of the layer above Engine.IO.
    #[must_use]
    pub fn binary_message(data: Bytes) -> Self {
        Self::binary_packet(data, Kind::Event)
    }

    /// A packet of the layer above Engine.IO that is one binary message.
    #[must_use]
    pub fn binary_packet(data: Bytes, kind: Kind) -> Self {
        Self::binary_packets(vec![data], kind)
    }

    /// A packet of the layer above Engine.IO that is several binary messages, at least one.
    #[must_use]
    pub fn binary_packets(data: Vec<Bytes>, kind: Kind) -> Self {
        Self {
            buffer: Vec::new(),
            frame_start: 0,
            text_start: 0,
            attachments: data.into_iter().map(Attachment::new).collect(),
            kind,
            waiting: Waiting::default(),
            slot: None,
            compress: true,
            deflated: DeflatedFrame::default(),
        }
    }

    /// A whole Engine.IO packet as text, its type included.
    #[must_use]
    pub fn engine_packet(text: &str) -> Self {
        let mut builder = Builder::new(0, text.len());
        builder.body().extend_from_slice(text.as_bytes());
        builder.finish(&[], Vec::new(), Kind::Control)
    }

    /// A message of a bare WebSocket, without the Engine.IO packet type.
    #[must_use]
    pub fn websocket_text(text: &str) -> Self {
        Self::engine_packet(text)
    }

    /// A text of the server's own, such as an acknowledgement, from its whole WebSocket frame.
    #[must_use]
    pub(crate) fn of_text_frame(frame: &[u8]) -> Self {
        let header = text_frame_lens(frame).map_or(0, |(header, _)| header);
        let text = frame.get(header..).unwrap_or_default();
        let mut builder = Builder::new(0, text.len());
        builder.body().extend_from_slice(text);
        builder.finish(&[], Vec::new(), Kind::Control)
    }

    /// A WebSocket control frame: `payload` is cut at the 125 bytes that such a frame may carry.
    #[must_use]
    pub fn control_frame(opcode: OpCode, payload: &[u8]) -> Self {
        let payload = payload.get(..Header::MAX_CONTROL).unwrap_or(payload);
        let header = Header::new(opcode, payload.len());
        let mut buffer = header.as_bytes().to_vec();
        buffer.extend_from_slice(payload);
        Self {
            text_start: header.as_bytes().len(),
            frame_start: 0,
            buffer,
            attachments: Vec::new(),
            kind: Kind::ControlFrame,
            waiting: Waiting::default(),
            slot: None,
            compress: false,
            deflated: DeflatedFrame::default(),
        }
    }

    /// Notes that [`Offset::LEN`] bytes were left for an offset, with `behind` bytes after them: in
    /// the text, or in the binary message if there is no text.
    #[must_use]
    pub fn with_slot(mut self, behind: usize) -> Self {
        self.slot = Some(behind);
        self
    }

    /// Whether room was left for an offset.
    #[must_use]
    pub fn has_slot(&self) -> bool {
        self.slot.is_some()
    }

    /// Writes an offset into the room that was left for it. No length changes, so nothing else does.
    pub fn stamp(&mut self, offset: Offset) {
        let Some(behind) = self.slot else { return };
        let text = offset.encode();
        let write = |bytes: &mut [u8]| {
            let end = bytes.len().checked_sub(behind)?;
            let start = end.checked_sub(Offset::LEN)?;
            bytes.get_mut(start..end)?.copy_from_slice(&text);
            Some(())
        };
        let written = if self.text().is_empty() {
            self.attachments.first_mut().and_then(|message| {
                let data = std::mem::take(&mut message.data);
                // Nobody else has it yet, so nothing is copied.
                let mut data = data
                    .try_into_mut()
                    .unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
                let written = write(&mut data);
                message.data = data.freeze();
                written
            })
        } else {
            write(&mut self.buffer)
        };
        debug_assert!(written.is_some(), "the slot lies within the message");
    }

    /// What it is, as far as queueing is concerned.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What becomes of it in a full queue, if not what becomes of other events there. Only events may
    /// be dropped: for anything else this changes nothing.
    #[must_use]
    pub fn with_overflow(mut self, overflow: Option<Overflow>) -> Self {
        self.waiting.overflow = overflow;
        self
    }

    /// While it waits, a later event with the same key takes its place.
    #[must_use]
    pub fn with_conflation_key(mut self, key: Option<Arc<str>>) -> Self {
        self.waiting.conflation_key = key;
        self
    }

    /// What [`with_overflow`](Self::with_overflow) set.
    #[must_use]
    pub fn overflow(&self) -> Option<Overflow> {
        self.waiting.overflow
    }

    /// What [`with_conflation_key`](Self::with_conflation_key) set; nothing for what is no event.
    #[must_use]
    pub fn conflation_key(&self) -> Option<&Arc<str>> {
        let key = self.waiting.conflation_key.as_ref();
        key.filter(|_| self.kind == Kind::Event)
    }

    /// The same message, to be compressed by transports that compress, or to be left as it is.
    #[must_use]
    pub fn with_compress(mut self, compress: bool) -> Self {
        self.compress = compress && self.kind != Kind::ControlFrame;
        self
    }

    /// Whether a transport that compresses may compress it: the default, but for control frames,
    /// which are never compressed (RFC 7692, section 5.1).
    #[must_use]
    pub fn compress(&self) -> bool {
        self.compress
    }

    /// The text of the Engine.IO packet with its type; empty for a purely binary message.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.buffer.get(self.text_start..).unwrap_or_default()
    }

    /// The binary messages behind the text, in order.
    pub fn attachments(&self) -> impl ExactSizeIterator<Item = &Bytes> {
        self.attachments.iter().map(|attachment| &attachment.data)
    }

    /// The binary messages behind the text in base64, each made once for all receivers.
    pub fn base64_attachments(&self) -> impl Iterator<Item = &str> {
        self.attachments.iter().map(Attachment::base64)
    }

    /// Makes the compressed forms of its WebSocket frames, those that are not made, and says whether
    /// there is any: for that a frame has to be long enough, and to become smaller. Base64, and binary
    /// frames of revision 3, are not compressed.
    pub fn deflate(&self, deflater: Deflater, dialect: Dialect) -> bool {
        if !self.compress {
            return false;
        }
        let text = self.text();
        let text = !text.is_empty() && self.deflated.make(deflater, OpCode::Text, text);
        let attachments = self.attachments.iter();
        attachments.fold(text, |any, attachment| {
            attachment.deflate(deflater, dialect) || any
        })
    }

    /// How many bytes its WebSocket frames take where those that have a compressed form are in it.
    #[must_use]
    pub fn deflated_len_in(&self, dialect: Dialect) -> usize {
        let pieces = self.deflated_pieces_in(dialect);
        pieces.fold(0, |sum, piece| sum.saturating_add(piece.len()))
    }

    /// The contiguous pieces of its WebSocket form, in order, none of them empty, each frame compressed
    /// that has a compressed form.
    pub fn deflated_pieces_in(&self, dialect: Dialect) -> impl Iterator<Item = &[u8]> {
        let text = || self.buffer.get(self.frame_start..).unwrap_or_default();
        let attachments = self.attachments.iter().flat_map(move |attachment| {
            match attachment.deflated(dialect) {
                Some(frame) => [frame, &[]],
                None => attachment.pieces(dialect),
            }
        });
        std::iter::once(self.deflated.get().unwrap_or_else(text))
            .chain(attachments)
            .filter(|piece| !piece.is_empty())
    }

    /// Its one WebSocket frame, if it is a text of at most `max` bytes that waits in a queue like any
    /// other and looks the same in every dialect.
    pub(crate) fn small_frame(&self, max: usize) -> Option<&[u8]> {
        let is_plain = self.kind != Kind::ControlFrame
            && self.attachments.is_empty()
            && self.compress
            && self.waiting.conflation_key.is_none();
        let frame = self.buffer.get(self.frame_start..)?;
        (is_plain && frame.len() <= max).then_some(frame)
    }

    /// How many bytes all its WebSocket frames take in revision 4.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len_in(Dialect::default())
    }

    /// How many bytes all its WebSocket frames take, the measure of every bound on queues.
    #[must_use]
    pub fn len_in(&self, dialect: Dialect) -> usize {
        let text = self.buffer.len().saturating_sub(self.frame_start);
        let sizes = self.attachments.iter();
        let sizes = sizes.map(|attachment| attachment.len(dialect));
        sizes.fold(text, usize::saturating_add)
    }

    /// Whether it has nothing to write at all, which no constructor makes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The contiguous pieces of its WebSocket form in revision 4, in order, none of them empty.
    pub fn websocket_pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.websocket_pieces_in(Dialect::default())
    }

    /// The contiguous pieces of its WebSocket form, in order, none of them empty.
    pub fn websocket_pieces_in(&self, dialect: Dialect) -> impl Iterator<Item = &[u8]> {
        (0..)
            .map_while(move |index| self.piece(index, dialect))
            .filter(|piece| !piece.is_empty())
    }

    /// One of these pieces, or one that is left out there because it is empty.
    pub(crate) fn piece(&self, index: usize, dialect: Dialect) -> Option<&[u8]> {
        let Some(behind) = index.checked_sub(1) else {
            return Some(self.buffer.get(self.frame_start..).unwrap_or_default());
        };
        let attachment = self.attachments.get(behind / 2)?;
        let [head, data] = attachment.pieces(dialect);
        Some(if behind.is_multiple_of(2) { head } else { data })
    }
}

/// Builds a message from its end: the body first, what stands before it once that is known.
#[derive(Debug)]
pub struct Builder {
    buffer: Vec<u8>,
    body_start: usize,
}

impl Builder {
    /// Leaves room for a head of at most `max_head` bytes; `body_size` is a guess.
    #[must_use]
    pub fn new(max_head: usize, body_size: usize) -> Self {
        let body_start = Header::MAX_LEN.saturating_add(max_head);
        let buffer = Vec::with_capacity(body_start.saturating_add(body_size));
        Self::within(buffer, max_head)
    }

    /// The same in memory that was used before.
    #[must_use]
    #[inline]
    pub(crate) fn within(mut buffer: Vec<u8>, max_head: usize) -> Self {
        let body_start = Header::MAX_LEN.saturating_add(max_head);
        buffer.clear();
        buffer.resize(body_start, 0);
        Self { buffer, body_start }
    }

    /// Where the body is appended.
    pub fn body(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Puts `head` in front of the body and the WebSocket header in front of that.
    ///
    /// `head` begins with the Engine.IO packet type. One that is longer than the room left for it
    /// still works, at the price of moving the body.
    #[must_use]
    pub fn finish(mut self, head: &[u8], attachments: Vec<Bytes>, kind: Kind) -> Encoded {
        let (frame_start, text_start) = self.complete(head);
        let attachments = if attachments.is_empty() {
            Vec::new()
        } else {
            attachments.into_iter().map(Attachment::new).collect()
        };
        Encoded {
            buffer: self.buffer,
            frame_start,
            text_start,
            attachments,
            kind,
            waiting: Waiting::default(),
            slot: None,
            compress: true,
            deflated: DeflatedFrame::default(),
        }
    }

    /// The same without anything around it: the memory, and where the WebSocket frame begins in it.
    #[must_use]
    #[inline]
    pub(crate) fn finish_frame(mut self, head: &[u8]) -> (Vec<u8>, usize) {
        let (frame_start, _) = self.complete(head);
        (self.buffer, frame_start)
    }

    /// Puts the head and the WebSocket header in front, and says where the header and the text begin.
    #[inline]
    fn complete(&mut self, head: &[u8]) -> (usize, usize) {
        let text_start = put_before(&mut self.buffer, self.body_start, head);
        let header = Header::new(OpCode::Text, self.buffer.len().saturating_sub(text_start));
        let frame_start = put_before(&mut self.buffer, text_start, header.as_bytes());
        // A head that outgrew its room has shifted everything behind it.
        (
            frame_start,
            frame_start.saturating_add(header.as_bytes().len()),
        )
    }
}

/// Writes `piece` so that it ends at `end`, and returns where it begins.
#[inline]
fn put_before(buffer: &mut Vec<u8>, end: usize, piece: &[u8]) -> usize {
    let Some(start) = end.checked_sub(piece.len()) else {
        buffer.splice(..end, piece.iter().copied());
        return 0;
    };
    if let Some(room) = buffer.get_mut(start..end) {
        room.copy_from_slice(piece);
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Epoch;

    fn frames(encoded: &Encoded) -> Vec<u8> {
        encoded.websocket_pieces().flatten().copied().collect()
    }

    #[test]
    fn a_text_message_is_one_contiguous_frame() {
        let encoded = Encoded::text_message("hello");
        assert_eq!(encoded.text(), b"4hello");
        assert_eq!(frames(&encoded), b"\x81\x064hello");
        assert_eq!(encoded.websocket_pieces().count(), 1);
        assert_eq!(encoded.len(), 8);
    }

    #[test]
    fn lengths_choose_the_shortest_header() {
        for (len, header) in [(124, 2), (125, 4), (65_534, 4), (65_535, 10)] {
            let encoded = Encoded::text_message(&"x".repeat(len));
            assert_eq!(encoded.len(), header + 1 + len, "message of {len}");
        }
    }

    #[test]
    fn attachments_follow_the_text_as_binary_frames() {
        let mut builder = Builder::new(16, 0);
        builder.body().extend_from_slice(b"[\"e\"]");
        let attachments = vec![Bytes::from_static(&[1, 2]), Bytes::new()];
        let encoded = builder.finish(b"452-", attachments, Kind::Event);
        assert_eq!(
            frames(&encoded),
            b"\x81\x09452-[\"e\"]\x82\x02\x01\x02\x82\x00"
        );
        assert_eq!(encoded.len(), frames(&encoded).len());
    }

    #[test]
    fn an_offset_is_stamped_into_the_room_left_for_it() {
        let offset = Offset {
            epoch: Epoch([7; 6]),
            seq: 1_000_000,
        };
        let stamp = std::str::from_utf8(&offset.encode()).unwrap().to_owned();
        let mut builder = Builder::new(0, 0);
        let room = "x".repeat(Offset::LEN);
        builder
            .body()
            .extend_from_slice(format!("[\"e\",\"{room}\"]").as_bytes());
        let mut text = builder.finish(b"42", Vec::new(), Kind::Event).with_slot(2);
        let len = text.len();
        text.stamp(offset);
        assert_eq!(text.text(), format!("42[\"e\",\"{stamp}\"]").as_bytes());
        assert_eq!(text.len(), len);

        let data = Bytes::from(format!("\x01{room}\x02\x03").into_bytes());
        let mut binary = Encoded::binary_message(data).with_slot(2);
        binary.stamp(offset);
        let data = binary.attachments().next().unwrap();
        assert_eq!(**data, *format!("\x01{stamp}\x02\x03").as_bytes());

        let mut without = Encoded::text_message("hello");
        without.stamp(offset);
        assert_eq!(without.text(), b"4hello");
    }

    #[test]
    fn a_head_longer_than_its_room_moves_the_body() {
        let mut builder = Builder::new(2, 0);
        builder.body().extend_from_slice(b"body");
        let head = "42/a-namespace-that-is-longer-than-expected,";
        let encoded = builder.finish(head.as_bytes(), Vec::new(), Kind::Event);
        assert_eq!(encoded.text(), format!("{head}body").as_bytes());
        assert_eq!(frames(&encoded).get(2..), Some(encoded.text()));
    }

    #[test]
    fn everything_may_be_compressed_but_control_frames_and_what_asks_not_to_be() {
        assert!(Encoded::text_message("hello").compress());
        assert!(Encoded::binary_message(Bytes::from_static(&[1])).compress());
        assert!(
            !Encoded::text_message("hello")
                .with_compress(false)
                .compress()
        );
        let ping = Encoded::control_frame(OpCode::Ping, b"");
        assert!(!ping.compress());
        assert!(!ping.with_compress(true).compress());
    }

    #[test]
    fn control_frames_are_cut_at_their_largest_size() {
        let encoded = Encoded::control_frame(OpCode::Pong, &[7; 200]);
        assert_eq!(encoded.len(), 127);
        assert_eq!(frames(&encoded).first(), Some(&0x8A));
    }
}
