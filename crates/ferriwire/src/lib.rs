//! A Socket.IO server: every official client connects unchanged.
//!
//! ```no_run
//! use ferriwire::{Event, Namespace, Server};
//!
//! const JOIN: Event<String> = Event::new("join");
//! const SAY: Event<(String, String)> = Event::new("say");
//! const SAID: Event<String> = Event::new("said");
//!
//! # async fn run() -> ferriwire::Result<()> {
//! let chat = Namespace::new("/")
//!     .on(JOIN, async |socket, room| {
//!         socket.join(room)?;
//!         Ok(())
//!     })
//!     .on(SAY, async |socket, (room, text)| {
//!         socket.to(room).emit(SAID, &text)?;
//!         Ok(())
//!     });
//! Server::new().namespace(chat).listen("0.0.0.0:3000").await
//! # }
//! ```
//!
//! An [`Event`] is a typed constant: its name, its payload, and its acknowledgement. Handlers are
//! plain async closures, and what they return is the acknowledgement. Handlers of one socket start
//! in the order in which its events arrived, and interleave only at `.await`.
//!
//! The crate does not parse or write protocols itself: [`ferriwire_proto`] does, without I/O. Below
//! Socket.IO there are two more floors to stand on: [`engine`] for bare Engine.IO sessions, and
//! [`websocket`] for a bare WebSocket.

pub mod cluster;
pub mod codec;
pub mod engine;
#[cfg(feature = "test")]
pub mod test;
pub mod websocket;

#[cfg(feature = "client")]
pub mod client;
mod config;
mod error;
mod event;
mod handshake;
mod hints;
mod random;
mod server;
mod shown;
mod socket_id;

pub use bytes::Bytes;
#[cfg(all(feature = "client", feature = "tls"))]
pub use client::ClientTls;
#[cfg(feature = "client")]
pub use client::ProxyError;
#[cfg(feature = "client")]
pub use client::{Client, ClientBuilder, ConnectFailure};
#[cfg(feature = "tls")]
pub use config::{ClientCertificates, Tls};
pub use config::{
    Config, Cookie, Cors, Deflate, HttpCompression, InvalidNetwork, Limits, Network, Rate,
    Recovery, SameSite, TcpTimeouts,
};
pub use engine::{
    Layer, LimitKind, Listener, Origins, Request, Service, Stats, Transport, ViolationKind,
};
pub use error::{
    AckError, BufferFull, DataError, EmitError, EncodeError, Error, FetchError, JoinError, Result,
};
pub use event::{Accepts, Event, HandlerError, Listens, Payload, Reply};
pub use ferriwire_proto::codec::Codec;
pub use ferriwire_proto::engine::queue::Overflow;
pub use ferriwire_proto::value::{Args, Object, Value};
pub use handshake::{ConnectError, Handshake};
#[cfg(feature = "tls")]
pub use rustls;
pub use server::{
    Ack, Acknowledgement, Answer, Answers, Broadcast, Declared, DisconnectReason, Fresh, Gap,
    ListenerId, Missing, MissingServer, Modified, Namespace, NamespaceHandle, Params, RemoteSocket,
    Responses, RoomChange, RoomEvent, RunningServer, Server, ServerAnswers, ServerResponses,
    Socket, Target, Untyped,
};
pub use socket_id::{InvalidSocketId, SocketId};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So do those of the page for users of another client,
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../../../docs/coming-from-rust-socketio.md")]
struct ComingFromRustSocketio;

/// and those of the page on mounting.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/mounting.md")]
struct Mounting;
