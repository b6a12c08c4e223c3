//! Packets and polling bodies as clients of revision 3 write them (1.2).
//!
//! The types of packets are those of revision 4. What differs is how binary data is marked, and how
//! several packets share a polling body: each stands behind its length. That is counted in UTF-16 code
//! units in a text body, because JavaScript does, and in bytes in a binary one.
//!
//! Lengths come from strangers. A length is looked at before what it measures, has a bounded number of
//! digits, and every byte of a body is passed once.

use std::borrow::Cow;
use std::iter::FusedIterator;

use bytes::Bytes;

use super::Message;
use super::packet::{Packet, ParseError, decode_base64};

/// How many digits a length may have. The reference takes 310; no body is that long.
const MAX_DIGITS: usize = 16;

/// Ends the length in a binary body.
const END_OF_LENGTH: u8 = 0xFF;

/// The type of a message as a number, in binary packets.
const MESSAGE: u8 = 4;

/// Reads a packet from a text frame, or from one part of a polling body. A binary message is `b4` and
/// base64.
///
/// # Errors
///
/// As [`Packet::decode`]. Binary data in a packet that is no message is refused; no client sends that.
pub fn decode_text(text: &str) -> Result<Packet<'_>, ParseError> {
    let Some(binary) = text.strip_prefix('b') else {
        return Packet::decode(text);
    };
    match binary.strip_prefix('4') {
        Some(data) => decode_base64(data),
        None => {
            let unknown = binary.chars().next();
            Err(unknown.map_or(ParseError::Empty, ParseError::UnknownType))
        }
    }
}

/// Reads a packet from a binary frame, or from a binary part of a polling body: the type as a number,
/// then the data.
///
/// # Errors
///
/// There is no type, or it is not that of a message.
pub fn decode_binary(mut data: Bytes) -> Result<Packet<'static>, ParseError> {
    match data.first() {
        Some(&MESSAGE) => {
            let data = data.split_off(1);
            Ok(Packet::Message(Message::Binary(data)))
        }
        Some(&other) => Err(ParseError::UnknownType(char::from(other))),
        None => Err(ParseError::Empty),
    }
}

/// The packets of a polling body, in order.
///
/// As [`Payload`](super::payload::Payload) it ends behind the first error, and an empty body is one.
/// Packets without anything, not even a type, are skipped, as the reference does.
#[derive(Clone, Debug)]
pub struct Payload<'a> {
    rest: Rest<'a>,
    limit: usize,
    /// How many packets may still come.
    left: usize,
}

/// What is not decoded yet.
#[derive(Clone, Debug)]
enum Rest<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    End,
}

/// One part of a body, without its length.
enum Part<'a> {
    Text(&'a str),
    /// Text that is not UTF-8 everywhere.
    Broken(&'a [u8]),
    Binary(&'a [u8]),
}

impl<'a> Payload<'a> {
    /// Begins to decode a text body that may hold up to `max_packets` packets.
    #[must_use]
    pub fn of_text(body: &'a str, max_packets: usize) -> Self {
        Self::new(Rest::Text(body), max_packets)
    }

    /// Begins to decode a body of the type `application/octet-stream`.
    #[must_use]
    pub fn of_binary(body: &'a [u8], max_packets: usize) -> Self {
        Self::new(Rest::Binary(body), max_packets)
    }

    fn new(rest: Rest<'a>, limit: usize) -> Self {
        let left = limit;
        Self { rest, limit, left }
    }

    /// Whether so many packets are allowed as there are, which may be asked before the first of them is
    /// decoded. A body that is shorter than the limit is not looked at; of another one the lengths are
    /// walked along, and what is wrong with them is left to be found when the packets are decoded.
    #[must_use]
    pub fn is_within_limit(&self) -> bool {
        let mut walk = self.clone();
        if walk.rest.len() < walk.left {
            return true;
        }
        while !matches!(walk.rest, Rest::End) {
            match walk.next_part() {
                Ok(_) => {}
                Err(error) => return !matches!(error, ParseError::TooManyPackets { .. }),
            }
        }
        true
    }

    /// How many bytes at the end of the body are not decoded yet; `None` when it is done. Whoever
    /// decodes these bytes gets what would come here.
    #[must_use]
    pub fn undecoded(&self) -> Option<usize> {
        match self.rest {
            Rest::Text(_) | Rest::Binary(_) => Some(self.rest.len()),
            Rest::End => None,
        }
    }

    fn next_part(&mut self) -> Result<Part<'a>, ParseError> {
        self.left = self.left.checked_sub(1).ok_or({
            let limit = self.limit;
            ParseError::TooManyPackets { limit }
        })?;
        let (part, rest) = match self.rest {
            Rest::Text(body) => {
                let (text, rest) = split_text(body)?;
                (Part::Text(text), Rest::Text(rest))
            }
            Rest::Binary(body) => {
                let (part, rest) = split_binary(body)?;
                (part, Rest::Binary(rest))
            }
            Rest::End => return Err(ParseError::Empty),
        };
        self.rest = if rest.is_empty() { Rest::End } else { rest };
        Ok(part)
    }
}

impl<'a> Iterator for Payload<'a> {
    type Item = Result<Packet<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !matches!(self.rest, Rest::End) {
            let decoded = match self.next_part() {
                Ok(part) if part.is_empty() => continue,
                Ok(part) => part.decode(),
                Err(error) => Err(error),
            };
            if decoded.is_err() {
                self.rest = Rest::End;
            }
            return Some(decoded);
        }
        None
    }
}

