//! The accept loop, and one HTTP connection task per TCP connection.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::watch;
use tokio::time::Instant;

use super::core::Core;
use super::http::respond;
use super::request::PeerAddress;

/// From the accepted connection, or the last answer, to the end of the request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// The most headers of a request.
const MAX_HEADERS: usize = 100;

/// A peer that takes nothing for so long is gone (`TCP_USER_TIMEOUT`).
const USER_TIMEOUT: Duration = Duration::from_secs(45);

/// When descriptors or memory have run out, the loop waits this long instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener that serves until it is shut down.
#[derive(Debug)]
pub(crate) struct Listening {
    core: Arc<Core>,
    local_addr: SocketAddr,
    phase: watch::Sender<Phase>,
    /// Its sender lives in the accept loop, and is never used.
    listener: watch::Receiver<()>,
    /// The same in the accept loop and in every HTTP connection task.
    connections: watch::Receiver<()>,
}

/// How far a shutdown has come. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Stopping,
    /// The sessions have ended, or were given up; their last answers are being written.
    Parting,
    Ended,
}

impl Listening {
    pub(crate) async fn bind(core: Arc<Core>, address: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let local_addr = listener.local_addr()?;
        let (phase, stopped) = watch::channel(Phase::Serving);
        let (listening, listener_ends) = watch::channel(());
        let (connected, connections) = watch::channel(());
        let accepting = accept(Arc::clone(&core), listener, stopped, connected);
        tokio::spawn(async move {
            accepting.await;
            drop(listening);
        });
        Ok(Self {
            core,
            local_addr,
            phase,
            listener: listener_ends,
            connections,
        })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.core.is_accepting()
    }

    /// Stops accepting, ends the sessions, and waits for them and for their last answers for at
    /// most `grace`.
    pub(crate) async fn shut_down(&self, grace: Duration) {
        let begun = Instant::now();
        advance(&self.phase, Phase::Stopping);
        let _end = End(&self.phase);
        // The port is free when this returns. The loop has nothing to wait for, and ends the
        // channel with itself.
        drop(self.listener.clone().changed().await);
        self.core.shut_down(grace).await;
        advance(&self.phase, Phase::Parting);
        // A session ends when its last answer is handed to hyper. The program may end when this
        // returns, so the answer has to be written by then.
        let mut connections = self.connections.clone();
        let left = grace.saturating_sub(begun.elapsed());
        drop(tokio::time::timeout(left, connections.changed()).await);
    }

    /// Waits until [`shut_down`](Self::shut_down) has done its work.
    pub(crate) async fn ended(&self) {
        let mut phase = self.phase.subscribe();
        // The sender lives as long as `self`.
        drop(phase.wait_for(|phase| *phase == Phase::Ended).await);
    }
}

fn advance(phase: &watch::Sender<Phase>, to: Phase) {
    phase.send_if_modified(|phase| {
        let later = to > *phase;
        *phase = to.max(*phase);
        later
    });
}

/// Ends the shutdown, also when its caller gives it up.
struct End<'a>(&'a watch::Sender<Phase>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        advance(self.0, Phase::Ended);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        advance(&self.phase, Phase::Stopping);
    }
}

async fn accept(
    core: Arc<Core>,
    listener: TcpListener,
    mut stopped: watch::Receiver<Phase>,
    connected: watch::Sender<()>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = until_stopped(&mut stopped) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                tune(&stream);
                let serving = serve(Arc::clone(&core), stream, peer, stopped.clone());
                let connected = connected.clone();
                tokio::spawn(async move {
                    serving.await;
                    drop(connected);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn until_stopped(phase: &mut watch::Receiver<Phase>) {
    // The other end is dropped with the listener, which ends it as well.
    drop(phase.wait_for(|phase| *phase != Phase::Serving).await);
}

async fn until_parting(phase: &mut watch::Receiver<Phase>) {
    drop(phase.wait_for(|phase| *phase >= Phase::Parting).await);
}

/// Whether the error concerns the connection that was to be accepted, not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn tune(stream: &TcpStream) {
    // None of these can fail on a connected socket, and the connection works without them.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(stream).set_tcp_user_timeout(Some(USER_TIMEOUT));
}

async fn serve(
    core: Arc<Core>,
    stream: TcpStream,
    peer: SocketAddr,
    mut phase: watch::Receiver<Phase>,
) {
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(PeerAddress(peer));
        let core = Arc::clone(&core);
        async move { Ok::<_, Infallible>(respond(&core, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        // Only when the sessions have ended: polling clients fetch their farewell over this.
        () = until_parting(&mut phase) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "HTTP connection ended");
    }
}
