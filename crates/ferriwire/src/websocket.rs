//! One bare WebSocket on the same I/O path as the sessions, without Engine.IO.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::queue::Overflow;
use ferriwire_proto::websocket::{Item, Limits, frame::OpCode};
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::config::Deflate;
use crate::engine::Body;
use crate::engine::http::{
    empty, is_extended_connect, is_upgrade, switching_protocols, upgrade_required,
};
use crate::engine::origins::Verdict;
use crate::engine::outbox::{Outbox, Push};
use crate::engine::transport::arriving::Arriving;
use crate::engine::transport::websocket::{WebSocketIo, with_read_buffer};

pub use crate::engine::{Message, Origins};

/// Answers a request that wants to become a WebSocket.
///
/// Send the response; the WebSocket is there when [`Accepted::open`] is. A request over HTTP/2 (RFC
/// 8441) is accepted too, where the program's HTTP server has enabled them.
///
/// # Errors
///
/// The request is no WebSocket handshake, or comes from a web page that may not connect: the error
/// is the response to send.
///
/// # Examples
///
/// ```
/// use ferriwire::engine::Body;
/// use ferriwire::websocket::{self, Config};
/// use http::{Request, Response};
///
/// async fn echo<B>(mut request: Request<B>) -> Response<Body> {
///     match websocket::accept(&mut request, Config::default()) {
///         Err(refusal) => *refusal,
///         Ok((response, accepted)) => {
///             tokio::spawn(async move {
///                 let mut socket = accepted.open().await?;
///                 while let Some(message) = socket.receive().await? {
///                     socket.send(message).await?;
///                 }
///                 std::io::Result::Ok(())
///             });
///             response
///         }
///     }
/// }
/// ```
pub fn accept<B>(
    request: &mut Request<B>,
    config: Config,
) -> Result<(Response<Body>, Accepted), Box<Response<Body>>> {
    match config.origins.judge(request) {
        Verdict::Plain | Verdict::Foreign(_) | Verdict::Anyone => {}
        Verdict::Invalid => return Err(Box::new(empty(StatusCode::BAD_REQUEST))),
        Verdict::Refused => return Err(Box::new(empty(StatusCode::FORBIDDEN))),
    }
    let connects = is_extended_connect(request);
    if request.method() != Method::GET && !connects {
        let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("GET"));
        return Err(Box::new(response));
    }
    if !connects && !is_upgrade(request.method(), request.headers()) {
        return Err(Box::new(upgrade_required()));
    }
    let compression = config.compression.as_ref();
    let (response, deflate) =
        switching_protocols(request.method(), request.headers(), compression)?;
    let limits = Limits {
        max_message: config.max_message,
        max_fragments: config.max_fragments,
    };
    let upgrade = Arriving::new(hyper::upgrade::on(request), limits, deflate);
    Ok((response, Accepted { upgrade, config }))
}

/// Who may connect, and the bounds of one WebSocket.
#[derive(Clone, Debug)]
pub struct Config {
    /// The largest message in bytes. Default 1,000,000.
    pub max_message: usize,
    /// The most fragments of one message, empty ones included; 0 means no limit. Default 1,024.
    pub max_fragments: u32,
    /// How many bytes may wait to be written before [`WebSocket::send`] waits. Default 64 KiB.
    pub max_buffered: usize,
    /// From which web pages clients may come: browsers let any page open a WebSocket anywhere, with
    /// the user's cookies. Default [`Origins::same_host`].
    pub origins: Origins,
    /// How messages are compressed, for clients that offer it. Default: not at all. Give clones of one
    /// [`Deflate`] to all WebSockets, so that they share its budget.
    #[doc(alias = "perMessageDeflate")]
    pub compression: Option<Deflate>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message: 1_000_000,
            max_fragments: 1_024,
            max_buffered: 64 * 1024,
            origins: Origins::same_host(),
            compression: None,
        }
    }
}

/// A WebSocket whose handshake was answered.
#[derive(Debug)]
pub struct Accepted {
    upgrade: Arriving,
    config: Config,
}

impl Accepted {
    /// Waits for the response to be sent, and for the connection to be handed over.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub async fn open(self) -> io::Result<WebSocket> {
        let mut io = self.upgrade.await?;
        // The bound is kept by `send` waiting, so that nothing is ever refused.
        let outbox = Outbox::new(usize::MAX, Overflow::Close);
        io.attach(&outbox);
        Ok(WebSocket {
            io,
            outbox,
            unread: Vec::new(),
            position: 0,
            max_buffered: self.config.max_buffered,
            closed: false,
        })
    }
}

/// An open WebSocket: messages in, messages out.
///
/// Pings are answered while [`receive`](Self::receive) is awaited.
pub struct WebSocket {
    io: WebSocketIo,
    outbox: Outbox,
    /// What was read, and how much of it is decoded.
    unread: Vec<u8>,
    position: usize,
    max_buffered: usize,
    closed: bool,
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WebSocket").finish_non_exhaustive()
    }
}

