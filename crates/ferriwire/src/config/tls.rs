//! TLS on a server's own listener: whose certificate, and which clients.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::pem::Pem;

/// TLS for a [`Listener`](crate::Listener): the server's certificate and key, and whether clients have
/// to show one.
///
/// TLS 1.2 and 1.3, never 0-RTT, the cipher suites of rustls and *ring*, HTTP/2 and HTTP/1.1 by ALPN.
/// Another cryptography provider comes with a [configuration](Self::config) of the program's own. A
/// PKCS#12 file (`pfx`) has to be turned into PEM first, as by `openssl pkcs12`.
///
/// # Examples
///
/// ```no_run
/// use ferriwire::{Listener, Namespace, Server, Tls};
///
/// # async fn run() -> ferriwire::Result<()> {
/// let tls = Tls::files("fullchain.pem", "key.pem");
/// let server = Server::new()
///     .namespace(Namespace::new("/"))
///     .bind_all([Listener::tcp("0.0.0.0:443").tls(tls)])
///     .await?;
/// server.await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls {
    pub(crate) identity: Identity,
    /// Whose certificates of clients are accepted.
    pub(crate) client_ca: Option<Pem>,
    pub(crate) client_may_be_unknown: bool,
    pub(crate) reload_interval: Duration,
}

/// Who the server is.
#[derive(Clone)]
pub(crate) enum Identity {
    Pem { chain: Pem, key: Pem },
    Config(Arc<rustls::ServerConfig>),
}

impl Tls {
    /// With a certificate chain, the server's own certificate first, and its private key, from PEM
    /// files. When they change, new connections get the new certificate, see
    /// [`reload_interval`](Self::reload_interval).
    #[must_use]
    #[doc(alias("cert", "key"))]
    pub fn files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::new(Identity::Pem {
            chain: Pem::File(chain.into()),
            key: Pem::File(key.into()),
        })
    }

    /// With a certificate chain and its private key as PEM.
    #[must_use]
    pub fn pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        Self::new(Identity::Pem {
            chain: Pem::Bytes(chain.as_ref().into()),
            key: Pem::Bytes(key.as_ref().into()),
        })
    }

    /// With a configuration of the program's own. Two things are changed: 0-RTT is switched off,
    /// because a handshake could be replayed, and a list of protocols (ALPN) that is empty becomes
    /// ours, `h2` and `http/1.1`.
    #[must_use]
    pub fn config(config: Arc<rustls::ServerConfig>) -> Self {
        Self::new(Identity::Config(config))
    }

    fn new(identity: Identity) -> Self {
        Self {
            identity,
            client_ca: None,
            client_may_be_unknown: false,
            reload_interval: Duration::from_secs(10),
        }
    }

    /// Asks clients for a certificate, and refuses those whose is not signed by an authority in this
    /// PEM file. Default: not asked. Mirrors `ca` with `requestCert` and `rejectUnauthorized`. The
    /// program finds it in [`Request::extension`](crate::Request::extension) as
    /// [`ClientCertificates`].
    #[must_use]
    #[doc(alias("ca", "requestCert"))]
    pub fn client_ca_file(mut self, authorities: impl Into<PathBuf>) -> Self {
        self.client_ca = Some(Pem::File(authorities.into()));
        self
    }

    /// As [`client_ca_file`](Self::client_ca_file), with the authorities as PEM.
    #[must_use]
    pub fn client_ca_pem(mut self, authorities: impl AsRef<[u8]>) -> Self {
        self.client_ca = Some(Pem::Bytes(authorities.as_ref().into()));
        self
    }

    /// Accepts clients that show no certificate, where one is asked for. One that is wrong is refused
    /// all the same. Default `false`.
    #[must_use]
    pub fn client_may_be_unknown(mut self, may: bool) -> Self {
        self.client_may_be_unknown = may;
        self
    }

    /// How often the files are looked at, when a connection arrives. Default 10 s; zero is at every
    /// connection. A new certificate that cannot be used is logged, and the old one stays. Open
    /// connections go on as they are.
    #[must_use]
    pub fn reload_interval(mut self, interval: Duration) -> Self {
        self.reload_interval = interval;
        self
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("identity", &self.identity)
            .field("client_ca", &self.client_ca)
            .field("client_may_be_unknown", &self.client_may_be_unknown)
            .field("reload_interval", &self.reload_interval)
            .finish()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem { chain, .. } => chain.fmt(formatter),
            Self::Config(_) => formatter.write_str("rustls::ServerConfig"),
        }
    }
}

/// The certificate chain that a client has shown, its own first, in DER: verified against
/// [`Tls::client_ca_file`].
///
/// # Examples
///
/// ```
/// use ferriwire::{ClientCertificates, ConnectError, Handshake, Namespace};
///
/// let devices = Namespace::new("/devices").auth(async |handshake: Handshake| {
///     match handshake.extension::<ClientCertificates>() {
///         Some(certificates) => Ok(certificates.0[0].len()),
///         None => Err(ConnectError::new("no certificate")),
///     }
/// });
/// ```
#[derive(Clone, Debug)]
pub struct ClientCertificates(pub Arc<[rustls::pki_types::CertificateDer<'static>]>);
