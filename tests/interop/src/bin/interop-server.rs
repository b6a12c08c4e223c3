//! The server under test: the events that the scenarios need, the same as `js/reference-server.mjs`.
//!
//! Environment: `PORT`, for TLS the files `TLS_CERT` and `TLS_KEY`, in milliseconds `PING_INTERVAL`,
//! `PING_TIMEOUT`, `UPGRADE_TIMEOUT`; `CODEC=msgpack`, `EIO3=1`, `RECOVERY=1`, `DEFLATE=1`,
//! `HTTP2_WEBSOCKET=1`.
//! It prints `READY <url>`, then `DISCONNECT <namespace> <socket id> <reason>` for each socket that ends,
//! and shuts down at SIGTERM.
#![expect(clippy::print_stdout, reason = "the scripts read what is printed")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferriwire::{
    Args, Codec, Config, ConnectError, Deflate, DisconnectReason, Event, Handshake, Limits,
    Listener, Namespace, Recovery, Server, Socket, SocketId, Target, Tls, Value,
};
use interop::watched::Watched;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

const ECHO: Event<Args> = Event::new("echo");
const ANSWER: Event<Args, Args> = Event::new("answer");
const ASK: Event<Args, Args> = Event::new("ask");
const QUESTION: Event<Args, Args> = Event::new("question");
const HEADER: Event<String, Option<String>> = Event::new("header");

const JOIN: Event<String> = Event::new("join");
/// Targets, except, text; goes to everybody but the sender when there are no targets.
const SEND: Event<(Vec<Whom>, Vec<Whom>, String)> = Event::new("send");
const NEWS: Event<String> = Event::new("news");

/// Its number and some padding.
const ITEM: Event<(u64, String)> = Event::new("item");
const ITEMS: Event<(), Items> = Event::new("items");
/// How many items, and how many bytes of padding in each.
const BURST: Event<(u64, usize)> = Event::new("burst");
/// Items until `stop`; acknowledged with their number.
const STREAM: Event<(), u64> = Event::new("stream");
const STOP: Event = Event::new("stop");
/// The number of the event, and how many milliseconds its handler sleeps.
const SLEEPY: Event<(u64, u64)> = Event::new("sleepy");
const STARTED: Event<(), Vec<u64>> = Event::new("started");

/// To the clients of which namespace, whether it is volatile, and what.
const TELL: Event<(String, bool, Args)> = Event::new("tell");

/// Whether to close the whole connection.
const THROW_OUT: Event<bool> = Event::new("throw out");
const WHERE: Event<(), String> = Event::new("where");

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Whom {
    Room(String),
    Socket(SocketId),
}

/// The items that a client has sent.
#[derive(Clone, Serialize)]
struct Items {
    count: u64,
    ordered: bool,
}

/// What is known about a socket of the main namespace.
struct Visitor {
    items: Mutex<Items>,
    stopped: AtomicBool,
    started: Mutex<Vec<u64>>,
}

#[derive(Deserialize)]
struct Credentials {
    token: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut server = Server::new().config(config()?);
    let watched = Watched::add_to(&mut server);
    let running = server
        .namespace(main_namespace(watched))
        .namespace(second_namespace())
        .namespace(private_namespace())
        .bind_all([listener()?])
        .await?;
    let scheme = if tls().is_some() { "https" } else { "http" };
    println!("READY {scheme}://{}", running.local_addr());
    signal(SignalKind::terminate())?.recv().await;
    running.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

fn listener() -> Result<Listener, std::num::ParseIntError> {
    let port: u16 = number("PORT")?.unwrap_or(0);
    let listener = Listener::tcp(format!("127.0.0.1:{port}"));
    Ok(match tls() {
        Some(tls) => listener.tls(tls),
        None => listener,
    })
}

fn tls() -> Option<Tls> {
    let file = std::env::var_os;
    Some(Tls::files(file("TLS_CERT")?, file("TLS_KEY")?))
}

fn config() -> Result<Config, std::num::ParseIntError> {
    let milliseconds = |name| Ok(number(name)?.map(Duration::from_millis));
    // Everybody comes from loopback.
    let mut limits = Limits::new()
        .max_connections_per_address(usize::MAX)
        .handshakes_per_address(None)
        .handshakes_per_core(None)
        .unknown_sessions_per_address(None);
    let is = |name, value: &str| std::env::var(name).is_ok_and(|set| set == value);
    let mut config = Config::new()
        .allow_eio3(is("EIO3", "1"))
        .http2_websocket(is("HTTP2_WEBSOCKET", "1"));
    if is("RECOVERY", "1") {
        config = config.recovery(Recovery::new());
    }
    if is("CODEC", "msgpack") {
        config = config.codec(Codec::MessagePack);
    }
    if is("DEFLATE", "1") {
        config = config.websocket_compression(Deflate::new());
    }
    if let Some(interval) = milliseconds("PING_INTERVAL")? {
        config = config.ping_interval(interval);
    }
    if let Some(timeout) = milliseconds("PING_TIMEOUT")? {
        config = config.ping_timeout(timeout);
    }
    if let Some(timeout) = milliseconds("UPGRADE_TIMEOUT")? {
        limits = limits.upgrade_timeout(timeout);
    }
    Ok(config.limits(limits))
}

fn number<N: std::str::FromStr>(name: &str) -> Result<Option<N>, N::Err> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse())
        .transpose()
}

