//! The names of a map's entries: text on the wire, whatever type they have in the program.

use std::fmt;

use serde::ser::{Error as _, Impossible, Serialize, Serializer};

/// Writes one name.
pub(in crate::codec) trait NameWriter: Sized {
    type Error: serde::ser::Error;

    fn write(self, name: &str) -> Result<(), Self::Error>;

    fn write_display<T: fmt::Display + ?Sized>(self, name: &T) -> Result<(), Self::Error> {
        self.write(&name.to_string())
    }
}

/// Serialises a name of any type that has a textual form.
pub(in crate::codec) struct NameSerializer<W>(pub(in crate::codec) W);

impl<W: NameWriter> NameSerializer<W> {
    fn integer(self, value: impl itoa::Integer) -> Result<(), W::Error> {
        self.0.write(itoa::Buffer::new().format(value))
    }

    fn float(self, is_finite: bool, value: impl zmij::Float) -> Result<(), W::Error> {
        if !is_finite {
            let message = "float key must be finite (got NaN or +/-inf)";
            return Err(W::Error::custom(message));
        }
        self.0.write(zmij::Buffer::new().format_finite(value))
    }
}

fn refused<T, E: serde::ser::Error>() -> Result<T, E> {
    Err(E::custom("key must be a string"))
}

macro_rules! integers {
    ($($method:ident($type:ty);)*) => {$(
        fn $method(self, value: $type) -> Result<(), W::Error> {
            self.integer(value)
        }
    )*};
}

macro_rules! refused {
    ($($method:ident($($type:ty),*) -> $output:ty;)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<$output, W::Error> {
            refused()
        }
    )*};
}

impl<W: NameWriter> Serializer for NameSerializer<W> {
    type Ok = ();
    type Error = W::Error;
    type SerializeSeq = Impossible<(), W::Error>;
    type SerializeTuple = Impossible<(), W::Error>;
    type SerializeTupleStruct = Impossible<(), W::Error>;
    type SerializeTupleVariant = Impossible<(), W::Error>;
    type SerializeMap = Impossible<(), W::Error>;
    type SerializeStruct = Impossible<(), W::Error>;
    type SerializeStructVariant = Impossible<(), W::Error>;

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), W::Error> {
        self.0.write(value)
    }

    fn serialize_char(self, value: char) -> Result<(), W::Error> {
        self.0.write(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_bool(self, value: bool) -> Result<(), W::Error> {
        self.0.write(if value { "true" } else { "false" })
    }

    fn serialize_f32(self, value: f32) -> Result<(), W::Error> {
        self.float(value.is_finite(), value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), W::Error> {
        self.float(value.is_finite(), value)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), W::Error> {
        self.0.write(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), W::Error> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), W::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), W::Error> {
        refused()
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), W::Error> {
        self.0.write_display(value)
    }

    integers! {
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
    }

    refused! {
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}
