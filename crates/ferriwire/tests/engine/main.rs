//! A running `engine::Server`, spoken to byte by byte: the corner cases of protocol 1.5.

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod bundle;
mod closing;
mod compression;
mod cookies;
mod cors;
mod counted;
mod deflate;
mod eio3;
mod eio3_admission;
mod eio3_jsonp;
mod floods;
mod handshake;
mod heartbeat;
mod hooks;
mod hostile;
mod http2;
mod limits;
mod listeners;
mod long_payloads;
mod memory;
mod mounting;
mod payloads;
mod plain;
mod restart;
mod smuggling;
mod stalls;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
mod upgrade;

use std::net::SocketAddr;
use std::time::Duration;

use ferriwire::engine::{CloseReason, Message, RunningServer, Server, Session};
use ferriwire::{Config, Listener};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use support::http::Http;
use support::polling::Polling;
use support::websocket::WebSocket;
use support::{until, within};

const ANY_PORT: &str = "127.0.0.1:0";
const PATH: &str = "/engine.io/";
const POLLING: &str = "/engine.io/?EIO=4&transport=polling";
const WEBSOCKET: &str = "/engine.io/?EIO=4&transport=websocket";

/// A server that echoes, and reports what its handlers see.
struct Echo {
    server: RunningServer,
    sessions: UnboundedReceiver<Session>,
    received: UnboundedReceiver<Message>,
    closed: UnboundedReceiver<CloseReason>,
}

/// The defaults, at the path of Engine.IO.
fn config() -> Config {
    Config::new().path(PATH)
}

/// The heartbeat of the conformance suites.
fn quick() -> Config {
    config()
        .ping_interval(Duration::from_millis(300))
        .ping_timeout(Duration::from_millis(200))
}

/// The echo server and its reports, before it is bound or mounted.
fn echo(
    config: Config,
) -> (
    Server,
    UnboundedReceiver<Session>,
    UnboundedReceiver<Message>,
    UnboundedReceiver<CloseReason>,
) {
    let (open, sessions) = unbounded_channel();
    let (receive, received) = unbounded_channel();
    let (close, closed) = unbounded_channel();
    let server = Server::new()
        .config(config)
        .on_connect(async move |session| drop(open.send(session)))
        .on_message(async move |session, message| {
            drop(receive.send(message.clone()));
            drop(session.send(message));
        })
        .on_close(async move |_, reason| close.send(reason).unwrap_or_default());
    (server, sessions, received, closed)
}

impl Echo {
    async fn start(config: Config) -> Self {
        Self::listen(config, [Listener::tcp(ANY_PORT)]).await
    }

    async fn listen(config: Config, listeners: impl IntoIterator<Item = Listener>) -> Self {
        let (server, sessions, received, closed) = echo(config);
        Self {
            server: server.bind_all(listeners).await.expect("a free port"),
            sessions,
            received,
            closed,
        }
    }

    fn addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// The server's handle to the session that was opened next.
    async fn session(&mut self) -> Session {
        within("a session", self.sessions.recv())
            .await
            .expect("the server runs")
    }

    /// What arrived next.
    async fn received(&mut self) -> Message {
        within("a message", self.received.recv())
            .await
            .expect("the server runs")
    }

    /// Why the session that closed next did.
    async fn closed(&mut self) -> CloseReason {
        within("a close", self.closed.recv())
            .await
            .expect("the server runs")
    }

    async fn polling(&self) -> Polling {
        Polling::handshake(self.addr(), PATH).await
    }

    /// A session on a WebSocket whose open packet was read.
    async fn websocket(&self) -> WebSocket {
        let connected = WebSocket::connect(self.addr(), WEBSOCKET, &[]).await;
        let mut websocket = connected.expect("the handshake is accepted");
        assert!(websocket.text().await.starts_with("0{"));
        websocket
    }

    /// Sees to it that the server has handled what was sent before: it runs on the one thread of
    /// the test, and a new connection takes more rounds than bytes that were there already.
    async fn settled(&self) {
        let response = Http::connect(self.addr()).await.get("/nothing/here").await;
        assert_eq!(response.status, 404);
    }

    /// Waits until every session has ended, and checks that the server still works.
    async fn is_empty_and_alive(&self) {
        until("the end of all sessions", || {
            self.server.stats().sessions() == 0
        })
        .await;
        let mut websocket = self.websocket().await;
        websocket.send_text("4alive").await;
        assert_eq!(websocket.text().await, "4alive");
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // A session ends once: two reports would have been counted twice.
        let stats = self.server.stats();
        assert!(stats.sessions_closed <= stats.sessions_opened);
    }
}
