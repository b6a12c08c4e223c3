//! Decides for each object whether it is a placeholder, and passes everything else through.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::value::{CowStrDeserializer, SeqDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess,
    SeqAccess, Unexpected, Visitor,
};

use super::{Attachments, Restore};
use crate::codec::json::placeholder::{INDEX, MARKER};
use crate::value::handoff;

/// What an object in the text may be, by what was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Objects {
    /// Only an object.
    Maps,
    /// Only a placeholder, given as bytes.
    Binary,
    /// Only a placeholder, given as a sequence of numbers.
    Sequence,
    /// A placeholder, given as bytes, or an object.
    Either,
}

pub(super) struct RestoreVisitor<'s, 'de, V> {
    pub(super) visitor: V,
    pub(super) attachments: &'s Attachments<'de>,
    pub(super) objects: Objects,
}

impl<'s, 'de, V: Visitor<'de>> RestoreVisitor<'s, 'de, V> {
    fn wrap<T>(self, inner: T) -> (V, Restore<'s, 'de, T>) {
        (self.visitor, Restore::new(inner, self.attachments))
    }

    fn visit_binary<E: Error>(self, data: &'de Bytes) -> Result<V::Value, E> {
        let Self {
            visitor,
            attachments,
            objects,
        } = self;
        let (value, shared) = if matches!(objects, Objects::Sequence) {
            let numbers = SeqDeserializer::new(data.iter().copied());
            (visitor.visit_seq(numbers), false)
        } else {
            handoff::lend(data, || visitor.visit_borrowed_bytes(data))
        };
        if !shared {
            attachments.count_copy(data.len());
        }
        if attachments.exceeded().is_some() {
            return Err(E::custom("attachments are repeated too often"));
        }
        value
    }
}

macro_rules! visit_scalars {
    ($($method:ident($type:ty);)*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for RestoreVisitor<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    visit_scalars! {
        visit_bool(bool);
        visit_i64(i64);
        visit_i128(i128);
        visit_u64(u64);
        visit_u128(u128);
        visit_f64(f64);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let (visitor, deserializer) = self.wrap(deserializer);
        visitor.visit_some(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let (visitor, inner) = self.wrap(inner);
        visitor.visit_newtype_struct(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let (visitor, access) = self.wrap(access);
        visitor.visit_seq(access)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let (visitor, access) = self.wrap(access);
        visitor.visit_enum(access)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<V::Value, A::Error> {
        if matches!(self.objects, Objects::Maps) {
            let (visitor, access) = self.wrap(access);
            return visitor.visit_map(access);
        }
        let first = access.next_key::<Name<'de>>()?.map(|name| name.0);
        if first.as_deref() == Some(MARKER) {
            let data = read_placeholder(access, self.attachments)?;
            return self.visit_binary(data);
        }
        if matches!(self.objects, Objects::Either) {
            let (visitor, access) = self.wrap(access);
            return visitor.visit_map(Replay { first, access });
        }
        Err(A::Error::invalid_type(Unexpected::Map, &self.visitor))
    }
}

/// Reads the rest of a placeholder, behind the name of its marker.
fn read_placeholder<'de, A: MapAccess<'de>>(
    mut access: A,
    attachments: &Attachments<'de>,
) -> Result<&'de Bytes, A::Error> {
    let is_placeholder: bool = access.next_value()?;
    let mut index = None;
    while let Some(Name(name)) = access.next_key()? {
        if name == INDEX {
            index = Some(access.next_value::<usize>()?);
        } else {
            access.next_value::<IgnoredAny>()?;
        }
    }
    let index = index.filter(|_| is_placeholder);
    let data = index.and_then(|index| attachments.get(index));
    data.ok_or_else(|| A::Error::custom("placeholder refers to no attachment"))
}

/// A name in an object, borrowed from the text unless it contains escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

/// An object whose first name was read already.
struct Replay<'de, A> {
    first: Option<Cow<'de, str>>,
    access: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Replay<'de, A> {
    type Error = A::Error;

    fn next_key_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        match self.first.take() {
            Some(Cow::Borrowed(name)) => {
                let name = serde::de::value::BorrowedStrDeserializer::new(name);
                seed.deserialize(name).map(Some)
            }
            Some(name @ Cow::Owned(_)) => seed.deserialize(CowStrDeserializer::new(name)).map(Some),
            None => self.access.next_key_seed(seed),
        }
    }

    fn next_value_seed<S>(&mut self, seed: S) -> Result<S::Value, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        self.access.next_value_seed(seed)
    }
}
