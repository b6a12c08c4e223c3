//! Arguments as JSON text, with attachments for the placeholders in it.

use std::cell::Cell;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeOwned, IgnoredAny, SeqAccess as _};

use super::{ArgumentsError, Bounds, clip, decode_elements, path};
use crate::codec::Violation;
use crate::codec::json::read::{Error, Items, Reader, untyped};

#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    /// The whole list, the event's name included.
    pub(super) list: &'a str,
    /// Where in the list the event's name ends, which was read; zero if there is none.
    pub(super) name_end: usize,
    pub(super) attachments: &'a [Bytes],
}

impl<'a> Text<'a> {
    /// See [`Arguments::begins_with_member`](super::Arguments::begins_with_member).
    pub(super) fn begins_with_member(&self, name: &str) -> bool {
        let rest = self.list.get(self.name_end..).unwrap_or_default();
        let rest = rest.trim_ascii_start();
        let rest = rest.strip_prefix(['[', ',']).unwrap_or_default();
        let rest = rest
            .trim_ascii_start()
            .strip_prefix('{')
            .unwrap_or_default();
        let rest = rest.trim_ascii_start().strip_prefix('"');
        let rest = rest.and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with('"'))
    }

    /// For types that borrow nothing, of which some are read without serde.
    pub(super) fn decode_owned<T: DeserializeOwned + 'static>(
        &self,
        bounds: Bounds,
    ) -> Result<T, ArgumentsError> {
        let limit = bounds.count;
        self.decode_by(bounds, |mut elements, progress| {
            let read = untyped(&mut elements, limit, progress);
            read.unwrap_or_else(|| decode_elements(elements, limit, progress))
        })
    }

    pub(super) fn decode<T: Deserialize<'a>>(&self, bounds: Bounds) -> Result<T, ArgumentsError> {
        self.decode_by(bounds, |elements, progress| {
            decode_elements(elements, bounds.count, progress)
        })
    }

    #[inline]
    fn decode_by<T>(
        &self,
        bounds: Bounds,
        read: impl FnOnce(Items<'_, 'a>, &Cell<usize>) -> Result<T, Error>,
    ) -> Result<T, ArgumentsError> {
        let progress = Cell::new(0);
        let mut reader = Reader::new(self.list, self.attachments).within_levels(bounds.depth);
        let elements = match self.name_end {
            0 => reader.list(),
            name_end => Ok(reader.list_behind(name_end)),
        };
        let payload = elements.and_then(|elements| read(elements, &progress));
        let whole = payload.and_then(|payload| reader.end().map(|()| payload));
        whole.map_err(|error| self.blame(&reader, &error, progress.get(), bounds))
    }

    pub(super) fn validate(&self, bounds: Bounds) -> Result<(), Violation> {
        let mut reader = Reader::new(self.list, &[]).within_levels(bounds.depth);
        let count = count(&mut reader).map_err(|error| reader.violation(&error))?;
        if count.saturating_sub(usize::from(self.has_name())) > bounds.count {
            let limit = bounds.count;
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
        bounds: Bounds,
    ) -> ArgumentsError {
        if let Some(limit) = reader.expansion() {
            return ArgumentsError::Syntax(Violation::Expansion { limit });
        }
        // What broke the protocol further on outweighs a type that did not fit before it.
        if let Err(violation) = self.validate(bounds) {
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
