//! A text that arrives in pieces and is checked as it does.

use super::violation::Violation;

/// The text received so far. Each byte is checked once, when it arrives, and no piece makes it
/// wait for the next one with bytes that cannot become UTF-8 any more.
#[derive(Debug, Default)]
pub(super) struct PartialText {
    text: String,
    cut: CutCharacter,
}

impl PartialText {
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), Violation> {
        while !self.cut.is_empty() {
            let Some((&byte, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            self.cut.push(byte);
            match str::from_utf8(self.cut.as_bytes()) {
                Ok(character) => {
                    self.text.push_str(character);
                    self.cut = CutCharacter::default();
                }
                Err(error) if error.error_len().is_some() => return Err(Violation::InvalidUtf8),
                Err(_) => {}
            }
        }
        match str::from_utf8(piece) {
            Ok(text) => self.text.push_str(text),
            Err(error) if error.error_len().is_some() => return Err(Violation::InvalidUtf8),
            Err(error) => {
                let (valid, cut) = piece
                    .split_at_checked(error.valid_up_to())
                    .unwrap_or_default();
                self.text
                    .push_str(str::from_utf8(valid).map_err(|_| Violation::InvalidUtf8)?);
                for &byte in cut {
                    self.cut.push(byte);
                }
            }
        }
        Ok(())
    }

    /// The whole text, unless it ends within a character.
    pub(super) fn finish(self) -> Result<String, Violation> {
        if self.cut.is_empty() {
            Ok(self.text)
        } else {
            Err(Violation::InvalidUtf8)
        }
    }

    /// How many bytes have arrived.
    pub(super) fn len(&self) -> usize {
        self.text.len().saturating_add(self.cut.as_bytes().len())
    }

    pub(super) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    pub(super) fn reserve_exact(&mut self, additional: usize) {
        let cut = self.cut.as_bytes().len();
        self.text.reserve_exact(additional.saturating_add(cut));
    }
}

/// The first bytes of a character whose last ones have not arrived: at most three, and a fourth
/// while they are put together.
#[derive(Debug, Default)]
struct CutCharacter {
    bytes: [u8; 4],
    len: u8,
}

impl CutCharacter {
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.len))
            .unwrap_or(&self.bytes)
    }

    fn push(&mut self, byte: u8) {
        if let Some(room) = self.bytes.get_mut(usize::from(self.len)) {
            *room = byte;
            self.len = self.len.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that become invalid with their last one, and not before.
    const BAD_SEQUENCES: [&[u8]; 13] = [
        b"\x80",
        b"\xBF",
        b"\xC0",
        b"\xC1",
        b"\xC3\x28",
        b"\xE0\x9F",
        b"\xE2\x82\x28",
        b"\xED\xA0",
        b"\xF0\x8F",
        b"\xF0\x90\x80\x28",
        b"\xF4\x90",
        b"\xF5",
        b"\xFF",
    ];

    #[test]
    fn bad_bytes_are_noticed_at_once_at_any_position_and_in_any_two_pieces() {
        let prefix = "a\u{e9}\u{20ac}\u{1F600}z".as_bytes();
        let boundaries = [0, 1, 3, 6, 10, 11];
        for bad in BAD_SEQUENCES {
            for position in boundaries {
                let bytes = [&prefix[..position], bad].concat();
                let before_last = bytes.len() - 1;
                for cut in 0..=before_last {
                    let mut text = PartialText::default();
                    assert_eq!(text.push(&bytes[..cut]), Ok(()));
                    assert_eq!(text.push(&bytes[cut..before_last]), Ok(()), "{bytes:x?}");
                    let last = text.push(&bytes[before_last..]);
                    assert_eq!(last, Err(Violation::InvalidUtf8), "{bytes:x?} cut at {cut}");
                    let mut text = PartialText::default();
                    let in_two = text
                        .push(&bytes[..cut])
                        .and_then(|()| text.push(&bytes[cut..]));
                    assert_eq!(
                        in_two,
                        Err(Violation::InvalidUtf8),
                        "{bytes:x?} cut at {cut}"
                    );
                }
            }
        }
    }

    #[test]
    fn characters_may_be_cut_anywhere_but_not_at_the_end() {
        let whole = "a\u{e9}\u{20ac}\u{1F600}z";
        let bytes = whole.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let mut text = PartialText::default();
                for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    text.push(piece).unwrap();
                }
                assert_eq!(text.len(), bytes.len());
                assert_eq!(text.finish().as_deref(), Ok(whole));
            }
            let mut text = PartialText::default();
            text.push(&bytes[..first]).unwrap();
            assert_eq!(text.finish().is_ok(), whole.is_char_boundary(first));
        }
    }
}
