//! Connections that no socket carries, for [`crate::test`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use super::accept::place_for;
use super::connection::serve_in_memory;
use super::{Listening, Phase};
use crate::engine::core::Core;
use crate::engine::tcp::{Places, TcpConnection};

/// Where the server says that it listens: an address that nobody has (RFC 5737).
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 80);

/// Where streams are handed to a server that listens nowhere else.
pub(crate) struct Entrance<S>(mpsc::UnboundedSender<(S, SocketAddr)>);

impl<S> Entrance<S> {
    /// Hands one over; not when the server has stopped.
    pub(crate) fn accept(&self, stream: S, peer: SocketAddr) -> bool {
        self.0.send((stream, peer)).is_ok()
    }
}

impl Listening {
    /// Serves what comes through the entrance.
    pub(crate) fn in_memory<S>(core: Arc<Core>) -> (Self, Entrance<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut listening = Self::start(core, Vec::new());
        listening.local_addrs.push(ADDRESS);
        let (entrance, streams) = mpsc::unbounded_channel();
        let (listens, listeners) = watch::channel(());
        let (connected, connections) = watch::channel(());
        (listening.listeners, listening.connections) = (listeners, connections);
        let core = Arc::clone(&listening.core);
        let accepting = accept(core, streams, listening.phase.subscribe(), connected);
        tokio::spawn(async move {
            accepting.await;
            drop(listens);
        });
        (listening, Entrance(entrance))
    }
}

/// As the accept loop of a listener.
async fn accept<S>(
    core: Arc<Core>,
    mut streams: mpsc::UnboundedReceiver<(S, SocketAddr)>,
    phase: watch::Receiver<Phase>,
    connected: watch::Sender<()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let places = Places::new(core.config().limits.tcp());
    let mut stopped = phase.clone();
    loop {
        let accepted = tokio::select! {
            accepted = streams.recv() => accepted,
            _ = stopped.wait_for(|phase| *phase != Phase::Serving) => return,
        };
        let Some((stream, peer)) = accepted else {
            return;
        };
        let Some(place) = place_for(&core, &places, peer) else {
            continue;
        };
        let stream = TcpConnection::new(stream, place);
        let serving = serve_in_memory(Arc::clone(&core), stream, peer, phase.clone());
        let (serving, connected) = (Box::pin(serving), connected.clone());
        tokio::spawn(async move {
            serving.await;
            drop(connected);
        });
    }
}
