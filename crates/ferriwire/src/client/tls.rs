//! How a client encrypts: whom it trusts, and who it says it is.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Pem;

/// TLS for a client: whose certificates of servers it trusts, and its own, if it has one.
///
/// Without any of this, servers at `https://` and `wss://` are verified against the certificates that the
/// system trusts. TLS 1.2 and 1.3 with the cipher suites of rustls and *ring*; another cryptography provider
/// comes with a [configuration](Self::config) of the program's own. Files are read with the first connection.
///
/// What stands here holds for a proxy at `https://` as well, but for the client's own certificate and for
/// [`danger_accept_any_certificate`](Self::danger_accept_any_certificate).
///
/// # Examples
///
/// ```
/// use ferriwire::ClientTls;
///
/// let tls = ClientTls::new()
///     .ca_file("our-authority.pem")
///     .certificate_files("device.pem", "device-key.pem");
/// ```
#[derive(Clone, Default)]
pub struct ClientTls {
    pub(crate) authorities: Vec<Pem>,
    pub(crate) certificate: Option<(Pem, Pem)>,
    pub(crate) accepts_any: bool,
    pub(crate) config: Option<Arc<rustls::ClientConfig>>,
}

impl ClientTls {
    /// Trusts whom the system trusts, and has no certificate.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::ClientTls;
    ///
    /// let tls = ClientTls::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a configuration of the program's own, to which nothing else here adds anything. Its list of
    /// protocols (ALPN) becomes `http/1.1`, and 0-RTT is switched off, because a handshake could be
    /// replayed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use ferriwire::ClientTls;
    ///
    /// fn pinned(config: rustls::ClientConfig) -> ClientTls {
    ///     ClientTls::config(Arc::new(config))
    /// }
    /// ```
    #[must_use]
    pub fn config(config: Arc<rustls::ClientConfig>) -> Self {
        Self {
            config: Some(config),
            ..Self::default()
        }
    }

    /// Trusts the authorities in this PEM file, and the system's no longer. A file more is an authority
    /// more. A server's own certificate may stand there, too. Mirrors `ca`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::ClientTls;
    ///
    /// let tls = ClientTls::new().ca_file("our-authority.pem");
    /// ```
    #[must_use]
    #[doc(alias = "ca")]
    pub fn ca_file(mut self, authorities: impl Into<PathBuf>) -> Self {
        self.authorities.push(Pem::File(authorities.into()));
        self
    }

    /// As [`ca_file`](Self::ca_file), with the authorities as PEM.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::ClientTls;
    ///
    /// let tls = ClientTls::new().ca_pem("-----BEGIN CERTIFICATE-----\n..");
    /// ```
    #[must_use]
    pub fn ca_pem(mut self, authorities: impl AsRef<[u8]>) -> Self {
        self.authorities
            .push(Pem::Bytes(authorities.as_ref().into()));
        self
    }

    /// Shows servers that ask for it the certificate chain in one PEM file, the client's own first, whose
    /// private key is in the other. Mirrors `cert` and `key`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::ClientTls;
    ///
    /// let tls = ClientTls::new().certificate_files("device.pem", "device-key.pem");
    /// ```
    #[must_use]
    #[doc(alias("cert", "key"))]
    pub fn certificate_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((Pem::File(chain.into()), Pem::File(key.into())));
        self
    }

    /// As [`certificate_files`](Self::certificate_files), with the chain and the key as PEM.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::ClientTls;
    ///
    /// fn with_certificate(chain: &str, key: &str) -> ClientTls {
    ///     ClientTls::new().certificate_pem(chain, key)
    /// }
    /// ```
    #[must_use]
    pub fn certificate_pem(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        let (chain, key) = (chain.as_ref().into(), key.as_ref().into());
        self.certificate = Some((Pem::Bytes(chain), Pem::Bytes(key)));
        self
    }

    /// Takes everybody for the server who answers at its address, whatever certificate they show: who
    /// stands between reads and changes everything. For tests. Mirrors `rejectUnauthorized: false`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::ClientTls;
    ///
    /// let tls = ClientTls::new().danger_accept_any_certificate();
    /// ```
    #[must_use]
    #[doc(alias = "rejectUnauthorized")]
    pub fn danger_accept_any_certificate(mut self) -> Self {
        self.accepts_any = true;
        self
    }
}

/// Never a key.
impl fmt::Debug for ClientTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = self.certificate.as_ref().map(|(chain, _)| chain);
        formatter
            .debug_struct("ClientTls")
            .field("authorities", &self.authorities)
            .field("certificate", &chain)
            .field("accepts_any", &self.accepts_any)
            .field("config", &self.config.is_some())
            .finish()
    }
}
