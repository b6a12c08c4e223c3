//! What waits for one peer: entries, their bytes, their order, and the next batch in a wire form.
//!
//! Pure data. The server keeps one behind each connection's lock, the client one per connection.

mod deflate;
mod frames;
mod latest;
mod overflow;
mod post;

use std::collections::VecDeque;
use std::sync::Arc;
use std::{iter, option};

use self::latest::Latest;
use super::body::{Body, Writer};
use super::{Dialect, Revision};
use crate::encoded::Encoded;
use crate::websocket::Deflater;

pub use self::frames::Frames;
pub use self::overflow::Overflow;

/// Something to send.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A message, shared by all its receivers.
    Message(Arc<Encoded>),
    /// Small texts for this receiver alone.
    Frames(Frames),
    /// A message that was promised to the receiver: no policy drops it, and none takes its place.
    Promised(Arc<Encoded>),
    /// A message whose compressed form is written: what [`Batch::deflate`] makes of one.
    Deflated {
        /// The message.
        message: Arc<Encoded>,
        /// Whether it was a promised one.
        promised: bool,
    },
    /// A packet of Engine.IO itself.
    Control(Control),
}

/// Engine.IO packets that the sender's own state machine asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// `2`
    Ping,
    /// `3`
    Pong,
    /// `6`, which releases a waiting poll and has no meaning elsewhere.
    Noop,
    /// `1`, on polling only: a WebSocket is closed by its own frame.
    Close,
}

/// The order of what waits for one peer, and how many bytes that is.
#[derive(Debug, Default)]
pub struct Queue {
    entries: VecDeque<Entry>,
    /// Small texts behind all entries. Most queues never hold anything else.
    tail: Frames,
    latest: Latest,
    bytes: usize,
    /// Bytes of the first entry that are on the wire already.
    written: usize,
    dialect: Dialect,
    /// For a peer that takes compressed messages.
    deflater: Option<Deflater>,
}

impl Queue {
    /// An empty queue for a peer of revision 4, without an allocation.
    #[must_use]
    pub const fn new() -> Self {
        Self::in_dialect(Dialect::new(Revision::V4, false))
    }

    /// An empty queue, without an allocation.
    #[must_use]
    pub const fn in_dialect(dialect: Dialect) -> Self {
        Self {
            entries: VecDeque::new(),
            tail: Frames::EMPTY,
            latest: Latest::new(),
            bytes: 0,
            written: 0,
            dialect,
            deflater: None,
        }
    }

    /// How packets have to look for the peer.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The peer has changed to a transport on which packets look different. To be called when nothing
    /// is written in part.
    pub fn set_dialect(&mut self, dialect: Dialect) {
        if self.dialect != dialect {
            self.dialect = dialect;
            let sizes = self.entries.iter().map(|entry| entry.len(dialect));
            self.bytes = sizes.fold(self.tail.len(), usize::saturating_add);
        }
    }

    /// The peer takes compressed messages from now on.
    pub fn set_deflater(&mut self, deflater: Option<Deflater>) {
        self.deflater = deflater;
    }

    /// Appends an entry. An event with a conflation key takes the place of the one that waits under
    /// the same key.
    pub fn push(&mut self, entry: Entry) {
        self.close_tail();
        let Some(entry) = self.conflate(entry) else {
            return;
        };
        self.bytes = self.bytes.saturating_add(entry.len(self.dialect));
        self.entries.push_back(entry);
    }

    /// Moves entries out to be written as WebSocket frames: at least one, and then as many as keep
    /// the sum at or below `limit` bytes.
    #[must_use]
    #[inline]
    pub fn take(&mut self, limit: usize) -> Batch {
        if self.bytes > limit {
            return self.take_part(limit);
        }
        self.latest.clear();
        Batch {
            entries: self.take_entries(),
            tail: std::mem::take(&mut self.tail),
            bytes: std::mem::take(&mut self.bytes),
            written: std::mem::take(&mut self.written),
            dialect: self.dialect,
            deflater: self.deflater,
        }
    }

    fn take_entries(&mut self) -> Option<VecDeque<Entry>> {
        (!self.entries.is_empty()).then(|| std::mem::take(&mut self.entries))
    }

