//! A Socket.IO client: several namespaces over one connection, which is opened, upgraded and opened anew
//! by one task (`docs/decisions/0009-client-driver.md`).
//!
//! Begin at [`Client::builder`].

mod acknowledgement;
mod auth;
#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod config;
mod dispatch;
mod emitter;
mod error;
mod handle;
mod random;
mod reason;
mod reconnection;
mod shared;
mod stream;
mod suspended;
mod task;
#[cfg_attr(not(feature = "tls"), path = "without_tls.rs")]
pub(crate) mod tls;
mod transport;

pub use self::acknowledgement::Acknowledgement;
pub use self::auth::Attempt;
pub use self::builder::{ClientBuilder, NamespaceBuilder};
pub use self::dispatch::{Ack, ListenerId};
pub use self::emitter::Emitter;
pub use self::error::ConnectFailure;
pub use self::handle::Client;
pub use self::reason::DisconnectReason;
pub use self::reconnection::Reconnection;
pub use self::stream::{ClientEvent, Events};
#[cfg(feature = "tls")]
pub use self::tls::ClientTls;
pub use self::transport::connect::ProxyError;
#[cfg(feature = "test")]
pub(crate) use self::transport::stream::{Connecting, Connector, Stream};
pub use ferriwire_proto::engine::Revision;
pub use ferriwire_proto::reconnect::{Jitter, OfflinePolicy};
