//! Values that nobody asked for: read for their syntax, without recursion.

use super::{Error, Reader};

impl<'de> Reader<'de> {
    /// Reads a value for its syntax and its depth.
    pub(in crate::codec::json) fn skip(&mut self) -> Result<(), Error> {
        let mut open = Open::default();
        loop {
            match self.peek() {
                b'"' => self.skip_string()?,
                b'-' | b'0'..=b'9' => drop(self.number_text()?),
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                byte @ (b'[' | b'{') => {
                    if open.len >= self.levels {
                        return Err(Error::too_deep());
                    }
                    self.advance();
                    open.push(byte == b'{');
                    if self.peek() != open.closing() {
                        self.skip_name(&open)?;
                        continue;
                    }
                    self.advance();
                    open.pop();
                }
                _ => return Err(self.unexpected("expected a value")),
            }
            loop {
                if open.len == 0 {
                    return Ok(());
                }
                match self.peek() {
                    b',' => {
                        self.advance();
                        self.skip_name(&open)?;
                        break;
                    }
                    byte if byte == open.closing() => {
                        self.advance();
                        open.pop();
                    }
                    _ => return Err(self.unexpected("expected `,` or the end of a list or object")),
                }
            }
        }
    }

    /// The text of the next value.
    pub(super) fn skipped(&mut self) -> Result<&'de str, Error> {
        self.peek();
        let start = self.at;
        self.skip()?;
        Ok(self.slice(start, self.at))
    }

    /// Reads what stands before a value in an object, if the innermost one that is open is one.
    fn skip_name(&mut self, open: &Open) -> Result<(), Error> {
        if open.is_array() {
            return Ok(());
        }
        if self.peek() != b'"' {
            return Err(self.unexpected("expected a name"));
        }
        self.skip_string()?;
        self.colon()
    }

    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), Error> {
        if self.peek() != b':' {
            return Err(self.unexpected("expected `:`"));
        }
        self.advance();
        Ok(())
    }
}

/// The arrays and objects that have not ended: a bit for each, the innermost one lowest.
#[derive(Default)]
struct Open {
    objects: u128,
    len: usize,
}

/// A bit for each level is enough.
const _: () = assert!(crate::codec::MAX_DEPTH <= u128::BITS as usize);

impl Open {
    fn push(&mut self, is_object: bool) {
        self.objects = self.objects << 1 | u128::from(is_object);
        self.len = self.len.saturating_add(1);
    }

    fn pop(&mut self) {
        self.objects >>= 1;
        self.len = self.len.saturating_sub(1);
    }

    const fn is_array(&self) -> bool {
        self.objects & 1 == 0
    }

    const fn closing(&self) -> u8 {
        if self.is_array() { b']' } else { b'}' }
    }
}
