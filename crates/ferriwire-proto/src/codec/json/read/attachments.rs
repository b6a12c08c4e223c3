//! Gives attachments to whoever asks for bytes, for a sequence or for anything where the text has
//! placeholders.
//!
//! The decoder of packets has checked all placeholders and has put their marker first, therefore
//! the first name in an object decides what it is.

use bytes::Bytes;
use serde::de::value::SeqDeserializer;
use serde::de::{Error as _, Visitor};

use super::number::Number;
use super::{Error, Reader};
use crate::codec::json::placeholder::{INDEX, MARKER};
use crate::value::handoff;

/// By what factor arguments may be larger than the attachments that they came with.
const EXPANSION_FACTOR: usize = 4;

/// What they may copy out of small attachments at least.
const EXPANSION_FLOOR: usize = 64 * 1024;

/// The attachments of one packet, and how much of them was copied.
///
/// A placeholder is some 30 bytes, and any number of them may refer to one large attachment.
/// What shares its buffer costs nothing; the sum of the copies is limited to four times the size of
/// all attachments, or 64 KiB if that is more, give or take the last copy.
#[derive(Debug)]
pub(super) struct Attachments<'de> {
    list: &'de [Bytes],
    copied: usize,
}

impl<'de> Attachments<'de> {
    pub(super) const fn new(list: &'de [Bytes]) -> Self {
        Self { list, copied: 0 }
    }

    /// The limit on copies, if it was exceeded.
    pub(super) fn exceeded(&self) -> Option<usize> {
        let sizes = self.list.iter().map(Bytes::len);
        let size = sizes.fold(0, usize::saturating_add);
        let limit = size.saturating_mul(EXPANSION_FACTOR).max(EXPANSION_FLOOR);
        (self.copied > limit).then_some(limit)
    }

    fn count_copy(&mut self, len: usize) -> Result<(), Error> {
        self.copied = self.copied.saturating_add(len);
        match self.exceeded() {
            Some(_) => Err(Error::custom("attachments are repeated too often")),
            None => Ok(()),
        }
    }
}

impl<'de> Reader<'de> {
    /// Reads an object, at whose brace it stands, if it is a placeholder.
    #[inline]
    pub(super) fn placeholder(&mut self) -> Result<Option<&'de Bytes>, Error> {
        if self.attachments.list.is_empty() {
            return Ok(None);
        }
        let start = self.at;
        let data = self.within(Self::read_placeholder)?;
        if data.is_none() {
            self.at = start;
        }
        Ok(data)
    }

    fn read_placeholder(&mut self) -> Result<Option<&'de Bytes>, Error> {
        if self.peek() != b'"' || self.string()? != MARKER {
            return Ok(None);
        }
        self.colon()?;
        self.peek();
        self.literal("true")?;
        let mut index = None;
        loop {
            match self.peek() {
                b',' => self.advance(),
                b'}' => break,
                _ => return Err(self.unexpected("expected `,` or `}`")),
            }
            if self.peek() != b'"' {
                return Err(self.unexpected("expected a name"));
            }
            let is_index = self.string()? == INDEX;
            self.colon()?;
            match self.peek() {
                b'0'..=b'9' if is_index => index = Some(self.number()?),
                _ => self.skip()?,
            }
        }
        self.advance();
        let data = match index {
            Some(Number::Unsigned(index)) => usize::try_from(index).ok(),
            Some(Number::Signed(_) | Number::Float(_) | Number::Beyond) | None => None,
        };
        let data = data.and_then(|index| self.attachments.list.get(index));
        data.map(Some)
            .ok_or_else(|| Error::syntax("placeholder refers to no attachment"))
    }

    pub(super) fn visit_attachment<V: Visitor<'de>>(
        &mut self,
        data: &'de Bytes,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (value, is_shared) = handoff::lend(data, || visitor.visit_borrowed_bytes(data));
        if !is_shared {
            self.attachments.count_copy(data.len())?;
        }
        value
    }

    pub(super) fn visit_numbers<V: Visitor<'de>>(
        &mut self,
        data: &'de Bytes,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let value = visitor.visit_seq(SeqDeserializer::new(data.iter().copied()));
        self.attachments.count_copy(data.len())?;
        value
    }
}
