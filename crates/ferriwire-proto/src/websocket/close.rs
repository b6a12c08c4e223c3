//! The payload of a close frame (RFC 6455 sections 5.5.1 and 7.4).

use super::Violation;
use super::frame::Header;

/// Why an endpoint closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// The status code, of those that may be on the wire when it was received.
    pub code: u16,
    /// A text for logs, often empty.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// Reads a payload; an empty one gives no reason at all.
    pub(super) fn decode(payload: &'a [u8]) -> Result<Option<Self>, Violation> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return if payload.is_empty() {
                Ok(None)
            } else {
                Err(Violation::CloseCodeIncomplete)
            };
        };
        let code = u16::from_be_bytes(*code);
        if !may_be_sent(code) {
            return Err(Violation::CloseCodeInvalid(code));
        }
        let reason = str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
        Ok(Some(Self { code, reason }))
    }

    /// The payload to send, with as many characters of the reason as a control frame can carry.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let code = self.code.to_be_bytes();
        let room = Header::MAX_CONTROL.saturating_sub(code.len());
        let end = self.reason.floor_char_boundary(room);
        let reason = self.reason.get(..end).unwrap_or_default();
        [&code, reason.as_bytes()].concat()
    }
}

/// The codes registered for use on the wire, those of libraries and those of applications.
/// 1004 is reserved; 1005, 1006 and 1015 stand for what never is a close frame.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_no_endpoint_may_send_are_violations() {
        let valid = |code: u16| CloseFrame::decode(&code.to_be_bytes()).is_ok();
        for code in [
            0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535,
        ] {
            assert!(!valid(code), "{code}");
        }
        for code in [
            1000, 1001, 1002, 1003, 1007, 1010, 1011, 1014, 3000, 3999, 4000, 4999,
        ] {
            assert!(valid(code), "{code}");
        }
    }

    #[test]
    fn payloads_are_nothing_or_a_code_with_a_text() {
        let check = |payload: &[u8], expected| assert_eq!(CloseFrame::decode(payload), expected);
        check(b"", Ok(None));
        check(b"\x03", Err(Violation::CloseCodeIncomplete));
        let (code, reason) = (1001, "bye");
        check(b"\x03\xE9bye", Ok(Some(CloseFrame { code, reason })));
        check(b"\x03\xE9\xFF", Err(Violation::InvalidUtf8));
        check(b"\x03\xE9\xE2\x82", Err(Violation::InvalidUtf8));
    }

    #[test]
    fn a_reason_that_is_too_long_is_cut_between_characters() {
        let reason = "\u{20AC}".repeat(60);
        let payload = CloseFrame {
            code: 1008,
            reason: &reason,
        }
        .encode();
        assert_eq!(payload.len(), 2 + 41 * 3);
        let decoded = CloseFrame::decode(&payload).unwrap().unwrap();
        assert_eq!(decoded.code, 1008);
        assert!(reason.starts_with(decoded.reason));
    }
}
