//! What serde asks for, and what the text has in its place.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, Unexpected,
    VariantAccess, Visitor,
};

use super::key::Key;
use super::number::Number;
use super::{Error, Reader};

/// The name of the type by which `serde_json` passes on text that is JSON.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

impl<'de> Reader<'de> {
    #[inline]
    pub(super) fn visit_string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.plain_string() {
            Some(text) => visitor.visit_borrowed_str(text),
            None => visitor.visit_string(self.escaped_string()?),
        }
    }

    pub(super) fn is_raw_value(&self, name: &str) -> bool {
        name == RAW_VALUE
    }

    /// Only `serde_json` knows how to make one, of the text of a value.
    pub(super) fn raw_value<V: Visitor<'de>>(
        &mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut value = serde_json::Deserializer::from_str(self.skipped()?);
        value
            .deserialize_newtype_struct(name, visitor)
            .map_err(Error::custom)
    }

    /// Reads a number if it is one that no type holds.
    fn take_beyond(&mut self) -> bool {
        let start = self.at;
        let is_beyond = matches!(self.number(), Ok(Number::Beyond));
        if !is_beyond {
            self.at = start;
        }
        is_beyond
    }

    /// What stands here is not what was expected.
    #[cold]
    fn invalid_type(&mut self, expected: &dyn Expected) -> Error {
        match self.describe(expected) {
            Ok(error) | Err(error) => error,
        }
    }

    fn describe(&mut self, expected: &dyn Expected) -> Result<Error, Error> {
        let text;
        let unexpected = match self.peek() {
            b'n' => {
                self.literal("null")?;
                Unexpected::Unit
            }
            b't' => {
                self.literal("true")?;
                Unexpected::Bool(true)
            }
            b'f' => {
                self.literal("false")?;
                Unexpected::Bool(false)
            }
            b'-' | b'0'..=b'9' => return Ok(self.number()?.invalid_type(expected)),
            b'"' => {
                text = self.string()?;
                Unexpected::Str(&text)
            }
            b'[' => Unexpected::Seq,
            b'{' => Unexpected::Map,
            _ => return Err(self.unexpected("expected a value")),
        };
        Ok(Error::invalid_type(unexpected, expected))
    }
}

/// Questions that one kind of value answers.
macro_rules! only {
    ($($method:ident: $first:pat => $read:ident;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.peek() {
                $first => self.$read(visitor),
                _ => Err(self.invalid_type(&visitor)),
            }
        }
    )*};
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.peek() {
                b'-' | b'0'..=b'9' => self.number()?.visit(visitor),
                _ => Err(self.invalid_type(&visitor)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'"' => self.visit_string(visitor),
            b'{' => match self.placeholder()? {
                Some(data) => self.visit_attachment(data, visitor),
                None => self.object(visitor),
            },
            b'[' => self.array(visitor),
            b'-' | b'0'..=b'9' => match self.number()? {
                Number::Beyond => visitor.visit_unit(),
                number @ (Number::Unsigned(_) | Number::Signed(_) | Number::Float(_)) => {
                    number.visit(visitor)
                }
            },
            b't' => {
                self.literal("true")?;
                visitor.visit_bool(true)
            }
            b'f' => {
                self.literal("false")?;
                visitor.visit_bool(false)
            }
            b'n' => {
                self.literal("null")?;
                visitor.visit_unit()
            }
            _ => Err(self.unexpected("expected a value")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b't' | b'f' => self.deserialize_any(visitor),
            _ => Err(self.invalid_type(&visitor)),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f64
    }

    only! {
        deserialize_f32: b'-' | b'0'..=b'9' => single;
        deserialize_char: b'"' => visit_string;
        deserialize_str: b'"' => visit_string;
        deserialize_string: b'"' => visit_string;
        deserialize_identifier: b'"' => visit_string;
        deserialize_map: b'{' => object;
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'-' | b'0'..=b'9' => {
                let value = self.wide(&visitor)?;
                visitor.visit_i128(value)
            }
            _ => Err(self.invalid_type(&visitor)),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'-' | b'0'..=b'9' => {
                let value = self.wide(&visitor)?;
                visitor.visit_u128(value)
            }
            _ => Err(self.invalid_type(&visitor)),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'"' => match self.plain_string() {
                Some(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
                None => visitor.visit_byte_buf(self.escaped_bytes()?),
            },
            b'[' => self.array(visitor),
            b'{' => match self.placeholder()? {
                Some(data) => self.visit_attachment(data, visitor),
                None => Err(self.invalid_type(&visitor)),
            },
            _ => Err(self.invalid_type(&visitor)),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'n' => {
                self.literal("null")?;
                visitor.visit_none()
            }
            b'-' | b'0'..=b'9' if self.take_beyond() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'n' => {
                self.literal("null")?;
                visitor.visit_unit()
            }
            b'-' | b'0'..=b'9' if self.take_beyond() => visitor.visit_unit(),
            _ => Err(self.invalid_type(&visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.is_raw_value(name) {
            return self.raw_value(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'[' => self.array(visitor),
            b'{' => match self.placeholder()? {
                Some(data) => self.visit_numbers(data, visitor),
                None => Err(self.invalid_type(&visitor)),
            },
            _ => Err(self.invalid_type(&visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
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

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.peek() {
            b'{' => self.object(visitor),
            b'[' => self.array(visitor),
            _ => Err(self.invalid_type(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.peek() {
            b'"' => match self.string()? {
                Cow::Borrowed(name) => visitor.visit_enum(BorrowedStrDeserializer::new(name)),
                Cow::Owned(name) => visitor.visit_enum(StringDeserializer::new(name)),
            },
            b'{' => self.within(|reader| {
                let value = visitor.visit_enum(Variant(reader))?;
                match reader.peek() {
                    b'}' => reader.advance(),
                    _ => return Err(reader.unexpected("expected one variant")),
                }
                Ok(value)
            }),
            _ => Err(self.invalid_type(&visitor)),
        }
    }
}

/// The variant of an enum that stands in an object of its own, under its name.
struct Variant<'r, 'de>(&'r mut Reader<'de>);

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S>(self, seed: S) -> Result<(S::Value, Self), Error>
    where
        S: DeserializeSeed<'de>,
    {
        let name = seed.deserialize(Key::at(self.0)?)?;
        self.0.colon()?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<S>(self, seed: S) -> Result<S::Value, Error>
    where
        S: DeserializeSeed<'de>,
    {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_struct("", fields, visitor)
    }
}
