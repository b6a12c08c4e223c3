//! The head of an answer, written as hyper writes it, and the bytes of an answer on their way.

use std::io::{self, IoSlice};

use bytes::{Buf as _, Bytes};
use http::header::{CONNECTION, DATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::net::TcpStream;

use super::date;
use crate::engine::http::{Reply, Stocked, Switching};
use crate::engine::session::Session;

/// So much room for a head, which is enough for nearly all.
const USUAL_HEAD: usize = 512;

/// A body up to this size is copied behind its head: the kernel takes one piece for less than two.
const TOGETHER: usize = 16 * 1024;

/// What is left to be written of an answer.
pub(super) struct Answer {
    head: Vec<u8>,
    /// So much of the head is written.
    written: usize,
    body: Bytes,
}

impl Answer {
    /// With the session whose packets are in it.
    pub(super) fn new(reply: Reply) -> (Self, Option<Session>) {
        match reply {
            Reply::Stock(Stocked {
                stock,
                content,
                session,
                more,
            }) => {
                let begin = |head: &mut Vec<u8>| head.extend_from_slice(stock.head().as_bytes());
                let answer = Self::written(begin, StatusCode::OK, more.as_deref(), content);
                (answer, session)
            }
            Reply::Switching(Switching { accept, more }) => {
                let begin = |head: &mut Vec<u8>| {
                    let [before, behind] = Switching::HEAD;
                    head.extend_from_slice(before.as_bytes());
                    head.extend_from_slice(accept.as_bytes());
                    head.extend_from_slice(behind.as_bytes());
                };
                let status = StatusCode::SWITCHING_PROTOCOLS;
                let answer = Self::written(begin, status, more.as_deref(), Bytes::new());
                (answer, None)
            }
            Reply::Whole(response) => {
                let (head, body) = response.into_parts();
                let (content, session) = body.into_parts();
                let begin = |text: &mut Vec<u8>| write_status(text, head.status);
                let content = content.unwrap_or_default();
                let answer = Self::written(begin, head.status, Some(&head.headers), content);
                (answer, session)
            }
        }
    }

    fn written(
        begin: impl FnOnce(&mut Vec<u8>),
        status: StatusCode,
        headers: Option<&HeaderMap>,
        mut body: Bytes,
    ) -> Self {
        let together = if body.len() <= TOGETHER {
            body.len()
        } else {
            0
        };
        let mut head = Vec::with_capacity(USUAL_HEAD + together);
        begin(&mut head);
        write_headers(&mut head, status, headers, body.len());
        if together > 0 {
            head.extend_from_slice(&body);
            body = Bytes::new();
        }
        Self {
            head,
            written: 0,
            body,
        }
    }

    pub(super) fn left(&self) -> usize {
        self.head().len() + self.body.len()
    }

    /// What is left of the head.
    fn head(&self) -> &[u8] {
        self.head.get(self.written..).unwrap_or_default()
    }

    /// Writes what the kernel takes at once, and says whether that was all.
    pub(super) fn try_write(&mut self, socket: &TcpStream) -> io::Result<bool> {
        while self.left() > 0 {
            let written = match (self.head(), &*self.body) {
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
            let of_head = count.min(self.head().len());
            self.written += of_head;
            self.body.advance(count - of_head);
        }
        Ok(true)
    }
}

/// Whether the connection ends behind this answer: it says so, or the connection is `ending`, which it
/// then says as well.
pub(super) fn is_last(reply: &mut Reply, ending: bool) -> bool {
    let headers = reply.headers().into_iter();
    let mut values = headers.flat_map(|headers| headers.get_all(CONNECTION));
    let says_so = values.any(|value| {
        let mut tokens = value.as_bytes().split(|byte| *byte == b',');
        tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"))
    });
    if ending && !says_so {
        let headers = reply.headers_mut();
        headers.append(CONNECTION, HeaderValue::from_static("close"));
    }
    says_so || ending
}

fn write_status(head: &mut Vec<u8>, status: StatusCode) {
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(status.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(status.canonical_reason().unwrap_or("<none>").as_bytes());
    head.extend_from_slice(b"\r\n");
}

/// Writes these headers, and those that every answer has.
fn write_headers(head: &mut Vec<u8>, status: StatusCode, headers: Option<&HeaderMap>, len: usize) {
    if let Some(headers) = headers {
        write_own(head, headers);
    }
    if !status.is_informational() && status != StatusCode::NO_CONTENT {
        head.extend_from_slice(b"content-length: ");
        head.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    if headers.is_none_or(|headers| !headers.contains_key(DATE)) {
        head.extend_from_slice(b"date: ");
        date::append(head);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
}

fn write_own(head: &mut Vec<u8>, headers: &HeaderMap) {
    for name in headers.keys() {
        match *name {
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
}

#[cfg(test)]
mod tests {
    use ferriwire_proto::websocket::accept_key;
    use http::header::VARY;

    use super::*;
    use crate::engine::http::Stock;

    fn written(reply: Reply) -> Vec<u8> {
        let (answer, _) = Answer::new(reply);
        [&*answer.head, &*answer.body].concat()
    }

    #[test]
    fn a_known_head_is_that_of_the_whole_answer() {
        for stock in [Stock::Taken, Stock::Text, Stock::Binary, Stock::Script] {
            for more in [&[][..], &[(VARY, "Origin"), (CONNECTION, "close")]] {
                let reply = || {
                    let mut reply = stock.with(Bytes::from_static(b"some packets"));
                    for (name, value) in more {
                        let headers = reply.headers_mut();
                        headers.append(name, HeaderValue::from_static(value));
                    }
                    reply
                };
                let whole = written(reply().into_response().into());
                let known = written(reply());
                // But for the second, which may have changed.
                assert_eq!(without_date(&known), without_date(&whole), "{stock:?}");
            }
        }
    }

    #[test]
    fn a_known_head_opens_a_websocket_as_the_whole_answer_does() {
        for more in [&[][..], &[(VARY, "Origin"), (VARY, "Accept")]] {
            let reply = || {
                let mut reply = Reply::Switching(Switching {
                    accept: accept_key("dGhlIHNhbXBsZSBub25jZQ==").unwrap(),
                    more: None,
                });
                for (name, value) in more {
                    let headers = reply.headers_mut();
                    headers.append(name, HeaderValue::from_static(value));
                }
                reply
            };
            let whole = written(reply().into_response().into());
            let known = written(reply());
            assert_eq!(without_date(&known), without_date(&whole), "{more:?}");
            assert!(known.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
        }
    }

    fn without_date(answer: &[u8]) -> Vec<&str> {
        let answer = str::from_utf8(answer).unwrap();
        let lines = answer.split("\r\n");
        lines.filter(|line| !line.starts_with("date: ")).collect()
    }
}
