//! How much a client may send, hold and owe, and how long it may take.

mod javascript;

use std::time::Duration;

use ferriwire_proto::admission;
use ferriwire_proto::codec::MAX_DEPTH;
pub use ferriwire_proto::rate::Rate;

use crate::cluster;
use crate::engine::machine;
use crate::engine::watch::Memory;

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
    pub(crate) max_tcp_connections: Option<usize>,
    pub(crate) max_tcp_connections_per_address: Option<usize>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) memory: Option<usize>,
    pub(crate) max_buffered_total: Option<usize>,
    pub(crate) max_unauthenticated: Option<usize>,
    pub(crate) max_connections_per_address: usize,
    pub(crate) handshakes_per_address: Option<Rate>,
    pub(crate) handshakes_per_core: Option<Rate>,
    pub(crate) unknown_sessions_per_address: Option<Rate>,
    pub(crate) max_addresses: usize,
    pub(crate) max_target: usize,
    pub(crate) max_query_parameters: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) min_body_rate: usize,
    pub(crate) max_payload: usize,
    pub(crate) max_packets_per_payload: usize,
    pub(crate) max_fragments: u32,
    pub(crate) fragments_timeout: Duration,
    pub(crate) ping_rate: Option<Rate>,
    pub(crate) max_pending_pongs: usize,
    pub(crate) max_buffered: usize,
    pub(crate) write_stall_timeout: Duration,
    pub(crate) answer_stall_timeout: Duration,
    pub(crate) upgrade_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) decision_timeout: Duration,
    pub(crate) auth_timeout: Duration,
    pub(crate) event_middleware_timeout: Duration,
    pub(crate) ack_timeout: Duration,
    pub(crate) max_running_handlers: usize,
    pub(crate) handler_grace: Duration,
    pub(crate) max_pending_acks: usize,
    pub(crate) max_rooms_per_socket: usize,
    pub(crate) max_room_name: usize,
    pub(crate) max_namespaces: usize,
    pub(crate) max_dynamic_namespaces: usize,
    pub(crate) max_head_bytes: usize,
    pub(crate) max_headers: usize,
    pub(crate) head_timeout: Duration,
    pub(crate) keep_alive_timeout: Duration,
    pub(crate) tls_handshake_timeout: Duration,
    pub(crate) max_tls_handshakes: usize,
    pub(crate) max_http2_streams: u32,
    pub(crate) max_namespace_name: usize,
    pub(crate) max_attachments: usize,
    pub(crate) attachments_timeout: Duration,
    pub(crate) max_event_name: usize,
    pub(crate) max_arguments: usize,
    pub(crate) max_depth: usize,
    pub(crate) event_rate: Option<Rate>,
    pub(crate) event_flood_timeout: Duration,
    pub(crate) cluster_timeout: Duration,
    pub(crate) max_cluster_queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_tcp_connections: None,
            max_tcp_connections_per_address: None,
            max_connections: None,
            memory: None,
            max_buffered_total: None,
            max_unauthenticated: None,
            max_connections_per_address: 1_000,
            handshakes_per_address: Some(Rate::per_second(50).burst(200)),
            handshakes_per_core: Some(Rate::per_second(2_000)),
            unknown_sessions_per_address: Some(Rate::per_minute(20)),
            max_addresses: 65_536,
            max_target: 8 * 1024,
            max_query_parameters: 64,
            body_timeout: Duration::from_secs(30),
            min_body_rate: 1_024,
            max_payload: 1_000_000,
            max_packets_per_payload: 10_000,
            max_fragments: 1_024,
            fragments_timeout: Duration::from_secs(30),
            ping_rate: Some(Rate::per_second(10).burst(60)),
            max_pending_pongs: 16,
            max_buffered: 1024 * 1024,
            write_stall_timeout: Duration::from_secs(10),
            answer_stall_timeout: Duration::from_secs(30),
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(20),
            decision_timeout: Duration::from_secs(10),
            auth_timeout: Duration::from_secs(10),
            event_middleware_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(10),
            max_running_handlers: 256,
            handler_grace: Duration::from_secs(30),
            max_pending_acks: 1_000,
            max_rooms_per_socket: 1_000,
            max_room_name: 256,
            max_namespaces: 32,
            max_dynamic_namespaces: 10_000,
            max_head_bytes: 16 * 1024,
            max_headers: 100,
            head_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(15),
            tls_handshake_timeout: Duration::from_secs(10),
            max_tls_handshakes: 256 * std::thread::available_parallelism().map_or(1, usize::from),
            max_http2_streams: 100,
            max_namespace_name: 255,
            max_attachments: 10,
            attachments_timeout: Duration::from_secs(10),
            max_event_name: 256,
            max_arguments: 256,
            max_depth: MAX_DEPTH,
            event_rate: Some(Rate::per_second(2_000).burst(10_000)),
            event_flood_timeout: Duration::from_secs(10),
            cluster_timeout: cluster::TIMEOUT,
            max_cluster_queue: cluster::MAX_QUEUED,
        }
    }
}

