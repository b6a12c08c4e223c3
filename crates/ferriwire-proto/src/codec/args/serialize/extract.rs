//! A serializer around another one that replaces binary data by placeholders and counts depth.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{Element, SerializeError, State};
use crate::codec::depth::MAX_DEPTH;
use crate::codec::json::placeholder::{INDEX, MARKER};

/// How the types of serde_json that have a form of their own begin their names. To serde they are
/// structs, although they need not become objects.
const JSON_TYPES: &str = "$serde_json::private::";

/// A serializer, or one for the elements of an array or an object.
pub(super) struct Extract<'a, S> {
    pub(super) inner: S,
    pub(super) state: &'a State,
    /// How many arrays and objects lie around what is serialised.
    pub(super) depth: usize,
}

impl<'a, S> Extract<'a, S> {
    /// Enters arrays or objects.
    fn enter<C, E: serde::ser::Error>(
        self,
        levels: usize,
        open: impl FnOnce(S) -> Result<C, E>,
    ) -> Result<Extract<'a, C>, E> {
        let Self {
            inner,
            state,
            depth,
        } = self;
        let depth = depth.saturating_add(levels);
        if depth > MAX_DEPTH {
            return Err(state.refuse(SerializeError::TooDeep));
        }
        Ok(Extract {
            inner: open(inner)?,
            state,
            depth,
        })
    }

    fn element<'v, T: ?Sized>(&self, value: &'v T) -> Element<'v, T>
    where
        'a: 'v,
    {
        Element {
            value,
            state: self.state,
            depth: self.depth,
        }
    }
}

macro_rules! pass_on {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {$(
        fn $method(self, $($name: $type),*) -> Result<S::Ok, S::Error> {
            self.inner.$method($($name),*)
        }
    )*};
}

impl<'a, S: Serializer> Serializer for Extract<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Extract<'a, S::SerializeSeq>;
    type SerializeTuple = Extract<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Extract<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Extract<'a, S::SerializeTupleVariant>;
    type SerializeMap = Extract<'a, S::SerializeMap>;
    type SerializeStruct = Extract<'a, S::SerializeStruct>;
    type SerializeStructVariant = Extract<'a, S::SerializeStructVariant>;

    fn serialize_bytes(self, data: &[u8]) -> Result<S::Ok, S::Error> {
        let index = self.state.attach(data)?;
        let placeholder = self.enter(1, |inner| inner.serialize_map(Some(2)))?;
        let mut placeholder = placeholder.inner;
        placeholder.serialize_entry(MARKER, &true)?;
        placeholder.serialize_entry(INDEX, &index)?;
        placeholder.end()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.element(value);
        self.inner.serialize_some(&value)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.element(value);
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let entered = self.enter(1, Ok)?;
        let value = entered.element(value);
        entered
            .inner
            .serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.enter(1, |inner| inner.serialize_seq(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.enter(1, |inner| inner.serialize_tuple(len))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.enter(1, |inner| inner.serialize_tuple_struct(name, len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.enter(2, |inner| {
            inner.serialize_tuple_variant(name, index, variant, len)
        })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.enter(1, |inner| inner.serialize_map(len))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        if name.starts_with(JSON_TYPES) {
            self.state.has_raw.set(true);
            return self.enter(0, |inner| inner.serialize_struct(name, len));
        }
        self.enter(1, |inner| inner.serialize_struct(name, len))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.enter(2, |inner| {
            inner.serialize_struct_variant(name, index, variant, len)
        })
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    pass_on! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }
}

/// Arrays and objects, whose elements are wrapped and whose names are not: they hold no bytes.
macro_rules! elements {
    ($($trait:ident $method:ident($($name:ident: $type:ty),*);)*) => {$(
        impl<C: $trait> $trait for Extract<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: $type,)*
                value: &T,
            ) -> Result<(), C::Error> {
                let value = self.element(value);
                self.inner.$method($($name,)* &value)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element();
    SerializeTuple serialize_element();
    SerializeTupleStruct serialize_field();
    SerializeTupleVariant serialize_field();
    SerializeStruct serialize_field(name: &'static str);
    SerializeStructVariant serialize_field(name: &'static str);
}

impl<C: SerializeMap> SerializeMap for Extract<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), C::Error> {
        self.inner.serialize_key(name)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let value = self.element(value);
        self.inner.serialize_value(&value)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}
