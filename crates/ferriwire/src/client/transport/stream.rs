//! Where a client's bytes go, and who opens the way there.

use std::future::Future;
use std::io;
use std::pin::Pin;

use ferriwire_proto::engine::client::Address;
use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream to a server: TCP, TLS on it, or one in memory.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + ?Sized> Stream for S {}

/// A stream that is being opened.
pub(crate) type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// Opens streams to servers.
pub(crate) trait Connector: Send + Sync + 'static {
    /// `address` is the parsed URL (secure or not, host, port); the stream is encrypted already if it
    /// says so.
    fn connect(&self, address: &Address) -> Connecting;
}