fn main_namespace(watched: Watched) -> Namespace<Visitor> {
    let namespace = Namespace::new("/").auth(async |_: Handshake| Ok(Visitor::new()));
    let namespace = order(rooms(payloads(namespace)));
    namespace
        .on(THROW_OUT, async |socket, whole_connection| {
            if whole_connection {
                socket.disconnect_connection();
            } else {
                socket.disconnect();
            }
        })
        .on(TELL, async move |_, (namespace, volatile, news)| {
            Ok(watched.tell(&namespace, &news, volatile)?)
        })
        .on_disconnect(report)
}

fn payloads(namespace: Namespace<Visitor>) -> Namespace<Visitor> {
    namespace
        .on(ECHO, async |socket, args| Ok(socket.emit(ECHO, args)?))
        .on(ANSWER, async |_, args| args)
        .on(ASK, async |socket, args| {
            Ok(socket.emit_with_ack(QUESTION, args).await?)
        })
        .on(HEADER, async |socket, name| {
            let value = socket.request().headers().get(&name)?;
            Some(value.to_str().ok()?.to_owned())
        })
}

fn rooms(namespace: Namespace<Visitor>) -> Namespace<Visitor> {
    namespace
        .on(JOIN, async |socket, room| Ok(socket.join(room)?))
        .on(SEND, async |socket, (targets, except, text)| {
            let mut broadcast = socket.broadcast();
            for whom in targets {
                broadcast = broadcast.to(whom);
            }
            for whom in except {
                broadcast = broadcast.except(whom);
            }
            Ok(broadcast.emit(NEWS, &text)?)
        })
}

fn order(namespace: Namespace<Visitor>) -> Namespace<Visitor> {
    namespace
        .on(ITEM, async |socket, (number, _)| {
            let mut items = lock(&socket.data().items);
            items.ordered &= number == items.count;
            items.count += 1;
        })
        .on(ITEMS, async |socket, ()| lock(&socket.data().items).clone())
        .on(BURST, async |socket, (count, size)| {
            let padding = "x".repeat(size);
            for number in 0..count {
                socket.emit(ITEM, (number, &padding))?;
            }
            Ok(())
        })
        .on(STOP, async |socket, ()| {
            socket.data().stopped.store(true, Ordering::Relaxed)
        })
        .on(STREAM, async |socket, ()| {
            let mut number = 0;
            while !socket.data().stopped.load(Ordering::Relaxed) {
                socket.emit(ITEM, (number, ""))?;
                number += 1;
                sleep(Duration::from_millis(1)).await;
            }
            Ok(number)
        })
        .on(SLEEPY, async |socket, (number, pause)| {
            lock(&socket.data().started).push(number);
            sleep(Duration::from_millis(pause)).await;
        })
        .on(STARTED, async |socket, ()| {
            lock(&socket.data().started).clone()
        })
}

fn second_namespace() -> Namespace {
    let namespace = Namespace::new("/second").on(WHERE, async |_, ()| "/second".to_owned());
    namespace.on_disconnect(report)
}

fn private_namespace() -> Namespace {
    let namespace = Namespace::new("/private").auth(async |handshake: Handshake<Credentials>| {
        if handshake.auth.token.as_deref() == Some("good") {
            return Ok(());
        }
        let hint: Vec<Value> = vec!["ask".into(), "again".into()];
        let data = [
            ("code".to_owned(), 401.into()),
            ("hint".to_owned(), Value::Array(hint)),
        ];
        Err(ConnectError::new("not welcome").data(Value::Object(data.into())))
    });
    namespace
        .on(WHERE, async |_, ()| "/private".to_owned())
        .on_disconnect(report)
}

async fn report<D>(socket: Socket<D>, reason: DisconnectReason) {
    println!("DISCONNECT {} {} {reason}", socket.namespace(), socket.id());
}

impl Visitor {
    fn new() -> Self {
        Self {
            items: Mutex::new(Items {
                count: 0,
                ordered: true,
            }),
            stopped: AtomicBool::new(false),
            started: Mutex::new(Vec::new()),
        }
    }
}

impl From<Whom> for Target {
    fn from(whom: Whom) -> Self {
        match whom {
            Whom::Room(name) => name.as_str().into(),
            Whom::Socket(id) => id.into(),
        }
    }
}

/// What a mutex guards here cannot be left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
