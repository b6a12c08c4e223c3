//! Why a session ended.

use std::fmt;

/// Why a session ended (1.1.10). `Display` gives the reference's strings, and ours where it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The transport failed, or the peer used it in a way that it does not allow.
    TransportError,
    /// The peer ended the session or its transport.
    TransportClose,
    /// The server ended the session.
    ForcedClose,
    /// A ping was not answered in time.
    PingTimeout,
    /// The peer sent something that is not a packet.
    ParseError,
    /// The peer did not read what was sent to it.
    SlowConsumer,
    /// The whole server is going down.
    ServerShuttingDown,
    /// The peer used more than it may.
    LimitExceeded,
    /// The server failed.
    ServerError,
    /// The server ended the session on behalf of the layer above.
    ForcedServerClose,
}

impl CloseReason {
    /// The reason as users and other nodes see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportError => "transport error",
            Self::TransportClose => "transport close",
            Self::ForcedClose => "forced close",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::SlowConsumer => "slow consumer",
            Self::ServerShuttingDown => "server shutting down",
            Self::LimitExceeded => "limit exceeded",
            Self::ServerError => "server error",
            Self::ForcedServerClose => "forced server close",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::CloseReason;

    #[test]
    fn reasons_read_as_in_the_reference() {
        for (reason, expected) in [
            (CloseReason::TransportError, "transport error"),
            (CloseReason::TransportClose, "transport close"),
            (CloseReason::ForcedClose, "forced close"),
            (CloseReason::PingTimeout, "ping timeout"),
            (CloseReason::ParseError, "parse error"),
            (CloseReason::SlowConsumer, "slow consumer"),
            (CloseReason::ServerShuttingDown, "server shutting down"),
            (CloseReason::LimitExceeded, "limit exceeded"),
            (CloseReason::ServerError, "server error"),
            (CloseReason::ForcedServerClose, "forced server close"),
        ] {
            assert_eq!(reason.to_string(), expected);
        }
    }
}
