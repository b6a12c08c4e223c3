//! The Socket.IO server as its clients see it: raw clients over real connections.
//!
//! Numbers such as `44` in the docs of the modules are those of the corner cases that the reference's
//! own tests check, listed in section 1.5 of docs/protocol.md.

#[path = "../support/mod.rs"]
mod support;

mod acknowledgements;
mod answers;
mod asking;
mod auth;
mod backpressure;
mod client;
mod cluster;
mod codecs;
mod counted;
mod custom_codec;
mod deflate;
mod dynamic_namespaces;
mod event_middleware;
mod events;
mod fetch;
mod handshake;
mod leaving;
mod lifecycle;
mod limits;
mod listeners;
mod many_children;
mod middleware;
mod namespaces;
mod order;
mod panics;
mod protocol;
mod protocol_4;
mod reasons;
mod recovery;
mod recovery_children;
mod recovery_claims;
mod recovery_edges;
mod recovery_limits;
mod room_events;
mod rooms;
mod upgrades;
mod volatile;

use std::time::Duration;

use ferriwire::{Config, Namespace, RunningServer, Server};
use tokio::sync::mpsc;

use support::within;

/// A running server of one namespace.
pub(crate) async fn serve<D: Send + Sync + 'static, S>(
    namespace: Namespace<D, S>,
) -> RunningServer {
    start(Server::new().namespace(namespace)).await
}

pub(crate) async fn serve_with<D: Send + Sync + 'static, S>(
    config: Config,
    namespace: Namespace<D, S>,
) -> RunningServer {
    start(Server::new().config(config).namespace(namespace)).await
}

pub(crate) async fn start(server: Server) -> RunningServer {
    server.bind("127.0.0.1:0").await.expect("the server starts")
}

/// What handlers tell the test.
pub(crate) fn log<T>() -> (Log<T>, Entries<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Log(sender), Entries(receiver))
}

/// The handlers' end.
pub(crate) struct Log<T>(mpsc::UnboundedSender<T>);

/// The test's end.
pub(crate) struct Entries<T>(mpsc::UnboundedReceiver<T>);

impl<T> Log<T> {
    /// Handlers may outlive the test that reads.
    pub(crate) fn write(&self, entry: T) {
        let _ = self.0.send(entry);
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Entries<T> {
    pub(crate) async fn next(&mut self) -> T {
        let entry = within("a log entry", self.0.recv()).await;
        entry.expect("somebody can still write")
    }

    /// Everything else, when nobody can write any more.
    pub(crate) async fn rest(mut self) -> Vec<T> {
        let mut rest = Vec::new();
        while let Some(entry) = within("the last log entry", self.0.recv()).await {
            rest.push(entry);
        }
        rest
    }
}

/// Ends a server with all that its handlers hold.
pub(crate) async fn stop(server: RunningServer) {
    server.shutdown(Duration::ZERO).await;
}
