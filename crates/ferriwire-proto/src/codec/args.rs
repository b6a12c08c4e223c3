//! Typed values to and from argument lists and attachments, in one pass and without a value tree.

mod elements;
mod path;
mod restore;
mod serialize;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer as _, IgnoredAny, SeqAccess, Visitor};

use self::elements::{Elements, List};
use self::restore::{Attachments, Restore};
use super::depth::{self, MAX_DEPTH};
use super::violation::Violation;

pub(super) use self::serialize::{SerializeError, serialize_arguments, serialize_value};

/// The arguments of an event or an acknowledgement: text that was not parsed yet.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    /// The whole list, the event's name included.
    list: &'a str,
    has_name: bool,
    attachments: &'a [Bytes],
    /// How many arguments there may be.
    limit: usize,
}

impl<'a> Arguments<'a> {
    pub(super) const fn new(
        list: &'a str,
        has_name: bool,
        attachments: &'a [Bytes],
        limit: usize,
    ) -> Self {
        Self {
            list,
            has_name,
            attachments,
            limit,
        }
    }

    /// Decodes them into a payload, by the rules of [the codec](super).
    ///
    /// # Errors
    ///
    /// [`ArgumentsError::Syntax`] when they break the protocol, also behind what `T` needs;
    /// [`ArgumentsError::Mismatch`] when they are correct but do not fit `T`.
    pub fn decode<T: Deserialize<'a>>(&self) -> Result<T, ArgumentsError> {
        self.check_depth().map_err(ArgumentsError::Syntax)?;
        let progress = Cell::new(0);
        let attachments = Attachments::new(self.attachments);
        let outcome = self.parse(ListVisitor {
            has_name: self.has_name,
            limit: self.limit,
            progress: &progress,
            attachments: &attachments,
            payload: PhantomData,
        });
        outcome.map_err(|error| {
            if let Some(limit) = attachments.exceeded() {
                return ArgumentsError::Syntax(Violation::Expansion { limit });
            }
            // What broke the protocol further on outweighs a type that did not fit before it.
            match self.validate() {
                Err(violation) => ArgumentsError::Syntax(violation),
                Ok(()) => self.mismatch(progress.get(), &error),
            }
        })
    }

    /// Checks the syntax, the depth and the number of arguments without building anything.
    ///
    /// # Errors
    ///
    /// What the peer broke.
    pub fn validate(&self) -> Result<(), Violation> {
        self.check_depth()?;
        let count = self
            .parse(CountVisitor)
            .map_err(|error| Violation::Json(error.to_string()))?;
        if count.saturating_sub(usize::from(self.has_name)) > self.limit {
            return Err(Violation::TooManyArguments { limit: self.limit });
        }
        Ok(())
    }

    /// How many bytes they take, the event's name and the attachments included.
    #[must_use]
    pub fn size(&self) -> usize {
        let attachments = self.attachments.iter().map(Bytes::len);
        attachments.fold(self.list.len(), usize::saturating_add)
    }

    /// A copy that can wait; the attachments are shared.
    #[must_use]
    pub fn to_owned(&self) -> OwnedArguments {
        OwnedArguments {
            list: self.list.into(),
            has_name: self.has_name,
            attachments: self.attachments.into(),
            limit: self.limit,
        }
    }

    fn check_depth(&self) -> Result<(), Violation> {
        // The list itself is the one level above its arguments.
        if depth::is_within(self.list.as_bytes(), MAX_DEPTH.saturating_add(1)) {
            Ok(())
        } else {
            Err(Violation::TooDeep)
        }
    }

    /// Callers have checked the depth.
    fn parse<V: Visitor<'a>>(&self, visitor: V) -> serde_json::Result<V::Value> {
        let mut json = serde_json::Deserializer::from_str(self.list);
        json.disable_recursion_limit();
        let value = json.deserialize_seq(visitor)?;
        json.end()?;
        Ok(value)
    }

    fn mismatch(&self, index: usize, error: &serde_json::Error) -> ArgumentsError {
        let element = index.saturating_add(usize::from(self.has_name));
        let within = path::path_within(self.list, element, error.line(), error.column());
        let message = error.to_string();
        let clause = message.rsplit_once(" at line ");
        ArgumentsError::Mismatch {
            path: clip(&format!("[{index}]{within}")),
            message: clip(clause.map_or(&message, |(clause, _position)| clause)),
        }
    }
}

/// Shortens what quotes the peer: its names and values may be as long as a packet.
fn clip(text: &str) -> String {
    if text.len() <= MAX_QUOTE {
        return text.to_owned();
    }
    let start = text.get(..text.floor_char_boundary(MAX_QUOTE));
    format!("{}..", start.unwrap_or_default())
}

/// How many bytes of an error's path and message are kept.
const MAX_QUOTE: usize = 256;

/// Without the contents: they belong to users.
impl fmt::Debug for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arguments")
            .field("bytes", &self.list.len())
            .field("attachments", &self.attachments.len())
            .finish()
    }
}

/// Arguments that outlive the message they came in.
#[derive(Clone)]
pub struct OwnedArguments {
    list: Box<str>,
    has_name: bool,
    attachments: Box<[Bytes]>,
    limit: usize,
}

impl OwnedArguments {
    /// The arguments, to be decoded.
    #[must_use]
    pub fn as_arguments(&self) -> Arguments<'_> {
        Arguments::new(&self.list, self.has_name, &self.attachments, self.limit)
    }
}

impl fmt::Debug for OwnedArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_arguments().fmt(f)
    }
}

/// Why arguments could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentsError {
    /// The peer broke the protocol.
    Syntax(Violation),
    /// They are correct, but not what was expected.
    Mismatch {
        /// The place: the index of the argument, then names and indices within it.
        path: String,
        /// What did not fit.
        message: String,
    },
}

impl fmt::Display for ArgumentsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(violation) => violation.fmt(f),
            Self::Mismatch { path, message } => {
                write!(f, "arguments do not fit at {path}: {message}")
            }
        }
    }
}

impl Error for ArgumentsError {}

/// Decodes a payload and then checks what follows it.
struct ListVisitor<'s, 'de, T> {
    has_name: bool,
    limit: usize,
    progress: &'s Cell<usize>,
    attachments: &'s Attachments<'de>,
    payload: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> ListVisitor<'_, 'de, T> {
    fn decode<A: SeqAccess<'de>>(&self, access: A) -> Result<T, A::Error> {
        let mut elements = Elements::new(access, self.limit, self.progress);
        let payload = T::deserialize(List(&mut elements))?;
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(payload)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<'_, 'de, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<T, A::Error> {
        if self.has_name {
            access.next_element::<IgnoredAny>()?;
        }
        if self.attachments.is_empty() {
            self.decode(access)
        } else {
            self.decode(Restore::new(access, self.attachments))
        }
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<usize, A::Error> {
        let mut count = 0_usize;
        while access.next_element::<IgnoredAny>()?.is_some() {
            count = count.saturating_add(1);
        }
        Ok(count)
    }
}
