//! A client that costs as little as possible: it reads and writes, and knows what is to come.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bench::masked_text;

/// The request by which a client begins with a WebSocket.
const UPGRADE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/// Longer than the server keeps its first packet behind the answer to a handshake.
const APART: Duration = Duration::from_millis(4);

/// One connection. The server runs in the same thread: whoever waits lets it run.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// A TCP connection.
    pub(crate) fn new(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// A WebSocket whose client has joined `/`.
    pub(crate) async fn join(server: SocketAddr) -> io::Result<Self> {
        let mut client = Self::new(server)?;
        client.write(UPGRADE.as_bytes())?;
        client.read_until(b"\r\n\r\n").await?;
        // The server keeps what comes next apart from that. Asking for it until it is there would be
        // counted; sleeping is not.
        tokio::time::sleep(APART).await;
        client.read_until(b"0{\"sid\"").await?;
        client.write(&masked_text("40"))?;
        client.read_until(b"40{\"sid\"").await?;
        Ok(client)
    }

    /// Goes away so that its port is free at once.
    pub(crate) fn reset(self) -> io::Result<()> {
        tokio::net::TcpStream::from_std(self.stream)?.set_zero_linger()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads exactly so many bytes, and lets the server run until they are there.
    pub(crate) async fn read(&mut self, mut expected: usize) -> io::Result<()> {
        while expected > 0 {
            let read = self.read_some().await?;
            expected = expected.checked_sub(read).ok_or(ErrorKind::InvalidData)?;
        }
        Ok(())
    }

    /// Reads until this was seen, and hands out all that was read; no more than the end of the packet
    /// may follow.
    pub(crate) async fn read_until(&mut self, sign: &[u8]) -> io::Result<Vec<u8>> {
        let mut seen = Vec::new();
        while !seen.windows(sign.len()).any(|part| part == sign) {
            let read = self.read_some().await?;
            seen.extend_from_slice(self.buffer.get(..read).unwrap_or_default());
        }
        Ok(seen)
    }

    async fn read_some(&mut self) -> io::Result<usize> {
        loop {
            match self.stream.read(&mut self.buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tokio::task::yield_now().await;
                }
                outcome => return outcome,
            }
        }
    }
}