impl WebSocket {
    /// The next message, or `None` when the peer has closed.
    ///
    /// # Errors
    ///
    /// The connection broke, or the peer broke the protocol; it was then told by a close frame.
    pub async fn receive(&mut self) -> io::Result<Option<Message>> {
        while !self.closed {
            if let Some(message) = self.take_message().await? {
                return Ok(Some(message));
            }
            if self.closed {
                break;
            }
            let read = poll_fn(|cx| {
                // Whatever could not be written before goes on while we wait.
                if let Poll::Ready(Err(error)) = self.io.poll_write(cx, &self.outbox) {
                    return Poll::Ready(Err(error));
                }
                with_read_buffer(|buffer| {
                    let read = self.io.poll_read(cx, buffer);
                    if let Poll::Ready(Ok(count)) = read {
                        self.unread.extend_from_slice(&buffer[..count]);
                    }
                    read
                })
            });
            if read.await? == 0 {
                self.closed = true;
            }
        }
        Ok(None)
    }

    /// Sends a message. Waits while more than [`Config::max_buffered`] bytes wait.
    ///
    /// # Errors
    ///
    /// The connection broke or is closed.
    pub async fn send(&mut self, message: impl Into<Message>) -> io::Result<()> {
        let encoded = match message.into() {
            Message::Text(text) => Encoded::websocket_text(&text),
            Message::Binary(data) => Encoded::binary_message(data),
        };
        self.push(encoded)?;
        let bound = self.max_buffered;
        self.flush_to(bound).await
    }

    /// Closes in order: a close frame with this code, and the peer's answer within five seconds.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub async fn close(mut self, code: u16) -> io::Result<()> {
        if !self.closed {
            self.farewell(&code.to_be_bytes()).await?;
        }
        Ok(())
    }

    /// Decodes what was read, as far as the first message.
    async fn take_message(&mut self) -> io::Result<Option<Message>> {
        while let Some(rest) = self.unread.get_mut(self.position..)
            && !rest.is_empty()
            && let Some(decoder) = &mut self.io.decoder
        {
            let step = match decoder.decode(rest) {
                Ok(decoded) => {
                    self.position += decoded.consumed;
                    Ok(Step::of(decoded.item))
                }
                Err(violation) => Err(violation),
            };
            match step {
                Ok(Step::Message(message)) => return Ok(Some(message)),
                Ok(Step::Answer(frame)) => {
                    self.push(frame)?;
                    self.flush_to(self.max_buffered).await?;
                }
                Ok(Step::Nothing) => {}
                Ok(Step::Close(code)) => {
                    self.closed = true;
                    self.farewell(code.as_ref().map_or(&[], |code| code))
                        .await?;
                    return Ok(None);
                }
                Err(violation) => {
                    self.closed = true;
                    self.farewell(&violation.close_code().to_be_bytes()).await?;
                    return Err(io::Error::new(io::ErrorKind::InvalidData, violation));
                }
            }
        }
        self.unread = Vec::new();
        self.position = 0;
        Ok(None)
    }

    fn push(&self, encoded: Encoded) -> io::Result<()> {
        match self.outbox.push(&Arc::new(encoded), false) {
            Push::Disconnected | Push::Overflow => Err(io::ErrorKind::NotConnected.into()),
            Push::Queued | Push::NeedsFlush | Push::NeedsFlushNow | Push::Dropped => Ok(()),
        }
    }

    /// Writes until at most `bound` bytes wait.
    async fn flush_to(&mut self, bound: usize) -> io::Result<()> {
        poll_fn(|cx| {
            self.outbox.flush(false);
            let written = self.io.poll_write(cx, &self.outbox);
            // Before the count: a write that failed, here or there, has emptied the outbox.
            if self.outbox.trouble().is_some() {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            match written {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ if self.outbox.buffered_bytes() <= bound => Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if self.outbox.is_drained() => Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    async fn farewell(&mut self, payload: &[u8]) -> io::Result<()> {
        self.push(Encoded::control_frame(OpCode::Close, payload))?;
        self.flush_to(0).await?;
        let end = poll_fn(|cx| {
            self.io.shut_down(cx);
            with_read_buffer(|buffer| {
                loop {
                    match self.io.poll_read(cx, buffer) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                        Poll::Ready(Ok(_)) => {}
                    }
                }
            })
        });
        // The peer may take five seconds to end its side.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), end).await;
        Ok(())
    }
}

/// What to do about a decoded item.
enum Step {
    Nothing,
    Message(Message),
    Answer(Encoded),
    Close(Option<[u8; 2]>),
}

impl Step {
    fn of(item: Option<Item<'_>>) -> Self {
        match item {
            None | Some(Item::Pong(_)) => Self::Nothing,
            Some(Item::Text(text)) => Self::Message(Message::Text(text.into_owned())),
            Some(Item::Binary(data)) => {
                Self::Message(Message::Binary(Bytes::from(data.into_owned())))
            }
            Some(Item::Ping(payload)) => {
                Self::Answer(Encoded::control_frame(OpCode::Pong, payload))
            }
            Some(Item::Close(close)) => Self::Close(close.map(|close| close.code.to_be_bytes())),
        }
    }
}
