//! Plain requests of the engine's path on a bare socket, answered without hyper.
//!
//! A polling client asks twice for each exchange, and every WebSocket begins with a request; hyper spends
//! more on each than all that we do with it. So the first to see what a connection brings is this loop. A
//! request that came in one read, is the only one in it, and has nothing in its head that could be taken
//! for two different things ([`head`]) is answered here, by the same [`respond`] as all others. Whatever
//! else comes goes to hyper with the rest of the connection, as if it had not been read: to refuse, to
//! wait for the rest of a head or a body, and to decode chunks is hyper's part alone.

mod answer;
mod date;
mod head;

use std::future::poll_fn;
use std::io::{self, Read as _};
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, StatusCode, Version};
use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use self::answer::Answer;
use self::head::{Plain, parse};
use super::activity::Activity;
use crate::engine::body::Body;
use crate::engine::core::Core;
use crate::engine::http::respond;
use crate::engine::tcp::TcpConnection;
use crate::engine::transport::arriving::Handover;
use crate::engine::transport::websocket::{read_available, with_read_buffer};

/// One connection, as long as its requests are plain.
pub(super) struct Lane<'a> {
    pub(super) core: &'a Arc<Core>,
    pub(super) peer: SocketAddr,
    pub(super) activity: &'a Arc<Activity>,
    /// The connection shall end with the answer to what was asked already.
    pub(super) ending: &'a AtomicBool,
}

/// What a connection brings.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
enum Brought {
    Plain(Plain),
    /// Anything else, as it was read.
    Other(Bytes),
    End,
}

impl Lane<'_> {
    /// Answers plain requests until the connection is closed or became a WebSocket, or gives it back with
    /// the first other one.
    pub(super) async fn serve(
        &self,
        mut connection: TcpConnection,
    ) -> io::Result<Option<TcpConnection>> {
        loop {
            let brought = poll_fn(|cx| self.poll_request(connection.socket(), cx));
            let plain = match brought.await? {
                Brought::Plain(plain) => plain,
                Brought::Other(bytes) => {
                    connection.unread(bytes);
                    return Ok(Some(connection));
                }
                Brought::End => return Ok(None),
            };
            let (sender, handover) = match plain.upgrades {
                true => {
                    let (sender, receiver) = oneshot::channel();
                    (Some(sender), Some(Handover::Bare(receiver)))
                }
                false => (None, None),
            };
            let Some(mut response) = self.answer(&connection, plain, handover).await else {
                return Ok(None);
            };
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                self.send(&connection, response).await?;
                if let Some(sender) = sender {
                    // A session that is over already does not take it.
                    let _ = sender.send(connection.into());
                }
                return Ok(None);
            }
            let is_last = answer::is_last(&mut response, self.ending.load(Ordering::Relaxed));
            self.send(&connection, response).await?;
            if is_last {
                // An error means that the connection is gone already.
                let _ = SockRef::from(connection.socket()).shutdown(Shutdown::Write);
                return Ok(None);
            }
        }
    }

    /// Waits for the next request. No buffer is held meanwhile.
    fn poll_request(&self, socket: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<Brought>> {
        if self.ending.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(Brought::End));
        }
        with_read_buffer(|buffer| {
            let len = buffer.len();
            let count = loop {
                let read = || (&*SockRef::from(socket)).read(buffer);
                match read_available(socket, len, read) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => break result?,
                }
                ready!(socket.poll_read_ready(cx))?;
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            Poll::Ready(Ok(match parse(bytes, self.core) {
                _ if bytes.is_empty() => Brought::End,
                Some(plain) => Brought::Plain(plain),
                None => Brought::Other(Bytes::copy_from_slice(bytes)),
            }))
        })
    }

    /// The answer to a request; `None` when its client has gone before there was one.
    async fn answer(
        &self,
        connection: &TcpConnection,
        plain: Plain,
        handover: Option<Handover>,
    ) -> Option<Response<Body>> {
        let pending = self.activity.begin_request(Version::HTTP_11);
        let mut responding = pin!(respond(self.core, plain.request, Some(self.peer), handover));
        let mut may_go = true;
        let response = poll_fn(|cx| {
            if let Poll::Ready(response) = responding.as_mut().poll(cx) {
                return Poll::Ready(Some(response));
            }
            if may_go {
                match ready!(poll_gone(connection.socket(), cx)) {
                    true => return Poll::Ready(None),
                    // The next request waits in the kernel, and nothing is seen beyond it.
                    false => may_go = false,
                }
            }
            Poll::Pending
        });
        let response = response.await;
        drop(pending);
        response
    }

    /// Writes an answer, and keeps the session whose packets are in it until they are taken.
    async fn send(&self, connection: &TcpConnection, response: Response<Body>) -> io::Result<()> {
        let (head, body) = response.into_parts();
        let (content, session) = body.into_parts();
        let mut answer = Answer::new(head.status, &head.headers, content);
        if answer.try_write(connection.socket())? {
            return Ok(());
        }
        if let Some(session) = session {
            connection.writing().carry(session);
        }
        self.write(connection, &mut answer).await?;
        connection.writing().note_flushed();
        Ok(())
    }

    /// Writes what is left of an answer as the client takes it.
    async fn write(&self, connection: &TcpConnection, answer: &mut Answer) -> io::Result<()> {
        let (socket, writing) = (connection.socket(), connection.writing());
        poll_fn(|cx| {
            loop {
                let before = answer.left();
                if answer.try_write(socket)? {
                    writing.note_end();
                    return Poll::Ready(Ok(()));
                }
                if answer.left() < before {
                    writing.note_end();
                }
                writing.note_wait();
                ready!(socket.poll_write_ready(cx))?;
            }
        })
        .await
    }
}

/// Whether the client has gone, as soon as there is anything to see of it.
fn poll_gone(socket: &TcpStream, cx: &mut Context<'_>) -> Poll<bool> {
    let mut byte = [0];
    let peeked = ready!(socket.poll_peek(cx, &mut ReadBuf::new(&mut byte)));
    Poll::Ready(!matches!(peeked, Ok(1..)))
}
