//! The client for programs without async: the same names, and calls that wait.
//!
//! A client runs on a thread of its own, and its handlers on a second one, one after the other in the
//! order in which their events arrive. So a handler may take its time and may wait for an
//! acknowledgement, while heartbeats and acknowledgements go on. What it may not await is the client's
//! [`close`](Client::close), which waits for it: that ends after
//! [`close_timeout`](crate::client::ClientBuilder::close_timeout). A handler that panics ends nothing.
//!
//! Whatever waits panics when it is called from async code, because it would block that: use
//! [`ferriwire::Client`](crate::Client) there.
//!
//! Both threads end with the last handle, and what has not left by then is lost: [`close`](Client::close)
//! waits for that.
//!
//! ```no_run
//! use ferriwire::Event;
//! use ferriwire::client::blocking::Client;
//!
//! const SAY: Event<(String, String), u64> = Event::new("say");
//! const SAID: Event<String> = Event::new("said");
//!
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("http://localhost:3000/chat")
//!     .on(SAID, |_, text| println!("{text}"))
//!     .connect()?;
//! let id = client.emit_with_ack(SAY, ("lobby", "hello"))?;
//! println!("message {id}");
//! client.close();
//! # Ok(())
//! # }
//! ```

mod builder;
mod threads;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

pub use self::builder::{ClientBuilder, NamespaceBuilder};
use self::threads::Threads;
use crate::client::Client as Asynchronous;
use crate::engine::Transport;
use crate::error::{AckError, EmitError};
use crate::event::Accepts;

/// A client in one namespace of a server. Cheap to clone, usable from any thread that runs no async code.
///
/// Its threads end with the last handle.
#[derive(Clone, Debug)]
pub struct Client {
    client: Asynchronous,
    threads: Arc<Threads>,
}

impl Client {
    /// Begins to describe a client of the server at that address. See
    /// [`ferriwire::Client::builder`](crate::Client::builder).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use ferriwire::client::blocking::Client;
    ///
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::builder("http://localhost:3000").connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(address: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder::new(Asynchronous::builder(address))
    }

    /// Begins to describe another namespace on the same connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::blocking::Client;
    ///
    /// # fn run(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let admin = client.namespace("/admin").connect()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn namespace(&self, name: impl AsRef<str>) -> NamespaceBuilder {
        NamespaceBuilder::new(self.client.namespace(name), Arc::clone(&self.threads))
    }

    /// Sends an event, and does not wait. While the client is not connected it is kept.
    ///
    /// # Errors
    ///
    /// Those of [`ferriwire::Client::emit`](crate::Client::emit).
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::blocking::Client;
    ///
    /// # fn run(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.emit("say", ("lobby", "hello"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn emit<E, P>(&self, event: E, payload: P) -> Result<(), EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        self.client.emit(event, payload)
    }

    /// Sends an event, and waits for what the server answers.
    ///
    /// # Errors
    ///
    /// Those of [`ferriwire::Client::emit_with_ack`](crate::Client::emit_with_ack).
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Event;
    /// use ferriwire::client::blocking::Client;
    ///
    /// const ADD: Event<(i64, i64), i64> = Event::new("add");
    ///
    /// # fn run(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(client.emit_with_ack(ADD, (1, 2))?, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn emit_with_ack<E, P>(&self, event: E, payload: P) -> Result<E::Answer, AckError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        let answer = async { self.client.emit_with_ack(event, payload).await };
        self.threads.wait_for(answer)
    }

    /// The same, waiting at most so long.
    ///
    /// # Errors
    ///
    /// Those of [`emit_with_ack`](Self::emit_with_ack).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use ferriwire::Event;
    /// use ferriwire::client::blocking::Client;
    ///
    /// const ADD: Event<(i64, i64), i64> = Event::new("add");
    ///
    /// # fn run(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let sum = client.emit_with_ack_within(Duration::from_millis(500), ADD, (1, 2))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn emit_with_ack_within<E, P>(
        &self,
        timeout: Duration,
        event: E,
        payload: P,
    ) -> Result<E::Answer, AckError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        let emitter = self.client.timeout(timeout);
        let answer = async { emitter.emit_with_ack(event, payload).await };
        self.threads.wait_for(answer)
    }

    /// Joins the namespace again after it was left.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::blocking::Client;
    ///
    /// # fn run(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.disconnect();
    /// client.connect();
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect(&self) {
        self.client.connect();
    }

    /// Leaves the namespace.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::blocking::Client;
    ///
    /// # fn run(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.disconnect();
    /// # Ok(())
    /// # }
    /// ```
    pub fn disconnect(&self) {
        self.client.disconnect();
    }

    /// Leaves all namespaces and ends the connection, behind what is queued, and waits for that.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::blocking::Client;
    ///
    /// # fn run(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.emit("goodbye", ())?;
    /// client.close(); // The event has left.
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(self) {
        let Self { client, threads } = self;
        threads.wait_for(client.close());
    }

    /// The id that the server gave it; `None` while it is not connected.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::blocking::Client;
    ///
    /// # fn run(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("connected as {:?}", client.id());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn id(&self) -> Option<Arc<str>> {
        self.client.id()
    }

    /// Whether it is in the namespace now.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::blocking::Client;
    ///
    /// # fn run(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("{}", if client.is_connected() { "online" } else { "offline" });
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    /// Whether the server has kept its session, so that nothing was missed.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::blocking::Client;
    ///
    /// # fn run(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// if !client.is_recovered() {
    ///     println!("what was missed has to be fetched");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_recovered(&self) -> bool {
        self.client.is_recovered()
    }

    /// The transport in use now; `None` while there is no session.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::blocking::Client;
    ///
    /// # fn run(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("on {:?}", client.transport());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        self.client.transport()
    }

    /// The asynchronous client behind it, for all else.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::blocking::Client;
    ///
    /// # fn run(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("{} bytes wait", client.as_async().buffered_bytes());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn as_async(&self) -> &Asynchronous {
        &self.client
    }
}
