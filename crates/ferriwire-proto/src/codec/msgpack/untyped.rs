//! Payloads without their types, binary data wherever it stands.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::List;
use super::encode::serialize_value;
use super::serialize::serialize_arguments;
use crate::codec::EncodeError;
use crate::value::{Args, Value};

/// The arguments of a payload.
pub(crate) fn to_args<P: Serialize + ?Sized>(
    payload: &P,
    max_depth: usize,
) -> Result<Args, EncodeError> {
    let mut message = Vec::new();
    let len = serialize_arguments(&mut message, payload, max_depth)?;
    read(message, len)
}

/// Anything that serialises, as a value.
pub(crate) fn to_value<P: Serialize + ?Sized>(
    payload: &P,
    max_depth: usize,
) -> Result<Value, EncodeError> {
    let (value,) = read(serialize_value(payload, max_depth)?, 1)?;
    Ok(value)
}

fn read<T: DeserializeOwned>(message: Vec<u8>, len: usize) -> Result<T, EncodeError> {
    let message = Bytes::from(message);
    let list = List::new(&message, 0, len);
    let read = list.decode(usize::MAX);
    read.map_err(|error| EncodeError::Serialize(error.to_string()))
}
