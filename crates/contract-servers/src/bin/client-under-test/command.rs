//! What can be asked of the client.

use std::collections::BTreeMap;
use std::time::Duration;

use ferriwire::Transport;
use serde::Deserialize;
use serde_json::Value;

/// One line of the input.
#[derive(Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase")]
pub(crate) enum Command {
    Open(Box<Open>),
    Emit(Emit),
    Answer(Answer),
    Disconnect(Place),
    Connect(Place),
    Cut,
    Status,
    Exit,
}

/// What a client is made of; what is absent stays as the client has it.
#[derive(Deserialize)]
#[serde(default)]
pub(crate) struct Open {
    pub(crate) url: String,
    pub(crate) namespaces: Vec<String>,
    pub(crate) auth: Option<Value>,
    /// One for each attempt; the last one repeats.
    pub(crate) auth_sequence: Vec<Value>,
    pub(crate) transports: Option<Vec<TransportName>>,
    pub(crate) upgrade: Option<bool>,
    pub(crate) path: Option<String>,
    pub(crate) query: BTreeMap<String, Text>,
    pub(crate) headers: BTreeMap<String, Text>,
    pub(crate) reconnection: Option<bool>,
    pub(crate) reconnection_attempts: Option<u32>,
    pub(crate) reconnection_delay_ms: Option<u64>,
    pub(crate) reconnection_delay_max_ms: Option<u64>,
    pub(crate) randomization_factor: Option<f64>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) retries: Option<u32>,
    pub(crate) ack_timeout_ms: Option<u64>,
    pub(crate) codec: Option<CodecName>,
    pub(crate) revision: Option<u8>,
    pub(crate) ca_pem: Option<String>,
    pub(crate) insecure: bool,
    pub(crate) proxy: Option<String>,
}

impl Default for Open {
    fn default() -> Self {
        Self {
            url: String::new(),
            namespaces: vec![main_namespace()],
            auth: None,
            auth_sequence: Vec::new(),
            transports: None,
            upgrade: None,
            path: None,
            query: BTreeMap::new(),
            headers: BTreeMap::new(),
            reconnection: None,
            reconnection_attempts: None,
            reconnection_delay_ms: None,
            reconnection_delay_max_ms: None,
            randomization_factor: None,
            timeout_ms: None,
            retries: None,
            ack_timeout_ms: None,
            codec: None,
            revision: None,
            ca_pem: None,
            insecure: false,
            proxy: None,
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TransportName {
    Polling,
    WebSocket,
    WebTransport,
}

impl From<TransportName> for Transport {
    fn from(name: TransportName) -> Self {
        match name {
            TransportName::Polling => Self::Polling,
            TransportName::WebSocket => Self::WebSocket,
            TransportName::WebTransport => Self::WebTransport,
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CodecName {
    Json,
    MsgPack,
}

/// A text, or a number or truth value as it is written.
#[derive(Deserialize)]
#[serde(from = "Value")]
pub(crate) struct Text(pub(crate) String);

impl From<Value> for Text {
    fn from(value: Value) -> Self {
        let text = value.as_str().map(ToOwned::to_owned);
        Self(text.unwrap_or_else(|| value.to_string()))
    }
}

#[derive(Deserialize)]
pub(crate) struct Emit {
    #[serde(default = "main_namespace")]
    pub(crate) ns: String,
    pub(crate) event: String,
    #[serde(default)]
    pub(crate) args: Vec<Value>,
    #[serde(default)]
    pub(crate) tag: Value,
    #[serde(default)]
    pub(crate) ack: bool,
    pub(crate) timeout_ms: Option<u64>,
    #[serde(default)]
    pub(crate) volatile: bool,
}

/// How events of a name are acknowledged; without arguments with their own.
#[derive(Clone, Deserialize)]
pub(crate) struct Answer {
    pub(crate) event: String,
    pub(crate) args: Option<Vec<Value>>,
    pub(crate) delay_ms: Option<u64>,
}

#[derive(Deserialize)]
pub(crate) struct Place {
    #[serde(default = "main_namespace")]
    pub(crate) ns: String,
}

fn main_namespace() -> String {
    "/".to_owned()
}

impl Command {
    /// Reads a line. `command` is taken for `cmd` as well.
    pub(crate) fn read(line: &str) -> Result<Self, String> {
        let mut value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if let Value::Object(fields) = &mut value
            && !fields.contains_key("cmd")
            && let Some(name) = fields.remove("command")
        {
            fields.insert("cmd".to_owned(), name);
        }
        serde_json::from_value(value).map_err(|error| error.to_string())
    }
}

/// Milliseconds as they stand in commands.
pub(crate) fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}
