//! Why a request is not served, and what its client is told.

use std::fmt;

use crate::engine::{Revision, SessionId, Transport};

/// How many characters of what a client sent are kept for a log.
const EXCERPT: usize = 64;

/// A request is not served.
///
/// Codes and messages are those of the table in 1.1.4. `Display` is for logs and says more than the
/// client is told; it shows no more of a session's id than its `Debug` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Code 0: the transport is missing, unknown or not enabled.
    TransportUnknown {
        /// The beginning of what was asked for.
        requested: String,
    },
    /// Code 1: no such session. `None` when what was sent cannot be an id.
    SessionUnknown(Option<SessionId>),
    /// Code 2: a session can only be opened with GET.
    BadHandshakeMethod {
        /// The beginning of the method.
        method: String,
    },
    /// Code 3: the request makes no sense.
    BadRequest(BadRequest),
    /// Code 4: the application does not want it.
    Forbidden {
        /// What the client is told in place of `Forbidden`.
        message: Option<String>,
    },
    /// Code 5: the revision is not enabled.
    UnsupportedRevision(Revision),
}

/// What exactly makes no sense; the client is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadRequest {
    /// The query has too many parameters.
    TooManyParameters {
        /// How many it may have.
        limit: usize,
    },
    /// A parameter that must be unambiguous is given twice.
    DuplicateParameter(&'static str),
    /// The `Origin` header is not one.
    Origin,
    /// The request uses another transport than the session that it names.
    TransportMismatch {
        /// The transport of the request.
        requested: Transport,
        /// The transport of the session.
        current: Transport,
    },
    /// The request speaks another revision than the session that it names.
    RevisionMismatch {
        /// The revision of the request.
        requested: Revision,
        /// The revision of the session.
        current: Revision,
    },
    /// This kind of request cannot open a session on that transport.
    TransportHandshake(Transport),
    /// Answers that are scripts are not enabled.
    Jsonp,
    /// The application's code that stands before the handshake failed.
    Middleware,
    /// There was no id to be had for a new session.
    IdGeneration,
}

impl Refusal {
    /// Refuses a transport; `requested` comes from the client and is cut.
    #[must_use]
    pub fn transport_unknown(requested: &str) -> Self {
        let requested = excerpt(requested);
        Self::TransportUnknown { requested }
    }

    /// Refuses a method; it comes from the client and is cut.
    #[must_use]
    pub fn bad_handshake_method(method: &str) -> Self {
        let method = excerpt(method);
        Self::BadHandshakeMethod { method }
    }

    /// The code of the refusal, 0 to 5.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::TransportUnknown { .. } => 0,
            Self::SessionUnknown(_) => 1,
            Self::BadHandshakeMethod { .. } => 2,
            Self::BadRequest(_) => 3,
            Self::Forbidden { .. } => 4,
            Self::UnsupportedRevision(_) => 5,
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::TransportUnknown { .. } => "Transport unknown",
            Self::SessionUnknown(_) => "Session ID unknown",
            Self::BadHandshakeMethod { .. } => "Bad handshake method",
            Self::BadRequest(_) => "Bad request",
            Self::Forbidden { message } => message.as_deref().unwrap_or("Forbidden"),
            Self::UnsupportedRevision(_) => "Unsupported protocol version",
        }
    }

    /// The status of the HTTP answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Forbidden { .. } => 403,
            Self::TransportUnknown { .. }
            | Self::SessionUnknown(_)
            | Self::BadHandshakeMethod { .. }
            | Self::BadRequest(_)
            | Self::UnsupportedRevision(_) => 400,
        }
    }

    /// The body of the HTTP answer, as JSON.
    #[must_use]
    pub fn body(&self) -> String {
        let message = serde_json::Value::from(self.message());
        format!(r#"{{"code":{},"message":{message}}}"#, self.code())
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT).collect()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TransportUnknown { requested } => {
                write!(f, "transport {requested:?} is unknown or not enabled")
            }
            Self::SessionUnknown(Some(id)) => write!(f, "session {id:?} is unknown"),
            Self::SessionUnknown(None) => f.write_str("session id is malformed"),
            Self::BadHandshakeMethod { method } => {
                write!(f, "method {method:?} cannot open a session")
            }
            Self::BadRequest(cause) => cause.fmt(f),
            Self::Forbidden { message: None } => f.write_str("request is forbidden"),
            Self::Forbidden {
                message: Some(message),
            } => {
                write!(f, "request is forbidden: {message:?}")
            }
            Self::UnsupportedRevision(revision) => {
                write!(f, "protocol revision {revision:?} is not enabled")
            }
        }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyParameters { limit } => {
                write!(f, "query has more parameters than the limit of {limit}")
            }
            Self::DuplicateParameter(name) => write!(f, "parameter {name} is given twice"),
            Self::Origin => f.write_str("origin header is invalid"),
            Self::TransportMismatch { requested, current } => {
                let (requested, current) = (requested.as_str(), current.as_str());
                write!(f, "request over {requested} for a session on {current}")
            }
            Self::RevisionMismatch { requested, current } => {
                write!(
                    f,
                    "request in revision {requested:?} for a session in {current:?}"
                )
            }
            Self::TransportHandshake(transport) => {
                write!(
                    f,
                    "request cannot open a session over {}",
                    transport.as_str()
                )
            }
            Self::Jsonp => f.write_str("answers that are scripts are not enabled"),
            Self::Middleware => f.write_str("code before the handshake failed"),
            Self::IdGeneration => f.write_str("no session id could be made"),
        }
    }
}
