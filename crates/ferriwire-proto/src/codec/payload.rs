//! The one value that CONNECT and CONNECT_ERROR carry.

use std::fmt;

use serde::de::DeserializeOwned;

use super::args::{Arguments, ArgumentsError};

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
