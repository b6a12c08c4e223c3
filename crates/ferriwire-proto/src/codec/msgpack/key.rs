//! The names of a map's entries. Text on the wire, whatever type they have in the program, as in
//! JSON; integers are accepted too.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserializer, IntoDeserializer as _, Visitor};
use serde::forward_to_deserialize_any;

use super::deserialize::Error;
use super::reader::Token;

/// A name that was read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key<'de> {
    Text(&'de str),
    Unsigned(u64),
    Signed(i64),
}

impl<'de> Key<'de> {
    /// Nothing for what the reader does not take as a name.
    pub(super) fn new(token: Token<'de>) -> Option<Self> {
        match token {
            Token::String(text) => Some(Self::Text(text)),
            Token::Unsigned(value) => Some(Self::Unsigned(value)),
            Token::Signed(value) => Some(Self::Signed(value)),
            _ => None,
        }
    }
}

impl std::fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Unsigned(value) => value.fmt(f),
            Self::Signed(value) => value.fmt(f),
        }
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self {
                Self::Unsigned(value) => visitor.visit_u64(value),
                Self::Signed(value) => visitor.visit_i64(value),
                Self::Text(text) => match (text.parse(), text.parse()) {
                    (Ok(value), _) => visitor.visit_u64(value),
                    (_, Ok(value)) => visitor.visit_i64(value),
                    _ => visitor.visit_borrowed_str(text),
                },
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Text(text) => visitor.visit_borrowed_str(text),
            Self::Unsigned(_) | Self::Signed(_) => visitor.visit_string(self.to_string()),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Text("true") => visitor.visit_bool(true),
            Self::Text("false") => visitor.visit_bool(false),
            Self::Text(_) | Self::Unsigned(_) | Self::Signed(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.to_string().parse::<f64>() {
            Ok(value) if value.is_finite() => visitor.visit_f64(value),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Self::Text(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            Self::Unsigned(_) | Self::Signed(_) => {
                visitor.visit_enum(self.to_string().into_deserializer())
            }
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}
