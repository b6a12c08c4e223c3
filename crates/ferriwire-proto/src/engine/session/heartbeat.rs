//! Whether the peer of a session still lives (1.1.7).

use std::time::{Duration, Instant};

use super::Timing;

/// Asks for a pong in regular intervals, with one timer.
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
}

/// How long the pong may take. It does not shrink while we do not read: the pong may lie there.
#[derive(Clone, Copy, Debug)]
enum Patience {
    Until(Option<Instant>),
    Left(Duration),
}

/// What the heartbeat's timer was set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// To send a ping.
    Ping,
    /// To give up on the pong.
    Timeout,
}

impl Heartbeat {
    /// The first ping is due one interval from now.
    pub(super) fn new(timing: &Timing, now: Instant) -> Self {
        let ping_at = now.checked_add(timing.ping_interval);
        Self {
            phase: Phase::Resting { ping_at },
            reading: true,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Resting { ping_at } => ping_at,
            Phase::Waiting { patience, .. } => match patience {
                Patience::Until(deadline) => deadline,
                Patience::Left(_) => None,
            },
        }
    }

    /// A pong that nobody asked for changes nothing, so that it cannot put off the next ping.
    pub(super) fn handle_pong(&mut self, timing: &Timing, now: Instant) {
        match self.phase {
            Phase::Resting { .. } => {}
            Phase::Waiting { .. } => self.rest(timing, now),
        }
    }

    /// Another packet shows that the peer lives, but it owes the pong: one extension per ping.
    pub(super) fn handle_other_packet(&mut self, timing: &Timing, now: Instant) {
        match self.phase {
            Phase::Resting { .. } | Phase::Waiting { extended: true, .. } => {}
            Phase::Waiting {
                extended: false, ..
            } => self.wait(timing, now, true),
        }
    }

    /// What a ping has asked on the transport before cannot be told from what gets lost with it:
    /// the peer is asked again, on its new transport.
    pub(super) fn handle_switch(&mut self, timing: &Timing, now: Instant) {
        self.handle_pong(timing, now);
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
            Phase::Waiting { .. } => Some(Due::Timeout),
        }
    }

    pub(super) fn set_reading(&mut self, reading: bool, now: Instant) {
        self.reading = reading;
        if let Phase::Waiting { patience, .. } = &mut self.phase {
            *patience = patience.adjusted(reading, now);
        }
    }

    fn rest(&mut self, timing: &Timing, now: Instant) {
        let ping_at = now.checked_add(timing.ping_interval);
        self.phase = Phase::Resting { ping_at };
    }

    fn wait(&mut self, timing: &Timing, start: Instant, extended: bool) {
        let patience = Patience::Until(start.checked_add(timing.ping_timeout));
        let patience = patience.adjusted(self.reading, start);
        self.phase = Phase::Waiting { patience, extended };
    }
}

impl Patience {
    fn adjusted(self, reading: bool, now: Instant) -> Self {
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
