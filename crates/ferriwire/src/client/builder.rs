//! Describing a client.

mod declaration;
mod namespace;
mod ways;

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ferriwire_proto::codec::Codec;
use ferriwire_proto::connection::client::Outgoing;
use ferriwire_proto::engine::Revision;
use ferriwire_proto::engine::client::Address;
use ferriwire_proto::engine::queue::Queue;
use ferriwire_proto::reconnect::Jitter;
use tokio::sync::oneshot;

use self::declaration::Declaration;
pub use self::namespace::NamespaceBuilder;
use super::config::ClientConfig;
use super::dispatch;
use super::error::ConnectFailure;
use super::handle::{Client, Owner};
use super::reconnection::Reconnection;
use super::shared::Shared;
use super::stream::{Events, Happened};
use super::task::Task;
use super::transport::http::{Origin, header};
use crate::config::Deflate;
use crate::engine::Transport;

/// Describes a client: how it connects, what it says of itself, and what it listens to. Made by
/// [`Client::builder`].
#[must_use = "a client is none before it connects"]
pub struct ClientBuilder {
    address: String,
    config: ClientConfig,
    declaration: Declaration,
    /// The first thing that cannot be used.
    mistake: Option<ConnectFailure>,
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientBuilder")
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            config: ClientConfig::default(),
            declaration: Declaration::default(),
            mistake: None,
        }
    }

    /// Is told how it goes on after the connection was lost, or could not be made.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::Reconnection;
    ///
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .on_reconnect(async |_, step| match step {
    ///         Reconnection::Attempt { number, after } => println!("attempt {number} after {after:?}"),
    ///         Reconnection::GaveUp => println!("that was the last one"),
    ///         _ => {}
    ///     });
    /// ```
    #[doc(alias = "reconnect_attempt")]
    #[doc(alias = "reconnect_failed")]
    pub fn on_reconnect<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce(Client, Reconnection) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.declaration
            .listeners
            .reconnection
            .push(dispatch::hook(hook));
        self
    }

    /// Is told when the session has changed to another transport.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .on_upgrade(async |_, transport| println!("now on {transport:?}"));
    /// ```
    #[doc(alias = "upgrade")]
    pub fn on_upgrade<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce(Client, Transport) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.declaration
            .listeners
            .upgrade
            .push(dispatch::hook(hook));
        self
    }

    /// The transports that may be used, the first one first. Default: polling, then WebSocket. Mirrors
    /// `transports`, whose `webtransport` is not there yet and passed over.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Transport;
    ///
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .transports([Transport::WebSocket]);
    /// ```
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        let is_there = |one: &Transport| *one != Transport::WebTransport;
        self.config.engine.transports = transports.into_iter().filter(is_there).collect();
        self
    }

    /// Whether to change from polling to a WebSocket where the server offers it. Default: it does.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .upgrade(false);
    /// ```
    pub fn upgrade(mut self, upgrade: bool) -> Self {
        self.config.engine.upgrade = upgrade;
        self
    }

    /// Whether the next transport is tried when the session could not be opened on one. Default: it
    /// is not.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Transport;
    ///
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .transports([Transport::WebSocket, Transport::Polling])
    ///     .try_all_transports(true);
    /// ```
    #[doc(alias = "tryAllTransports")]
    pub fn try_all_transports(mut self, try_all: bool) -> Self {
        self.config.engine.try_all_transports = try_all;
        self
    }

    /// The path of the requests. Default: `/socket.io`.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .path("/my/socket.io");
    /// ```
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.config.path = path.into();
        self
    }

    /// A parameter in the query of every request. Called again, it adds one more.
    /// Mirrors `query`.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .query("version", "7");
    /// ```
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.query.push((name.into(), value.into()));
        self
    }

    /// A header of every request, on all transports. Called again, it adds one more. A name or value that cannot
    /// be sent fails [`connect`](Self::connect). Mirrors `extraHeaders`.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .header("Authorization", "Bearer secret");
    /// ```
    #[doc(alias = "extraHeaders")]
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        match header(name.as_ref(), value.as_ref()) {
            Ok((name, value)) => drop(self.config.headers.append(name, value)),
            Err(mistake) => drop(self.mistake.get_or_insert(mistake)),
        }
        self
    }

    /// Whether cookies that the server sets are sent back, as load balancers need it. Default: they
    /// are (reference: `withCredentials`, off).
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .cookies(false);
    /// ```
    #[doc(alias = "withCredentials")]
    pub fn cookies(mut self, cookies: bool) -> Self {
        self.config.cookies = cookies;
        self
    }

    /// How packets are encoded; the server has to do the same. Default: JSON.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Codec;
    ///
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .codec(Codec::MessagePack);
    /// ```
    #[doc(alias = "parser")]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.config.codec = codec;
        self
    }

    /// The revision of Engine.IO. Default: 4. With 3 the server is one of Socket.IO 2, which takes `auth`
    /// as a query in the name of a namespace, and none for `/`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::Revision;
    ///
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .revision(Revision::V3);
    /// ```
    #[doc(alias = "EIO")]
    pub fn revision(mut self, revision: Revision) -> Self {
        self.config.engine.revision = revision;
        self
    }

    /// Asks for binary data as base64 text, and sends it so. Default: as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .base64(true);
    /// ```
    #[doc(alias = "forceBase64")]
    pub fn base64(mut self, base64: bool) -> Self {
        self.config.engine.base64 = base64;
        self
    }

    /// Offers to compress messages on a WebSocket. Default: not (reference: from 1 KiB on, if the
    /// server agrees).
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Deflate;
    ///
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .websocket_compression(Deflate::new().threshold(1_024));
    /// ```
    #[doc(alias = "perMessageDeflate")]
    pub fn websocket_compression(mut self, deflate: Deflate) -> Self {
        self.config.deflate = Some(deflate);
        self
    }

    /// Whether a lost connection is made again. Default: it is.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .reconnection(false);
    /// ```
    pub fn reconnection(mut self, enabled: bool) -> Self {
        self.config.reconnect.enabled = enabled;
        self
    }

    /// How often it is tried again; 0: without an end, the default.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .reconnection_attempts(10);
    /// ```
    #[doc(alias = "reconnectionAttempts")]
    pub fn reconnection_attempts(mut self, attempts: u32) -> Self {
        self.config.reconnect.backoff.max_attempts = NonZeroU32::new(attempts);
        self
    }

    /// The first pause, and the longest one; each pause is twice the one before. Default: 1 s and 5 s.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .reconnection_delay(Duration::from_millis(500), Duration::from_secs(60));
    /// ```
    #[doc(alias = "reconnectionDelay")]
    #[doc(alias = "reconnectionDelayMax")]
    pub fn reconnection_delay(mut self, first: Duration, max: Duration) -> Self {
        self.config.reconnect.backoff.delay = first;
        self.config.reconnect.backoff.delay_max = max;
        self
    }

    /// How chance changes a pause. Default: [`Jitter::Reference`] with 0.5. [`Jitter::Full`] spreads the
    /// clients of a server that comes back evenly.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::Jitter;
    ///
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .jitter(Jitter::Full);
    /// ```
    #[doc(alias = "randomizationFactor")]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.config.reconnect.backoff.jitter = jitter;
        self
    }

    /// How long one attempt to open a session may take, and what [`auth_with`](Self::auth_with) makes.
    /// Default: 20 s. `None`: nothing ends an attempt but the server and the system, so that a server which
    /// takes the connection and says nothing is waited for without an end, as with the reference's
    /// `timeout: false`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .connect_timeout(Duration::from_secs(5));
    /// ```
    #[doc(alias = "timeout")]
    pub fn connect_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.reconnect.attempt_timeout = timeout.into();
        self
    }

    /// The largest message, and the largest packet with its attachments, that is taken from the server,
    /// in bytes; an answer to a poll may be four times as long. Default: 16 MiB (reference: unlimited).
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .max_message(1024 * 1024);
    /// ```
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.config.max_message = bytes;
        self.config.namespaces.limits.max_packet = bytes;
        self
    }

    /// How many bytes of events may wait for handlers. Above it the connection is not read, and the
    /// heartbeat's deadline stands still. Default: 4 MiB (reference: unlimited).
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .max_incoming(1024 * 1024);
    /// ```
    pub fn max_incoming(mut self, bytes: usize) -> Self {
        self.config.max_incoming = bytes;
        self
    }

    /// How many handlers run at a time; the events of others wait. Default: 256 (reference: unlimited).
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .max_running_handlers(1);
    /// ```
    pub fn max_running_handlers(mut self, handlers: usize) -> Self {
        self.config.max_running = handlers.max(1);
        self
    }

    /// How many bytes of events may wait for a connection that is slow. Default: 16 MiB (reference:
    /// unlimited).
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .max_buffered(1024 * 1024);
    /// ```
    pub fn max_buffered(mut self, bytes: usize) -> Self {
        self.config.max_queued = bytes;
        self
    }

    /// How a graceful [`close`](Client::close) may take. Default: 10 s (reference: without an end).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .close_timeout(Duration::from_secs(1));
    /// ```
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.config.engine.close_timeout = timeout;
        self
    }

    /// Makes the pauses between attempts, and all else that is drawn, the same each time. For tests: a
    /// server could guess the masks of frames.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .seed(1);
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// Connects. To be called on a tokio runtime, which runs the client's task.
    ///
    /// # Errors
    ///
    /// The first attempt has failed, or the server refuses the client: with its message and data.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use ferriwire::{Client, ConnectFailure};
    ///
    /// # async fn run() -> Result<(), ConnectFailure> {
    /// match Client::builder("http://localhost:3000").connect().await {
    ///     Ok(client) => println!("connected as {:?}", client.id()),
    ///     Err(ConnectFailure::Refused(error)) => println!("refused: {}", error.message()),
    ///     Err(failure) => return Err(failure),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(self) -> Result<Client, ConnectFailure> {
        let (client, joined) = self.start(true)?;
        joined.await.unwrap_or(Err(ConnectFailure::Closed))?;
        Ok(client)
    }

    /// Connects, and tries as often as reconnection allows.
    ///
    /// # Errors
    ///
    /// The server refuses the client, or all attempts have failed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), ferriwire::ConnectFailure> {
    /// let bot = ferriwire::Client::builder("http://localhost:3000").connect_retrying().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_retrying(self) -> Result<Client, ConnectFailure> {
        let (client, joined) = self.start(false)?;
        joined.await.unwrap_or(Err(ConnectFailure::Closed))?;
        Ok(client)
    }

    /// Connects, and shows all that happens in the namespace as a [`Stream`](futures_util::Stream), beside
    /// what handlers there are.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use ferriwire::Client;
    /// use ferriwire::client::ClientEvent;
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let (client, mut events) = Client::builder("http://localhost:3000").events().await?;
    /// while let Some(event) = events.next().await {
    ///     match event {
    ///         ClientEvent::Event { name, args, ack } if name == "ping" => ack.send(args)?,
    ///         ClientEvent::Disconnected(reason) => println!("{reason}"),
    ///         other => println!("{other:?}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn events(mut self) -> Result<(Client, Events), ConnectFailure> {
        let happened = Arc::new(Happened::default());
        self.declaration.happened = Some(Arc::clone(&happened));
        let client = self.connect().await?;
        let events = Events::new(&client, happened);
        Ok((client, events))
    }

    /// Starts to connect, and does not wait for it: what is emitted meanwhile is kept.
    ///
    /// # Errors
    ///
    /// Something that was said cannot be used, such as the address.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = ferriwire::Client::builder("http://localhost:3000").open()?;
    /// client.emit("early", "sent as soon as it is connected")?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "autoConnect")]
    pub fn open(self) -> Result<Client, ConnectFailure> {
        let (client, _) = self.start(false)?;
        Ok(client)
    }

    fn start(self, first_failure: bool) -> Result<(Client, Joined), ConnectFailure> {
        let Self {
            address,
            config,
            declaration,
            mistake,
        } = self;
        if let Some(mistake) = mistake {
            return Err(mistake);
        }
        if config.engine.transports.is_empty() {
            let what = "list of transports without polling and websocket";
            return Err(ConnectFailure::Configuration(what.to_owned()));
        }
        let address = Address::parse(&address)
            .map_err(|error| ConnectFailure::Configuration(error.to_string()))?;
        let outgoing = Outgoing::new(Queue::new(), config.max_queued);
        let shared = Arc::new(Shared::new(config.codec.clone(), outgoing));
        let owner = Arc::new(Owner {
            shared: Arc::clone(&shared),
        });
        let membership = declaration.into_membership(&shared, address.namespace());
        let origin = Arc::new(Origin {
            connector: config.connector(),
            address,
            headers: config.headers.clone(),
        });
        let mut task = Task::new(Arc::clone(&shared), Arc::downgrade(&owner), config, origin);
        let (joining, joined) = oneshot::channel();
        membership.status.lock().active = true;
        membership.declare();
        task.add(Arc::clone(&membership), joining, first_failure);
        let client = Client::new(membership, owner);
        tokio::spawn(task);
        Ok((client, joined))
    }
}

/// Tells what became of joining a namespace.
type Joined = oneshot::Receiver<Result<(), ConnectFailure>>;

impl Client {
    fn join(&self, first_failure: bool) -> Joined {
        let (joining, joined) = oneshot::channel();
        let membership = Arc::clone(self.membership());
        membership.status.lock().active = true;
        let shared = Arc::clone(&membership.shared);
        shared.declare(membership, joining, first_failure);
        joined
    }
}
