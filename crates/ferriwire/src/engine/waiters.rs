//! Who waits for a queue to get shorter.

use std::mem;
use std::task::Waker;

/// Tasks that wait; they are woken when this is dropped. Nothing is allocated while nobody waits.
///
/// Whoever takes them out from behind a lock declares the variable in front of the lock's guard, so
/// that they are woken when the lock is free.
#[derive(Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "every connection has one, and nearly all are empty: one word instead of three"
)]
pub(crate) struct Waiters(Option<Box<Vec<Waker>>>);

impl Waiters {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Enters a task, once.
    pub(crate) fn enter(&mut self, waker: &Waker) {
        let waiting = self.0.get_or_insert_default();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    /// `None` when nobody waits.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Self> {
        self.0.is_some().then(|| mem::take(self))
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        if let Some(waiting) = self.0.take() {
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}
