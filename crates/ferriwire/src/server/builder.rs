//! The server: built from namespaces, then listening or mounted.

#[cfg(feature = "test")]
mod in_memory;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ferriwire_proto::connection;
use tokio::net::ToSocketAddrs;

use super::broadcast::Addressed;
use super::connection::Connection;
use super::desk::Arrivals;
use super::handle::NamespaceHandle;
use super::namespace::Namespace;
use super::namespaces::Namespaces;
use super::recovery;
use super::termination::Termination;
use crate::cluster::node::Node;
use crate::cluster::{Backend, task};
use crate::config::{Config, Recovery};
use crate::engine::core::{Application, Core};
use crate::engine::listen::{Listener, Listening};
use crate::engine::running::BoxFuture;
use crate::engine::shard::Sweeper;
use crate::engine::task::SessionHandler;
use crate::engine::{Layer, Service, Session, Stats, shard_count};
use crate::error::Error;

/// A Socket.IO server.
///
/// # Examples
///
/// ```no_run
/// use ferriwire::{Namespace, Server};
///
/// # async fn run() -> ferriwire::Result<()> {
/// let echo = Namespace::new("/").on("echo", async |socket, text: String| {
///     drop(socket.emit("echo", &text));
///     text
/// });
/// Server::new().namespace(echo).listen("0.0.0.0:3000").await
/// # }
/// ```
pub struct Server {
    config: Config,
    namespaces: Arc<Namespaces>,
    shards: usize,
    /// The first mistake in the declarations, reported when the server starts.
    mistake: Option<Error>,
    backend: Option<Arc<dyn Backend>>,
}

impl Server {
    /// A server without namespaces: every client is refused.
    #[must_use]
    pub fn new() -> Self {
        let shards = shard_count();
        Self {
            config: Config::new(),
            namespaces: Arc::new(Namespaces::new(shards)),
            shards,
            mistake: None,
            backend: None,
        }
    }

    /// Replaces the configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Makes this server one of several: broadcasts and questions reach the clients of all of them,
    /// unless they are [`local`](super::Broadcast::local). It joins when it starts (a
    /// [service](Self::into_service) outside of a runtime: with its first session) and leaves when it is
    /// shut down.
    #[must_use]
    #[doc(alias = "adapter")]
    pub fn cluster(mut self, backend: impl Backend) -> Self {
        self.backend = Some(Arc::new(backend));
        self
    }

