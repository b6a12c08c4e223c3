//! Our client against our server, in one process.
//!
//! Numbers such as `80` in the docs of the modules are those of the corner cases that the reference's
//! own tests check, listed in section 1.5 of docs/protocol.md.

#[path = "../support/mod.rs"]
mod support;

mod acknowledgements;
#[cfg(feature = "blocking")]
mod blocking;
mod connecting;
mod cut;
mod delivery;
mod dialects;
mod ending;
mod ends;
mod events;
mod handshake;
mod hostile;
mod in_memory;
mod leaving;
mod raw;
mod reconnecting;
mod requests;
mod stubborn;
mod waiting;
#[cfg(feature = "tls")]
mod ways;

use std::time::Duration;

use ferriwire::client::ClientBuilder;
use ferriwire::test::Wire;
use ferriwire::{Client, Namespace, RunningServer, Server, Transport};
use tokio::sync::mpsc;

use support::within;

/// The ways on which everything has to work.
pub(crate) const WAYS: [Way; 3] = [Way::Polling, Way::WebSocket, Way::Upgrade];

/// How a client gets to its server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    Polling,
    WebSocket,
    Upgrade,
}

impl Way {
    /// A client that goes this way, to a namespace.
    pub(crate) fn to(self, server: &RunningServer, namespace: &str) -> ClientBuilder {
        let address = server.local_addr();
        self.of(Client::builder(format!("http://{address}{namespace}")).no_proxy())
    }

    /// A client that goes this way, in memory.
    pub(crate) fn through(self, wire: &Wire) -> ClientBuilder {
        self.of(wire.client("http://test/"))
    }

    /// The same client, on this way.
    pub(crate) fn of(self, builder: ClientBuilder) -> ClientBuilder {
        // Nobody waits for seconds.
        let builder =
            builder.reconnection_delay(Duration::from_millis(10), Duration::from_millis(50));
        match self {
            Self::Polling => builder.upgrade(false),
            Self::WebSocket => builder.transports([Transport::WebSocket]),
            Self::Upgrade => builder,
        }
    }
}

/// A running server of these namespaces.
pub(crate) async fn serve(server: Server) -> RunningServer {
    let server = server.bind("127.0.0.1:0").await;
    server.expect("a port is free")
}

pub(crate) async fn serve_one<S>(namespace: Namespace<(), S>) -> RunningServer {
    serve(Server::new().namespace(namespace)).await
}

/// Where handlers put what tests look at.
pub(crate) fn notes<T>() -> (mpsc::UnboundedSender<T>, Notes<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Notes(receiver))
}

pub(crate) struct Notes<T>(mpsc::UnboundedReceiver<T>);

impl<T> Notes<T> {
    pub(crate) async fn next(&mut self, what: &str) -> T {
        within(what, self.0.recv())
            .await
            .expect("the handler lives")
    }

    pub(crate) fn try_next(&mut self) -> Option<T> {
        self.0.try_recv().ok()
    }

    pub(crate) fn is_empty(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}
