//! One address that a server listens at, and what is spoken there.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::tls::Acceptor;
use crate::config::{Limits, Tls};
use crate::error::Error;

/// An address to listen at, for [`Server::bind_all`](crate::Server::bind_all).
///
/// # Examples
///
/// ```
/// use ferriwire::Listener;
///
/// let inside = Listener::tcp("127.0.0.1:3000").http2_prior_knowledge(true);
/// ```
#[derive(Clone, Debug)]
pub struct Listener {
    address: String,
    prior_knowledge: bool,
    tls: Option<Tls>,
}

/// A listener that is bound.
pub(super) struct Bound {
    pub(super) listener: TcpListener,
    pub(super) local_addr: SocketAddr,
    pub(super) security: Security,
}

/// What stands between the socket and HTTP.
pub(super) enum Security {
    /// HTTP/1.1, and, if that is switched on, HTTP/2 for a client that begins with it.
    Plain {
        prior_knowledge: bool,
    },
    Tls(Box<Acceptor>),
}

impl Listener {
    /// Listens at a TCP address: a name or number, and a port, such as `0.0.0.0:443` or `[::]:443`.
    pub fn tcp(address: impl ToString) -> Self {
        Self {
            address: address.to_string(),
            prior_knowledge: false,
            tls: None,
        }
    }

    /// Whether a client may begin with HTTP/2 without TLS ("prior knowledge", `h2c`), as a proxy in
    /// front does. Default `false`; with TLS the client chooses by ALPN, whatever stands here.
    #[must_use]
    pub fn http2_prior_knowledge(mut self, allow: bool) -> Self {
        self.prior_knowledge = allow;
        self
    }

    /// Speaks TLS at this address. Default: not.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    pub(super) async fn bind(self, limits: &Limits) -> Result<Bound, Error> {
        let security = match self.tls {
            Some(tls) => Security::Tls(Box::new(Acceptor::new(tls, limits)?)),
            None => Security::Plain {
                prior_knowledge: self.prior_knowledge,
            },
        };
        Bound::new(TcpListener::bind(self.address).await?, security)
    }
}

impl Bound {
    pub(super) fn new(listener: TcpListener, security: Security) -> Result<Self, Error> {
        let local_addr = listener.local_addr()?;
        Ok(Self {
            listener,
            local_addr,
            security,
        })
    }
}
