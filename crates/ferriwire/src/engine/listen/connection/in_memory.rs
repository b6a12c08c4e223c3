//! A connection that no socket carries: HTTP/1.1 by hyper.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::{Activity, Connection, Phase};
use crate::engine::core::Core;
use crate::engine::tcp::TcpConnection;

/// Serves what was accepted until it is closed, or became a WebSocket.
pub(in crate::engine::listen) async fn serve_in_memory<S>(
    core: Arc<Core>,
    stream: TcpConnection<S>,
    peer: SocketAddr,
    phase: watch::Receiver<Phase>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = Connection {
        core,
        peer,
        activity: Activity::new(),
        writing: Arc::clone(stream.writing()),
        phase,
        is_continued: false,
    };
    connection.http1(stream, |_| {}).await;
}
