//! A server whose process has few descriptors, and many who connect (security A08, A11).
//!
//! The server is this program once more, in a process of its own.

#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ferriwire::engine::Server;
use ferriwire::{Config, LimitKind, Limits, Listener};
use support::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server's process may have.
const DESCRIPTORS: usize = 256;

/// 95 % of that less 32.
const TCP_CONNECTIONS: usize = 196;

/// About twice as many as there can be.
const FLOOD: usize = 500;

/// Tells the process of the server what it is.
const ROLE: &str = "FERRIWIRE_DESCRIPTORS";

const LIMITED: &str = "limited";
const UNLIMITED: &str = "unlimited";

#[tokio::test]
async fn a11_a_server_keeps_descriptors_for_others_and_recovers_from_a_flood() {
    let server = ServerProcess::start(LIMITED).await;
    let (held, closed) = server.flood().await;
    assert_eq!(
        (held.len(), closed),
        (TCP_CONNECTIONS, FLOOD - TCP_CONNECTIONS)
    );
    // The program's own listener has descriptors all the time.
    let counts = server.health().await.expect("it is healthy");
    assert_eq!(counts["max_tcp_connections"], closed);
    assert_eq!(counts["descriptors"], 0);
    drop(held);
    server.recovers().await;
}

#[tokio::test]
async fn a11_a_server_without_any_descriptor_closes_who_comes_and_recovers() {
    let server = ServerProcess::start(UNLIMITED).await;
    let (held, closed) = server.flood().await;
    assert!(held.len() < DESCRIPTORS, "{}", held.len());
    drop(held);
    server.recovers().await;
    let counts = server.health().await.expect("it is healthy");
    assert_eq!(counts["max_tcp_connections"], 0);
    assert!(counts["descriptors"] >= closed, "{counts:?}, {closed}");
}

/// What the other tests start as a process; it does nothing on its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_process() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let never = Duration::from_secs(600);
    let limits = Limits::new().head_timeout(never).keep_alive_timeout(never);
    let limits = match role.as_str() {
        LIMITED => limits,
        _ => limits.max_tcp_connections(usize::MAX),
    };
    let limits = limits.max_tcp_connections_per_address(usize::MAX);
    let server = Server::new().config(Config::new().path("/engine.io/").limits(limits));
    let server = server.bind_all([Listener::tcp("127.0.0.1:0")]).await;
    let server = server.expect("a free port");
    let health = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let health_address = health.local_addr().expect("a bound socket");
    let addresses = format!("\naddresses {} {health_address}\n", server.local_addr());
    std::io::stdout()
        .write_all(addresses.as_bytes())
        .expect("somebody reads");
    loop {
        let Ok((mut stream, _)) = health.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let stats = server.stats();
        let counts = LimitKind::ALL.map(|limit| format!("{limit}={}", stats.limited(limit)));
        // Who asks may have gone.
        let _ = stream.write_all(counts.join(" ").as_bytes()).await;
    }
}

/// The process, which ends with this.
struct ServerProcess {
    process: Child,
    address: SocketAddr,
    health: SocketAddr,
}

impl ServerProcess {
    async fn start(role: &str) -> Self {
        let script = format!(
            "ulimit -n {DESCRIPTORS} && exec \"$0\" --exact the_server_process --nocapture"
        );
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new("sh")
            .arg("-c")
            .arg(script)
            .arg(program)
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let output = process.stdout.take().expect("it is piped");
        let reading = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.find_map(|line| line.strip_prefix("addresses ").map(str::to_owned))
        });
        let line = within("the server's addresses", reading).await;
        let line = line.expect("no panic").expect("it says them");
        let (address, health) = line.split_once(' ').expect("two of them");
        Self {
            process,
            address: address.parse().expect("an address"),
            health: health.parse().expect("an address"),
        }
    }

    /// Connects again and again: the connections on which an answer came, and how many were closed.
    async fn flood(&self) -> (Vec<TcpStream>, usize) {
        let mut held = Vec::new();
        let mut closed = 0;
        for _ in 0..FLOOD {
            let mut stream = connect(self.address).await;
            // It may be closed already.
            let _ = stream
                .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await;
            let read = within("an answer or the end", stream.read(&mut [0; 1_024])).await;
            match read {
                Ok(1..) => held.push(stream),
                Ok(0) | Err(_) => closed += 1,
            }
        }
        (held, closed)
    }

    /// Waits until the server opens sessions again.
    async fn recovers(&self) {
        within("room for a session", async {
            while !self.opens_session().await {}
        })
        .await;
    }

    async fn opens_session(&self) -> bool {
        let mut stream = connect(self.address).await;
        let request =
            b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let _ = stream.write_all(request).await;
        let mut answer = [0; 15];
        let read = within("an answer or the end", stream.read_exact(&mut answer)).await;
        read.is_ok() && answer == *b"HTTP/1.1 200 OK"
    }

    /// How often each limit was run into, if the program's own listener answers.
    async fn health(&self) -> Option<BTreeMap<String, usize>> {
        let mut stream = connect(self.health).await;
        let mut text = String::new();
        within("the health", stream.read_to_string(&mut text))
            .await
            .ok()?;
        let counts = text.split(' ').filter_map(|count| count.split_once('='));
        Some(
            counts
                .map(|(limit, count)| (limit.to_owned(), count.parse().expect("a number")))
                .collect(),
        )
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    within("connecting", TcpStream::connect(address))
        .await
        .expect("it listens")
}
