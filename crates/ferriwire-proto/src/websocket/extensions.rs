//! Negotiating permessage-deflate (RFC 6455 section 9.1, RFC 7692 sections 5 and 7.1).

mod answer;

use std::fmt::Write as _;

use super::deflate::Deflater;

pub(super) use answer::read_deflate_answer;
pub use answer::{DEFLATE_OFFER, Deflate};

/// The name of the extension.
const NAME: &str = "permessage-deflate";

/// The value of `Sec-WebSocket-Extensions` that accepts the first offer which a server can keep to,
/// without context takeover in either direction; `None` when there is none.
///
/// `values` are those of the client's headers of that name, in order. Offers of other extensions, those
/// with a parameter that is unknown, doubled or invalid, and those that demand a smaller window than
/// ours are passed over; behind what breaks the grammar nothing is read.
#[must_use]
pub fn accept_deflate<'a>(
    values: impl IntoIterator<Item = &'a str>,
    deflater: Deflater,
) -> Option<String> {
    let own = deflater.window_bits();
    let offer = values
        .into_iter()
        .flat_map(|value| Offers { rest: Some(value) })
        .find(|offer| offer.is_fine && offer.server_window.is_none_or(|bits| bits >= own))?;
    let mut answer = format!("{NAME}; server_no_context_takeover; client_no_context_takeover");
    // Writing to a string cannot fail.
    if offer.server_window.is_some() {
        let _ = write!(answer, "; server_max_window_bits={own}");
    }
    if let Some(theirs) = offer.client_window {
        let bits = theirs.map_or(own, |bits| bits.min(own));
        let _ = write!(answer, "; client_max_window_bits={bits}");
    }
    Some(answer)
}

/// What one offer asks for.
#[derive(Debug, Default)]
struct Offer {
    /// It is one of permessage-deflate, with valid parameters, none of them twice.
    is_fine: bool,
    server_takeover: bool,
    client_takeover: bool,
    /// The largest window that the client takes.
    server_window: Option<u8>,
    /// The client can be told a window; with a value it will not use a larger one anyway.
    client_window: Option<Option<u8>>,
}

impl Offer {
    /// Notes a parameter; `false` when it makes the offer invalid.
    fn note(&mut self, name: &str, value: Option<&str>) -> bool {
        let bits = value.map(window_bits);
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("server_no_context_takeover") {
            value.is_none() && !std::mem::replace(&mut self.server_takeover, true)
        } else if is("client_no_context_takeover") {
            value.is_none() && !std::mem::replace(&mut self.client_takeover, true)
        } else if is("server_max_window_bits") {
            let Some(Some(bits)) = bits else { return false };
            self.server_window.replace(bits).is_none()
        } else if is("client_max_window_bits") {
            let bits = match bits {
                Some(None) => return false,
                Some(bits) => bits,
                None => None,
            };
            self.client_window.replace(bits).is_none()
        } else {
            false
        }
    }
}

/// From 8 to 15, without a leading zero.
fn window_bits(value: &str) -> Option<u8> {
    match value {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}

/// The offers in one header value, in order.
#[derive(Debug)]
struct Offers<'a> {
    /// `None` behind the last, and behind what is none.
    rest: Option<&'a str>,
}

impl Iterator for Offers<'_> {
    type Item = Offer;

    fn next(&mut self) -> Option<Offer> {
        // Elements of a list may be empty (RFC 9110, section 5.6.1).
        let mut rest = self.rest.take()?;
        while let Some(behind) = skip(rest, ',') {
            rest = behind;
        }
        let (name, mut rest) = token(rest)?;
        let mut offer = Offer {
            is_fine: name.eq_ignore_ascii_case(NAME),
            ..Offer::default()
        };
        while let Some(behind) = skip(rest, ';') {
            let (name, behind) = token(behind)?;
            let (value, behind) = match skip(behind, '=') {
                Some(behind) => value(behind).map(|(value, behind)| (Some(value), behind))?,
                None => (None, behind),
            };
            offer.is_fine = offer.is_fine && offer.note(name, value);
            rest = behind;
        }
        match skip(rest, ',') {
            Some(behind) => self.rest = Some(behind),
            None if trim(rest).is_empty() => {}
            None => return None,
        }
        Some(offer)
    }
}

