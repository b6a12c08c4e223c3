//! Arguments as JSON text, with attachments for the placeholders in it.

use std::cell::Cell;

use bytes::Bytes;
use serde::de::{Deserialize, IgnoredAny, SeqAccess as _};

use super::{ArgumentsError, clip, decode_elements, path};
use crate::codec::Violation;
use crate::codec::json::read::{Error, Reader};

#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    /// The whole list, the event's name included.
    pub(super) list: &'a str,
    /// Where in the list the event's name ends, which was read; zero if there is none.
    pub(super) name_end: usize,
    pub(super) attachments: &'a [Bytes],
}

impl<'a> Text<'a> {
    pub(super) fn decode<T: Deserialize<'a>>(&self, limit: usize) -> Result<T, ArgumentsError> {
        let progress = Cell::new(0);
        let mut reader = Reader::new(self.list, self.attachments);
        self.read(&mut reader, limit, &progress)
            .map_err(|error| self.blame(&reader, &error, progress.get(), limit))
    }

    #[inline]
    fn read<T: Deserialize<'a>>(
        &self,
        reader: &mut Reader<'a>,
        limit: usize,
        progress: &Cell<usize>,
    ) -> Result<T, Error> {
        let elements = match self.name_end {
            0 => reader.list()?,
            name_end => reader.list_behind(name_end),
        };
        let payload = decode_elements(elements, limit, progress)?;
        reader.end()?;
        Ok(payload)
    }

    pub(super) fn validate(&self, limit: usize) -> Result<(), Violation> {
        let mut reader = Reader::new(self.list, &[]);
        let count = count(&mut reader).map_err(|error| reader.violation(&error))?;
        if count.saturating_sub(usize::from(self.has_name())) > limit {
            return Err(Violation::TooManyArguments { limit });
        }
        Ok(())
    }

    pub(super) fn size(&self) -> usize {
        let attachments = self.attachments.iter().map(Bytes::len);
        attachments.fold(self.list.len(), usize::saturating_add)
    }

    const fn has_name(&self) -> bool {
        self.name_end > 0
    }

    /// Who is to blame for an error at the argument of that index: the peer or the type.
    #[cold]
    fn blame(
        &self,
        reader: &Reader<'_>,
        error: &Error,
        index: usize,
        limit: usize,
    ) -> ArgumentsError {
        if let Some(limit) = reader.expansion() {
            return ArgumentsError::Syntax(Violation::Expansion { limit });
        }
        // What broke the protocol further on outweighs a type that did not fit before it.
        if let Err(violation) = self.validate(limit) {
            return ArgumentsError::Syntax(violation);
        }
        let element = index.saturating_add(usize::from(self.has_name()));
        let within = path::path_within(self.list, element, reader.offset());
        ArgumentsError::Mismatch {
            path: clip(&format!("[{index}]{within}")),
            message: clip(&error.to_string()),
        }
    }
}

/// Reads the whole list for its syntax and its depth.
fn count(reader: &mut Reader<'_>) -> Result<usize, Error> {
    let mut elements = reader.list()?;
    let mut count = 0_usize;
    while elements.next_element::<IgnoredAny>()?.is_some() {
        count = count.saturating_add(1);
    }
    reader.end()?;
    Ok(count)
}
