//! The one value that CONNECT and CONNECT_ERROR carry.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::args::{Arguments, ArgumentsError, Bounds, OwnedArguments};
use super::from_value;
use crate::value::Value;

/// What a CONNECT or a CONNECT_ERROR says: a value that was not parsed yet.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Payload<'a> {
    /// The text of a JSON value.
    Json(&'a str),
    /// A value in a message of MessagePack, as the only argument.
    MessagePack(Arguments<'a>),
    /// A value that was taken out of one.
    Value(&'a Value),
}

/// The same, on its own.
#[derive(Clone)]
#[non_exhaustive]
pub enum OwnedPayload {
    /// The text of a JSON value.
    Json(String),
    /// A value in a message of MessagePack, as the only argument.
    MessagePack(OwnedArguments),
    /// A value that was taken out of one.
    Value(Value),
}

impl OwnedPayload {
    /// Borrows it.
    #[must_use]
    pub fn as_payload(&self) -> Payload<'_> {
        match self {
            Self::Json(text) => Payload::Json(text),
            Self::MessagePack(argument) => Payload::MessagePack(argument.as_arguments()),
            Self::Value(value) => Payload::Value(value),
        }
    }
}

impl fmt::Debug for OwnedPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_payload().fmt(f)
    }
}

impl Payload<'_> {
    /// The object without these members; `None` when it is no object. The other members stay as
    /// they were written.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Option<OwnedPayload> {
        match self {
            Self::Json(text) => {
                let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
                members.retain(|name, _| !names.contains(&&**name));
                serde_json::to_string(&members).ok().map(OwnedPayload::Json)
            }
            Self::MessagePack(argument) => without(argument.decode().ok()?, names),
            Self::Value(value) => without((*value).clone(), names),
        }
    }

    /// Decodes it. `()` accepts any.
    ///
    /// # Errors
    ///
    /// As [`Arguments::decode`]; the path of a mismatch begins below the payload.
    pub fn decode<T: DeserializeOwned + 'static>(&self) -> Result<T, ArgumentsError> {
        let outcome = match self {
            Self::Json(text) => {
                Arguments::in_text(&format!("[{text}]"), 0, &[], Bounds::counting(1)).decode()
            }
            Self::MessagePack(argument) => argument.decode(),
            Self::Value(value) => from_value(value),
        };
        outcome.map_err(|error| match error {
            ArgumentsError::Mismatch { path, message } => {
                let path = path.strip_prefix("[0]").unwrap_or(&path);
                let path = path.trim_start_matches('.').to_owned();
                ArgumentsError::Mismatch { path, message }
            }
            error @ ArgumentsError::Syntax(_) => error,
        })
    }
}

fn without(value: Value, names: &[&str]) -> Option<OwnedPayload> {
    let Value::Object(mut members) = value else {
        return None;
    };
    members.retain(|name, _| !names.contains(&name));
    Some(OwnedPayload::Value(Value::Object(members)))
}

impl Payload<'_> {
    /// The same in memory of its own, to be decoded later.
    #[must_use]
    pub fn to_owned(self) -> OwnedPayload {
        match self {
            Self::Json(text) => OwnedPayload::Json(text.to_owned()),
            Self::MessagePack(argument) => OwnedPayload::MessagePack(argument.to_owned()),
            Self::Value(value) => OwnedPayload::Value(value.clone()),
        }
    }
}

/// Without the contents: they are often secret.
impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Payload");
        match self {
            Self::Json(text) => shown.field("bytes", &text.len()),
            Self::MessagePack(argument) => shown.field("bytes", &argument.size()),
            Self::Value(_) => &mut shown,
        };
        shown.finish()
    }
}

/// Decodes the payload of a CONNECT packet; an absent one is an empty object.
///
/// # Errors
///
/// As [`Payload::decode`].
pub fn decode_connect_payload<T: DeserializeOwned + 'static>(
    payload: Option<Payload<'_>>,
) -> Result<T, ArgumentsError> {
    payload.unwrap_or(Payload::Json("{}")).decode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_taken_out_and_the_rest_stays_as_written() {
        for (text, expected) in [
            ("{}", Some("{}")),
            (r#"{"pid":"p"}"#, Some("{}")),
            (
                r#"{"offset":"o","token":{"pid":1.50},"pid":null}"#,
                Some(r#"{"token":{"pid":1.50}}"#),
            ),
            ("[1]", None),
            ("\"pid\"", None),
            ("{", None),
        ] {
            let rest = Payload::Json(text).without(&["pid", "offset"]);
            let rest = rest.map(|rest| match rest {
                OwnedPayload::Json(text) => text,
                OwnedPayload::MessagePack(_) | OwnedPayload::Value(_) => {
                    unreachable!("it was JSON")
                }
            });
            assert_eq!(rest.as_deref(), expected, "{text}");
        }
    }
}
