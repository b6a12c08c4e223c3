//! HTTP proxies: CONNECT (RFC 9110, 9.3.6), for encrypted servers and others alike.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Credentials, ProxyError};
use crate::client::transport::head::{MAX_HEAD, VERSION, find_end, is_begin};

/// Asks for a connection to `authority`, and waits until it is there.
pub(super) async fn connect<S>(
    stream: &mut S,
    authority: &str,
    credentials: Option<&Credentials>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream
        .write_all(request(authority, credentials).as_bytes())
        .await?;
    stream.flush().await?;
    let mut head = Vec::with_capacity(512);
    loop {
        let begin = head.len();
        let room = (MAX_HEAD + 1).saturating_sub(begin) as u64;
        if (&mut *stream).take(room).read_buf(&mut head).await? == 0 {
            return Err(ProxyError::Closed.into());
        }
        match parse(&head, begin)? {
            Some(200..300) => return Ok(()),
            Some(status) => return Err(ProxyError::Refused(status).into()),
            None if head.len() > MAX_HEAD => return Err(ProxyError::TooLong.into()),
            None => {}
        }
    }
}

fn request(authority: &str, credentials: Option<&Credentials>) -> String {
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(Credentials { user, password }) = credentials {
        let pair = [user.as_slice(), b":", password].concat();
        request += "Proxy-Authorization: Basic ";
        STANDARD.encode_string(pair, &mut request);
        request += "\r\n";
    }
    request += "\r\n";
    request
}

/// The status, when the head is there whole. Its first `known` bytes were looked at before.
fn parse(head: &[u8], known: usize) -> Result<Option<u16>, ProxyError> {
    if !is_begin(head) {
        return Err(ProxyError::Malformed("it is not HTTP/1"));
    }
    let Some(end) = find_end(head, known.saturating_sub(3)) else {
        return Ok(None);
    };
    let status = status(head.get(VERSION.len()..).unwrap_or_default());
    let status = status.ok_or(ProxyError::Malformed("it has no status"))?;
    match status {
        100..200 => Err(ProxyError::Malformed("it is no final answer")),
        // A client of HTTP or TLS speaks first.
        200..300 if end < head.len() => Err(ProxyError::Malformed("bytes behind its head")),
        _ => Ok(Some(status)),
    }
}

/// Of `1 200 OK`, what follows `HTTP/1.`.
fn status(line: &[u8]) -> Option<u16> {
    let (minor, line) = line.split_first()?;
    let line = line.strip_prefix(b" ")?;
    let (digits, rest) = line.split_at_checked(3)?;
    let is_end = rest.first().is_some_and(|byte| b" \r\n".contains(byte));
    let is_status = minor.is_ascii_digit() && is_end && digits.iter().all(u8::is_ascii_digit);
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (is_status && status >= 100).then_some(status)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_request_names_the_server_and_the_user() {
        assert_eq!(
            request("[::1]:443", None),
            "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n"
        );
        let credentials = Credentials {
            user: "Aladdin".into(),
            password: "open sesame".into(),
        };
        // The example of RFC 7617.
        assert_eq!(
            request("a:80", Some(&credentials)),
            "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        );
    }

    /// What is made of an answer that comes in pieces of this size and then ends.
    async fn answered(answer: &[u8], piece: usize) -> Result<(), ProxyError> {
        let (mut ours, mut theirs) = tokio::io::duplex(piece);
        let proxy = async {
            let mut request = vec![0; request("a:1", None).len()];
            theirs.read_exact(&mut request).await.unwrap();
            // It may be hung up on before it has said all.
            let _ = theirs.write_all(answer).await;
            drop(theirs);
        };
        let client = async {
            let result = connect(&mut ours, "a:1", None).await;
            drop(ours);
            result
        };
        let (result, ()) = tokio::join!(client, proxy);
        result.map_err(|error| {
            *error
                .get_ref()
                .and_then(|error| error.downcast_ref())
                .expect("an error of a proxy")
        })
    }

    #[tokio::test]
    async fn answers_are_success_or_an_error_with_a_reason() {
        let malformed = |what| Err(ProxyError::Malformed(what));
        let (no_http, no_status) = ("it is not HTTP/1", "it has no status");
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD));
        let full = "HTTP/1.1 200 OK\r\nX: ".len() + 4;
        let full = format!(
            "HTTP/1.1 200 OK\r\nX: {}\r\n\r\n",
            "x".repeat(MAX_HEAD - full)
        );
        for (answer, expected) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Ok(())),
            ("HTTP/1.0 200\r\nA: b\r\n\r\n", Ok(())),
            ("HTTP/1.1 204 \nA: b\n\n", Ok(())),
            (&full, Ok(())),
            (&long, Err(ProxyError::TooLong)),
            (
                "HTTP/1.1 407 Who?\r\nContent-Length: 2\r\n\r\nno",
                Err(ProxyError::Refused(407)),
            ),
            ("HTTP/1.1 502 Bad\r\n\r\n", Err(ProxyError::Refused(502))),
            (
                "HTTP/1.1 302 Over there\r\n\r\n",
                Err(ProxyError::Refused(302)),
            ),
            ("", Err(ProxyError::Closed)),
            ("HTTP/1.1 200 OK\r\n", Err(ProxyError::Closed)),
            (
                "HTTP/1.1 200 OK\r\n\r\nSSH-2.0",
                malformed("bytes behind its head"),
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\n",
                malformed("it is no final answer"),
            ),
            ("HTTP/2 200 OK\r\n\r\n", malformed(no_http)),
            ("SSH-2.0-OpenSSH\r\n", malformed(no_http)),
            ("\x05\x00", malformed(no_http)),
            ("\r\n\r\n", malformed(no_http)),
            ("HTTP/1.1\r\n\r\n", malformed(no_status)),
            ("HTTP/1.1 20\r\n\r\n", malformed(no_status)),
            ("HTTP/1.1 2000\r\n\r\n", malformed(no_status)),
            ("HTTP/1.1 +20\r\n\r\n", malformed(no_status)),
            ("HTTP/1.1 099 x\r\n\r\n", malformed(no_status)),
            ("HTTP/1.x 200 x\r\n\r\n", malformed(no_status)),
        ] {
            for piece in [1, 7, 64 * 1024] {
                let shown = answer.get(..60).unwrap_or(answer);
                let result = answered(answer.as_bytes(), piece).await;
                // What follows an answer is seen only if it comes with it.
                if piece < 64 * 1024 && expected == malformed("bytes behind its head") {
                    continue;
                }
                assert_eq!(result, expected, "{shown:?} in pieces of {piece}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes: Vec<u8>, known in 0_usize..64, tail in "[ -~\r\n]{0,40}") {
            let _ = parse(&bytes, known);
            let _ = parse(format!("HTTP/1.{tail}\n\n").as_bytes(), known);
        }
    }
}
