//! Untyped payloads: JSON plus binary data.

mod convert;
pub(crate) mod handoff;
mod object;
mod serde_impl;

use bytes::Bytes;
use serde_json::Number;

pub use object::{Iter, Object};
pub(crate) use serde_impl::ARGS;

/// Any value that an event can carry.
///
/// Its binary data shares the buffer of the attachment, in both directions: passing a value on
/// copies no bytes. Integers beyond 64 bits become floating point numbers, as in JavaScript.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A finite number.
    Number(Number),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Self>),
    /// Named values, in the order in which they came.
    Object(Object),
    /// Binary data, which travels as an attachment.
    Binary(Bytes),
}

impl Value {
    /// How many bytes texts, names and binary data in it have, with something for each value.
    #[must_use]
    pub fn size(&self) -> usize {
        let own = match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => 0,
            Self::String(text) => text.len(),
            Self::Binary(data) => data.len(),
            Self::Array(values) => values.iter().map(Self::size).fold(0, usize::saturating_add),
            Self::Object(members) => members
                .iter()
                .map(|(name, value)| name.len().saturating_add(value.size()))
                .fold(0, usize::saturating_add),
        };
        own.saturating_add(size_of::<Self>())
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The truth value.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// The number.
    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        if let Self::Number(value) = self {
            Some(value)
        } else {
            None
        }
    }

    /// The number, if it is an integer of that range.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// The number, if it is an integer of that range.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    /// The number.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number()?.as_f64()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(value) = self {
            Some(value)
        } else {
            None
        }
    }

    /// The list.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(values) = self {
            Some(values)
        } else {
            None
        }
    }

    /// The named values.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(entries) = self {
            Some(entries)
        } else {
            None
        }
    }

    /// The binary data.
    #[must_use]
    pub fn as_binary(&self) -> Option<&Bytes> {
        if let Self::Binary(data) = self {
            Some(data)
        } else {
            None
        }
    }

    /// The value of that name, if this is an object that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }
}

/// A whole argument list of any length, where a tuple fixes the number of arguments.
///
/// Only at the top level of a payload; further in it is an array.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Args(pub Vec<Value>);