    /// Serves a namespace.
    #[must_use]
    pub fn namespace<D: Send + Sync + 'static, S>(mut self, namespace: Namespace<D, S>) -> Self {
        self.add(namespace);
        self
    }

    /// Serves a namespace, and returns the handle that knows the type of its sockets' data. It
    /// takes the acknowledgement timeout that is configured by now.
    pub fn add<D: Send + Sync + 'static, S>(
        &mut self,
        namespace: Namespace<D, S>,
    ) -> NamespaceHandle<D> {
        if let Some(name) = namespace.reserved_event() {
            self.mistake
                .get_or_insert_with(|| Error::ReservedEvent(name.to_owned()));
        }
        let ack_timeout = self.config.limits.ack_timeout;
        let addressed = match self.namespaces.add(namespace.serve(), ack_timeout) {
            Ok(addressed) => addressed,
            Err(error) => {
                self.mistake.get_or_insert(error);
                Addressed::Children(Arc::default())
            }
        };
        NamespaceHandle::new(addressed, ack_timeout)
    }

    /// Calls `hook` with each namespace that is added after this, but for the main one, and with each
    /// child of a dynamic namespace, before anybody joins it. It must not block: others who
    /// want to join a new child wait for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{Namespace, Server};
    ///
    /// let server = Server::new()
    ///     .on_new_namespace(|namespace| println!("new: {:?}", namespace.name()))
    ///     .namespace(Namespace::pattern("/orders/{id}"));
    /// ```
    #[must_use]
    #[doc(alias = "new_namespace")]
    pub fn on_new_namespace<F>(self, hook: F) -> Self
    where
        F: Fn(NamespaceHandle) + Send + Sync + 'static,
    {
        self.namespaces.on_new(Arc::new(hook));
        self
    }

    /// A handle to a namespace, for emitting from anywhere. It works before the server starts, and
    /// as long as there is no such namespace it answers
    /// [`EmitError::NoSuchNamespace`](crate::EmitError). A child of a dynamic namespace in which
    /// nobody is has no receivers, and that is no error.
    #[must_use]
    #[doc(alias = "of")]
    pub fn handle(&self, namespace: &str) -> NamespaceHandle {
        handle(&self.namespaces, namespace, self.config.limits.ack_timeout)
    }

    /// Listens at the address, and returns when clients can connect.
    ///
    /// # Errors
    ///
    /// The address cannot be listened at; the configuration names files that are not there; two
    /// namespaces have one name; a handler is declared for a reserved event.
    pub async fn bind(self, address: impl ToSocketAddrs) -> Result<RunningServer, Error> {
        let namespaces = Arc::clone(&self.namespaces);
        let ack_timeout = self.config.limits.ack_timeout;
        let listening = Listening::bind(self.into_core()?, address).await?;
        Ok(RunningServer {
            listening: Arc::new(listening),
            namespaces,
            ack_timeout,
        })
    }

    /// Listens at several addresses, with TLS where a [`Listener`] says so, and returns when clients
    /// can connect. They share the namespaces, the rooms and everything else.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind); there is no listener; a certificate or key cannot be used.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use ferriwire::{Listener, Namespace, Server, Tls};
    ///
    /// # async fn run() -> ferriwire::Result<()> {
    /// let running = Server::new()
    ///     .namespace(Namespace::new("/"))
    ///     .bind_all([
    ///         Listener::tcp("127.0.0.1:3000"),
    ///         Listener::tcp("0.0.0.0:443").tls(Tls::files("fullchain.pem", "key.pem")),
    ///     ])
    ///     .await?;
    /// running.await;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "attach")]
    pub async fn bind_all(
        self,
        listeners: impl IntoIterator<Item = Listener>,
    ) -> Result<RunningServer, Error> {
        let namespaces = Arc::clone(&self.namespaces);
        let ack_timeout = self.config.limits.ack_timeout;
        let listening = Listening::bind_all(self.into_core()?, listeners).await?;
        Ok(RunningServer {
            listening: Arc::new(listening),
            namespaces,
            ack_timeout,
        })
    }

    /// Listens at the address until the process is asked to end by SIGTERM, and then shuts down within
    /// [`Config::shutdown_grace`]. A second SIGTERM cuts the sessions off.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), and when the signal cannot be listened for.
    pub async fn listen(self, address: impl ToSocketAddrs) -> Result<(), Error> {
        let grace = self.config.shutdown_grace;
        // Before anybody can know that the server is up, and ask it to end.
        let mut termination = Termination::listen()?;
        let running = self.bind(address).await?;
        tokio::select! {
            () = running.ended() => return Ok(()),
            () = termination.asked() => {}
        }
        tracing::info!("asked to end: the sessions are being closed");
        tokio::select! {
            () = running.shutdown(grace) => {}
            () = termination.asked() => tracing::warn!("asked to end again: sessions are cut off"),
        }
        Ok(())
    }

    /// A tower service that answers everything under the server's path, for mounting into axum,
    /// hyper and others. Take [handles](Self::handle) before, and keep a clone to
    /// [shut it down](Service::shutdown).
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), but for the address.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{Namespace, Server};
    ///
    /// # fn run() -> ferriwire::Result<()> {
    /// let io = Server::new().namespace(Namespace::new("/"));
    /// let everybody = io.handle("/");
    /// let app: axum::Router = axum::Router::new()
    ///     .route("/", axum::routing::get(async || "hello"))
    ///     .fallback_service(io.into_service()?);
    /// # Ok(())
    /// # }
    /// # run().unwrap();
    /// ```
    #[doc(alias = "attach")]
    #[doc(alias = "attachApp")]
    pub fn into_service(self) -> Result<Service, Error> {
        Ok(Service::new(self.into_core()?))
    }

    /// A tower layer that answers everything under the server's path, and passes the rest on.
    ///
    /// # Errors
    ///
    /// As [`into_service`](Self::into_service).
    #[doc(alias = "attach")]
    pub fn into_layer(self) -> Result<Layer, Error> {
        Ok(Layer::new(self.into_core()?))
    }

    fn into_core(self) -> Result<Arc<Core>, Error> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let max_depth = self.config.limits.max_depth;
        self.namespaces.set_codec(&self.config.codec, max_depth);
        let node = self
            .backend
            .map(|backend| Node::new(backend, &self.config.limits));
        let node = node.transpose();
        let node = node.map_err(std::io::Error::from)?.map(Arc::new);
        if let Some(node) = &node {
            self.namespaces.set_cluster(node);
        }
        if let Some(recovery) = self.config.recovery {
            if !self.config.codec.has_offsets() {
                return Err(Error::RecoveryWithCustomCodec);
            }
            self.namespaces.set_recovery(recovery);
        }
        let application = SocketIo {
            protocol: OnceLock::new(),
            namespaces: self.namespaces,
            node,
            recovery: self.config.recovery,
        };
        if tokio::runtime::Handle::try_current().is_ok() {
            application.join_cluster();
        }
        Core::new(self.config, Box::new(application), self.shards)
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Server")
            .field("config", &self.config)
            .field("namespaces", &self.namespaces)
            .finish_non_exhaustive()
    }
}

