//! Gives attachments to whoever asks for bytes where the text has placeholders.
//!
//! One wrapper goes around everything that a JSON deserializer hands out, so that values at any
//! depth are reached. The decoder of packets has checked all placeholders and has put their marker
//! first, therefore the first name in an object decides what it is.

mod visitor;

use std::cell::Cell;

use bytes::Bytes;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use self::visitor::{Objects, RestoreVisitor};

/// By what factor arguments may be larger than the attachments that they came with.
const EXPANSION_FACTOR: usize = 4;

/// What they may copy out of small attachments at least.
const EXPANSION_FLOOR: usize = 64 * 1024;

/// The attachments of one packet, and how much of them was copied.
///
/// A placeholder is some 30 bytes, and any number of them may refer to one large attachment.
/// What shares its buffer costs nothing; the sum of the copies is limited to four times the size of
/// all attachments, or 64 KiB if that is more, give or take the last copy.
#[derive(Debug)]
pub(super) struct Attachments<'de> {
    list: &'de [Bytes],
    copied: Cell<usize>,
    limit: usize,
}

impl<'de> Attachments<'de> {
    pub(super) fn new(list: &'de [Bytes]) -> Self {
        let size = list.iter().map(Bytes::len).fold(0, usize::saturating_add);
        Self {
            list,
            copied: Cell::new(0),
            limit: size.saturating_mul(EXPANSION_FACTOR).max(EXPANSION_FLOOR),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The limit on copies, if it was exceeded.
    pub(super) fn exceeded(&self) -> Option<usize> {
        (self.copied.get() > self.limit).then_some(self.limit)
    }

    fn get(&self, index: usize) -> Option<&'de Bytes> {
        self.list.get(index)
    }

    fn count_copy(&self, len: usize) {
        self.copied.set(self.copied.get().saturating_add(len));
    }
}

/// A deserializer or one of the accesses that come from it.
#[derive(Debug)]
pub(super) struct Restore<'s, 'de, T> {
    inner: T,
    attachments: &'s Attachments<'de>,
}

impl<'s, 'de, T> Restore<'s, 'de, T> {
    pub(super) const fn new(inner: T, attachments: &'s Attachments<'de>) -> Self {
        Self { inner, attachments }
    }

    const fn visitor<V>(&self, visitor: V, objects: Objects) -> RestoreVisitor<'s, 'de, V> {
        RestoreVisitor {
            visitor,
            attachments: self.attachments,
            objects,
        }
    }
}

/// Questions that are passed on as they are, with what comes back wrapped.
macro_rules! pass_on {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.visitor(visitor, Objects::Maps);
            self.inner.$method($($name,)* visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Restore<'_, 'de, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Objects::Either);
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Objects::Binary);
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_ignored_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Objects::Maps);
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.visitor(visitor, Objects::Sequence);
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.deserialize_seq(visitor)
    }

    pass_on! {
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_identifier();
        deserialize_option();
        deserialize_unit();
        deserialize_map();
        deserialize_unit_struct(name: &'static str);
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Restore<'_, 'de, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let Self { inner, attachments } = self;
        inner.deserialize(Restore::new(deserializer, attachments))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Restore<'_, 'de, A> {
    type Error = A::Error;

    fn next_element_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        let seed = Restore::new(seed, self.attachments);
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// Names hold no binary data, so their seeds stay as they are.
impl<'de, A: MapAccess<'de>> MapAccess<'de> for Restore<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S>(&mut self, seed: S) -> Result<S::Value, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        let seed = Restore::new(seed, self.attachments);
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'s, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Restore<'s, 'de, A> {
    type Error = A::Error;
    type Variant = Restore<'s, 'de, A::Variant>;

    fn variant_seed<S>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        let Self { inner, attachments } = self;
        let (name, variant) = inner.variant_seed(seed)?;
        Ok((name, Restore::new(variant, attachments)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Restore<'_, 'de, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S>(self, seed: S) -> Result<S::Value, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        let Self { inner, attachments } = self;
        inner.newtype_variant_seed(Restore::new(seed, attachments))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.visitor(visitor, Objects::Maps);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.visitor(visitor, Objects::Maps);
        self.inner.struct_variant(fields, visitor)
    }
}
