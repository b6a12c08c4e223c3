//! What happened, counted under a bounded set of reasons.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ferriwire_proto::admission;
use ferriwire_proto::engine::handshake::Refusal;
use ferriwire_proto::engine::{CloseReason, Transport};

use super::reasons::{LimitKind, ViolationKind};

/// How many reasons for refusals there are: the six codes of the reference.
const CODES: usize = 6;

/// How often the same limit is warned of at most; in between it is only counted.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

impl From<admission::Refusal> for LimitKind {
    fn from(refusal: admission::Refusal) -> Self {
        use admission::Refusal;
        match refusal {
            Refusal::Memory => Self::Memory,
            Refusal::Connections => Self::Connections,
            Refusal::Unauthenticated => Self::Unauthenticated,
            Refusal::Handshakes => Self::Handshakes,
            Refusal::ConnectionsOfSource => Self::ConnectionsPerAddress,
            Refusal::HandshakesOfSource => Self::HandshakesPerAddress,
            Refusal::UnknownSessionsOfSource => Self::UnknownSessions,
        }
    }
}

impl From<admission::TcpRefusal> for LimitKind {
    fn from(refusal: admission::TcpRefusal) -> Self {
        match refusal {
            admission::TcpRefusal::Connections => Self::TcpConnections,
            admission::TcpRefusal::ConnectionsOfSource => Self::TcpConnectionsPerAddress,
        }
    }
}

/// How many kinds of limits there are.
const LIMITS: usize = LimitKind::ALL.len();

/// How many kinds of violations there are.
const VIOLATIONS: usize = ViolationKind::ALL.len();

#[derive(Debug)]
pub(crate) struct Counters {
    started: Instant,
    limited: [AtomicU64; LIMITS],
    /// When each limit was warned of last, in milliseconds after the start, plus one.
    warned: [AtomicU64; LIMITS],
    violations: [AtomicU64; VIOLATIONS],
    sessions_opened: AtomicU64,
    sessions_closed: AtomicU64,
    slow_consumers: AtomicU64,
    ping_timeouts: AtomicU64,
    refusals: [AtomicU64; CODES],
    oversized_bodies: AtomicU64,
    failed_tls_handshakes: AtomicU64,
    websockets_opened: AtomicU64,
    upgrades: AtomicU64,
    /// What was written to sessions that have ended.
    written_to_ended: AtomicU64,
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
    /// By [`LimitKind`]: read it with [`limited`](Self::limited).
    limited: Tally<LIMITS>,
    /// By [`ViolationKind`]: read it with [`violations`](Self::violations).
    violations: Tally<VIOLATIONS>,
    /// Polling bodies above `max_payload`.
    pub oversized_bodies: u64,
    /// TLS handshakes that failed because of what the client sent or did not accept, or that it broke
    /// off. Those that took too long or had to make room are counted under their limits.
    pub failed_tls_handshakes: u64,
    /// Events that were dropped because their client read too slowly, by
    /// [`Config::overflow`](crate::Config::overflow) or a policy of their own.
    pub dropped_events: u64,
    /// Handlers that panicked; each cost its socket, not the process. Socket.IO only.
    pub handler_panics: u64,
    /// Acknowledgements that nobody waited for. Socket.IO only.
    pub unexpected_acks: u64,
    /// Events whose arguments did not fit a handler's type; who asked for an acknowledgement got an
    /// error. Socket.IO only.
    pub unfit_payloads: u64,
    /// How many bytes are kept now for clients that may come back. Socket.IO only.
    pub recovery_bytes: usize,
    /// Messages to or from other servers of the cluster that were lost. Socket.IO only.
    pub lost_messages: u64,
    /// Of the sessions that were opened, those that began with a WebSocket.
    pub websockets_opened: u64,
    /// Sessions that changed from long-polling to a WebSocket.
    pub upgrades: u64,
    /// Events that clients sent. Socket.IO only.
    pub events_in: u64,
    /// Events that were queued for clients, one for each receiver. Messages of bare sessions are none.
    pub events_out: u64,
    /// Bytes that were read: WebSocket frames and bodies of long-polling, without HTTP heads and TLS.
    pub bytes_in: u64,
    /// Bytes that were written, in the same sense, before compression.
    pub bytes_out: u64,
    /// Bytes that wait for their clients now.
    pub queue_bytes: u64,
    /// Volatile messages that were dropped because something waited already, or memory was short.
    pub dropped_volatile: u64,
    /// Namespaces that were asked for and are not served. Socket.IO only.
    pub unknown_namespaces: u64,
    /// Clients that `auth`, or middleware in front of joining, refused or did not decide on in time.
    /// Socket.IO only.
    pub refused_by_auth: u64,
}

/// Counts by the place of their reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tally<const N: usize>([u64; N]);

impl<const N: usize> Default for Tally<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Tally<N> {
    fn read(counters: &[AtomicU64; N]) -> Self {
        Self(counters.each_ref().map(get))
    }

    fn at(&self, reason: usize) -> u64 {
        self.0.get(reason).copied().unwrap_or_default()
    }
}

impl Stats {
    /// Sessions that are open now.
    #[must_use]
    #[doc(alias = "clientsCount")]
    pub fn sessions(&self) -> u64 {
        self.sessions_opened.saturating_sub(self.sessions_closed)
    }
}

