//! A WebSocket's bytes: from an upgraded HTTP connection to frames in and out.
//!
//! On a bare TCP socket nothing is buffered per connection: reads go into a buffer of the thread,
//! and writes come out of the outbox. Any other stream (TLS, a socket that a host wraps) takes the
//! general path, on which the connection task does all writing.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::queue::Batch;
use ferriwire_proto::rate::{Bucket, Rate};
use ferriwire_proto::websocket::{Decoder, Deflater, Limits, Role};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::has_budget_remaining;

use crate::config::Deflate;
use crate::engine::outbox::{Flushed, Outbox};
use crate::engine::tcp::{BareSocket, TcpConnection};
use crate::engine::write::corked;

/// Large enough for a burst of small messages, small enough to stay in the cache.
const READ_BUFFER: usize = 64 * 1024;

/// Of a long message so much is read at once, straight to where it stays.
const LONG_READ: usize = 512 * 1024;

/// How much memory is reserved at most for what a turn may still read of a long message.
const AHEAD: usize = 1024 * 1024;

thread_local! {
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Runs `work` with this thread's read buffer. Taken out while in use, so that a nested use gets
/// one of its own instead of a panic.
pub(crate) fn with_read_buffer<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with(|place| {
        let mut buffer = place.take().unwrap_or_else(new_read_buffer);
        let result = work(&mut buffer);
        place.set(Some(buffer));
        result
    })
}

#[cold]
fn new_read_buffer() -> Box<[u8]> {
    vec![0; READ_BUFFER].into_boxed_slice()
}

/// One WebSocket below the protocol.
pub(crate) struct WebSocketIo {
    stream: Stream,
    /// Taken out while what it decoded is handled.
    pub(crate) decoder: Option<Decoder>,
    /// For what the outbox writes.
    deflater: Option<Deflater>,
    /// What is there now and then; an idle WebSocket pays for a pointer.
    aside: Option<Box<Aside>>,
    /// Since when a message has had its first fragment, and not its last.
    pub(crate) fragments_since: Option<Instant>,
    /// The outbox writes here.
    attached: bool,
    /// A flush of the connection task has left something that the kernel would take.
    unfinished: bool,
}

#[derive(Default)]
struct Aside {
    /// What the client sent right behind its request.
    early: Bytes,
    /// Frames that do not go through the outbox: the answer to a probe, a farewell.
    pending: Vec<u8>,
    /// Pong frames that wait for the stream to take anything.
    pongs: VecDeque<Encoded>,
    /// What is left of the rate of pings: browsers send none.
    pings: Bucket,
}

enum Stream {
    Tcp(Arc<BareSocket>),
    Other(Box<Other>),
}

struct Other {
    io: Pin<Box<dyn ReadWrite>>,
    /// Taken out of the outbox, and not written completely.
    batch: Option<Batch>,
    needs_flush: bool,
}

trait ReadWrite: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> ReadWrite for T {}

impl WebSocketIo {
    /// Takes hyper's upgraded connection apart down to the bare socket where there is one.
    pub(super) fn new(upgraded: Upgraded, limits: Limits, deflate: Option<&Deflate>) -> Self {
        let (stream, early) = take_apart(upgraded);
        Self::on(stream, early, limits, deflate)
    }

    /// On a socket that hyper has not seen.
    pub(super) fn bare(socket: BareSocket, limits: Limits, deflate: Option<&Deflate>) -> Self {
        let stream = Stream::Tcp(Arc::new(socket));
        Self::on(stream, Bytes::new(), limits, deflate)
    }

    fn on(stream: Stream, early: Bytes, limits: Limits, deflate: Option<&Deflate>) -> Self {
        // Even an empty remainder keeps hyper's read buffer of 8 KiB in memory.
        let aside = (!early.is_empty()).then(|| {
            Box::new(Aside {
                early,
                ..Aside::default()
            })
        });
        Self {
            stream,
            decoder: Some(
                Decoder::new(Role::Server, limits).with_inflater(deflate.map(Deflate::inflater)),
            ),
            aside,
            deflater: deflate.map(Deflate::deflater),
            fragments_since: None,
            attached: false,
            unfinished: false,
        }
    }

