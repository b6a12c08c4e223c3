//! Engine.IO 4 and 3: a session that survives a change of transport (docs/protocol.md, 1.1 and 1.2).
//!
//! This layer knows packets, polling bodies, the handshake and the life of one session. It does not
//! know HTTP, what a message means, or how many bytes wait for a peer to read them.
//!
//! | module | concept |
//! |---|---|
//! | [`packet`] | the seven packet types |
//! | [`payload`] | several packets in one polling body |
//! | [`revision3`] | packets and polling bodies as clients of revision 3 write them |
//! | [`body`] | packets as the body of a polling answer, in either revision |
//! | [`jsonp`] | polling bodies as scripts and forms |
//! | [`handshake`] | the query of a request, the answer to it, and its refusal |
//! | [`session`] | server side of one session: heartbeat, upgrade, close |
//! | [`client`] | client side of one: opening, heartbeat, upgrade with probe, close |
//! | [`queue`] | what waits for one peer |

use std::borrow::Cow;

use bytes::Bytes;

pub mod body;
pub mod client;
pub mod handshake;
pub mod jsonp;
pub mod packet;
pub mod payload;
pub mod queue;
pub mod revision3;
pub mod session;

mod close_reason;
mod session_id;

pub use close_reason::CloseReason;
pub use session_id::SessionId;

use packet::{Packet, ParseError};

/// What Engine.IO carries for the layer above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text, borrowed from what was read where that is possible.
    Text(Cow<'a, str>),
    /// Bytes.
    Binary(Bytes),
}

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// HTTP long-polling: a waiting GET carries packets to the client, a POST to the server.
    Polling,
    /// One WebSocket.
    WebSocket,
    /// One bidirectional stream of a WebTransport session.
    WebTransport,
}

impl Transport {
    /// The transport of that name; names are case-sensitive.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Polling, Self::WebSocket, Self::WebTransport]
            .into_iter()
            .find(|transport| transport.as_str() == name)
    }

    /// Its name in a query and in the list of upgrades.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
            Self::WebTransport => "webtransport",
        }
    }
}

/// The revision of the Engine.IO protocol, `EIO` in the query.
#[doc(alias = "EIO")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// Revision 3, spoken by Socket.IO 2 clients: the client sends the pings.
    V3,
    /// Revision 4, the current one: the server sends the pings.
    V4,
}

impl Revision {
    /// Reads the packet of a text frame, see [`packet::Packet::decode`].
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn decode_text(self, text: &str) -> Result<Packet<'_>, ParseError> {
        match self {
            Self::V3 => revision3::decode_text(text),
            Self::V4 => Packet::decode(text),
        }
    }

    /// Reads the packet of a binary frame: in revision 4 that is always a message.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn decode_binary(self, data: Bytes) -> Result<Packet<'static>, ParseError> {
        match self {
            Self::V3 => revision3::decode_binary(data),
            Self::V4 => Ok(Packet::Message(Message::Binary(data))),
        }
    }

    /// What stands in front of the base64 of a binary message.
    pub(crate) const fn base64_prefix(self) -> &'static str {
        match self {
            Self::V3 => "b4",
            Self::V4 => "b",
        }
    }
}

/// How packets have to look for one client. Default: revision 4, with binary data as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The revision that it speaks.
    pub revision: Revision,
    /// It takes binary data as base64 text only, on every transport.
    #[doc(alias = "b64")]
    #[doc(alias = "supportsBinary")]
    pub base64: bool,
}

impl Dialect {
    /// A revision, with binary data as it is or as base64 text.
    #[must_use]
    pub const fn new(revision: Revision, base64: bool) -> Self {
        Self { revision, base64 }
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self::new(Revision::V4, false)
    }
}

#[cfg(test)]
mod tests {
    use super::Transport;

    #[test]
    fn transports_are_found_by_their_exact_name() {
        for transport in [
            Transport::Polling,
            Transport::WebSocket,
            Transport::WebTransport,
        ] {
            assert_eq!(Transport::parse(transport.as_str()), Some(transport));
        }
        for name in ["", "WebSocket", "websocket ", "constructor", "__proto__"] {
            assert_eq!(Transport::parse(name), None, "{name:?}");
        }
    }
}
