//! What a program says of one namespace, the first one of a client or a further one.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ferriwire_proto::connection::client::LaneConfig;
use ferriwire_proto::reconnect::{OfflinePolicy, RetryConfig};
use ferriwire_proto::value::Args;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ClientBuilder, NamespaceBuilder};
use crate::client::auth::{Attempt, Auth};
use crate::client::dispatch::{self, Ack, Listeners};
use crate::client::error::ConnectFailure;
use crate::client::handle::Client;
use crate::client::reason::DisconnectReason;
use crate::client::shared::{Membership, Shared, Status};
use crate::client::stream::Happened;
use crate::event::{Event, HandlerError, Listens};

/// How long an acknowledgement is waited for unless it is said.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// What is said of one namespace.
pub(super) struct Declaration {
    auth: Auth,
    lane: LaneConfig,
    ack_timeout: Option<Duration>,
    pub(super) listeners: Listeners,
    pub(super) happened: Option<Arc<Happened>>,
}

impl Default for Declaration {
    fn default() -> Self {
        Self {
            auth: Auth::default(),
            lane: LaneConfig::default(),
            ack_timeout: Some(ACK_TIMEOUT),
            listeners: Listeners::default(),
            happened: None,
        }
    }
}

impl Declaration {
    pub(super) fn into_membership(self, shared: &Arc<Shared>, name: &str) -> Arc<Membership> {
        Arc::new(Membership {
            shared: Arc::clone(shared),
            name: name.into(),
            key: OnceLock::new(),
            lane: self.lane,
            ack_timeout: self.ack_timeout,
            auth: self.auth,
            happened: self.happened,
            listeners: Mutex::new(self.listeners),
            status: Mutex::new(Status::default()),
        })
    }
}

