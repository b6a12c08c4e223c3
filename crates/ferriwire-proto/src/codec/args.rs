//! Typed values to and from argument lists and attachments, in one pass and without a value tree.

mod elements;
mod path;
mod serialize;
#[cfg(test)]
mod tests;
mod text;

use std::cell::Cell;
use std::error::Error;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeOwned, IgnoredAny, SeqAccess};

use self::elements::{Elements, List};
use self::text::Text;
use super::depth::{self, MAX_DEPTH};
use super::limits::Limits;
use super::msgpack;
use super::violation::Violation;

pub(super) use self::serialize::{
    ArgumentWriter, NameSerializer, NameWriter, Outermost, SerializeError, serialize_arguments,
    serialize_value, write_string,
};

/// The arguments of an event or an acknowledgement, not parsed yet.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    form: Form<'a>,
    bounds: Bounds,
}

/// What arguments may be that are not parsed yet.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// How many there may be.
    count: usize,
    /// How deep they may be nested.
    depth: usize,
}

impl Bounds {
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            count: limits.max_arguments,
            depth: depth::capped(limits.max_depth),
        }
    }

    pub(super) const fn depth(self) -> usize {
        self.depth
    }

    /// As deep as anything may be.
    pub(super) const fn counting(count: usize) -> Self {
        Self {
            count,
            depth: MAX_DEPTH,
        }
    }
}

#[derive(Clone, Copy)]
enum Form<'a> {
    Json(Text<'a>),
    MessagePack(msgpack::List<'a>),
}

impl<'a> Arguments<'a> {
    /// Arguments in the text of `list`, behind the event's name, which ends at that offset and was
    /// read; zero if there is none.
    pub(super) const fn in_text(
        list: &'a str,
        name_end: usize,
        attachments: &'a [Bytes],
        bounds: Bounds,
    ) -> Self {
        let text = Text {
            list,
            name_end,
            attachments,
        };
        Self {
            form: Form::Json(text),
            bounds,
        }
    }

    /// Arguments that follow each other in a message of MessagePack. There are not more than `limit`.
    pub(super) const fn in_message(list: msgpack::List<'a>, limit: usize) -> Self {
        Self {
            form: Form::MessagePack(list),
            bounds: Bounds::counting(limit),
        }
    }

    /// Decodes them into a payload, by the rules of [the codec](super).
    ///
    /// A number in JSON that is beyond `f64`, such as `1e400`, is nothing: `null` to a
    /// [`Value`](crate::value::Value), `None` to an `Option`, and a mismatch to a number.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError::Syntax`] when they break the protocol, also behind what `T` needs;
    /// [`ArgumentsError::Mismatch`] when they are correct but do not fit `T`.
    pub fn decode<T: DeserializeOwned + 'static>(&self) -> Result<T, ArgumentsError> {
        match &self.form {
            Form::Json(text) => text.decode_owned(self.bounds),
            Form::MessagePack(list) => list.decode(self.bounds.count),
        }
    }

    /// The same for types that borrow from the message.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_borrowed<T: Deserialize<'a>>(&self) -> Result<T, ArgumentsError> {
        match &self.form {
            Form::Json(text) => text.decode(self.bounds),
            Form::MessagePack(list) => list.decode(self.bounds.count),
        }
    }

    /// Checks the syntax, the depth and the number of arguments without building anything.
    ///
    /// # Errors
    ///
    /// What the peer broke.
    pub fn validate(&self) -> Result<(), Violation> {
        match &self.form {
            Form::Json(text) => text.validate(self.bounds),
            // When the packet was decoded.
            Form::MessagePack(_) => Ok(()),
        }
    }

    /// Whether the first one is an object whose first member has that name, as far as a glance tells: names with
    /// escapes are not found, and nothing is checked.
    #[must_use]
    pub fn begins_with_member(&self, name: &str) -> bool {
        match &self.form {
            Form::Json(text) => text.begins_with_member(name),
            Form::MessagePack(list) => list.begins_with_member(name),
        }
    }

    /// How many bytes they take, the event's name and the attachments included.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.form {
            Form::Json(text) => text.size(),
            Form::MessagePack(list) => list.message().len(),
        }
    }

    /// A copy that can wait; binary data is shared.
    #[must_use]
    pub fn to_owned(&self) -> OwnedArguments {
        let form = match &self.form {
            Form::Json(text) => OwnedForm::Json {
                list: text.list.into(),
                name_end: text.name_end,
                attachments: text.attachments.into(),
            },
            Form::MessagePack(list) => OwnedForm::MessagePack {
                message: list.message().clone(),
                start: list.start(),
                len: list.len(),
            },
        };
        OwnedArguments {
            form,
            bounds: self.bounds,
        }
    }
}

/// Shortens what quotes the peer: its names and values may be as long as a packet.
pub(super) fn clip(text: &str) -> String {
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
        let (bytes, attachments) = match &self.form {
            Form::Json(text) => (text.list.len(), text.attachments.len()),
            Form::MessagePack(list) => (list.message().len(), 0),
        };
        f.debug_struct("Arguments")
            .field("bytes", &bytes)
            .field("attachments", &attachments)
            .finish()
    }
}

/// Arguments that outlive the message they came in.
#[derive(Clone)]
pub struct OwnedArguments {
    form: OwnedForm,
    bounds: Bounds,
}

#[derive(Clone)]
enum OwnedForm {
    Json {
        list: Box<str>,
        name_end: usize,
        attachments: Box<[Bytes]>,
    },
    MessagePack {
        message: Bytes,
        start: usize,
        len: usize,
    },
}

impl OwnedArguments {
    /// The arguments, to be decoded.
    #[must_use]
    pub fn as_arguments(&self) -> Arguments<'_> {
        match &self.form {
            OwnedForm::Json {
                list,
                name_end,
                attachments,
            } => Arguments::in_text(list, *name_end, attachments, self.bounds),
            OwnedForm::MessagePack {
                message,
                start,
                len,
            } => {
                Arguments::in_message(msgpack::List::new(message, *start, *len), self.bounds.count)
            }
        }
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

/// Decodes a payload from its elements, and then checks what follows it.
#[inline]
pub(super) fn decode_elements<'de, A, T>(
    access: A,
    limit: usize,
    progress: &Cell<usize>,
) -> Result<T, A::Error>
where
    A: SeqAccess<'de>,
    T: Deserialize<'de>,
{
    let mut elements = Elements::new(access, limit, progress);
    let payload = T::deserialize(List(&mut elements))?;
    while elements.next_element::<IgnoredAny>()?.is_some() {}
    Ok(payload)
}
