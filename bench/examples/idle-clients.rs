//! What clients cost that only wait, and what the server pays for them: resident memory of each, and the
//! time of the processor.
//!
//! ```sh
//! cargo run --release -p bench --example idle-clients [CLIENTS [SECONDS [tls]]]
//! ```
//!
//! The server runs in a process of its own. Clients connect on WebSocket at once,
//! each with a connection of its own, and share one runtime with one thread. With `tls` they
//! take any certificate, so that checking it is not counted.
#![expect(
    clippy::print_stdout,
    reason = "telling the figures is the point of this program"
)]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ferriwire::{Client, ClientTls, Config, Limits, Listener, Namespace, Server, Tls, Transport};
#[cfg(not(feature = "system-allocator"))]
use mimalloc as _;
use tokio::time::sleep;

/// The argument by which this program starts itself as the server.
const SERVE: &str = "serve";
/// The argument that asks for TLS.
const TLS: &str = "tls";
/// Some clients first, so that what is allocated once does not count.
const WARM: usize = 10;
/// How many connect at the same time.
const AT_ONCE: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let is_tls = args.last().is_some_and(|last| last == TLS);
    match args.first().map(String::as_str) {
        Some(SERVE) => runtime.block_on(serve(is_tls)),
        clients => {
            let clients = clients.unwrap_or("1000").parse()?;
            let seconds = args.get(1).map_or("30", String::as_str).parse()?;
            runtime.block_on(measure(clients, Duration::from_secs(seconds), is_tls))
        }
    }
}

async fn serve(is_tls: bool) -> Result<(), Box<dyn Error>> {
    let limits = Limits::new()
        .max_connections_per_address(usize::MAX)
        .handshakes_per_address(None)
        .handshakes_per_core(None);
    let server = Server::new()
        .config(Config::new().limits(limits))
        .namespace(Namespace::new("/"));
    let mut listener = Listener::tcp("127.0.0.1:0");
    if is_tls {
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        listener = listener.tls(Tls::pem(own.cert.pem(), own.signing_key.serialize_pem()));
    }
    let running = server.bind_all([listener]).await?;
    let scheme = if is_tls { "https" } else { "http" };
    println!("{scheme}://{}", running.local_addr());
    running.await;
    Ok(())
}

async fn measure(clients: usize, idle: Duration, is_tls: bool) -> Result<(), Box<dyn Error>> {
    let server = Process::start(is_tls)?;
    let mut connected = connect(&server.url, WARM).await?;
    let (before, server_before) = (Usage::now()?, server.usage()?);
    connected.extend(connect(&server.url, clients).await?);
    // What connecting has left behind is given back.
    sleep(Duration::from_secs(2)).await;
    let (after, server_after) = (Usage::now()?, server.usage()?);
    sleep(idle).await;
    let later = Usage::now()?;
    let each = |bytes: u64| bytes / u64::try_from(clients).unwrap_or(u64::MAX).max(1);
    println!("{clients} clients on WebSocket, the client's default settings");
    for (whose, before, after) in [
        ("client", &before, &after),
        ("server", &server_before, &server_after),
    ] {
        let resident = each(after.resident.saturating_sub(before.resident));
        let connecting = each(after.processor.saturating_sub(before.processor));
        println!(
            "{whose}: {resident} bytes of resident memory and {connecting} us for connecting each"
        );
    }
    let waiting = later.processor.saturating_sub(after.processor);
    println!(
        "client: {} ms in {idle:?} of waiting, of all",
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
            let tls = ClientTls::new().danger_accept_any_certificate();
            let builder = Client::builder(url).transports([Transport::WebSocket]);
            builder.tls(tls).no_proxy().connect()
        });
        for client in futures_util::future::join_all(builders).await {
            clients.push(client?);
        }
    }
    Ok(clients)
}

/// What a process has used.
struct Usage {
    /// In bytes.
    resident: u64,
    /// In microseconds.
    processor: u64,
}

impl Usage {
    fn now() -> Result<Self, Box<dyn Error>> {
        Self::of("self")
    }

    fn of(process: &str) -> Result<Self, Box<dyn Error>> {
        const PAGE: u64 = 4_096;
        /// Of the clock in which Linux tells it: 100 in a second.
        const TICK: u64 = 10_000;
        let memory = fs::read_to_string(format!("/proc/{process}/statm"))?;
        let pages: u64 = memory.split(' ').nth(1).ok_or("no memory")?.parse()?;
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
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
    fn start(is_tls: bool) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([SERVE].into_iter().chain(is_tls.then_some(TLS)))
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url)?;
        let url = url.trim().to_owned();
        Ok(Self { child, url })
    }

    fn usage(&self) -> Result<Usage, Box<dyn Error>> {
        Usage::of(&self.child.id().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
