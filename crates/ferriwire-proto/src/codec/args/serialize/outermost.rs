//! What the outermost type of a payload means: a list of arguments, one argument, or none.

use std::fmt;

use serde::ser::{self, Serialize, SerializeTuple, Serializer};

/// Writes arguments one after the other.
pub(in crate::codec) trait ArgumentWriter {
    type Error: ser::Error;
    type Value<'a>: Serializer<Ok = (), Error = Self::Error>
    where
        Self: 'a;

    /// Begins one more argument, and returns what writes it.
    fn next(&mut self) -> Self::Value<'_>;
}

/// Serialises the outermost type of a payload: a tuple is the list, anything else one argument.
pub(in crate::codec) struct Outermost<'a, W>(pub(in crate::codec) &'a mut W);

macro_rules! one_argument {
    ($($method:ident($($name:ident: $type:ty),*) -> $output:ty;)*) => {$(
        #[inline]
        fn $method(self, $($name: $type),*) -> Result<$output, W::Error> {
            self.0.next().$method($($name),*)
        }
    )*};
}

impl<'a, W: ArgumentWriter> Serializer for Outermost<'a, W> {
    type Ok = ();
    type Error = W::Error;
    type SerializeSeq = <W::Value<'a> as Serializer>::SerializeSeq;
    type SerializeTuple = Self;
    type SerializeTupleStruct = <W::Value<'a> as Serializer>::SerializeTupleStruct;
    type SerializeTupleVariant = <W::Value<'a> as Serializer>::SerializeTupleVariant;
    type SerializeMap = <W::Value<'a> as Serializer>::SerializeMap;
    type SerializeStruct = <W::Value<'a> as Serializer>::SerializeStruct;
    type SerializeStructVariant = <W::Value<'a> as Serializer>::SerializeStructVariant;

    #[inline]
    fn serialize_unit(self) -> Result<(), W::Error> {
        Ok(())
    }

    #[inline]
    fn serialize_tuple(self, _len: usize) -> Result<Self, W::Error> {
        Ok(self)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), W::Error> {
        self.0.next().serialize_some(value)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), W::Error> {
        self.0.next().serialize_newtype_struct(name, value)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), W::Error> {
        let argument = self.0.next();
        argument.serialize_newtype_variant(name, index, variant, value)
    }

    #[inline]
    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), W::Error> {
        self.0.next().collect_str(value)
    }

    one_argument! {
        serialize_bool(value: bool) -> ();
        serialize_i8(value: i8) -> ();
        serialize_i16(value: i16) -> ();
        serialize_i32(value: i32) -> ();
        serialize_i64(value: i64) -> ();
        serialize_i128(value: i128) -> ();
        serialize_u8(value: u8) -> ();
        serialize_u16(value: u16) -> ();
        serialize_u32(value: u32) -> ();
        serialize_u64(value: u64) -> ();
        serialize_u128(value: u128) -> ();
        serialize_f32(value: f32) -> ();
        serialize_f64(value: f64) -> ();
        serialize_char(value: char) -> ();
        serialize_str(value: &str) -> ();
        serialize_bytes(value: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(len: Option<usize>) -> Self::SerializeSeq;
        serialize_map(len: Option<usize>) -> Self::SerializeMap;
        serialize_tuple_struct(name: &'static str, len: usize) -> Self::SerializeTupleStruct;
        serialize_struct(name: &'static str, len: usize) -> Self::SerializeStruct;
        serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> Self::SerializeTupleVariant;
        serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> Self::SerializeStructVariant;
    }
}

/// The arguments of a tuple.
impl<W: ArgumentWriter> SerializeTuple for Outermost<'_, W> {
    type Ok = ();
    type Error = W::Error;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), W::Error> {
        value.serialize(self.0.next())
    }

    #[inline]
    fn end(self) -> Result<(), W::Error> {
        Ok(())
    }
}