impl FusedIterator for Payload<'_> {}

impl Rest<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Text(body) => body.len(),
            Self::Binary(body) => body.len(),
            Self::End => 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> Part<'a> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Broken(data) | Self::Binary(data) => data.is_empty(),
        }
    }

    fn decode(self) -> Result<Packet<'a>, ParseError> {
        match self {
            Self::Text(text) => decode_text(text),
            Self::Binary(data) => decode_binary(Bytes::copy_from_slice(data)),
            // Half a surrogate pair in a string: JavaScript can hold it, and old clients send it.
            Self::Broken([b'4', message @ ..]) => {
                let message = String::from_utf8_lossy(message).into_owned();
                Ok(Packet::Message(Message::Text(Cow::Owned(message))))
            }
            Self::Broken(_) => Err(ParseError::Utf8),
        }
    }
}

/// Takes `<length>:<packet>` from the beginning.
fn split_text(body: &str) -> Result<(&str, &str), ParseError> {
    if body.is_empty() {
        return Err(ParseError::Empty);
    }
    let digits = body.bytes().take(MAX_DIGITS.saturating_add(1));
    let end = digits
        .inspect(|_| steps::count())
        .position(|byte| byte == b':')
        .ok_or(ParseError::Length)?;
    let (digits, rest) = body.split_at_checked(end).ok_or(ParseError::Length)?;
    let length = parse_length(digits.bytes())?;
    let rest = rest.strip_prefix(':').ok_or(ParseError::Length)?;
    split_units(rest, length).ok_or(ParseError::Length)
}

/// Splits behind so many UTF-16 code units: not within a character, and not behind the end.
fn split_units(text: &str, units: usize) -> Option<(&str, &str)> {
    // A code unit takes at least one byte.
    if units > text.len() {
        return None;
    }
    let mut left = units;
    let mut end: usize = 0;
    for char in text.chars() {
        if left == 0 {
            break;
        }
        steps::count();
        left = left.checked_sub(char.len_utf16())?;
        end = end.saturating_add(char.len_utf8());
    }
    (left == 0).then(|| text.split_at_checked(end)).flatten()
}

/// Takes `<0 or 1><length><255><packet>` from the beginning.
fn split_binary(body: &[u8]) -> Result<(Part<'_>, &[u8]), ParseError> {
    let (kind, rest) = body.split_first().ok_or(ParseError::Empty)?;
    let digits = rest.iter().take(MAX_DIGITS.saturating_add(1));
    let end = digits
        .inspect(|_| steps::count())
        .position(|byte| *byte == END_OF_LENGTH)
        .ok_or(ParseError::Length)?;
    let (digits, rest) = rest.split_at_checked(end).ok_or(ParseError::Length)?;
    let digits = digits.iter().map(|digit| digit.saturating_add(b'0'));
    let length = parse_length(digits)?;
    let (_, rest) = rest.split_first().ok_or(ParseError::Length)?;
    let (data, rest) = rest.split_at_checked(length).ok_or(ParseError::Length)?;
    let part = match (kind, std::str::from_utf8(data)) {
        (0, Ok(text)) => Part::Text(text),
        (0, Err(_)) => Part::Broken(data),
        (1, _) => Part::Binary(data),
        (kind, _) => return Err(ParseError::UnknownType(char::from(*kind))),
    };
    Ok((part, rest))
}

/// The number that these ASCII digits stand for; there have to be some, and not more than
/// [`MAX_DIGITS`].
fn parse_length(digits: impl Iterator<Item = u8>) -> Result<usize, ParseError> {
    let mut length = None;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(ParseError::Length);
        }
        let digit = usize::from(digit.saturating_sub(b'0'));
        let shifted = length.unwrap_or(0_usize).checked_mul(10);
        let next = shifted.and_then(|shifted| shifted.checked_add(digit));
        length = Some(next.ok_or(ParseError::Length)?);
    }
    length.ok_or(ParseError::Length)
}

/// Counts, in tests, how many characters and digits were looked at.
mod steps {
    #[cfg(test)]
    std::thread_local! {
        static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    #[inline]
    pub(super) fn count() {
        #[cfg(test)]
        STEPS.set(STEPS.get() + 1);
    }

    #[cfg(test)]
    pub(super) fn take() -> usize {
        STEPS.take()
    }
}

#[cfg(test)]
mod tests;
