//! JSON text to typed values, in one pass: what a list of arguments needs and nothing else.
//!
//! Depth is counted while reading, numbers beyond `f64` are told apart from mistakes, and where a
//! packet has attachments its placeholders become binary data on the way. What is JSON and how it
//! becomes values is otherwise as in `serde_json`, against which the tests compare.
//!
//! After an error the reader stands where it lies, which is how the path of a mismatch is found.

mod access;
mod attachments;
mod deserialize;
mod error;
mod key;
mod number;
mod skip;
mod string;
mod value;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use self::access::State;
use self::attachments::Attachments;
use crate::codec::Violation;
use crate::codec::depth::MAX_DEPTH;

pub(in crate::codec) use self::access::Items;
pub(in crate::codec) use self::error::Error;
pub(super) use self::number::Number;
pub(in crate::codec) use self::value::untyped;

/// What stands for the end of the text. As a byte of the text it is a mistake wherever it stands.
const END: u8 = 0;

/// Reads values that follow each other in a text.
#[derive(Debug)]
pub(in crate::codec) struct Reader<'de> {
    text: &'de str,
    /// The offset of the next byte, not beyond the end of the text.
    at: usize,
    /// How many arrays and objects may still be entered.
    levels: usize,
    attachments: Attachments<'de>,
}

impl<'de> Reader<'de> {
    /// At the beginning of a text whose placeholders, if there are attachments, refer to those.
    pub(in crate::codec) const fn new(text: &'de str, attachments: &'de [Bytes]) -> Self {
        Self {
            text,
            at: 0,
            levels: MAX_DEPTH,
            attachments: Attachments::new(attachments),
        }
    }

    /// The same for values that may be nested so deep, and at most [`MAX_DEPTH`].
    #[inline]
    pub(in crate::codec) const fn within_levels(mut self, levels: usize) -> Self {
        if levels < self.levels {
            self.levels = levels;
        }
        self
    }

    /// Enters a list each of whose elements may be as deep as a value.
    pub(in crate::codec) fn list(&mut self) -> Result<Items<'_, 'de>, Error> {
        if self.peek() != b'[' {
            return Err(self.unexpected("expected a list"));
        }
        self.advance();
        Ok(Items::new(self, State::First))
    }

    /// The elements of a list behind the one that ends at this offset.
    pub(in crate::codec) fn list_behind(&mut self, element_end: usize) -> Items<'_, 'de> {
        self.at = element_end.min(self.text.len());
        Items::new(self, State::Later)
    }

    /// Checks that nothing follows.
    pub(in crate::codec) fn end(&mut self) -> Result<(), Error> {
        match self.peek() {
            END if self.is_at_end() => Ok(()),
            _ => Err(Error::syntax("trailing characters")),
        }
    }

    /// Where it reads on, or where the error lies.
    pub(in crate::codec) const fn offset(&self) -> usize {
        self.at
    }

    /// This error, if the text is what the peer got wrong.
    #[cold]
    pub(in crate::codec) fn violation(&self, error: &Error) -> Violation {
        if error.is_too_deep() {
            return Violation::TooDeep;
        }
        let before = self.text.get(..self.at).unwrap_or_default();
        let line_start = before
            .rfind('\n')
            .map_or(0, |newline| newline.saturating_add(1));
        let line = before.bytes().filter(|byte| *byte == b'\n').count();
        let column = self.at.saturating_sub(line_start);
        Violation::Json(format!(
            "{error} at line {} column {column}",
            line.saturating_add(1)
        ))
    }

    /// How much of the attachments may be copied, if it was more.
    pub(in crate::codec) fn expansion(&self) -> Option<usize> {
        self.attachments.exceeded()
    }

    /// The next byte that is not white space.
    #[inline]
    pub(in crate::codec) fn peek(&mut self) -> u8 {
        loop {
            let byte = self.byte(self.at);
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return byte;
            }
            self.advance();
        }
    }

    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(END)
    }

    #[inline]
    fn slice(&self, start: usize, end: usize) -> &'de str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Behind a byte that was looked at, so it does not pass the end.
    #[inline]
    const fn advance(&mut self) {
        self.at = self.at.wrapping_add(1);
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Reads the rest of a literal, at whose first byte it stands.
    #[inline]
    fn literal(&mut self, literal: &'static str) -> Result<(), Error> {
        let end = self.at.wrapping_add(literal.len());
        if self.text.as_bytes().get(self.at..end) != Some(literal.as_bytes()) {
            return Err(self.unexpected("expected `true`, `false` or `null`"));
        }
        self.at = end;
        Ok(())
    }

    /// An error at the byte that was looked at.
    #[cold]
    fn unexpected(&self, expected: &'static str) -> Error {
        if self.is_at_end() {
            return Error::syntax("unexpected end of the text");
        }
        Error::syntax(expected)
    }
}
