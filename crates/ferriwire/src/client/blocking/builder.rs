//! Describing a blocking client, and a further namespace of one.

use std::fmt;
use std::io;
use std::sync::{Arc, Weak};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Client;
use super::threads::Threads;
use crate::client::Client as Asynchronous;
use crate::client::{self, ConnectFailure, DisconnectReason};
use crate::event::Listens;

/// Describes a client. Made by [`Client::builder`].
#[must_use = "a client is none before it connects"]
pub struct ClientBuilder {
    builder: client::ClientBuilder,
    threads: io::Result<Arc<Threads>>,
}

/// Describes one more namespace on a client's connection. Made by [`Client::namespace`].
#[must_use = "a namespace is not joined before it connects"]
pub struct NamespaceBuilder {
    builder: client::NamespaceBuilder,
    threads: io::Result<Arc<Threads>>,
}

/// What both builders have.
macro_rules! declares {
    ($builder:ident, $asynchronous:ty) => {
        impl $builder {
            /// What identifies the client: an object, sent whenever it joins the namespace.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::collections::HashMap;
            ///
            /// use ferriwire::client::blocking::Client;
            ///
            /// let client = Client::builder("http://localhost:3000")
            ///     .auth(&HashMap::from([("token", "secret")]));
            /// ```
            pub fn auth<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
                self.builder = self.builder.auth(value);
                self
            }

            /// Handles an event: what the closure returns is the acknowledgement.
            ///
            /// # Examples
            ///
            /// ```
            /// use ferriwire::client::blocking::Client;
            ///
            /// let client = Client::builder("http://localhost:3000")
            ///     .on("add", |_, (a, b): (i64, i64)| println!("{}", a + b));
            /// ```
            pub fn on<E, T, R, F>(mut self, event: E, handler: F) -> Self
            where
                E: Listens<T, R> + 'static,
                T: DeserializeOwned + Send + 'static,
                R: Send + 'static,
                F: Fn(Client, T) -> R + Send + Sync + 'static,
                E::Answer: Send,
            {
                if let Ok(threads) = &self.threads {
                    let call = calling(threads, handler);
                    self.builder = self.builder.on(event, call);
                }
                self
            }

            /// Runs whenever the namespace is joined.
            ///
            /// # Examples
            ///
            /// ```
            /// use ferriwire::client::blocking::Client;
            ///
            /// let client = Client::builder("http://localhost:3000")
            ///     .on_connect(|client| println!("connected as {:?}", client.id()));
            /// ```
            pub fn on_connect<F>(mut self, hook: F) -> Self
            where
                F: Fn(Client) + Send + Sync + 'static,
            {
                if let Ok(threads) = &self.threads {
                    let call = calling(threads, move |client, ()| hook(client));
                    self.builder = self.builder.on_connect(move |client| call(client, ()));
                }
                self
            }

            /// Runs whenever the namespace is joined no more.
            ///
            /// # Examples
            ///
            /// ```
            /// use ferriwire::client::blocking::Client;
            ///
            /// let client = Client::builder("http://localhost:3000")
            ///     .on_disconnect(|_, reason| println!("{reason}"));
            /// ```
            pub fn on_disconnect<F>(mut self, hook: F) -> Self
            where
                F: Fn(Client, DisconnectReason) + Send + Sync + 'static,
            {
                if let Ok(threads) = &self.threads {
                    self.builder = self.builder.on_disconnect(calling(threads, hook));
                }
                self
            }

            /// All else that the asynchronous builder can be told.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use ferriwire::client::blocking::Client;
            ///
            /// # fn run() -> Result<(), ferriwire::ConnectFailure> {
            /// let client = Client::builder("http://localhost:3000")
            ///     .configure(|builder| builder.base64(true).reconnection(false))
            ///     .connect()?;
            /// # Ok(())
            /// # }
            /// ```
            pub fn configure<F>(mut self, change: F) -> Self
            where
                F: FnOnce($asynchronous) -> $asynchronous,
            {
                self.builder = change(self.builder);
                self
            }

            /// Connects, and waits for it.
            ///
            /// # Errors
            ///
            /// The first attempt has failed, or the server refuses the client: with its message and data.
            ///
            /// # Examples
            ///
            /// ```no_run
            /// use ferriwire::client::blocking::Client;
            ///
            /// # fn run() -> Result<(), ferriwire::ConnectFailure> {
            /// let client = Client::builder("http://localhost:3000").connect()?;
            /// # Ok(())
            /// # }
            /// ```
            pub fn connect(self) -> Result<Client, ConnectFailure> {
                let threads = self.threads?;
                let client = threads.wait_for(self.builder.connect())?;
                Ok(Client { client, threads })
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
            /// use ferriwire::client::blocking::Client;
            ///
            /// # fn run() -> Result<(), ferriwire::ConnectFailure> {
            /// let client = Client::builder("http://localhost:3000").connect_retrying()?;
            /// # Ok(())
            /// # }
            /// ```
            pub fn connect_retrying(self) -> Result<Client, ConnectFailure> {
                let threads = self.threads?;
                let client = threads.wait_for(self.builder.connect_retrying())?;
                Ok(Client { client, threads })
            }
        }

        impl fmt::Debug for $builder {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.builder.fmt(formatter)
            }
        }
    };
}

declares!(ClientBuilder, client::ClientBuilder);
declares!(NamespaceBuilder, client::NamespaceBuilder);

impl ClientBuilder {
    pub(super) fn new(builder: client::ClientBuilder) -> Self {
        let threads = Threads::start().map(Arc::new);
        Self { builder, threads }
    }
}

impl NamespaceBuilder {
    pub(super) fn new(builder: client::NamespaceBuilder, threads: Arc<Threads>) -> Self {
        let threads = Ok(threads);
        Self { builder, threads }
    }
}

/// Sends a handler's calls to the thread of the handlers. It does not keep that thread alive.
fn calling<T, R, F>(
    threads: &Arc<Threads>,
    handler: F,
) -> impl Fn(Asynchronous, T) -> crate::engine::running::BoxFuture<R> + Clone + Send + Sync + 'static
where
    T: Send + 'static,
    R: Send + 'static,
    F: Fn(Client, T) -> R + Send + Sync + 'static,
{
    let handler = Arc::new(handler);
    let jobs = threads.jobs();
    let threads: Weak<Threads> = Arc::downgrade(threads);
    move |client, payload| {
        let Some(threads) = threads.upgrade() else {
            // The program has dropped its last handle.
            return Box::pin(std::future::pending());
        };
        let handler = Arc::clone(&handler);
        let client = Client { client, threads };
        Box::pin(jobs.run(move || handler(client, payload)))
    }
}
