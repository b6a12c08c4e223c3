//! What a program says of the way to its server: TLS, a proxy.

#[cfg(feature = "test")]
use std::sync::Arc;

use super::ClientBuilder;
#[cfg(feature = "tls")]
use crate::client::tls::ClientTls;
use crate::client::transport::connect::ProxyChoice;
#[cfg(feature = "test")]
use crate::client::transport::stream::Connector;

impl ClientBuilder {
    /// Whom it trusts, and who it says it is, where the server is at `https` or `wss`. Default: whom the
    /// system trusts, and nobody.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use ferriwire::Client;
    /// use ferriwire::client::ClientTls;
    ///
    /// # async fn run() -> Result<(), ferriwire::ConnectFailure> {
    /// let client = Client::builder("https://localhost:3000")
    ///     .tls(ClientTls::new().ca_file("our-authority.pem"))
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    #[doc(alias("ca", "cert", "key", "rejectUnauthorized"))]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.config.tls = Some(tls);
        self
    }

    /// Goes through this proxy: `http://`, `https://`, `socks5://` (names are looked up here) or `socks5h://`
    /// (by the proxy), perhaps with `user:password@` in which bytes may be written as `%` and two digits.
    /// As in curl, without a scheme it is `http`, and without a port 443 for `https` and 1080 for the others.
    /// HTTP proxies are asked by CONNECT, for servers that are encrypted and others alike.
    ///
    /// Default: what the environment says, as curl reads it. `http_proxy` is for servers at `http` and `ws`,
    /// `https_proxy` for those at `https` and `wss`, `all_proxy` for both; `no_proxy` lists servers that need
    /// none: `*`, domains with all below them, addresses and networks, each perhaps with a port, with commas
    /// or spaces between. Each may be written in capitals; only `HTTP_PROXY` is ignored where
    /// `REQUEST_METHOD` is set, because a CGI program's clients could set it. This machine itself is not
    /// exempt unless `no_proxy` says so.
    ///
    /// What goes wrong is a [`ProxyError`](crate::client::ProxyError) inside of
    /// [`ConnectFailure::Network`](crate::ConnectFailure::Network).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), ferriwire::ConnectFailure> {
    /// let client = ferriwire::Client::builder("https://example.com")
    ///     .proxy("socks5h://me:secret@localhost:9050")
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "agent")]
    pub fn proxy(mut self, proxy: impl AsRef<str>) -> Self {
        self.config.proxy = ProxyChoice::Named(proxy.as_ref().into());
        self
    }

    /// Goes through no proxy, whatever the environment says.
    ///
    /// # Examples
    ///
    /// ```
    /// let client = ferriwire::Client::builder("http://localhost:3000")
    ///     .no_proxy();
    /// ```
    pub fn no_proxy(mut self) -> Self {
        self.config.proxy = ProxyChoice::Direct;
        self
    }

    /// Where streams come from, instead of the network.
    #[cfg(feature = "test")]
    pub(crate) fn connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.config.connector = Some(connector);
        self
    }
}
