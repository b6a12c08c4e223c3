//! What becomes of events when more waits than may: only whole events are dropped, never
//! acknowledgements, control packets, or what is next to be written.

use super::{Entry, Queue};
use crate::encoded::Kind;

/// What happens when more waits for a client than may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// The client is closed as a slow consumer.
    #[default]
    Close,
    /// The events that have waited longest are dropped.
    DropOldest,
    /// The events that came last are dropped.
    DropNewest,
}

impl Queue {
    /// Drops events until at most `limit` bytes wait behind the first entry, as far as their own
    /// policies, or `default`, allow it. Returns how many it dropped.
    pub fn relieve(&mut self, limit: usize, default: Overflow) -> usize {
        let before = self.entries.len();
        let mut index = 1;
        while self.bytes_behind() > limit && index < self.entries.len() {
            if self.policy_at(index, default) == Overflow::DropOldest {
                self.drop_at(index);
            } else {
                index = index.saturating_add(1);
            }
        }
        let mut end = self.entries.len();
        while self.bytes_behind() > limit && end > 1 {
            end = end.saturating_sub(1);
            if self.policy_at(end, default) == Overflow::DropNewest {
                self.drop_at(end);
            }
        }
        let dropped = before.saturating_sub(self.entries.len());
        if dropped > 0 && !self.latest.is_empty() {
            self.latest.recount(&self.entries);
        }
        dropped
    }

    /// What cannot be dropped closes the client.
    fn policy_at(&self, index: usize, default: Overflow) -> Overflow {
        match self.entries.get(index) {
            Some(Entry::Message(encoded) | Entry::Deflated(encoded))
                if encoded.kind() == Kind::Event =>
            {
                encoded.overflow().unwrap_or(default)
            }
            Some(Entry::Message(_) | Entry::Deflated(_) | Entry::Control(_)) | None => {
                Overflow::Close
            }
        }
    }

    fn drop_at(&mut self, index: usize) {
        if let Some(entry) = self.entries.remove(index) {
            self.bytes = self.bytes.saturating_sub(entry.len(self.dialect));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::encoded::{Builder, Encoded};
    use crate::engine::queue::Control;

    fn event(text: &str, overflow: Option<Overflow>) -> Entry {
        let message = Encoded::text_message(text).with_overflow(overflow);
        Entry::Message(Arc::new(message))
    }

    fn acknowledgement(text: &str) -> Entry {
        let mut builder = Builder::new(4, text.len());
        builder.body().extend_from_slice(text.as_bytes());
        let message = builder.finish(b"4", Vec::new(), Kind::Control);
        Entry::Message(Arc::new(message.with_overflow(Some(Overflow::DropOldest))))
    }

    fn waiting(queue: &mut Queue) -> String {
        let body = queue.take(usize::MAX).body();
        let body = body.map(|body| body.bytes).unwrap_or_default();
        String::from_utf8(body).unwrap().replace('\x1e', " ")
    }

    /// Each event takes seven bytes: two of the frame, the packet type, and four.
    const EVENT: usize = 7;

    #[test]
    fn each_policy_drops_from_its_end_and_only_as_much_as_is_needed() {
        let cases = [
            (Overflow::Close, 0, "4e0-- 4e1-- 4e2-- 4e3-- 4e4--"),
            (Overflow::DropOldest, 2, "4e0-- 4e3-- 4e4--"),
            (Overflow::DropNewest, 2, "4e0-- 4e1-- 4e2--"),
        ];
        for (default, dropped, left) in cases {
            let mut queue = Queue::new();
            for number in 0..5 {
                queue.push(event(&format!("e{number}--"), None));
            }
            assert_eq!(queue.relieve(4 * EVENT, default), 0, "at the limit");
            assert_eq!(queue.relieve(2 * EVENT, default), dropped, "{default:?}");
            assert_eq!(waiting(&mut queue), left);
        }
    }

    #[test]
    fn an_event_has_a_policy_of_its_own() {
        let mut queue = Queue::new();
        queue.push(event("first", None));
        queue.push(event("keep", None));
        queue.push(event("old1", Some(Overflow::DropOldest)));
        queue.push(event("new1", Some(Overflow::DropNewest)));
        queue.push(event("hold", Some(Overflow::Close)));
        assert_eq!(queue.relieve(0, Overflow::Close), 2);
        assert_eq!(waiting(&mut queue), "4first 4keep 4hold");
    }

    #[test]
    fn nothing_but_events_is_dropped_and_never_what_is_next() {
        let mut queue = Queue::new();
        queue.push(event("next", None));
        queue.push(acknowledgement("3"));
        queue.push(Entry::Control(Control::Ping));
        queue.push(event("gone", None));
        assert_eq!(queue.relieve(0, Overflow::DropOldest), 1);
        assert_eq!(queue.bytes(), EVENT + 4 + 3);
        assert_eq!(waiting(&mut queue), "4next 43 2");
    }

    #[test]
    fn what_is_half_written_stays_whole() {
        let mut queue = Queue::new();
        for number in 0..3 {
            queue.push(event(&format!("e{number}--"), None));
        }
        let mut batch = queue.take(usize::MAX);
        batch.advance(EVENT + 3);
        queue.restore(batch);
        assert_eq!(queue.relieve(0, Overflow::DropOldest), 1);
        assert_eq!(queue.bytes(), EVENT - 3);
        assert!(queue.is_within_entry());
    }

    #[test]
    fn keys_still_find_their_events_when_others_were_dropped() {
        let latest = |text: &str| {
            let message = Encoded::text_message(text).with_conflation_key(Some("k".into()));
            Entry::Message(Arc::new(message.with_overflow(Some(Overflow::Close))))
        };
        let mut queue = Queue::new();
        queue.push(event("next", None));
        queue.push(event("gone", None));
        queue.push(latest("old"));
        assert_eq!(queue.relieve(10, Overflow::DropOldest), 1);
        queue.push(latest("new"));
        assert_eq!(waiting(&mut queue), "4next 4new");
    }
}
