//! From waiting messages to compressed ones, when they are about to be written and not before: nobody
//! compresses behind a lock, and what is dropped or replaced while it waits costs nothing.

use std::sync::Arc;

use super::{Batch, Entry};
use crate::engine::Dialect;

impl Batch {
    /// Changes messages to their compressed forms, for a peer that takes them: each form is made once
    /// for all receivers, by whoever comes first. To be called outside of locks.
    ///
    /// What is on the wire in part stays in the form in which it was begun.
    #[inline]
    pub fn deflate(&mut self) {
        if self.deflater.is_some() {
            self.deflate_entries();
        }
    }

    #[inline(never)]
    fn deflate_entries(&mut self) {
        let Some(deflater) = self.deflater else {
            return;
        };
        let dialect = self.dialect;
        let entries = self.entries.iter_mut().flatten();
        for entry in entries.skip(usize::from(self.written > 0)) {
            let promised = matches!(entry, Entry::Promised(_));
            let (Entry::Message(message) | Entry::Promised(message)) = entry else {
                continue;
            };
            if !message.deflate(deflater, dialect) {
                continue;
            }
            let message = Arc::clone(message);
            *entry = Entry::Deflated { message, promised };
        }
        let on_wire = |sum: usize, entry: &Entry| sum.saturating_add(entry.len_on_wire(dialect));
        let bytes = self.entries().fold(self.tail.len(), on_wire);
        self.bytes = bytes.saturating_sub(self.written);
    }

    /// What is left of it, as a queue counts it.
    pub(super) fn held_bytes(&self) -> usize {
        if self.deflater.is_none() {
            return self.bytes;
        }
        let held = |sum: usize, entry: &Entry| sum.saturating_add(entry.len(self.dialect));
        let bytes = self.entries().fold(self.tail.len(), held);
        bytes.saturating_sub(self.written)
    }
}

