//! The client under test as a process that is told what to do in lines of JSON, and tells what happens.

use std::collections::VecDeque;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use crate::cell::Cell;
use crate::relay::Relay;

/// Nothing here takes so long, even on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// Names another program, such as the official client under `tests/interop/js`, which tells whether a
/// scenario asks for the right thing.
const OTHER: &str = "CLIENT_UNDER_TEST";

/// Whether it is another program than ours.
pub(crate) fn is_other() -> bool {
    std::env::var_os(OTHER).is_some()
}

/// A running client, with a relay of its own to its server.
pub(crate) struct Client {
    pub(crate) relay: Relay,
    recovers: bool,
    upgrades: bool,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// What it has told and nobody has asked for.
    told: VecDeque<Value>,
    tag: u64,
    _process: Child,
}

impl Client {
    /// Opens it with these options beside those that the cell demands.
    pub(crate) async fn open(cell: &Cell, options: Value) -> Self {
        let relay = Relay::to(cell.address()).await;
        let scheme = if cell.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        let mut open = json!({
            "cmd": "open",
            "url": format!("{scheme}://{}", relay.address()),
            "transports": cell.transport.names(),
            "revision": cell.make.revision(),
            "reconnection_delay_ms": 50,
            "reconnection_delay_max_ms": 200,
        });
        if let Some(certificate) = &cell.certificate {
            open["ca_pem"] = json!(certificate.authority);
        }
        if let (Some(open), Some(options)) = (open.as_object_mut(), options.as_object()) {
            open.extend(options.clone());
        }
        let other = std::env::var(OTHER);
        let line = other
            .as_deref()
            .unwrap_or(env!("CARGO_BIN_EXE_client-under-test"));
        let mut words = line.split(' ');
        let mut process = Command::new(words.next().unwrap())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut client = Self {
            relay,
            recovers: cell.make.recovers(),
            upgrades: cell.transport.upgrades(),
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            told: VecDeque::new(),
            tag: 0,
            _process: process,
        };
        client.command(open).await;
        client
    }

    /// Opens it, and waits until it is connected to each namespace, on the last transport of the cell.
    pub(crate) async fn connected(cell: &Cell, options: Value) -> Self {
        let namespaces = options.get("namespaces").cloned();
        let mut client = Self::open(cell, options).await;
        for namespace in namespaces
            .unwrap_or_else(|| json!(["/"]))
            .as_array()
            .unwrap()
        {
            client
                .until("connect", |line| line["ns"] == *namespace)
                .await;
        }
        if cell.transport.upgrades() {
            let line = client.next("upgrade").await;
            assert_eq!(line["transport"], "websocket");
        }
        client
    }

    pub(crate) async fn command(&mut self, command: Value) {
        let line = format!("{command}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
        self.input.flush().await.unwrap();
    }

    /// Emits in `/`.
    pub(crate) async fn emit(&mut self, event: &str, args: Value) {
        let command = json!({"cmd": "emit", "ns": "/", "event": event, "args": args});
        self.command(command).await;
    }

    /// Emits, and awaits the arguments of the acknowledgement.
    pub(crate) async fn ask(&mut self, namespace: &str, event: &str, args: Value) -> Value {
        let tag = self.start_asking(namespace, event, args).await;
        let mut answer = self.answer(tag).await;
        assert_eq!(answer.get("error"), None, "{event}");
        answer["args"].take()
    }

    /// Emits in `/` until the arguments of the acknowledgement are as wanted.
    pub(crate) async fn ask_until(
        &mut self,
        event: &str,
        args: Value,
        wanted: impl Fn(&Value) -> bool,
    ) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask("/", event, args.clone()).await;
            if wanted(&answer) {
                return;
            }
            assert!(Instant::now() < deadline, "{event} answers {answer}");
        }
    }

    /// Emits, and tells what the acknowledgement will be known by.
    pub(crate) async fn start_asking(&mut self, namespace: &str, event: &str, args: Value) -> u64 {
        self.tag += 1;
        let command = json!({
            "cmd": "emit", "ns": namespace, "event": event, "args": args, "ack": true, "tag": self.tag,
        });
        self.command(command).await;
        self.tag
    }

    /// The acknowledgement that is known by this tag, or its failure.
    pub(crate) async fn answer(&mut self, tag: u64) -> Value {
        self.until("ack", |line| line["tag"] == tag).await
    }

    /// The arguments of the next event of that name, without an offset for recovery.
    pub(crate) async fn event(&mut self, event: &str) -> Value {
        let mut line = self.until("event", |line| line["event"] == event).await;
        if self.recovers {
            line["args"].as_array_mut().unwrap().pop();
        }
        line["args"].take()
    }

    /// The arguments of the next event of that name, which asks for an acknowledgement and so carries no
    /// offset.
    pub(crate) async fn asked(&mut self, event: &str) -> Value {
        let mut line = self.until("event", |line| line["event"] == event).await;
        line["args"].take()
    }

    /// The next line of that kind that was not asked for before; others are kept.
    pub(crate) async fn next(&mut self, kind: &str) -> Value {
        self.until(kind, |_| true).await
    }

    /// The next line of that kind which is as wanted.
    pub(crate) async fn until(&mut self, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let is_it = |line: &Value| line["ev"] == kind && wanted(line);
        if let Some(index) = self.told.iter().position(is_it) {
            return self.told.remove(index).unwrap();
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = timeout(left, self.output.next_line()).await else {
                let told: Vec<_> = self.told.iter().map(shortened).collect();
                panic!("waiting for {kind}, but it has told {told:#?}");
            };
            let line = line.unwrap().expect("the client lives");
            let line: Value = serde_json::from_str(&line).unwrap();
            if is_it(&line) {
                return line;
            }
            self.told.push_back(line);
        }
    }

    /// Its network breaks, until the relay does not refuse any more. A client that polls may have no
    /// connection at the moment, and then notices when it opens the next one.
    pub(crate) async fn lose_connection(&mut self) {
        self.relay.refuse(true);
        self.relay.cut();
        self.next("disconnect").await;
    }

    /// Its network works again, and it is back where it was.
    pub(crate) async fn come_back(&mut self) -> Value {
        self.relay.refuse(false);
        let line = self.next("connect").await;
        if self.upgrades {
            self.next("upgrade").await;
        }
        line
    }

    /// What it says of itself.
    pub(crate) async fn status(&mut self) -> Value {
        self.command(json!({"cmd": "status"})).await;
        self.next("status").await
    }

    /// Waits until it says of itself what is wanted.
    pub(crate) async fn status_is(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status().await;
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "it stays {status}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// What it has told of that kind and nobody has asked for.
    pub(crate) fn left_over(&self, kind: &str) -> Vec<&Value> {
        self.told.iter().filter(|line| line["ev"] == kind).collect()
    }
}

/// So much of a value as a person reads.
pub(crate) fn shortened(value: &Value) -> String {
    const LEN: usize = 300;
    value.to_string().chars().take(LEN).collect()
}
