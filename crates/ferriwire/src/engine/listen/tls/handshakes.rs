//! A bounded number of handshakes, of which the oldest makes room for the newest.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The handshakes of one listener.
pub(super) struct Handshakes {
    limit: usize,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    /// How many have begun, ever.
    begun: u64,
    /// In the order in which they began. To drop a sender displaces the handshake.
    turns: BTreeMap<u64, oneshot::Sender<()>>,
}

/// One handshake, until it is dropped.
pub(super) struct Turn<'a> {
    handshakes: &'a Handshakes,
    number: u64,
    displaced: oneshot::Receiver<()>,
}

impl Handshakes {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            running: Mutex::default(),
        }
    }

    /// Begins one. Those that never end are the oldest: so they keep nobody out, however many.
    pub(super) fn begin(&self) -> Turn<'_> {
        let (turn, displaced) = oneshot::channel();
        let mut running = self.running.lock();
        let oldest = (running.turns.len() >= self.limit)
            .then(|| running.turns.pop_first())
            .flatten();
        running.begun += 1;
        let number = running.begun;
        running.turns.insert(number, turn);
        drop(running);
        // Wakes its task, which is not to be done under the lock.
        drop(oldest);
        Turn {
            handshakes: self,
            number,
            displaced,
        }
    }
}

impl Turn<'_> {
    /// Waits until this one has to make room.
    pub(super) async fn displaced(&mut self) {
        drop((&mut self.displaced).await);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.handshakes.running.lock().turns.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn one_more_than_the_limit_displaces_the_oldest() {
        let handshakes = Handshakes::new(2);
        let mut first = handshakes.begin();
        let mut second = handshakes.begin();
        assert!(first.displaced().now_or_never().is_none());
        let mut third = handshakes.begin();
        assert!(first.displaced().now_or_never().is_some());
        assert!(second.displaced().now_or_never().is_none());
        drop(first);
        drop(second);
        let _fourth = handshakes.begin();
        assert!(third.displaced().now_or_never().is_none());
    }

    #[test]
    fn those_that_have_ended_do_not_count() {
        let handshakes = Handshakes::new(1);
        let mut last = handshakes.begin();
        for _ in 0..100 {
            drop(last);
            last = handshakes.begin();
        }
        assert!(last.displaced().now_or_never().is_none());
        assert_eq!(handshakes.running.lock().turns.len(), 1);
    }
}
