//! Why a namespace is joined no more.

use std::fmt;

use ferriwire_proto::engine::CloseReason;

/// Why a client is in a namespace no more. It prints as the reference's strings.
///
/// # Examples
///
/// ```
/// use ferriwire::client::DisconnectReason;
///
/// assert_eq!(DisconnectReason::Server.to_string(), "io server disconnect");
/// assert!(!DisconnectReason::Server.reconnects());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The server took the client out. It does not come back by itself.
    Server,
    /// The client left. It does not come back by itself.
    Client,
    /// The server did not send its ping in time.
    PingTimeout,
    /// The connection was closed, or lost.
    TransportClose,
    /// The connection broke.
    TransportError,
    /// The server sent something that cannot be read.
    ParseError,
    /// The client was closed.
    ForcedClose,
}

impl DisconnectReason {
    /// The reference's string.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::DisconnectReason;
    ///
    /// assert_eq!(DisconnectReason::PingTimeout.as_str(), "ping timeout");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "io server disconnect",
            Self::Client => "io client disconnect",
            Self::PingTimeout => "ping timeout",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
        }
    }

    /// Whether the client tries to come back by itself, if it may at all.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::DisconnectReason;
    ///
    /// assert!(DisconnectReason::TransportClose.reconnects());
    /// assert!(!DisconnectReason::Server.reconnects());
    /// ```
    #[must_use]
    pub const fn reconnects(self) -> bool {
        match self {
            Self::Server | Self::Client | Self::ForcedClose => false,
            Self::PingTimeout | Self::TransportClose | Self::TransportError | Self::ParseError => {
                true
            }
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
            Self::PingTimeout,
            Self::TransportClose,
            Self::TransportError,
            Self::ParseError,
        ];
        let same = all.into_iter().find(|own| own.as_str() == reason.as_str());
        same.unwrap_or(Self::ForcedClose)
    }
}
