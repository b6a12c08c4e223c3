//! A message whose end has not arrived.

use std::borrow::Cow;

use super::decoder::{Item, Limits};
use super::deflate::Inflater;
use super::text::PartialText;
use super::violation::Violation;

/// What has arrived of a data message: fragments before this one, and pieces of this one.
#[derive(Debug)]
pub(super) struct Message {
    content: Content,
    fragments: u32,
}

#[derive(Debug)]
enum Content {
    Text(PartialText),
    Binary(Vec<u8>),
    /// Compressed, as it came.
    DeflatedText(Vec<u8>),
    /// The same.
    DeflatedBinary(Vec<u8>),
}

impl Message {
    pub(super) fn text() -> Self {
        Self {
            content: Content::Text(PartialText::default()),
            fragments: 0,
        }
    }

    pub(super) fn binary() -> Self {
        Self {
            content: Content::Binary(Vec::new()),
            fragments: 0,
        }
    }

    pub(super) fn deflated(is_text: bool) -> Self {
        let payload = Vec::new();
        Self {
            content: if is_text {
                Content::DeflatedText(payload)
            } else {
                Content::DeflatedBinary(payload)
            },
            fragments: 0,
        }
    }

    /// Checks the next fragment, of which only the header has arrived, against the limits.
    pub(super) fn begin_fragment(&mut self, len: u64, limits: Limits) -> Result<(), Violation> {
        let declared = len.saturating_add(self.len() as u64);
        let limit = limits.max_message;
        let max_payload = match self.content {
            Content::Text(_) | Content::Binary(_) => limit,
            Content::DeflatedText(_) | Content::DeflatedBinary(_) => Inflater::max_input(limit),
        };
        if declared > max_payload as u64 {
            return Err(Violation::MessageTooLarge { declared, limit });
        }
        self.fragments = self.fragments.saturating_add(1);
        let limit = limits.max_fragments;
        if limit != 0 && self.fragments > limit {
            return Err(Violation::TooManyFragments { limit });
        }
        Ok(())
    }

    /// Appends what has arrived; `to_come` is what follows it, once that is known.
    ///
    /// Memory grows with the data, not with what a header declares: it doubles like that of any
    /// vector, but not beyond the end of the message.
    pub(super) fn append(&mut self, piece: &[u8], to_come: Option<usize>) -> Result<(), Violation> {
        let len = self.len();
        let needed = len.saturating_add(piece.len());
        if let Some(to_come) = to_come
            && needed > self.capacity()
        {
            let doubled = self.capacity().saturating_mul(2);
            let end = needed.saturating_add(to_come);
            self.reserve_exact(doubled.clamp(needed, end).saturating_sub(len));
        }
        match &mut self.content {
            Content::Text(text) => text.push(piece),
            Content::Binary(data) | Content::DeflatedText(data) | Content::DeflatedBinary(data) => {
                data.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// Whether what arrives is kept as it came: a text is checked piece by piece.
    pub(super) fn is_kept_as_it_came(&self) -> bool {
        match &self.content {
            Content::Text(_) => false,
            Content::Binary(_) | Content::DeflatedText(_) | Content::DeflatedBinary(_) => true,
        }
    }

    /// What has arrived, where that is put together as it came.
    pub(super) fn payload_mut(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.content {
            Content::Text(_) => None,
            Content::Binary(data) | Content::DeflatedText(data) | Content::DeflatedBinary(data) => {
                Some(data)
            }
        }
    }

    /// The whole message, now that its last piece is there: that piece itself if it is everything,
    /// otherwise what was put together, moved out.
    pub(super) fn finish<'a>(
        mut self,
        last: &'a [u8],
        limits: Limits,
        inflater: Option<&Inflater>,
    ) -> Result<Item<'a>, Violation> {
        if self.len() > 0 {
            self.append(last, Some(0))?;
            return match self.content {
                Content::Text(text) => Ok(Item::Text(Cow::Owned(text.finish()?))),
                Content::Binary(data) => Ok(Item::Binary(Cow::Owned(data))),
                Content::DeflatedText(data) => inflate_text(&data, limits, inflater),
                Content::DeflatedBinary(data) => inflate_binary(&data, limits, inflater),
            };
        }
        match self.content {
            Content::Text(_) => str::from_utf8(last)
                .map(|text| Item::Text(Cow::Borrowed(text)))
                .map_err(|_| Violation::InvalidUtf8),
            Content::Binary(_) => Ok(Item::Binary(Cow::Borrowed(last))),
            Content::DeflatedText(_) => inflate_text(last, limits, inflater),
            Content::DeflatedBinary(_) => inflate_binary(last, limits, inflater),
        }
    }

    /// How many fragments have begun.
    pub(super) fn fragments(&self) -> u32 {
        self.fragments
    }

    pub(super) fn len(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.len(),
            Content::Binary(data) | Content::DeflatedText(data) | Content::DeflatedBinary(data) => {
                data.len()
            }
        }
    }

    pub(super) fn capacity(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.capacity(),
            Content::Binary(data) | Content::DeflatedText(data) | Content::DeflatedBinary(data) => {
                data.capacity()
            }
        }
    }

    fn reserve_exact(&mut self, additional: usize) {
        match &mut self.content {
            Content::Text(text) => text.reserve_exact(additional),
            Content::Binary(data) | Content::DeflatedText(data) | Content::DeflatedBinary(data) => {
                data.reserve_exact(additional);
            }
        }
    }
}

fn inflate_text<'a>(
    payload: &[u8],
    limits: Limits,
    inflater: Option<&Inflater>,
) -> Result<Item<'a>, Violation> {
    let data = inflate(payload, limits, inflater)?;
    let text = String::from_utf8(data).map_err(|_| Violation::InvalidUtf8)?;
    Ok(Item::Text(Cow::Owned(text)))
}

fn inflate_binary<'a>(
    payload: &[u8],
    limits: Limits,
    inflater: Option<&Inflater>,
) -> Result<Item<'a>, Violation> {
    let data = inflate(payload, limits, inflater)?;
    Ok(Item::Binary(Cow::Owned(data)))
}

fn inflate(
    payload: &[u8],
    limits: Limits,
    inflater: Option<&Inflater>,
) -> Result<Vec<u8>, Violation> {
    // No compressed message has begun without it.
    let inflater = inflater.ok_or(Violation::InvalidDeflate)?;
    inflater.inflate(payload, limits.max_message)
}
