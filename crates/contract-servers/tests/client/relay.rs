//! What stands between a client and a server: it counts TCP connections, and cuts them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
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
            cuts: watch::Sender::new(0),
        });
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if accepting.refusing.load(Ordering::SeqCst) {
                    continue;
                }
                accepting.accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(accepting.clone().pass_on(client));
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

    /// New connections go to another server.
    pub(crate) fn move_to(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap() = server;
    }
}

impl Shared {
    async fn pass_on(self: Arc<Self>, mut client: TcpStream) {
        let mut cuts = self.cuts.subscribe();
        let server = *self.server.lock().unwrap();
        let passed_on = async {
            let mut server = TcpStream::connect(server).await?;
            server.set_nodelay(true)?;
            client.set_nodelay(true)?;
            copy_bidirectional(&mut client, &mut server).await
        };
        tokio::select! {
            // Either side may end it in any way.
            _ = passed_on => {}
            _ = cuts.changed() => {}
        }
    }
}
