//! Whether the server still lives, as its client notices (1.1.7, 1.2).

use std::time::{Duration, Instant};

use super::Opened;
use crate::engine::Revision;
use crate::engine::packet::Packet;
use crate::engine::session::heartbeat::Patience;

/// Waits for pings in revision 4, and sends them in revision 3.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    phase: Phase,
    patience: Patience,
    reading: bool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Revision 4: the server sends the pings, and nothing else counts.
    Listening,
    /// Revision 3: the next ping is due then.
    Resting { ping_at: Option<Instant> },
    /// Revision 3: a ping is out. Whatever the server sends shows that it lives.
    Waiting,
}

/// What the heartbeat's timer was set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// To send a ping.
    Ping,
    /// To give up on the server.
    Timeout,
}

impl Heartbeat {
    pub(super) fn new(opened: &Opened, revision: Revision, now: Instant) -> Self {
        let mut heartbeat = Self {
            interval: opened.ping_interval,
            timeout: opened.ping_timeout,
            phase: Phase::Listening,
            patience: Patience::Until(None),
            reading: true,
        };
        if revision == Revision::V3 {
            heartbeat.rest(now);
        }
        heartbeat.renew(now);
        heartbeat
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let ping_at = match self.phase {
            Phase::Resting { ping_at } => ping_at,
            Phase::Listening | Phase::Waiting => None,
        };
        [ping_at, self.end()].into_iter().flatten().min()
    }

    pub(super) fn handle_packet(&mut self, packet: &Packet<'_>, now: Instant) {
        match (self.phase, packet) {
            (Phase::Listening, Packet::Ping(_)) => self.renew(now),
            (Phase::Listening, _) => {}
            (Phase::Resting { .. } | Phase::Waiting, Packet::Pong(_)) => {
                self.rest(now);
                self.renew(now);
            }
            (Phase::Resting { .. } | Phase::Waiting, _) => self.renew(now),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.end()) {
            return Some(Due::Timeout);
        }
        match self.phase {
            Phase::Resting { ping_at } if is_due(ping_at) => {
                self.phase = Phase::Waiting;
                self.wait(self.timeout, now);
                Some(Due::Ping)
            }
            Phase::Listening | Phase::Resting { .. } | Phase::Waiting => None,
        }
    }

    pub(super) fn set_reading(&mut self, reading: bool, now: Instant) {
        self.reading = reading;
        self.patience = self.patience.adjusted(reading, now);
    }

    fn end(&self) -> Option<Instant> {
        match self.patience {
            Patience::Until(end) => end,
            Patience::Left(_) => None,
        }
    }

    fn rest(&mut self, now: Instant) {
        let ping_at = now.checked_add(self.interval);
        self.phase = Phase::Resting { ping_at };
    }

    fn renew(&mut self, now: Instant) {
        self.wait(self.interval.saturating_add(self.timeout), now);
    }

    fn wait(&mut self, patience: Duration, now: Instant) {
        let patience = Patience::Until(now.checked_add(patience));
        self.patience = patience.adjusted(self.reading, now);
    }
}