impl Limits {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many TCP connections the server's own listeners have at a time, whatever is spoken on them.
    /// Default: 95 % of the descriptors that the process may have when the server starts (`ulimit -n`),
    /// less 32, so that the program has some for itself; no limit where that is not known (reference: no
    /// limit). One more is closed as soon as it is accepted, before TLS and HTTP.
    #[must_use]
    pub fn max_tcp_connections(mut self, connections: usize) -> Self {
        self.max_tcp_connections = Some(connections);
        self
    }

    /// How many of them one address may have: one address of IPv4, or one /64 network of IPv6. Default:
    /// four times [`max_connections_per_address`](Self::max_connections_per_address), because a session
    /// may have a waiting GET, a POST and a WebSocket at the same time, and leave one idle; at least 256
    /// (reference: no limit). One more is closed as soon as it is accepted. Trusted proxies
    /// ([`Config::trusted_proxies`](crate::Config::trusted_proxies)) may have any number.
    #[must_use]
    pub fn max_tcp_connections_per_address(mut self, connections: usize) -> Self {
        self.max_tcp_connections_per_address = Some(connections);
        self
    }

    /// How many sessions there may be at a time. Default: 90 % of the descriptors that the process
    /// may have when the server starts (`ulimit -n`), less 32, or 10,000 where that is not known
    /// (reference: no limit). Beyond it clients are told 503 with `Retry-After`, a number between 1
    /// and 5 seconds.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// How much memory the process may use, in bytes. Default: that of the machine or, when it is
    /// less, what the control group (cgroup 1 or 2) of the process allows when the server starts;
    /// no limit where that is not known (reference: no limit). `usize::MAX` for no limit.
    ///
    /// Once a second what is used is compared with it, see
    /// [`Config::memory_usage`](crate::Config::memory_usage). From 70 % on, volatile messages are
    /// dropped. From 80 % on, the clients that take nothing while most waits for them are closed with
    /// `slow consumer`, but nobody for whom less than 16 KiB wait. From 85 % on, new clients are told
    /// 503 with `Retry-After`. Below each mark it is as before, within a second.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// How many bytes may wait for all clients together that take nothing more. Default: a quarter
    /// of [`memory`](Self::memory) (reference: no limit). Beyond it those for whom most waits are
    /// closed with `slow consumer`, within a second. A message that waits for many counts for each
    /// of them, but nobody is closed while the whole process uses less than this.
    #[must_use]
    pub fn max_buffered_total(mut self, bytes: usize) -> Self {
        self.max_buffered_total = Some(bytes);
        self
    }

    /// How many sessions there may be at a time whose client has not joined a namespace yet.
    /// Default: a fifth of [`max_connections`](Self::max_connections), at least 64 and at most 10,000
    /// (reference: no limit). Beyond it new clients are told 503. Sessions without Socket.IO do not count.
    #[must_use]
    pub fn max_unauthenticated(mut self, connections: usize) -> Self {
        self.max_unauthenticated = Some(connections);
        self
    }

