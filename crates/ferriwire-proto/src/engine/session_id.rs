//! The secret that names a session.

use std::fmt;

use crate::id_text::IdText;

/// How many characters an id has. Adapters and load balancers of other implementations assume it.
const LENGTH: usize = 20;

/// How many characters an id may have that a program has made.
const MAX_LENGTH: usize = 64;

/// How many bytes an id may have that another server has made.
const MAX_FOREIGN: usize = 256;

/// How many characters of it a log may show.
const SHOWN: usize = 4;

/// Names a session towards its own client, and nobody else: whoever has it can send as that client.
///
/// Therefore `Debug` shows only its beginning and there is no `Display`.
#[doc(alias = "sid")]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(IdText);

impl SessionId {
    /// The id made of these bytes, which must come from a cryptographic random source.
    #[must_use]
    pub fn from_random(bytes: [u8; 15]) -> Self {
        Self(IdText::from_bytes(bytes))
    }

    /// Reads an id: exactly 20 characters of `A-Z`, `a-z`, `0-9`, `_` and `-`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == LENGTH && text.bytes().all(is_valid);
        valid.then(|| Self(text.into()))
    }

    /// Reads an id that a program may have made itself: 1 to 64 characters of that alphabet.
    #[must_use]
    pub fn parse_custom(text: &str) -> Option<Self> {
        let valid = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(is_valid);
        valid.then(|| Self(text.into()))
    }

    /// Reads an id that any server may have made, with characters of its own choice: 1 to 256 bytes,
    /// none of them a control character. In a query it has to be percent-encoded.
    #[must_use]
    pub fn parse_foreign(text: &str) -> Option<Self> {
        let valid = (1..=MAX_FOREIGN).contains(&text.len()) && !text.chars().any(char::is_control);
        valid.then(|| Self(text.into()))
    }

    /// The whole secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn is_valid(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of a short one, a quarter.
        let shown = SHOWN.min(self.0.len() / 4);
        let shown = self
            .0
            .get(..self.0.floor_char_boundary(shown))
            .unwrap_or_default();
        write!(f, "{shown}..")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::SessionId;

    #[test]
    fn only_twenty_characters_of_the_alphabet_are_an_id() {
        for (text, valid) in [
            ("lv_VI97HAXpY6yYWAAAC", true),
            ("--------------------", true),
            ("", false),
            ("lv_VI97HAXpY6yYWAAA", false),
            ("lv_VI97HAXpY6yYWAAACC", false),
            ("lv_VI97HAXpY6yYWAA+C", false),
            ("lv_VI97HAXpY6yYWAA=C", false),
            ("lv_VI97HAXpY6yYWAA\0C", false),
            ("lv_VI97HAXpY6yYWAA\u{e9}", false),
        ] {
            assert_eq!(SessionId::parse(text).is_some(), valid, "{text:?}");
        }
    }

    #[test]
    fn what_a_program_makes_may_have_1_to_64_characters() {
        for (length, valid) in [(0, false), (1, true), (20, true), (64, true), (65, false)] {
            let text = "a".repeat(length);
            assert_eq!(SessionId::parse_custom(&text).is_some(), valid, "{length}");
        }
        for text in ["a b", "a.b", "a/b", "\u{e9}", "a\r\n"] {
            assert_eq!(SessionId::parse_custom(text), None, "{text:?}");
        }
    }

    #[test]
    fn other_servers_may_use_any_characters_but_control_characters() {
        for (text, valid) in [
            ("", false),
            ("a", true),
            ("a b/c+d=&?#", true),
            ("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", true),
            ("a\nb", false),
            ("a\u{0}", false),
            ("\u{85}", false),
        ] {
            let id = SessionId::parse_foreign(text);
            assert_eq!(id.is_some(), valid, "{text:?}");
            let _ = format!("{id:?}");
        }
        for (length, valid) in [(256, true), (257, false)] {
            let id = SessionId::parse_foreign(&"a".repeat(length));
            assert_eq!(id.is_some(), valid, "{length}");
        }
    }

    #[test]
    fn logs_do_not_show_the_secret() {
        let id = SessionId::parse("lv_VI97HAXpY6yYWAAAC").unwrap();
        assert_eq!(format!("{id:?}"), "lv_V..");
    }

    proptest! {
        #[test]
        fn random_bytes_make_a_valid_and_distinct_id(bytes: [u8; 15], other: [u8; 15]) {
            let id = SessionId::from_random(bytes);
            prop_assert_eq!(SessionId::parse(id.as_str()), Some(id.clone()));
            prop_assert_eq!(id == SessionId::from_random(other), bytes == other);
        }
    }
}