impl Entry {
    /// How many bytes its WebSocket form takes on the wire.
    pub(super) fn len_on_wire(&self, dialect: Dialect) -> usize {
        match self {
            Self::Deflated { message, .. } => message.deflated_len_in(dialect),
            Self::Message(_) | Self::Promised(_) | Self::Frames(_) | Self::Control(_) => {
                self.len(dialect)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::encoded::Encoded;
    use crate::engine::Revision;
    use crate::engine::queue::{Control, Overflow, Queue};
    use crate::websocket::{Decoded, Decoder, Deflater, Inflater, Item, Limits, Role};

    const THRESHOLD: usize = 100;

    fn deflater() -> Deflater {
        Deflater::new(THRESHOLD, 12, 6)
    }

    fn queue(dialect: Dialect) -> Queue {
        let mut queue = Queue::in_dialect(dialect);
        queue.set_deflater(Some(deflater()));
        queue
    }

    fn text(len: usize) -> Entry {
        Entry::Message(Arc::new(Encoded::text_message(&"t".repeat(len))))
    }

    fn binary(len: usize) -> Entry {
        let data = Bytes::from(vec![7; len]);
        Entry::Message(Arc::new(Encoded::binary_message(data)))
    }

    fn bytes_of(batch: &Batch) -> Vec<u8> {
        batch.pieces().flatten().copied().collect()
    }

    /// What a client reads.
    fn messages(mut bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let mut decoder = Decoder::new(Role::Client, Limits::default())
            .with_inflater(Some(Inflater::new(1 << 20)));
        let mut rest = bytes.as_mut_slice();
        let mut messages = Vec::new();
        loop {
            let Decoded { consumed, item } = decoder.decode(rest).unwrap();
            match item {
                None => return messages,
                Some(Item::Text(text)) => messages.push(text.into_owned().into_bytes()),
                Some(Item::Binary(data)) => messages.push(data.into_owned()),
                Some(item) => panic!("{item:?}"),
            }
            rest = &mut rest[consumed..];
        }
    }

    #[test]
    fn the_compressed_form_is_made_once_for_all_receivers_and_only_for_those_that_take_it() {
        let shared = text(5000);
        let mut frames = Vec::new();
        for _ in 0..3 {
            let mut queue = queue(Dialect::default());
            queue.push(shared.clone());
            let mut batch = queue.take(usize::MAX);
            batch.deflate();
            assert_eq!(batch.bytes(), bytes_of(&batch).len());
            assert!(batch.bytes() < 100);
            let piece = batch.pieces().next().unwrap();
            frames.push((piece.as_ptr(), piece.len()));
        }
        assert!(frames.windows(2).all(|pair| pair[0] == pair[1]), "shared");

        let mut plain = Queue::new();
        plain.push(shared);
        let mut batch = plain.take(usize::MAX);
        batch.deflate();
        assert_eq!(batch.bytes(), 5001 + 4);
    }

    #[test]
    fn short_secret_and_random_messages_stay_as_they_are() {
        let mut state = 1_u64;
        let random: Vec<u8> = (0..2000)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        let secret = Encoded::text_message(&"s".repeat(5000)).with_compress(false);
        // The packet type counts.
        for entry in [
            text(THRESHOLD - 2),
            binary(THRESHOLD - 1),
            Entry::Message(Arc::new(secret)),
            Entry::Message(Arc::new(Encoded::binary_message(random.into()))),
            Entry::Control(Control::Ping),
        ] {
            let mut queue = queue(Dialect::default());
            queue.push(entry.clone());
            let mut batch = queue.take(usize::MAX);
            let before = bytes_of(&batch);
            batch.deflate();
            assert!(bytes_of(&batch) == before, "entry of {}", before.len());
        }
        for entry in [text(THRESHOLD - 1), binary(THRESHOLD)] {
            let mut queue = queue(Dialect::default());
            queue.push(entry.clone());
            let mut batch = queue.take(usize::MAX);
            let before = batch.bytes();
            batch.deflate();
            assert!(batch.bytes() < before, "at the threshold");
            assert_eq!(bytes_of(&batch).len(), batch.bytes());
        }
    }

    #[test]
    fn attachments_in_base64_or_of_revision_3_are_not_compressed() {
        for (dialect, compressed) in [
            (Dialect::new(Revision::V4, false), true),
            (Dialect::new(Revision::V4, true), false),
            (Dialect::new(Revision::V3, false), false),
            (Dialect::new(Revision::V3, true), false),
        ] {
            let mut queue = queue(dialect);
            queue.push(binary(5000));
            let mut batch = queue.take(usize::MAX);
            let before = batch.bytes();
            batch.deflate();
            assert_eq!(batch.bytes() < before, compressed, "{dialect:?}");
            assert_eq!(batch.bytes(), bytes_of(&batch).len(), "{dialect:?}");
        }
    }

    #[test]
    fn what_was_begun_uncompressed_is_not_compressed_in_the_middle() {
        let mut queue = Queue::new();
        queue.push(text(1000));
        queue.push(text(1000));
        let mut batch = queue.take(usize::MAX);
        let mut seen = bytes_of(&batch)[..10].to_vec();
        batch.advance(10);
        queue.restore(batch);
        queue.set_deflater(Some(deflater()));
        let mut batch = queue.take(usize::MAX);
        batch.deflate();
        let rest = bytes_of(&batch);
        assert_eq!(rest.len(), batch.bytes());
        assert!(rest.len() < 1100);
        seen.extend(rest);
        let expected = format!("4{}", "t".repeat(1000)).into_bytes();
        assert_eq!(messages(seen), [expected.clone(), expected]);
    }

    #[test]
    fn what_waits_counts_uncompressed_although_it_was_compressed_meanwhile() {
        let mut queue = queue(Dialect::default());
        for _ in 0..3 {
            queue.push(text(10_000));
        }
        let whole = queue.bytes();
        let mut batch = queue.take(usize::MAX);
        batch.deflate();
        assert!(batch.bytes() < 1000);
        batch.advance(5);
        queue.restore(batch);
        assert_eq!(queue.bytes(), whole - 5);
        assert_eq!(queue.bytes_behind(), whole / 3 * 2);
        assert_eq!(queue.relieve(12_000, Overflow::DropNewest), 1);
        let mut batch = queue.take(1);
        batch.deflate();
        batch.advance(batch.bytes());
        assert!(batch.is_empty());
        queue.restore(batch);
        assert_eq!(queue.bytes(), whole / 3);
    }

    #[test]
    fn what_was_promised_is_compressed_like_any_other_and_stays_a_promise() {
        let mut queue = queue(Dialect::default());
        for _ in 0..3 {
            let message = Encoded::text_message(&"t".repeat(10_000));
            queue.push(Entry::Promised(Arc::new(message)));
        }
        let mut batch = queue.take(usize::MAX);
        batch.deflate();
        assert!(batch.bytes() < 1000);
        queue.restore(batch);
        assert_eq!(queue.relieve(0, Overflow::DropOldest), 0);
    }

    proptest! {
        /// Whatever the sizes of batches and writes, and whatever is dropped in between, the peer can
        /// read every byte, and nothing is counted that is gone.
        #[test]
        fn partial_writes_of_compressed_messages_neither_lose_nor_repeat(
            sizes in prop::collection::vec(0_usize..600, 1..20),
            limit in 1_usize..1200,
            writes in prop::collection::vec(1_usize..200, 1..40),
        ) {
            let mut queue = queue(Dialect::default());
            let mut expected = Vec::new();
            for (index, size) in sizes.iter().enumerate() {
                if index % 2 == 0 {
                    queue.push(text(*size));
                    expected.push(format!("4{}", "t".repeat(*size)).into_bytes());
                } else {
                    queue.push(binary(*size));
                    expected.push(vec![7; *size]);
                }
            }
            let mut seen = Vec::new();
            let mut writes = writes.iter().cycle();
            while !queue.is_empty() {
                let before = queue.bytes();
                let mut batch = queue.take(limit);
                let left = queue.bytes();
                prop_assert_eq!(before, left + batch.bytes());
                batch.deflate();
                let bytes = bytes_of(&batch);
                prop_assert_eq!(bytes.len(), batch.bytes());
                let count = bytes.len().min(*writes.next().unwrap());
                seen.extend_from_slice(&bytes[..count]);
                batch.advance(count);
                prop_assert_eq!(bytes.len() - count, batch.bytes());
                let rest = batch.bytes();
                queue.restore(batch);
                prop_assert!(queue.bytes() >= left + rest);
                prop_assert_eq!(queue.is_empty(), queue.bytes() == 0);
                queue.relieve(usize::MAX, Overflow::DropOldest);
            }
            prop_assert_eq!(queue.bytes(), 0);
            prop_assert_eq!(messages(seen), expected);
        }
    }
}
