//! Connections that no socket carries, for [`crate::test`].

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ferriwire_proto::admission::Source;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, watch};

use super::accept::note;
use super::connection::serve_in_memory;
use super::{Listening, Phase};
use crate::engine::core::Core;
use crate::engine::tcp::{Place, Places};
use crate::engine::writing::Writing;

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
        let source = Source::from(peer.ip());
        let place = match places.take(Some(source)) {
            Ok(place) => place,
            Err(refusal) => {
                note(&core, refusal.into(), Some(source), &refusal);
                continue;
            }
        };
        let writing = Writing::new();
        let stream = Accepted {
            stream,
            writing: Arc::clone(&writing),
            _place: place,
        };
        let serving = serve_in_memory(Arc::clone(&core), stream, writing, peer, phase.clone());
        let (serving, connected) = (Box::pin(serving), connected.clone());
        tokio::spawn(async move {
            serving.await;
            drop(connected);
        });
    }
}

/// A stream with a place among others, whose answers are watched.
struct Accepted<S> {
    stream: S,
    writing: Arc<Writing>,
    _place: Place,
}

impl<S> Accepted<S> {
    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(_) => self.writing.note_end(),
            Poll::Pending => self.writing.note_wait(),
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Accepted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Accepted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.writing.note_flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
