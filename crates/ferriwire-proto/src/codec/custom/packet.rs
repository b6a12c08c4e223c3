//! Packets as a program's codec sees them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::packet::AckId;
use crate::value::{Args, Value};

/// A packet whose payload has no type.
///
/// It serialises, so that any serde format that describes itself can be a codec; to keep binary data
/// apart the format must know bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UntypedPacket {
    /// The namespace, `/` or what begins with it.
    pub namespace: String,
    /// What the packet says.
    pub body: UntypedBody,
}

/// What an [`UntypedPacket`] says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UntypedBody {
    /// From a client: it joins the namespace, with an object. From a server: it has joined; an
    /// object with the socket's id.
    Connect(Option<Value>),
    /// The sender leaves the namespace.
    Disconnect,
    /// A named message.
    Event {
        /// Present when the sender waits for an acknowledgement.
        id: Option<AckId>,
        /// Its name.
        name: String,
        /// What follows the name.
        args: Args,
    },
    /// The answer to an event.
    Ack {
        /// The number that the event carried.
        id: AckId,
        /// The values of the answer.
        args: Args,
    },
    /// From a server: the namespace refuses to be joined. An object or text; any value for clients
    /// of Socket.IO 4.
    ConnectError(Value),
}

/// The messages that a packet is sent as, in this order: at least one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// A text.
    pub text: Option<String>,
    /// Binary messages.
    pub binary: Vec<Bytes>,
}

impl From<String> for Parts {
    fn from(text: String) -> Self {
        Self {
            text: Some(text),
            binary: Vec::new(),
        }
    }
}

impl From<Bytes> for Parts {
    fn from(data: Bytes) -> Self {
        Self {
            text: None,
            binary: vec![data],
        }
    }
}

impl From<Vec<u8>> for Parts {
    fn from(data: Vec<u8>) -> Self {
        Bytes::from(data).into()
    }
}
