//! Describing one more namespace of a client.

use std::fmt;
use std::sync::Arc;

use super::Joined;
use super::declaration::Declaration;
use crate::client::error::ConnectFailure;
use crate::client::handle::Client;

/// Describes one more namespace on a client's connection. Made by [`Client::namespace`].
#[must_use = "a namespace is not joined before it connects"]
pub struct NamespaceBuilder {
    client: Client,
    name: String,
    pub(super) declaration: Declaration,
}

impl fmt::Debug for NamespaceBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("NamespaceBuilder");
        shown.field("name", &self.name).finish_non_exhaustive()
    }
}

impl NamespaceBuilder {
    pub(crate) fn new(client: &Client, name: &str) -> Self {
        let slash = if name.starts_with('/') { "" } else { "/" };
        Self {
            client: client.clone(),
            name: format!("{slash}{name}"),
            declaration: Declaration::default(),
        }
    }

    /// Joins the namespace. It stays joined until it is left, or the client is closed, whether or not
    /// the handle is kept. Who does not wait for it to the end does not join it: it is left when the future is
    /// dropped.
    ///
    /// # Errors
    ///
    /// The server refuses the client, the connection is lost before it answers, or there is such a namespace on
    /// this client already. It is not tried again.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run(client: ferriwire::Client) -> Result<(), ferriwire::ConnectFailure> {
    /// let admin = client.namespace("/admin").connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(self) -> Result<Client, ConnectFailure> {
        self.wait(true).await
    }

    /// The same, also while the client has no connection: it waits for the next one.
    ///
    /// # Errors
    ///
    /// The server refuses the client, all attempts to connect have failed, or there is such a namespace on this
    /// client already.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run(client: ferriwire::Client) -> Result<(), ferriwire::ConnectFailure> {
    /// let admin = client.namespace("/admin").connect_retrying().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_retrying(self) -> Result<Client, ConnectFailure> {
        self.wait(false).await
    }

    /// Starts to join the namespace, and does not wait for it, as [`ClientBuilder::open`] does: what is
    /// emitted meanwhile is kept.
    ///
    /// [`ClientBuilder::open`]: crate::client::ClientBuilder::open
    ///
    /// # Errors
    ///
    /// The client is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run(client: ferriwire::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let admin = client.namespace("/admin").open()?;
    /// admin.emit("early", "sent as soon as it is connected")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(self) -> Result<Client, ConnectFailure> {
        let (client, _) = self.start(false)?;
        Ok(client)
    }

    async fn wait(self, first_failure: bool) -> Result<Client, ConnectFailure> {
        let (client, joined) = self.start(first_failure)?;
        Waiting::new(&client).until(joined).await?;
        Ok(client)
    }

    fn start(self, first_failure: bool) -> Result<(Client, Joined), ConnectFailure> {
        let shared = &self.client.membership().shared;
        if shared.is_closed() {
            return Err(ConnectFailure::Closed);
        }
        let membership = self.declaration.into_membership(shared, &self.name);
        let client = Client::new(membership, Arc::clone(self.client.owner()));
        let joined = client.join(first_failure);
        Ok((client, joined))
    }
}

/// Somebody waits for a namespace, and leaves it by giving up.
struct Waiting<'a> {
    client: &'a Client,
    is_over: bool,
}

impl<'a> Waiting<'a> {
    const fn new(client: &'a Client) -> Self {
        let is_over = false;
        Self { client, is_over }
    }

    async fn until(mut self, joined: Joined) -> Result<(), ConnectFailure> {
        let result = joined.await;
        self.is_over = true;
        result.unwrap_or(Err(ConnectFailure::Closed))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.client.disconnect();
        }
    }
}
