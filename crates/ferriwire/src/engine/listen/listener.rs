//! One address that a server listens at, and what is spoken there.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, ToSocketAddrs, lookup_host};

use super::tls::Acceptor;
use crate::config::{Config, TcpTimeouts, Tls};
use crate::error::Error;

/// How many connections may wait to be accepted; the system has its own bound as well.
const BACKLOG: u32 = 1_024;

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
    /// Accepted sockets are set up as the listener is.
    pub(super) inherited: bool,
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

    pub(super) async fn bind(self, config: &Config) -> Result<Bound, Error> {
        let security = match self.tls {
            Some(tls) => Security::Tls(Box::new(Acceptor::new(tls, &config.limits)?)),
            None => Security::Plain {
                prior_knowledge: self.prior_knowledge,
            },
        };
        Bound::new(self.address, security, &config.tcp_timeouts).await
    }
}

impl Bound {
    /// Listens at the first of its addresses where that can be done.
    pub(super) async fn new(
        address: impl ToSocketAddrs,
        security: Security,
        timeouts: &TcpTimeouts,
    ) -> Result<Self, Error> {
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in lookup_host(address).await? {
            match listen(address, timeouts) {
                Ok((listener, inherited)) => {
                    return Ok(Self {
                        local_addr: listener.local_addr()?,
                        listener,
                        security,
                        inherited,
                    });
                }
                Err(error) => failed = error,
            }
        }
        Err(failed.into())
    }
}

/// Listens with a socket that is set up as its connections shall be, and says whether they will: on Linux
/// an accepted socket begins with all that its listener has, which saves six system calls for each.
fn listen(address: SocketAddr, timeouts: &TcpTimeouts) -> io::Result<(TcpListener, bool)> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Elsewhere it would let others listen at the same port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Before there can be a connection.
    let is_set = socket.set_nodelay(true).is_ok() && timeouts.apply(&socket).is_ok();
    socket.bind(address)?;
    let inherited = cfg!(target_os = "linux") && is_set;
    Ok((socket.listen(BACKLOG)?, inherited))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Duration;

    use socket2::SockRef;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn accepted_sockets_begin_as_their_listener_was_set_up() {
        let security = Security::Plain {
            prior_knowledge: false,
        };
        let timeouts = TcpTimeouts::new();
        let bound = Bound::new("127.0.0.1:0", security, &timeouts)
            .await
            .unwrap();
        assert!(bound.inherited);
        let (_client, accepted) = tokio::join!(
            TcpStream::connect(bound.local_addr),
            bound.listener.accept()
        );
        let (accepted, _) = accepted.unwrap();
        let socket = SockRef::from(&accepted);
        let (after, interval) = (Duration::from_secs(30), Duration::from_secs(5));
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), after);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), interval);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        let limit = Duration::from_secs(45);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limit));
        assert!(accepted.nodelay().unwrap());
    }
}
