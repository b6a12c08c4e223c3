//! The handle of a client in one namespace.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ferriwire_proto::value::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::acknowledgement::Acknowledgement;
use super::builder::{ClientBuilder, NamespaceBuilder};
use super::dispatch::{self, Ack, Came, ListenerId};
use super::emitter::Emitter;
use super::shared::{Membership, Note, Shared};
use crate::engine::Transport;
use crate::error::EmitError;
use crate::event::{Accepts, Event, Listens};

/// A client in one namespace of a server. Cheap to clone, usable from any task.
///
/// All its namespaces share one connection, which one task keeps: it opens it, upgrades it, and opens
/// it anew when it is lost. The task ends with [`close`](Self::close), or with the last handle; what
/// handlers hold counts, but what is handed to them does so only while they run.
///
/// # Examples
///
/// ```no_run
/// use ferriwire::{Client, Event};
///
/// const JOIN: Event<String> = Event::new("join");
/// const SAY: Event<(String, String), u64> = Event::new("say");
/// const SAID: Event<String> = Event::new("said");
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder("http://localhost:3000/chat")
///     .on(SAID, async |_, text| println!("{text}"))
///     .connect()
///     .await?;
/// client.emit(JOIN, "lobby")?;
/// let id = client.emit_with_ack(SAY, ("lobby", "hello")).await?;
/// println!("message {id}");
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[doc(alias = "io")]
#[doc(alias = "Socket")]
#[doc(alias = "Manager")]
pub struct Client {
    membership: Arc<Membership>,
    owner: Arc<Owner>,
}

/// What all handles of one client hold: without it the task ends.
pub(crate) struct Owner {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.ask(Note::Close(None));
    }
}

impl Client {
    pub(crate) fn new(membership: Arc<Membership>, owner: Arc<Owner>) -> Self {
        Self { membership, owner }
    }

    pub(crate) fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    pub(crate) fn owner(&self) -> &Arc<Owner> {
        &self.owner
    }

