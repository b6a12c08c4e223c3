//! What happened, counted under a bounded set of reasons.

use std::sync::atomic::{AtomicU64, Ordering};

use ferriwire_proto::engine::CloseReason;
use ferriwire_proto::engine::handshake::Refusal;

/// How many reasons for refusals there are: the six codes of the reference.
const CODES: usize = 6;

#[derive(Debug, Default)]
pub(crate) struct Counters {
    sessions_opened: AtomicU64,
    sessions_closed: AtomicU64,
    slow_consumers: AtomicU64,
    ping_timeouts: AtomicU64,
    refusals: [AtomicU64; CODES],
    oversized_bodies: AtomicU64,
}

/// A reading of a server's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Sessions opened since the start.
    pub sessions_opened: u64,
    /// Sessions that have ended since the start.
    pub sessions_closed: u64,
    /// Sessions that were closed because their client read too slowly.
    pub slow_consumers: u64,
    /// Sessions that were closed because their client did not answer a ping.
    pub ping_timeouts: u64,
    /// Refused requests by the reference's codes: 0 transport unknown, 1 session unknown, 2 bad
    /// method, 3 bad request, 4 forbidden, 5 unsupported revision.
    pub refusals: [u64; CODES],
    /// Polling bodies above `max_payload`.
    pub oversized_bodies: u64,
    /// Handlers that panicked; each cost its socket, not the process. Socket.IO only.
    pub handler_panics: u64,
    /// Acknowledgements that nobody waited for. Socket.IO only.
    pub unexpected_acks: u64,
}

impl Stats {
    /// Sessions that are open now.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions_opened.saturating_sub(self.sessions_closed)
    }
}

impl Counters {
    pub(crate) fn session_opened(&self) {
        add(&self.sessions_opened);
    }

    pub(crate) fn session_closed(&self, reason: CloseReason) {
        add(&self.sessions_closed);
        if reason == CloseReason::SlowConsumer {
            add(&self.slow_consumers);
        } else if reason == CloseReason::PingTimeout {
            add(&self.ping_timeouts);
        }
    }

    pub(crate) fn refused(&self, refusal: &Refusal) {
        if let Some(counter) = self.refusals.get(usize::from(refusal.code())) {
            add(counter);
        }
    }

    pub(crate) fn oversized_body(&self) {
        add(&self.oversized_bodies);
    }

    pub(crate) fn read(&self) -> Stats {
        Stats {
            sessions_opened: get(&self.sessions_opened),
            sessions_closed: get(&self.sessions_closed),
            slow_consumers: get(&self.slow_consumers),
            ping_timeouts: get(&self.ping_timeouts),
            refusals: std::array::from_fn(|code| get(&self.refusals[code])),
            oversized_bodies: get(&self.oversized_bodies),
            handler_panics: 0,
            unexpected_acks: 0,
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
