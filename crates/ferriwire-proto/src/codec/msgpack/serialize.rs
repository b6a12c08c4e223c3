//! Typed values straight into bytes.

mod arguments;

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::write;
use crate::codec::args::{NameSerializer, NameWriter, SerializeError};
use crate::codec::depth;
use crate::value::Value;

pub(super) use self::arguments::serialize_arguments;

/// How the types of serde_json that have a form of their own begin their names.
const JSON_TYPES: &str = "$serde_json::private::";

/// Appends one value.
pub(super) struct ValueWriter<'a> {
    pub(super) out: &'a mut Vec<u8>,
    /// How many arrays and maps may lie within each other in it.
    pub(super) left: usize,
}

impl<'a> ValueWriter<'a> {
    fn enter(self, form: Form, len: Option<usize>) -> Result<Compound<'a>, SerializeError> {
        let left = self.left.checked_sub(1).ok_or(SerializeError::TooDeep)?;
        let header = self.out.len();
        let announced = len.unwrap_or_default();
        form.write_header(self.out, announced);
        Ok(Compound {
            out: self.out,
            left,
            form,
            header,
            announced,
            written: 0,
        })
    }

    /// Begins a map of one entry, and returns what writes its value.
    fn variant(self, name: &str) -> Result<Self, SerializeError> {
        let map = self.enter(Form::Map, Some(1))?;
        write::string(map.out, name);
        Ok(Self {
            out: map.out,
            left: map.left,
        })
    }

    fn float(self, value: f64) -> Result<(), SerializeError> {
        write::float(self.out, value);
        Ok(())
    }

    fn unsigned(self, value: u64) -> Result<(), SerializeError> {
        write::unsigned(self.out, value);
        Ok(())
    }

    fn signed(self, value: i64) -> Result<(), SerializeError> {
        write::signed(self.out, value);
        Ok(())
    }
}

