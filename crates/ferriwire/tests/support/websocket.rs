//! One WebSocket, by hand: every frame is masked unless a test sends raw bytes.

use std::pin::Pin;
use std::task::{Context, Waker};

use ferriwire_proto::websocket::frame::{Header, OpCode};
use ferriwire_proto::websocket::{
    Decoder, Deflater, Inflater, Item, Limits, Role, accept_key, mask,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::http::{Http, Response, head};
use super::{Endpoint, Stream, fail, within};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// The client's end of a WebSocket.
pub(crate) struct WebSocket {
    stream: Box<dyn Stream>,
    decoder: Decoder,
    /// Read, and not decoded yet.
    received: Vec<u8>,
    /// How many bytes the frames took that were decoded, headers included.
    pub(crate) decoded_bytes: usize,
    /// The answer to the handshake.
    pub(crate) response: Response,
}

/// What the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// A close frame, with its code.
    Close(Option<u16>),
    /// The connection has ended, in whatever way.
    End,
}

impl WebSocket {
    /// Opens a WebSocket, or gives the answer that refused it.
    pub(crate) async fn connect(
        endpoint: impl Into<Endpoint>,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Response> {
        Self::connect_and_send(endpoint, target, headers, &[]).await
    }

    /// As [`connect`](Self::connect), with bytes right behind the request in the same write.
    pub(crate) async fn connect_and_send(
        endpoint: impl Into<Endpoint>,
        target: &str,
        headers: &[(&str, &str)],
        early: &[u8],
    ) -> Result<Self, Response> {
        let mut http = Http::connect(endpoint).await;
        let mut request = handshake(target, headers);
        request.extend_from_slice(early);
        http.send(&request).await;
        let response = http.response().await;
        if response.status != 101 {
            return Err(response);
        }
        let accept = accept_key(KEY);
        assert_eq!(response.header("sec-websocket-accept"), accept.as_deref());
        let (stream, received) = http.into_parts();
        Ok(Self::open(stream, received, response))
    }

    /// A WebSocket whose handshake is done, however that was.
    pub(crate) fn open(stream: Box<dyn Stream>, received: Vec<u8>, response: Response) -> Self {
        let limits = Limits {
            max_message: usize::MAX,
            max_fragments: 0,
        };
        let negotiated = response.header("sec-websocket-extensions").is_some();
        let inflater = negotiated.then(|| Inflater::new(usize::MAX));
        Self {
            stream,
            decoder: Decoder::new(Role::Client, limits).with_inflater(inflater),
            received,
            decoded_bytes: 0,
            response,
        }
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send_raw(&frame(OpCode::Text, text)).await;
    }

    pub(crate) async fn send_binary(&mut self, data: &[u8]) {
        self.send_raw(&frame(OpCode::Binary, data)).await;
    }

    pub(crate) async fn send_frame(&mut self, opcode: OpCode, payload: &[u8]) {
        self.send_raw(&frame(opcode, payload)).await;
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.try_send_raw(bytes).await.expect("the server takes it");
    }

    /// Sends bytes to a server that may have closed.
    pub(crate) async fn try_send_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        within("sending", async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
    }

    /// The next frame, or the end.
    pub(crate) async fn next(&mut self) -> Frame {
        within("a frame", self.receive()).await
    }

    /// The next frame, which has to be text.
    pub(crate) async fn text(&mut self) -> String {
        let frame = self.next().await;
        let Frame::Text(text) = frame else {
            fail(&format!("text was expected, not {frame:?}"));
        };
        text
    }

    /// Reads until the connection ends, and says what came before.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await;
            if frame == Frame::End {
                return frames;
            }
            frames.push(frame);
        }
    }

    /// The bytes that come until the connection ends, which a decoder would not show behind a
    /// close frame.
    pub(crate) async fn raw_rest(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.received);
        within("the end", async {
            while self.stream.read_buf(&mut bytes).await.unwrap_or(0) > 0 {}
        })
        .await;
        bytes
    }

    /// Takes bytes that are there, without waiting for any, and says how many.
    pub(crate) fn take_available(&mut self) -> usize {
        let mut buffer = [0; 16 * 1024];
        let mut buffer = ReadBuf::new(&mut buffer);
        let mut cx = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut self.stream).poll_read(&mut cx, &mut buffer);
        self.received.extend_from_slice(buffer.filled());
        buffer.filled().len()
    }

    /// Ends the connection with a RST.
    pub(crate) fn reset(self) {
        self.stream.reset();
    }

    async fn receive(&mut self) -> Frame {
        loop {
            let decoded = self.decoder.decode(&mut self.received);
            let decoded = decoded.expect("the server keeps to the protocol");
            let consumed = decoded.consumed;
            let frame = decoded.item.map(Frame::from);
            self.received.drain(..consumed);
            self.decoded_bytes += consumed;
            if let Some(frame) = frame {
                return frame;
            }
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) | Err(_) => return Frame::End,
                Ok(_) => {}
            }
        }
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WebSocket").finish_non_exhaustive()
    }
}

impl From<Item<'_>> for Frame {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Text(text) => Self::Text(text.into_owned()),
            Item::Binary(data) => Self::Binary(data.into_owned()),
            Item::Ping(payload) => Self::Ping(payload.to_vec()),
            Item::Pong(payload) => Self::Pong(payload.to_vec()),
            Item::Close(close) => Self::Close(close.map(|close| close.code)),
        }
    }
}

/// The request that opens a WebSocket.
pub(crate) fn handshake(target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut all = vec![
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    all.extend_from_slice(headers);
    head("GET", target, &all)
}

/// A final, masked frame.
pub(crate) fn frame(opcode: OpCode, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = Header::new(opcode, payload.len()).as_bytes().to_vec();
    frame[1] |= 0x80;
    frame.extend_from_slice(&MASK);
    let start = frame.len();
    frame.extend_from_slice(payload);
    mask(MASK, 0, &mut frame[start..]);
    frame
}

/// The same, compressed.
pub(crate) fn compressed(opcode: OpCode, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let plain = Deflater::new(0, 12, 6).frame(opcode, payload.as_ref());
    let plain = plain.expect("it becomes smaller");
    let header = match plain[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let (header, payload) = plain.split_at(header);
    let mut frame = header.to_vec();
    frame[1] |= 0x80;
    frame.extend_from_slice(&MASK);
    let start = frame.len();
    frame.extend_from_slice(payload);
    mask(MASK, 0, &mut frame[start..]);
    frame
}
