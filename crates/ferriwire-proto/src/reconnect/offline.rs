//! What a client keeps while it is not connected.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::encoded::Encoded;
use crate::packet::AckId;

/// What happens when more is to be kept than may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OfflinePolicy {
    /// The new event is refused, so that its sender knows.
    #[default]
    Refuse,
    /// The events that have waited longest are dropped.
    DropOldest,
}

/// An event that waits for a connection.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What is sent.
    pub message: Arc<Encoded>,
    /// Present when somebody waits for its acknowledgement.
    pub id: Option<AckId>,
}

/// The events of one namespace that wait for a connection, in order. Volatile ones are never among
/// them: their sender drops them (case 83).
#[derive(Debug)]
pub struct Offline {
    events: VecDeque<Kept>,
    bytes: usize,
    max_bytes: usize,
    policy: OfflinePolicy,
}

/// The event is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferFull {
    /// How many bytes it takes.
    pub len: usize,
    /// How many bytes wait already.
    pub bytes: usize,
    /// How many may.
    pub limit: usize,
}

impl Offline {
    /// Nothing waits yet.
    #[must_use]
    pub const fn new(max_bytes: usize, policy: OfflinePolicy) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            max_bytes,
            policy,
        }
    }

    /// How many bytes wait, measured in WebSocket frames.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Keeps an event, and returns those that were dropped for it: whoever waits for their
    /// acknowledgements has to be told.
    ///
    /// # Errors
    ///
    /// There is no room, and nothing may be dropped, or what may is not enough.
    pub fn keep(&mut self, event: Kept) -> Result<Vec<Kept>, BufferFull> {
        let len = event.message.len();
        let full = BufferFull {
            len,
            bytes: self.bytes,
            limit: self.max_bytes,
        };
        let has_room = self.bytes.saturating_add(len) <= self.max_bytes;
        if len > self.max_bytes || (!has_room && self.policy == OfflinePolicy::Refuse) {
            return Err(full);
        }
        let mut dropped = Vec::new();
        while self.bytes.saturating_add(len) > self.max_bytes
            && let Some(oldest) = self.take()
        {
            dropped.push(oldest);
        }
        self.bytes = self.bytes.saturating_add(len);
        self.events.push_back(event);
        Ok(dropped)
    }

    /// Takes an event out whose acknowledgement nobody waits for any more (case 81).
    pub fn remove(&mut self, id: AckId) -> Option<Kept> {
        let index = self.events.iter().position(|event| event.id == Some(id))?;
        let event = self.events.remove(index)?;
        self.bytes = self.bytes.saturating_sub(event.message.len());
        Some(event)
    }

    /// Takes the event that has waited longest, to send it.
    pub fn take(&mut self) -> Option<Kept> {
        let event = self.events.pop_front()?;
        self.bytes = self.bytes.saturating_sub(event.message.len());
        Some(event)
    }
}

impl fmt::Display for BufferFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { len, bytes, limit } = self;
        write!(
            f,
            "event of {len} bytes does not fit: {bytes} of {limit} bytes wait"
        )
    }
}

impl Error for BufferFull {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An event of so many bytes.
    fn event(len: usize, id: u64) -> Kept {
        let message = Encoded::text_message(&"x".repeat(len - 3));
        assert_eq!(message.len(), len);
        Kept {
            message: Arc::new(message),
            id: Some(AckId(id)),
        }
    }

    fn ids(events: impl IntoIterator<Item = Kept>) -> Vec<u64> {
        let ids = events.into_iter().map(|event| event.id.unwrap().0);
        ids.collect()
    }

    fn take_all(offline: &mut Offline) -> Vec<u64> {
        ids(std::iter::from_fn(|| offline.take()))
    }

    #[test]
    fn events_are_sent_in_the_order_in_which_they_came() {
        // Case 80
        let mut offline = Offline::new(100, OfflinePolicy::Refuse);
        for id in 0..5 {
            assert!(offline.keep(event(20, id)).unwrap().is_empty());
        }
        assert_eq!((offline.bytes(), offline.len()), (100, 5));
        assert_eq!(take_all(&mut offline), [0, 1, 2, 3, 4]);
        assert_eq!((offline.bytes(), offline.is_empty()), (0, true));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_the_rest_stays() {
        let mut offline = Offline::new(100, OfflinePolicy::Refuse);
        offline.keep(event(60, 0)).unwrap();
        let full = offline.keep(event(41, 1)).unwrap_err();
        let expected = "event of 41 bytes does not fit: 60 of 100 bytes wait";
        assert_eq!(full.to_string(), expected);
        offline.keep(event(40, 2)).unwrap();
        assert_eq!(take_all(&mut offline), [0, 2]);
    }

    #[test]
    fn the_oldest_make_room_where_that_is_wanted() {
        let mut offline = Offline::new(100, OfflinePolicy::DropOldest);
        for (id, len) in [(0, 30), (1, 30), (2, 40)] {
            offline.keep(event(len, id)).unwrap();
        }
        assert_eq!(ids(offline.keep(event(50, 3)).unwrap()), [0, 1]);
        // What can never fit drops nothing.
        assert!(offline.keep(event(101, 4)).is_err());
        assert_eq!(take_all(&mut offline), [2, 3]);
    }

    #[test]
    fn an_event_that_nobody_waits_for_is_taken_out() {
        // Case 81
        let mut offline = Offline::new(100, OfflinePolicy::Refuse);
        for id in 0..3 {
            offline.keep(event(20, id)).unwrap();
        }
        assert_eq!(ids(offline.remove(AckId(1))), [1]);
        assert!(offline.remove(AckId(1)).is_none());
        assert_eq!(offline.bytes(), 40);
        assert_eq!(take_all(&mut offline), [0, 2]);
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_and_nothing_vanishes(
            steps in prop::collection::vec((3_usize..60, 0_u8..4), 0..60),
            drops: bool,
        ) {
            let policy = if drops { OfflinePolicy::DropOldest } else { OfflinePolicy::Refuse };
            let mut offline = Offline::new(100, policy);
            let mut model: VecDeque<(u64, usize)> = VecDeque::new();
            for (id, (len, step)) in (0..).zip(steps) {
                match step {
                    0 => {
                        let taken = offline.take().map(|event| event.id.unwrap().0);
                        prop_assert_eq!(taken, model.pop_front().map(|(id, _)| id));
                    }
                    1 => {
                        let middle = model.remove(model.len() / 2).map_or(u64::MAX, |(id, _)| id);
                        prop_assert_eq!(offline.remove(AckId(middle)).is_some(), middle != u64::MAX);
                    }
                    _ => match offline.keep(event(len, id)) {
                        Ok(dropped) => {
                            for gone in ids(dropped) {
                                prop_assert_eq!(model.pop_front().map(|(id, _)| id), Some(gone));
                            }
                            model.push_back((id, len));
                        }
                        Err(full) => prop_assert!(!drops && full.bytes + len > 100),
                    },
                }
                let bytes: usize = model.iter().map(|(_, len)| len).sum();
                prop_assert_eq!(offline.bytes(), bytes);
                prop_assert!(bytes <= 100);
            }
            let left: Vec<u64> = model.iter().map(|(id, _)| *id).collect();
            prop_assert_eq!(take_all(&mut offline), left);
        }
    }
}
