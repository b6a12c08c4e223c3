//! The certificate of a listener, read again when its files change.

use std::error::Error;
use std::fs::{self, Metadata};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use tokio::time::Instant;

use crate::config::{Identity, Pem, Tls};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// What a client may choose by ALPN, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A ready configuration, and when to look for a newer one.
pub(super) struct Certificate {
    tls: Tls,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// Of what was read last, whether it could be used or not.
    stamps: Stamps,
    looked: Instant,
}

/// How the files looked, in the order of [`files`].
type Stamps = Vec<Option<Stamp>>;

/// Two files with the same are the same file with the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    /// A file that was put in the place of another may be as old as that, and as long.
    #[cfg(unix)]
    inode: u64,
}

impl Certificate {
    pub(super) fn load(tls: Tls) -> Result<Self> {
        // Before the files are read, so that a change in between is seen the next time.
        let stamps = stamps(&tls);
        let config = Arc::new(configure(&tls)?);
        Ok(Self {
            tls,
            current: Mutex::new(Current {
                config,
                stamps,
                looked: Instant::now(),
            }),
        })
    }

    /// What a new connection gets. Looks at the files when that is due: a few system calls on
    /// small local files.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock();
        if current.stamps.is_empty() || current.looked.elapsed() < self.tls.reload_interval {
            return Arc::clone(&current.config);
        }
        // Nobody else needs to look, and others need not wait.
        current.looked = Instant::now();
        let (config, known) = (Arc::clone(&current.config), current.stamps.clone());
        drop(current);
        let stamps = stamps(&self.tls);
        if stamps == known {
            return config;
        }
        self.reload(stamps)
    }

    fn reload(&self, stamps: Stamps) -> Arc<ServerConfig> {
        let loaded = configure(&self.tls);
        let mut current = self.current.lock();
        current.stamps = stamps;
        match loaded {
            Ok(config) => {
                current.config = Arc::new(config);
                tracing::info!(files = ?self.tls.identity, "new TLS certificate");
            }
            // The chain may have been written, and the key not yet.
            Err(error) => {
                tracing::error!(files = ?self.tls.identity, %error, "new TLS certificate cannot be used, the old one stays");
            }
        }
        Arc::clone(&current.config)
    }
}

/// The files that the settings name, which may all change.
fn files(tls: &Tls) -> Vec<&Path> {
    let identity = match &tls.identity {
        Identity::Pem { chain, key } => [Some(chain), Some(key)],
        Identity::Config(_) => [None, None],
    };
    let pems = identity.into_iter().flatten().chain(&tls.client_ca);
    pems.filter_map(|pem| match pem {
        Pem::File(path) => Some(path.as_path()),
        Pem::Bytes(_) => None,
    })
    .collect()
}

fn stamps(tls: &Tls) -> Stamps {
    let files = files(tls).into_iter();
    // A file that is missing for a moment is different from what was there.
    files
        .map(|path| fs::metadata(path).ok().map(Stamp::of))
        .collect()
}

impl Stamp {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the last step of an iterator"
    )]
    fn of(metadata: Metadata) -> Self {
        Self {
            modified: metadata.modified().ok(),
            len: metadata.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&metadata),
        }
    }
}

fn configure(tls: &Tls) -> Result<ServerConfig> {
    let mut config = match &tls.identity {
        Identity::Pem { chain, key } => from_pem(tls, chain, key)?,
        Identity::Config(_) if tls.client_ca.is_some() => {
            return Err("a rustls configuration names the authorities of clients itself".into());
        }
        Identity::Config(config) => ServerConfig::clone(config),
    };
    if config.alpn_protocols.is_empty() {
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    }
    // What comes before the handshake is done may come twice.
    config.max_early_data_size = 0;
    Ok(config)
}

fn from_pem(tls: &Tls, chain: &Pem, key: &Pem) -> Result<ServerConfig> {
    let chain = chain.certificates()?;
    let key = key.key()?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?;
    let builder = match &tls.client_ca {
        Some(authorities) => builder.with_client_cert_verifier(verifier(tls, authorities)?),
        None => builder.with_no_client_auth(),
    };
    Ok(builder.with_single_cert(chain, key)?)
}

fn verifier(tls: &Tls, authorities: &Pem) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for authority in authorities.certificates()? {
        roots.add(authority)?;
    }
    let provider = Arc::new(ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if tls.client_may_be_unknown {
        builder.allow_unauthenticated()
    } else {
        builder
    };
    Ok(builder.build()?)
}
