//! What waits for one peer: entries, their bytes, their order, and the next batch in a wire form.
//!
//! Pure data. The server keeps one behind each connection's lock, the client one per connection.

mod latest;
mod overflow;

use std::collections::VecDeque;
use std::collections::vec_deque;
use std::sync::Arc;

use self::latest::Latest;

use super::payload::SEPARATOR;
use crate::encoded::{Encoded, Kind};

pub use self::overflow::Overflow;

/// Something to send.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A message, shared by all its receivers.
    Message(Arc<Encoded>),
    /// A packet of Engine.IO itself.
    Control(Control),
}

/// Engine.IO packets that the sender's own state machine asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// `2`
    Ping,
    /// `6`, which releases a waiting poll and has no meaning elsewhere.
    Noop,
    /// `1`, on polling only: a WebSocket is closed by its own frame.
    Close,
}

/// The order of what waits for one peer, and how many bytes that is.
#[derive(Debug, Default)]
pub struct Queue {
    entries: VecDeque<Entry>,
    latest: Latest,
    bytes: usize,
    /// Bytes of the first entry that are on the wire already.
    written: usize,
}

impl Queue {
    /// An empty queue, without an allocation.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            latest: Latest::new(),
            bytes: 0,
            written: 0,
        }
    }

    /// Appends an entry. An event with a conflation key takes the place of the one that waits under
    /// the same key.
    pub fn push(&mut self, entry: Entry) {
        let Some(entry) = self.conflate(entry) else {
            return;
        };
        self.bytes = self.bytes.saturating_add(entry.len());
        self.entries.push_back(entry);
    }

    /// Moves entries out to be written as WebSocket frames: at least one, and then as many as keep
    /// the sum at or below `limit` bytes.
    #[must_use]
    pub fn take(&mut self, limit: usize) -> Batch {
        let written = std::mem::take(&mut self.written);
        if self.bytes <= limit {
            let bytes = std::mem::take(&mut self.bytes);
            let entries = std::mem::take(&mut self.entries);
            self.latest.clear();
            return Batch {
                entries,
                bytes,
                written,
            };
        }
        let mut batch = Batch {
            entries: VecDeque::new(),
            bytes: 0,
            written,
        };
        while let Some(entry) = self.take_within(limit, batch.bytes, written) {
            batch.bytes = batch.bytes.saturating_add(entry.len());
            batch.entries.push_back(entry);
        }
        batch.bytes = batch.bytes.saturating_sub(written);
        batch
    }

    /// Puts back, in front, what could not be written.
    pub fn restore(&mut self, batch: Batch) {
        if batch.entries.is_empty() {
            return;
        }
        self.written = batch.written;
        self.bytes = self.bytes.saturating_add(batch.bytes);
        let has_keys = |entry: &Entry| entry.conflation_key().is_some();
        let recount = !self.latest.is_empty() || batch.entries.iter().any(has_keys);
        if self.entries.is_empty() {
            self.entries = batch.entries;
        } else {
            for entry in batch.entries.into_iter().rev() {
                self.entries.push_front(entry);
            }
        }
        if recount {
            self.latest.recount(&self.entries);
        }
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// How many bytes wait, measured in WebSocket frames.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many bytes wait behind the first entry, which may be of any size and be on the wire in
    /// part.
    #[must_use]
    pub fn bytes_behind(&self) -> usize {
        let first = self.entries.front().map_or(0, Entry::len);
        let rest = first.saturating_sub(self.written);
        self.bytes.saturating_sub(rest)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a part of the first entry is on the wire already.
    #[must_use]
    pub fn is_within_entry(&self) -> bool {
        self.written > 0
    }

    fn take_within(&mut self, limit: usize, taken: usize, written: usize) -> Option<Entry> {
        let next = self.entries.front()?.len();
        if taken > 0 && taken.saturating_add(next) > limit {
            return None;
        }
        // Of the first entry a part may be on the wire already, and is not counted any more.
        let counted = if taken == 0 {
            next.saturating_sub(written)
        } else {
            next
        };
        self.bytes = self.bytes.saturating_sub(counted);
        let entry = self.entries.pop_front()?;
        self.latest.popped(&entry);
        Some(entry)
    }
}

/// Entries on their way to a WebSocket.
#[derive(Debug)]
pub struct Batch {
    entries: VecDeque<Entry>,
    bytes: usize,
    written: usize,
}

impl Batch {
    /// Whether everything is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes are left to write.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The contiguous pieces that are left to write, in order, none of them empty.
    #[must_use]
    pub fn pieces(&self) -> Pieces<'_> {
        Pieces {
            entries: self.entries.iter(),
            current: PieceIter::Empty,
            skip: self.written,
        }
    }

    /// The whole batch as the body of a polling answer; `None` when nothing in it has a form there.
    #[must_use]
    pub fn payload(&self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        for entry in &self.entries {
            entry.append_to_payload(&mut body);
        }
        (!body.is_empty()).then_some(body)
    }

    /// Notes that `count` more bytes are on the wire.
    pub fn advance(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_sub(count);
        self.written = self.written.saturating_add(count);
        while let Some(first) = self.entries.front() {
            let len = first.len();
            if self.written < len {
                break;
            }
            self.written = self.written.saturating_sub(len);
            self.entries.pop_front();
        }
    }
}

