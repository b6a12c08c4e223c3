//! Small texts for one receiver alone, gathered in one piece: an acknowledgement is mostly smaller
//! than what it would cost to share it.

use super::{Entry, Overflow, Queue};
use crate::encoded::{Encoded, Kind};
use crate::websocket::frame::text_frame_lens;

/// What is larger than this is kept as it is instead of being copied.
const MAX_TEXT: usize = 1024;

/// How much is gathered before a new piece is begun.
const MAX_GATHERED: usize = 16 * 1024;

/// The room of a new piece is a multiple of that. It is not counted with what waits, and a piece may
/// hold one acknowledgement only, when other messages stand between them; one that grows doubles.
const ROOM: usize = 64;

/// Whole WebSocket frames with texts, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// What stands in front of this is written.
    start: usize,
}

impl Queue {
    /// Appends a message that nobody else shares. A small text joins what was gathered before it,
    /// unless it could be dropped, replaced or compressed on its own; `default` is as in
    /// [`relieve`](Self::relieve).
    #[inline]
    pub fn push_own(&mut self, message: Encoded, default: Overflow) {
        let may_be_dropped = message.kind() == Kind::Event
            && message.overflow().unwrap_or(default) != Overflow::Close;
        match message.small_frame(MAX_TEXT) {
            Some(frame) if !may_be_dropped && self.deflater.is_none() => self.gather(frame),
            Some(_) | None => self.push(Entry::Message(message.into())),
        }
    }

    /// Appends the frame of a text that nobody else shares, which must not be dropped.
    #[inline]
    pub fn push_frame(&mut self, frame: &[u8]) {
        if frame.len() <= MAX_TEXT && self.deflater.is_none() {
            self.gather(frame);
        } else {
            self.push(Entry::Message(Encoded::of_text_frame(frame).into()));
        }
    }

    #[inline]
    fn gather(&mut self, frame: &[u8]) {
        self.bytes = self.bytes.saturating_add(frame.len());
        if self.tail.bytes.len().saturating_add(frame.len()) > MAX_GATHERED {
            self.close_tail();
        }
        if self.tail.bytes.is_empty() {
            self.tail = Frames::new(frame);
        } else {
            self.tail.bytes.extend_from_slice(frame);
        }
    }

    /// What was gathered becomes an entry like others, so that something can stand behind it.
    #[inline]
    pub(super) fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let gathered = std::mem::take(&mut self.tail);
            self.entries.push_back(Entry::Frames(gathered));
        }
    }
}

impl Frames {
    pub(super) const EMPTY: Self = Self {
        bytes: Vec::new(),
        start: 0,
    };

