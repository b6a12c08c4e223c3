//! The one value that CONNECT and CONNECT_ERROR carry.

use std::fmt;

use serde::de::DeserializeOwned;

use super::args::{Arguments, ArgumentsError, OwnedArguments};

/// What a CONNECT or a CONNECT_ERROR says: a value that was not parsed yet.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Payload<'a> {
    /// The text of a JSON value.
    Json(&'a str),
    /// A value in a message of MessagePack, as the only argument.
    MessagePack(Arguments<'a>),
}

impl Payload<'_> {
    /// Decodes it. `()` accepts any.
    ///
    /// # Errors
    ///
    /// As [`Arguments::decode`]; the path of a mismatch begins below the payload.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ArgumentsError> {
        let outcome = match self {
            Self::Json(text) => Arguments::in_text(&format!("[{text}]"), false, &[], 1).decode(),
            Self::MessagePack(argument) => argument.decode(),
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

impl Payload<'_> {
    /// The same in memory of its own, to be decoded later.
    #[must_use]
    pub fn to_owned(self) -> OwnedPayload {
        match self {
            Self::Json(text) => OwnedPayload::Json(text.to_owned()),
            Self::MessagePack(argument) => OwnedPayload::MessagePack(argument.to_owned()),
        }
    }
}

/// A [`Payload`] that owns what it says.
#[derive(Clone)]
#[non_exhaustive]
pub enum OwnedPayload {
    /// The text of a JSON value.
    Json(String),
    /// A value in a message of MessagePack, as the only argument.
    MessagePack(OwnedArguments),
}

impl OwnedPayload {
    /// To be decoded.
    #[must_use]
    pub fn as_payload(&self) -> Payload<'_> {
        match self {
            Self::Json(text) => Payload::Json(text),
            Self::MessagePack(argument) => Payload::MessagePack(argument.as_arguments()),
        }
    }
}

impl fmt::Debug for OwnedPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_payload().fmt(f)
    }
}

/// Without the contents: they are often secret.
impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Payload");
        match self {
            Self::Json(text) => shown.field("bytes", &text.len()),
            Self::MessagePack(argument) => shown.field("bytes", &argument.size()),
        };
        shown.finish()
    }
}

/// Decodes the payload of a CONNECT packet; an absent one is an empty object.
///
/// # Errors
///
/// As [`Payload::decode`].
pub fn decode_connect_payload<T: DeserializeOwned>(
    payload: Option<Payload<'_>>,
) -> Result<T, ArgumentsError> {
    payload.unwrap_or(Payload::Json("{}")).decode()
}
