//! A list of arguments within a message.

use std::cell::Cell;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeSeed, SeqAccess};

use super::deserialize::{Error, ValueReader};
use super::reader::Reader;
use crate::codec::args::{ArgumentsError, clip, decode_elements};

/// Some values that follow each other in a message that was walked through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a> {
    message: &'a Bytes,
    /// Where the first one begins.
    start: usize,
    /// How many there are.
    len: usize,
}

impl<'a> List<'a> {
    pub(crate) const fn new(message: &'a Bytes, start: usize, len: usize) -> Self {
        Self {
            message,
            start,
            len,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn message(&self) -> &'a Bytes {
        self.message
    }

    pub(crate) const fn start(&self) -> usize {
        self.start
    }

    /// See [`Arguments::begins_with_member`](crate::codec::Arguments::begins_with_member). Only maps and names
    /// that are short have such a form.
    pub(crate) fn begins_with_member(&self, name: &str) -> bool {
        let rest = self.message.get(self.start..).unwrap_or_default();
        let Some((0x81..=0x8f, rest)) = rest.split_first() else {
            return false;
        };
        let Some((head @ 0xa0..=0xbf, rest)) = rest.split_first() else {
            return false;
        };
        usize::from(head & 0x1f) == name.len() && self.len > 0 && rest.starts_with(name.as_bytes())
    }

    pub(crate) fn decode<T: Deserialize<'a>>(&self, limit: usize) -> Result<T, ArgumentsError> {
        let progress = Cell::new(0);
        let elements = Elements {
            reader: Reader::new(self.message, self.start),
            left: self.len,
        };
        decode_elements(elements, limit, &progress).map_err(|error| ArgumentsError::Mismatch {
            path: clip(&format!("[{}]{}", progress.get(), error.path())),
            message: clip(error.message()),
        })
    }
}

struct Elements<'de> {
    reader: Reader<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Error;

    fn next_element_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, Error>
    where
        S: DeserializeSeed<'de>,
    {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(ValueReader(&mut self.reader)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}
