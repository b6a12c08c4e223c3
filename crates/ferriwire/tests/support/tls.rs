//! Certificates for one test, and clients that trust them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Endpoint, Stream, within};

/// Someone who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        // A name of its own, or OpenSSL takes what it signs for signed by itself.
        let name = "an authority of a test";
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("random bytes");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this machine.
    pub(crate) fn sign(&self) -> Signed {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("random bytes");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Signed {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that trusts this authority, shows a certificate if it has one, and offers these
    /// protocols.
    pub(crate) fn client(&self, shows: Option<&Signed>, protocols: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("it is valid");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots);
        let mut config = match shows {
            None => builder.with_no_client_auth(),
            Some(signed) => {
                let chain = CertificateDer::pem_slice_iter(signed.chain.as_bytes());
                let chain = chain.collect::<Result<_, _>>().expect("certificates");
                let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("they fit")
            }
        };
        let protocols = protocols.iter();
        config.alpn_protocols = protocols.map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    /// A server at this address, for clients that trust this authority and offer this protocol.
    pub(crate) fn endpoint(&self, address: SocketAddr, protocol: &str) -> Endpoint {
        let connector = self.client(None, &[protocol]);
        Endpoint::Behind(Arc::new(move || {
            let connector = connector.clone();
            Box::pin(async move {
                let stream = connect(&connector, address)
                    .await
                    .expect("the server is trusted");
                Box::new(stream) as Box<dyn Stream>
            })
        }))
    }
}

/// One certificate in DER.
pub(crate) fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

/// Opens a connection and does the handshake.
pub(crate) async fn connect(
    connector: &TlsConnector,
    address: SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = within("connecting", TcpStream::connect(address)).await;
    let name = ServerName::try_from("localhost").expect("a name");
    let handshake = connector.connect(name, stream.expect("the server listens"));
    within("the handshake", handshake).await
}

impl Stream for TlsStream<TcpStream> {
    fn reset(self: Box<Self>) {
        let (stream, _) = self.into_inner();
        stream.set_zero_linger().expect("a connected socket");
    }
}

/// A folder of one test that is removed in the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "ferriwire-tls-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder of our own");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Puts a file in the place of what was there, at once, as certificate tools do.
    pub(crate) fn put(&self, name: &str, content: &str) -> PathBuf {
        let (path, new) = (self.path(name), self.path("new"));
        std::fs::write(&new, content).expect("a file of our own");
        std::fs::rename(&new, &path).expect("a file of our own");
        path
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