    /// Begins to describe a client of the server at that address, whose path names a namespace:
    /// `http://localhost:3000/chat`. The scheme is `http`, `https`, `ws` or `wss`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), ferriwire::ConnectFailure> {
    /// let client = ferriwire::Client::builder("http://localhost:3000").connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(address: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder::new(address.as_ref())
    }

    /// Begins to describe another namespace on the same connection.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run(client: ferriwire::Client) -> Result<(), ferriwire::ConnectFailure> {
    /// let admin = client
    ///     .namespace("/admin")
    ///     .on("alarm", async |_, text: String| println!("{text}"))
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "socket")]
    pub fn namespace(&self, name: impl AsRef<str>) -> NamespaceBuilder {
        NamespaceBuilder::new(self, name.as_ref())
    }

    /// The namespace's name.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn run(client: ferriwire::Client) -> Result<(), ferriwire::ConnectFailure> {
    /// assert_eq!(client.namespace("/admin").open()?.name(), "/admin");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    #[doc(alias = "nsp")]
    pub fn name(&self) -> &str {
        &self.membership.name
    }

    /// Whether both are namespaces of one connection, as those that [`namespace`](Self::namespace) makes are. In
    /// JavaScript: whether their `socket.io` is the same manager.
    ///
    /// # Examples
    ///
    /// ```
    /// fn check(chat: &ferriwire::Client, admin: &ferriwire::Client) {
    ///     assert!(chat.shares_connection_with(admin));
    /// }
    /// ```
    #[must_use]
    pub fn shares_connection_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.membership.shared, &other.membership.shared)
    }

    /// The id that the server gave it in this namespace; `None` while it is not connected. A new one
    /// with every connection that is not recovered.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// if let Some(id) = client.id() {
    ///     println!("connected as {id}");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn id(&self) -> Option<Arc<str>> {
        self.membership.status.lock().id.clone()
    }

    /// Whether it is in the namespace now.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// println!("{}", if client.is_connected() { "online" } else { "offline" });
    /// # }
    /// ```
    #[must_use]
    #[doc(alias = "connected")]
    #[doc(alias = "disconnected")]
    pub fn is_connected(&self) -> bool {
        self.membership.is_connected()
    }

    /// Whether it is in the namespace, or is going to be without anybody's doing.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// if !client.is_active() {
    ///     client.connect(); // It was taken out, refused or left.
    /// }
    /// # }
    /// ```
    #[must_use]
    #[doc(alias = "active")]
    pub fn is_active(&self) -> bool {
        self.membership.status.lock().active
    }

    /// Whether the server has kept its session, so that nothing was missed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// if !client.is_recovered() {
    ///     println!("what was missed has to be fetched");
    /// }
    /// # }
    /// ```
    #[must_use]
    #[doc(alias = "recovered")]
    pub fn is_recovered(&self) -> bool {
        self.membership.status.lock().recovered
    }

    /// The transport in use now; `None` while there is no session.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// if client.transport() == Some(ferriwire::Transport::Polling) {
    ///     println!("there is no WebSocket yet");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        self.membership.shared.transport()
    }

    /// How many bytes wait to be sent, in all namespaces: for the transport, and for a connection.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// if client.buffered_bytes() > 100_000 {
    ///     println!("the connection is slow, or away");
    /// }
    /// # }
    /// ```
    #[must_use]
    #[doc(alias = "sendBuffer")]
    pub fn buffered_bytes(&self) -> usize {
        self.membership.shared.outgoing.lock().bytes()
    }

    /// How many bytes of events wait for handlers, or in [`Events`](super::Events), in all namespaces.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// if client.incoming_bytes() > 100_000 {
    ///     println!("handlers are slow");
    /// }
    /// # }
    /// ```
    #[must_use]
    #[doc(alias = "receiveBuffer")]
    pub fn incoming_bytes(&self) -> usize {
        self.membership.shared.incoming()
    }

    /// Sends an event. While the client is not connected it is kept, within
    /// [`offline`](ClientBuilder::offline)'s bound, and sent when it is.
    ///
    /// # Errors
    ///
    /// The client is closed, too much waits already, the name is reserved, or the payload cannot be
    /// written.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{Client, EmitError, Event};
    ///
    /// const SAY: Event<(String, String)> = Event::new("say");
    ///
    /// fn greet(client: &Client) -> Result<(), EmitError> {
    ///     client.emit(SAY, ("lobby", "hello"))?;
    ///     client.emit("any-name", 42)
    /// }
    /// ```
    #[doc(alias = "send")]
    pub fn emit<E, P>(&self, event: E, payload: P) -> Result<(), EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        self.modified().emit(event, payload)
    }

    /// Sends an event and returns what the server answers: await it. It waits for
    /// [`ack_timeout`](ClientBuilder::ack_timeout).
    ///
    /// # Errors
    ///
    /// The returned future tells every failure, also one to send.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{AckError, Client, Event};
    ///
    /// const ADD: Event<(i64, i64), i64> = Event::new("add");
    ///
    /// async fn add(client: &Client) -> Result<i64, AckError> {
    ///     client.emit_with_ack(ADD, (1, 2)).await
    /// }
    /// ```
    #[doc(alias = "emitWithAck")]
    pub fn emit_with_ack<E, P>(&self, event: E, payload: P) -> Acknowledgement<E::Answer>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        self.modified().emit_with_ack(event, payload)
    }

    /// The next event is dropped when it cannot be sent at once: while the client is not connected, or something
    /// else waits. Whether it was is no error of [`emit`](Emitter::emit), but one of
    /// [`emit_with_ack`](Emitter::emit_with_ack). Mirrors `socket.volatile`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// let sent = client.volatile().emit("position", (52.5, 13.4));
    /// # }
    /// ```
    pub fn volatile(&self) -> Emitter<'_> {
        self.modified().volatile()
    }

    /// Whether a transport that compresses may compress the next event. Default `true`. Mirrors
    /// `socket.compress()`. See [`websocket_compression`](ClientBuilder::websocket_compression).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// let sent = client.compress(false).emit("random", [1, 2, 3]);
    /// # }
    /// ```
    pub fn compress(&self, compress: bool) -> Emitter<'_> {
        self.modified().compress(compress)
    }

    /// The next acknowledgement is waited for so long, instead of
    /// [`ack_timeout`](ClientBuilder::ack_timeout). Mirrors `socket.timeout()`. Where events are sent
    /// [until they are acknowledged](ClientBuilder::retries), it is for volatile ones alone.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use ferriwire::Event;
    ///
    /// const ADD: Event<(i64, i64), i64> = Event::new("add");
    ///
    /// # fn run(client: &ferriwire::Client) {
    /// let asked = client.timeout(Duration::from_millis(500)).emit_with_ack(ADD, (1, 2));
    /// # }
    /// ```
    pub fn timeout(&self, timeout: Duration) -> Emitter<'_> {
        self.modified().timeout(timeout)
    }

    fn modified(&self) -> Emitter<'_> {
        Emitter::new(self)
    }

    /// Handles an event from now on. Handlers start in the order in which events arrive, and
    /// interleave only at `.await`; of several for one event the first one answers.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Client;
    ///
    /// fn listen(client: &Client) {
    ///     let id = client.on("news", async |_, text: String| println!("{text}"));
    ///     client.off(id);
    /// }
    /// ```
    pub fn on<E, T, F, Fut>(&self, event: E, handler: F) -> ListenerId
    where
        E: Listens<T, Fut::Output> + 'static,
        T: DeserializeOwned + Send + 'static,
        F: FnOnce(Self, T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        E::Answer: Send,
    {
        let name = event.name();
        let handler = dispatch::answering(event, handler);
        self.membership.listeners.lock().add(name, false, handler)
    }

    /// Handles an event the next time it comes, whether the payload fits or not.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// client.once("welcome", async |_, text: String| println!("{text}"));
    /// # }
    /// ```
    pub fn once<E, T, F, Fut>(&self, event: E, handler: F) -> ListenerId
    where
        E: Listens<T, Fut::Output> + 'static,
        T: DeserializeOwned + Send + 'static,
        F: FnOnce(Self, T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        E::Answer: Send,
    {
        let name = event.name();
        let handler = dispatch::answering(event, handler);
        self.membership.listeners.lock().add(name, true, handler)
    }

    /// As [`on`](Self::on), for a handler that answers early, later or not at all.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Event;
    ///
    /// const ASK: Event<String, u32> = Event::new("ask");
    ///
    /// # fn run(client: &ferriwire::Client) {
    /// client.on_with_ack(ASK, async |_, question, ack| {
    ///     println!("{question}");
    ///     drop(ack.send(42)); // An error: the connection on which it was asked is gone.
    /// });
    /// # }
    /// ```
    pub fn on_with_ack<T, A, F, Fut>(&self, event: Event<T, A>, handler: F) -> ListenerId
    where
        T: DeserializeOwned + Send + 'static,
        A: 'static,
        F: FnOnce(Self, T, Ack<A>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let handler = dispatch::with_ack(handler);
        self.membership
            .listeners
            .lock()
            .add(event.name(), false, handler)
    }

    /// Handles all events from now on, before their own handlers.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// client.on_any(async |_, event, args| println!("{event}: {args:?}"));
    /// # }
    /// ```
    #[doc(alias = "onAny")]
    pub fn on_any<F, Fut>(&self, handler: F) -> ListenerId
    where
        F: FnOnce(Self, String, Args) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.membership
            .listeners
            .lock()
            .add_any(false, dispatch::any(handler))
    }

    /// The same, in front of the other ones.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// client.prepend_any(async |_, event, _| println!("the first to see {event}"));
    /// # }
    /// ```
    #[doc(alias = "prependAny")]
    pub fn prepend_any<F, Fut>(&self, handler: F) -> ListenerId
    where
        F: FnOnce(Self, String, Args) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.membership
            .listeners
            .lock()
            .add_any(true, dispatch::any(handler))
    }

    /// Sees all events that are sent from now on, not acknowledgements. It is called by whoever emits,
    /// and must not block.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// client.on_any_outgoing(|_, event, args| println!("sent {event}: {args:?}"));
    /// # }
    /// ```
    #[doc(alias = "onAnyOutgoing")]
    pub fn on_any_outgoing<F>(&self, listener: F) -> ListenerId
    where
        F: Fn(&Self, &str, &Args) + Send + Sync + 'static,
    {
        self.membership
            .listeners
            .lock()
            .add_outgoing(false, Arc::new(listener))
    }

    /// The same, in front of the other ones.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// client.prepend_any_outgoing(|_, event, _| println!("the first to see {event}"));
    /// # }
    /// ```
    #[doc(alias = "prependAnyOutgoing")]
    pub fn prepend_any_outgoing<F>(&self, listener: F) -> ListenerId
    where
        F: Fn(&Self, &str, &Args) + Send + Sync + 'static,
    {
        self.membership
            .listeners
            .lock()
            .add_outgoing(true, Arc::new(listener))
    }

    /// Removes a listener. Says whether there was one.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// let listener = client.on_any(async |_, event, _| println!("{event}"));
    /// assert!(client.off(listener));
    /// # }
    /// ```
    #[doc(alias = "offAny")]
    #[doc(alias = "offAnyOutgoing")]
    #[doc(alias = "removeListener")]
    pub fn off(&self, listener: ListenerId) -> bool {
        // It may hold the last handle, and is dropped outside of the lock.
        let removed = self.membership.listeners.lock().remove(listener);
        removed.is_some()
    }

    /// Joins the namespace again after it was left, and connects at once if the client waits for its
    /// next attempt. Nothing happens when it is connected.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// client.disconnect();
    /// client.connect();
    /// # }
    /// ```
    #[doc(alias = "open")]
    pub fn connect(&self) {
        let membership = Arc::clone(&self.membership);
        self.membership.shared.ask(Note::Connect(membership));
    }

    /// Leaves the namespace. The client does not come back by itself, but by [`connect`](Self::connect): what is
    /// emitted from here on is kept until then. With the last namespace that is left the connection ends. Mirrors
    /// `socket.disconnect()`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// client.disconnect();
    /// # }
    /// ```
    pub fn disconnect(&self) {
        self.membership.leave();
        let membership = Arc::clone(&self.membership);
        self.membership.shared.ask(Note::Disconnect(membership));
    }

    /// Leaves all namespaces and ends the connection, behind what is queued, and waits for that and for handlers
    /// that run; for [`close_timeout`](ClientBuilder::close_timeout) at the longest. So a handler that awaits it
    /// waits for itself: it calls [`disconnect`](Self::disconnect) instead. All handles of the client are closed
    /// by it.
    ///
    /// # Examples
    ///
    /// ```
    /// async fn say_goodbye(client: ferriwire::Client) {
    ///     drop(client.emit("goodbye", ()));
    ///     client.close().await; // The event has left before.
    /// }
    /// ```
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        self.membership.shared.set_closed();
        self.membership.shared.ask(Note::Close(Some(done)));
        // An error: it was closed already.
        closed.await.unwrap_or_default();
    }

    /// Drops the connection without a word, as a network does that breaks: the client then comes back
    /// as after any loss. For tests.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// client.cut();
    /// # }
    /// ```
    pub fn cut(&self) {
        self.membership.shared.ask(Note::Cut);
    }

    pub(crate) fn answer<P: Serialize>(&self, came: Came, payload: &P) -> Result<(), EmitError> {
        self.membership.answer(came, payload)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("namespace", &self.name())
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