    #[inline(never)]
    fn take_part(&mut self, limit: usize) -> Batch {
        let written = std::mem::take(&mut self.written);
        self.close_tail();
        let mut entries = VecDeque::new();
        let mut bytes: usize = 0;
        while let Some(entry) = self.take_within(limit, bytes, written) {
            bytes = bytes.saturating_add(entry.len(self.dialect));
            entries.push_back(entry);
        }
        if self.entries.is_empty() {
            // What a long wait has grown is not kept until the next entry comes.
            self.entries = VecDeque::new();
        }
        Batch {
            entries: Some(entries),
            tail: Frames::EMPTY,
            bytes: bytes.saturating_sub(written),
            written,
            dialect: self.dialect,
            deflater: self.deflater,
        }
    }

    /// Puts back, in front, what could not be written.
    pub fn restore(&mut self, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        self.written = batch.written;
        self.bytes = self.bytes.saturating_add(batch.held_bytes());
        let has_keys = |entry: &Entry| entry.conflation_key().is_some();
        let recount = !self.latest.is_empty() || batch.entries().any(has_keys);
        let entries = batch.entries.unwrap_or_default();
        if self.is_empty() {
            self.entries = entries;
            self.tail = batch.tail;
        } else {
            if !batch.tail.is_empty() {
                self.entries.push_front(Entry::Frames(batch.tail));
            }
            for entry in entries.into_iter().rev() {
                self.entries.push_front(entry);
            }
        }
        if recount {
            self.latest.recount(&self.entries);
        }
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        *self = Self {
            deflater: self.deflater,
            ..Self::in_dialect(self.dialect)
        };
    }

    /// How many bytes wait, measured in WebSocket frames, and as if none of them were compressed: who
    /// reads slowly holds no more memory by that.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many bytes wait behind the first entry, which may be of any size and be on the wire in
    /// part.
    #[must_use]
    pub fn bytes_behind(&self) -> usize {
        let first = match self.entries.front() {
            Some(Entry::Frames(frames)) => frames.first_len(),
            Some(entry) => entry.len(self.dialect),
            None => self.tail.first_len(),
        };
        let rest = first.saturating_sub(self.written);
        self.bytes.saturating_sub(rest)
    }

    /// Whether nothing waits.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.tail.is_empty()
    }

    /// Whether a part of the first entry is on the wire already.
    #[must_use]
    pub fn is_within_entry(&self) -> bool {
        self.written > 0
    }

    fn take_within(&mut self, limit: usize, taken: usize, written: usize) -> Option<Entry> {
        let next = self.entries.front()?.len(self.dialect);
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
    /// `None` instead of no entries, because nearly every batch has none: that is dropped for nothing.
    entries: Option<VecDeque<Entry>>,
    /// Behind the entries.
    tail: Frames,
    bytes: usize,
    written: usize,
    dialect: Dialect,
    deflater: Option<Deflater>,
}

impl Batch {
    /// Whether everything is written.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_none() && self.tail.is_empty()
    }

    fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    /// How many bytes are left to write.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The contiguous pieces that are left to write, in order, none of them empty.
    #[must_use]
    pub fn pieces(&self) -> Pieces<'_> {
        Pieces {
            entries: self.entries.iter().flatten(),
            tail: self.tail.as_bytes(),
            current: PieceIter::Empty,
            skip: self.written,
            dialect: self.dialect,
        }
    }

    /// What is left to write, if it is one piece of small texts: what nearly every batch is.
    #[must_use]
    #[inline]
    pub fn only_piece(&self) -> Option<&[u8]> {
        if self.entries.is_some() {
            return None;
        }
        self.tail.as_bytes().get(self.written..)
    }

    /// The whole batch as the body of a polling answer; `None` when nothing in it has a form there.
    #[must_use]
    pub fn body(&self) -> Option<Body> {
        let has_binary = self.entries().any(Entry::has_binary);
        let mut writer = Writer::new(self.dialect, has_binary);
        for entry in self.entries() {
            match entry {
                Entry::Control(control) => writer.control(*control),
                Entry::Frames(frames) => frames.texts().for_each(|text| writer.packet(text)),
                Entry::Message(message)
                | Entry::Promised(message)
                | Entry::Deflated { message, .. } => writer.message(message),
            }
        }
        self.tail.texts().for_each(|text| writer.packet(text));
        (!writer.is_empty()).then(|| writer.into_body())
    }

    /// Notes that `count` more bytes are on the wire.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        if count < self.bytes {
            return self.advance_within(count);
        }
        self.entries = None;
        self.tail = Frames::EMPTY;
        self.bytes = 0;
        self.written = 0;
    }

    /// The same when something is left.
    #[inline(never)]
    fn advance_within(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_sub(count);
        self.written = self.written.saturating_add(count);
        if let Some(entries) = &mut self.entries {
            while let Some(first) = entries.front_mut() {
                let len = first.len_on_wire(self.dialect);
                if self.written < len {
                    if let Entry::Frames(frames) = first {
                        self.written = frames.forget(self.written);
                    }
                    return;
                }
                self.written = self.written.saturating_sub(len);
                entries.pop_front();
            }
        }
        self.entries = None;
        self.written = self.tail.forget(self.written);
    }
}

