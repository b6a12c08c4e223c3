//! Connection state recovery: for how long, and how much.

use std::time::Duration;

/// Lets clients whose connection was cut come back as if nothing had happened: with the same socket
/// id and rooms, and with the events that they have missed.
///
/// Off by default. It costs one lock per namespace, under which events are sent one after the other,
/// and the memory that the limits below allow. Mirrors `connectionStateRecovery`. Unlike the
/// reference's `skipMiddlewares: true`, [`auth`](crate::Namespace::auth) always runs again, and the
/// events are replayed only after it has accepted the client.
///
/// Events that ask for an acknowledgement and volatile events are not replayed. Events stay in their
/// order, so [`latest`](crate::Broadcast::latest) has no effect; what a policy of
/// [overflow](crate::Config::overflow) has dropped does not come back.
///
/// A child of a dynamic namespace stays while clients may come back to it, and counts against
/// [`Limits::max_dynamic_namespaces`](crate::Limits::max_dynamic_namespaces). When that is reached, the
/// one whose last client left first makes room for a new one; its clients start anew. Clients of
/// Socket.IO 4 and older do not come back.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ferriwire::{Config, Recovery};
///
/// let config = Config::new().recovery(Recovery::new().window(Duration::from_secs(60)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "connectionStateRecovery")]
pub struct Recovery {
    pub(crate) window: Duration,
    pub(crate) max_session_packets: usize,
    pub(crate) max_session_bytes: usize,
    pub(crate) max_log_packets: usize,
    pub(crate) max_bytes: usize,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(120),
            max_session_packets: 1_000,
            max_session_bytes: 1024 * 1024,
            max_log_packets: 100_000,
            max_bytes: 64 * 1024 * 1024,
        }
    }
}

impl Recovery {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a client may be away, and how long its events are kept. Default 120 s. Mirrors
    /// `maxDisconnectionDuration`.
    #[must_use]
    #[doc(alias = "maxDisconnectionDuration")]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How many events one client may have missed. Default 1,000 (reference: no limit). Beyond it the
    /// client starts anew, and [`on_gap`](crate::Namespace::on_gap) tells.
    #[must_use]
    pub fn max_session_packets(mut self, packets: usize) -> Self {
        self.max_session_packets = packets;
        self
    }

    /// How many bytes of events one client may have missed. Default 1 MiB (reference: no limit), and
    /// never more than [`Limits::max_buffered`](crate::Limits::max_buffered).
    #[must_use]
    pub fn max_session_bytes(mut self, bytes: usize) -> Self {
        self.max_session_bytes = bytes;
        self
    }

    /// How many events one namespace keeps, whomever they are for. Default 100,000 (reference: no
    /// limit). The oldest go first. It bounds the time that a client's return takes.
    #[must_use]
    pub fn max_log_packets(mut self, packets: usize) -> Self {
        self.max_log_packets = packets;
        self
    }

    /// How many bytes events and absent clients take in all namespaces together. Default 64 MiB
    /// (reference: no limit). A namespace takes at most eight times as much as is free, so that a busy one
    /// leaves something to the others: alone eight ninths, two of them eight seventeenths each. One that
    /// needs more gives up its oldest.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}
