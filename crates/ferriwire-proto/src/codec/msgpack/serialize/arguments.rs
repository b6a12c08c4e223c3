//! What the outermost type of a payload means: a list of arguments, one argument, or none.

use serde::ser::{Serialize, SerializeTuple, Serializer};

use super::{Compound, ValueWriter};
use crate::codec::args::SerializeError;

/// Appends the arguments of `payload`, and returns how many there are.
pub(in super::super) fn serialize_arguments<P: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    payload: &P,
) -> Result<usize, SerializeError> {
    let mut count = 0;
    payload.serialize(List {
        out,
        count: &mut count,
    })?;
    Ok(count)
}

struct List<'a> {
    out: &'a mut Vec<u8>,
    count: &'a mut usize,
}

impl<'a> List<'a> {
    fn one_argument(self) -> ValueWriter<'a> {
        *self.count = 1;
        ValueWriter {
            out: self.out,
            depth: 0,
        }
    }
}

macro_rules! one_argument {
    ($($method:ident($($name:ident: $type:ty),*) -> $output:ty;)*) => {$(
        fn $method(self, $($name: $type),*) -> Result<$output, SerializeError> {
            self.one_argument().$method($($name),*)
        }
    )*};
}

impl<'a> Serializer for List<'a> {
    type Ok = ();
    type Error = SerializeError;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Tuple<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    fn serialize_unit(self) -> Result<(), SerializeError> {
        Ok(())
    }

    fn serialize_tuple(self, _len: usize) -> Result<Tuple<'a>, SerializeError> {
        Ok(Tuple {
            out: self.out,
            count: self.count,
        })
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), SerializeError> {
        value.serialize(self.one_argument())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), SerializeError> {
        self.one_argument().serialize_newtype_struct(name, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), SerializeError> {
        self.one_argument()
            .serialize_newtype_variant(name, index, variant, value)
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
        serialize_seq(len: Option<usize>) -> Compound<'a>;
        serialize_map(len: Option<usize>) -> Compound<'a>;
        serialize_tuple_struct(name: &'static str, len: usize) -> Compound<'a>;
        serialize_struct(name: &'static str, len: usize) -> Compound<'a>;
        serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> Compound<'a>;
        serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> Compound<'a>;
    }
}

/// The arguments of a tuple.
struct Tuple<'a> {
    out: &'a mut Vec<u8>,
    count: &'a mut usize,
}

impl SerializeTuple for Tuple<'_> {
    type Ok = ();
    type Error = SerializeError;

    fn serialize_element<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
    ) -> Result<(), SerializeError> {
        *self.count = self.count.saturating_add(1);
        value.serialize(ValueWriter {
            out: self.out,
            depth: 0,
        })
    }

    fn end(self) -> Result<(), SerializeError> {
        Ok(())
    }
}
