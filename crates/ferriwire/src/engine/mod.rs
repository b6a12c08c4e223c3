//! Engine.IO without Socket.IO on top: sessions, transports, admission and bounds.
//!
//! [`Server`] is for programs that want the transports and nothing else: every message is text or
//! bytes, there are no events, namespaces or rooms. Socket.IO is its first user: `server` puts its
//! own `task::SessionHandler` on top of the same sessions.
//!
//! | file | concept |
//! |---|---|
//! | `http`, `origins`, `body` | a request to a session and a transport, or to an error answer |
//! | `listen`, `tcp`, `writing`, `service` | where requests come from |
//! | `forwarded` | where a client is, when proxies stand in front |
//! | `gate`, `machine` | how many sessions there may be, and how fast they may come |
//! | `core`, `sessions` | what all sessions share |
//! | `watch` | once a second: late timers, short memory |
//! | `task` | the connection task: one loop over a closed set of inputs |
//! | `session` | the handle that others hold, and the mailbox |
//! | `outbox`, `write`, `turn`, `shard` | the write path |
//! | `transport` | bytes in and out |
//! | `running` | handlers inside a connection task |

pub(crate) mod body;
pub(crate) mod bundle;
pub(crate) mod core;
pub(crate) mod counters;
mod fault;
mod forwarded;
pub(crate) mod gate;
mod greeting;
pub(crate) mod http;
pub(crate) mod listen;
pub(crate) mod machine;
pub(crate) mod metrics;
pub(crate) mod running;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod task;
pub(crate) mod transport;

mod connection_error;
mod drain;
mod handler;
pub(crate) mod origins;
pub(crate) mod outbox;
pub(crate) mod reasons;
mod request;
mod server;
mod sessions;
pub(crate) mod shard;
mod tcp;
mod traffic;
mod turn;
mod waiters;
pub(crate) mod watch;
mod write;
mod writing;

pub use body::Body;
pub use connection_error::ConnectionError;
pub use counters::Stats;
pub(crate) use fault::Fault;
pub use ferriwire_proto::engine::handshake::{BadRequest, Refusal};
pub use ferriwire_proto::engine::{CloseReason, Revision, SessionId, Transport};
pub use listen::Listener;
pub use origins::Origins;
pub use reasons::{LimitKind, ViolationKind};
pub use request::{PeerAddress, Request, Secure};
pub(crate) use server::shard_count;
pub use server::{RunningServer, Server};
pub use service::{Layer, Layered, Service};
pub use session::Session;

use bytes::Bytes;
use ferriwire_proto::encoded::Encoded;

/// A message of an Engine.IO session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    pub(crate) fn encode(self) -> Encoded {
        match self {
            Self::Text(text) => Encoded::text_message(&text),
            Self::Binary(data) => Encoded::binary_message(data),
        }
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Self::Binary(data)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Self::Binary(data.into())
    }
}