/// Iterator over the pieces of a [`Batch`].
#[derive(Debug)]
pub struct Pieces<'a> {
    entries: iter::Flatten<option::Iter<'a, VecDeque<Entry>>>,
    /// Behind the entries, until it is handed out.
    tail: &'a [u8],
    current: PieceIter<'a>,
    skip: usize,
    dialect: Dialect,
}

#[derive(Debug)]
enum PieceIter<'a> {
    Empty,
    Whole(&'a [u8]),
    Message {
        encoded: &'a Encoded,
        dialect: Dialect,
        index: usize,
    },
    Deflated {
        encoded: &'a Encoded,
        dialect: Dialect,
        index: usize,
    },
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let Some(piece) = self.current.next() else {
                self.current = match self.entries.next() {
                    Some(entry) => entry.pieces(self.dialect),
                    None if self.tail.is_empty() => return None,
                    None => PieceIter::Whole(std::mem::take(&mut self.tail)),
                };
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
            Self::Whole(piece) => {
                let piece = *piece;
                *self = Self::Empty;
                Some(piece)
            }
            Self::Message {
                encoded,
                dialect,
                index,
            } => loop {
                let piece = encoded.piece(*index, *dialect)?;
                *index = index.saturating_add(1);
                if !piece.is_empty() {
                    return Some(piece);
                }
            },
            Self::Deflated {
                encoded,
                dialect,
                index,
            } => {
                let piece = encoded.deflated_pieces_in(*dialect).nth(*index)?;
                *index = index.saturating_add(1);
                Some(piece)
            }
        }
    }
}

impl Entry {
    /// How many bytes its WebSocket form takes, uncompressed: what it holds in memory while it waits.
    fn len(&self, dialect: Dialect) -> usize {
        match self {
            Self::Message(message) | Self::Promised(message) | Self::Deflated { message, .. } => {
                message.len_in(dialect)
            }
            Self::Frames(frames) => frames.len(),
            Self::Control(control) => control.frame().len(),
        }
    }

    fn has_binary(&self) -> bool {
        match self {
            Self::Message(message) | Self::Promised(message) | Self::Deflated { message, .. } => {
                message.attachments().len() > 0
            }
            Self::Frames(_) | Self::Control(_) => false,
        }
    }

    fn pieces(&self, dialect: Dialect) -> PieceIter<'_> {
        match self {
            Self::Message(encoded) | Self::Promised(encoded) => PieceIter::Message {
                encoded,
                dialect,
                index: 0,
            },
            Self::Deflated { message, .. } => PieceIter::Deflated {
                encoded: message,
                dialect,
                index: 0,
            },
            Self::Frames(frames) => PieceIter::Whole(frames.as_bytes()),
            Self::Control(control) => PieceIter::Whole(control.frame()),
        }
    }
}

impl Control {
    pub(super) const fn packet_type(self) -> u8 {
        match self {
            Self::Ping => b'2',
            Self::Pong => b'3',
            Self::Noop => b'6',
            Self::Close => b'1',
        }
    }

    fn frame(self) -> &'static [u8] {
        match self {
            Self::Ping => b"\x81\x012",
            Self::Pong => b"\x81\x013",
            Self::Noop => b"\x81\x016",
            // A WebSocket ends with a close frame, without a status code as the reference does.
            Self::Close => b"\x88\x00",
        }
    }
}

#[cfg(test)]
mod tests;
