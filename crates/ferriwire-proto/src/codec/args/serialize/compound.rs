//! What is in an array or an object.

use std::fmt;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::name::{NameSerializer, NameWriter};
use super::string::write_string;
use super::writer::{ValueWriter, write_display};
use super::{Failed, Output};

/// Writes what is in an array or an object, and its end.
pub(super) struct Compound<'a> {
    pub(super) output: &'a mut Output,
    /// How many arrays and objects may lie within each other in an element.
    pub(super) left: usize,
    follows: bool,
}

impl<'a> Compound<'a> {
    #[inline]
    pub(super) fn new(output: &'a mut Output, left: usize) -> Self {
        Self {
            output,
            left,
            follows: false,
        }
    }

    #[inline]
    fn separate(&mut self) {
        if std::mem::replace(&mut self.follows, true) {
            self.output.text.push(b',');
        }
    }

    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        value.serialize(ValueWriter {
            output: self.output,
            left: self.left,
        })
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        self.separate();
        self.value(value)
    }

    #[inline]
    pub(super) fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), Failed> {
        self.separate();
        write_string(&mut self.output.text, name);
        self.output.text.push(b':');
        self.value(value)
    }

    #[inline]
    pub(super) fn close(self, closing: &[u8]) -> Result<(), Failed> {
        self.output.text.extend_from_slice(closing);
        Ok(())
    }
}

macro_rules! compounds {
    ($($trait:ident $method:ident $write:ident($($name:ident: $type:ty),*) $closing:literal;)*) => {$(
        impl $trait for Compound<'_> {
            type Ok = ();
            type Error = Failed;

            #[inline]
            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: $type,)*
                value: &T,
            ) -> Result<(), Failed> {
                self.$write($($name,)* value)
            }

            #[inline]
            fn end(self) -> Result<(), Failed> {
                self.close($closing)
            }
        }
    )*};
}

compounds! {
    SerializeSeq serialize_element element() b"]";
    SerializeTuple serialize_element element() b"]";
    SerializeTupleStruct serialize_field element() b"]";
    SerializeTupleVariant serialize_field element() b"]}";
    SerializeStruct serialize_field field(name: &'static str) b"}";
    SerializeStructVariant serialize_field field(name: &'static str) b"}}";
}

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Failed;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Failed> {
        self.separate();
        name.serialize(NameSerializer(Name(&mut self.output.text)))
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        self.output.text.push(b':');
        self.value(value)
    }

    #[inline]
    fn end(self) -> Result<(), Failed> {
        self.close(b"}")
    }
}

struct Name<'a>(&'a mut Vec<u8>);

impl NameWriter for Name<'_> {
    type Error = Failed;

    #[inline]
    fn write(self, name: &str) -> Result<(), Failed> {
        write_string(self.0, name);
        Ok(())
    }

    fn write_display<T: fmt::Display + ?Sized>(self, name: &T) -> Result<(), Failed> {
        write_display(self.0, name)
    }
}
