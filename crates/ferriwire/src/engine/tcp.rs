//! TCP connections that our own listeners have accepted, each of which counts as long as it lives,
//! whatever it becomes.

use std::io;
use std::io::IoSlice;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ferriwire_proto::admission::{Source, TcpConnections, TcpLimits, TcpRefusal};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::writing::Writing;

/// What all listeners of a server have room for.
#[derive(Debug)]
pub(crate) struct Places {
    connections: Mutex<TcpConnections>,
}

/// The right to be connected. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    source: Option<Source>,
}

impl Places {
    pub(crate) fn new(limits: TcpLimits) -> Arc<Self> {
        Arc::new(Self {
            connections: Mutex::new(TcpConnections::new(limits)),
        })
    }

    /// Without a source, only what is said of all connections holds.
    pub(crate) fn take(self: &Arc<Self>, source: Option<Source>) -> Result<Place, TcpRefusal> {
        self.connections.lock().handle_connection(source)?;
        Ok(Place {
            places: Arc::clone(self),
            source,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.connections.lock().end(self.source);
    }
}

/// A connection below TLS and HTTP.
#[derive(Debug)]
pub(crate) struct TcpConnection {
    stream: TcpStream,
    place: Place,
    writing: Arc<Writing>,
}

impl TcpConnection {
    pub(crate) fn new(stream: TcpStream, place: Place) -> Self {
        Self {
            stream,
            place,
            writing: Writing::new(),
        }
    }

    /// Whether the peer takes what is written.
    pub(crate) fn writing(&self) -> &Arc<Writing> {
        &self.writing
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(_) => self.writing.note_end(),
            Poll::Pending => self.writing.note_wait(),
        }
        written
    }
}

/// A socket with nothing above it: frames go straight to the kernel.
#[derive(Debug)]
pub(crate) struct BareSocket {
    stream: TcpStream,
    /// Where it was accepted by a listener of ours.
    _place: Option<Place>,
}

impl From<TcpConnection> for BareSocket {
    fn from(connection: TcpConnection) -> Self {
        Self {
            stream: connection.stream,
            _place: Some(connection.place),
        }
    }
}

impl From<TcpStream> for BareSocket {
    fn from(stream: TcpStream) -> Self {
        Self {
            stream,
            _place: None,
        }
    }
}

impl Deref for BareSocket {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsyncRead for TcpConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TcpConnection {
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

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            // Whoever is above flushes when it has written all it had.
            self.writing.note_flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
