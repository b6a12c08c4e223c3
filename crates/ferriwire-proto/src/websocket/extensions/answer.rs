//! A server's answer to our offer of permessage-deflate (RFC 7692 sections 5.1 and 7.1).

use super::{Offers, skip, trim};
use crate::websocket::deflate::Deflater;

/// What a client offers: no context takeover in either direction, and to keep to a smaller window if
/// it is told one.
pub const DEFLATE_OFFER: &str = "permessage-deflate; client_no_context_takeover; \
                                 server_no_context_takeover; client_max_window_bits";

/// What a server made of [`DEFLATE_OFFER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// How to compress what is sent; `None` when the server wants a smaller window than we have, so
    /// that all is sent as it is.
    pub deflater: Option<Deflater>,
}

/// A server accepted an extension that was not offered, or in a way that was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::websocket) struct NotOffered;

/// Reads the values of the server's `Sec-WebSocket-Extensions`; `None` when it accepted nothing.
/// `deflater` is that of the offer, `None` when there was none.
pub(in crate::websocket) fn read_deflate_answer<'a>(
    values: impl IntoIterator<Item = &'a str>,
    deflater: Option<Deflater>,
) -> Result<Option<Deflate>, NotOffered> {
    let mut accepted = None;
    for value in values {
        let mut answers = Offers { rest: Some(value) };
        let Some(answer) = answers.next() else {
            if without_commas(value).is_empty() {
                continue;
            }
            return Err(NotOffered);
        };
        let rest = answers.rest.unwrap_or_default();
        let is_alone = accepted.is_none() && without_commas(rest).is_empty();
        // Without `server_no_context_takeover` its messages could not be read one by one.
        if !is_alone || !answer.is_fine || !answer.server_takeover {
            return Err(NotOffered);
        }
        let own = deflater.ok_or(NotOffered)?;
        accepted = Some(Deflate {
            deflater: match answer.client_window {
                None => Some(own),
                Some(None) => return Err(NotOffered),
                Some(Some(bits)) => own.within_window(bits),
            },
        });
    }
    Ok(accepted)
}

fn without_commas(mut text: &str) -> &str {
    while let Some(rest) = skip(text, ',') {
        text = rest;
    }
    trim(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::accept_deflate;

    fn read(values: &[&str], window: u8) -> Result<Option<u8>, NotOffered> {
        let deflater = Deflater::new(0, window, 6);
        let answer = read_deflate_answer(values.iter().copied(), Some(deflater))?;
        let answer = answer.map(|answer| answer.deflater.map_or(0, Deflater::window_bits));
        Ok(answer)
    }

    #[test]
    fn an_answer_says_whether_and_how_to_compress() {
        let fine = "permessage-deflate; server_no_context_takeover";
        for (more, expected) in [
            ("", 12),
            ("; client_no_context_takeover", 12),
            ("; server_max_window_bits=8", 12),
            ("; client_max_window_bits=15", 12),
            ("; client_max_window_bits=10", 10),
            ("; client_max_window_bits=\"9\" ,", 9),
            // No compressor of ours has a window that small.
            ("; client_max_window_bits=8", 0),
        ] {
            let answer = format!("{fine}{more}");
            assert_eq!(read(&[&answer], 12), Ok(Some(expected)), "{answer}");
        }
        for nothing in [&[][..], &[""], &[" , ,"]] {
            assert_eq!(read(nothing, 12), Ok(None), "{nothing:?}");
        }
    }

    #[test]
    fn what_was_not_offered_is_refused() {
        let fine = "permessage-deflate; server_no_context_takeover";
        for answer in [
            "permessage-deflate",
            "permessage-deflate; client_no_context_takeover",
            "permessage-bzip2; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=7",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits",
            "permessage-deflate; server_no_context_takeover; unknown",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover, permessage-deflate",
            "permessage-deflate; server_no_context_takeover, @",
            "permessage-deflate; server_no_context_takeover x",
            "@",
            ";",
        ] {
            assert_eq!(read(&[answer], 12), Err(NotOffered), "{answer}");
        }
        assert_eq!(read(&[fine, fine], 12), Err(NotOffered), "twice");
        let unasked = read_deflate_answer([fine], None);
        assert_eq!(unasked, Err(NotOffered), "nothing was offered");
    }

    #[test]
    fn our_server_and_our_client_agree() {
        for (server, client, expected) in [(15, 15, 15), (9, 15, 9), (15, 9, 9), (12, 12, 12)] {
            let answer = accept_deflate([DEFLATE_OFFER], Deflater::new(0, server, 6)).unwrap();
            assert_eq!(read(&[&answer], client), Ok(Some(expected)), "{answer}");
        }
    }
}
