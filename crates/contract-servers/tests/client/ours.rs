//! Our own server, with the same events as the others. It runs in this process, in a runtime of its own
//! that can be dropped with all that is in it.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use contract_servers::limits;
use ferriwire::{
    Args, Config, ConnectError, Event, Handshake, Listener, Namespace, Recovery, Server, SocketId,
    Tls, Value,
};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::make::Certificate;

/// A running server of ours.
pub(crate) struct Ours {
    pub(crate) address: SocketAddr,
    runtime: Runtime,
}

/// What clients have brought, in order.
type Record = Arc<Mutex<Vec<String>>>;

impl Ours {
    pub(crate) async fn start(certificate: Option<Certificate>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (ready, address) = oneshot::channel();
        runtime.spawn(async move {
            let listener = Listener::tcp("127.0.0.1:0");
            let listener = match certificate {
                Some(Certificate { chain, key, .. }) => listener.tls(Tls::files(chain, key)),
                None => listener,
            };
            let running = server().bind_all([listener]).await.unwrap();
            ready.send(running.local_addr()).unwrap();
            running.ended().await;
        });
        let address = address.await.unwrap();
        Self { address, runtime }
    }

    /// Drops its sockets where they stand.
    pub(crate) fn kill(self) {
        self.runtime.shutdown_background();
    }
}

fn server() -> Server {
    let config = Config::new().recovery(Recovery::new()).limits(limits());
    Server::new()
        .config(config)
        .namespace(main_namespace())
        .namespace(named("/second"))
        .namespace(named("/third"))
        .namespace(guarded())
}

fn main_namespace() -> Namespace {
    let log = Record::default();
    let written = Arc::clone(&log);
    const ECHO: Event<Args, Args> = Event::new("echo");
    const ASK: Event<Args, Args> = Event::new("ask");
    const ITEMS: Event<(SocketId, u64, u64)> = Event::new("items");
    Namespace::new("/")
        .on(ECHO, async |socket, args| {
            socket.emit("echo", &args)?;
            Ok(args)
        })
        .on(ASK, async |socket, Args(mut args)| {
            let question = args.split_off(2);
            let [event, wait] = args.as_slice() else {
                return Ok(Args(Vec::new()));
            };
            let wait = Duration::from_millis(wait.as_u64().unwrap_or_default());
            let answer = socket.emit_with_ack(event.as_str().unwrap_or_default(), Args(question));
            Ok(match timeout(wait, answer).await {
                Ok(answer) => answer?,
                Err(_) => Args(vec!["nobody answers".into()]),
            })
        })
        .on("deaf", async |_, _: Args| pending::<()>().await)
        .on("flaky", async move |_, (key, losses): (String, usize)| {
            let number = {
                let mut log = written.lock().unwrap();
                log.push(key.clone());
                log.iter().filter(|other| **other == key).count()
            };
            if number <= losses {
                pending::<()>().await;
            }
            number
        })
        .on("log", async move |_, prefix: String| {
            (beginning_with(&log, &prefix),)
        })
        .on(ITEMS, async |socket, (id, first, count)| {
            for number in first..first + count {
                socket.handle().to(&id).emit("item", number)?;
            }
            Ok(())
        })
        .on("id", async |socket, _: Args| socket.id().to_string())
        .on("leave", async |socket, _: Args| socket.disconnect())
}

fn named(name: &'static str) -> Namespace {
    Namespace::new(name).on("where", async move |_, _: Args| name)
}

fn guarded() -> Namespace {
    let tokens = Record::default();
    let presented = Arc::clone(&tokens);
    Namespace::new("/guarded")
        .auth(async move |handshake: Handshake| {
            let token = handshake.auth.get("token").and_then(Value::as_str);
            let token = token.unwrap_or_default().to_owned();
            let good = token.starts_with("good");
            presented.lock().unwrap().push(token);
            if good {
                return Ok(());
            }
            let data = serde_json::from_value(json!({"code": 401, "hint": ["ask", "again"]}));
            Err(ConnectError::new("not welcome").data(data.unwrap_or(Value::Null)))
        })
        .on("tokens", async move |_, prefix: String| {
            (beginning_with(&tokens, &prefix),)
        })
}

fn beginning_with(record: &Record, prefix: &str) -> Vec<String> {
    let record = record.lock().unwrap();
    let found = record.iter().filter(|one| one.starts_with(prefix));
    found.cloned().collect()
}
