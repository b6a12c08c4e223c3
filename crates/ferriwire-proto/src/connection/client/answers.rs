//! Who waits for an acknowledgement of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::packet::AckId;

/// The acknowledgements that one namespace waits for, each with whoever wants it: `T`.
///
/// Whatever happens, whoever was [added](Self::add) is handed out once: with the answer, with its
/// timeout, when what it asked is lost, or when it gives up itself.
#[derive(Debug)]
pub struct Answers<T> {
    next: u64,
    waiting: BTreeMap<AckId, Waiting<T>>,
    deadlines: BTreeSet<(Instant, AckId)>,
}

#[derive(Debug)]
struct Waiting<T> {
    who: T,
    deadline: Option<Instant>,
    /// The event has left, so that the answer is lost with the session.
    is_sent: bool,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self {
            next: 0,
            waiting: BTreeMap::new(),
            deadlines: BTreeSet::new(),
        }
    }
}

impl<T> Answers<T> {
    /// Nobody waits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nobody waits. No number is used that these have had.
    #[must_use]
    pub fn after(before: &Self) -> Self {
        Self {
            next: before.next,
            ..Self::default()
        }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When [`take_late`](Self::take_late) has somebody.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Somebody waits, at the longest until the deadline. The number for its event counts from 0, in
    /// each namespace for itself, and does not begin anew with a session.
    pub fn add(&mut self, who: T, deadline: Option<Instant>) -> AckId {
        let id = AckId(self.next);
        self.next = if id == AckId::MAX {
            0
        } else {
            self.next.saturating_add(1)
        };
        let waiting = Waiting {
            who,
            deadline,
            is_sent: false,
        };
        self.waiting.insert(id, waiting);
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id));
        }
        id
    }

    /// The event has left on the session.
    pub fn handle_sent(&mut self, id: AckId) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.is_sent = true;
        }
    }

    /// Whether the event has left, so that an answer can come.
    #[must_use]
    pub fn is_sent(&self, id: AckId) -> bool {
        self.waiting.get(&id).is_some_and(|waiting| waiting.is_sent)
    }

    /// An answer came, or whoever waits does not any more. `None`: nobody waits for it.
    pub fn take(&mut self, id: AckId) -> Option<T> {
        let waiting = self.waiting.remove(&id)?;
        if let Some(deadline) = waiting.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        Some(waiting.who)
    }

    /// The next one whose deadline has passed. Its event, if it has not left, is not to be sent.
    pub fn take_late(&mut self, now: Instant) -> Option<(AckId, T)> {
        let (deadline, id) = self.deadlines.first().copied()?;
        if deadline > now {
            return None;
        }
        Some((id, self.take(id)?))
    }

    /// The session is over: all whose events have left. The others wait on, as their events do.
    pub fn take_lost(&mut self) -> Vec<T> {
        let sent = self.waiting.iter().filter(|(_, waiting)| waiting.is_sent);
        let sent: Vec<AckId> = sent.map(|(id, _)| *id).collect();
        sent.into_iter().filter_map(|id| self.take(id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn numbers_count_from_zero_and_answers_are_taken_once() {
        let mut answers = Answers::new();
        assert!(answers.is_empty());
        assert_eq!(answers.add("a", None), AckId(0));
        assert_eq!(answers.add("b", None), AckId(1));
        assert_eq!(answers.take(AckId(1)), Some("b"));
        assert_eq!(answers.take(AckId(1)), None, "given twice");
        assert_eq!(answers.take(AckId(7)), None, "never asked");
        assert_eq!(answers.add("c", None), AckId(2), "no number is used again");
        assert_eq!(answers.len(), 2);
    }

    #[test]
    fn who_is_late_is_told_in_the_order_of_deadlines() {
        let (mut answers, begun) = (Answers::new(), now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        answers.add("second", Some(at(2)));
        answers.add("never", None);
        answers.add("first", Some(at(1)));
        answers.add("answered", Some(at(1)));
        answers.take(AckId(3));
        assert_eq!(answers.deadline(), Some(at(1)));
        assert_eq!(answers.take_late(begun), None);
        assert_eq!(answers.take_late(at(2)), Some((AckId(2), "first")));
        assert_eq!(answers.take_late(at(2)), Some((AckId(0), "second")));
        assert_eq!(answers.take_late(at(9)), None);
        assert_eq!(answers.deadline(), None);
        assert_eq!(answers.len(), 1);
    }

    #[test]
    fn answers_of_events_that_have_left_are_lost_with_the_session() {
        // Case 80
        let mut answers = Answers::new();
        for who in ["sent", "buffered", "answered"] {
            answers.add(who, Some(now()));
        }
        answers.handle_sent(AckId(0));
        answers.handle_sent(AckId(2));
        answers.take(AckId(2));
        assert_eq!(answers.take_lost(), ["sent"]);
        assert_eq!(answers.take_lost(), [""; 0]);
        assert_eq!(answers.take(AckId(1)), Some("buffered"));
        assert_eq!(answers.deadline(), None, "no deadline is left behind");
    }
}
