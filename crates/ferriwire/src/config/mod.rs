//! Every knob of a server: default, unit, the reference option it mirrors, and what it costs.

mod compression;
mod cookie;
mod cors;
mod deflate;
mod hooks;
mod limits;
mod network;
#[cfg(feature = "tls")]
mod pem;
mod recovery;
mod tcp;
#[cfg_attr(not(feature = "tls"), path = "without_tls.rs")]
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ferriwire_proto::codec::Codec;
use ferriwire_proto::engine::queue::Overflow;
use ferriwire_proto::engine::session::Timing;
use ferriwire_proto::engine::{Revision, Transport};
use ferriwire_proto::{connection, websocket};

pub use self::compression::HttpCompression;
pub(crate) use self::cookie::SetCookie;
pub use self::cookie::{Cookie, SameSite};
pub use self::cors::Cors;
pub use self::deflate::Deflate;
pub(crate) use self::hooks::{AllowRequest, Hooks, guarded};
pub use self::limits::{Limits, Rate};
pub use self::network::{InvalidNetwork, Network};
pub use self::recovery::Recovery;
pub use self::tcp::TcpTimeouts;
#[cfg(not(feature = "tls"))]
pub(crate) use self::tls::Tls;
#[cfg(feature = "tls")]
pub use self::tls::{ClientCertificates, Tls};
#[cfg(feature = "tls")]
pub(crate) use self::{pem::Pem, tls::Identity};
use crate::engine::{Message, Origins};
use crate::hints::{Hints, Mistake};

