//! Who may connect and open a session: how many there may be, and how fast they may come, of all
//! clients and of each address.
//!
//! Memory is bounded whatever comes: addresses with sessions are as many as there are sessions, and
//! of the others only the latest are remembered.

mod sources;
mod tcp;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use self::sources::Recent;
use crate::rate::{Bucket, Rate};

pub use self::sources::Source;
pub use self::tcp::{TcpConnections, TcpLimits, TcpRefusal};

/// How many, and how fast. A rate that is `None` is not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at a time.
    pub connections: usize,
    /// Sessions at a time whose client has not been accepted by the application yet.
    pub unauthenticated: usize,
    /// Sessions at a time from one source. Default: 1,000.
    pub connections_per_source: usize,
    /// New sessions from one source. Default: 50 a second, 200 at once.
    pub handshakes_per_source: Option<Rate>,
    /// New sessions from everywhere. Default: 2,000 a second.
    pub handshakes: Option<Rate>,
    /// Requests from one source for sessions that do not exist. Default: 20 a minute.
    pub unknown_sessions_per_source: Option<Rate>,
    /// How many sources without a session are remembered. Default: 65,536, about 4 MiB.
    pub sources: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            unauthenticated: 2_000,
            connections_per_source: 1_000,
            handshakes_per_source: Some(Rate::per_second(50).burst(200)),
            handshakes: Some(Rate::per_second(2_000)),
            unknown_sessions_per_source: Some(Rate::per_minute(20)),
            sources: 65_536,
        }
    }
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Memory is running out.
    Memory,
    /// There are as many sessions as there may be.
    Connections,
    /// Too many clients have not been accepted yet.
    Unauthenticated,
    /// Handshakes come too fast.
    Handshakes,
    /// The source has as many sessions as it may have.
    ConnectionsOfSource,
    /// Handshakes of the source come too fast.
    HandshakesOfSource,
    /// The source asks for sessions that do not exist.
    UnknownSessionsOfSource,
}

impl Refusal {
    /// Whether it is about where the request came from, and not about the state of the server.
    #[must_use]
    pub const fn is_of_source(self) -> bool {
        match self {
            Self::Memory | Self::Connections | Self::Unauthenticated | Self::Handshakes => false,
            Self::ConnectionsOfSource
            | Self::HandshakesOfSource
            | Self::UnknownSessionsOfSource => true,
        }
    }

    /// The status of the HTTP answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        if self.is_of_source() { 429 } else { 503 }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory is running out",
            Self::Connections => "too many connections",
            Self::Unauthenticated => "too many clients that were not accepted yet",
            Self::Handshakes => "handshakes come too fast",
            Self::ConnectionsOfSource => "too many connections from one address",
            Self::HandshakesOfSource => "handshakes of one address come too fast",
            Self::UnknownSessionsOfSource => "too many unknown sessions from one address",
        })
    }
}

/// The state of the door.
///
/// Its methods are, in this order: questions, what happens at the network, what happens to the
/// machine. A source that is `None` is not known, and only what is said of all holds for it.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    connections: usize,
    unauthenticated: usize,
    connections_of: BTreeMap<Source, usize>,
    handshakes: Bucket,
    handshakes_of: Recent,
    unknown_sessions_of: Recent,
    /// How many times dearer a handshake is than its price, because the machine is busy.
    strain: u32,
    memory_is_short: bool,
}

impl Admission {
    /// Nobody is there yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            connections: 0,
            unauthenticated: 0,
            connections_of: BTreeMap::new(),
            handshakes: Bucket::default(),
            handshakes_of: Recent::new(limits.sources),
            unknown_sessions_of: Recent::new(limits.sources),
            strain: 1,
            memory_is_short: false,
            limits,
        }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// How many sessions there are whose client has not been accepted yet.
    #[must_use]
    pub fn unauthenticated(&self) -> usize {
        self.unauthenticated
    }

    /// How many sources are remembered.
    #[must_use]
    pub fn sources(&self) -> usize {
        [
            self.connections_of.len(),
            self.handshakes_of.len(),
            self.unknown_sessions_of.len(),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// Somebody wants to open a session. When that is allowed it counts until
    /// [`end`](Self::end), and as not accepted until [`accept`](Self::accept).
    ///
    /// # Errors
    ///
    /// It is not allowed; then it costs nothing but what a source that was asked for its rate pays.
    pub fn handle_handshake(
        &mut self,
        source: Option<Source>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let limits = &self.limits;
        if self.memory_is_short {
            return Err(Refusal::Memory);
        }
        if self.connections >= limits.connections {
            return Err(Refusal::Connections);
        }
        if self.unauthenticated >= limits.unauthenticated {
            return Err(Refusal::Unauthenticated);
        }
        if let Some(source) = source {
            let connections = self.connections_of.get(&source).copied();
            if connections.unwrap_or_default() >= limits.connections_per_source {
                return Err(Refusal::ConnectionsOfSource);
            }
            if let Some(rate) = limits.handshakes_per_source
                && !self.handshakes_of.bucket(source).take(1, rate, now)
            {
                return Err(Refusal::HandshakesOfSource);
            }
        }
        // Behind the source's own rate, so that one that is too fast takes nothing from the others.
        if let Some(rate) = limits.handshakes
            && !self.handshakes.take(self.strain, rate, now)
        {
            return Err(Refusal::Handshakes);
        }
        self.connections = self.connections.saturating_add(1);
        self.unauthenticated = self.unauthenticated.saturating_add(1);
        if let Some(source) = source {
            let connections = self.connections_of.entry(source).or_default();
            *connections = connections.saturating_add(1);
        }
        Ok(())
    }

    /// Somebody asked for a session that does not exist.
    ///
    /// # Errors
    ///
    /// That happens too often.
    pub fn handle_unknown_session(
        &mut self,
        source: Option<Source>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let rate = self.limits.unknown_sessions_per_source;
        if let (Some(source), Some(rate)) = (source, rate)
            && !self.unknown_sessions_of.bucket(source).take(1, rate, now)
        {
            return Err(Refusal::UnknownSessionsOfSource);
        }
        Ok(())
    }

    /// The application has accepted the client of a session.
    pub fn accept(&mut self) {
        self.unauthenticated = self.unauthenticated.saturating_sub(1);
    }

    /// A session has ended; `accepted` says whether [`accept`](Self::accept) was called for it.
    pub fn end(&mut self, source: Option<Source>, accepted: bool) {
        self.connections = self.connections.saturating_sub(1);
        if !accepted {
            self.accept();
        }
        let Some(source) = source else { return };
        if let Some(connections) = self.connections_of.get_mut(&source) {
            *connections = connections.saturating_sub(1);
            if *connections == 0 {
                self.connections_of.remove(&source);
            }
        }
    }

    /// How late the machine does what is due, measured about once a second. When that is late,
    /// fewer handshakes are let in, until it is in time again.
    pub fn handle_lag(&mut self, lag: Duration) {
        self.strain = if lag > MAX_LAG {
            self.strain.saturating_mul(2).min(MAX_STRAIN)
        } else {
            self.strain.div_ceil(2)
        };
    }

    /// Whether there is too little memory for anybody new.
    pub fn set_memory_is_short(&mut self, is_short: bool) {
        self.memory_is_short = is_short;
    }
}

/// A machine that is later than this has too much to do.
const MAX_LAG: Duration = Duration::from_millis(100);

/// However busy the machine is, so much of the rate is kept: one sixteenth.
const MAX_STRAIN: u32 = 16;
