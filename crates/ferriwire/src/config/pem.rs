//! Certificates and keys as PEM, or where they are.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Text in PEM, or where it is.
#[derive(Clone)]
pub(crate) enum Pem {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

impl Pem {
    /// The certificates in it: at least one.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        self.read(|bytes| {
            let certificates =
                CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>()?;
            if certificates.is_empty() {
                return Err("there is no certificate in it".into());
            }
            Ok(certificates)
        })
    }

    /// The first private key in it.
    pub(crate) fn key(&self) -> Result<PrivateKeyDer<'static>> {
        self.read(|bytes| Ok(PrivateKeyDer::from_pem_slice(bytes)?))
    }

    /// Names the file when that fails.
    fn read<T>(&self, parse: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        match self {
            Self::Bytes(bytes) => parse(bytes),
            Self::File(path) => fs::read(path)
                .map_err(Into::into)
                .and_then(|bytes| parse(&bytes))
                .map_err(|error| io::Error::other(format!("{}: {error}", path.display())).into()),
        }
    }
}

/// Never the bytes, which may be a key.
impl fmt::Debug for Pem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(formatter),
            Self::Bytes(_) => formatter.write_str("PEM"),
        }
    }
}
