//! The names of a map's entries. Text on the wire, whatever type they have in the program, as in
//! JSON; integers are accepted too.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserializer, IntoDeserializer as _, Visitor};
use serde::forward_to_deserialize_any;
use serde::ser::{Error as _, Impossible, Serialize, Serializer};

use super::deserialize::Error;
use super::reader::Token;
use super::write;
use crate::codec::args::SerializeError;

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
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// Writes a name as text.
pub(super) struct KeySerializer<'a> {
    pub(super) out: &'a mut Vec<u8>,
}

macro_rules! as_text {
    ($($method:ident($type:ty);)*) => {$(
        fn $method(self, value: $type) -> Result<(), SerializeError> {
            write::string(self.out, &value.to_string());
            Ok(())
        }
    )*};
}

type No = Impossible<(), SerializeError>;

fn refused<T>() -> Result<T, SerializeError> {
    Err(SerializeError::custom("key must be a string"))
}

impl Serializer for KeySerializer<'_> {
    type Ok = ();
    type Error = SerializeError;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    as_text! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_char(char);
    }

    fn serialize_str(self, value: &str) -> Result<(), SerializeError> {
        write::string(self.out, value);
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), SerializeError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), SerializeError> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), SerializeError> {
        value.serialize(self)
    }

    fn serialize_f32(self, _: f32) -> Result<(), SerializeError> {
        refused()
    }

    fn serialize_f64(self, _: f64) -> Result<(), SerializeError> {
        refused()
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), SerializeError> {
        refused()
    }

    fn serialize_none(self) -> Result<(), SerializeError> {
        refused()
    }

    fn serialize_unit(self) -> Result<(), SerializeError> {
        refused()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), SerializeError> {
        refused()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), SerializeError> {
        refused()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<No, SerializeError> {
        refused()
    }

    fn serialize_tuple(self, _: usize) -> Result<No, SerializeError> {
        refused()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<No, SerializeError> {
        refused()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<No, SerializeError> {
        refused()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<No, SerializeError> {
        refused()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<No, SerializeError> {
        refused()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<No, SerializeError> {
        refused()
    }
}
