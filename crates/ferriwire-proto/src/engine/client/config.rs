//! What a client is told of the sessions that it opens.

use std::time::Duration;

use crate::engine::{Revision, Transport};

/// How a client opens a session, and how long it waits for its peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The revision that it speaks. Default: 4.
    pub revision: Revision,
    /// The transports that may be used, the first one first. Default: polling, then WebSocket.
    pub transports: Vec<Transport>,
    /// Whether the next transport is tried when the session could not be opened on one. Default: it is
    /// not, as in the reference.
    #[doc(alias = "tryAllTransports")]
    pub try_all_transports: bool,
    /// Whether to change from polling to a WebSocket where the server offers it. Default: it does.
    pub upgrade: bool,
    /// Ask for binary data as base64 text, and send it so. Default: as it is.
    #[doc(alias = "forceBase64")]
    pub base64: bool,
    /// How long an upgrade may take, from opening the candidate to its end. Default: 10 s, as servers
    /// have it; the reference's client waits for ever.
    pub upgrade_timeout: Duration,
    /// How long a graceful close may take. Default: 10 s; the reference's client waits for ever.
    pub close_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            revision: Revision::V4,
            transports: vec![Transport::Polling, Transport::WebSocket],
            try_all_transports: false,
            upgrade: true,
            base64: false,
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(10),
        }
    }
}