/// What both builders have.
macro_rules! declares {
    ($builder:ident) => {
        impl $builder {
            /// What identifies the client: an object, sent whenever it joins the namespace.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use ferriwire::Client;
            /// use serde::Serialize;
            ///
            /// #[derive(Serialize)]
            /// struct Token { token: String }
            ///
            /// # async fn run() -> Result<(), ferriwire::ConnectFailure> {
            /// let client = Client::builder("http://localhost:3000")
            ///     .auth(&Token { token: "secret".to_owned() })
            ///     .connect()
            ///     .await?;
            /// # Ok(())
            /// # }
            /// ```
            pub fn auth<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
                self.declaration.auth = Auth::of_value(value);
                self
            }

            /// The same, made anew whenever the client joins the namespace: a token that expires can be
            /// fetched there. An error counts as a failure to connect, and is tried again behind the pause that
            /// reconnection has. What takes longer than
            /// [`connect_timeout`](crate::client::ClientBuilder::connect_timeout), or 45 s without one, has failed.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use std::collections::HashMap;
            ///
            /// use ferriwire::{Client, HandlerError};
            ///
            /// async fn token() -> Result<String, std::io::Error> {
            ///     std::fs::read_to_string("token")
            /// }
            ///
            /// # async fn run() -> Result<(), ferriwire::ConnectFailure> {
            /// let client = Client::builder("http://localhost:3000")
            ///     .auth_with(async |_attempt| Ok(HashMap::from([("token", token().await?)])))
            ///     .connect()
            ///     .await?;
            /// # Ok(())
            /// # }
            /// ```
            pub fn auth_with<F, Fut, V>(mut self, make: F) -> Self
            where
                F: Fn(Attempt) -> Fut + Send + Sync + 'static,
                Fut: Future<Output = Result<V, HandlerError>> + Send + 'static,
                V: Serialize + 'static,
            {
                self.declaration.auth = Auth::made_by(make);
                self
            }

            /// Handles an event. See [`Client::on`].
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use ferriwire::{Client, Event};
            ///
            /// const ADD: Event<(i64, i64), i64> = Event::new("add");
            ///
            /// # async fn run() -> Result<(), ferriwire::ConnectFailure> {
            /// let client = Client::builder("http://localhost:3000")
            ///     .on(ADD, async |_, (a, b)| a + b)
            ///     .connect()
            ///     .await?;
            /// # Ok(())
            /// # }
            /// ```
            pub fn on<E, T, F, Fut>(mut self, event: E, handler: F) -> Self
            where
                E: Listens<T, Fut::Output> + 'static,
                T: DeserializeOwned + Send + 'static,
                F: FnOnce(Client, T) -> Fut + Clone + Send + Sync + 'static,
                Fut: Future + Send + 'static,
                E::Answer: Send,
            {
                let name = event.name();
                let handler = dispatch::answering(event, handler);
                self.declaration.listeners.add(name, false, handler);
                self
            }

            /// Handles an event the first time it comes. See [`Client::once`].
            ///
            /// # Examples
            ///
            /// ```
            /// let client = ferriwire::Client::builder("http://localhost:3000")
            ///     .once("welcome", async |_, text: String| println!("{text}"));
            /// ```
            pub fn once<E, T, F, Fut>(mut self, event: E, handler: F) -> Self
            where
                E: Listens<T, Fut::Output> + 'static,
                T: DeserializeOwned + Send + 'static,
                F: FnOnce(Client, T) -> Fut + Clone + Send + Sync + 'static,
                Fut: Future + Send + 'static,
                E::Answer: Send,
            {
                let name = event.name();
                let handler = dispatch::answering(event, handler);
                self.declaration.listeners.add(name, true, handler);
                self
            }

            /// Handles an event, and answers early, later or not at all.
            ///
            /// # Examples
            ///
            /// ```
            /// use ferriwire::Event;
            ///
            /// const ASK: Event<String, u32> = Event::new("ask");
            ///
            /// let client = ferriwire::Client::builder("http://localhost:3000")
            ///     .on_with_ack(ASK, async |_, question, ack| {
            ///         println!("{question}");
            ///         drop(ack.send(42)); // An error: the connection on which it was asked is gone.
            ///     });
            /// ```
            pub fn on_with_ack<T, A, F, Fut>(mut self, event: Event<T, A>, handler: F) -> Self
            where
                T: DeserializeOwned + Send + 'static,
                A: 'static,
                F: FnOnce(Client, T, Ack<A>) -> Fut + Clone + Send + Sync + 'static,
                Fut: Future<Output = ()> + Send + 'static,
            {
                let handler = dispatch::with_ack(handler);
                self.declaration.listeners.add(event.name(), false, handler);
                self
            }

            /// Handles all events, before their own handlers.
            ///
            /// # Examples
            ///
            /// ```
            /// let client = ferriwire::Client::builder("http://localhost:3000")
            ///     .on_any(async |_, event, args| println!("{event}: {args:?}"));
            /// ```
            #[doc(alias = "onAny")]
            pub fn on_any<F, Fut>(mut self, handler: F) -> Self
            where
                F: FnOnce(Client, String, Args) -> Fut + Clone + Send + Sync + 'static,
                Fut: Future<Output = ()> + Send + 'static,
            {
                let handler = dispatch::any(handler);
                self.declaration.listeners.add_any(false, handler);
                self
            }

            /// Sees all events that are sent. See [`Client::on_any_outgoing`].
            ///
            /// # Examples
            ///
            /// ```
            /// let client = ferriwire::Client::builder("http://localhost:3000")
            ///     .on_any_outgoing(|_, event, args| println!("sent {event}: {args:?}"));
            /// ```
            #[doc(alias = "onAnyOutgoing")]
            pub fn on_any_outgoing<F>(mut self, listener: F) -> Self
            where
                F: Fn(&Client, &str, &Args) + Send + Sync + 'static,
            {
                let listener = Arc::new(listener);
                self.declaration.listeners.add_outgoing(false, listener);
                self
            }

            /// Runs whenever the namespace is joined, behind what was kept while it was not.
            ///
            /// # Examples
            ///
            /// ```
            /// let client = ferriwire::Client::builder("http://localhost:3000")
            ///     .on_connect(async |client| println!("connected as {:?}", client.id()));
            /// ```
            #[doc(alias = "connect")]
            pub fn on_connect<F, Fut>(mut self, hook: F) -> Self
            where
                F: FnOnce(Client) -> Fut + Clone + Send + Sync + 'static,
                Fut: Future<Output = ()> + Send + 'static,
            {
                let hook = dispatch::hook(move |client, ()| hook(client));
                self.declaration.listeners.connect.push(hook);
                self
            }

            /// Runs whenever the namespace could not be joined: the server refused, or could not be
            /// reached. [`Client::is_active`] says whether it is tried again.
            ///
            /// # Examples
            ///
            /// ```
            /// let client = ferriwire::Client::builder("http://localhost:3000")
            ///     .on_connect_error(async |client, failure| {
            ///         println!("{failure}; will it be tried again: {}", client.is_active());
            ///     });
            /// ```
            #[doc(alias = "connect_error")]
            pub fn on_connect_error<F, Fut>(mut self, hook: F) -> Self
            where
                F: FnOnce(Client, ConnectFailure) -> Fut + Clone + Send + Sync + 'static,
                Fut: Future<Output = ()> + Send + 'static,
            {
                self.declaration
                    .listeners
                    .connect_error
                    .push(dispatch::hook(hook));
                self
            }

            /// Runs whenever the namespace is joined no more.
            ///
            /// # Examples
            ///
            /// ```
            /// let client = ferriwire::Client::builder("http://localhost:3000")
            ///     .on_disconnect(async |_, reason| println!("{reason}"));
            /// ```
            #[doc(alias = "disconnect")]
            pub fn on_disconnect<F, Fut>(mut self, hook: F) -> Self
            where
                F: FnOnce(Client, DisconnectReason) -> Fut + Clone + Send + Sync + 'static,
                Fut: Future<Output = ()> + Send + 'static,
            {
                self.declaration
                    .listeners
                    .disconnect
                    .push(dispatch::hook(hook));
                self
            }

            /// How many bytes of events are kept while the namespace is not joined, and what happens
            /// to more. Default: 1 MiB, refused (reference: without a bound).
            ///
            /// # Examples
            ///
            /// ```
            /// use ferriwire::client::OfflinePolicy;
            ///
            /// let client = ferriwire::Client::builder("http://localhost:3000")
            ///     .offline(64 * 1024, OfflinePolicy::DropOldest);
            /// ```
            #[doc(alias = "sendBuffer")]
            pub fn offline(mut self, max_bytes: usize, policy: OfflinePolicy) -> Self {
                self.declaration.lane.max_offline = max_bytes;
                self.declaration.lane.offline_policy = policy;
                self
            }

            /// Sends events until they are acknowledged, one after the other: so often again, each time after so long
            /// without an acknowledgement, or when the connection was lost meanwhile. The server's handlers have to
            /// acknowledge them, and may see one twice. Volatile events are sent once. Default, and with 0: all are.
            /// Mirrors `retries`, with `ackTimeout`.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            ///
            /// let client = ferriwire::Client::builder("http://localhost:3000")
            ///     .retries(3, Duration::from_secs(5));
            /// ```
            #[doc(alias = "ackTimeout")]
            pub fn retries(mut self, retries: u32, ack_timeout: Duration) -> Self {
                let is_wanted = retries > 0;
                let retries = RetryConfig::new(retries, ack_timeout);
                self.declaration.lane.retries = is_wanted.then_some(retries);
                self
            }

            /// How long an acknowledgement is waited for, unless [`Client::timeout`] says it; `None`: as
            /// long as the connection lives. Default: 10 s (reference: `None`).
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            ///
            /// let client = ferriwire::Client::builder("http://localhost:3000")
            ///     .ack_timeout(Duration::from_secs(2));
            /// ```
            #[doc(alias = "ackTimeout")]
            pub fn ack_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
                self.declaration.ack_timeout = timeout.into();
                self
            }
        }
    };
}

declares!(ClientBuilder);
declares!(NamespaceBuilder);
