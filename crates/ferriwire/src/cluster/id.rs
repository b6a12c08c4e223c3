//! The names of servers and of what they ask each other.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest identifier in bytes.
const MAX_LEN: usize = 64;

/// One server of a cluster, for as long as it runs. Ours are 16 hexadecimal digits, as those of the
/// reference; other servers may choose their own form, so any text of 1 to 64 bytes is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

/// A question to other servers, in the same form as a [`NodeId`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(Arc<str>);

/// A text that cannot be the identifier of a server or of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId {
    len: usize,
}

macro_rules! identifier {
    ($name:ident) => {
        impl $name {
            /// The identifier of these random bytes.
            #[must_use]
            pub fn from_random(bytes: [u8; 8]) -> Self {
                Self(format!("{:016x}", u64::from_be_bytes(bytes)).into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if text.is_empty() || text.len() > MAX_LEN {
                    return Err(InvalidId { len: text.len() });
                }
                Ok(Self(text.into()))
            }
        }
    };
}

identifier!(NodeId);
identifier!(RequestId);

impl fmt::Display for InvalidId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.len;
        write!(
            formatter,
            "identifier of {len} bytes is not within 1 to {MAX_LEN}"
        )
    }
}

impl Error for InvalidId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_become_sixteen_hexadecimal_digits() {
        let id = NodeId::from_random([0, 1, 2, 3, 4, 5, 0xAB, 0xFF]);
        assert_eq!(id.as_str(), "000102030405abff");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn empty_and_endless_texts_are_no_identifiers() {
        for (len, valid) in [
            (0, false),
            (1, true),
            (64, true),
            (65, false),
            (100_000, false),
        ] {
            assert_eq!("x".repeat(len).parse::<RequestId>().is_ok(), valid, "{len}");
        }
    }
}
