//! Arrays and objects, element by element.

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::key::Key;
use super::{Error, Reader};

/// The elements of a list.
#[derive(Debug)]
pub(in crate::codec) struct Items<'r, 'de> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) state: State,
}

/// The entries of an object.
struct Entries<'r, 'de> {
    reader: &'r mut Reader<'de>,
    state: State,
}

const SEPARATOR: &str = "expected `,` or the end of a list or object";

/// How much of an array or an object was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    /// What opens it.
    First,
    /// Some of it.
    Later,
    /// What closes it.
    Closed,
}

impl<'de> Reader<'de> {
    /// Reads an array, at whose bracket it stands.
    #[inline]
    pub(super) fn array<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.within(|reader| {
            let mut items = Items::new(reader, State::First);
            let value = visitor.visit_seq(&mut items)?;
            let state = items.state;
            reader.close(state, b']').map(|()| value)
        })
    }

    /// Reads an object, at whose brace it stands.
    #[inline]
    pub(super) fn object<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.within(|reader| {
            let mut entries = Entries {
                reader,
                state: State::First,
            };
            let value = visitor.visit_map(&mut entries)?;
            let state = entries.state;
            reader.close(state, b'}').map(|()| value)
        })
    }

    /// Reads one level deeper, behind the byte that opens it.
    #[inline]
    pub(super) fn within<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let levels = self.levels;
        self.levels = levels.checked_sub(1).ok_or_else(Error::too_deep)?;
        self.advance();
        let outcome = read(self);
        self.levels = levels;
        outcome
    }

    /// Goes to the next element or entry, if there is one, and else behind what closes them. Behind a
    /// comma there is one: whoever reads it finds out if not.
    #[inline]
    pub(super) fn next(&mut self, state: &mut State, closing: u8) -> Result<bool, Error> {
        if *state == State::Closed {
            return Ok(false);
        }
        let byte = self.peek();
        if byte == closing {
            self.advance();
            *state = State::Closed;
            return Ok(false);
        }
        if *state == State::First {
            *state = State::Later;
            return Ok(true);
        }
        if byte != b',' {
            return Err(self.unexpected(SEPARATOR));
        }
        self.advance();
        Ok(true)
    }

    /// The same behind an element or entry, for whoever does not ask again behind the last one.
    #[inline]
    pub(super) fn goes_on(&mut self, closing: u8) -> Result<bool, Error> {
        let byte = self.peek();
        if byte != b',' && byte != closing {
            return Err(self.unexpected(SEPARATOR));
        }
        self.advance();
        Ok(byte == b',')
    }

    /// Reads what closes an array or an object, unless that was read.
    #[inline]
    fn close(&mut self, mut state: State, closing: u8) -> Result<(), Error> {
        if state != State::Closed && self.next(&mut state, closing)? {
            return Err(Error::syntax("trailing characters"));
        }
        Ok(())
    }
}

impl<'r, 'de> Items<'r, 'de> {
    pub(super) const fn new(reader: &'r mut Reader<'de>, state: State) -> Self {
        Self { reader, state }
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, Error>
    where
        S: DeserializeSeed<'de>,
    {
        if !self.reader.next(&mut self.state, b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, Error>
    where
        S: DeserializeSeed<'de>,
    {
        if !self.reader.next(&mut self.state, b'}')? {
            return Ok(None);
        }
        seed.deserialize(Key::at(self.reader)?).map(Some)
    }

    #[inline]
    fn next_value_seed<S>(&mut self, seed: S) -> Result<S::Value, Error>
    where
        S: DeserializeSeed<'de>,
    {
        self.reader.colon()?;
        seed.deserialize(&mut *self.reader)
    }
}
