//! What the outermost type of a payload means when it is decoded: a list, one argument, or none.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::value::ARGS;

/// The arguments that were not read yet.
pub(super) struct Elements<'p, A> {
    access: A,
    read: usize,
    limit: usize,
    /// The index of the argument that is being read, for whoever reports an error.
    progress: &'p Cell<usize>,
}

impl<'p, A> Elements<'p, A> {
    pub(super) fn new(access: A, limit: usize, progress: &'p Cell<usize>) -> Self {
        Self {
            access,
            read: 0,
            limit,
            progress,
        }
    }

    /// The next argument, or what stands for one that is missing.
    fn required<'de, S>(&mut self, seed: S) -> Result<S::Value, A::Error>
    where
        A: SeqAccess<'de>,
        S: DeserializeSeed<'de>,
    {
        let mut seed = Some(seed);
        if let Some(value) = self.next_element_seed(Lent(&mut seed))? {
            return Ok(value);
        }
        let seed = seed.ok_or_else(|| A::Error::custom("argument was read twice"))?;
        seed.deserialize(Missing(PhantomData))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        self.progress.set(self.read);
        self.access.next_element_seed(Counted {
            seed,
            read: &mut self.read,
            limit: self.limit,
        })
    }
}

/// Counts an argument when there is one.
struct Counted<'e, S> {
    seed: S,
    read: &'e mut usize,
    limit: usize,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Counted<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, argument: D) -> Result<S::Value, D::Error> {
        if *self.read >= self.limit {
            return Err(D::Error::custom("too many arguments"));
        }
        *self.read = self.read.saturating_add(1);
        self.seed.deserialize(argument)
    }
}

/// Deserialises the outermost type of a payload.
pub(super) struct List<'e, 'p, A>(pub(super) &'e mut Elements<'p, A>);

/// A type that is one argument: the same question is passed on to the next argument.
macro_rules! one_argument {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, A::Error> {
            struct Seed<V> { $($name: $type,)* visitor: V }

            impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Seed<V> {
                type Value = V::Value;

                fn deserialize<D: Deserializer<'de>>(self, argument: D) -> Result<V::Value, D::Error> {
                    argument.$method($(self.$name,)* self.visitor)
                }
            }

            self.0.required(Seed { $($name,)* visitor })
        }
    )*};
}

impl<'de, A: SeqAccess<'de>> Deserializer<'de> for List<'_, '_, A> {
    type Error = A::Error;

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_seq(Tuple {
            elements: self.0,
            left: len,
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        if name == ARGS {
            return visitor.visit_newtype_struct(SeqAccessDeserializer::new(self.0));
        }
        self.0.required(Newtype { name, visitor })
    }

    one_argument! {
        deserialize_any();
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
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_seq();
        deserialize_map();
        deserialize_identifier();
        deserialize_ignored_any();
        deserialize_unit_struct(name: &'static str);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }
}

struct Newtype<V> {
    name: &'static str,
    visitor: V,
}

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Newtype<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, argument: D) -> Result<V::Value, D::Error> {
        argument.deserialize_newtype_struct(self.name, self.visitor)
    }
}

/// The elements of a tuple, of which the last ones may be missing.
struct Tuple<'e, 'p, A> {
    elements: &'e mut Elements<'p, A>,
    left: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Tuple<'_, '_, A> {
    type Error = A::Error;

    fn next_element_seed<S>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error>
    where
        S: DeserializeSeed<'de>,
    {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        self.elements.required(seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A seed that comes back when there was nothing to deserialise.
struct Lent<'s, S>(&'s mut Option<S>);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Lent<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, argument: D) -> Result<S::Value, D::Error> {
        let seed = self.0.take();
        let seed = seed.ok_or_else(|| D::Error::custom("argument was read twice"))?;
        seed.deserialize(argument)
    }
}

/// An argument that is not there: `None` for an `Option`, an error for anything else.
struct Missing<E>(PhantomData<fn() -> E>);

impl<'de, E: Error> Deserializer<'de> for Missing<E> {
    type Error = E;

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_none()
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        Err(E::custom(format_args!(
            "missing argument, expected {}",
            Expecting(&visitor)
        )))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Expecting<'v, V>(&'v V);

impl<'de, V: Visitor<'de>> fmt::Display for Expecting<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}
