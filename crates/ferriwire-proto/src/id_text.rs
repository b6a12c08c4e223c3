//! The text of an identifier.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How long the identifiers are that servers make themselves.
const USUAL: usize = 20;

/// A text that never changes. One of 20 bytes is kept in place: every client has several, and each would
/// be one more piece of memory. Copies of any other share theirs.
///
/// # Examples
///
/// ```
/// use ferriwire_proto::id_text::IdText;
///
/// let id = IdText::from("-_v7-_v7-_v7-_v7-_v7");
/// assert_eq!(&*id, "-_v7-_v7-_v7-_v7-_v7");
/// ```
#[derive(Clone)]
pub struct IdText(Place);

#[derive(Clone)]
enum Place {
    /// Taken from a text as a whole.
    Here([u8; USUAL]),
    Shared(Arc<str>),
}

impl IdText {
    /// These bytes in base64 as URLs have it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire_proto::id_text::IdText;
    ///
    /// assert_eq!(&*IdText::from_bytes([0xFB; 15]), "-_v7-_v7-_v7-_v7-_v7");
    /// ```
    #[must_use]
    pub fn from_bytes(bytes: [u8; 15]) -> Self {
        let mut text = [0; USUAL];
        match URL_SAFE_NO_PAD.encode_slice(bytes, &mut text) {
            Ok(USUAL) => Self(Place::Here(text)),
            // There is room for all of it.
            Ok(_) | Err(_) => Self::from(&*URL_SAFE_NO_PAD.encode(bytes)),
        }
    }

    /// The text as bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire_proto::id_text::IdText;
    ///
    /// assert_eq!(IdText::from("an id").as_bytes(), b"an id");
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Place::Here(bytes) => bytes,
            Place::Shared(text) => text.as_bytes(),
        }
    }
}

impl From<&str> for IdText {
    fn from(text: &str) -> Self {
        Self(match text.as_bytes().try_into() {
            Ok(bytes) => Place::Here(bytes),
            Err(_) => Place::Shared(text.into()),
        })
    }
}

impl Deref for IdText {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Place::Here(bytes) => str::from_utf8(bytes).unwrap_or_default(),
            Place::Shared(text) => text,
        }
    }
}

impl PartialEq for IdText {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Place::Here(bytes), Place::Here(others)) => bytes == others,
            (Place::Shared(text), Place::Shared(others)) => text == others,
            (Place::Here(_), Place::Shared(_)) | (Place::Shared(_), Place::Here(_)) => false,
        }
    }
}

impl Eq for IdText {}

impl Hash for IdText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Place::Here(bytes) => state.write(bytes),
            Place::Shared(text) => text.hash(state),
        }
    }
}

impl PartialOrd for IdText {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for IdText {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl fmt::Debug for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

    use super::*;

    const HASHER: BuildHasherDefault<DefaultHasher> = BuildHasherDefault::new();

    const TEXTS: [&str; 7] = [
        "",
        "a",
        "nineteen characters",
        "AAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAB",
        "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        "one more than usual..",
    ];

    #[test]
    fn it_is_the_text_wherever_that_is_kept() {
        for text in TEXTS {
            let id = IdText::from(text);
            assert_eq!(&*id, text);
            assert_eq!(format!("{id:?}"), format!("{text:?}"));
            for other in TEXTS {
                let other_id = IdText::from(other);
                assert_eq!(id == other_id, text == other);
                assert_eq!(id.cmp(&other_id), text.cmp(other));
                let hashes_agree = HASHER.hash_one(&id) == HASHER.hash_one(&other_id);
                assert_eq!(hashes_agree, text == other, "{text} {other}");
            }
        }
    }

    #[test]
    fn the_usual_one_takes_three_words() {
        assert_eq!(size_of::<IdText>(), 24);
        assert!(matches!(IdText::from(TEXTS[3]).0, Place::Here(_)));
    }
}