impl Stats {
    /// How often somebody ran into this limit, since the start.
    #[must_use]
    pub fn limited(&self, limit: LimitKind) -> u64 {
        self.limited.at(limit as usize)
    }

    /// How often somebody broke this rule.
    #[must_use]
    pub fn violations(&self, violation: ViolationKind) -> u64 {
        self.violations.at(violation as usize)
    }
}

impl Counters {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            started: now,
            limited: none(),
            warned: none(),
            violations: none(),
            sessions_opened: AtomicU64::default(),
            sessions_closed: AtomicU64::default(),
            slow_consumers: AtomicU64::default(),
            ping_timeouts: AtomicU64::default(),
            refusals: Default::default(),
            oversized_bodies: AtomicU64::default(),
            failed_tls_handshakes: AtomicU64::default(),
            websockets_opened: AtomicU64::default(),
            upgrades: AtomicU64::default(),
            written_to_ended: AtomicU64::default(),
        }
    }

    /// Counts that somebody ran into a limit, and says whether to warn of it: the first time, and
    /// then not before a while has passed.
    pub(crate) fn limited(&self, limit: LimitKind, now: Instant) -> bool {
        self.reached(limit);
        let Some(warned) = self.warned.get(limit as usize) else {
            return false;
        };
        let millis = now.saturating_duration_since(self.started).as_millis();
        let now = u64::try_from(millis).unwrap_or(u64::MAX).saturating_add(1);
        let last = get(warned);
        let interval = u64::try_from(WARNING_INTERVAL.as_millis()).unwrap_or(u64::MAX);
        let is_due = last == 0 || now.saturating_sub(last) >= interval;
        let order = Ordering::Relaxed;
        is_due && warned.compare_exchange(last, now, order, order).is_ok()
    }

    /// Counts that somebody reached a limit, which nobody has to be warned of.
    pub(crate) fn reached(&self, limit: LimitKind) {
        if let Some(count) = self.limited.get(limit as usize) {
            add(count);
        }
    }

    /// Counts that somebody broke a rule.
    pub(crate) fn violated(&self, violation: ViolationKind) {
        if let Some(count) = self.violations.get(violation as usize) {
            add(count);
        }
    }

    pub(crate) fn session_opened(&self, transport: Transport) {
        add(&self.sessions_opened);
        if transport == Transport::WebSocket {
            add(&self.websockets_opened);
        }
    }

    pub(crate) fn upgraded(&self) {
        add(&self.upgrades);
    }

    pub(crate) fn written_to_ended(&self, bytes: u64) {
        self.written_to_ended.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Microseconds since the start, which overflow after an hour: for short differences.
    pub(crate) fn micros(&self, now: Instant) -> u32 {
        let micros = now.saturating_duration_since(self.started).as_micros();
        (micros & u128::from(u32::MAX)) as u32
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

    pub(crate) fn tls_handshake_failed(&self) {
        add(&self.failed_tls_handshakes);
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
            limited: Tally::read(&self.limited),
            violations: Tally::read(&self.violations),
            oversized_bodies: get(&self.oversized_bodies),
            failed_tls_handshakes: get(&self.failed_tls_handshakes),
            dropped_events: 0,
            handler_panics: 0,
            unexpected_acks: 0,
            unfit_payloads: 0,
            recovery_bytes: 0,
            lost_messages: 0,
            websockets_opened: get(&self.websockets_opened),
            upgrades: get(&self.upgrades),
            bytes_out: get(&self.written_to_ended),
            ..Stats::default()
        }
    }
}

fn none<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::default())
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_counted_under_its_own_name() {
        let now = Instant::now();
        let counters = Counters::new(now);
        for (index, limit) in LimitKind::ALL.into_iter().enumerate() {
            for _ in 0..=index {
                counters.limited(limit, now);
            }
        }
        let stats = counters.read();
        for (index, limit) in (1..).zip(LimitKind::ALL) {
            assert_eq!(stats.limited(limit), index, "{limit}");
            let others = LimitKind::ALL.iter().filter(|other| **other != limit);
            assert!(
                others
                    .into_iter()
                    .all(|other| other.as_str() != limit.as_str())
            );
        }
    }

    #[test]
    fn each_violation_is_counted_under_its_own_name() {
        let counters = Counters::new(Instant::now());
        for (index, violation) in ViolationKind::ALL.into_iter().enumerate() {
            (0..=index).for_each(|_| counters.violated(violation));
        }
        let stats = counters.read();
        let mut names = std::collections::BTreeSet::new();
        for (index, violation) in (1..).zip(ViolationKind::ALL) {
            assert_eq!(stats.violations(violation), index, "{violation}");
            assert!(names.insert(violation.as_str()), "{violation}");
        }
    }

    #[test]
    fn a_flood_is_warned_of_once_in_a_while() {
        let now = Instant::now();
        let counters = Counters::new(now);
        let mut warned = 0;
        for millis in 0..25_000 {
            let now = now + Duration::from_millis(millis);
            warned += u32::from(counters.limited(LimitKind::Handshakes, now));
        }
        assert_eq!(warned, 3);
        assert!(counters.limited(LimitKind::Connections, now));
        assert_eq!(counters.read().limited(LimitKind::Handshakes), 25_000);
    }
}
