//! Whether the peer of a session still lives (1.1.7, 1.2).

use std::time::{Duration, Instant};

use super::{Revision, Timing};

/// Asks for a pong in regular intervals, or waits for pings that come in such, with one timer.
#[derive(Debug)]
pub(super) struct Heartbeat {
    phase: Phase,
    reading: bool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The peer has answered; the next ping is due then.
    Resting { ping_at: Option<Instant> },
    /// A ping is out.
    Waiting { patience: Patience, extended: bool },
    /// Revision 3: it is the peer that sends pings.
    Listening { patience: Patience },
}

/// How long the pong, or the next ping, may take. It does not shrink while we do not read: what we
/// wait for may lie there.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum Patience {
    Until(Option<Instant>),
    Left(Duration),
}

/// What the heartbeat's timer was set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// To send a ping.
    Ping,
    /// To give up on the peer.
    Timeout,
}

impl Heartbeat {
    /// The first ping is due one interval from now.
    pub(super) fn new(timing: &Timing, revision: Revision, now: Instant) -> Self {
        let ping_at = now.checked_add(timing.ping_interval);
        let mut heartbeat = Self {
            phase: Phase::Resting { ping_at },
            reading: true,
        };
        if revision == Revision::V3 {
            heartbeat.listen(timing, now);
        }
        heartbeat
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Resting { ping_at } => ping_at,
            Phase::Waiting { patience, .. } | Phase::Listening { patience } => match patience {
                Patience::Until(deadline) => deadline,
                Patience::Left(_) => None,
            },
        }
    }

    /// A pong that nobody asked for changes nothing, so that it cannot put off the next ping.
    pub(super) fn handle_pong(&mut self, timing: &Timing, now: Instant) {
        match self.phase {
            Phase::Resting { .. } | Phase::Listening { .. } => {}
            Phase::Waiting { .. } => self.rest(timing, now),
        }
    }

    /// The peer, which speaks revision 3, has asked; nothing else that it sends counts.
    pub(super) fn handle_ping(&mut self, timing: &Timing, now: Instant) {
        self.listen(timing, now);
    }

    /// Another packet shows that the peer lives, but it owes the pong: one extension per ping.
    pub(super) fn handle_other_packet(&mut self, timing: &Timing, now: Instant) {
        match self.phase {
            Phase::Resting { .. }
            | Phase::Waiting { extended: true, .. }
            | Phase::Listening { .. } => {}
            Phase::Waiting {
                extended: false, ..
            } => self.wait(timing, now, true),
        }
    }

    /// What a ping has asked on the transport before cannot be told from what gets lost with it:
    /// the peer is asked again, or may ask again, on its new transport.
    pub(super) fn handle_switch(&mut self, timing: &Timing, now: Instant) {
        match self.phase {
            Phase::Resting { .. } | Phase::Waiting { .. } => self.handle_pong(timing, now),
            Phase::Listening { .. } => self.listen(timing, now),
        }
    }

    pub(super) fn handle_timeout(&mut self, timing: &Timing, now: Instant) -> Option<Due> {
        let due = self.deadline().filter(|deadline| *deadline <= now)?;
        match self.phase {
            Phase::Resting { .. } => {
                // A timer that fires late does not give the peer more time, unless it is so late
                // (the machine was suspended) that the peer would have had none at all.
                let late = now.saturating_duration_since(due);
                let start = if late < timing.ping_timeout { due } else { now };
                self.wait(timing, start, false);
                Some(Due::Ping)
            }
            Phase::Waiting { .. } | Phase::Listening { .. } => Some(Due::Timeout),
        }
    }

    pub(super) fn set_reading(&mut self, reading: bool, now: Instant) {
        self.reading = reading;
        match &mut self.phase {
            Phase::Resting { .. } => {}
            Phase::Waiting { patience, .. } | Phase::Listening { patience } => {
                patience.adjust(reading, now);
            }
        }
    }

    fn rest(&mut self, timing: &Timing, now: Instant) {
        let ping_at = now.checked_add(timing.ping_interval);
        self.phase = Phase::Resting { ping_at };
    }

    fn listen(&mut self, timing: &Timing, now: Instant) {
        let patience = timing.ping_interval.saturating_add(timing.ping_timeout);
        let patience = Patience::Until(now.checked_add(patience));
        let patience = patience.adjusted(self.reading, now);
        self.phase = Phase::Listening { patience };
    }

    #[inline(never)]
    fn wait(&mut self, timing: &Timing, start: Instant, extended: bool) {
        let patience = Patience::Until(start.checked_add(timing.ping_timeout));
        let patience = patience.adjusted(self.reading, start);
        self.phase = Phase::Waiting { patience, extended };
    }
}

impl Patience {
    #[inline(never)]
    fn adjust(&mut self, reading: bool, now: Instant) {
        *self = self.adjusted(reading, now);
    }

    pub(in crate::engine) fn adjusted(self, reading: bool, now: Instant) -> Self {
        match (self, reading) {
            (Self::Until(deadline), false) => {
                Self::Left(deadline.map_or(Duration::MAX, |deadline| {
                    deadline.saturating_duration_since(now)
                }))
            }
            (Self::Left(left), true) => Self::Until(now.checked_add(left)),
            (Self::Until(_), true) | (Self::Left(_), false) => self,
        }
    }
}