/// Iterator over the pieces of a [`Batch`].
#[derive(Debug)]
pub struct Pieces<'a> {
    entries: vec_deque::Iter<'a, Entry>,
    current: PieceIter<'a>,
    skip: usize,
}

#[derive(Debug)]
enum PieceIter<'a> {
    Empty,
    Control(&'a [u8]),
    Message { encoded: &'a Encoded, index: usize },
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let Some(piece) = self.current.next() else {
                self.current = self.entries.next()?.pieces();
                continue;
            };
            if self.skip < piece.len() {
                let rest = piece.get(self.skip..);
                self.skip = 0;
                return rest;
            }
            self.skip = self.skip.saturating_sub(piece.len());
        }
    }
}

impl<'a> Iterator for PieceIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Self::Empty => None,
            Self::Control(frame) => {
                let frame = *frame;
                *self = Self::Empty;
                Some(frame)
            }
            Self::Message { encoded, index } => {
                let piece = encoded.websocket_pieces().nth(*index)?;
                *index = index.saturating_add(1);
                Some(piece)
            }
        }
    }
}

impl Entry {
    /// How many bytes its WebSocket form takes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Message(encoded) => encoded.len(),
            Self::Control(control) => control.frame().len(),
        }
    }

    /// Whether it has no WebSocket form.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn pieces(&self) -> PieceIter<'_> {
        match self {
            Self::Message(encoded) => PieceIter::Message { encoded, index: 0 },
            Self::Control(control) => PieceIter::Control(control.frame()),
        }
    }

    fn append_to_payload(&self, body: &mut Vec<u8>) {
        match self {
            Self::Control(control) => {
                begin_packet(body);
                body.push(control.packet_type());
            }
            Self::Message(encoded) if encoded.kind() == Kind::ControlFrame => {}
            Self::Message(encoded) => {
                if !encoded.text().is_empty() {
                    begin_packet(body);
                    body.extend_from_slice(encoded.text());
                }
                for attachment in encoded.polling_attachments() {
                    begin_packet(body);
                    body.extend_from_slice(attachment.as_bytes());
                }
            }
        }
    }
}

fn begin_packet(body: &mut Vec<u8>) {
    if !body.is_empty() {
        body.push(SEPARATOR);
    }
}

impl Control {
    fn packet_type(self) -> u8 {
        match self {
            Self::Ping => b'2',
            Self::Noop => b'6',
            Self::Close => b'1',
        }
    }

