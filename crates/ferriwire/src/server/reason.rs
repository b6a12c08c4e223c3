//! Why a socket left.

use std::fmt;

use ferriwire_proto::engine::CloseReason;

/// Why a socket left its namespace. It prints as the reference's strings, and compares by them:
/// `reason.as_str() == "transport close"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The server took the socket out.
    ServerNamespaceDisconnect,
    /// The client left this namespace.
    ClientNamespaceDisconnect,
    /// The server is being shut down.
    ServerShuttingDown,
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The connection was closed, or lost.
    TransportClose,
    /// The connection broke, or its rules were broken.
    TransportError,
    /// The client sent something that is no Engine.IO packet.
    ParseError,
    /// The client broke the Socket.IO protocol.
    ForcedClose,
    /// The same where the transport could not close at once, or no namespace was joined in time.
    ForcedServerClose,
    /// The client read more slowly than it was sent to; ours.
    SlowConsumer,
    /// A handler of this socket panicked; ours.
    ServerError,
    /// The client exceeded a limit that has no other reason; ours.
    LimitExceeded,
    /// The client has taken up its session on another connection; ours.
    ResumedElsewhere,
}

impl DisconnectReason {
    /// The reference's string.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerShuttingDown => "server shutting down",
            Self::PingTimeout => "ping timeout",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::ForcedServerClose => "forced server close",
            Self::SlowConsumer => "slow consumer",
            Self::ServerError => "server error",
            Self::LimitExceeded => "limit exceeded",
            Self::ResumedElsewhere => "resumed elsewhere",
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<CloseReason> for DisconnectReason {
    fn from(reason: CloseReason) -> Self {
        let all = [
            Self::ServerShuttingDown,
            Self::PingTimeout,
            Self::TransportClose,
            Self::TransportError,
            Self::ParseError,
            Self::ForcedClose,
            Self::ForcedServerClose,
            Self::SlowConsumer,
            Self::ServerError,
            Self::LimitExceeded,
        ];
        let same = all.into_iter().find(|own| own.as_str() == reason.as_str());
        same.unwrap_or(Self::ForcedClose)
    }
}
