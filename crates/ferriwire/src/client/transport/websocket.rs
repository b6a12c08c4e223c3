//! The bytes of one WebSocket, from the client's side.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::queue::{Batch, Entry, Queue};
use ferriwire_proto::websocket::frame::OpCode;
use ferriwire_proto::websocket::{
    ClientHandshake, CloseFrame, Decoder, Deflater, Item, Limits, Masker, Role, Violation,
};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::http::Origin;
use super::stream::Stream;
use super::upgrade::{self, Upgraded};
use crate::client::error::ConnectFailure;
use crate::client::random::Random;
use crate::config::Deflate;

/// How much is read at a time.
const READ: usize = 16 * 1024;

/// A buffer that has grown beyond this by a long message is given back.
const KEPT: usize = 4 * 1024;

/// How many pongs may wait to be written: a server that sends pings and reads nothing gets no more.
const MAX_PONGS: u16 = 256;

/// One open WebSocket.
pub(crate) struct WebSocket {
    stream: Box<dyn Stream>,
    decoder: Decoder,
    /// What came behind the answer to the handshake.
    ahead: Bytes,
    masker: Masker,
    out: Vec<u8>,
    written: usize,
    /// How many pongs are among what waits.
    pongs: u16,
    /// How to compress what is sent, if that was agreed on.
    pub(crate) deflater: Option<Deflater>,
    /// A close frame has been queued.
    is_closing: bool,
}

/// What a read came to.
pub(crate) enum Read {
    /// Something was read, and handled.
    Some,
    /// The peer has closed, or ended the stream.
    End,
}

/// Why a WebSocket can be read no more.
#[derive(Debug)]
pub(crate) enum ReadError {
    Io(io::Error),
    Violation(Violation),
}

/// What is asked for when a WebSocket is opened.
pub(crate) struct Opening {
    pub(crate) target: String,
    pub(crate) cookies: Option<String>,
    pub(crate) random: [u8; 16],
    pub(crate) deflate: Option<Deflate>,
    pub(crate) max_message: usize,
}

/// Opens a WebSocket.
pub(crate) async fn open(
    origin: Arc<Origin>,
    opening: Opening,
) -> Result<Box<WebSocket>, ConnectFailure> {
    let deflater = opening.deflate.as_ref().map(Deflate::deflater);
    let handshake = ClientHandshake::new(opening.random, deflater);
    let headers = origin.headers(opening.cookies)?;
    let request = upgrade::request(&opening.target, headers, &handshake)?;
    let mut stream = origin.connector.connect(&origin.address).await?;
    let Upgraded { deflate, ahead } = upgrade::ask(&mut *stream, request, &handshake).await?;
    let limits = Limits {
        max_message: opening.max_message,
        ..Limits::default()
    };
    let inflater = opening.deflate.filter(|_| deflate.is_some());
    Ok(Box::new(WebSocket {
        stream,
        decoder: Decoder::new(Role::Client, limits)
            .with_inflater(inflater.map(|deflate| deflate.inflater())),
        ahead,
        masker: Masker::default(),
        out: Vec::new(),
        written: 0,
        pongs: 0,
        deflater: deflate.and_then(|deflate| deflate.deflater),
        is_closing: false,
    }))
}

impl WebSocket {
    /// Reads once, and hands over each message. What pings ask for is queued.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        random: &mut Random,
        mut handle: impl FnMut(Item<'_>, &mut Context<'_>),
    ) -> Poll<Result<Read, ReadError>> {
        let mut buffer = [const { MaybeUninit::uninit() }; READ];
        let mut buffer = ReadBuf::uninit(&mut buffer);
        if self.ahead.is_empty() {
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(ReadError::Io(error))),
                Poll::Ready(Ok(())) => {}
            }
        } else {
            let ahead = self.ahead.split_to(self.ahead.len().min(READ));
            buffer.put_slice(&ahead);
        }
        let mut input = buffer.filled_mut();
        if input.is_empty() {
            return Poll::Ready(Ok(Read::End));
        }
        loop {
            let decoded = match self.decoder.decode(input) {
                Ok(decoded) => decoded,
                Err(violation) => return Poll::Ready(Err(ReadError::Violation(violation))),
            };
            let consumed = decoded.consumed;
            let Some(item) = decoded.item else {
                return Poll::Ready(Ok(Read::Some));
            };
            let answer = match &item {
                Item::Ping(_) if self.pongs >= MAX_PONGS => None,
                Item::Ping(payload) => {
                    self.pongs += 1;
                    Some(Encoded::control_frame(OpCode::Pong, payload))
                }
                Item::Close(frame) => {
                    let payload = frame.as_ref().map(CloseFrame::encode);
                    let payload = payload.unwrap_or_default();
                    Some(Encoded::control_frame(OpCode::Close, &payload))
                }
                Item::Text(_) | Item::Binary(_) | Item::Pong(_) => None,
            };
            let is_end = matches!(item, Item::Close(_));
            if answer.is_none() {
                handle(item, cx);
            }
            if let Some(frame) = answer {
                self.push_frame(frame, random);
            }
            if is_end {
                self.is_closing = true;
                // Nothing is waited for: if there is no room for the answer, there is none.
                let _ = self.poll_flush(cx);
                return Poll::Ready(Ok(Read::End));
            }
            input = input.get_mut(consumed..).unwrap_or_default();
        }
    }

    /// Whether everything that was queued here has been written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.written >= self.out.len()
    }

    /// Queues what was taken out of a queue.
    pub(crate) fn push_batch(&mut self, mut batch: Batch, random: &mut Random) {
        batch.deflate();
        for piece in batch.pieces() {
            self.masker.append(piece, &mut self.out, || random.mask());
        }
    }

    /// Queues a text that is a whole packet of Engine.IO.
    pub(crate) fn push_packet(&mut self, text: &str, random: &mut Random) {
        self.push_frame(Encoded::engine_packet(text), random);
    }

    /// Queues a close frame.
    pub(crate) fn push_close(&mut self, random: &mut Random) {
        if !std::mem::replace(&mut self.is_closing, true) {
            self.push_frame(Encoded::control_frame(OpCode::Close, &[]), random);
        }
    }

    fn push_frame(&mut self, frame: Encoded, random: &mut Random) {
        let mut queue = Queue::new();
        queue.push(Entry::Message(Arc::new(frame)));
        self.push_batch(queue.take(usize::MAX), random);
    }

    /// Writes what is queued.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wrote = false;
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                Poll::Ready(Ok(count)) => self.written = self.written.saturating_add(count),
            }
            wrote = true;
        }
        if self.out.capacity() > KEPT {
            self.out = Vec::new();
        } else {
            self.out.clear();
        }
        self.written = 0;
        self.pongs = 0;
        if wrote {
            // TLS may hold some of it back.
            return Pin::new(&mut self.stream).poll_flush(cx);
        }
        Poll::Ready(Ok(()))
    }
}
