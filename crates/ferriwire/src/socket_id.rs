//! The public identifier of a socket.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use ferriwire_proto::engine::SessionId;
use ferriwire_proto::id_text::IdText;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Identifies one socket: one client's membership of one namespace.
///
/// It is public, unlike the identifier of the session: clients may show it to each other. A message
/// can be addressed to it, which is not the same as addressing a room of that name.
///
/// It prints and parses as its text. Ours are 20 characters, but other servers of a cluster choose
/// their own form, so any text of 1 to 256 bytes is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(IdText);

impl SocketId {
    /// The identifier of these random bytes: 20 characters of the URL-safe base64 alphabet.
    #[must_use]
    pub fn from_random(bytes: [u8; 15]) -> Self {
        Self(IdText::from_bytes(bytes))
    }

    /// The identifier that a client of Socket.IO 4 gives its socket: that of the session in `/`, with
    /// the namespace in front elsewhere.
    pub(crate) fn of_session(
        namespace: &str,
        session: &SessionId,
    ) -> Result<Self, InvalidSocketId> {
        let session = session.as_str();
        match namespace {
            "/" => session.parse(),
            other => format!("{other}#{session}").parse(),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for SocketId {
    type Err = InvalidSocketId;

    fn from_str(text: &str) -> Result<Self, InvalidSocketId> {
        if text.is_empty() || text.len() > MAX_LEN {
            return Err(InvalidSocketId { len: text.len() });
        }
        Ok(Self(text.into()))
    }
}

impl Serialize for SocketId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SocketId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Reads the text wherever the deserializer keeps it, without a copy of its own.
struct TextVisitor;

impl de::Visitor<'_> for TextVisitor {
    type Value = SocketId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the identifier of a socket")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SocketId, E> {
        text.parse().map_err(E::custom)
    }
}

/// A text that cannot be the identifier of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSocketId {
    len: usize,
}

impl fmt::Display for InvalidSocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.len;
        write!(
            f,
            "socket identifier of {len} bytes is not within 1 to {MAX_LEN}"
        )
    }
}

impl Error for InvalidSocketId {}

const MAX_LEN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_become_twenty_url_safe_characters() {
        let check = |bytes, expected| assert_eq!(SocketId::from_random(bytes).as_str(), expected);
        check([0; 15], "AAAAAAAAAAAAAAAAAAAA");
        check([0xFF; 15], "____________________");
        check([0xFB; 15], "-_v7-_v7-_v7-_v7-_v7");
    }

    #[test]
    fn the_text_survives_printing_parsing_and_json() {
        let id = SocketId::from_random(*b"fifteen bytes..");
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<SocketId>(&json).unwrap(), id);
        let escaped: SocketId = serde_json::from_str("\"\\u0061b\"").unwrap();
        assert_eq!(escaped.as_str(), "ab");
    }

    #[test]
    fn empty_and_endless_texts_are_no_identifiers() {
        for len in [0, 257, 100_000] {
            let text = "x".repeat(len);
            assert_eq!(text.parse::<SocketId>(), Err(InvalidSocketId { len }));
            assert!(serde_json::from_value::<SocketId>(text.into()).is_err());
        }
        assert!("x".repeat(256).parse::<SocketId>().is_ok());
    }
}
