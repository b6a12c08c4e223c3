//! Names of entries: strings, in which types other than text look for themselves.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{Deserializer, Error as _, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::{Error, Reader};

/// A name that is about to be read: the reader stands at its quote.
pub(super) struct Key<'r, 'de>(&'r mut Reader<'de>);

impl<'r, 'de> Key<'r, 'de> {
    #[inline]
    pub(super) fn at(reader: &'r mut Reader<'de>) -> Result<Self, Error> {
        if reader.peek() != b'"' {
            return Err(reader.unexpected("expected a name"));
        }
        Ok(Self(reader))
    }

    /// A number in quotes, without escapes.
    fn number(self) -> Result<Reader<'de>, Error> {
        if let Cow::Borrowed(name) = self.0.string()?
            && name.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        {
            return Ok(Reader::new(name, &[]));
        }
        Err(Error::custom(
            "invalid value: expected key to be a number in quotes",
        ))
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let mut name = self.number()?;
            let value = name.$method(visitor)?;
            if !name.is_at_end() {
                return Err(Error::custom("invalid value: expected nothing behind the number"));
            }
            Ok(value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_, 'de> {
    type Error = Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.visit_string(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.string()? {
            Cow::Borrowed("true") => visitor.visit_bool(true),
            Cow::Borrowed("false") => visitor.visit_bool(false),
            name @ (Cow::Borrowed(_) | Cow::Owned(_)) => {
                Err(Error::invalid_type(Unexpected::Str(&name), &visitor))
            }
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_bytes(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.0.is_raw_value(name) {
            return self.0.raw_value(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0.string()? {
            Cow::Borrowed(name) => visitor.visit_enum(BorrowedStrDeserializer::new(name)),
            Cow::Owned(name) => visitor.visit_enum(StringDeserializer::new(name)),
        }
    }

    forward_to_deserialize_any! {
        char str string unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
