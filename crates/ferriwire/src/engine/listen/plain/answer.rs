//! The head of an answer, written as hyper writes it, and the bytes of an answer on their way.

use std::io::{self, IoSlice, Write as _};

use bytes::{Buf as _, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::net::TcpStream;

use super::date;

/// So much room for a head, which is enough for nearly all.
const USUAL_HEAD: usize = 512;

/// A body up to this size is copied behind its head: the kernel takes one piece for less than two.
const TOGETHER: usize = 16 * 1024;

/// What is left to be written of an answer.
pub(super) struct Answer {
    head: Bytes,
    body: Bytes,
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, content: Option<Bytes>) -> Self {
        let mut body = content.unwrap_or_default();
        let together = if body.len() <= TOGETHER {
            body.len()
        } else {
            0
        };
        let mut head = Vec::with_capacity(USUAL_HEAD + together);
        write_head(&mut head, status, headers, body.len());
        if together > 0 {
            head.extend_from_slice(&body);
            body = Bytes::new();
        }
        let head = head.into();
        Self { head, body }
    }

    pub(super) fn left(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Writes what the kernel takes at once, and says whether that was all.
    pub(super) fn try_write(&mut self, socket: &TcpStream) -> io::Result<bool> {
        while self.left() > 0 {
            let written = match (&*self.head, &*self.body) {
                (piece, []) | ([], piece) => socket.try_write(piece),
                (head, body) => {
                    socket.try_write_vectored(&[IoSlice::new(head), IoSlice::new(body)])
                }
            };
            let count = match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            let of_head = count.min(self.head.len());
            self.head.advance(of_head);
            self.body.advance(count - of_head);
        }
        Ok(true)
    }
}

/// Whether the connection ends behind this answer: it says so, or the connection is `ending`, which it
/// then says as well.
pub(super) fn is_last(response: &mut Response<impl Sized>, ending: bool) -> bool {
    let headers = response.headers_mut();
    let mut values = headers.get_all(CONNECTION).iter();
    let says_so = values.any(|value| {
        let mut tokens = value.as_bytes().split(|byte| *byte == b',');
        tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"))
    });
    if ending && !says_so {
        headers.append(CONNECTION, HeaderValue::from_static("close"));
    }
    says_so || ending
}

fn write_head(head: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap, len: usize) {
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(status.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(status.canonical_reason().unwrap_or("<none>").as_bytes());
    head.extend_from_slice(b"\r\n");
    for name in headers.keys() {
        match *name {
            // How long it is and where it ends is known here, whatever a program's hook may say.
            CONTENT_LENGTH | TRANSFER_ENCODING => {}
            CONNECTION => {
                let mut before: &[u8] = b"connection: ";
                for value in headers.get_all(name) {
                    head.extend_from_slice(before);
                    head.extend_from_slice(value.as_bytes());
                    before = b", ";
                }
                head.extend_from_slice(b"\r\n");
            }
            _ => {
                for value in headers.get_all(name) {
                    head.extend_from_slice(name.as_str().as_bytes());
                    head.extend_from_slice(b": ");
                    head.extend_from_slice(value.as_bytes());
                    head.extend_from_slice(b"\r\n");
                }
            }
        }
    }
    if !status.is_informational() && status != StatusCode::NO_CONTENT {
        // Writing into memory does not fail.
        let _ = write!(head, "content-length: {len}\r\n");
    }
    if !headers.contains_key(DATE) {
        head.extend_from_slice(b"date: ");
        date::append(head);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
}
