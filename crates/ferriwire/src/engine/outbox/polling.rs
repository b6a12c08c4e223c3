//! Long-polling: the GET that waits, and what answers it.

use ferriwire_proto::engine::Dialect;
use ferriwire_proto::engine::body::Body;
use ferriwire_proto::engine::queue::{Batch, Control};

use super::{Outbox, Phase, Poller, State, WriteHalf};

/// The body of one polling answer is closed near this size.
const PAYLOAD: usize = 256 * 1024;

/// What a waiting GET is told.
#[derive(Debug)]
pub(super) enum Answer {
    Packets(Batch),
    Close(Dialect),
}

impl Outbox {
    /// A GET waits from now on. Refused when one waits already, when this is not polling, and when
    /// the session is over: nothing would ever answer it.
    pub(crate) fn attach_poll(&self, waiter: Poller) -> Result<(), Poller> {
        let mut state = self.state.lock();
        if state.phase == Phase::Closed {
            return Err(waiter);
        }
        match &mut state.half {
            WriteHalf::Polling(slot @ None) => {
                *slot = Some(waiter);
                Ok(())
            }
            WriteHalf::Polling(Some(_))
            | WriteHalf::Held
            | WriteHalf::Socket(_)
            | WriteHalf::Task => Err(waiter),
        }
    }

    /// The same for a GET that nobody has to judge: the session is open, and nothing else wants to be its
    /// transport. Says whether there is something to answer with.
    pub(crate) fn attach_plain_poll(&self, waiter: Poller) -> Result<bool, Poller> {
        let mut state = self.state.lock();
        let is_plain = state.phase == Phase::Open && !state.contested;
        match &mut state.half {
            WriteHalf::Polling(slot @ None) if is_plain => *slot = Some(waiter),
            WriteHalf::Polling(_) | WriteHalf::Held | WriteHalf::Socket(_) | WriteHalf::Task => {
                return Err(waiter);
            }
        }
        Ok(!state.has_nothing_to_say())
    }

    /// A WebSocket asks to take the session over. To be called before the connection task knows it.
    pub(crate) fn contest(&self) {
        self.state.lock().contested = true;
    }

    /// Whether a GET waits for packets.
    pub(crate) fn has_waiting_poll(&self) -> bool {
        matches!(self.state.lock().half, WriteHalf::Polling(Some(_)))
    }

    /// Answers a waiting GET at once: with what there is, or with `6` when there is nothing or what
    /// there is shall leave by the next transport.
    pub(crate) fn release_poll(&self, with_packets: bool) {
        let (waiter, batch, dialect, waiters) = {
            let mut state = self.state.lock();
            let WriteHalf::Polling(slot) = &mut state.half else {
                return;
            };
            let Some(waiter) = slot.take() else { return };
            let batch = with_packets.then(|| state.queue.take(PAYLOAD));
            let taken = batch.as_ref().map_or(0, Batch::bytes);
            state.count_written(taken);
            (waiter, batch, state.queue.dialect(), state.waiters.take())
        };
        drop(waiters);
        let body = batch.and_then(|batch| batch.body());
        let _ = waiter.send(body.unwrap_or_else(|| Body::of_controls(dialect, &[Control::Noop])));
    }

    /// Holds the answer of a waiting GET back, until the answer to a POST is on its way.
    pub(crate) fn pause_polls(&self) {
        self.state.lock().paused = true;
    }

    /// Ends [`pause_polls`](Self::pause_polls); the caller flushes.
    pub(crate) fn resume_polls(&self) {
        self.state.lock().paused = false;
    }

    /// Makes the answer outside the lock, because others may hold a room's lock and wait for it.
    pub(super) fn answer_poll(&self, waiter: Poller, answer: &Answer) {
        let body = match answer {
            // As the reference has it, with `6` in front.
            Answer::Close(dialect) => {
                let controls = [Control::Noop, Control::Close];
                Some(Body::of_controls(*dialect, &controls))
            }
            Answer::Packets(batch) => batch.body(),
        };
        match body {
            // A GET that its client gave up in this instant ends its session, so that nothing is
            // missed.
            Some(body) => drop(waiter.send(body)),
            None => {
                // Nothing in it had a form on polling.
                if let WriteHalf::Polling(slot @ None) = &mut self.state.lock().half {
                    *slot = Some(waiter);
                }
            }
        }
    }
}

impl State {
    /// The waiting GET and what answers it, if there is something to say.
    pub(super) fn take_answer(&mut self) -> Option<(Poller, Answer)> {
        if self.has_nothing_to_say() {
            return None;
        }
        let WriteHalf::Polling(slot) = &mut self.half else {
            return None;
        };
        let waiter = slot.take()?;
        if self.queue.is_empty() {
            self.close_pending = false;
            Some((waiter, Answer::Close(self.queue.dialect())))
        } else {
            let batch = self.queue.take(PAYLOAD);
            self.count_written(batch.bytes());
            Some((waiter, Answer::Packets(batch)))
        }
    }
}
