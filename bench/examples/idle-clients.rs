//! What clients cost that only wait: resident memory of each, and the time of the processor.
//!
//! ```sh
//! cargo run --release -p bench --example idle-clients [CLIENTS [SECONDS]]
//! ```
//!
//! The server runs in a process of its own, so that only clients count. They connect on WebSocket at once,
//! each a client with a connection of its own, and share one runtime with one thread.
#![expect(
    clippy::print_stdout,
    reason = "telling the figures is the point of this program"
)]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ferriwire::{Client, Config, Limits, Namespace, Server, Transport};
#[cfg(not(feature = "system-allocator"))]
use mimalloc as _;
use tokio::time::sleep;

/// The argument by which this program starts itself as the server.
const SERVE: &str = "serve";
/// Some clients first, so that what is allocated once does not count.
const WARM: usize = 10;
/// How many connect at the same time.
const AT_ONCE: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match args.first().map(String::as_str) {
        Some(SERVE) => runtime.block_on(serve()),
        clients => {
            let clients = clients.unwrap_or("1000").parse()?;
            let seconds = args.get(1).map_or("30", String::as_str).parse()?;
            runtime.block_on(measure(clients, Duration::from_secs(seconds)))
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let limits = Limits::new()
        .max_connections_per_address(usize::MAX)
        .handshakes_per_address(None)
        .handshakes_per_core(None);
    let server = Server::new()
        .config(Config::new().limits(limits))
        .namespace(Namespace::new("/"));
    let running = server.bind("127.0.0.1:0").await?;
    println!("http://{}", running.local_addr());
    running.await;
    Ok(())
}

async fn measure(clients: usize, idle: Duration) -> Result<(), Box<dyn Error>> {
    let server = Process::start()?;
    let mut connected = connect(&server.url, WARM).await?;
    let before = Usage::now()?;
    connected.extend(connect(&server.url, clients).await?);
    // What connecting has left behind is given back.
    sleep(Duration::from_secs(2)).await;
    let after = Usage::now()?;
    sleep(idle).await;
    let later = Usage::now()?;
    let each = |bytes: u64| bytes / u64::try_from(clients).unwrap_or(u64::MAX).max(1);
    println!("{clients} clients on WebSocket, the client's default settings");
    let resident = after.resident.saturating_sub(before.resident);
    println!("resident memory of each: {} bytes", each(resident));
    let connecting = after.processor.saturating_sub(before.processor);
    println!("processor for connecting each: {} us", each(connecting));
    let waiting = later.processor.saturating_sub(after.processor);
    println!(
        "processor in {idle:?} of waiting, of all: {} ms",
        waiting / 1_000
    );
    let open = connected
        .iter()
        .filter(|client| client.is_connected())
        .count();
    println!("connected at the end: {open}");
    Ok(())
}

async fn connect(url: &str, count: usize) -> Result<Vec<Client>, Box<dyn Error>> {
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let builders = (clients.len()..count).take(AT_ONCE).map(|_| {
            let builder = Client::builder(url).transports([Transport::WebSocket]);
            builder.no_proxy().connect()
        });
        for client in futures_util::future::join_all(builders).await {
            clients.push(client?);
        }
    }
    Ok(clients)
}

/// What this process has used.
struct Usage {
    /// In bytes.
    resident: u64,
    /// In microseconds.
    processor: u64,
}

impl Usage {
    fn now() -> Result<Self, Box<dyn Error>> {
        const PAGE: u64 = 4_096;
        /// Of the clock in which Linux tells it: 100 in a second.
        const TICK: u64 = 10_000;
        let memory = fs::read_to_string("/proc/self/statm")?;
        let pages: u64 = memory.split(' ').nth(1).ok_or("no memory")?.parse()?;
        let stat = fs::read_to_string("/proc/self/stat")?;
        let (_, fields) = stat.rsplit_once(')').ok_or("no times")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |index: usize| {
            fields
                .get(index)
                .map_or(Ok(0), |field| field.parse::<u64>())
        };
        Ok(Self {
            resident: pages * PAGE,
            processor: (ticks(11)? + ticks(12)?) * TICK,
        })
    }
}

/// The server; it ends with this.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start() -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url)?;
        let url = url.trim().to_owned();
        Ok(Self { child, url })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
