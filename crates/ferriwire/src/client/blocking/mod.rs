//! The client for programs without async: the same names, and calls that wait.
//!
//! A client runs on a thread of its own, and its handlers on a second one, one after the other in the
//! order in which their events arrive. So a handler may take its time and may wait for an
//! acknowledgement, while heartbeats and acknowledgements go on. Whoever calls from async code gets a
//! panic of tokio: that is what [`ferriwire::Client`](crate::Client) is for.
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
    pub fn builder(address: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder::new(Asynchronous::builder(address))
    }

    /// Begins to describe another namespace on the same connection.
    pub fn namespace(&self, name: impl AsRef<str>) -> NamespaceBuilder {
        NamespaceBuilder::new(self.client.namespace(name), Arc::clone(&self.threads))
    }

    /// Sends an event, and does not wait. While the client is not connected it is kept.
    ///
    /// # Errors
    ///
    /// Those of [`ferriwire::Client::emit`](crate::Client::emit).
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
    pub fn connect(&self) {
        self.client.connect();
    }

    /// Leaves the namespace.
    pub fn disconnect(&self) {
        self.client.disconnect();
    }

    /// Leaves all namespaces and ends the connection, behind what is queued, and waits for that.
    pub fn close(self) {
        let Self { client, threads } = self;
        threads.wait_for(client.close());
    }

    /// The id that the server gave it; `None` while it is not connected.
    #[must_use]
    pub fn id(&self) -> Option<Arc<str>> {
        self.client.id()
    }

    /// Whether it is in the namespace now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    /// Whether the server has kept its session, so that nothing was missed.
    #[must_use]
    pub fn is_recovered(&self) -> bool {
        self.client.is_recovered()
    }

    /// The transport in use now; `None` while there is no session.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        self.client.transport()
    }

    /// The asynchronous client behind it, for all else.
    #[must_use]
    pub fn as_async(&self) -> &Asynchronous {
        &self.client
    }
}
