//! The key of the opening handshake (RFC 6455 sections 1.3 and 4.2.2).

use std::fmt;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The value of `Sec-WebSocket-Accept`: a digest of 20 bytes in base64.
///
/// # Examples
///
/// ```
/// use ferriwire_proto::websocket::accept_key;
///
/// let accept = accept_key("dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(accept.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept([u8; 28]);

impl Accept {
    /// As it stands in the header.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for Accept {
    type Target = str;

    fn deref(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// The value of `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`, or `None` unless the key is 16
/// bytes in base64.
#[must_use]
pub fn accept_key(key: impl AsRef<[u8]>) -> Option<Accept> {
    // Sixteen bytes are 22 characters and the padding. The last character has four bits to spare;
    // the reference accepts any, and so do we, because nobody looks at the bytes themselves.
    let key = key.as_ref();
    let digits = key.strip_suffix(b"==")?;
    if digits.len() != 22 || !digits.iter().copied().all(is_base64_digit) {
        return None;
    }
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update(SUFFIX)
        .finalize();
    let mut accept = [0; 28];
    let written = STANDARD.encode_slice(digest, &mut accept);
    (written == Ok(accept.len())).then_some(Accept(accept))
}

fn is_base64_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

const SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        assert_eq!(
            accept_key("dGhlIHNhbXBsZSBub25jZQ==").as_deref(),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
    }

    #[test]
    fn only_sixteen_bytes_in_base64_are_a_key() {
        for key in [
            "",
            "==",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "GhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZQA==",
            "dGhlIHNhbXBsZSBub25jZSE=",
            "dGhlIHNhbXBsZSBub25jZ_==",
            "dGhlIHNhbXBsZSBub25 ZQ==",
            "dGhlIHNhbXBsZSBub25\u{e9}Q==",
            " dGhlIHNhbXBsZSBub25jZQ==",
        ] {
            assert_eq!(accept_key(key), None, "{key:?}");
        }
    }
}
