//! Strings: borrowed from the text, unless there are escapes in them.

use std::borrow::Cow;

use super::{END, Error, Reader};

impl<'de> Reader<'de> {
    /// Reads a string, at whose opening quote it stands.
    #[inline]
    pub(in crate::codec::json) fn string(&mut self) -> Result<Cow<'de, str>, Error> {
        match self.plain_string() {
            Some(text) => Ok(Cow::Borrowed(text)),
            None => self.escaped_string().map(Cow::Owned),
        }
    }

    /// Reads a string if there are no escapes in it. Otherwise it does not move.
    #[inline]
    pub(super) fn plain_string(&mut self) -> Option<&'de str> {
        let start = self.at.wrapping_add(1);
        let rest = self.text.get(start..)?;
        let len = plain_len(rest.as_bytes());
        if rest.as_bytes().get(len) != Some(&b'"') {
            return None;
        }
        self.at = start.wrapping_add(len).wrapping_add(1);
        rest.get(..len)
    }

    /// Reads a string in which there are escapes. A surrogate that stands alone, as where JavaScript
    /// has cut a string within a character, is no character: U+FFFD takes its place.
    #[cold]
    pub(super) fn escaped_string(&mut self) -> Result<String, Error> {
        let bytes = self.unescaped(|code| {
            let character = char::from_u32(code);
            character.unwrap_or(char::REPLACEMENT_CHARACTER).into()
        })?;
        String::from_utf8(bytes).map_err(|_| Error::syntax("invalid string"))
    }

    /// The same as bytes, where a surrogate may stand alone (in WTF-8).
    #[cold]
    pub(super) fn escaped_bytes(&mut self) -> Result<Vec<u8>, Error> {
        self.unescaped(|code| code)
    }

    /// `character` says what becomes of what an escape stands for.
    fn unescaped(&mut self, character: impl Fn(u32) -> u32) -> Result<Vec<u8>, Error> {
        let mut unescaped = Vec::new();
        self.advance();
        loop {
            let end = self.plain_end(self.at);
            unescaped.extend_from_slice(self.slice(self.at, end).as_bytes());
            self.at = end;
            match self.byte(end) {
                b'"' => {
                    self.advance();
                    return Ok(unescaped);
                }
                b'\\' => push(&mut unescaped, character(self.escape()?)),
                _ => return Err(self.not_of_a_string()),
            }
        }
    }

    /// Reads a string for its syntax.
    #[inline]
    pub(super) fn skip_string(&mut self) -> Result<(), Error> {
        match self.plain_string() {
            Some(_) => Ok(()),
            None => self.skip_escaped(),
        }
    }

    #[cold]
    fn skip_escaped(&mut self) -> Result<(), Error> {
        self.advance();
        loop {
            self.at = self.plain_end(self.at);
            match self.byte(self.at) {
                b'"' => {
                    self.advance();
                    return Ok(());
                }
                b'\\' => drop(self.escape()?),
                _ => return Err(self.not_of_a_string()),
            }
        }
    }

    /// Reads an escape, at whose backslash it stands: a character, or a lone surrogate.
    fn escape(&mut self) -> Result<u32, Error> {
        self.advance();
        let character = match self.byte(self.at) {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.code_point(),
            _ => return Err(self.unexpected("invalid escape")),
        };
        self.advance();
        Ok(character.into())
    }

    /// Reads the rest of a hexadecimal escape, and a second one if both are one character.
    fn code_point(&mut self) -> Result<u32, Error> {
        let first = self.code_unit()?;
        let behind_first = self.at;
        if (0xd800..0xdc00).contains(&first)
            && self.byte(self.at) == b'\\'
            && self.byte(self.at.wrapping_add(1)) == b'u'
        {
            self.advance();
            let second = self.code_unit()?;
            if let Some(Ok(character)) = char::decode_utf16([first, second]).next() {
                return Ok(character.into());
            }
            self.at = behind_first;
        }
        Ok(first.into())
    }

    /// Reads `u` and four digits.
    fn code_unit(&mut self) -> Result<u16, Error> {
        let mut unit = 0_u16;
        for _ in 0..4 {
            self.advance();
            let digit = char::from(self.byte(self.at)).to_digit(16);
            let digit = digit.and_then(|digit| u16::try_from(digit).ok());
            let digit = digit.ok_or_else(|| self.unexpected("invalid escape"))?;
            unit = unit << 4 | digit;
        }
        self.advance();
        Ok(unit)
    }

    #[cold]
    fn not_of_a_string(&self) -> Error {
        self.unexpected("control character in a string")
    }

    /// The end of what is plain from `start` on.
    fn plain_end(&self, start: usize) -> usize {
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        start.wrapping_add(plain_len(rest))
    }
}

/// How many bytes need no attention: up to a quote, a backslash, a control character, or the end.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    // Most names and many values are shorter than that.
    if let Some((word, rest)) = bytes.split_first_chunk() {
        return match first_special(*word) {
            Some(at) => at,
            None => long_plain_len(rest).wrapping_add(8),
        };
    }
    long_plain_len(bytes)
}

#[inline(never)]
fn long_plain_len(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    let mut len = 0_usize;
    for word in words {
        if let Some(at) = first_special(*word) {
            return len.wrapping_add(at);
        }
        len = len.wrapping_add(8);
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | END..0x20);
    len.wrapping_add(rest.iter().position(is_special).unwrap_or(rest.len()))
}

/// The place of the first quote, backslash or control character.
#[inline]
fn first_special(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    let word = u64::from_le_bytes(word);
    // A subtraction sets the high bit of every byte that it makes negative. It borrows from the bytes
    // behind those, so only the lowest bit is sure. The first one exchanges the quote and the space
    // before, and so finds the quote among the control characters.
    let controls = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslashes = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let special = (controls | backslashes) & !word & (ONES * 0x80);
    (special != 0).then_some((special.trailing_zeros() / 8) as usize)
}

/// Appends a character in UTF-8, or a surrogate in the same manner.
fn push(bytes: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None => {
            let six_bits = |shift: u32| (code >> shift & 0x3f) as u8 | 0x80;
            bytes.extend_from_slice(&[0xed, six_bits(6), six_bits(0)]);
        }
    }
}
