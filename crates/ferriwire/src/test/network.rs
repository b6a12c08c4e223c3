//! A server that is reached in memory.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::link::Stream;
use super::wire::Wire;
use crate::client::ClientBuilder;
use crate::engine::listen::Entrance;
use crate::error::Error;
use crate::server::{RunningServer, Server};

/// Clients are at `10.0.0.1` and above.
const FIRST_CLIENT: u32 = u32::from_be_bytes([10, 0, 0, 1]);

/// A server, and clients that reach it in memory: see the [module](super).
pub struct Network {
    server: RunningServer,
    exchange: Arc<Exchange>,
    next_client: AtomicU32,
}

/// Where clients find the server.
pub(super) struct Exchange(Mutex<Entrance<Stream>>);

impl Exchange {
    /// Hands over the server's end of a connection, if there is a server.
    pub(super) fn accept(&self, stream: Stream, peer: SocketAddr) -> bool {
        self.0.lock().accept(stream, peer)
    }
}

impl Network {
    /// Starts the server, within a tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`Server::bind`], but for the address.
    pub fn new(server: Server) -> Result<Self, Error> {
        let (server, entrance) = server.in_memory()?;
        Ok(Self {
            server,
            exchange: Arc::new(Exchange(Mutex::new(entrance))),
            next_client: AtomicU32::new(FIRST_CLIENT),
        })
    }

    /// The server: to emit from it, to look at its [`stats`](RunningServer::stats), to shut it down.
    #[must_use]
    pub fn server(&self) -> &RunningServer {
        &self.server
    }

    /// Puts another server in the place of this one, as when a process is started again: new connections
    /// reach that one. Those that are there go on; [cut](Wire::cut) them if the first one shall seem to be
    /// killed.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); the first server is still there then.
    pub fn restart(&mut self, server: Server) -> Result<(), Error> {
        let (server, entrance) = server.in_memory()?;
        *self.exchange.0.lock() = entrance;
        self.server = server;
        Ok(())
    }

    /// A way to the server, with an IP address of its own.
    #[must_use]
    pub fn wire(&self) -> Wire {
        let address = self.next_client.fetch_add(1, Ordering::Relaxed);
        Wire::new(Arc::clone(&self.exchange), Ipv4Addr::from(address))
    }

    /// A client on a [way](Self::wire) of its own, for those to which nothing will happen.
    pub fn client(&self, address: impl AsRef<str>) -> ClientBuilder {
        self.wire().client(address)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