    fn frame(self) -> &'static [u8] {
        match self {
            Self::Ping => b"\x81\x012",
            Self::Noop => b"\x81\x016",
            // A WebSocket ends with a close frame, without a status code as the reference does.
            Self::Close => b"\x88\x00",
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> Entry {
        Entry::Message(Arc::new(Encoded::text_message(text)))
    }

    fn binary(len: usize) -> Entry {
        Entry::Message(Arc::new(Encoded::binary_message(Bytes::from(vec![9; len]))))
    }

    fn bytes_of(batch: &Batch) -> Vec<u8> {
        batch.pieces().flatten().copied().collect()
    }

    #[test]
    fn a_polling_payload_joins_text_binary_and_control() {
        let mut queue = Queue::new();
        queue.push(message("hello"));
        queue.push(Entry::Message(Arc::new(Encoded::binary_message(
            Bytes::from_static(&[1, 2, 3, 4]),
        ))));
        queue.push(Entry::Control(Control::Ping));
        queue.push(Entry::Control(Control::Close));
        let body = queue.take(1000).payload().unwrap();
        assert_eq!(body, b"4hello\x1ebAQIDBA==\x1e2\x1e1");
        assert_eq!((queue.bytes(), queue.is_empty()), (0, true));
    }

    #[test]
    fn websocket_control_frames_have_no_polling_form() {
        let mut queue = Queue::new();
        let pong = Encoded::control_frame(crate::websocket::frame::OpCode::Pong, b"x");
        queue.push(Entry::Message(Arc::new(pong)));
        assert_eq!(queue.take(1000).payload(), None);
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn one_entry_larger_than_the_limit_is_taken_alone() {
        let mut queue = Queue::new();
        queue.push(binary(5000));
        queue.push(message("next"));
        let batch = queue.take(100);
        assert_eq!(batch.bytes(), 5004);
        assert_eq!(queue.bytes(), 7);
    }

    #[test]
    fn the_first_entry_does_not_wait_behind_anything() {
        let mut queue = Queue::new();
        assert_eq!(queue.bytes_behind(), 0);
        queue.push(binary(5000));
        assert_eq!(queue.bytes_behind(), 0);
        queue.push(message("next"));
        assert_eq!(queue.bytes_behind(), 7);
        let mut batch = queue.take(100_000);
        batch.advance(10);
        queue.restore(batch);
        assert_eq!(queue.bytes_behind(), 7);
    }

    proptest! {
        /// Whatever the sizes of batches and writes, the peer sees every byte once and in order.
        #[test]
        fn partial_writes_neither_lose_nor_repeat(
            sizes in prop::collection::vec(0_usize..300, 1..20),
            limit in 1_usize..600,
            writes in prop::collection::vec(1_usize..200, 1..40),
        ) {
            let mut queue = Queue::new();
            let mut expected = Vec::new();
            for (index, size) in sizes.iter().enumerate() {
                let entry = if index % 3 == 2 { Entry::Control(Control::Ping) }
                    else if index % 2 == 0 { message(&"t".repeat(*size)) } else { binary(*size) };
                expected.extend(entry.pieces().flatten().copied());
                queue.push(entry);
            }
            prop_assert_eq!(queue.bytes(), expected.len());
            let mut seen = Vec::new();
            let mut writes = writes.iter().cycle();
            while !queue.is_empty() {
                let mut batch = queue.take(limit);
                let bytes = bytes_of(&batch);
                prop_assert_eq!(bytes.len(), batch.bytes());
                let count = bytes.len().min(*writes.next().unwrap());
                seen.extend_from_slice(&bytes[..count]);
                batch.advance(count);
                let is_within_entry = batch.written > 0;
                queue.restore(batch);
                prop_assert_eq!(queue.is_within_entry(), is_within_entry);
                prop_assert_eq!(queue.bytes(), expected.len() - seen.len());
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