/// Puts a Socket.IO connection on every session.
struct SocketIo {
    namespaces: Arc<Namespaces>,
    recovery: Option<Recovery>,
    /// What each connection may do, made from the configuration when the first one comes.
    protocol: OnceLock<Arc<connection::Config>>,
    /// This server among others.
    node: Option<Arc<Node>>,
}

impl SocketIo {
    /// Starts the cluster task, once, within a runtime.
    fn join_cluster(&self) {
        if let Some(node) = &self.node {
            node.start(|| {
                let arrivals = Arrivals::new(Arc::clone(node), &self.namespaces);
                tokio::spawn(task::run(Arc::clone(node), arrivals));
            });
        }
    }
}

impl Drop for SocketIo {
    fn drop(&mut self) {
        if let Some(node) = &self.node {
            node.stop();
        }
    }
}

impl Application for SocketIo {
    fn open(&self, session: &Session, now: Instant) -> Box<dyn SessionHandler> {
        self.join_cluster();
        let namespaces = Arc::clone(&self.namespaces);
        let protocol = || session.config().connection().into();
        let protocol = self.protocol.get_or_init(protocol);
        let protocol = Arc::clone(protocol);
        let session = session.clone();
        Box::new(Connection::new(session, protocol, namespaces, now))
    }

    fn sweeper(&self) -> Option<Sweeper> {
        let namespaces = Arc::clone(&self.namespaces);
        self.recovery.map(|settings| Sweeper {
            every: recovery::sweep_interval(settings.window),
            sweep: Box::new(move || namespaces.sweep_recovery()),
        })
    }

    fn count_into(&self, stats: &mut Stats) {
        self.namespaces.counters().count_into(stats);
        stats.recovery_bytes = self.namespaces.recovery_bytes();
        stats.lost_messages = self.node.as_ref().map_or(0, |node| node.lost());
    }

    fn close(&self) -> BoxFuture<()> {
        let node = self.node.clone();
        Box::pin(async move {
            if let Some(node) = node {
                node.stop();
                node.ended().await;
            }
        })
    }
}

/// A server that listens. Await it to wait for its end. Clones are handles to the same server;
/// dropping the last one stops accepting connections.
#[derive(Clone, Debug)]
pub struct RunningServer {
    listening: Arc<Listening>,
    namespaces: Arc<Namespaces>,
    ack_timeout: Duration,
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

    /// Serves one more namespace from now on.
    ///
    /// # Errors
    ///
    /// There is a namespace of that name; its pattern cannot be read; a handler is declared for a
    /// reserved event.
    pub fn add<D: Send + Sync + 'static, S>(
        &self,
        namespace: Namespace<D, S>,
    ) -> Result<NamespaceHandle<D>, Error> {
        if let Some(name) = namespace.reserved_event() {
            return Err(Error::ReservedEvent(name.to_owned()));
        }
        let addressed = self.namespaces.add(namespace.serve(), self.ack_timeout)?;
        Ok(NamespaceHandle::new(addressed, self.ack_timeout))
    }

    /// As [`Server::handle`].
    #[must_use]
    #[doc(alias = "of")]
    pub fn handle(&self, namespace: &str) -> NamespaceHandle {
        handle(&self.namespaces, namespace, self.ack_timeout)
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

    /// Takes no new sessions, writes what waits, closes the transports in batches
    /// ([`Config::drain_pause`]), and returns when that is done or `grace` has passed. Clients get no DISCONNECT packet, so that they come back, to another
    /// node or to the next process.
    #[doc(alias = "close")]
    pub async fn shutdown(&self, grace: Duration) {
        self.listening.shut_down(grace).await;
    }

    /// Waits until the server is shut down.
    pub async fn ended(&self) {
        self.listening.ended().await;
    }
}

impl IntoFuture for RunningServer {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.ended().await })
    }
}

fn handle(namespaces: &Arc<Namespaces>, name: &str, ack_timeout: Duration) -> NamespaceHandle {
    let addressed = match namespaces.hub(name) {
        Some(hub) => Addressed::Hub(hub),
        None => Addressed::Named(Arc::downgrade(namespaces), name.into()),
    };
    NamespaceHandle::new(addressed, ack_timeout)
}