    /// Lets the outbox write to this WebSocket.
    pub(crate) fn attach(&mut self, outbox: &Outbox) {
        self.attached = true;
        outbox.set_deflater(self.deflater);
        match &self.stream {
            Stream::Tcp(stream) => outbox.use_socket(Arc::clone(stream)),
            Stream::Other(_) => outbox.use_task(),
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.aside.is_some()
            && let Some(count) = self.take_early(buffer)
        {
            return Poll::Ready(Ok(count));
        }
        match &mut self.stream {
            Stream::Tcp(stream) => match read_bare(stream, buffer) {
                Ok(count) => Poll::Ready(Ok(count)),
                Err(error) => poll_read_bare(stream, error, cx, buffer),
            },
            Stream::Other(other) => other.poll_read(cx, buffer),
        }
    }

    /// What the client sent right behind its request, and was not read yet.
    #[cold]
    fn take_early(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let early = &mut self.aside.as_deref_mut()?.early;
        if early.is_empty() {
            return None;
        }
        let count = early.len().min(buffer.len());
        buffer[..count].copy_from_slice(&early.split_to(count));
        self.tidy();
        Some(count)
    }

    /// Whether a long payload has begun, of which the rest is best read by
    /// [`poll_read_long`](Self::poll_read_long).
    pub(crate) fn awaits_much(&self) -> bool {
        let decoder = self.decoder.as_ref();
        decoder.is_some_and(Decoder::awaits_much)
            && matches!(self.stream, Stream::Tcp(_))
            && self.aside.as_ref().is_none_or(|it| it.early.is_empty())
    }

    /// Reads the next bytes of a long payload straight to where they stay, for the decoder to
    /// [handle](Decoder::handle_read).
    pub(crate) fn poll_read_long(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let (Stream::Tcp(stream), Some(decoder)) = (&self.stream, &mut self.decoder) else {
            return Poll::Pending;
        };
        loop {
            // In front of what reserves memory, which would else be in vain.
            ready!(stream.poll_read_ready(cx))?;
            let Some(mut room) = decoder.room(AHEAD) else {
                return Poll::Pending;
            };
            let len = room.limit().min(LONG_READ);
            room.set_limit(len);
            match read_available(stream, len, || stream.try_read_buf(&mut room)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Whether there may be something to read, behind a read; otherwise the task is woken for it.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let has_early = self
            .aside
            .as_deref()
            .is_some_and(|aside| !aside.early.is_empty());
        match &self.stream {
            // What an error is shows when it is read.
            Stream::Tcp(stream) if !has_early => stream.poll_read_ready(cx).map(drop),
            Stream::Tcp(_) | Stream::Other(_) => Poll::Ready(()),
        }
    }

    /// Queues a frame beside the outbox.
    pub(crate) fn send_aside(&mut self, frame: impl Iterator<Item = u8>) {
        self.aside.get_or_insert_default().pending.extend(frame);
    }

    /// Counts a ping of the client, and says whether it may come.
    pub(crate) fn take_ping(&mut self, rate: Rate, now: Instant) -> bool {
        let aside = self.aside.get_or_insert_default();
        aside.pings.take(1, rate, now)
    }

    /// Keeps a pong for a stream that takes nothing at the moment; the latest `limit` are kept. Says
    /// whether one was dropped.
    pub(crate) fn hold_pong(&mut self, pong: Encoded, limit: usize) -> bool {
        let pongs = &mut self.aside.get_or_insert_default().pongs;
        pongs.push_back(pong);
        let is_full = pongs.len() > limit;
        if is_full {
            pongs.pop_front();
        }
        is_full
    }

    pub(crate) fn take_pongs(&mut self) -> VecDeque<Encoded> {
        let aside = self.aside.as_deref_mut();
        let pongs = aside.map(|aside| std::mem::take(&mut aside.pongs));
        self.tidy();
        pongs.unwrap_or_default()
    }

    /// Whether there is anything of what is there now and then.
    pub(crate) fn has_aside(&self) -> bool {
        self.aside.is_some()
    }

    pub(crate) fn has_pongs(&self) -> bool {
        self.aside
            .as_ref()
            .is_some_and(|aside| !aside.pongs.is_empty())
    }

    /// Frees what is kept aside when there is nothing.
    fn tidy(&mut self) {
        self.aside.take_if(|aside| {
            aside.early.is_empty()
                && aside.pending.is_empty()
                && aside.pongs.is_empty()
                && aside.pings == Bucket::default()
        });
    }

    /// Writes what was queued beside the outbox.
    pub(crate) fn poll_flush_aside(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(Aside { pending, .. }) = self.aside.as_deref_mut()
            && !pending.is_empty()
        {
            let count = match &mut self.stream {
                Stream::Tcp(stream) => loop {
                    ready!(stream.poll_write_ready(cx))?;
                    match stream.try_write(pending) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        result => break result?,
                    }
                },
                Stream::Other(other) => {
                    other.needs_flush = true;
                    ready!(other.io.as_mut().poll_write(cx, pending))?
                }
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            pending.drain(..count);
        }
        self.tidy();
        match &mut self.stream {
            Stream::Tcp(_) => Poll::Ready(Ok(())),
            Stream::Other(other) => other.poll_flush(cx),
        }
    }

    /// Whether there is something to do for [`poll_write`](Self::poll_write).
    #[inline]
    pub(crate) fn wants_to_write(&self, outbox: &Outbox) -> bool {
        let is_at_rest = self.attached && !self.unfinished && matches!(self.stream, Stream::Tcp(_));
        !is_at_rest || outbox.is_blocked()
    }

    /// Does the connection task's part of writing: waits for writability after the kernel took
    /// nothing more, and drains the outbox of a stream that only this task may write. An outbox
    /// that does not write here yet does so behind what was queued beside it.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        outbox: &Outbox,
    ) -> Poll<io::Result<()>> {
        if !self.attached {
            ready!(self.poll_flush_aside(cx))?;
            self.attach(outbox);
            self.unfinished = true;
        }
        match &mut self.stream {
            Stream::Tcp(stream) => {
                while self.unfinished || outbox.is_blocked() {
                    ready!(stream.poll_write_ready(cx))?;
                    outbox.unblock();
                    self.unfinished = outbox.flush(false) == Flushed::More;
                    if self.unfinished {
                        // Others may run before this goes on.
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Poll::Ready(Ok(()))
            }
            Stream::Other(other) => other.poll_drain(cx, outbox),
        }
    }

    /// Says that nothing more will be written. The peer's last bytes can still be read.
    pub(crate) fn shut_down(&mut self, cx: &mut Context<'_>) {
        match &mut self.stream {
            // An error means that the connection is gone already.
            Stream::Tcp(stream) => drop(SockRef::from(&***stream).shutdown(Shutdown::Write)),
            Stream::Other(other) => drop(other.io.as_mut().poll_shutdown(cx)),
        }
    }
}

impl Other {
    #[inline(never)]
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(self.io.as_mut().poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<()>> {
        let mut written = 0;
        loop {
            if self.batch.is_none() {
                self.batch = outbox.take_batch();
            }
            let Some(batch) = &mut self.batch else {
                return self.poll_flush(cx);
            };
            while !batch.is_empty() {
                self.needs_flush = true;
                let poll = corked(batch, |bytes| self.io.as_mut().poll_write(cx, bytes));
                let count = match poll {
                    Poll::Ready(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(result) => result,
                    Poll::Pending => {
                        // Asked first: a flush may use it up as well.
                        let may_go_on = has_budget_remaining();
                        // Written bytes may wait inside the stream until it is flushed.
                        if self.io.as_mut().poll_flush(cx)?.is_ready() {
                            self.needs_flush = false;
                        }
                        if may_go_on {
                            outbox.note_stall(written);
                        } else {
                            // The runtime wants others to run before this goes on.
                            outbox.note_progress(written);
                        }
                        return Poll::Pending;
                    }
                }?;
                batch.advance(count);
                written += count;
            }
            if let Some(batch) = self.batch.take() {
                outbox.finish_batch(batch, std::mem::take(&mut written));
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.needs_flush {
            ready!(self.io.as_mut().poll_flush(cx))?;
            self.needs_flush = false;
        }
        Poll::Ready(Ok(()))
    }
}

#[inline]
fn read_bare(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let len = buffer.len();
    read_available(stream, len, || (&*SockRef::from(stream)).read(buffer))
}

/// Goes on when a read has failed, nearly always because there is nothing to read.
#[inline(never)]
fn poll_read_bare(
    stream: &TcpStream,
    error: io::Error,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut read = Err(error);
    loop {
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return Poll::Ready(result),
        }
        // `poll_read_ready`, not `readable()`: it replaces the waker that hyper's connection task left
        // behind, which would keep that task in memory.
        ready!(stream.poll_read_ready(cx))?;
        read = read_bare(stream, buffer);
    }
}

/// Reads up to `len` bytes, and remembers when that took all there was: asking the kernel once more would cost a
/// system call for each message.
#[inline]
pub(crate) fn read_available(
    stream: &TcpStream,
    len: usize,
    mut read: impl FnMut() -> io::Result<usize>,
) -> io::Result<usize> {
    let mut count = 0;
    let read = stream.try_io(Interest::READABLE, || {
        count = read()?;
        // "Would block" is what makes `try_io` forget that the socket was readable. What arrived
        // since then has made it readable anew, and that is kept.
        if (1..len).contains(&count) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    });
    if count > 0 {
        return Ok(count);
    }
    read.map(|()| 0)
}

/// The bare socket below hyper, and what was read beyond the request: where a listener of ours has
/// accepted it, or a host.
fn take_apart(upgraded: Upgraded) -> (Stream, Bytes) {
    let upgraded = match below::<TcpConnection>(upgraded) {
        Ok((mut connection, early)) => {
            let early = connection.unread_behind(early);
            // Its listener has switched Nagle's algorithm off.
            return (Stream::Tcp(Arc::new(connection.into())), early);
        }
        Err(upgraded) => upgraded,
    };
    match below::<TcpStream>(upgraded) {
        Ok((stream, early)) => (tcp(stream), early),
        Err(upgraded) => {
            let other = Other {
                io: Box::pin(TokioIo::new(upgraded)),
                batch: None,
                needs_flush: false,
            };
            (Stream::Other(Box::new(other)), Bytes::new())
        }
    }
}

/// The stream of this type below hyper's builder for HTTP/1.1, or below the one that looks at what the
/// client begins with, such as that of `axum::serve`.
fn below<S>(upgraded: Upgraded) -> Result<(S, Bytes), Upgraded>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let upgraded = match upgraded.downcast::<TokioIo<S>>() {
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    let parts = auto::upgrade::downcast::<TokioIo<S>>(upgraded)?;
    Ok((parts.io.into_inner(), parts.read_buf))
}

fn tcp(stream: TcpStream) -> Stream {
    // A host may have accepted it without: then Nagle's algorithm would hold back small frames. It
    // cannot fail on a connected socket, and one that is not shows that when it is read.
    let _ = stream.set_nodelay(true);
    Stream::Tcp(Arc::new(stream.into()))
}

#[cfg(test)]
mod tests {
    use ferriwire_proto::encoded::Encoded;
    use ferriwire_proto::engine::queue::Overflow;
    use tokio::net::TcpListener;

    use super::*;

    /// Takes everything, and remembers how long each write was.
    #[derive(Default)]
    struct Records(Arc<parking_lot::Mutex<Vec<usize>>>);

    impl AsyncRead for Records {
        fn poll_read(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            _buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Records {
        fn poll_write(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.lock().push(bytes.len());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Each message was a write of its own, and with TLS a record and a system call.
    #[test]
    fn small_messages_are_written_together_to_a_stream_that_is_no_bare_socket() {
        let records = Records::default();
        let lens = Arc::clone(&records.0);
        let mut other = Other {
            io: Box::pin(records),
            batch: None,
            needs_flush: false,
        };
        let outbox = Outbox::new(1024 * 1024, Overflow::Close);
        outbox.use_task();
        let mut sum = 0;
        for text in [&"x".repeat(1_000)[..]; 48]
            .into_iter()
            .chain([&*"y".repeat(100_000)])
        {
            let message = Arc::new(Encoded::text_message(text));
            sum += message.len();
            outbox.push(&message, false);
        }
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(
            other.poll_drain(&mut cx, &outbox),
            Poll::Ready(Ok(()))
        ));
        let lens = lens.lock();
        assert_eq!(lens.iter().sum::<usize>(), sum);
        assert_eq!(lens.len(), 4, "{lens:?}");
        assert!(outbox.is_drained());
    }

    #[tokio::test]
    async fn small_frames_are_not_held_back_whoever_accepted_the_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (accepted, _) = accepted.unwrap();
        assert!(!accepted.nodelay().unwrap());
        let Stream::Tcp(stream) = tcp(accepted) else {
            unreachable!("it is a bare socket");
        };
        assert!(stream.nodelay().unwrap());
    }
}
