//! The client side of the opening handshake (RFC 6455 section 4.1).

use std::error::Error;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::deflate::Deflater;
use super::extensions::{DEFLATE_OFFER, Deflate, read_deflate_answer};
use super::handshake::accept_key;

/// The headers of one request to become a WebSocket, and the check of its answer.
#[derive(Debug)]
pub struct ClientHandshake {
    key: String,
    deflater: Option<Deflater>,
}

impl ClientHandshake {
    /// A request with these random bytes, which has to be made anew for each one. With a deflater it
    /// offers permessage-deflate.
    #[must_use]
    pub fn new(random: [u8; 16], deflater: Option<Deflater>) -> Self {
        Self {
            key: STANDARD.encode(random),
            deflater,
        }
    }

    /// The value of `Sec-WebSocket-Key`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value of `Sec-WebSocket-Extensions`, if it shall be sent.
    #[must_use]
    pub fn extensions(&self) -> Option<&'static str> {
        self.deflater.map(|_| DEFLATE_OFFER)
    }

    /// Checks the answer. `headers` are all its headers, whose names may be in any case.
    ///
    /// # Errors
    ///
    /// It does not accept the WebSocket, or not in the way in which it was asked for. Nothing that
    /// follows the answer may be read.
    pub fn check<'a>(
        &self,
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Option<Deflate>, HandshakeError> {
        if status != 101 {
            return Err(HandshakeError::Status(status));
        }
        let (mut upgrade, mut connection, mut accepted) = (false, false, None);
        let mut extensions = Vec::new();
        for (name, value) in headers {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("Upgrade") {
                upgrade |= has_token(value, "websocket");
            } else if is("Connection") {
                connection |= has_token(value, "upgrade");
            } else if is("Sec-WebSocket-Accept") {
                if accepted.replace(value.trim()).is_some() {
                    return Err(HandshakeError::Accept);
                }
            } else if is("Sec-WebSocket-Protocol") {
                return Err(HandshakeError::Protocol);
            } else if is("Sec-WebSocket-Extensions") {
                extensions.push(value);
            }
        }
        if !upgrade || !connection {
            return Err(HandshakeError::Upgrade);
        }
        if accepted.is_none() || accepted != accept_key(&self.key).as_deref() {
            return Err(HandshakeError::Accept);
        }
        read_deflate_answer(extensions, self.deflater).map_err(|_| HandshakeError::Extension)
    }
}

fn has_token(value: &str, token: &str) -> bool {
    let mut tokens = value.split(',').map(str::trim);
    tokens.any(|one| one.eq_ignore_ascii_case(token))
}

/// Why an answer opens no WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The server answered something else than 101.
    Status(u16),
    /// The answer does not say that it changes to the WebSocket protocol.
    Upgrade,
    /// The answer does not belong to the request: a cache, or something that is no server of WebSockets.
    Accept,
    /// The answer names a sub-protocol, and none was asked for.
    Protocol,
    /// The answer accepts an extension that was not offered.
    Extension,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status} instead of 101"),
            Self::Upgrade => f.write_str("answer without a change to WebSocket"),
            Self::Accept => f.write_str("answer does not belong to the request"),
            Self::Protocol => f.write_str("sub-protocol that was not asked for"),
            Self::Extension => f.write_str("extension that was not offered"),
        }
    }
}

impl Error for HandshakeError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the example in the specification.
    const RANDOM: [u8; 16] = *b"the sample nonce";
    const ACCEPT: (&str, &str) = ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    const UPGRADE: (&str, &str) = ("Upgrade", "websocket");
    const CONNECTION: (&str, &str) = ("Connection", "Upgrade");

    fn check(headers: &[(&str, &str)]) -> Result<Option<Deflate>, HandshakeError> {
        let handshake = ClientHandshake::new(RANDOM, Some(Deflater::new(1024, 15, 6)));
        handshake.check(101, headers.iter().copied())
    }

    #[test]
    fn the_example_of_the_specification() {
        let handshake = ClientHandshake::new(RANDOM, None);
        assert_eq!(handshake.key(), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(handshake.extensions(), None);
        let answer = handshake.check(101, [UPGRADE, CONNECTION, ACCEPT]);
        assert_eq!(answer, Ok(None));
    }

    #[test]
    fn names_and_tokens_may_be_in_any_case_and_in_lists() {
        for headers in [
            [
                ("UPGRADE", "WebSocket"),
                ("connection", "keep-alive, upgrade"),
                ACCEPT,
            ],
            [
                ACCEPT,
                ("upgrade", "h2c, websocket"),
                ("CONNECTION", " Upgrade , close"),
            ],
        ] {
            assert_eq!(check(&headers), Ok(None), "{headers:?}");
        }
    }

    #[test]
    fn an_answer_that_accepts_nothing_is_refused() {
        let wrong = ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=");
        let protocol = ("Sec-WebSocket-Protocol", "chat");
        let extension = ("Sec-WebSocket-Extensions", "foo");
        for (headers, error) in [
            (&[][..], HandshakeError::Upgrade),
            (&[UPGRADE, ACCEPT], HandshakeError::Upgrade),
            (&[CONNECTION, ACCEPT], HandshakeError::Upgrade),
            (
                &[("Upgrade", "websocket2"), CONNECTION, ACCEPT],
                HandshakeError::Upgrade,
            ),
            (&[UPGRADE, CONNECTION], HandshakeError::Accept),
            (&[UPGRADE, CONNECTION, wrong], HandshakeError::Accept),
            (
                &[UPGRADE, CONNECTION, ACCEPT, ACCEPT],
                HandshakeError::Accept,
            ),
            (
                &[UPGRADE, CONNECTION, ACCEPT, protocol],
                HandshakeError::Protocol,
            ),
            (
                &[UPGRADE, CONNECTION, ACCEPT, extension],
                HandshakeError::Extension,
            ),
        ] {
            assert_eq!(check(headers), Err(error), "{headers:?}");
        }
        let handshake = ClientHandshake::new(RANDOM, None);
        for status in [200, 301, 400, 403, 426, 500] {
            let answer = handshake.check(status, [UPGRADE, CONNECTION, ACCEPT]);
            assert_eq!(answer, Err(HandshakeError::Status(status)));
        }
    }

    #[test]
    fn compression_is_negotiated_if_it_was_offered() {
        let accepted = (
            "Sec-WebSocket-Extensions",
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=10",
        );
        let deflate = check(&[UPGRADE, CONNECTION, ACCEPT, accepted]).unwrap();
        let window = deflate.and_then(|deflate| deflate.deflater);
        assert_eq!(window.map(Deflater::window_bits), Some(10));
        let plain = ClientHandshake::new(RANDOM, None);
        let answer = plain.check(101, [UPGRADE, CONNECTION, ACCEPT, accepted]);
        assert_eq!(answer, Err(HandshakeError::Extension));
    }
}
