//! Arguments as JSON text, with attachments for the placeholders in it.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeOwned, Deserializer as _, IgnoredAny, SeqAccess, Visitor};

use super::finite::without_infinite;
use super::restore::{Attachments, Restore};
use super::{ArgumentsError, clip, decode_elements, path};
use crate::codec::Violation;
use crate::codec::depth::{self, MAX_DEPTH};

#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    /// The whole list, the event's name included.
    pub(super) list: &'a str,
    pub(super) has_name: bool,
    pub(super) attachments: &'a [Bytes],
}

impl<'a> Text<'a> {
    pub(super) fn decode<T: DeserializeOwned>(&self, limit: usize) -> Result<T, ArgumentsError> {
        let outcome = self.decode_borrowed(limit);
        outcome.or_else(|error| self.decode_finite(limit, error))
    }

    /// Decodes again without numbers beyond `f64`, if there are any, for the parser takes offence at
    /// them whatever is asked for. If it fails again in the same place, the first error says why.
    #[cold]
    fn decode_finite<T: DeserializeOwned>(
        &self,
        limit: usize,
        first: ArgumentsError,
    ) -> Result<T, ArgumentsError> {
        let ArgumentsError::Mismatch { path, .. } = &first else {
            return Err(first);
        };
        let Some(list) = without_infinite(self.list) else {
            return Err(first);
        };
        let finite = Text {
            list: &list,
            ..*self
        };
        match finite.decode_borrowed(limit) {
            Err(ArgumentsError::Mismatch { path: again, .. }) if again == *path => Err(first),
            outcome => outcome,
        }
    }

    pub(super) fn decode_borrowed<T: Deserialize<'a>>(
        &self,
        limit: usize,
    ) -> Result<T, ArgumentsError> {
        self.check_depth().map_err(ArgumentsError::Syntax)?;
        let progress = Cell::new(0);
        let attachments = Attachments::new(self.attachments);
        let outcome = self.parse(ListVisitor {
            has_name: self.has_name,
            limit,
            progress: &progress,
            attachments: &attachments,
            payload: PhantomData,
        });
        outcome.map_err(|error| {
            if let Some(limit) = attachments.exceeded() {
                return ArgumentsError::Syntax(Violation::Expansion { limit });
            }
            // What broke the protocol further on outweighs a type that did not fit before it.
            match self.validate(limit) {
                Err(violation) => ArgumentsError::Syntax(violation),
                Ok(()) => self.mismatch(progress.get(), &error),
            }
        })
    }

    pub(super) fn validate(&self, limit: usize) -> Result<(), Violation> {
        self.check_depth()?;
        let count = self
            .parse(CountVisitor)
            .map_err(|error| Violation::Json(error.to_string()))?;
        if count.saturating_sub(usize::from(self.has_name)) > limit {
            return Err(Violation::TooManyArguments { limit });
        }
        Ok(())
    }

    pub(super) fn size(&self) -> usize {
        let attachments = self.attachments.iter().map(Bytes::len);
        attachments.fold(self.list.len(), usize::saturating_add)
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

/// Decodes what follows the event's name.
struct ListVisitor<'s, 'de, T> {
    has_name: bool,
    limit: usize,
    progress: &'s Cell<usize>,
    attachments: &'s Attachments<'de>,
    payload: PhantomData<T>,
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
            decode_elements(access, self.limit, self.progress)
        } else {
            let access = Restore::new(access, self.attachments);
            decode_elements(access, self.limit, self.progress)
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
