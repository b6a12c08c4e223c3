//! Writes a payload as JSON and takes the binary data out of it.

mod compound;
mod name;
mod outermost;
mod string;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;

use bytes::Bytes;
use serde::ser::Serialize;

use self::writer::ValueWriter;
use crate::codec::depth;
use crate::value::handoff;

pub(in crate::codec) use self::name::{NameSerializer, NameWriter};
pub(in crate::codec) use self::outermost::{ArgumentWriter, Outermost};
pub(in crate::codec) use self::string::write_string;

/// Appends the arguments of `payload` to `out`, with a comma before the first one if it `follows`
/// an event's name. Returns the attachments. After an error nothing is left in `out`.
#[inline]
pub(crate) fn serialize_arguments<P: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    follows: bool,
    payload: &P,
    max_attachments: usize,
    max_depth: usize,
) -> Result<Vec<Bytes>, SerializeError> {
    let mut arguments = Arguments {
        output: Output::new(out, Some(max_attachments)),
        max_depth: depth::capped(max_depth),
        follows,
    };
    let outcome = payload.serialize(Outermost(&mut arguments));
    arguments.output.finish(outcome, out)
}

/// Appends one value without binary data to `out`. After an error nothing is left in `out`.
#[inline]
pub(crate) fn serialize_value<P: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    payload: &P,
    max_depth: usize,
) -> Result<(), SerializeError> {
    let mut output = Output::new(out, None);
    let outcome = payload.serialize(ValueWriter {
        output: &mut output,
        left: depth::capped(max_depth),
    });
    output.finish(outcome, out).map(drop)
}

/// Why a payload cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SerializeError {
    TooDeep,
    TooManyAttachments,
    /// Binary data where no packet carries any.
    Binary,
    Serde(String),
}

impl fmt::Display for SerializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::codec::EncodeError::from(self.clone()).fmt(f)
    }
}

impl std::error::Error for SerializeError {}

impl serde::ser::Error for SerializeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Serde(message.to_string())
    }
}

/// What passes through a user's type when a part of it cannot be written. As large as a pointer,
/// because every call returns a result.
#[derive(Debug)]
pub(crate) struct Failed(Box<str>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

impl serde::ser::Error for Failed {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}

/// The arguments that are being written, of which there may be any number.
struct Arguments {
    output: Output,
    max_depth: usize,
    follows: bool,
}

impl ArgumentWriter for Arguments {
    type Error = Failed;
    type Value<'a> = ValueWriter<'a>;

    #[inline]
    fn next(&mut self) -> ValueWriter<'_> {
        if std::mem::replace(&mut self.follows, true) {
            self.output.text.push(b',');
        }
        ValueWriter {
            output: &mut self.output,
            left: self.max_depth,
        }
    }
}

/// What a payload becomes.
struct Output {
    text: Vec<u8>,
    attachments: Vec<Bytes>,
    /// `None` where there is no place for any.
    max_attachments: Option<usize>,
    /// Why serialisation was broken off, unless the user's type did so. That type may have ignored
    /// or renamed the error.
    refused: Option<SerializeError>,
}

impl Output {
    /// Borrows the buffer, so that it is one step away instead of two.
    #[inline]
    fn new(out: &mut Vec<u8>, max_attachments: Option<usize>) -> Self {
        Self {
            text: std::mem::take(out),
            attachments: Vec::new(),
            max_attachments,
            refused: None,
        }
    }

    #[inline]
    fn finish(
        self,
        outcome: Result<(), Failed>,
        out: &mut Vec<u8>,
    ) -> Result<Vec<Bytes>, SerializeError> {
        if let Some(why) = self.refused {
            return Err(why);
        }
        outcome.map_err(|Failed(message)| SerializeError::Serde(message.into()))?;
        *out = self.text;
        Ok(self.attachments)
    }

    /// Keeps binary data and returns its number.
    fn attach(&mut self, data: &[u8]) -> Result<usize, Failed> {
        let Some(max_attachments) = self.max_attachments else {
            return Err(self.refuse(SerializeError::Binary));
        };
        let index = self.attachments.len();
        if index >= max_attachments {
            return Err(self.refuse(SerializeError::TooManyAttachments));
        }
        self.attachments.push(handoff::claim(data));
        Ok(index)
    }

    /// How many levels are left within one more array or object.
    #[inline]
    fn deeper(&mut self, left: usize) -> Result<usize, Failed> {
        let within = left.checked_sub(1);
        within.ok_or_else(|| self.refuse(SerializeError::TooDeep))
    }

    #[cold]
    fn refuse(&mut self, why: SerializeError) -> Failed {
        let failed = serde::ser::Error::custom(&why);
        self.refused = Some(why);
        failed
    }
}
