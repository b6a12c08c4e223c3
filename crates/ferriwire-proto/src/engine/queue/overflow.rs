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
    /// When more than `limit` bytes wait behind the first entry, drops events until at most seven
    /// eighths of it do, as far as their own policies, or `default`, allow it. Returns how many it
    /// dropped.
    ///
    /// It looks at the whole queue. With an eighth of room made, it does so once in a while and not at
    /// every push to a client that reads nothing.
    pub fn relieve(&mut self, limit: usize, default: Overflow) -> usize {
        if self.bytes_behind() <= limit {
            return 0;
        }
        let before = self.entries.len();
        let target = limit.saturating_sub(limit / 8);
        self.drop_oldest(target, default);
        self.drop_newest(target, default);
        let dropped = before.saturating_sub(self.entries.len());
        if dropped > 0 && !self.latest.is_empty() {
            self.latest.recount(&self.entries);
        }
        dropped
    }

    fn drop_oldest(&mut self, target: usize, default: Overflow) {
        let mut excess = self.bytes_behind().saturating_sub(target);
        let (dialect, mut is_next) = (self.dialect, true);
        let bytes = &mut self.bytes;
        self.entries.retain(|entry| {
            let stays = std::mem::take(&mut is_next)
                || excess == 0
                || entry.policy(default) != Overflow::DropOldest;
            if !stays {
                let len = entry.len(dialect);
                excess = excess.saturating_sub(len);
                *bytes = bytes.saturating_sub(len);
            }
            stays
        });
    }

    fn drop_newest(&mut self, target: usize, default: Overflow) {
        let mut excess = self.bytes_behind().saturating_sub(target);
        // From which entry on they go.
        let mut begin = self.entries.len();
        for (index, entry) in self.entries.iter().enumerate().skip(1).rev() {
            if excess == 0 {
                break;
            }
            if entry.policy(default) == Overflow::DropNewest {
                excess = excess.saturating_sub(entry.len(self.dialect));
                begin = index;
            }
        }
        let (dialect, mut index) = (self.dialect, 0_usize);
        let bytes = &mut self.bytes;
        if begin < self.entries.len() {
            self.entries.retain(|entry| {
                let stays = index < begin || entry.policy(default) != Overflow::DropNewest;
                index = index.saturating_add(1);
                if !stays {
                    *bytes = bytes.saturating_sub(entry.len(dialect));
                }
                stays
            });
        }
    }
}

impl Entry {
    /// What cannot be dropped closes the client.
    fn policy(&self, default: Overflow) -> Overflow {
        match self {
            Self::Message(message)
            | Self::Deflated {
                message,
                promised: false,
            } if message.kind() == Kind::Event => message.overflow().unwrap_or(default),
            Self::Message(_)
            | Self::Promised(_)
            | Self::Deflated { .. }
            | Self::Frames(_)
            | Self::Control(_) => Overflow::Close,
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
    fn each_policy_drops_from_its_end_until_an_eighth_is_free() {
        let cases = [
            (Overflow::Close, 0, "4e0-- 4e1-- 4e2-- 4e3-- 4e4--"),
            (Overflow::DropOldest, 3, "4e0-- 4e4--"),
            (Overflow::DropNewest, 3, "4e0-- 4e1--"),
        ];
        for (default, dropped, left) in cases {
            let mut queue = Queue::new();
            for number in 0..5 {
                queue.push(event(&format!("e{number}--"), None));
            }
            assert_eq!(queue.relieve(4 * EVENT, default), 0, "at the limit");
            // Seven eighths of two and a bit are less than two.
            assert_eq!(queue.relieve(2 * EVENT, default), dropped, "{default:?}");
            assert_eq!(waiting(&mut queue), left);
        }
    }

    #[test]
    fn a_stuck_queue_is_relieved_rarely_and_not_at_each_push() {
        for default in [Overflow::DropOldest, Overflow::DropNewest] {
            let (mut queue, mut times, mut dropped) = (Queue::new(), 0, 0);
            let limit = 80 * EVENT;
            for number in 0..1_000 {
                queue.push(event(&format!("{number:04}"), None));
                let now = queue.relieve(limit, default);
                assert!(queue.bytes_behind() <= limit);
                times += usize::from(now > 0);
                dropped += now;
            }
            // The first time after 82 events, then after each eleven.
            assert_eq!(times, 1 + (1_000 - 82) / 11, "{default:?}");
            assert_eq!(dropped, 11 * times, "{default:?}");
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
    fn what_was_promised_is_not_dropped_whatever_its_policy() {
        let mut queue = Queue::new();
        for text in ["next", "kept"] {
            let message = Encoded::text_message(text).with_overflow(Some(Overflow::DropOldest));
            queue.push(Entry::Promised(Arc::new(message)));
        }
        queue.push(event("gone", None));
        assert_eq!(queue.relieve(0, Overflow::DropOldest), 1);
        assert_eq!(waiting(&mut queue), "4next 4kept");
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
