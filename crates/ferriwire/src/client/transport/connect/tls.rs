//! TLS with servers and proxies, and whom the system trusts.

use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_rustls::TlsConnector;

use super::Stream;
use crate::client::tls::ClientTls;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Neither sessions nor WebSockets are spoken over HTTP/2.
const PROTOCOL: &[u8] = b"http/1.1";

/// Whom the system trusts: read once, and again as long as that fails.
static OF_SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();

/// Encrypts streams. What was read stays, and so do the sessions of TLS that can be resumed.
pub(super) struct Encryption {
    tls: ClientTls,
    of_server: Mutex<Option<Arc<ClientConfig>>>,
    of_proxy: Mutex<Option<Arc<ClientConfig>>>,
}

/// Who is spoken with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peer {
    Server,
    Proxy,
}

impl Encryption {
    pub(super) fn new(tls: Option<ClientTls>) -> Self {
        Self {
            tls: tls.unwrap_or_default(),
            of_server: Mutex::default(),
            of_proxy: Mutex::default(),
        }
    }

    pub(super) async fn with_server(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
    ) -> io::Result<Box<dyn Stream>> {
        self.with(Peer::Server, stream, host).await
    }

    pub(super) async fn with_proxy(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
    ) -> io::Result<Box<dyn Stream>> {
        self.with(Peer::Proxy, stream, host).await
    }

    async fn with(
        &self,
        peer: Peer,
        stream: Box<dyn Stream>,
        host: &str,
    ) -> io::Result<Box<dyn Stream>> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let config = self.ready(peer).await.map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Box::new(stream))
    }

    /// The configuration, made when it is needed first.
    async fn ready(&self, peer: Peer) -> Result<Arc<ClientConfig>> {
        let place = match peer {
            Peer::Server => &self.of_server,
            Peer::Proxy => &self.of_proxy,
        };
        if let Some(config) = &*place.lock() {
            return Ok(Arc::clone(config));
        }
        let config = match &self.tls.config {
            Some(config) => ClientConfig::clone(config),
            None => self.configure(peer).await?,
        };
        let config = Arc::new(with_protocol(config));
        // Of two that were made at once both are good.
        Ok(Arc::clone(place.lock().insert(config)))
    }

    async fn configure(&self, peer: Peer) -> Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?;
        let builder = if self.tls.accepts_any && peer == Peer::Server {
            let verifier = Arc::new(AcceptsAny(provider));
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        } else if self.tls.authorities.is_empty() {
            builder.with_root_certificates(of_system().await?)
        } else {
            let verifier = Arc::new(self.named(provider)?);
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        };
        Ok(match &self.tls.certificate {
            Some((chain, key)) if peer == Peer::Server => {
                builder.with_client_auth_cert(chain.certificates()?, key.key()?)?
            }
            Some(_) | None => builder.with_no_client_auth(),
        })
    }

    /// Those whom the program names, and nobody else.
    fn named(&self, provider: Arc<CryptoProvider>) -> Result<TrustsNamed> {
        let mut named = Vec::new();
        for authorities in &self.tls.authorities {
            named.extend(authorities.certificates()?);
        }
        let mut roots = RootCertStore::empty();
        for authority in &named {
            roots.add(authority.clone())?;
        }
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let usual = usual.build()?;
        Ok(TrustsNamed { usual, named })
    }
}

fn with_protocol(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    // What is sent before the handshake is done may come twice.
    config.enable_early_data = false;
    config
}

/// Hundreds of files, perhaps: read aside, so that no session waits for it.
async fn of_system() -> Result<Arc<RootCertStore>> {
    if let Some(roots) = OF_SYSTEM.get() {
        return Ok(Arc::clone(roots));
    }
    let read = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs);
    let found = read.await?;
    let roots = trusted(found.certs, found.errors.first())?;
    Ok(Arc::clone(OF_SYSTEM.get_or_init(|| Arc::new(roots))))
}

/// What can be used of what was found.
fn trusted(
    certificates: Vec<CertificateDer<'static>>,
    failure: Option<&rustls_native_certs::Error>,
) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // Some that systems trust are too old to be read; the others are good.
    let (_, ignored) = roots.add_parsable_certificates(certificates);
    if !roots.is_empty() {
        if ignored > 0 || failure.is_some() {
            tracing::debug!(
                ignored,
                ?failure,
                "some certificates of the system cannot be used"
            );
        }
        return Ok(roots);
    }
    let why = failure.map_or_else(|| "there is none".to_owned(), ToString::to_string);
    Err(format!(
        "no certificate of an authority that this system trusts can be used: {why} \
         (install them, as with the package ca-certificates, or name them with ClientTls::ca_file)"
    )
    .into())
}

/// Trusts the certificates that a program names. One that signs others may also be a server's own, as the
/// certificates are that `openssl req -x509` makes, and that OpenSSL takes.
#[derive(Debug)]
struct TrustsNamed {
    usual: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for TrustsNamed {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        status: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let usual = self
            .usual
            .verify_server_cert(certificate, between, name, status, now);
        match usual {
            // Said of one that is valid now; the name is what is looked at behind that.
            Err(error) if is_authority(&error) && self.named.contains(certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            usual => usual,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// The server shows the certificate of an authority as its own. The error has no type that can be named here.
fn is_authority(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::Other(why))
        if why.to_string() == "CaUsedAsEndEntity")
}

/// See [`ClientTls::danger_accept_any_certificate`]. Signatures are verified all the same.
#[derive(Debug)]
struct AcceptsAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptsAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_trusts_nobody_is_an_error_that_says_so() {
        let junk = vec![CertificateDer::from(vec![1, 2, 3])];
        for certificates in [Vec::new(), junk] {
            let error = trusted(certificates, None).unwrap_err().to_string();
            assert!(error.contains("ca-certificates"), "{error}");
        }
    }
}
