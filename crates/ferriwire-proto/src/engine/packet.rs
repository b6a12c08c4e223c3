//! The seven packet types, as text (1.1.2).
//!
//! A packet is one character for its type and then its data. What is sent is built elsewhere, in
//! its final form: [`crate::encoded`] and [`super::queue`].

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::Message;

/// A packet, whatever the revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0` and a JSON object: the server accepts the session.
    Open(&'a str),
    /// `1`: the sender ends the session.
    Close,
    /// `2`: the server asks for a pong, or a client probes a candidate with `2probe`.
    Ping(&'a str),
    /// `3`: the answer to a ping, with the same data.
    Pong(&'a str),
    /// `4` and text, or binary data.
    Message(Message<'a>),
    /// `5`: the candidate becomes the transport.
    Upgrade,
    /// `6`: nothing, so that a waiting poll can be answered.
    Noop,
}

impl<'a> Packet<'a> {
    /// Reads a packet from a text frame or from one part of a polling body.
    ///
    /// `b` and base64 are a binary message on every transport. Data behind the types that have none
    /// is ignored, as the reference does.
    ///
    /// # Errors
    ///
    /// The text is empty, or its type is unknown, or its base64 is not what the standard alphabet
    /// with padding yields.
    #[inline]
    pub fn decode(text: &'a str) -> Result<Self, ParseError> {
        match text.strip_prefix('4') {
            Some(data) => Ok(Self::Message(Message::Text(Cow::Borrowed(data)))),
            None => Self::decode_other(text),
        }
    }

    /// Reads a packet that is no message of text.
    #[inline(never)]
    fn decode_other(text: &'a str) -> Result<Self, ParseError> {
        let first = text.chars().next().ok_or(ParseError::Empty)?;
        let data = text.get(first.len_utf8()..).unwrap_or_default();
        match first {
            '0' => Ok(Self::Open(data)),
            '1' => Ok(Self::Close),
            '2' => Ok(Self::Ping(data)),
            '3' => Ok(Self::Pong(data)),
            '5' => Ok(Self::Upgrade),
            '6' => Ok(Self::Noop),
            'b' => decode_base64(data),
            unknown => Err(ParseError::UnknownType(unknown)),
        }
    }
}

/// A binary message from its base64.
pub(super) fn decode_base64(data: &str) -> Result<Packet<'_>, ParseError> {
    let bytes = STANDARD.decode(data).map_err(|_| ParseError::Base64)?;
    Ok(Packet::Message(Message::Binary(Bytes::from(bytes))))
}

/// Why something is not a packet, or not a payload of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// There is no packet type.
    Empty,
    /// No packet type looks like that.
    UnknownType(char),
    /// The data of a binary message is not base64.
    Base64,
    /// The length in front of a packet of revision 3 is not one, or not the length of what follows.
    Length,
    /// The text of a packet is not UTF-8.
    Utf8,
    /// One polling body carries more packets than are allowed.
    TooManyPackets {
        /// How many are allowed.
        limit: usize,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("packet is empty"),
            Self::UnknownType(unknown) => write!(f, "packet type {unknown:?} is unknown"),
            Self::Base64 => f.write_str("binary message is not base64"),
            Self::Length => f.write_str("length of a packet is wrong"),
            Self::Utf8 => f.write_str("text of a packet is not UTF-8"),
            Self::TooManyPackets { limit } => {
                write!(f, "payload has more packets than the limit of {limit}")
            }
        }
    }
}

impl std::error::Error for ParseError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(data: &str) -> Packet<'_> {
        Packet::Message(Message::Text(Cow::Borrowed(data)))
    }

    fn binary(data: &'static [u8]) -> Packet<'static> {
        Packet::Message(Message::Binary(Bytes::from_static(data)))
    }

    #[test]
    fn every_type_is_decoded() {
        for (input, expected) in [
            ("0{\"sid\":\"x\"}", Packet::Open("{\"sid\":\"x\"}")),
            ("1", Packet::Close),
            ("2", Packet::Ping("")),
            ("2probe", Packet::Ping("probe")),
            ("3", Packet::Pong("")),
            ("3probe", Packet::Pong("probe")),
            ("4", text("")),
            ("4hello", text("hello")),
            ("44", text("4")),
            (
                "4utf-8 \u{2014} string \u{1f600}",
                text("utf-8 \u{2014} string \u{1f600}"),
            ),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
            ("1data", Packet::Close),
            ("5data", Packet::Upgrade),
            ("6data", Packet::Noop),
            ("b", binary(&[])),
            ("bAQIDBA==", binary(&[1, 2, 3, 4])),
            ("b+/+/", binary(&[0xfb, 0xff, 0xbf])),
        ] {
            assert_eq!(Packet::decode(input), Ok(expected), "{input:?}");
        }
    }

    #[test]
    fn what_is_not_a_packet_is_refused() {
        for (input, expected) in [
            ("", ParseError::Empty),
            ("7", ParseError::UnknownType('7')),
            ("abc", ParseError::UnknownType('a')),
            (" 4", ParseError::UnknownType(' ')),
            ("\u{0}", ParseError::UnknownType('\u{0}')),
            ("\u{1f600}4", ParseError::UnknownType('\u{1f600}')),
            ("\u{664}", ParseError::UnknownType('\u{664}')),
        ] {
            assert_eq!(Packet::decode(input), Err(expected), "{input:?}");
        }
    }

    #[test]
    fn base64_must_be_standard_and_padded() {
        for input in [
            "bAQIDBA", "bAQIDBA=", "b-_-_", "b=", "bA", "bAQ ==", "bAR==", "b\u{e9}",
        ] {
            assert_eq!(Packet::decode(input), Err(ParseError::Base64), "{input:?}");
        }
    }

    #[test]
    fn errors_name_what_was_found_and_the_limit() {
        for (error, expected) in [
            (ParseError::Empty, "packet is empty"),
            (ParseError::Base64, "binary message is not base64"),
            (ParseError::Length, "length of a packet is wrong"),
            (ParseError::Utf8, "text of a packet is not UTF-8"),
            (
                ParseError::UnknownType('\n'),
                "packet type '\\n' is unknown",
            ),
            (
                ParseError::TooManyPackets { limit: 3 },
                "payload has more packets than the limit of 3",
            ),
        ] {
            assert_eq!(error.to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_decoded_or_refused_by_its_first_character(input in ".*") {
            let known = input.starts_with(['0', '1', '2', '3', '4', '5', '6']);
            let decoded = Packet::decode(&input);
            if !input.starts_with('b') {
                prop_assert_eq!(decoded.is_ok(), known);
            }
        }

        #[test]
        fn base64_round_trips(data: Vec<u8>) {
            let input = format!("b{}", STANDARD.encode(&data));
            let expected = Packet::Message(Message::Binary(Bytes::from(data)));
            prop_assert_eq!(Packet::decode(&input), Ok(expected));
        }
    }
}
