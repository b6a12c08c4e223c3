//! WebSockets whose handshake was answered: the connection is on its way from whoever spoke HTTP on it.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ferriwire_proto::websocket::Limits;
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::websocket::WebSocketIo;
use crate::config::Deflate;
use crate::engine::tcp::BareSocket;

/// Where the connection comes from.
pub(crate) enum Handover {
    Hyper(OnUpgrade),
    /// A connection of a listener of ours that hyper has not seen.
    Bare(oneshot::Receiver<BareSocket>),
}

/// A WebSocket whose handshake was answered.
pub(crate) struct Arriving {
    handover: Handover,
    limits: Limits,
    deflate: Option<Deflate>,
    /// How long what is sent first keeps behind the answer to the handshake.
    apart: Option<Duration>,
    /// It is there, and keeps its distance.
    waiting: Option<(WebSocketIo, Pin<Box<Sleep>>)>,
}

impl From<OnUpgrade> for Handover {
    fn from(upgrade: OnUpgrade) -> Self {
        Self::Hyper(upgrade)
    }
}

impl Arriving {
    /// `deflate` is what was negotiated.
    pub(crate) fn new(
        handover: impl Into<Handover>,
        limits: Limits,
        deflate: Option<Deflate>,
    ) -> Self {
        Self {
            handover: handover.into(),
            limits,
            deflate,
            apart: None,
            waiting: None,
        }
    }

    /// The same for a client that may begin to listen only when it has seen the answer to its handshake,
    /// and would miss what it reads in the same go.
    pub(crate) fn apart(mut self, apart: Duration) -> Self {
        self.apart = Some(apart);
        self
    }

    fn poll_io(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<WebSocketIo>> {
        let deflate = self.deflate.as_ref();
        match &mut self.handover {
            Handover::Hyper(upgrade) => {
                let upgraded = ready!(Pin::new(upgrade).poll(cx)).map_err(io::Error::other)?;
                Poll::Ready(Ok(WebSocketIo::new(upgraded, self.limits, deflate)))
            }
            Handover::Bare(receiver) => {
                let socket = ready!(Pin::new(receiver).poll(cx));
                let socket = socket.map_err(|_| io::ErrorKind::ConnectionAborted)?;
                Poll::Ready(Ok(WebSocketIo::bare(socket, self.limits, deflate)))
            }
        }
    }
}

impl Future for Arriving {
    type Output = io::Result<WebSocketIo>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.waiting.is_none() {
            let io = ready!(self.poll_io(cx))?;
            let Some(apart) = self.apart else {
                return Poll::Ready(Ok(io));
            };
            self.waiting = Some((io, Box::pin(sleep(apart))));
        }
        if let Some((_, pause)) = &mut self.waiting {
            ready!(pause.as_mut().poll(cx));
        }
        match self.waiting.take() {
            Some((io, _)) => Poll::Ready(Ok(io)),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arriving").finish_non_exhaustive()
    }
}
