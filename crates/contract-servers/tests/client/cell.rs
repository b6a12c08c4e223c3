//! One cell of the table: a server of some make, a transport, and plain or encrypted.

use std::net::SocketAddr;
use std::sync::Mutex;

use crate::make::{Certificate, Make, Server};

/// What a client connects with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Transport {
    Polling,
    WebSocket,
    /// Polling, and then WebSocket.
    Upgrade,
}

impl Transport {
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Polling => &["polling"],
            Self::WebSocket => &["websocket"],
            Self::Upgrade => &["polling", "websocket"],
        }
    }

    pub(crate) fn upgrades(self) -> bool {
        self == Self::Upgrade
    }
}

/// A cell, with its server.
pub(crate) struct Cell {
    pub(crate) make: Make,
    pub(crate) transport: Transport,
    pub(crate) certificate: Option<Certificate>,
    server: Mutex<Option<Server>>,
}

impl Cell {
    pub(crate) async fn new(make: Make, transport: Transport, encrypted: bool) -> Self {
        let certificate = encrypted.then(|| Certificate::make(&format!("{make:?}-{transport:?}")));
        let server = Server::start(make, certificate.as_ref()).await;
        Self {
            make,
            transport,
            certificate,
            server: Mutex::new(Some(server)),
        }
    }

    /// Where its server is.
    pub(crate) fn address(&self) -> SocketAddr {
        let server = self.server.lock().unwrap();
        server.as_ref().expect("it was not killed").address
    }

    pub(crate) async fn kill_server(&self) {
        let server = self.server.lock().unwrap().take();
        server.expect("it was not killed").kill().await;
    }

    /// A new server of the same make, elsewhere.
    pub(crate) async fn restart_server(&self) {
        let server = Server::start(self.make, self.certificate.as_ref()).await;
        *self.server.lock().unwrap() = Some(server);
    }
}
