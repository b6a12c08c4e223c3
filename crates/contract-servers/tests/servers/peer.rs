//! The least of HTTP and WebSocket that a test client needs, without any of our code.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// One HTTP request on a connection of its own: the status and the body.
pub(crate) fn request(address: SocketAddr, head: &str, body: &str) -> (u16, String) {
    let (head, body) = exchange(address, head, "Connection: close\r\n", body);
    (status(&head), body)
}

/// One HTTP request with these headers, each with its line end: the head and the body of the answer,
/// behind which the server has to close the connection.
pub(crate) fn exchange(
    address: SocketAddr,
    head: &str,
    headers: &str,
    body: &str,
) -> (String, String) {
    let mut stream = connect(address);
    let length = body.len();
    let rest = format!("Host: localhost\r\n{headers}Content-Length: {length}");
    let request = format!("{head} HTTP/1.1\r\n{rest}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("the head has an end");
    (head.to_owned(), body.to_owned())
}

/// The values of a header, in their order.
pub(crate) fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
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
    /// Of the answer to its request.
    pub(crate) head: String,
}

impl WebSocket {
    pub(crate) fn open(address: SocketAddr, path: &str) -> Self {
        let socket = Self::ask(address, path);
        assert_eq!(status(&socket.head), 101, "{}", socket.head);
        socket
    }

    /// Asks for a WebSocket that is refused: with which status.
    pub(crate) fn refused(address: SocketAddr, path: &str) -> u16 {
        status(&Self::ask(address, path).head)
    }

    fn ask(address: SocketAddr, path: &str) -> Self {
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
        Self { stream, head }
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.send(0x81, text.as_bytes());
    }

    pub(crate) fn send_binary(&mut self, data: &[u8]) {
        self.send(0x82, data);
    }

    /// The next message. Pings of WebSocket itself do not happen in these tests.
    pub(crate) fn receive(&mut self) -> Message {
        match self.frame() {
            (0x81, payload) => Message::Text(String::from_utf8(payload).unwrap()),
            (0x82, payload) => Message::Binary(payload),
            (0x88, _) => Message::Close,
            (other, _) => panic!("frame beginning with {other:#x}"),
        }
    }

    fn frame(&mut self) -> (u8, Vec<u8>) {
        let [first, length] = self.read();
        let length = match length {
            126 => usize::from(u16::from_be_bytes(self.read())),
            127 => usize::try_from(u64::from_be_bytes(self.read())).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).unwrap();
        (first, payload)
    }

    pub(crate) fn expect_text(&mut self, expected: &str) {
        assert_eq!(self.receive(), Message::Text(expected.to_owned()));
    }

    /// The server closes with this code and without a reason.
    pub(crate) fn expect_close(&mut self, code: u16) {
        assert_eq!(self.frame(), (0x88, code.to_be_bytes().to_vec()));
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
