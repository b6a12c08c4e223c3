//! One connection in memory, and its two ends.

use std::fmt;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Direction;
use super::pipe::{End, Found, Pipe};
use super::wire::{Passage, Shared};

/// One connection, as the wire sees it.
pub(super) struct Link {
    to_server: Pipe,
    to_client: Pipe,
    /// Something of it has vanished.
    has_hole: AtomicBool,
}

/// One end of a connection.
pub(crate) struct Stream {
    link: Arc<Link>,
    wire: Arc<Shared>,
    /// Where what is written goes.
    direction: Direction,
    /// Until something arrives.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Link {
    /// The ends of the client and of the server.
    pub(super) fn new(wire: &Arc<Shared>) -> (Arc<Self>, Stream, Stream) {
        let link = Arc::new(Self {
            to_server: Pipe::default(),
            to_client: Pipe::default(),
            has_hole: AtomicBool::new(false),
        });
        let end = |direction| Stream {
            link: Arc::clone(&link),
            wire: Arc::clone(wire),
            direction,
            pause: None,
        };
        let (client, server) = (end(Direction::ToServer), end(Direction::ToClient));
        (link, client, server)
    }

    /// Ends it for both sides, behind what is on its way.
    pub(super) fn reset(&self) {
        let now = Instant::now();
        self.to_server.end(End::Reset, now);
        self.to_client.end(End::Reset, now);
    }

    /// What is on its way does not arrive.
    pub(super) fn lose(&self) {
        self.to_server.lose();
        self.to_client.lose();
    }

    pub(super) fn has_hole(&self) -> bool {
        self.has_hole.load(Ordering::Relaxed)
    }

    fn pipe(&self, direction: Direction) -> &Pipe {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

impl Stream {
    fn outgoing(&self) -> &Pipe {
        self.link.pipe(self.direction)
    }

    fn incoming(&self) -> &Pipe {
        self.link.pipe(self.direction.reversed())
    }

    /// Says that nothing more will be written. When that vanishes, the connection has a hole as well.
    fn finish(&self) {
        match self.wire.arrival() {
            Some(due) => self.outgoing().end(End::Closed, due),
            None => self.link.has_hole.store(true, Ordering::Relaxed),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.incoming().read(cx, buffer) {
                Found::Here(found) => return Poll::Ready(found),
                Found::Nothing => return Poll::Pending,
                Found::OnItsWay(due) => {
                    let pause = self.pause.insert(Box::pin(sleep_until(due)));
                    ready!(pause.as_mut().poll(cx));
                }
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let room = ready!(self.outgoing().poll_room(cx))?;
        let bytes = bytes.get(..room).unwrap_or(bytes);
        Poll::Ready(match self.wire.pass(self.direction, bytes.len()) {
            Passage::Free { due } => {
                self.outgoing().push(bytes, due);
                Ok(bytes.len())
            }
            Passage::Nowhere => {
                self.link.has_hole.store(true, Ordering::Relaxed);
                Ok(bytes.len())
            }
            Passage::Cut { count, due } => {
                let bytes = bytes.get(..count).unwrap_or(bytes);
                self.outgoing().push(bytes, due);
                self.wire.reset_all();
                match count {
                    0 => Err(io::ErrorKind::ConnectionReset.into()),
                    count => Ok(count),
                }
            }
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.finish();
        // Nobody reads any more: what is written fails, once that is known on the other side.
        if let Some(due) = self.wire.arrival() {
            self.incoming().lose();
            self.incoming().end(End::Reset, due);
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
