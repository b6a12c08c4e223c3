//! The least of HTTP and WebSocket that a test client needs, without any of our code.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// One HTTP request on a connection of its own: the status and the body.
pub(crate) fn request(address: SocketAddr, head: &str, body: &str) -> (u16, String) {
    let mut stream = connect(address);
    let length = body.len();
    let rest = "Host: localhost\r\nConnection: close";
    let request = format!("{head} HTTP/1.1\r\n{rest}\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("the head has an end");
    (status(head), body.to_owned())
}

/// What a WebSocket brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Text(String),
    Binary(Vec<u8>),
    Close,
}

/// A WebSocket client that masks with zeroes, which leaves the payload as it is.
pub(crate) struct WebSocket {
    stream: BufReader<TcpStream>,
}

impl WebSocket {
    pub(crate) fn open(address: SocketAddr, path: &str) -> Self {
        let mut stream = connect(address);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert_eq!(status(&head), 101, "{head}");
        Self { stream }
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.send(0x81, text.as_bytes());
    }

    pub(crate) fn send_binary(&mut self, data: &[u8]) {
        self.send(0x82, data);
    }

    /// The next message. Pings of WebSocket itself do not happen in these tests.
    pub(crate) fn receive(&mut self) -> Message {
        let [first, length] = self.read();
        let length = match length {
            126 => usize::from(u16::from_be_bytes(self.read())),
            127 => usize::try_from(u64::from_be_bytes(self.read())).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).unwrap();
        match first {
            0x81 => Message::Text(String::from_utf8(payload).unwrap()),
            0x82 => Message::Binary(payload),
            0x88 => Message::Close,
            other => panic!("frame beginning with {other:#x}"),
        }
    }

    pub(crate) fn expect_text(&mut self, expected: &str) {
        assert_eq!(self.receive(), Message::Text(expected.to_owned()));
    }

    fn send(&mut self, first: u8, payload: &[u8]) {
        let length = u16::try_from(payload.len()).unwrap();
        let mut frame = vec![first];
        match u8::try_from(length) {
            Ok(short @ ..126) => frame.push(0x80 | short),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.get_mut().write_all(&frame).unwrap();
    }

    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn status(head: &str) -> u16 {
    let status = head.split(' ').nth(1).expect("a status line");
    status.parse().unwrap()
}
