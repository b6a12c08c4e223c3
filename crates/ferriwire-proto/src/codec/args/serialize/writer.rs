//! One value as JSON, its binary data replaced by placeholders.

use std::fmt::{self, Write as _};

use serde::ser::{Error as _, Serialize, SerializeStruct, Serializer};

use super::compound::Compound;
use super::string::{write_contents, write_string};
use super::{Failed, Output, SerializeError};
use crate::codec::depth;
use crate::codec::json::placeholder::{INDEX, MARKER};

/// How the types of serde_json that have a form of their own begin their names. To serde they are
/// structs, although they need not become objects.
const JSON_TYPES: &str = "$serde_json::private::";

/// Appends one value.
pub(super) struct ValueWriter<'a> {
    pub(super) output: &'a mut Output,
    /// How many arrays and objects may lie within each other in it.
    pub(super) left: usize,
}

impl<'a> ValueWriter<'a> {
    #[inline]
    fn text(self, text: &[u8]) -> Result<(), Failed> {
        self.output.text.extend_from_slice(text);
        Ok(())
    }

    #[inline]
    fn integer(self, value: impl itoa::Integer) -> Result<(), Failed> {
        self.text(itoa::Buffer::new().format(value).as_bytes())
    }

    #[inline]
    fn float(self, is_finite: bool, value: impl zmij::Float) -> Result<(), Failed> {
        if !is_finite {
            return self.text(b"null");
        }
        self.text(zmij::Buffer::new().format_finite(value).as_bytes())
    }

    /// Begins an array or an object.
    #[inline]
    fn enter(self, opening: u8) -> Result<Compound<'a>, Failed> {
        let left = self.output.deeper(self.left)?;
        self.output.text.push(opening);
        Ok(Compound::new(self.output, left))
    }

    /// Begins an object of one entry, and returns what writes its value.
    #[inline]
    fn variant(self, name: &str) -> Result<Self, Failed> {
        let Compound { output, left, .. } = self.enter(b'{')?;
        write_string(&mut output.text, name);
        output.text.push(b':');
        Ok(Self { output, left })
    }
}

macro_rules! integers {
    ($($method:ident($type:ty as $wide:ty);)*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<(), Failed> {
            self.integer(<$wide>::from(value))
        }
    )*};
}

impl<'a> Serializer for ValueWriter<'a> {
    type Ok = ();
    type Error = Failed;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Struct<'a>;
    type SerializeStructVariant = Compound<'a>;

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Failed> {
        self.text(if value { b"true" } else { b"false" })
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Failed> {
        self.float(value.is_finite(), value)
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Failed> {
        self.float(value.is_finite(), value)
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Failed> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Failed> {
        write_string(&mut self.output.text, value);
        Ok(())
    }

    fn serialize_bytes(self, data: &[u8]) -> Result<(), Failed> {
        let index = self.output.attach(data)?;
        self.output.deeper(self.left)?;
        let text = &mut self.output.text;
        text.extend_from_slice(b"{\"");
        text.extend_from_slice(MARKER.as_bytes());
        text.extend_from_slice(b"\":true,\"");
        text.extend_from_slice(INDEX.as_bytes());
        text.extend_from_slice(b"\":");
        text.extend_from_slice(itoa::Buffer::new().format(index).as_bytes());
        text.push(b'}');
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Failed> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failed> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Failed> {
        self.text(b"null")
    }

    #[inline]
    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Failed> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Failed> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Failed> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Failed> {
        let Self { output, left } = self.variant(variant)?;
        value.serialize(ValueWriter { output, left })?;
        output.text.push(b'}');
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, _len: Option<usize>) -> Result<Compound<'a>, Failed> {
        self.enter(b'[')
    }

    #[inline]
    fn serialize_tuple(self, _len: usize) -> Result<Compound<'a>, Failed> {
        self.enter(b'[')
    }

    #[inline]
    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Compound<'a>, Failed> {
        self.enter(b'[')
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Compound<'a>, Failed> {
        self.variant(variant)?.enter(b'[')
    }

    #[inline]
    fn serialize_map(self, _len: Option<usize>) -> Result<Compound<'a>, Failed> {
        self.enter(b'{')
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Struct<'a>, Failed> {
        if name.starts_with(JSON_TYPES) {
            return Ok(Struct::Json(name, self));
        }
        self.enter(b'{').map(Struct::Object)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Compound<'a>, Failed> {
        self.variant(variant)?.enter(b'{')
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Failed> {
        write_display(&mut self.output.text, value)
    }

    integers! {
        serialize_i8(i8 as i64);
        serialize_i16(i16 as i64);
        serialize_i32(i32 as i64);
        serialize_i64(i64 as i64);
        serialize_i128(i128 as i128);
        serialize_u8(u8 as u64);
        serialize_u16(u16 as u64);
        serialize_u32(u32 as u64);
        serialize_u64(u64 as u64);
        serialize_u128(u128 as u128);
    }
}

/// Appends what `value` displays as a JSON string.
pub(super) fn write_display<T: fmt::Display + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
) -> Result<(), Failed> {
    struct Contents<'a>(&'a mut Vec<u8>);

    impl fmt::Write for Contents<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            write_contents(self.0, text);
            Ok(())
        }
    }

    out.push(b'"');
    write!(Contents(out), "{value}").map_err(Failed::custom)?;
    out.push(b'"');
    Ok(())
}

/// What serde calls a struct.
pub(super) enum Struct<'a> {
    Object(Compound<'a>),
    /// One of serde_json's own types, with its name: its field is text that is JSON already.
    Json(&'static str, ValueWriter<'a>),
}

impl SerializeStruct for Struct<'_> {
    type Ok = ();
    type Error = Failed;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Failed> {
        match self {
            Self::Object(object) => object.field(name, value),
            Self::Json(type_name, ValueWriter { output, left }) => {
                let start = output.text.len();
                let json = Json {
                    type_name,
                    name,
                    value,
                };
                let mut serializer = serde_json::Serializer::new(&mut output.text);
                json.serialize(&mut serializer).map_err(Failed::custom)?;
                let written = output.text.get(start..).unwrap_or_default();
                if !depth::is_within(written, *left) {
                    return Err(output.refuse(SerializeError::TooDeep));
                }
                Ok(())
            }
        }
    }

    #[inline]
    fn end(self) -> Result<(), Failed> {
        match self {
            Self::Object(object) => SerializeStruct::end(object),
            Self::Json(..) => Ok(()),
        }
    }
}

/// What a type of serde_json shows of itself, to be shown to serde_json, who alone knows its form.
struct Json<'a, T: ?Sized> {
    type_name: &'static str,
    name: &'static str,
    value: &'a T,
}

impl<T: Serialize + ?Sized> Serialize for Json<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct(self.type_name, 1)?;
        json.serialize_field(self.name, self.value)?;
        json.end()
    }
}
