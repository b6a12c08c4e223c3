//! A server for bare Engine.IO sessions.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ferriwire_proto::engine::CloseReason;
use tokio::net::ToSocketAddrs;

use super::core::Core;
use super::counters::Stats;
use super::handler::Handlers;
use super::listen::{Listener, Listening};
use super::service::{Layer, Service};
use super::{Message, Session};
use crate::config::Config;
use crate::error::Error;

/// A server for bare Engine.IO sessions: text and binary messages over long-polling and WebSocket.
///
/// # Examples
///
/// ```no_run
/// use ferriwire::engine::Server;
///
/// # async fn run() -> ferriwire::Result<()> {
/// Server::new()
///     .on_connect(async |session| drop(session.send("welcome")))
///     .on_message(async |session, message| drop(session.send(message)))
///     .listen("127.0.0.1:3000")
///     .await
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Server {
    config: Config,
    handlers: Handlers,
}

impl Server {
    /// A server at the path `/engine.io/` that reads messages and drops them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            config: Config::new().path("/engine.io/"),
            handlers: Handlers::default(),
        }
    }

    /// Replaces the configuration, the path included.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Is called when a session is open. Messages wait until it has finished.
    #[must_use]
    #[doc(alias = "connection")]
    pub fn on_connect<F, Fut>(mut self, handler: F) -> Self
    where
        F: FnOnce(Session) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.handlers.connect = Some(Arc::new(move |session| {
            let handler = handler.clone();
            Box::pin(async move { handler(session).await })
        }));
        self
    }

    /// Is called for each message, in the order of their arrival; calls interleave at `.await`.
    #[must_use]
    #[doc(alias = "message")]
    #[doc(alias = "data")]
    pub fn on_message<F, Fut>(mut self, handler: F) -> Self
    where
        F: FnOnce(Session, Message) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.handlers.message = Some(Arc::new(move |session, message| {
            let handler = handler.clone();
            Box::pin(async move { handler(session, message).await })
        }));
        self
    }

    /// Is called when a session has ended, once.
    #[must_use]
    #[doc(alias = "close")]
    pub fn on_close<F, Fut>(mut self, handler: F) -> Self
    where
        F: FnOnce(Session, CloseReason) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.handlers.close = Some(Arc::new(move |session, reason| {
            let handler = handler.clone();
            Box::pin(async move { handler(session, reason).await })
        }));
        self
    }

    /// Listens at the address, and returns when clients can connect.
    ///
    /// # Errors
    ///
    /// The address cannot be listened at, or the configuration names files that are not there.
    pub async fn bind(self, address: impl ToSocketAddrs) -> Result<RunningServer, Error> {
        let listening = Listening::bind(self.into_core()?, address).await?;
        Ok(RunningServer {
            listening: Arc::new(listening),
        })
    }

    /// As [`ferriwire::Server::bind_all`](crate::Server::bind_all).
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub async fn bind_all(
        self,
        listeners: impl IntoIterator<Item = Listener>,
    ) -> Result<RunningServer, Error> {
        let listening = Listening::bind_all(self.into_core()?, listeners).await?;
        Ok(RunningServer {
            listening: Arc::new(listening),
        })
    }

    /// Listens at the address until the process ends.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub async fn listen(self, address: impl ToSocketAddrs) -> Result<(), Error> {
        self.bind(address).await?.ended().await;
        Ok(())
    }

    /// A tower service that answers the server's path.
    ///
    /// # Errors
    ///
    /// The configuration names files that are not there.
    pub fn into_service(self) -> Result<Service, Error> {
        Ok(Service::new(self.into_core()?))
    }

    /// A tower layer that answers the server's path and passes other requests on.
    ///
    /// # Errors
    ///
    /// The configuration names files that are not there.
    pub fn into_layer(self) -> Result<Layer, Error> {
        Ok(Layer::new(self.into_core()?))
    }

    fn into_core(self) -> Result<Arc<Core>, Error> {
        Core::new(
            self.config,
            Box::new(Arc::new(self.handlers)),
            shard_count(),
        )
    }
}

/// A server that listens. Clones are handles to the same server; dropping the last one stops
/// accepting connections.
#[derive(Clone, Debug)]
pub struct RunningServer {
    listening: Arc<Listening>,
}

impl RunningServer {
    /// Where it listens: the first of its addresses.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addrs()[0]
    }

    /// All addresses where it listens, in the order in which they were given.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        self.listening.local_addrs()
    }

    /// Whether it takes new sessions: not any more once it is being shut down.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.listening.is_ready()
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.listening.core().stats()
    }

    /// Takes no new sessions, writes what waits, closes all sessions in batches
    /// ([`Config::drain_pause`](crate::Config::drain_pause)), and returns when that is done or `grace`
    /// has passed.
    #[doc(alias = "close")]
    pub async fn shutdown(&self, grace: Duration) {
        self.listening.shut_down(grace).await;
    }

    /// Waits until the server is shut down.
    pub async fn ended(&self) {
        self.listening.ended().await;
    }
}

/// One shard per worker thread.
pub(crate) fn shard_count() -> usize {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.metrics().num_workers(),
        Err(_) => std::thread::available_parallelism().map_or(1, usize::from),
    }
}
