//! Typed values straight out of a message. Everything that is read here was walked through before
//! (`Reader::skip`): depth and lengths are known to be sound.

use std::fmt;

use serde::de::value::SeqDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer as _,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::date;
use super::key::Key;
use super::reader::{Reader, Token};
use crate::codec::args::clip;
use crate::codec::{MAX_DEPTH, Violation};
use crate::value::handoff;

/// Why a value does not fit its type, and where it lies.
#[derive(Debug)]
pub(crate) struct Error {
    message: String,
    /// From the innermost step outwards.
    path: Vec<String>,
}

impl Error {
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn path(&self) -> String {
        self.path.iter().rev().map(String::as_str).collect()
    }

    fn within(mut self, step: impl FnOnce() -> String) -> Self {
        self.path.push(clip(&step()));
        self
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::custom(violation)
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            path: Vec::new(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Reads one value.
pub(super) struct ValueReader<'r, 'de>(pub(super) &'r mut Reader<'de>);

impl<'de> ValueReader<'_, 'de> {
    fn visit<V: Visitor<'de>>(self, token: Token<'de>, visitor: V) -> Result<V::Value, Error> {
        let reader = self.0;
        match token {
            Token::Nil | Token::Undefined => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Unsigned(value) => visitor.visit_u64(value),
            Token::Signed(value) => visitor.visit_i64(value),
            Token::Float(value) => visitor.visit_f64(value),
            Token::String(text) => visitor.visit_borrowed_str(text),
            Token::Binary(data) => match reader.share(data) {
                Some(handle) => handoff::lend(&handle, || visitor.visit_borrowed_bytes(data)).0,
                None => visitor.visit_borrowed_bytes(data),
            },
            Token::Array(len) => Items::read(reader, len, visitor),
            Token::Map(len) => Entries::read(reader, len, visitor),
            Token::Date(milliseconds) => match date::to_json(milliseconds) {
                Some(text) => visitor.visit_string(text),
                None => visitor.visit_unit(),
            },
            // As the reference gives it to a program.
            Token::Extension(kind, data) => visitor.visit_seq(Extension {
                kind: Some(kind),
                data: Some(data),
            }),
        }
    }
}

impl<'de> Deserializer<'de> for ValueReader<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let token = self.0.next()?;
        self.visit(token, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.skip(MAX_DEPTH)?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let before = *self.0;
        match self.0.next()? {
            Token::Nil | Token::Undefined => visitor.visit_none(),
            _ => {
                *self.0 = before;
                visitor.visit_some(self)
            }
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// Binary data is a sequence of numbers to whoever asks for a sequence.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.next()? {
            Token::Binary(data) => {
                let numbers = SeqDeserializer::new(data.iter().copied());
                visitor.visit_seq(numbers)
            }
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0.next()? {
            Token::String(name) => visitor.visit_enum(name.into_deserializer()),
            Token::Map(1) => {
                let name = read_key(self.0)?;
                let reader = self.0;
                let variant = Variant { name, reader };
                let step = || format!(".{name}");
                visitor
                    .visit_enum(variant)
                    .map_err(|error| error.within(step))
            }
            _ => Err(Error::custom(
                "expected the name of a variant, or a map with it",
            )),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct map struct identifier
    }
}

/// The elements of an array.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
    index: usize,
}

impl<'r, 'de> Items<'r, 'de> {
    fn read<V: Visitor<'de>>(
        reader: &'r mut Reader<'de>,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut items = Self {
            reader,
            left: len,
            index: 0,
        };
        let value = visitor.visit_seq(&mut items)?;
        all_read(items.left, len)?;
        Ok(value)
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, Error>
    where
        S: DeserializeSeed<'de>,
    {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let index = self.index;
        self.index = index.saturating_add(1);
        let value = seed.deserialize(ValueReader(self.reader));
        value
            .map(Some)
            .map_err(|error| error.within(|| format!("[{index}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The entries of a map.
struct Entries<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
    key: Option<Key<'de>>,
}

impl<'r, 'de> Entries<'r, 'de> {
    fn read<V: Visitor<'de>>(
        reader: &'r mut Reader<'de>,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut entries = Self {
            reader,
            left: len,
            key: None,
        };
        let value = visitor.visit_map(&mut entries)?;
        all_read(entries.left, len)?;
        Ok(value)
    }
}

impl<'de> MapAccess<'de> for &mut Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, Error>
    where
        S: DeserializeSeed<'de>,
    {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let key = read_key(self.reader)?;
        self.key = Some(key);
        let name = seed.deserialize(key);
        name.map(Some)
            .map_err(|error| error.within(|| format!(".{key}")))
    }

    fn next_value_seed<S>(&mut self, seed: S) -> Result<S::Value, Error>
    where
        S: DeserializeSeed<'de>,
    {
        let value = seed.deserialize(ValueReader(self.reader));
        value.map_err(|error| match self.key {
            Some(key) => error.within(|| format!(".{key}")),
            None => error,
        })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A variant and what belongs to it, in a map of one entry.
struct Variant<'r, 'de> {
    name: Key<'de>,
    reader: &'r mut Reader<'de>,
}

impl<'r, 'de> EnumAccess<'de> for Variant<'r, 'de> {
    type Error = Error;
    type Variant = ValueReader<'r, 'de>;

    fn variant_seed<S>(self, seed: S) -> Result<(S::Value, Self::Variant), Error>
    where
        S: DeserializeSeed<'de>,
    {
        Ok((seed.deserialize(self.name)?, ValueReader(self.reader)))
    }
}

impl<'de> VariantAccess<'de> for ValueReader<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.0.next()? {
            Token::Nil | Token::Undefined => Ok(()),
            _ => Err(Error::invalid_type(
                Unexpected::Other("a value"),
                &"a variant without one",
            )),
        }
    }

    fn newtype_variant_seed<S>(self, seed: S) -> Result<S::Value, Error>
    where
        S: DeserializeSeed<'de>,
    {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }
}

/// An extension that has no meaning here: its number and its data.
struct Extension<'de> {
    kind: Option<i8>,
    data: Option<&'de [u8]>,
}

impl<'de> SeqAccess<'de> for Extension<'de> {
    type Error = Error;

    fn next_element_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, Error>
    where
        S: DeserializeSeed<'de>,
    {
        if let Some(kind) = self.kind.take() {
            return seed.deserialize(kind.into_deserializer()).map(Some);
        }
        let data = self.data.take();
        data.map(|data| seed.deserialize(data.into_deserializer()))
            .transpose()
    }
}

fn read_key<'de>(reader: &mut Reader<'de>) -> Result<Key<'de>, Error> {
    Key::new(reader.key()?).ok_or_else(|| Error::custom("a name is no name"))
}

/// A visitor that stops early has found more than it can take.
fn all_read(left: usize, len: usize) -> Result<(), Error> {
    struct Fewer;

    impl Expected for Fewer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("fewer elements")
        }
    }

    if left == 0 {
        return Ok(());
    }
    Err(Error::invalid_length(len, &Fewer))
}
