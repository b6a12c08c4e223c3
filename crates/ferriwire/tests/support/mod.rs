//! Raw clients: they send exactly what a test says, also what no proper client would.
//!
//! Every wait is bounded by [`within`]; nothing sleeps.

#![allow(dead_code, reason = "each test program uses another part")]

pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod polling;
pub(crate) mod revision3;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod websocket;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ferriwire::{LimitKind, Stats, ViolationKind};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpSocket, TcpStream};

/// Much longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must happen.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => fail(&format!("{what} did not happen within {PATIENCE:?}")),
    }
}

/// Waits until something holds that nobody announces, giving others their turn.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    within(what, async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[expect(clippy::panic, reason = "tests fail by panicking")]
pub(crate) fn fail(why: &str) -> ! {
    panic!("{why}")
}

/// Where a server answers.
#[derive(Clone)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    /// The same for a client that can hold next to nothing of what it does not read.
    Narrow(SocketAddr),
    /// A server on streams that are no sockets: gives the client's end of a new one.
    Pipe(Arc<dyn Fn() -> DuplexStream + Send + Sync>),
    /// A server behind something else, such as TLS: gives the client's end of a new connection.
    Behind(Arc<dyn Fn() -> Opening + Send + Sync>),
}

/// The client's end of a connection, when it is there.
pub(crate) type Opening = Pin<Box<dyn Future<Output = Box<dyn Stream>> + Send>>;

impl Endpoint {
    pub(crate) async fn open(&self) -> Box<dyn Stream> {
        match self {
            Self::Tcp(address) => {
                let stream = within("connecting", TcpStream::connect(address)).await;
                let stream = stream.expect("the server listens");
                stream.set_nodelay(true).expect("a connected socket");
                Box::new(stream)
            }
            Self::Narrow(address) => {
                let socket = TcpSocket::new_v4().expect("a socket");
                socket.set_recv_buffer_size(4_096).expect("a new socket");
                let stream = within("connecting", socket.connect(*address)).await;
                Box::new(stream.expect("the server listens"))
            }
            Self::Pipe(open) => Box::new(open()),
            Self::Behind(open) => within("connecting", open()).await,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<&Self> for Endpoint {
    fn from(endpoint: &Self) -> Self {
        endpoint.clone()
    }
}

/// A client's end of a connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Ends the connection the hard way: RST where there is such a thing.
    fn reset(self: Box<Self>);
}

impl Stream for TcpStream {
    fn reset(self: Box<Self>) {
        self.set_zero_linger().expect("a connected socket");
    }
}

impl Stream for DuplexStream {
    fn reset(self: Box<Self>) {}
}

/// The reasons under which something was counted, and how often.
pub(crate) fn counted(stats: &Stats) -> Vec<(&'static str, u64)> {
    let limits = LimitKind::ALL
        .into_iter()
        .map(|limit| (limit.as_str(), stats.limited(limit)));
    let violations = ViolationKind::ALL
        .into_iter()
        .map(|violation| (violation.as_str(), stats.violations(violation)));
    limits
        .chain(violations)
        .filter(|(_, count)| *count > 0)
        .collect()
}
