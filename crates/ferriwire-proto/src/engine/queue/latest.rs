//! Conflation: of the events that wait under one key, only the latest.
//!
//! The later event takes the place of the earlier one, so that a key is never pushed back by its own
//! updates. Nothing is allocated before the first event with a key has to wait.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{Entry, Queue};

/// Where the events with a key stand, if there are any.
#[derive(Debug, Default)]
pub(super) struct Latest(Option<Box<Positions>>);

#[derive(Debug, Default)]
struct Positions {
    /// How many entries have left at the front since the positions were counted.
    gone: u64,
    by_key: BTreeMap<Arc<str>, u64>,
}

impl Latest {
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// All entries have left.
    #[inline]
    pub(super) fn clear(&mut self) {
        // Nearly always it is so already.
        if self.0.is_some() {
            self.0 = None;
        }
    }

    /// This entry has left at the front.
    pub(super) fn popped(&mut self, entry: &Entry) {
        let Some(positions) = &mut self.0 else {
            return;
        };
        if let Some(key) = entry.conflation_key()
            && positions.by_key.get(key) == Some(&positions.gone)
        {
            positions.by_key.remove(key);
        }
        positions.gone = positions.gone.saturating_add(1);
        if positions.by_key.is_empty() {
            self.clear();
        }
    }

    /// Entries came or went elsewhere than at the ends.
    pub(super) fn recount(&mut self, entries: &VecDeque<Entry>) {
        self.clear();
        for (index, entry) in entries.iter().enumerate() {
            if let Some(key) = entry.conflation_key() {
                self.note(key, index);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn note(&mut self, key: &Arc<str>, index: usize) {
        let positions = self.0.get_or_insert_default();
        let position = positions.gone.saturating_add(index as u64);
        positions.by_key.insert(Arc::clone(key), position);
    }

    fn index(&self, key: &str) -> Option<usize> {
        let positions = self.0.as_ref()?;
        let position = positions.by_key.get(key)?;
        usize::try_from(position.checked_sub(positions.gone)?).ok()
    }
}

impl Queue {
    /// Puts an event in the place of the one that waits under its key, or gives the entry back to be
    /// appended.
    pub(super) fn conflate(&mut self, entry: Entry) -> Option<Entry> {
        let Some(key) = entry.conflation_key() else {
            return Some(entry);
        };
        let index = self.latest.index(key);
        // What is on the wire in part cannot be replaced any more.
        let index = index.filter(|index| *index > 0 || self.written == 0);
        match index.and_then(|index| self.entries.get_mut(index)) {
            Some(place) => {
                let dialect = self.dialect;
                let (old, new) = (place.len(dialect), entry.len(dialect));
                *place = entry;
                self.bytes = self.bytes.saturating_sub(old).saturating_add(new);
                None
            }
            None => {
                self.latest.note(key, self.entries.len());
                Some(entry)
            }
        }
    }
}

impl Entry {
    pub(super) fn conflation_key(&self) -> Option<&Arc<str>> {
        match self {
            Self::Message(message)
            | Self::Deflated {
                message,
                promised: false,
            } => message.conflation_key(),
            Self::Promised(_)
            | Self::Deflated { promised: true, .. }
            | Self::Frames(_)
            | Self::Control(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoded::Encoded;

    fn price(key: &str, text: &str) -> Entry {
        let message = Encoded::text_message(text).with_conflation_key(Some(key.into()));
        Entry::Message(Arc::new(message))
    }

    fn plain(text: &str) -> Entry {
        Entry::Message(Arc::new(Encoded::text_message(text)))
    }

    fn payload(queue: &mut Queue) -> String {
        let body = queue.take(usize::MAX).body().unwrap();
        String::from_utf8(body.bytes).unwrap().replace('\x1e', " ")
    }

    #[test]
    fn a_later_event_takes_the_place_of_the_one_that_waits_under_its_key() {
        let mut queue = Queue::new();
        for entry in [
            price("a", "a1"),
            plain("x"),
            price("b", "b1"),
            price("a", "a2, longer"),
            price("b", "b"),
        ] {
            queue.push(entry);
        }
        let bytes = queue.bytes();
        assert_eq!(payload(&mut queue), "4a2, longer 4x 4b");
        assert_eq!(bytes, 3 * 2 + "4a2, longer4x4b".len());
        // What has left is not replaced.
        queue.push(price("a", "a3"));
        assert_eq!(payload(&mut queue), "4a3");
        assert!(queue.latest.is_empty());
    }

    #[test]
    fn what_came_back_from_a_full_socket_is_replaced_and_what_is_half_written_is_not() {
        let mut queue = Queue::new();
        queue.push(price("a", "a1"));
        queue.push(price("b", "b1"));
        let mut batch = queue.take(usize::MAX);
        // While somebody writes, the next one comes.
        queue.push(price("b", "b2"));
        batch.advance(1);
        queue.restore(batch);
        queue.push(price("a", "a2"));
        queue.push(price("b", "b3"));
        queue.push(price("a", "a3"));
        assert_eq!(payload(&mut queue), "4a1 4b1 4b3 4a3");
    }

    #[test]
    fn keys_follow_their_events_while_the_front_leaves() {
        let mut queue = Queue::new();
        for number in 0..10 {
            queue.push(price(&format!("k{number}"), &format!("k{number}-1")));
        }
        let first = queue.take(3 * 7);
        assert_eq!(first.body().unwrap().bytes, b"4k0-1\x1e4k1-1\x1e4k2-1");
        queue.push(price("k1", "new"));
        queue.push(price("k5", "five"));
        assert_eq!(
            payload(&mut queue),
            "4k3-1 4k4-1 4five 4k6-1 4k7-1 4k8-1 4k9-1 4new"
        );
    }
}
