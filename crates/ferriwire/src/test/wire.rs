//! What lies between one client and the server, and what can be done to it.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ferriwire_proto::engine::client::Address;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::link::Link;
use super::network::Exchange;

use crate::client::{Client, ClientBuilder, Connecting, Connector, Stream};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What the client writes.
    ToServer,
    /// What the server writes.
    ToClient,
}

impl Direction {
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// The way between one client, or several, and the server of a [`Network`](super::Network): all their
/// connections take it, and what is done to it happens to all of them. Clones are the same way.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use ferriwire::test::Network;
/// use ferriwire::{Namespace, Server};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let network = Network::new(Server::new().namespace(Namespace::new("/")))?;
/// let wire = network.wire();
/// wire.refuse();
/// assert!(wire.client("http://test/").connect().await.is_err());
/// wire.heal();
/// wire.delay(Duration::from_millis(300));
/// assert!(wire.client("http://test/").connect().await?.is_connected());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Wire(Arc<Shared>);

/// What the connections of one wire share.
pub(super) struct Shared {
    exchange: Arc<Exchange>,
    /// Where the client is, as the server sees it.
    address: Ipv4Addr,
    state: Mutex<State>,
    healed: Notify,
}

#[derive(Default)]
struct State {
    links: Vec<Weak<Link>>,
    connected: u16,
    delay: Duration,
    refuses: bool,
    is_half_open: bool,
    of_client: Flow,
    of_server: Flow,
}

/// One direction of all connections.
#[derive(Default)]
struct Flow {
    passed: u64,
    /// How many bytes may pass before everything is cut.
    left: Option<u64>,
}

/// What becomes of bytes that are written.
pub(super) enum Passage {
    Free {
        due: Instant,
    },
    /// Their way leads nowhere, and nobody says so.
    Nowhere,
    /// So many arrive, and all connections are cut behind them.
    Cut {
        count: usize,
        due: Instant,
    },
}

impl Wire {
    pub(super) fn new(exchange: Arc<Exchange>, address: Ipv4Addr) -> Self {
        Self(Arc::new(Shared {
            exchange,
            address,
            state: Mutex::default(),
            healed: Notify::new(),
        }))
    }

    /// A client whose connections take this way, and lead to the server whatever host its address names.
    /// Nothing is encrypted, and no proxy is asked.
    pub fn client(&self, address: impl AsRef<str>) -> ClientBuilder {
        Client::builder(address).connector(Arc::new(self.clone()))
    }

    /// Resets all connections: what is on its way is lost, and both sides see that at once. New ones can be
    /// made.
    pub fn cut(&self) {
        let state = self.0.state.lock();
        for link in state.links.iter().filter_map(Weak::upgrade) {
            link.lose();
            link.reset();
        }
    }

    /// Resets all connections when so many more bytes have passed in this direction, on all of them
    /// together. These arrive, and so does what the other side has written by then. With zero, the next
    /// byte is the first that does not arrive. New connections can be made afterwards.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.0.state.lock().flow(direction).left = Some(bytes);
    }

    /// Whatever is written from now on arrives so much later, in both directions; to connect takes twice as
    /// long.
    pub fn delay(&self, delay: Duration) {
        self.0.state.lock().delay = delay;
    }

    /// Lets everything vanish that is written from now on, without a word to anybody, as when a cable is
    /// pulled or a router has forgotten a connection. Attempts to connect wait for [`heal`](Self::heal).
    pub fn half_open(&self) {
        self.0.state.lock().is_half_open = true;
    }

    /// Refuses new connections. Those that are there go on.
    pub fn refuse(&self) {
        self.0.state.lock().refuses = true;
    }

    /// Ends all of it: what is written arrives at once, and new connections are accepted. Connections of
    /// which something has vanished are reset.
    pub fn heal(&self) {
        let mut state = self.0.state.lock();
        state.delay = Duration::ZERO;
        (state.refuses, state.is_half_open) = (false, false);
        (state.of_client.left, state.of_server.left) = (None, None);
        let links = state.links.iter().filter_map(Weak::upgrade);
        for link in links.filter(|link| link.has_hole()) {
            link.lose();
            link.reset();
        }
        drop(state);
        self.0.healed.notify_waiters();
    }

    /// How many bytes have passed in this direction, ever.
    #[must_use]
    pub fn passed(&self, direction: Direction) -> u64 {
        self.0.state.lock().flow(direction).passed
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.state.lock().live().len()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.0.address;
        f.debug_struct("Wire")
            .field("address", &address)
            .finish_non_exhaustive()
    }
}

impl State {
    fn flow(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::ToServer => &mut self.of_client,
            Direction::ToClient => &mut self.of_server,
        }
    }

    /// The connections that somebody still has.
    fn live(&mut self) -> Vec<Arc<Link>> {
        self.links.retain(|link| link.strong_count() > 0);
        self.links.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Shared {
    /// When arrives what is written now; `None` if it does not.
    pub(super) fn arrival(&self) -> Option<Instant> {
        let state = self.state.lock();
        (!state.is_half_open).then(|| Instant::now() + state.delay)
    }

    pub(super) fn pass(&self, direction: Direction, count: usize) -> Passage {
        let mut state = self.state.lock();
        if state.is_half_open {
            return Passage::Nowhere;
        }
        let due = Instant::now() + state.delay;
        let flow = state.flow(direction);
        let wanted = u64::try_from(count).unwrap_or(u64::MAX);
        let left = flow.left.filter(|left| *left <= wanted);
        flow.passed += left.unwrap_or(wanted);
        match left {
            Some(left) => {
                flow.left = None;
                let count = usize::try_from(left).unwrap_or(count);
                Passage::Cut { count, due }
            }
            None => {
                flow.left = flow.left.map(|left| left - wanted);
                Passage::Free { due }
            }
        }
    }

    /// Cuts everything behind what is on its way.
    pub(super) fn reset_all(&self) {
        let links = self.state.lock().live();
        for link in links {
            link.reset();
        }
    }

    async fn open(self: Arc<Self>) -> io::Result<Box<dyn Stream>> {
        let delay = self.state.lock().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay * 2).await;
        }
        loop {
            let healed = self.healed.notified();
            if !self.state.lock().is_half_open {
                break;
            }
            healed.await;
        }
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let (link, client, server) = Link::new(&self);
        let mut state = self.state.lock();
        if state.refuses {
            return Err(refused());
        }
        state.links.retain(|link| link.strong_count() > 0);
        state.links.push(Arc::downgrade(&link));
        state.connected = state.connected.wrapping_add(1);
        let peer = SocketAddr::new(IpAddr::V4(self.address), state.connected);
        drop(state);
        if !self.exchange.accept(server, peer) {
            return Err(refused());
        }
        Ok(Box::new(client))
    }
}

impl Connector for Wire {
    fn connect(&self, _: &Address) -> Connecting {
        Box::pin(Arc::clone(&self.0).open())
    }
}
