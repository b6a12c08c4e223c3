//! Why a client that came back had to start anew.

use std::fmt;

use ferriwire_proto::log;

/// Why a client that wanted to take up its session got a new one: it may have missed events, and was
/// told so (`socket.recovered` is `false` there). See [`Namespace::on_gap`](crate::Namespace::on_gap).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gap {
    /// There is no such session: it is over, was away for too long, or was of an earlier process.
    UnknownSession,
    /// The session is somebody else's.
    OtherIdentity,
    /// The offset is none that this server has given away.
    InvalidOffset,
    /// Events that may have been for the client are not kept any more.
    Trimmed,
    /// It has missed more than one client may.
    TooMuch,
}

impl From<log::Gap> for Gap {
    fn from(gap: log::Gap) -> Self {
        match gap {
            log::Gap::OtherEpoch | log::Gap::Future => Self::InvalidOffset,
            log::Gap::Trimmed => Self::Trimmed,
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownSession => "there is no such session",
            Self::OtherIdentity => "the session is somebody else's",
            Self::InvalidOffset => "the offset is not one of this log",
            Self::Trimmed => "events are not kept any more",
            Self::TooMuch => "more was missed than one client may miss",
        })
    }
}
