//! What stands between a client and a server: it counts TCP connections, loses what the server says, and
//! cuts them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes on what it gets, of plain and of encrypted connections.
pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: Mutex<SocketAddr>,
    accepted: AtomicUsize,
    refusing: AtomicBool,
    /// The first so many connections lose what the server says.
    losing: AtomicUsize,
    /// How often all connections were cut.
    cuts: watch::Sender<u32>,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            accepted: AtomicUsize::new(0),
            refusing: AtomicBool::new(false),
            losing: AtomicUsize::new(0),
            cuts: watch::Sender::new(0),
        });
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if accepting.refusing.load(Ordering::SeqCst) {
                    continue;
                }
                let number = accepting.accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(accepting.clone().pass_on(client, number));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there have been, those that were refused aside.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Closes all connections, as a broken network would.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Whether new connections are closed at once.
    pub(crate) fn refuse(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::SeqCst);
    }

    /// From now on the client hears nothing of what the server says on the connections that there are.
    pub(crate) fn lose_answers(&self) {
        self.shared.losing.store(self.accepted(), Ordering::SeqCst);
    }

    /// New connections go to another server.
    pub(crate) fn move_to(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap() = server;
    }
}

impl Shared {
    async fn pass_on(self: Arc<Self>, mut client: TcpStream, number: usize) {
        let mut cuts = self.cuts.subscribe();
        let server = *self.server.lock().unwrap();
        let passed_on = async {
            let mut server = TcpStream::connect(server).await?;
            server.set_nodelay(true)?;
            client.set_nodelay(true)?;
            let (from_client, mut to_client) = client.split();
            let (from_server, mut to_server) = server.split();
            tokio::try_join!(
                pass(from_client, &mut to_server, || false),
                pass(from_server, &mut to_client, || {
                    number < self.losing.load(Ordering::SeqCst)
                }),
            )
        };
        tokio::select! {
            // Either side may end it in any way.
            _ = passed_on => {}
            _ = cuts.changed() => {}
        }
    }
}

/// Passes on what comes, but what is lost, and the end.
async fn pass(
    mut from: ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    is_lost: impl Fn() -> bool,
) -> io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let len = from.read(&mut piece).await?;
        if len == 0 {
            return to.shutdown().await;
        }
        if !is_lost() {
            to.write_all(&piece[..len]).await?;
        }
    }
}
