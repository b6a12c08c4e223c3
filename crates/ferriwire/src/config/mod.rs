//! Every knob of a server: default, unit, the reference option it mirrors, and what it costs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ferriwire_proto::engine::Transport;
use ferriwire_proto::engine::session::Timing;
use ferriwire_proto::{connection, websocket};

use crate::engine::{Origins, Request};

/// How a server behaves. Defaults suit a public server; where they differ from the reference, the
/// method says so.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ferriwire::{Config, Server};
///
/// let config = Config::new()
///     .ping_interval(Duration::from_secs(10))
///     .max_payload(4 * 1024 * 1024);
/// let server = Server::new().config(config);
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) path: String,
    pub(crate) transports: Vec<Transport>,
    pub(crate) allow_upgrades: bool,
    pub(crate) ping_interval: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) upgrade_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_payload: usize,
    pub(crate) max_packets_per_payload: usize,
    pub(crate) max_buffered: usize,
    pub(crate) write_stall_timeout: Duration,
    pub(crate) origins: Origins,
    pub(crate) allow_request: Option<AllowRequest>,
    pub(crate) auth_timeout: Duration,
    pub(crate) ack_timeout: Duration,
    pub(crate) max_running_handlers: usize,
    pub(crate) handler_grace: Duration,
    pub(crate) max_pending_acks: usize,
    pub(crate) max_rooms_per_socket: usize,
    pub(crate) max_namespaces: usize,
    pub(crate) client_bundle: Option<PathBuf>,
}

/// The program's own say on a handshake: `Err` is the reason for the refusal.
pub(crate) type AllowRequest = Arc<dyn Fn(&Request) -> Result<(), String> + Send + Sync>;

impl Default for Config {
    fn default() -> Self {
        Self {
            path: "/socket.io/".to_owned(),
            transports: vec![Transport::Polling, Transport::WebSocket],
            allow_upgrades: true,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(20),
            max_payload: 1_000_000,
            max_packets_per_payload: 10_000,
            max_buffered: 1024 * 1024,
            write_stall_timeout: Duration::from_secs(10),
            origins: Origins::same_host(),
            allow_request: None,
            auth_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(10),
            max_running_handlers: 256,
            handler_grace: Duration::from_secs(30),
            max_pending_acks: 1_000,
            max_rooms_per_socket: 1_000,
            max_namespaces: 32,
            client_bundle: None,
        }
    }
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the server answers. Default `/socket.io/`; matched exactly, with or without the
    /// trailing slash (the reference matches every path that begins so). Mirrors `path`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        let path: String = path.into();
        self.path = format!("/{}/", path.trim_matches('/'));
        self
    }

    /// Which transports a client may use. Default polling and WebSocket. Mirrors `transports`.
    #[must_use]
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.transports = transports.into_iter().collect();
        self
    }

    /// Whether a polling session may change to a WebSocket. Default `true`. Mirrors
    /// `allowUpgrades`.
    #[must_use]
    pub fn allow_upgrades(mut self, allow: bool) -> Self {
        self.allow_upgrades = allow;
        self
    }

    /// How long after the handshake, and after each pong, the next ping is sent. Default 25 s.
    /// Mirrors `pingInterval`. Shorter notices dead peers earlier and costs two packets each time.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval;
        self
    }

    /// How long a pong may take before the session is closed with `ping timeout`. Default 20 s.
    /// Mirrors `pingTimeout`.
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.ping_timeout = timeout;
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

    /// From which web pages clients may come. Default: only from the host that serves the page
    /// (reference: anywhere by WebSocket). Mirrors `cors.origin`, and guards every transport.
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Decides on each handshake before a session exists; `Err` carries the reason, which the
    /// client sees. Mirrors `allowRequest`. It must not block.
    #[must_use]
    pub fn allow_request<F>(mut self, decide: F) -> Self
    where
        F: Fn(&Request) -> Result<(), String> + Send + Sync + 'static,
    {
        self.allow_request = Some(Arc::new(decide));
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

    /// Serves the official browser client from this folder, under the server's path
    /// (`/socket.io/socket.io.min.js`). Default: not served (reference: served). The eight files
    /// are read once, when the server starts. Mirrors `serveClient`.
    #[must_use]
    pub fn client_bundle(mut self, folder: impl Into<PathBuf>) -> Self {
        self.client_bundle = Some(folder.into());
        self
    }

    pub(crate) fn timing(&self) -> Timing {
        Timing {
            ping_interval: self.ping_interval,
            ping_timeout: self.ping_timeout,
            upgrade_timeout: self.upgrade_timeout,
            close_timeout: CLOSE_TIMEOUT,
        }
    }

    pub(crate) fn websocket_limits(&self) -> websocket::Limits {
        websocket::Limits {
            max_message: self.max_payload,
            max_fragments: MAX_FRAGMENTS,
        }
    }

    pub(crate) fn connection(&self) -> connection::Config {
        connection::Config {
            limits: ferriwire_proto::codec::Limits {
                max_packet: self.max_payload,
                ..Default::default()
            },
            max_namespaces: self.max_namespaces,
            connect_timeout: self.connect_timeout,
            attachments_timeout: ATTACHMENTS_TIMEOUT,
        }
    }

    /// The shortest interval that a deadline is computed from.
    pub(crate) fn shortest_interval(&self) -> Duration {
        let intervals = [
            self.ping_interval,
            self.ping_timeout,
            self.upgrade_timeout,
            self.connect_timeout,
            self.write_stall_timeout,
        ];
        intervals.into_iter().min().unwrap_or(self.ping_interval)
    }
}

/// How long a closing polling session waits for the GET that fetches the farewell.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Fragments of one WebSocket message, empty ones included.
const MAX_FRAGMENTS: u32 = 1_024;

/// How long the attachments of a binary packet may take.
const ATTACHMENTS_TIMEOUT: Duration = Duration::from_secs(10);

impl std::fmt::Debug for Config {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Config")
            .field("path", &self.path)
            .field("transports", &self.transports)
            .field("ping_interval", &self.ping_interval)
            .field("ping_timeout", &self.ping_timeout)
            .field("max_payload", &self.max_payload)
            .field("max_buffered", &self.max_buffered)
            .finish_non_exhaustive()
    }
}