    /// How many sessions one address may have at a time: one address of IPv4, or one /64 network of
    /// IPv6. Default 1,000 (reference: no limit). Beyond it clients are told 429. Everybody behind
    /// one NAT has the same address: raise it when a large office or a mobile network uses you, and
    /// name your reverse proxies in
    /// [`Config::trusted_proxies`](crate::Config::trusted_proxies).
    #[must_use]
    pub fn max_connections_per_address(mut self, connections: usize) -> Self {
        self.max_connections_per_address = connections;
        self
    }

    /// How many sessions one address may open. Default 50 a second, 200 at once (reference: no
    /// limit); `None` for any number. Beyond it clients are told 429.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{Limits, Rate};
    ///
    /// let limits = Limits::new()
    ///     .handshakes_per_address(Rate::per_second(500).burst(2_000))
    ///     .handshakes_per_core(None);
    /// ```
    #[must_use]
    pub fn handshakes_per_address(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.handshakes_per_address = rate.into();
        self
    }

    /// How many sessions may be opened, times the worker threads of the runtime. Default 2,000 a
    /// second (reference: no limit); `None` for any number. Beyond it clients are told 503. When
    /// timers are more than 100 ms late, it is halved each second, down to a sixteenth, until they
    /// are in time again.
    #[must_use]
    pub fn handshakes_per_core(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.handshakes_per_core = rate.into();
        self
    }

    /// How many requests for sessions that do not exist one address may send. Default 20 a minute
    /// (reference: no limit); `None` for any number. Beyond it they are answered 429 instead of 400.
    #[must_use]
    pub fn unknown_sessions_per_address(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.unknown_sessions_per_address = rate.into();
        self
    }

    /// Of how many addresses without a session the rates are remembered. Default 65,536, which
    /// takes up to 8 MiB. When more come, the earliest are forgotten, as if they were new.
    #[must_use]
    pub fn max_addresses(mut self, addresses: usize) -> Self {
        self.max_addresses = addresses;
        self
    }

    /// How long the path and query of a request may be, in bytes. Default 8 KiB (reference: 16 KiB
    /// with all headers). Longer ones are answered 414.
    #[must_use]
    pub fn max_target(mut self, bytes: usize) -> Self {
        self.max_target = bytes;
        self
    }

    /// How many parameters a query may have. Default 64 (reference: no limit). More are answered
    /// 400.
    #[must_use]
    pub fn max_query_parameters(mut self, parameters: usize) -> Self {
        self.max_query_parameters = parameters;
        self
    }

    /// How long the body of a request may take. Default 30 s (reference: 300 s). Slower ones are
    /// answered 408, and end their session.
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// How many bytes of a request's body must come in each second, on average and after the first
    /// five. Default 1,024 (reference: any); 0 for any. Slower ones are answered 408, and end their
    /// session.
    #[must_use]
    pub fn min_body_rate(mut self, bytes_per_second: usize) -> Self {
        self.min_body_rate = bytes_per_second;
        self
    }

    /// The largest message, polling body or binary packet with its attachments, in bytes, that a
    /// client may send. Default 1,000,000. Mirrors `maxHttpBufferSize`. One connection may hold
    /// that much while a message is incomplete.
    #[must_use]
    #[doc(alias = "maxHttpBufferSize")]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// How many packets one polling body may carry. Default 10,000 (reference: no limit). A client that
    /// emits more in one loop on long-polling loses its connection: the body is answered 400 and none of
    /// its packets is handled.
    #[must_use]
    pub fn max_packets_per_payload(mut self, packets: usize) -> Self {
        self.max_packets_per_payload = packets;
        self
    }

    /// How many fragments a WebSocket message may have, empty ones included. Default 1,024
    /// (reference: 16,384); 0 for any number. Beyond it the WebSocket is closed with 1008.
    #[must_use]
    pub fn max_fragments(mut self, fragments: u32) -> Self {
        self.max_fragments = fragments;
        self
    }

    /// How long a WebSocket message may take from the end of its first fragment to that of its last.
    /// Default 30 s (reference: no limit). Then the WebSocket is closed with 1008.
    #[must_use]
    pub fn fragments_timeout(mut self, timeout: Duration) -> Self {
        self.fragments_timeout = timeout;
        self
    }