impl<'a> Serializer for ValueWriter<'a> {
    type Ok = ();
    type Error = SerializeError;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    fn serialize_bool(self, value: bool) -> Result<(), SerializeError> {
        write::bool(self.out, value);
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), SerializeError> {
        self.signed(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), SerializeError> {
        self.signed(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), SerializeError> {
        self.signed(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), SerializeError> {
        self.signed(value)
    }

    #[expect(clippy::cast_precision_loss, reason = "as JavaScript has it")]
    fn serialize_i128(self, value: i128) -> Result<(), SerializeError> {
        match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => self.unsigned(value),
            (_, Ok(value)) => self.signed(value),
            _ => self.float(value as f64),
        }
    }

    fn serialize_u8(self, value: u8) -> Result<(), SerializeError> {
        self.unsigned(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), SerializeError> {
        self.unsigned(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), SerializeError> {
        self.unsigned(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), SerializeError> {
        self.unsigned(value)
    }

    #[expect(clippy::cast_precision_loss, reason = "as JavaScript has it")]
    fn serialize_u128(self, value: u128) -> Result<(), SerializeError> {
        match u64::try_from(value) {
            Ok(value) => self.unsigned(value),
            Err(_) => self.float(value as f64),
        }
    }

    fn serialize_f32(self, value: f32) -> Result<(), SerializeError> {
        self.float(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), SerializeError> {
        self.float(value)
    }

    fn serialize_char(self, value: char) -> Result<(), SerializeError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), SerializeError> {
        write::string(self.out, value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), SerializeError> {
        write::binary(self.out, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), SerializeError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), SerializeError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), SerializeError> {
        write::nil(self.out);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), SerializeError> {
        self.serialize_unit()
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

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), SerializeError> {
        value.serialize(self.variant(variant)?)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'a>, SerializeError> {
        self.enter(Form::Array, len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Compound<'a>, SerializeError> {
        self.enter(Form::Array, Some(len))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, SerializeError> {
        self.enter(Form::Array, Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, SerializeError> {
        self.variant(variant)?.enter(Form::Array, Some(len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Compound<'a>, SerializeError> {
        self.enter(Form::Map, len)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, SerializeError> {
        if name.starts_with(JSON_TYPES) {
            return Ok(Compound {
                header: self.out.len(),
                out: self.out,
                left: self.left,
                form: Form::Json,
                announced: 0,
                written: 0,
            });
        }
        self.enter(Form::Map, Some(len))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'a>, SerializeError> {
        self.variant(variant)?.enter(Form::Map, Some(len))
    }
}

/// What an array or a map, or what serde calls a struct, becomes.
#[derive(Clone, Copy, Debug)]
enum Form {
    Array,
    Map,
    /// Nothing itself: its field is text that is JSON already.
    Json,
}

impl Form {
    fn write_header(self, out: &mut Vec<u8>, len: usize) {
        match self {
            Self::Array => write::array(out, len),
            Self::Map => write::map(out, len),
            Self::Json => {}
        }
    }
}

/// Writes what is in an array or a map.
pub(super) struct Compound<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
    form: Form,
    /// Where its header begins, and the length that stands there.
    header: usize,
    announced: usize,
    written: usize,
}

impl Compound<'_> {
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerializeError> {
        if matches!(self.form, Form::Json) {
            return self.json(value);
        }
        self.written = self.written.saturating_add(1);
        value.serialize(ValueWriter {
            out: self.out,
            left: self.left,
        })
    }

    fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), SerializeError> {
        if !matches!(self.form, Form::Json) {
            write::string(self.out, name);
        }
        self.value(value)
    }

    /// The text of a `RawValue`, or of a number of arbitrary precision.
    fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerializeError> {
        let text = serde_json::to_string(value).and_then(|json| serde_json::from_str(&json));
        let text: String = text.map_err(SerializeError::custom)?;
        if !depth::is_within(text.as_bytes(), self.left) {
            return Err(SerializeError::TooDeep);
        }
        let mut json = serde_json::Deserializer::from_str(&text);
        json.disable_recursion_limit();
        let value: Value =
            serde::Deserialize::deserialize(&mut json).map_err(SerializeError::custom)?;
        value.serialize(ValueWriter {
            out: self.out,
            left: self.left,
        })
    }

    /// Mends the header if it does not say how many elements there are. Few types do not know that
    /// from the start.
    fn finish(self) {
        if self.written == self.announced {
            return;
        }
        let mut header = Vec::new();
        self.form.write_header(&mut header, self.announced);
        let end = self.header.saturating_add(header.len());
        header.clear();
        self.form.write_header(&mut header, self.written);
        self.out.splice(self.header..end, header);
    }
}

macro_rules! compound {
    ($($trait:ident $method:ident $write:ident($($name:ident: $type:ty),*);)*) => {$(
        impl $trait for Compound<'_> {
            type Ok = ();
            type Error = SerializeError;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: $type,)*
                value: &T,
            ) -> Result<(), SerializeError> {
                self.$write($($name,)* value)
            }

            fn end(self) -> Result<(), SerializeError> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

compound! {
    SerializeSeq serialize_element value();
    SerializeTuple serialize_element value();
    SerializeTupleStruct serialize_field value();
    SerializeTupleVariant serialize_field value();
    SerializeStruct serialize_field field(name: &'static str);
    SerializeStructVariant serialize_field field(name: &'static str);
}

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = SerializeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), SerializeError> {
        key.serialize(NameSerializer(Name(self.out)))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerializeError> {
        self.value(value)
    }

    fn end(self) -> Result<(), SerializeError> {
        self.finish();
        Ok(())
    }
}

struct Name<'a>(&'a mut Vec<u8>);

impl NameWriter for Name<'_> {
    type Error = SerializeError;

    fn write(self, name: &str) -> Result<(), SerializeError> {
        write::string(self.0, name);
        Ok(())
    }
}
