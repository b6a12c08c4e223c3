//! Writes a payload as JSON and takes the binary data out of it.

mod extract;

use std::cell::{Cell, RefCell};
use std::fmt;

use bytes::Bytes;
use serde::ser::{Serialize, SerializeTuple, Serializer};

use self::extract::Extract;
use crate::codec::depth::{self, MAX_DEPTH};
use crate::value::handoff;

/// Appends the arguments of `payload` to `out`, with a comma before the first one if it `follows`
/// an event's name. Returns the attachments.
pub(crate) fn serialize_arguments<P: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    follows: bool,
    payload: &P,
    max_attachments: usize,
) -> Result<Vec<Bytes>, SerializeError> {
    let start = out.len();
    let state = State::new(Some(max_attachments));
    let list = List {
        out: &mut *out,
        single: &mut None,
        follows,
        state: &state,
    };
    let outcome = payload.serialize(list);
    state.finish(outcome, out.get(start..).unwrap_or_default())
}

/// Appends one value without binary data to `out`.
pub(crate) fn serialize_value<P: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    payload: &P,
) -> Result<(), SerializeError> {
    let start = out.len();
    let state = State::new(None);
    let outcome = state
        .element(payload)
        .serialize(&mut serde_json::Serializer::new(&mut *out));
    state.finish(outcome, out.get(start..).unwrap_or_default())?;
    Ok(())
}

/// Why a payload cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SerializeError {
    TooDeep,
    TooManyAttachments,
    /// Binary data where no packet carries any.
    Binary,
    Serde(String),
}

impl fmt::Display for SerializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::codec::EncodeError::from(self.clone()).fmt(f)
    }
}

impl std::error::Error for SerializeError {}

impl serde::ser::Error for SerializeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Serde(message.to_string())
    }
}

/// What all serializers of one payload share.
struct State {
    attachments: RefCell<Vec<Bytes>>,
    /// `None` where there is no place for any.
    max_attachments: Option<usize>,
    /// Why serialisation was broken off, unless the user's type did so.
    refused: Cell<Option<SerializeError>>,
    /// Whether text went out that was JSON already, so that its depth is not known.
    has_raw: Cell<bool>,
}

impl State {
    const fn new(max_attachments: Option<usize>) -> Self {
        Self {
            attachments: RefCell::new(Vec::new()),
            max_attachments,
            refused: Cell::new(None),
            has_raw: Cell::new(false),
        }
    }

    /// Keeps binary data and returns its number.
    fn attach<E: serde::ser::Error>(&self, data: &[u8]) -> Result<usize, E> {
        let Some(max_attachments) = self.max_attachments else {
            return Err(self.refuse(SerializeError::Binary));
        };
        let mut attachments = self.attachments.borrow_mut();
        let index = attachments.len();
        if index >= max_attachments {
            return Err(self.refuse(SerializeError::TooManyAttachments));
        }
        attachments.push(handoff::claim(data));
        Ok(index)
    }

    fn refuse<E: serde::ser::Error>(&self, why: SerializeError) -> E {
        self.refused.set(Some(why));
        E::custom("payload is refused")
    }

    const fn element<'a, T: ?Sized>(&'a self, value: &'a T) -> Element<'a, T> {
        Element {
            value,
            state: self,
            depth: 0,
        }
    }

    fn finish(
        self,
        outcome: serde_json::Result<()>,
        written: &[u8],
    ) -> Result<Vec<Bytes>, SerializeError> {
        if let Some(why) = self.refused.take() {
            return Err(why);
        }
        outcome.map_err(|error| SerializeError::Serde(error.to_string()))?;
        if self.has_raw.get() && !depth::is_within(written, MAX_DEPTH) {
            return Err(SerializeError::TooDeep);
        }
        Ok(self.attachments.into_inner())
    }
}

/// A part of the payload, to be serialised with its binary data taken out.
struct Element<'a, T: ?Sized> {
    value: &'a T,
    state: &'a State,
    /// How many arrays and objects it lies in.
    depth: usize,
}

impl<T: Serialize + ?Sized> Serialize for Element<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Extract {
            inner: serializer,
            state: self.state,
            depth: self.depth,
        })
    }
}

type Json<'b> = serde_json::Serializer<&'b mut Vec<u8>>;

/// Serialises the outermost type of a payload: a tuple is the list, anything else one argument.
struct List<'a, 'b> {
    out: &'b mut Vec<u8>,
    /// Where the serializer of a single argument lives.
    single: &'a mut Option<Json<'b>>,
    follows: bool,
    state: &'a State,
}

impl<'a, 'b> List<'a, 'b> {
    fn one_argument(self) -> Extract<'a, &'a mut Json<'b>> {
        if self.follows {
            self.out.push(b',');
        }
        Extract {
            inner: self.single.insert(Json::new(self.out)),
            state: self.state,
            depth: 0,
        }
    }
}

type One<'a, 'b> = Extract<'a, &'a mut Json<'b>>;

macro_rules! one_argument {
    ($($method:ident($($name:ident: $type:ty),*) -> $output:ty;)*) => {$(
        fn $method(self, $($name: $type),*) -> Result<$output, Self::Error> {
            self.one_argument().$method($($name),*)
        }
    )*};
}

impl<'a, 'b> Serializer for List<'a, 'b> {
    type Ok = ();
    type Error = serde_json::Error;
    type SerializeSeq = <One<'a, 'b> as Serializer>::SerializeSeq;
    type SerializeTuple = Tuple<'a, 'b>;
    type SerializeTupleStruct = <One<'a, 'b> as Serializer>::SerializeTupleStruct;
    type SerializeTupleVariant = <One<'a, 'b> as Serializer>::SerializeTupleVariant;
    type SerializeMap = <One<'a, 'b> as Serializer>::SerializeMap;
    type SerializeStruct = <One<'a, 'b> as Serializer>::SerializeStruct;
    type SerializeStructVariant = <One<'a, 'b> as Serializer>::SerializeStructVariant;

    fn serialize_unit(self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn serialize_tuple(self, _len: usize) -> Result<Tuple<'a, 'b>, Self::Error> {
        Ok(Tuple {
            out: self.out,
            follows: self.follows,
            state: self.state,
        })
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Self::Error> {
        self.one_argument().serialize_some(value)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Self::Error> {
        self.one_argument().serialize_newtype_struct(name, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Self::Error> {
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
struct Tuple<'a, 'b> {
    out: &'b mut Vec<u8>,
    follows: bool,
    state: &'a State,
}

impl SerializeTuple for Tuple<'_, '_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Self::Error> {
        if std::mem::replace(&mut self.follows, true) {
            self.out.push(b',');
        }
        self.state
            .element(value)
            .serialize(&mut Json::new(&mut *self.out))
    }

    fn end(self) -> Result<(), Self::Error> {
        Ok(())
    }
}
