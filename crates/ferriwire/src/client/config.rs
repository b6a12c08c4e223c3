//! What a client does, all of it fixed when it connects.

use std::sync::Arc;
use std::time::Duration;

use ferriwire_proto::codec::Codec;
use ferriwire_proto::{connection, engine, reconnect};
use http::HeaderMap;

use super::tls::ClientTls;
use super::transport::connect::{Network, ProxyChoice};
use super::transport::stream::Connector;
use crate::config::Deflate;

/// Everything but what belongs to a namespace.
pub(crate) struct ClientConfig {
    pub(crate) engine: engine::client::Config,
    pub(crate) namespaces: connection::client::Config,
    pub(crate) reconnect: reconnect::Config,
    pub(crate) codec: Codec,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) cookies: bool,
    pub(crate) deflate: Option<Deflate>,
    /// The largest message that is taken from a server.
    pub(crate) max_message: usize,
    /// How much may wait for the session.
    pub(crate) max_queued: usize,
    /// How many bytes of events may wait for handlers.
    pub(crate) max_incoming: usize,
    /// How many handlers run at a time.
    pub(crate) max_running: usize,
    /// How long handlers may go on when the client is closed.
    pub(crate) handler_grace: Duration,
    pub(crate) tls: Option<ClientTls>,
    pub(crate) proxy: ProxyChoice,
    /// Where streams come from, if not from the network.
    pub(crate) connector: Option<Arc<dyn Connector>>,
    pub(crate) seed: Option<u64>,
}

const MEBIBYTE: usize = 1024 * 1024;

impl Default for ClientConfig {
    fn default() -> Self {
        let mut namespaces = connection::client::Config::default();
        let max_message = 16 * MEBIBYTE;
        namespaces.limits.max_packet = max_message;
        Self {
            engine: engine::client::Config::default(),
            namespaces,
            reconnect: reconnect::Config::default(),
            codec: Codec::default(),
            path: "/socket.io".to_owned(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            cookies: true,
            deflate: None,
            max_message,
            max_queued: 16 * MEBIBYTE,
            max_incoming: 4 * MEBIBYTE,
            max_running: 256,
            handler_grace: Duration::from_secs(30),
            tls: None,
            proxy: ProxyChoice::default(),
            connector: None,
            seed: None,
        }
    }
}

impl ClientConfig {
    pub(crate) fn connector(&self) -> Arc<dyn Connector> {
        let own = self.connector.as_ref().map(Arc::clone);
        own.unwrap_or_else(|| Arc::new(Network::new(self.tls.clone(), self.proxy.clone())))
    }
}