fn trim(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// What stands behind `sign`, if that is next.
fn skip(text: &str, sign: char) -> Option<&str> {
    trim(text).strip_prefix(sign)
}

/// The token at the beginning, and what stands behind it (RFC 9110, section 5.6.2).
fn token(text: &str) -> Option<(&str, &str)> {
    let text = trim(text);
    let is_part = |sign: char| sign.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(sign);
    let end = text.find(|sign| !is_part(sign)).unwrap_or(text.len());
    text.split_at_checked(end)
        .filter(|(token, _)| !token.is_empty())
}

/// A token, which may be quoted. No value that means something needs a character escaped, so one with
/// a backslash is left as it is.
fn value(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = skip(text, '"') else {
        return token(text);
    };
    let mut escaped = false;
    let end = quoted.find(|sign| {
        let ends = sign == '"' && !escaped;
        escaped = sign == '\\' && !escaped;
        ends
    })?;
    let (value, behind) = quoted.split_at_checked(end)?;
    Some((value, behind.strip_prefix('"')?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(values: &[&str], window: u8) -> Option<String> {
        let deflater = Deflater::new(0, window, 6);
        accept_deflate(values.iter().copied(), deflater)
    }

    const PLAIN: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn every_offer_is_answered_without_context_takeover_and_within_our_window() {
        let both = "; server_max_window_bits=12; client_max_window_bits=12";
        for (offer, more) in [
            ("permessage-deflate", ""),
            ("Permessage-Deflate", ""),
            (
                "permessage-deflate; client_max_window_bits",
                "; client_max_window_bits=12",
            ),
            (
                "permessage-deflate; client_max_window_bits=15",
                "; client_max_window_bits=12",
            ),
            (
                "permessage-deflate; client_max_window_bits=10",
                "; client_max_window_bits=10",
            ),
            (
                "permessage-deflate; client_max_window_bits=8",
                "; client_max_window_bits=8",
            ),
            (
                "permessage-deflate; server_max_window_bits=12",
                "; server_max_window_bits=12",
            ),
            (
                "permessage-deflate; server_max_window_bits=15",
                "; server_max_window_bits=12",
            ),
            (
                "permessage-deflate;server_max_window_bits=\"13\"",
                "; server_max_window_bits=12",
            ),
            (
                "permessage-deflate ;\tClient_Max_Window_Bits ; server_max_window_bits = 15",
                both,
            ),
            (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                "",
            ),
            (",, permessage-deflate ,", ""),
            // The first that can be kept to.
            ("x-webkit-deflate-frame, permessage-deflate", ""),
            ("foo; bar=\"a, b; \\\" c\", permessage-deflate", ""),
            (
                "permessage-deflate; server_max_window_bits=10, permessage-deflate",
                "",
            ),
            (
                "permessage-deflate; client_max_window_bits; server_max_window_bits=10, \
                 permessage-deflate; client_max_window_bits",
                "; client_max_window_bits=12",
            ),
        ] {
            let expected = format!("{PLAIN}{more}");
            assert_eq!(answer(&[offer], 12).as_deref(), Some(&*expected), "{offer}");
        }
    }

    #[test]
    fn an_offer_that_is_not_valid_is_passed_over() {
        for parameters in [
            "constructor",
            "__proto__",
            "unknown=1",
            "server_no_context_takeover=1",
            "client_no_context_takeover=\"\"",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover; client_no_context_takeover",
            "client_max_window_bits; client_max_window_bits=10",
            "server_max_window_bits=12; server_max_window_bits=12",
            "server_max_window_bits",
            "server_max_window_bits=",
            "server_max_window_bits=\"\"",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=012",
            "server_max_window_bits=+12",
            "server_max_window_bits=12.0",
            "server_max_window_bits=\"1\\2\"",
            "server_max_window_bits=99999999999999999999",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=0",
            // Valid, but smaller than ours.
            "server_max_window_bits=8",
            "server_max_window_bits=11",
        ] {
            let offer = format!("permessage-deflate; {parameters}");
            assert_eq!(answer(&[&offer], 12), None, "{offer}");
            let second = answer(&[&offer, "permessage-deflate"], 12);
            assert_eq!(second.as_deref(), Some(PLAIN), "{offer}");
        }
        for broken in [
            "",
            ",",
            ";",
            "permessage-deflate;",
            "permessage-deflate; =1",
            "permessage-deflate x",
            "permessage-deflate; a=\"",
            "\"permessage-deflate\"",
            "permessage-deflate; client_max_window_bits=\"10",
            "permessage-deflate/1",
            "permessage-bzip2",
            "perm\u{e9}ssage-deflate",
        ] {
            assert_eq!(answer(&[broken], 12), None, "{broken}");
        }
    }

    #[test]
    fn a_smaller_window_is_kept_to_when_ours_is_as_small() {
        let offer = "permessage-deflate; server_max_window_bits=9";
        assert_eq!(answer(&[offer], 10), None);
        let expected = format!("{PLAIN}; server_max_window_bits=9");
        assert_eq!(answer(&[offer], 9), Some(expected.clone()));
        // There is no compressor for 8: it becomes 9, which such a client does not take.
        assert_eq!(answer(&[offer], 8), Some(expected));
        assert_eq!(
            answer(&["permessage-deflate; server_max_window_bits=8"], 8),
            None
        );
    }

    proptest! {
        /// Whatever a client writes, the answer is one of those that we can keep to.
        #[test]
        fn whatever_is_offered_the_answer_is_ours(
            parts in prop::collection::vec(
                prop::sample::select(&["permessage-deflate", "server_max_window_bits", "=", ";", ",",
                    "client_max_window_bits", "client_no_context_takeover", "\"", "\\", " ", "\t", "7",
                    "8", "12", "16", "\u{e9}", "\0", "x", "__proto__"][..]),
                0..40,
            ),
            any in ".*",
        ) {
            for value in [parts.concat(), any] {
                if let Some(answer) = answer(&[&value], 12) {
                    let rest = answer.strip_prefix(PLAIN).unwrap();
                    let rest = rest.strip_prefix("; server_max_window_bits=12").unwrap_or(rest);
                    let rest = rest.strip_prefix("; client_max_window_bits=").unwrap_or(rest);
                    prop_assert!(rest.is_empty() || (8..=12).contains(&rest.parse::<u8>().unwrap()));
                }
            }
        }
    }
}
