//! TLS in front of HTTP: handshakes, and the certificate of the hour.

mod certificate;
mod handshakes;

use std::net::SocketAddr;
use std::time::Duration;

use ferriwire_proto::admission::Source;
use http::Request;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::certificate::Certificate;
use self::handshakes::Handshakes;
use super::accept::note;
use crate::config::{ClientCertificates, Limits, Tls};
use crate::engine::core::Core;
use crate::engine::reasons::LimitKind;
use crate::engine::request::Secure;
use crate::engine::tcp::TcpConnection;
use crate::error::Error;

/// Makes accepted sockets into encrypted ones.
pub(super) struct Acceptor {
    certificate: Certificate,
    handshakes: Handshakes,
    timeout: Duration,
}

/// A connection whose handshake is done.
pub(super) struct Secured(TlsStream<TcpConnection>);

/// What the program learns of the encryption.
pub(super) struct Credentials(Option<ClientCertificates>);

impl Acceptor {
    pub(super) fn new(tls: Tls, limits: &Limits) -> Result<Self, Error> {
        Ok(Self {
            certificate: Certificate::load(tls).map_err(Error::Tls)?,
            handshakes: Handshakes::new(limits.max_tls_handshakes),
            timeout: limits.tls_handshake_timeout,
        })
    }

    /// Does the handshake; `None` when it fails, takes too long, or has to make room.
    pub(super) async fn handshake(
        &self,
        core: &Core,
        stream: TcpConnection,
        peer: SocketAddr,
    ) -> Option<Secured> {
        let acceptor = TlsAcceptor::from(self.certificate.current());
        let mut turn = self.handshakes.begin();
        let (limit, why) = tokio::select! {
            done = tokio::time::timeout(self.timeout, acceptor.accept(stream)) => match done {
                Ok(Ok(stream)) => return Some(Secured(stream)),
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "TLS handshake failed");
                    core.counters().tls_handshake_failed();
                    return None;
                }
                Err(_) => (LimitKind::TlsHandshakeTime, "its TLS handshake took too long"),
            },
            () = turn.displaced() => {
                (LimitKind::TlsHandshakes, "too many TLS handshakes began after its own")
            }
        };
        note(core, limit, Some(Source::from(peer.ip())), &why);
        None
    }
}

impl Secured {
    /// The stream, what the program learns, and whether the client has chosen HTTP/2.
    pub(super) fn into_parts(self) -> (TlsStream<TcpConnection>, Credentials, bool) {
        let (_, connection) = self.0.get_ref();
        let is_http2 = connection.alpn_protocol() == Some(b"h2");
        let chain = connection.peer_certificates();
        let credentials = Credentials(chain.map(|chain| ClientCertificates(chain.into())));
        (self.0, credentials, is_http2)
    }
}

impl Credentials {
    pub(super) fn mark<B>(&self, request: &mut Request<B>) {
        request.extensions_mut().insert(Secure);
        if let Some(certificates) = &self.0 {
            request.extensions_mut().insert(certificates.clone());
        }
    }
}
