//! How much a client may send, hold and owe, and how long it may take.

use std::time::Duration;

/// The limits of a server. Defaults suit a public server; where they differ from the reference, the
/// method says so. Each is enforced before memory is spent.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ferriwire::{Config, Limits};
///
/// let limits = Limits::new()
///     .max_payload(4 * 1024 * 1024)
///     .auth_timeout(Duration::from_secs(3));
/// let config = Config::new().limits(limits);
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    pub(crate) max_payload: usize,
    pub(crate) max_packets_per_payload: usize,
    pub(crate) max_buffered: usize,
    pub(crate) write_stall_timeout: Duration,
    pub(crate) upgrade_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) auth_timeout: Duration,
    pub(crate) ack_timeout: Duration,
    pub(crate) max_running_handlers: usize,
    pub(crate) handler_grace: Duration,
    pub(crate) max_pending_acks: usize,
    pub(crate) max_rooms_per_socket: usize,
    pub(crate) max_namespaces: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_payload: 1_000_000,
            max_packets_per_payload: 10_000,
            max_buffered: 1024 * 1024,
            write_stall_timeout: Duration::from_secs(10),
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(20),
            auth_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(10),
            max_running_handlers: 256,
            handler_grace: Duration::from_secs(30),
            max_pending_acks: 1_000,
            max_rooms_per_socket: 1_000,
            max_namespaces: 32,
        }
    }
}

impl Limits {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The largest message, polling body or binary packet with its attachments, in bytes, that a
    /// client may send. Default 1,000,000. Mirrors `maxHttpBufferSize`. One connection may hold
    /// that much while a message is incomplete.
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// How many packets one polling body may carry. Default 10,000 (reference: no limit). A client that
    /// emits more in one loop on long-polling loses its connection.
    #[must_use]
    pub fn max_packets_per_payload(mut self, packets: usize) -> Self {
        self.max_packets_per_payload = packets;
        self
    }

    /// How many bytes may wait for one client, counted after a write was tried, before it is closed
    /// with `slow consumer`. Default 1 MiB (reference: no limit). The message that is next, or
    /// being written, may be of any size and does not count. While no write could be tried, because
    /// a handler emits without an `.await` or the transport is just arriving, eight times as much
    /// may wait.
    #[must_use]
    pub fn max_buffered(mut self, bytes: usize) -> Self {
        self.max_buffered = bytes;
        self
    }

    /// How long a client's WebSocket may take nothing while something waits, before it is closed with
    /// `slow consumer`. Default 10 s (reference: until the ping timeout).
    #[must_use]
    pub fn write_stall_timeout(mut self, timeout: Duration) -> Self {
        self.write_stall_timeout = timeout;
        self
    }

    /// How long an upgrade may take before its WebSocket is dropped and polling goes on.
    /// Default 10 s. Mirrors `upgradeTimeout`.
    #[must_use]
    pub fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.upgrade_timeout = timeout;
        self
    }

    /// How long a client may take to join its first namespace. Default 20 s (reference: 45 s).
    /// Mirrors `connectTimeout`.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long `auth` may take before the client is refused. Default 10 s (reference: for ever).
    #[must_use]
    pub fn auth_timeout(mut self, timeout: Duration) -> Self {
        self.auth_timeout = timeout;
        self
    }

    /// How long an `emit_with_ack` waits when it names no timeout. Default 10 s (reference: for
    /// ever).
    #[must_use]
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.ack_timeout = timeout;
        self
    }

    /// How many handlers of one connection may run before it is not read from. Default 256
    /// (reference: no limit).
    #[must_use]
    pub fn max_running_handlers(mut self, handlers: usize) -> Self {
        self.max_running_handlers = handlers;
        self
    }

    /// How long handlers that still run when their client has gone may go on. Default 30 s.
    #[must_use]
    pub fn handler_grace(mut self, grace: Duration) -> Self {
        self.handler_grace = grace;
        self
    }

    /// How many acknowledgements one socket may owe us. Default 1,000 (reference: no limit);
    /// beyond it `emit_with_ack` answers an error.
    #[must_use]
    pub fn max_pending_acks(mut self, acks: usize) -> Self {
        self.max_pending_acks = acks;
        self
    }

    /// How many rooms one socket may be in. Default 1,000 (reference: no limit); beyond it `join`
    /// answers an error.
    #[must_use]
    pub fn max_rooms_per_socket(mut self, rooms: usize) -> Self {
        self.max_rooms_per_socket = rooms;
        self
    }

    /// How many namespaces one client may join. Default 32 (reference: no limit); beyond it the
    /// client is refused.
    #[must_use]
    pub fn max_namespaces(mut self, namespaces: usize) -> Self {
        self.max_namespaces = namespaces;
        self
    }
}