    /// How many ping frames a WebSocket may send. Default 10 a second, 60 at once (reference: no
    /// limit); `None` for any number. Beyond it the WebSocket is closed with 1008. The pings of
    /// Engine.IO are packets, and do not count.
    #[must_use]
    pub fn ping_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.ping_rate = rate.into();
        self
    }

    /// How many pong frames may wait for a WebSocket that takes nothing. Default 16 (reference: 60).
    /// Beyond it the earliest are dropped.
    #[must_use]
    pub fn max_pending_pongs(mut self, pongs: usize) -> Self {
        self.max_pending_pongs = pongs;
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

    /// How long a client of the server's own listeners may take nothing of an HTTP answer, such as that to a
    /// poll, before it is given up. Default 30 s (reference: no limit). Over HTTP/1.1 its connection is
    /// closed, over HTTP/2 its stream or, when the connection itself takes nothing, that; a session on
    /// long-polling whose packets were in the answer is closed with `slow consumer`.
    #[must_use]
    pub fn answer_stall_timeout(mut self, timeout: Duration) -> Self {
        self.answer_stall_timeout = timeout;
        self
    }

    /// How long an upgrade may take before its WebSocket is dropped and polling goes on.
    /// Default 10 s. Mirrors `upgradeTimeout`.
    #[must_use]
    #[doc(alias = "upgradeTimeout")]
    pub fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.upgrade_timeout = timeout;
        self
    }

    /// How long a client may take to join its first namespace. Default 20 s (reference: 45 s).
    /// Mirrors `connectTimeout`.
    #[must_use]
    #[doc(alias = "connectTimeout")]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long [`Config::allow_request_async`](crate::Config::allow_request_async) and
    /// [`Config::generate_id`](crate::Config::generate_id) may each take before the handshake is
    /// refused. Default 10 s (reference: for ever).
    #[must_use]
    pub fn decision_timeout(mut self, timeout: Duration) -> Self {
        self.decision_timeout = timeout;
        self
    }

    /// How long `auth` may take before the client is refused. Default 10 s (reference: for ever).
    #[must_use]
    pub fn auth_timeout(mut self, timeout: Duration) -> Self {
        self.auth_timeout = timeout;
        self
    }

    /// How long all of [`event_middleware`](crate::Namespace::event_middleware) may take for one event
    /// before it is refused: no handler sees it, and who asked for an acknowledgement gets an error.
    /// Later events of the same socket wait meanwhile. Default 10 s (reference: for ever).
    #[must_use]
    pub fn event_middleware_timeout(mut self, timeout: Duration) -> Self {
        self.event_middleware_timeout = timeout;
        self
    }

    /// How long an `emit_with_ack` waits when it names no timeout. Default 10 s (reference: for
    /// ever).
    #[must_use]
    #[doc(alias = "ackTimeout")]
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.ack_timeout = timeout;
        self
    }

    /// How many handlers of one connection may run before it is not read from; 0 is the same as 1. Default
    /// 256 (reference: no limit).
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

    /// The largest head of a request, in bytes: over HTTP/1.1 the target and the headers, at least
    /// 8 KiB; over HTTP/2 the header list as RFC 9113 counts it. Default 16 KiB (as Node.js). More is
    /// answered 431, or ends the stream. This and the following rows hold for the server's own
    /// listeners; a program's own HTTP server has its own settings.
    #[must_use]
    pub fn max_head_bytes(mut self, bytes: usize) -> Self {
        self.max_head_bytes = bytes;
        self
    }

    /// The most headers of a request. Default 100 (reference: 2,000). More are answered 431.
    #[must_use]
    pub fn max_headers(mut self, headers: usize) -> Self {
        self.max_headers = headers;
        self
    }

    /// How long a new connection may take to the end of the head of its first request; with TLS,
    /// from the end of its handshake on. Default 10 s (reference: 60 s), then it is closed.
    #[must_use]
    #[doc(alias = "headersTimeout")]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// How long a connection may stay without a request, from its last answer to the end of the next
    /// head. Default 15 s (reference: 5 s), then it is closed; over HTTP/2 with a GOAWAY.
    #[must_use]
    #[doc(alias = "keepAliveTimeout")]
    pub fn keep_alive_timeout(mut self, timeout: Duration) -> Self {
        self.keep_alive_timeout = timeout;
        self
    }

    /// How long a TLS handshake may take. Default 10 s (reference: 120 s), then it is closed.
    #[must_use]
    #[doc(alias = "handshakeTimeout")]
    pub fn tls_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.tls_handshake_timeout = timeout;
        self
    }

    /// How many TLS handshakes one listener has at a time. Default 256 per core (reference: no
    /// limit). One more ends the oldest, so that connections which never finish theirs keep nobody
    /// out.
    #[must_use]
    pub fn max_tls_handshakes(mut self, handshakes: usize) -> Self {
        self.max_tls_handshakes = handshakes;
        self
    }

    /// How many streams, WebSockets included, one HTTP/2 connection has at a time. Default 100 (as
    /// browsers expect). More are refused.
    #[must_use]
    #[doc(alias = "maxConcurrentStreams")]
    pub fn max_http2_streams(mut self, streams: u32) -> Self {
        self.max_http2_streams = streams;
        self
    }

    /// How many namespaces one client may join. Default 32 (reference: no limit); beyond it the
    /// client is refused.
    #[must_use]
    pub fn max_namespaces(mut self, namespaces: usize) -> Self {
        self.max_namespaces = namespaces;
        self
    }

    /// How many children all dynamic namespaces of the server may have together. Default 10,000
    /// (reference: no limit); beyond it a client that wants a new one is refused.
    /// Children without clients that are kept for [recovery](crate::Recovery) count, and make room for
    /// new ones, the oldest first.
    #[must_use]
    pub fn max_dynamic_namespaces(mut self, namespaces: usize) -> Self {
        self.max_dynamic_namespaces = namespaces;
        self
    }

    /// How long a room's name may be, in bytes. Default 256 (reference: no limit); beyond it `join`
    /// answers an error.
    #[must_use]
    pub fn max_room_name(mut self, bytes: usize) -> Self {
        self.max_room_name = bytes;
        self
    }

    /// How long the name of a namespace may be that a client wants to join, in bytes. Default 255
    /// (reference: no limit); beyond it, and with control characters, it is an invalid namespace.
    #[must_use]
    pub fn max_namespace_name(mut self, bytes: usize) -> Self {
        self.max_namespace_name = bytes;
        self
    }

    /// How many attachments a packet may have. Default 10, as in the reference. Beyond it the
    /// connection is closed before any of them is kept. Mirrors the parser's `maxAttachments`.
    #[must_use]
    pub fn max_attachments(mut self, attachments: usize) -> Self {
        self.max_attachments = attachments;
        self
    }

    /// How long the attachments of a packet may take. Default 10 s (reference: for ever). Then the
    /// connection is closed.
    #[must_use]
    pub fn attachments_timeout(mut self, timeout: Duration) -> Self {
        self.attachments_timeout = timeout;
        self
    }

    /// How long the name of an event may be, in bytes. Default 256 (reference: no limit). Beyond it
    /// the connection is closed.
    #[must_use]
    pub fn max_event_name(mut self, bytes: usize) -> Self {
        self.max_event_name = bytes;
        self
    }

    /// How many arguments an event or an acknowledgement may have. Default 256 (reference: no
    /// limit). Beyond it the connection is closed.
    #[must_use]
    pub fn max_arguments(mut self, arguments: usize) -> Self {
        self.max_arguments = arguments;
        self
    }

    /// How deep arrays and objects may be nested in an argument, in an answer, or in what a client is
    /// refused with, in both directions. Default 128, and more than that counts as 128, because a stack
    /// that overflows cannot be caught (reference: no limit). Beyond it the connection of a client is
    /// closed, and an emission answers an error, [`EncodeError::TooDeep`](crate::EncodeError::TooDeep).
    #[must_use]
    pub fn max_depth(mut self, levels: usize) -> Self {
        self.max_depth = levels.min(MAX_DEPTH);
        self
    }

    /// How many packets a client may send in all its namespaces, those that it has left included, and
    /// acknowledgements that somebody waits for aside. Default 2,000 a second, 10,000 at once (reference: no limit); `None` for any number. Beyond it the
    /// client is not read from until it is within the rate again.
    #[must_use]
    pub fn event_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.event_rate = rate.into();
        self
    }

    /// How long a client may go on above [`event_rate`](Self::event_rate) before it is closed with
    /// `limit exceeded`. Default 10 s.
    #[must_use]
    pub fn event_flood_timeout(mut self, timeout: Duration) -> Self {
        self.event_flood_timeout = timeout;
        self
    }

    /// How long other servers of a [cluster](crate::cluster) are waited for when a question names no
    /// timeout, and its backend for joining, leaving and taking a message. Default 5 s. Mirrors the
    /// adapters' `requestsTimeout`. Then what was answered is all there is, and the caller is told who has
    /// not; a message that the backend has not taken is lost, logged, and counted in
    /// [`Stats::lost_messages`](crate::Stats::lost_messages).
    #[must_use]
    #[doc(alias = "requestsTimeout")]
    pub fn cluster_timeout(mut self, timeout: Duration) -> Self {
        self.cluster_timeout = timeout;
        self
    }

    /// How many bytes may wait for the backend of a [cluster](crate::cluster), and of answers to one
    /// question that nobody has read. Default 16 MiB (reference: no limit); one message may be of any
    /// size when no other waits. What does not fit is lost, logged, and counted in
    /// [`Stats::lost_messages`](crate::Stats::lost_messages).
    #[must_use]
    pub fn max_cluster_queue(mut self, bytes: usize) -> Self {
        self.max_cluster_queue = bytes;
        self
    }

    /// What may be used, if that is known.
    pub(crate) fn memory_bounds(&self) -> Option<Memory> {
        let limit = self.memory.or_else(machine::memory::limit)?;
        Some(Memory::new(limit, self.max_buffered_total))
    }

    /// What holds for TCP connections, before anything is spoken on them.
    pub(crate) fn tcp(&self) -> admission::TcpLimits {
        let connections = self
            .max_tcp_connections
            .or_else(machine::max_tcp_connections);
        let of_sessions = self
            .max_connections_per_address
            .saturating_mul(TCP_CONNECTIONS_PER_SESSION)
            .max(MIN_TCP_CONNECTIONS_PER_ADDRESS);
        admission::TcpLimits {
            connections: connections.unwrap_or(usize::MAX),
            connections_per_source: self.max_tcp_connections_per_address.unwrap_or(of_sessions),
        }
    }

    /// What guards the door of a server with so many worker threads.
    pub(crate) fn admission(&self, cores: usize) -> admission::Limits {
        let connections = self
            .max_connections
            .unwrap_or_else(machine::max_connections);
        let fifth = (connections / 5).clamp(MIN_UNAUTHENTICATED, MAX_UNAUTHENTICATED);
        let cores = u32::try_from(cores).unwrap_or(u32::MAX);
        admission::Limits {
            connections,
            unauthenticated: self.max_unauthenticated.unwrap_or(fifth),
            connections_per_source: self.max_connections_per_address,
            handshakes_per_source: self.handshakes_per_address,
            handshakes: self.handshakes_per_core.map(|rate| rate.times(cores)),
            unknown_sessions_per_source: self.unknown_sessions_per_address,
            sources: self.max_addresses,
        }
    }
}

/// A GET, a POST, the WebSocket of an upgrade, and one that nobody uses any more.
const TCP_CONNECTIONS_PER_SESSION: usize = 4;

/// Who may have few sessions may still ask for them again and again.
const MIN_TCP_CONNECTIONS_PER_ADDRESS: usize = 256;

/// A server with room for few still has some for whoever is just arriving.
const MIN_UNAUTHENTICATED: usize = 64;

/// Of a server with room for many.
const MAX_UNAUTHENTICATED: usize = 10_000;