/// How a server behaves. Defaults suit a public server; where they differ from the reference, the
/// method says so.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ferriwire::{Config, Limits, Server};
///
/// let config = Config::new()
///     .ping_interval(Duration::from_secs(10))
///     .limits(Limits::new().max_payload(4 * 1024 * 1024));
/// let server = Server::new().config(config);
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) path: String,
    pub(crate) transports: Vec<Transport>,
    pub(crate) allow_upgrades: bool,
    pub(crate) allow_eio3: bool,
    pub(crate) jsonp: bool,
    pub(crate) ping_interval: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) cleanup_empty_child_namespaces: bool,
    pub(crate) limits: Limits,
    pub(crate) drain_pause: Duration,
    pub(crate) shutdown_grace: Duration,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) tcp_timeouts: TcpTimeouts,
    pub(crate) overflow: Overflow,
    pub(crate) origins: Origins,
    pub(crate) cors: Cors,
    pub(crate) http_compression: HttpCompression,
    pub(crate) websocket_compression: Option<Deflate>,
    pub(crate) cookie: Option<Cookie>,
    pub(crate) hooks: Hooks,
    pub(crate) initial_packet: Option<Message>,
    pub(crate) client_bundle: Option<PathBuf>,
    pub(crate) codec: Codec,
    pub(crate) http2_websocket: bool,
    pub(crate) recovery: Option<Recovery>,
    pub(crate) metrics: bool,
    /// In development mode, what was said so far.
    pub(crate) hints: Option<Arc<Hints>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: "/socket.io/".to_owned(),
            transports: vec![Transport::Polling, Transport::WebSocket],
            allow_upgrades: true,
            allow_eio3: false,
            jsonp: false,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            cleanup_empty_child_namespaces: true,
            limits: Limits::default(),
            drain_pause: Duration::from_secs(1),
            shutdown_grace: Duration::from_secs(30),
            trusted_proxies: Vec::new(),
            tcp_timeouts: TcpTimeouts::new(),
            overflow: Overflow::Close,
            origins: Origins::same_host(),
            cors: Cors::new(),
            http_compression: HttpCompression::on(),
            websocket_compression: None,
            cookie: None,
            hooks: Hooks::default(),
            initial_packet: None,
            client_bundle: None,
            codec: Codec::Json,
            http2_websocket: false,
            recovery: None,
            metrics: false,
            hints: None,
        }
    }
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the server answers. Default `/socket.io/`; matched exactly (the reference matches every
    /// path that begins so), with or without the trailing slash, so that clients with
    /// `addTrailingSlash: false` need no setting here. Mirrors `path` and `addTrailingSlash`.
    #[must_use]
    #[doc(alias = "addTrailingSlash")]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        let path: String = path.into();
        self.path = match path.trim_matches('/') {
            "" => "/".to_owned(),
            inner => format!("/{inner}/"),
        };
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
    #[doc(alias = "allowUpgrades")]
    pub fn allow_upgrades(mut self, allow: bool) -> Self {
        self.allow_upgrades = allow;
        self
    }

    /// Whether clients of revision 3 of Engine.IO are served, such as Socket.IO clients 1.x and 2.x.
    /// Default `false`. Mirrors `allowEIO3`.
    ///
    /// They join `/` without asking, authenticate by the query of the session or of the namespace,
    /// and send the pings. Their socket ids contain the id of their session, which is a secret: see
    /// `SECURITY.md` before such an id is shown to anybody else.
    #[doc(alias = "allowEIO3")]
    #[must_use]
    pub fn allow_eio3(mut self, allow: bool) -> Self {
        self.allow_eio3 = allow;
        self
    }

    /// Whether clients of revision 3 may poll by scripts and forms (JSONP). Default `false`
    /// (reference: always on). It has no effect without [`allow_eio3`](Self::allow_eio3).
    ///
    /// Browsers load scripts from other hosts without an `Origin` header, so with this any web page
    /// can open a session, with the user's cookies, whatever [`origins`](Self::origins) says.
    #[must_use]
    pub fn jsonp(mut self, allow: bool) -> Self {
        self.jsonp = allow;
        self
    }

    /// How long after the handshake, and after each pong, the next ping is sent. Default 25 s.
    /// Mirrors `pingInterval`. Shorter notices dead peers earlier and costs two packets each time.
    #[must_use]
    #[doc(alias = "pingInterval")]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval;
        self
    }

    /// How long a pong may take before the session is closed with `ping timeout`. Default 20 s.
    /// Mirrors `pingTimeout`.
    #[must_use]
    #[doc(alias = "pingTimeout")]
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.ping_timeout = timeout;
        self
    }

    /// Whether a child of a dynamic namespace is removed when its last client has left. Default
    /// `true` (reference: `false`). Mirrors `cleanupEmptyChildNamespaces`. Without it every name that
    /// a client may choose stays in memory.
    #[must_use]
    #[doc(alias = "cleanupEmptyChildNamespaces")]
    pub fn cleanup_empty_child_namespaces(mut self, cleanup: bool) -> Self {
        self.cleanup_empty_child_namespaces = cleanup;
        self
    }

    /// How much a client may send, hold and owe, and how long it may take. Default: [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What happens when more waits for a client than [`Limits::max_buffered`]. Default: it is closed
    /// with the reason `slow consumer` (the reference has no limit and so no policy). A socket
    /// ([`Socket::set_overflow`](crate::Socket::set_overflow)) and an event
    /// ([`Broadcast::overflow`](crate::Broadcast::overflow)) can have another one. Only whole events are
    /// dropped, never acknowledgements or control packets, so a client may still be closed. When they are,
    /// as many go as leave an eighth of the bound free.
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// The mean pause between two batches of sessions that a shutdown closes: each is a tenth of all,
    /// and a hundred at least. Default 1 s (reference: all at once). Pauses vary by half, and are
    /// shortened so that all batches take at most half of the shutdown's grace. Zero closes all at
    /// once. Cost: a shutdown of many sessions takes that much longer, but their clients do not come
    /// back all in one instant.
    #[must_use]
    pub fn drain_pause(mut self, pause: Duration) -> Self {
        self.drain_pause = pause;
        self
    }

    /// How long [`Server::listen`](crate::Server::listen) takes at most to shut down when the process
    /// is asked to end by SIGTERM. Default 30 s. A second SIGTERM ends it at once.
    #[must_use]
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.shutdown_grace = grace;
        self
    }

    /// Whose word on where a client is counts: the reverse proxies and load balancers in front of the
    /// server. Default: nobody's (reference: everybody's). Of their `X-Forwarded-For` or `Forwarded`
    /// the last address that is no trusted proxy is the client's, as
    /// [`Request::address`](crate::Request::address) tells it and [`Limits`] count it, and `X-Forwarded-Proto` tells
    /// [`Request::secure`](crate::Request::secure). The headers of others are ignored, with a warning.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Config;
    ///
    /// let config = Config::new().trusted_proxies(["10.0.0.0/8".parse()?, "::1".parse()?]);
    /// # Ok::<(), ferriwire::InvalidNetwork>(())
    /// ```
    #[must_use]
    pub fn trusted_proxies(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.trusted_proxies = networks.into_iter().collect();
        self
    }

    /// From which web pages clients may come. Default: only from the host that serves the page
    /// (reference: anywhere by WebSocket). Mirrors `cors.origin`, and guards every transport.
    #[must_use]
    #[doc(alias = "origin")]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// What scripts of those origins may do. Default: GET and POST with any header, and with cookies.
    /// Mirrors the other keys of `cors`.
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = cors;
        self
    }

    /// How soon TCP notices that a peer is gone, on connections of the server's own listeners. Default:
    /// after 45 seconds.
    #[must_use]
    pub fn tcp_timeouts(mut self, timeouts: TcpTimeouts) -> Self {
        self.tcp_timeouts = timeouts;
        self
    }

    /// Sets this cookie with the answer to a polling handshake, for load balancers. Default: none.
    /// Mirrors `cookie`.
    #[must_use]
    pub fn cookie(mut self, cookie: Cookie) -> Self {
        self.cookie = Some(cookie);
        self
    }

    /// How the answers of long-polling are compressed. Default: from 1 KiB on. Mirrors
    /// `httpCompression`.
    #[must_use]
    #[doc(alias = "httpCompression")]
    pub fn http_compression(mut self, compression: HttpCompression) -> Self {
        self.http_compression = compression;
        self
    }

    /// Compresses messages on WebSockets, for clients that offer it. Default: not at all. Mirrors
    /// `perMessageDeflate`. Costs a compression for each message that is long enough, and tells who
    /// sees lengths something about the content: see [`Deflate`].
    #[must_use]
    #[doc(alias = "perMessageDeflate")]
    pub fn websocket_compression(mut self, compression: Deflate) -> Self {
        self.websocket_compression = Some(compression);
        self
    }

    /// Serves the official browser client from this folder, under the server's path
    /// (`/socket.io/socket.io.min.js`). Default: not served (reference: served). The eight files
    /// are read once, when the server starts, and compressed once, when they are first asked for.
    /// Mirrors `serveClient`.
    #[must_use]
    #[doc(alias = "serveClient")]
    pub fn client_bundle(mut self, folder: impl Into<PathBuf>) -> Self {
        self.client_bundle = Some(folder.into());
        self
    }

    /// What packets are encoded in. Default JSON with attachments. Mirrors `parser`. Clients must
    /// be set to the same: nothing on the wire says which it is. A program can bring its own (see
    /// [`codec`](crate::codec)), but not together with [`recovery`](Self::recovery).
    #[must_use]
    #[doc(alias = "parser")]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Whether a stream of an HTTP/2 connection may become a WebSocket (RFC 8441). Default `false`,
    /// and then clients open their WebSockets over HTTP/1.1 (as with the reference). A server's own
    /// listeners announce it; a program's own HTTP server, into which this one is mounted, has to do
    /// so itself, with hyper's `enable_connect_protocol`. Saves a connection per client, and costs a
    /// copy, a task and flow control per WebSocket.
    #[must_use]
    pub fn http2_websocket(mut self, allow: bool) -> Self {
        self.http2_websocket = allow;
        self
    }

    /// Development mode: says once per mistake what is wrong and what to do about it, such as "no
    /// handler for `mesage` on `/`; did you mean `message`?". Default `false` (reference: it is silent;
    /// `DEBUG=socket.io*` comes nearest).
    ///
    /// Hints are `tracing` events of the level WARN with the target `ferriwire::hint`. They name events,
    /// namespaces and origins, cut at 256 bytes, and never show payloads. At most 1,024 of them are
    /// given, and 20 in ten seconds. `docs/observability.md` lists them.
    #[must_use]
    pub fn development(mut self, on: bool) -> Self {
        self.hints = on.then(|| Arc::new(Hints::new()));
        self
    }

    /// Whether the server's counters are published once a second through the
    /// [`metrics`](https://docs.rs/metrics) facade, and handlers and heartbeats are timed. Default
    /// `false`; the reference has nothing like it.
    ///
    /// The recorder has to be installed before the server starts. Names and units are in
    /// `docs/observability.md`; labels never contain what clients say. Cost: two readings of the clock
    /// per event, and once a second a visit to each session.
    #[must_use]
    pub fn metrics(mut self, publish: bool) -> Self {
        self.metrics = publish;
        self
    }

    /// Says what to do about a mistake, in development mode. `names` are looked up only then.
    pub(crate) fn hint<N: AsRef<str>>(&self, mistake: Mistake<'_>, names: impl FnOnce() -> Vec<N>) {
        if let Some(hints) = &self.hints {
            hints.say(mistake, &names());
        }
    }

    /// The revisions that are served.
    pub(crate) fn revisions(&self) -> &'static [Revision] {
        if self.allow_eio3 {
            &[Revision::V3, Revision::V4]
        } else {
            &[Revision::V4]
        }
    }

    /// Lets clients whose connection was cut come back with their socket id, their rooms and the
    /// events that they have missed. Default: off, and it costs nothing then. Mirrors
    /// `connectionStateRecovery`.
    #[must_use]
    #[doc(alias = "connectionStateRecovery")]
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = Some(recovery);
        self
    }

    pub(crate) fn timing(&self) -> Timing {
        Timing {
            ping_interval: self.ping_interval,
            ping_timeout: self.ping_timeout,
            upgrade_timeout: self.limits.upgrade_timeout,
            close_timeout: CLOSE_TIMEOUT,
        }
    }

    pub(crate) fn websocket_limits(&self) -> websocket::Limits {
        websocket::Limits {
            max_message: self.limits.max_payload,
            max_fragments: self.limits.max_fragments,
        }
    }

    pub(crate) fn connection(&self) -> connection::Config {
        connection::Config {
            limits: ferriwire_proto::codec::Limits {
                max_attachments: self.limits.max_attachments,
                max_packet: self.limits.max_payload,
                max_event_name: self.limits.max_event_name,
                max_arguments: self.limits.max_arguments,
                max_depth: self.limits.max_depth,
            },
            max_namespaces: self.limits.max_namespaces,
            max_namespace_name: self.limits.max_namespace_name,
            connect_timeout: self.limits.connect_timeout,
            attachments_timeout: self.limits.attachments_timeout,
        }
    }

    /// The shortest interval that a deadline is computed from.
    pub(crate) fn shortest_interval(&self) -> Duration {
        let intervals = [
            self.ping_interval,
            self.ping_timeout,
            self.limits.upgrade_timeout,
            self.limits.connect_timeout,
            self.limits.write_stall_timeout,
            self.limits.attachments_timeout,
            self.limits.fragments_timeout,
        ];
        intervals.into_iter().min().unwrap_or(self.ping_interval)
    }
}

/// How long a closing polling session waits for the GET that fetches the farewell.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

impl std::fmt::Debug for Config {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Config")
            .field("path", &self.path)
            .field("transports", &self.transports)
            .field("codec", &self.codec)
            .field("ping_interval", &self.ping_interval)
            .field("ping_timeout", &self.ping_timeout)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
