//! The server of `js/recovery.mjs`: numbered events to everybody, to rooms and to single clients, with
//! volatile ones in between, for clients whose connections are cut all the time.
//!
//! Environment: `PORT`. It prints `READY <url>`. In the namespace `/control`, `start` begins the
//! traffic, and `stop` ends it: then everybody gets `end` with how many events there were.
#![expect(clippy::print_stdout, reason = "the script reads what is printed")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferriwire::{
    Bytes, Config, ConnectError, EmitError, Event, Gap, Handshake, Limits, Namespace,
    NamespaceHandle, Recovery, Server, SocketId,
};
use serde::{Deserialize, Serialize};

const ROOMS: u64 = 10;
const TICK: Duration = Duration::from_millis(50);

/// Each begins with its number among all events, and its number among those of its kind.
const ALL: Event<(u64, u64)> = Event::new("all");
const ROOM: Event<(u64, u64)> = Event::new("room");
const DIRECT: Event<(u64, u64)> = Event::new("direct");
const BINARY: Event<(u64, u64, Bytes)> = Event::new("binary");
/// Ends with a text, which a client could take for an offset.
const VOLATILE: Event<String> = Event::new("volatile");
const END: Event<Totals> = Event::new("end");
const START: Event = Event::new("start");
const STOP: Event<(), Figures> = Event::new("stop");

#[derive(Deserialize)]
struct Credentials {
    client: u64,
}

/// How many events there were for each client.
#[derive(Clone, Debug, Default, Serialize)]
struct Totals {
    all: u64,
    binary: u64,
    direct: u64,
    rooms: BTreeMap<u64, u64>,
}

/// What the server has seen.
#[derive(Debug, Default, Serialize)]
struct Figures {
    resumed: u64,
    gaps: u64,
}

#[derive(Default)]
struct Shared {
    clients: Mutex<BTreeMap<u64, SocketId>>,
    stopped: AtomicBool,
    resumed: AtomicU64,
    gaps: AtomicU64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shared = Arc::new(Shared::default());
    let mut server = Server::new().config(config());
    let clients = server.add(clients(&shared)).untyped();
    server.add(control(&shared, clients));
    let port = std::env::var("PORT").map_or(Ok(0), |port| port.parse())?;
    let running = server.bind(("127.0.0.1", port)).await?;
    println!("READY http://{}", running.local_addr());
    running.await;
    Ok(())
}

/// Everybody comes from loopback, and a dead connection is noticed soon.
fn config() -> Config {
    let limits = Limits::new()
        .max_connections_per_address(usize::MAX)
        .handshakes_per_address(None)
        .handshakes_per_core(None)
        .unknown_sessions_per_address(None);
    Config::new()
        .limits(limits)
        .ping_interval(Duration::from_millis(1_500))
        .ping_timeout(Duration::from_millis(1_500))
        .recovery(Recovery::new())
}

fn clients(shared: &Arc<Shared>) -> Namespace<u64> {
    let (arrivals, returns, gaps) = (shared.clone(), shared.clone(), shared.clone());
    Namespace::new("/")
        .auth(async |handshake: Handshake<Credentials>| {
            Ok::<_, ConnectError>(handshake.auth.client)
        })
        .identity(|client| *client)
        .on_connect(async move |socket| {
            let client = *socket.data();
            if socket.join(room(client % ROOMS)).is_ok() {
                let mut clients = arrivals
                    .clients
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                clients.insert(client, socket.id().clone());
            }
        })
        .on_resume(async move |_, _| {
            returns.resumed.fetch_add(1, Ordering::Relaxed);
        })
        .on_gap(async move |_, _: Gap| {
            gaps.gaps.fetch_add(1, Ordering::Relaxed);
        })
}

fn control(shared: &Arc<Shared>, clients: NamespaceHandle) -> Namespace {
    let (started, stopped) = (Arc::clone(shared), Arc::clone(shared));
    Namespace::new("/control")
        .on(START, async move |_, ()| {
            tokio::spawn(async move {
                if let Err(error) = traffic(&started, &clients).await {
                    println!("FAILED {error}");
                }
            });
        })
        .on(STOP, async move |_, ()| {
            stopped.stopped.store(true, Ordering::Relaxed);
            Figures {
                resumed: stopped.resumed.load(Ordering::Relaxed),
                gaps: stopped.gaps.load(Ordering::Relaxed),
            }
        })
}

/// One task sends everything, so that one number orders all events.
async fn traffic(shared: &Shared, everybody: &NamespaceHandle) -> Result<(), EmitError> {
    let clients = shared
        .clients
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let mut totals = Totals::default();
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    let mut ticks = tokio::time::interval(TICK);
    for tick in 0_u64.. {
        ticks.tick().await;
        if shared.stopped.load(Ordering::Relaxed) {
            return everybody.emit(END, &totals);
        }
        if tick % 4 == 0 {
            totals.all += 1;
            everybody.emit(ALL, (next(), totals.all))?;
        }
        everybody
            .all()
            .volatile()
            .emit(VOLATILE, "a text that is no offset")?;
        let count = totals.rooms.entry(tick % ROOMS).or_default();
        *count += 1;
        everybody
            .to(room(tick % ROOMS))
            .emit(ROOM, (next(), *count))?;
        if tick % 10 == 5 {
            totals.binary += 1;
            let data = Bytes::from(totals.binary.to_be_bytes().to_vec());
            everybody.emit(BINARY, (next(), totals.binary, &data))?;
        }
        if tick % 10 == 7 {
            totals.direct += 1;
            for id in clients.values() {
                everybody.to(id).emit(DIRECT, (next(), totals.direct))?;
            }
        }
    }
    Ok(())
}

fn room(number: u64) -> String {
    format!("room {number}")
}
