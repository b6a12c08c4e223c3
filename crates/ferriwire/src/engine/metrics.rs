//! A server's counters under the names that monitoring knows (`docs/observability.md`).
//!
//! Nothing here is on the way of a message: the counters are counted anyway, and copied once a second.
//! Only the two histograms are recorded where they happen. Labels are words of ours, never of clients.

use std::fmt;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};

use super::counters::Stats;
use super::reasons::{LimitKind, ViolationKind};

/// How often counters are copied.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Where a value stands.
type Read = fn(&Stats) -> u64;

/// What is counted: name, label if there is one, and where the value stands.
type Count = (&'static str, Option<(&'static str, &'static str)>, Read);

const HANDSHAKES: &str = "ferriwire_handshakes_total";
const CLOSED: &str = "ferriwire_closed_total";
const DROPPED: &str = "ferriwire_dropped_events_total";
const REFUSALS: &str = "ferriwire_refusals_total";
const VIOLATIONS: &str = "ferriwire_violations_total";
const HANDLER: &str = "ferriwire_handler_seconds";
const HEARTBEAT: &str = "ferriwire_heartbeat_seconds";

const COUNTERS: &[Count] = &[
    (HANDSHAKES, Some(("transport", "polling")), |stats| {
        stats
            .sessions_opened
            .saturating_sub(stats.websockets_opened)
    }),
    (HANDSHAKES, Some(("transport", "websocket")), |stats| {
        stats.websockets_opened
    }),
    ("ferriwire_upgrades_total", None, |stats| stats.upgrades),
    (CLOSED, Some(("reason", "slow_consumer")), |stats| {
        stats.slow_consumers
    }),
    (CLOSED, Some(("reason", "ping_timeout")), |stats| {
        stats.ping_timeouts
    }),
    (CLOSED, Some(("reason", "other")), |stats| {
        let named = stats.slow_consumers.saturating_add(stats.ping_timeouts);
        stats.sessions_closed.saturating_sub(named)
    }),
    ("ferriwire_events_in_total", None, |stats| stats.events_in),
    ("ferriwire_events_out_total", None, |stats| stats.events_out),
    ("ferriwire_bytes_in_total", None, |stats| stats.bytes_in),
    ("ferriwire_bytes_out_total", None, |stats| stats.bytes_out),
    (DROPPED, Some(("reason", "overflow")), |stats| {
        stats.dropped_events
    }),
    (DROPPED, Some(("reason", "volatile")), |stats| {
        stats.dropped_volatile
    }),
    (REFUSALS, Some(("reason", "transport_unknown")), |stats| {
        stats.refusals[0]
    }),
    (REFUSALS, Some(("reason", "session_unknown")), |stats| {
        stats.refusals[1]
    }),
    (REFUSALS, Some(("reason", "bad_method")), |stats| {
        stats.refusals[2]
    }),
    (REFUSALS, Some(("reason", "bad_request")), |stats| {
        stats.refusals[3]
    }),
    (REFUSALS, Some(("reason", "forbidden")), |stats| {
        stats.refusals[4]
    }),
    (
        REFUSALS,
        Some(("reason", "unsupported_revision")),
        |stats| stats.refusals[5],
    ),
    (REFUSALS, Some(("reason", "tls_handshake")), |stats| {
        stats.failed_tls_handshakes
    }),
    (REFUSALS, Some(("reason", "unknown_namespace")), |stats| {
        stats.unknown_namespaces
    }),
    (REFUSALS, Some(("reason", "auth")), |stats| {
        stats.refused_by_auth
    }),
    ("ferriwire_handler_panics_total", None, |stats| {
        stats.handler_panics
    }),
    ("ferriwire_unexpected_acks_total", None, |stats| {
        stats.unexpected_acks
    }),
];

const GAUGES: &[Count] = &[
    ("ferriwire_connections", None, Stats::sessions),
    ("ferriwire_queue_bytes", None, |stats| stats.queue_bytes),
];

/// Handles to the series of one server, registered once.
pub(crate) struct Metrics {
    counters: Vec<(Counter, Read)>,
    limits: Vec<(Counter, LimitKind)>,
    violations: Vec<(Counter, ViolationKind)>,
    gauges: Vec<(Gauge, Read)>,
    /// How long handlers of events took.
    pub(crate) handler_time: Histogram,
    /// How long pongs took.
    pub(crate) round_trip: Histogram,
}

impl Metrics {
    /// Registers everything with the recorder that is installed now.
    pub(crate) fn register() -> Self {
        describe();
        let counter = |&(name, label, read): &Count| {
            let labels: Vec<_> = label.into_iter().collect();
            (metrics::counter!(name, &labels), read)
        };
        let gauge = |&(name, _, read): &Count| (metrics::gauge!(name), read);
        let limit = |limit: LimitKind| {
            let counter = metrics::counter!(REFUSALS, "reason" => limit.as_str());
            (counter, limit)
        };
        let violation = |violation: ViolationKind| {
            let counter = metrics::counter!(VIOLATIONS, "reason" => violation.as_str());
            (counter, violation)
        };
        Self {
            counters: COUNTERS.iter().map(counter).collect(),
            limits: LimitKind::ALL.into_iter().map(limit).collect(),
            violations: ViolationKind::ALL.into_iter().map(violation).collect(),
            gauges: GAUGES.iter().map(gauge).collect(),
            handler_time: metrics::histogram!(HANDLER),
            round_trip: metrics::histogram!(HEARTBEAT),
        }
    }

    pub(crate) fn publish(&self, stats: &Stats) {
        for (counter, read) in &self.counters {
            counter.absolute(read(stats));
        }
        for (counter, limit) in &self.limits {
            counter.absolute(stats.limited(*limit));
        }
        for (counter, violation) in &self.violations {
            counter.absolute(stats.violations(*violation));
        }
        for (gauge, read) in &self.gauges {
            // Exact up to 2^53, which is more than there can be.
            gauge.set(read(stats) as f64);
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn describe() {
    use metrics::{describe_counter as counter, describe_gauge as gauge};
    gauge!(
        "ferriwire_connections",
        Unit::Count,
        "Sessions that are open"
    );
    counter!(HANDSHAKES, Unit::Count, "Sessions that were opened");
    counter!(
        "ferriwire_upgrades_total",
        Unit::Count,
        "Sessions that changed from polling to a WebSocket"
    );
    counter!(CLOSED, Unit::Count, "Sessions that have ended");
    counter!(
        "ferriwire_events_in_total",
        Unit::Count,
        "Events that clients sent"
    );
    counter!(
        "ferriwire_events_out_total",
        Unit::Count,
        "Events that were queued for clients, one for each receiver"
    );
    counter!(
        "ferriwire_bytes_in_total",
        Unit::Bytes,
        "Bytes of WebSocket frames and polling bodies that were read"
    );
    counter!(
        "ferriwire_bytes_out_total",
        Unit::Bytes,
        "Bytes of WebSocket frames and polling bodies that were written"
    );
    gauge!(
        "ferriwire_queue_bytes",
        Unit::Bytes,
        "Bytes that wait for their clients"
    );
    counter!(DROPPED, Unit::Count, "Events that were dropped");
    counter!(
        REFUSALS,
        Unit::Count,
        "Requests, clients and namespaces that were refused, and limits that were reached"
    );
    counter!(
        VIOLATIONS,
        Unit::Count,
        "Rules of the protocols that clients broke"
    );
    counter!(
        "ferriwire_handler_panics_total",
        Unit::Count,
        "Handlers that panicked"
    );
    counter!(
        "ferriwire_unexpected_acks_total",
        Unit::Count,
        "Acknowledgements that nobody waited for"
    );
    metrics::describe_histogram!(HANDLER, Unit::Seconds, "How long handlers of events took");
    metrics::describe_histogram!(
        HEARTBEAT,
        Unit::Seconds,
        "How long clients took to answer a ping"
    );
}
