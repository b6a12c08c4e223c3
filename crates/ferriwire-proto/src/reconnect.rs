//! When a client tries again (section 3.3 of the reference's behaviour, in docs/protocol.md).
//!
//! [`Backoff`] knows how long each pause is, [`Reconnect`] what comes after what: attempts, pauses,
//! and the end of both. Meanwhile [`Offline`] keeps what is to be sent, and [`Retries`] what has to be
//! acknowledged.
//!
//! ```text
//!             connect()                       handle_connected()
//!   +------+             +------------+                          +-----------+
//!   | Idle |------------>| Attempting |------------------------->| Connected |
//!   +------+             +------------+                          +-----------+
//!      ^  ^    failed, late |    ^                                 |
//!      |  |                 v    | the pause is over               | handle_lost()
//!      |  | no more    +---------+                                 |
//!      |  +------------| Waiting |<--------------------------------+
//!      |               +---------+
//!      +--- stop(), from everywhere
//! ```

mod backoff;
mod offline;
mod retries;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use self::backoff::{Backoff, Jitter};
pub use self::offline::{BufferFull, Kept, Offline, OfflinePolicy};
pub use self::retries::{Retries, RetryConfig, RetryOutput};

/// How a client tries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// How long the pauses are, and how many.
    pub backoff: Backoff,
    /// Whether it tries again at all. Default: it does.
    #[doc(alias = "reconnection")]
    pub enabled: bool,
    /// How long one attempt may take. Default: 20 s, the reference's `timeout`; `None`: as long as
    /// the operating system lets it.
    #[doc(alias = "timeout")]
    pub attempt_timeout: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            enabled: true,
            attempt_timeout: Some(Duration::from_secs(20)),
        }
    }
}

/// What the driver shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Give the current attempt up: it has taken too long. It counts as failed.
    Abandon,
    /// Nothing: the next attempt is made after that time, unless it is called off.
    Wait {
        /// The number of that attempt, from 1.
        attempt: u32,
        /// How long the pause is.
        delay: Duration,
    },
    /// Try to connect.
    Attempt {
        /// 0 for the first one, the number of the repetition for others.
        attempt: u32,
    },
    /// Tell the program that there are no more attempts.
    GiveUp,
    /// Nothing more until then.
    Timeout(Option<Instant>),
}

/// One client's attempts.
///
/// Random numbers are arguments: each has to be drawn anew, from the whole range.
#[derive(Debug)]
pub struct Reconnect {
    config: Config,
    state: State,
    /// How many pauses there were since the last connection.
    attempts: u32,
    pending: Pending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Attempting { deadline: Option<Instant> },
    Waiting { until: Option<Instant> },
    Connected,
}

/// What is decided and not polled yet, in the order in which it is polled.
#[derive(Debug, Default)]
struct Pending {
    abandon: bool,
    wait: Option<Duration>,
    attempt: bool,
    give_up: bool,
}

impl Reconnect {
    /// A client that does nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            state: State::Idle,
            attempts: 0,
            pending: Pending::default(),
        }
    }

    /// How many repetitions there were since the last connection, the current one included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether it is connected, tries to connect, or is going to.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state != State::Idle
    }

    /// The attempt has succeeded. Returns how many repetitions it took.
    pub fn handle_connected(&mut self) -> u32 {
        match self.state {
            State::Attempting { .. } => {
                self.state = State::Connected;
                std::mem::take(&mut self.attempts)
            }
            State::Idle | State::Waiting { .. } | State::Connected => 0,
        }
    }

    /// The attempt has failed.
    pub fn handle_failed(&mut self, now: Instant, random: u32) {
        match self.state {
            State::Attempting { .. } => self.pause(now, random),
            State::Idle | State::Waiting { .. } | State::Connected => {}
        }
    }

    /// The connection was lost, and not because this side wanted it.
    pub fn handle_lost(&mut self, now: Instant, random: u32) {
        match self.state {
            State::Connected => {
                self.attempts = 0;
                self.pause(now, random);
            }
            State::Idle | State::Attempting { .. } | State::Waiting { .. } => {}
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant, random: u32) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match self.state {
            // What has not begun has taken no time yet.
            State::Attempting { deadline } if is_due(deadline) && !self.pending.attempt => {
                self.pending.abandon = true;
                self.pause(now, random);
            }
            State::Waiting { until } if is_due(until) => self.attempt(now),
            State::Idle | State::Attempting { .. } | State::Waiting { .. } | State::Connected => {}
        }
    }

    /// Tries now, also when it is waiting for the next attempt.
    pub fn connect(&mut self, now: Instant) {
        match self.state {
            State::Idle => {
                self.attempts = 0;
                self.attempt(now);
            }
            State::Waiting { .. } => self.attempt(now),
            State::Attempting { .. } | State::Connected => {}
        }
    }

    /// Calls off what is planned; the connection, or the attempt, is the driver's to end.
    pub fn stop(&mut self) {
        self.state = State::Idle;
        self.attempts = 0;
        self.pending = Pending::default();
    }

    /// Allows or forbids further attempts. One that goes on is not touched, and a pause ends with the
    /// next [`stop`](Self::stop).
    pub fn set_enabled(&mut self, enabled: bool) {
        self.config.enabled = enabled;
    }

    /// What to do next; call it again until it answers [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        let pending = &mut self.pending;
        if std::mem::take(&mut pending.abandon) {
            return Output::Abandon;
        }
        let attempt = self.attempts;
        if let Some(delay) = pending.wait.take() {
            return Output::Wait { attempt, delay };
        }
        if std::mem::take(&mut pending.attempt) {
            return Output::Attempt { attempt };
        }
        if std::mem::take(&mut pending.give_up) {
            return Output::GiveUp;
        }
        Output::Timeout(match self.state {
            State::Attempting { deadline } => deadline,
            State::Waiting { until } => until,
            State::Idle | State::Connected => None,
        })
    }

    fn attempt(&mut self, now: Instant) {
        let timeout = self.config.attempt_timeout;
        let deadline = timeout.and_then(|timeout| now.checked_add(timeout));
        self.state = State::Attempting { deadline };
        self.pending.attempt = true;
        self.pending.wait = None;
    }

    fn pause(&mut self, now: Instant, random: u32) {
        self.pending.attempt = false;
        let backoff = self.config.backoff;
        let delay = backoff.delay(self.attempts, random);
        let Some(delay) = delay.filter(|_| self.config.enabled) else {
            // Who does not try again has nothing to give up.
            self.pending.give_up = self.config.enabled;
            self.state = State::Idle;
            self.attempts = 0;
            return;
        };
        self.attempts = self.attempts.saturating_add(1);
        self.pending.wait = Some(delay);
        let until = now.checked_add(delay);
        self.state = State::Waiting { until };
    }
}
