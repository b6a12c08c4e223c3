//! The one request by which a connection becomes a WebSocket (RFC 6455, section 4.1).
//!
//! It is written and its answer read here, without hyper, whose buffers would cost each client that connects
//! more than all that it holds later.

use std::io::Write as _;

use bytes::{Bytes, BytesMut};
use ferriwire_proto::websocket::{ClientHandshake, Deflate};
use http::{HeaderMap, Uri, header};
use tokio::io::AsyncWriteExt as _;

use super::head::{MAX_HEAD, find_end, is_begin};
use super::http::value;
use super::refusal::{self, Framing};
use super::source::Source;
use super::stream::Stream;
use crate::client::error::ConnectFailure;

/// How many headers an answer may have.
const MAX_HEADERS: usize = 100;

/// What stands behind the answer that opens a WebSocket.
pub(super) struct Upgraded {
    /// What was agreed on.
    pub(super) deflate: Option<Deflate>,
    /// What was read beyond the answer.
    pub(super) ahead: Bytes,
}

/// The request with these headers, as it is written.
pub(super) fn request(
    target: &str,
    mut headers: HeaderMap,
    handshake: &ClientHandshake,
) -> Result<Vec<u8>, ConnectFailure> {
    let cannot = || ConnectFailure::Configuration("the path or the query".to_owned());
    let target: Uri = target.parse().map_err(|_| cannot())?;
    let target = target.path_and_query().ok_or_else(cannot)?;
    // It has no body, whatever a program says of all its requests.
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        headers.remove(name);
    }
    for (name, text) in [
        (header::UPGRADE, Some("websocket")),
        (header::CONNECTION, Some("Upgrade")),
        (header::SEC_WEBSOCKET_VERSION, Some("13")),
        (header::SEC_WEBSOCKET_KEY, Some(handshake.key())),
        (header::SEC_WEBSOCKET_EXTENSIONS, handshake.extensions()),
    ] {
        if let Some(text) = text {
            headers.insert(name, value(text)?);
        }
    }
    let mut request = Vec::with_capacity(512);
    write!(request, "GET {target} HTTP/1.1\r\n")?;
    for (name, value) in &headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            request.extend_from_slice(part);
        }
    }
    request.extend_from_slice(b"\r\n");
    Ok(request)
}

/// Sends the request, and reads the answer to it.
pub(super) async fn ask(
    stream: &mut dyn Stream,
    request: Vec<u8>,
    handshake: &ClientHandshake,
) -> Result<Upgraded, ConnectFailure> {
    stream.write_all(&request).await?;
    stream.flush().await?;
    drop(request);
    let mut source = Source::new(stream);
    let mut room = MAX_HEAD;
    loop {
        let head = read_head(&mut source, room).await?;
        room = room.saturating_sub(head.len());
        match judge(&head, handshake)? {
            Answer::Interim => {}
            Answer::Accepted(deflate) => {
                let ahead = Bytes::copy_from_slice(&source.bytes);
                return Ok(Upgraded { deflate, ahead });
            }
            Answer::Refused(status, framing) => {
                let body = refusal::read(&mut source, framing).await;
                return Err(ConnectFailure::Http { status, body });
            }
        }
    }
}

/// The next head, of at most so many bytes.
async fn read_head(source: &mut Source<'_>, room: usize) -> Result<BytesMut, ConnectFailure> {
    let mut known = 0_usize;
    loop {
        if !is_begin(&source.bytes) {
            return Err(violation("answer that is not HTTP/1"));
        }
        let end = find_end(&source.bytes, known.saturating_sub(3));
        if end.unwrap_or(source.bytes.len()) > room {
            return Err(violation(format!(
                "answer with a head of more than {MAX_HEAD} bytes"
            )));
        }
        if let Some(end) = end {
            return Ok(source.bytes.split_to(end));
        }
        known = source.bytes.len();
        if !source.read().await? {
            return Err(ConnectFailure::closed_early());
        }
    }
}

/// What a head says.
enum Answer {
    /// Another one follows.
    Interim,
    Accepted(Option<Deflate>),
    Refused(u16, Framing),
}

fn judge(head: &[u8], handshake: &ClientHandshake) -> Result<Answer, ConnectFailure> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let read = answer.parse(head);
    let read = read
        .map_err(|error| violation(format!("answer with a head that cannot be read: {error}")))?;
    let (Some(version), Some(status)) = (answer.version, answer.code) else {
        return Err(violation("answer without a status"));
    };
    if read != httparse::Status::Complete(head.len()) || status < 100 {
        return Err(violation("answer with a head that cannot be read"));
    }
    let pairs = answer.headers.iter().map(|header| {
        // What is no text is no value of a header that matters here.
        let value = str::from_utf8(header.value).unwrap_or("\u{fffd}");
        (header.name, value)
    });
    match status {
        101 if version == 0 => Err(violation("change of the protocol in HTTP/1.0")),
        101 => {
            let checked = handshake.check(status, pairs);
            let deflate = checked.map_err(|error| violation(error.to_string()))?;
            Ok(Answer::Accepted(deflate))
        }
        100..200 => Ok(Answer::Interim),
        204 | 304 => Ok(Answer::Refused(status, Framing::Length(0))),
        _ => Ok(Answer::Refused(status, framing(pairs)?)),
    }
}

fn framing<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Framing, ConnectFailure> {
    let (mut coding, mut length) = (None, None);
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("Transfer-Encoding") {
            coding = Some(value);
        } else if name.eq_ignore_ascii_case("Content-Length") {
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value.parse().ok().filter(|_| is_number);
            let number: u64 =
                number.ok_or_else(|| violation("answer with a length that is none"))?;
            if length.replace(number).is_some_and(|other| other != number) {
                return Err(violation("answer with two lengths"));
            }
        }
    }
    Ok(match (coding, length) {
        (Some(coding), _) => {
            let last = coding.rsplit(',').next().unwrap_or_default();
            match last.trim().eq_ignore_ascii_case("chunked") {
                true => Framing::Chunked,
                false => Framing::Close,
            }
        }
        (None, Some(length)) => Framing::Length(length),
        (None, None) => Framing::Close,
    })
}

fn violation(what: impl Into<String>) -> ConnectFailure {
    ConnectFailure::Violation(what.into())
}

#[cfg(test)]
mod tests;
