//! TCP connections that our own listeners have accepted, each of which counts as long as it lives,
//! whatever it becomes.

use std::io;
use std::io::IoSlice;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use ferriwire_proto::admission::{Source, TcpConnections, TcpLimits, TcpRefusal};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::writing::Writing;

/// So many bytes in several pieces, such as the head of an answer and its body, are copied together,
/// because the kernel takes one piece for less than it takes several.
const TOGETHER: usize = 1024;

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

/// A connection below TLS and HTTP; in tests its stream may be in memory.
#[derive(Debug)]
pub(crate) struct TcpConnection<S = TcpStream> {
    stream: S,
    place: Place,
    writing: Arc<Writing>,
    /// What was read, and is read once more.
    unread: Bytes,
}

impl<S> TcpConnection<S> {
    pub(crate) fn new(stream: S, place: Place) -> Self {
        Self {
            stream,
            place,
            writing: Writing::new(),
            unread: Bytes::new(),
        }
    }

    /// Puts back what was read, for whoever reads next.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        self.unread = bytes;
    }

    /// What was read of it, and what was put back and not read again behind that.
    pub(crate) fn unread_behind(&mut self, read: Bytes) -> Bytes {
        if self.unread.is_empty() {
            return read;
        }
        [read, std::mem::take(&mut self.unread)].concat().into()
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

impl TcpConnection {
    /// The socket, for whoever speaks HTTP without hyper.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
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

/// All of the pieces as one, if they fit.
fn gather<'a>(slices: &[IoSlice<'_>], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut end = 0_usize;
    for slice in slices {
        let begin = end;
        end = begin.checked_add(slice.len())?;
        room.get_mut(begin..end)?.copy_from_slice(slice);
    }
    room.get(..end)
}

impl<S: AsyncRead + Unpin> AsyncRead for TcpConnection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let count = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(count));
            if self.unread.is_empty() {
                // An empty one keeps its memory.
                self.unread = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TcpConnection<S> {
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
        let mut room = [0; TOGETHER];
        let stream = Pin::new(&mut self.stream);
        let written = match gather(slices, &mut room) {
            Some(bytes) => stream.poll_write(cx, bytes),
            None => stream.poll_write_vectored(cx, slices),
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_put_together_when_they_fit() {
        for (pieces, expected) in [
            (&[][..], Some(&b""[..])),
            (&[b"head" as &[u8], b"body"], Some(b"headbody")),
            (&[b"", b"12345678"], Some(b"12345678")),
            (&[b"12345678", b"9"], None),
            (&[b"123456789"], None),
        ] {
            let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            assert_eq!(gather(&slices, &mut [0; 8]), expected, "{pieces:?}");
        }
    }
}
