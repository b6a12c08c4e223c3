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

use std::future::{Future, poll_fn};
use std::io::{self, Read as _};
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{StatusCode, Version};
use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use self::answer::Answer;
use self::head::{Plain, parse};
use super::activity::Activity;
use crate::engine::core::Core;
use crate::engine::http::{Reply, respond};
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
            let mut sender = None;
            let reply = match plain {
                Plain::Brief(brief) => {
                    #[cfg(test)]
                    tests::BRIEF.set(tests::BRIEF.get() + 1);
                    let responding = pin!(brief.respond(self.core));
                    self.answer(&connection, responding).await
                }
                Plain::Opening(opening) => {
                    #[cfg(test)]
                    tests::OPENING.set(tests::OPENING.get() + 1);
                    let (handing, receiver) = oneshot::channel();
                    sender = Some(handing);
                    let reply = opening.respond(self.core, Handover::Bare(receiver));
                    if reply.status() != StatusCode::SWITCHING_PROTOCOLS {
                        drop(self.activity.begin_request(Version::HTTP_11));
                    }
                    Some(reply)
                }
                Plain::Whole(whole) => {
                    let (request, upgrades) = *whole;
                    #[cfg(test)]
                    tests::WHOLE.set(tests::WHOLE.get() + 1);
                    let handover = upgrades.then(|| {
                        let (handing, receiver) = oneshot::channel();
                        sender = Some(handing);
                        Handover::Bare(receiver)
                    });
                    // Larger than all else here, which most connections never need.
                    let responding = respond(self.core, request, Some(self.peer), handover);
                    let responding = pin!(Box::pin(responding).map(Reply::from));
                    self.answer(&connection, responding).await
                }
            };
            let Some(mut reply) = reply else {
                return Ok(None);
            };
            if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
                self.send(&connection, reply).await?;
                if let Some(sender) = sender {
                    // A session that is over already does not take it.
                    let _ = sender.send(connection.into());
                }
                return Ok(None);
            }
            let is_last = answer::is_last(&mut reply, self.ending.load(Ordering::Relaxed));
            self.send(&connection, reply).await?;
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
            Poll::Ready(Ok(match parse(bytes, self.core, self.peer) {
                _ if bytes.is_empty() => Brought::End,
                Some(plain) => Brought::Plain(plain),
                None => Brought::Other(Bytes::copy_from_slice(bytes)),
            }))
        })
    }

    /// The answer to a request; `None` when its client has gone before there was one. What responds stays where
    /// it is: moved into this future it would take its room twice, in each connection.
    async fn answer(
        &self,
        connection: &TcpConnection,
        mut responding: Pin<&mut impl Future<Output = Reply>>,
    ) -> Option<Reply> {
        let pending = self.activity.begin_request(Version::HTTP_11);
        let mut may_go = true;
        let reply = poll_fn(|cx| {
            if let Poll::Ready(reply) = responding.as_mut().poll(cx) {
                return Poll::Ready(Some(reply));
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
        let reply = reply.await;
        drop(pending);
        reply
    }

    /// Writes an answer, and keeps the session whose packets are in it until they are taken.
    async fn send(&self, connection: &TcpConnection, reply: Reply) -> io::Result<()> {
        let (mut answer, session) = Answer::new(reply);
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use crate::engine::Server;

    thread_local! {
        /// How many requests were answered here, of each kind.
        pub(super) static BRIEF: Cell<usize> = const { Cell::new(0) };
        pub(super) static WHOLE: Cell<usize> = const { Cell::new(0) };
        pub(super) static OPENING: Cell<usize> = const { Cell::new(0) };
    }

    fn answered_here() -> (usize, usize, usize) {
        (BRIEF.get(), WHOLE.get(), OPENING.get())
    }

    /// Sends a request, and reads its answer.
    async fn ask(stream: &mut TcpStream, request: &str) -> String {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        loop {
            answer.push(stream.read_u8().await.unwrap().into());
            let Some((head, body)) = answer.split_once("\r\n\r\n") else {
                continue;
            };
            let lines = head.lines().chain(["content-length: 0"]);
            let len = lines.filter_map(|line| line.strip_prefix("content-length: "));
            if Some(body.len()) == len.map(|len| len.parse().unwrap()).next() {
                return answer;
            }
        }
    }

    #[tokio::test]
    async fn plain_requests_are_answered_here_and_others_are_not() {
        let server = Server::new().on_message(async |session, message| drop(session.send(message)));
        let server = server.bind("127.0.0.1:0").await.unwrap();
        let connect = async || TcpStream::connect(server.local_addr()).await.unwrap();
        let mut stream = connect().await;
        let target = "/engine.io/?EIO=4&transport=polling";
        let opened = ask(
            &mut stream,
            &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"),
        )
        .await;
        let (_, sid) = opened.split_once("\"sid\":\"").unwrap();
        let (sid, _) = sid.split_once('"').unwrap();
        let lines = format!("{target}&sid={sid} HTTP/1.1\r\nHost: a\r\n");
        let post = format!("POST {lines}Content-Length: 3\r\n\r\n4hi");
        let get = format!("GET {lines}\r\n");
        let unknown = format!("GET {target}&sid=unknown HTTP/1.1\r\nHost: a\r\n\r\n");
        let websocket = "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n\
                         Connection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        assert_eq!(answered_here(), (0, 1, 0));
        for (request, answer, expected) in [
            (&*post, "ok", (1, 1, 0)),
            (&*get, "4hi", (2, 1, 0)),
            (&*unknown, "}", (2, 2, 0)),
            (websocket, "", (2, 2, 1)),
        ] {
            let answered = ask(&mut stream, request).await;
            assert!(answered.ends_with(answer), "{answered}");
            assert_eq!(answered_here(), expected, "{request}");
        }
        // Hyper's part, and all that comes behind it on the same connection.
        let mut stream = connect().await;
        let other = post.replace("Host", "Trailer: x\r\nHost");
        for request in [&other, &post] {
            assert!(ask(&mut stream, request).await.ends_with("ok"));
        }
        assert_eq!(answered_here(), (2, 2, 1));
    }
}
