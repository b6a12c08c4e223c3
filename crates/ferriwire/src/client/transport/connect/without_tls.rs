//! A build without the feature `tls`: nothing is encrypted, and what has to be cannot be connected to.

use std::io;

use super::Stream;
use crate::client::tls::ClientTls;

pub(super) struct Encryption;

impl Encryption {
    pub(super) fn new(_: Option<ClientTls>) -> Self {
        Self
    }

    pub(super) async fn with_server(
        &self,
        _: Box<dyn Stream>,
        _: &str,
    ) -> io::Result<Box<dyn Stream>> {
        let why = "this program was built without the feature `tls` of ferriwire";
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    pub(super) async fn with_proxy(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
    ) -> io::Result<Box<dyn Stream>> {
        self.with_server(stream, host).await
    }
}