    /// Whether everything is written, or there was nothing.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much is not written.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.start)
    }

    fn new(frame: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(frame.len().next_multiple_of(ROOM));
        bytes.extend_from_slice(frame);
        Self { bytes, start: 0 }
    }

    /// What is not written, beginning with a whole frame.
    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// How long the first frame is.
    pub(super) fn first_len(&self) -> usize {
        let lens = text_frame_lens(self.as_bytes());
        lens.map_or(0, |(header, text)| header.saturating_add(text))
    }

    /// The Engine.IO packets in them.
    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_bytes();
        std::iter::from_fn(move || {
            let (header, text) = text_frame_lens(rest)?;
            let (text, behind) = rest.get(header..)?.split_at_checked(text)?;
            rest = behind;
            Some(text)
        })
    }

    /// Forgets the frames that are wholly within the first `written` bytes, and says how many bytes
    /// of the next one are.
    pub(super) fn forget(&mut self, mut written: usize) -> usize {
        loop {
            let first = self.first_len();
            if first == 0 || written < first {
                return written;
            }
            written = written.saturating_sub(first);
            self.start = self.start.saturating_add(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Dialect;
    use crate::engine::Revision;
    use crate::websocket::Deflater;
    use crate::websocket::frame::{Header, OpCode};

    fn ack(text: &str) -> Encoded {
        Encoded::engine_packet(text)
    }

    fn queue(messages: impl IntoIterator<Item = Encoded>) -> Queue {
        let mut queue = Queue::new();
        for message in messages {
            queue.push_own(message, Overflow::Close);
        }
        queue
    }

    fn pieces(queue: &mut Queue) -> Vec<Vec<u8>> {
        let batch = queue.take(usize::MAX);
        batch.pieces().map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn small_texts_become_one_piece() {
        let mut queue = queue(["430[]", "431[1]", "432[]"].map(ack));
        assert_eq!(queue.bytes(), 7 + 8 + 7);
        assert_eq!(
            pieces(&mut queue),
            [b"\x81\x05430[]\x81\x06431[1]\x81\x05432[]"]
        );
    }

    #[test]
    fn in_a_polling_answer_they_are_packets() {
        for (revision, body) in [
            (Revision::V4, "430[]\x1e431[\"\u{e9}\"]\x1e6"),
            (Revision::V3, "5:430[]8:431[\"\u{e9}\"]1:6"),
        ] {
            let mut queue = queue(["430[]", "431[\"\u{e9}\"]"].map(ack));
            queue.push(Entry::Control(super::super::Control::Noop));
            queue.set_dialect(Dialect::new(revision, true));
            let batch = queue.take(usize::MAX);
            let answer = batch.body().unwrap();
            assert_eq!(String::from_utf8(answer.bytes).unwrap(), body);
            assert!(answer.compress);
        }
    }

    #[test]
    fn what_has_a_fate_of_its_own_stays_on_its_own() {
        let event = || Encoded::text_message("event");
        for message in [
            event().with_overflow(Some(Overflow::DropOldest)),
            event().with_conflation_key(Some("key".into())),
            event().with_compress(false),
            Encoded::text_message(&"x".repeat(MAX_TEXT)),
            Encoded::binary_message(bytes::Bytes::from_static(b"data")),
        ] {
            let mut queue = queue([ack("430[]"), message, ack("431[]")]);
            let pieces = pieces(&mut queue);
            assert!(pieces.starts_with(&[b"\x81\x05430[]".to_vec()]));
            assert!(pieces.ends_with(&[b"\x81\x05431[]".to_vec()]));
        }
        let mut dropping = queue([ack("430[]")]);
        dropping.push_own(event(), Overflow::DropNewest);
        assert_eq!(pieces(&mut dropping).len(), 2);
        let mut compressing = Queue::new();
        compressing.set_deflater(Some(Deflater::new(0, 12, 1)));
        compressing.push_own(ack("430[]"), Overflow::Close);
        compressing.push_own(ack("431[]"), Overflow::Close);
        assert_eq!(pieces(&mut compressing).len(), 2);
    }

    #[test]
    fn a_piece_does_not_grow_without_end() {
        let text = "x".repeat(MAX_TEXT / 2);
        let mut queue = queue((0..100).map(|_| ack(&text)));
        let pieces = pieces(&mut queue);
        assert!(pieces.iter().all(|piece| piece.len() <= MAX_GATHERED));
        assert_eq!(
            pieces.len(),
            100_usize.div_ceil(MAX_GATHERED / (text.len() + 4))
        );
    }

    /// Each held 256 bytes, of which 7 counted.
    #[test]
    fn acknowledgements_between_other_messages_hold_little_more_than_they_are() {
        let event = std::sync::Arc::new(Encoded::text_message("event"));
        let mut queue = Queue::new();
        for _ in 0..100 {
            queue.push_own(ack("430[]"), Overflow::Close);
            queue.push(Entry::Message(std::sync::Arc::clone(&event)));
        }
        let rooms: Vec<usize> = gathered_rooms(&queue).collect();
        assert_eq!(rooms.len(), 100);
        assert!(rooms.iter().all(|room| *room <= ROOM), "{rooms:?}");
        for len in [ROOM, 900, MAX_TEXT] {
            let long = [ack(&"x".repeat(len - 8))];
            assert!(gathered_rooms(&self::queue(long)).all(|room| room < len + ROOM));
        }
    }

    #[test]
    fn the_room_of_a_piece_is_at_most_twice_what_is_in_it() {
        let mut queue = Queue::new();
        for _ in 0..2_000 {
            queue.push_own(ack("430[]"), Overflow::Close);
            let room: usize = gathered_rooms(&queue).sum();
            assert!(room <= ROOM.max(2 * queue.bytes()), "{room}");
        }
    }

    fn gathered_rooms(queue: &Queue) -> impl Iterator<Item = usize> {
        let tail = (!queue.tail.is_empty()).then(|| queue.tail.bytes.capacity());
        let entries = queue.entries.iter().filter_map(|entry| match entry {
            Entry::Frames(frames) => Some(frames.bytes.capacity()),
            Entry::Message(_) | Entry::Promised(_) | Entry::Deflated { .. } | Entry::Control(_) => {
                None
            }
        });
        entries.chain(tail)
    }

    #[test]
    fn a_frame_waits_like_the_message_that_it_is_of() {
        let frame: &[u8] = b"\x81\x05430[]";
        for deflater in [None, Some(Deflater::new(0, 12, 1))] {
            let (mut of_frames, mut of_messages) = (Queue::new(), Queue::new());
            of_frames.set_deflater(deflater);
            of_messages.set_deflater(deflater);
            for _ in 0..3 {
                of_frames.push_frame(frame);
                of_messages.push_own(ack("430[]"), Overflow::Close);
                for queue in [&mut of_frames, &mut of_messages] {
                    queue.push(Entry::Control(super::super::Control::Ping));
                }
            }
            assert_eq!(of_frames.bytes(), of_messages.bytes());
            assert_eq!(pieces(&mut of_frames), pieces(&mut of_messages));
            assert!(of_frames.is_empty());
        }
    }

    /// An acknowledgement of 64 KiB or more was sent with the header of its frame as its first bytes, because
    /// lengths in eight bytes were not known to what takes that header off.
    #[test]
    fn a_long_frame_loses_its_header_where_there_are_no_frames() {
        for len in [0, 125, 126, 0xFFFF, 0x1_0000, 100_000] {
            let text = format!("430[\"{}\"]", "x".repeat(len));
            let header = Header::new(OpCode::Text, text.len());
            let frame = [header.as_bytes(), text.as_bytes()].concat();
            let mut polled = Queue::new();
            polled.push_frame(&frame);
            polled.set_dialect(Dialect::new(Revision::V4, true));
            let body = polled.take(usize::MAX).body().unwrap();
            assert!(
                body.bytes == text.as_bytes(),
                "text of {} bytes",
                text.len()
            );
            let mut framed = Queue::new();
            framed.push_frame(&frame);
            assert!(pieces(&mut framed).concat() == frame);
        }
    }

    /// What came while a batch was written stands behind what is put back.
    #[test]
    fn what_is_put_back_stands_in_front_of_what_was_gathered_meanwhile() {
        let mut queue = queue(["430[]", "431[]"].map(ack));
        let mut batch = queue.take(usize::MAX);
        assert_eq!(batch.only_piece().map(<[u8]>::len), Some(14));
        batch.advance(9);
        queue.push_frame(b"\x81\x05432[]");
        queue.restore(batch);
        assert_eq!((queue.bytes(), queue.bytes_behind()), (12, 7));
        let batch = queue.take(usize::MAX);
        assert_eq!(batch.only_piece(), None);
        let left: Vec<u8> = batch.pieces().flatten().copied().collect();
        assert_eq!(left, b"431[]\x81\x05432[]");
    }

    #[test]
    fn only_what_stands_behind_the_first_frame_counts_as_waiting_behind() {
        let mut queue = queue(["430[]", "431[]", "432[]"].map(ack));
        assert_eq!(queue.bytes_behind(), 14);
        let mut batch = queue.take(usize::MAX);
        batch.advance(9);
        queue.restore(batch);
        assert!(queue.is_within_entry());
        assert_eq!((queue.bytes(), queue.bytes_behind()), (12, 7));
        let mut batch = queue.take(usize::MAX);
        batch.advance(5);
        queue.restore(batch);
        assert!(!queue.is_within_entry(), "two whole frames are written");
        assert_eq!(pieces(&mut queue), [b"\x81\x05432[]"]);
    }
}
