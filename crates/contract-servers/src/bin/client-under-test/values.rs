//! Arguments as lines of JSON have them, and as the client has them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ferriwire::{Args, Bytes, Value};
use serde_json::{Value as Json, json};

/// The name that says that base64 of binary data follows.
const BINARY: &str = "$bin";

/// Arguments for the client.
///
/// # Errors
///
/// What should be base64 is none, or a number cannot be had.
pub(crate) fn arguments(args: Vec<Json>) -> Result<Args, String> {
    let values: Result<_, _> = args.into_iter().map(value).collect();
    values.map(Args)
}

fn value(json: Json) -> Result<Value, String> {
    Ok(match json {
        Json::Array(items) => Value::Array(items.into_iter().map(value).collect::<Result<_, _>>()?),
        Json::Object(entries) => {
            if let (1, Some(text)) = (entries.len(), entries.get(BINARY).and_then(Json::as_str)) {
                let bytes = BASE64_STANDARD.decode(text);
                let bytes = bytes.map_err(|error| format!("{BINARY}: {error}"))?;
                return Ok(Value::Binary(Bytes::from(bytes)));
            }
            let entries = entries.into_iter();
            let entries = entries.map(|(name, json)| Ok((name, value(json)?)));
            entries.collect::<Result<Value, String>>()?
        }
        plain @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => {
            serde_json::from_value(plain).map_err(|error| error.to_string())?
        }
    })
}

/// Arguments as they are told.
pub(crate) fn shown(args: &Args) -> Json {
    Json::Array(args.0.iter().map(shown_value).collect())
}

/// A value as it is told.
pub(crate) fn shown_value(value: &Value) -> Json {
    match value {
        Value::Array(items) => items.iter().map(shown_value).collect(),
        Value::Object(entries) => entries
            .iter()
            .map(|(name, value)| (name.to_owned(), shown_value(value)))
            .collect(),
        Value::Binary(bytes) => json!({BINARY: BASE64_STANDARD.encode(bytes)}),
        // Without binary data it is JSON.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => json!(value),
    }
}
