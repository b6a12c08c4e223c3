//! Why something was refused, held back or ended: closed sets of words, so that counting them takes
//! bounded memory whatever clients send.

/// Declares an enum of reasons, with all of them and the name of each.
macro_rules! reasons {
    (
        $(#[$attribute:meta])*
        pub enum $type:ident {
            $($(#[doc = $doc:literal])+ $variant:ident => $name:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $type {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $type {
            /// All of them.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Its name in logs and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

reasons! {
    /// A limit that somebody ran into: read with [`Stats::limited`](crate::Stats::limited), named like
    /// the setting. Nothing else is counted there.
    pub enum LimitKind {
        /// [`Limits::max_tcp_connections`](crate::Limits::max_tcp_connections).
        TcpConnections => "max_tcp_connections",
        /// [`Limits::max_tcp_connections_per_address`](crate::Limits::max_tcp_connections_per_address).
        TcpConnectionsPerAddress => "max_tcp_connections_per_address",
        /// The descriptors of the process have run out (`ulimit -n`): a TCP connection was closed, or
        /// had to wait.
        Descriptors => "descriptors",
        /// [`Limits::max_connections`](crate::Limits::max_connections).
        Connections => "max_connections",
        /// [`Limits::memory`](crate::Limits::memory): somebody was refused, or closed because a lot
        /// waited for him.
        Memory => "memory",
        /// [`Limits::max_buffered_total`](crate::Limits::max_buffered_total).
        BufferedTotal => "max_buffered_total",
        /// [`Limits::max_unauthenticated`](crate::Limits::max_unauthenticated).
        Unauthenticated => "max_unauthenticated",
        /// [`Limits::max_connections_per_address`](crate::Limits::max_connections_per_address).
        ConnectionsPerAddress => "max_connections_per_address",
        /// [`Limits::handshakes_per_address`](crate::Limits::handshakes_per_address).
        HandshakesPerAddress => "handshakes_per_address",
        /// [`Limits::handshakes_per_core`](crate::Limits::handshakes_per_core).
        Handshakes => "handshakes_per_core",
        /// [`Limits::unknown_sessions_per_address`](crate::Limits::unknown_sessions_per_address).
        UnknownSessions => "unknown_sessions_per_address",
        /// [`Limits::decision_timeout`](crate::Limits::decision_timeout).
        DecisionTime => "decision_timeout",
        /// [`Limits::tls_handshake_timeout`](crate::Limits::tls_handshake_timeout).
        TlsHandshakeTime => "tls_handshake_timeout",
        /// [`Limits::max_tls_handshakes`](crate::Limits::max_tls_handshakes): one had to make room.
        TlsHandshakes => "max_tls_handshakes",
        /// [`Limits::answer_stall_timeout`](crate::Limits::answer_stall_timeout).
        AnswerStall => "answer_stall_timeout",
        /// [`Limits::max_target`](crate::Limits::max_target).
        Target => "max_target",
        /// [`Limits::max_query_parameters`](crate::Limits::max_query_parameters).
        QueryParameters => "max_query_parameters",
        /// [`Limits::max_payload`](crate::Limits::max_payload): a body, a message, what it inflates
        /// to, a packet with its attachments, or what its placeholders copy.
        Payload => "max_payload",
        /// [`Limits::body_timeout`](crate::Limits::body_timeout), or
        /// [`min_body_rate`](crate::Limits::min_body_rate).
        BodyTime => "body_timeout",
        /// [`Limits::max_packets_per_payload`](crate::Limits::max_packets_per_payload).
        PacketsPerPayload => "max_packets_per_payload",
        /// [`Limits::max_fragments`](crate::Limits::max_fragments).
        Fragments => "max_fragments",
        /// [`Limits::fragments_timeout`](crate::Limits::fragments_timeout).
        FragmentsTime => "fragments_timeout",
        /// [`Deflate::inflate_budget`](crate::Deflate::inflate_budget).
        InflateBudget => "inflate_budget",
        /// [`Limits::ping_rate`](crate::Limits::ping_rate).
        Pings => "ping_rate",
        /// [`Limits::max_pending_pongs`](crate::Limits::max_pending_pongs).
        PendingPongs => "max_pending_pongs",
        /// [`Limits::upgrade_timeout`](crate::Limits::upgrade_timeout).
        UpgradeTime => "upgrade_timeout",
        /// [`Limits::connect_timeout`](crate::Limits::connect_timeout). Like all that follow, Socket.IO
        /// only.
        ConnectTime => "connect_timeout",
        /// [`Limits::auth_timeout`](crate::Limits::auth_timeout).
        AuthTime => "auth_timeout",
        /// [`Limits::max_namespaces`](crate::Limits::max_namespaces).
        Namespaces => "max_namespaces",
        /// [`Limits::max_namespace_name`](crate::Limits::max_namespace_name), or control characters in
        /// such a name.
        NamespaceName => "max_namespace_name",
        /// [`Limits::max_dynamic_namespaces`](crate::Limits::max_dynamic_namespaces).
        DynamicNamespaces => "max_dynamic_namespaces",
        /// [`Limits::max_attachments`](crate::Limits::max_attachments).
        Attachments => "max_attachments",
        /// [`Limits::attachments_timeout`](crate::Limits::attachments_timeout).
        AttachmentsTime => "attachments_timeout",
        /// [`Limits::max_depth`](crate::Limits::max_depth), of what a client sent.
        Depth => "max_depth",
        /// [`Limits::max_event_name`](crate::Limits::max_event_name).
        EventName => "max_event_name",
        /// [`Limits::max_arguments`](crate::Limits::max_arguments).
        Arguments => "max_arguments",
        /// [`Limits::event_rate`](crate::Limits::event_rate): a client was not read from for a while.
        Events => "event_rate",
        /// [`Limits::event_flood_timeout`](crate::Limits::event_flood_timeout).
        EventFloodTime => "event_flood_timeout",
        /// [`Limits::event_middleware_timeout`](crate::Limits::event_middleware_timeout): an event was
        /// refused.
        EventMiddlewareTime => "event_middleware_timeout",
        /// [`Limits::max_running_handlers`](crate::Limits::max_running_handlers): an event had to wait,
        /// or a client was refused by a namespace.
        RunningHandlers => "max_running_handlers",
        /// [`Limits::handler_grace`](crate::Limits::handler_grace).
        HandlerGrace => "handler_grace",
        /// [`Limits::max_rooms_per_socket`](crate::Limits::max_rooms_per_socket).
        Rooms => "max_rooms_per_socket",
        /// [`Limits::max_room_name`](crate::Limits::max_room_name).
        RoomName => "max_room_name",
        /// [`Limits::max_pending_acks`](crate::Limits::max_pending_acks).
        PendingAcks => "max_pending_acks",
    }
}

reasons! {
    /// A rule of the protocols that a client broke: read with
    /// [`Stats::violations`](crate::Stats::violations). Each but the last one ended its connection; what is
    /// too much or too long is a [`LimitKind`] instead.
    pub enum ViolationKind {
        /// A frame that RFC 6455 or RFC 7692 forbids.
        Frame => "frame",
        /// A packet or a polling body that is not Engine.IO's.
        EnginePacket => "engine_packet",
        /// A packet without a type that there is, with an illegal number of attachments, without the id
        /// that an acknowledgement needs, or with one above 2^53 - 1.
        Packet => "packet",
        /// A payload that is not JSON, not MessagePack, not of the program's codec, or not what that kind
        /// of packet carries.
        Payload => "payload",
        /// A placeholder without its attachment, or a message where another one was due.
        Attachments => "attachments",
        /// An event by a name that only the implementations may use.
        ReservedName => "reserved_name",
        /// A packet for a namespace that was not joined, one joined twice, or a packet that only servers
        /// send.
        State => "state",
        /// A client, accepted by `auth`, that wanted to take up the session of somebody else. It starts
        /// anew.
        ForeignSession => "foreign_session",
    }
}
