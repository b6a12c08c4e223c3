//! Scripts of a server and its client, in virtual time.

use std::fmt::Write as _;

use bytes::Bytes;

use super::*;
use crate::codec::{self, to_args};
use crate::value::{Args, Value};

mod cut;
mod joining;
mod packets;
mod random;
mod recovery;

const SECOND: Duration = Duration::from_secs(1);

/// A client and its virtual clock.
struct Script {
    client: Client,
    begun: Instant,
    now: Instant,
}

impl Script {
    #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
    fn with(client: Client) -> Self {
        let begun = Instant::now();
        Self {
            client,
            begun,
            now: begun,
        }
    }

    fn new() -> Self {
        Self::with(Client::new(Config::default(), Codec::Json))
    }

    /// One that has a session and has sent CONNECT to these namespaces; their keys count from zero.
    fn joining(namespaces: &[&str]) -> Self {
        let mut script = Self::new();
        script.open();
        for (index, namespace) in (0..).zip(namespaces) {
            assert_eq!(script.client.add(namespace), Some(Key(index)));
            script.client.join(Key(index), script.now);
            assert_eq!(script.drain(), format!("connect {index}"));
            assert!(script.client.send_connect(Key(index), script.now));
        }
        script
    }

    /// The same, and the server has let it in.
    fn joined(namespaces: &[&str]) -> Self {
        let mut script = Self::joining(namespaces);
        for (index, namespace) in namespaces.iter().enumerate() {
            let connect = format!("0{namespace},{{\"sid\":\"id{index}\"}}");
            assert_eq!(script.receive(&connect), format!("connected {index}"));
        }
        script
    }

    fn open(&mut self) {
        self.client.handle_opened("session", self.now);
    }

    /// A session that is lost, and another one, on which CONNECT is sent to those that want it.
    fn reopen(&mut self) {
        self.client.handle_closed();
        self.open();
        let mut index = 0;
        while let Output::Connect(key) = self.client.poll_output() {
            assert!(self.client.send_connect(key, self.now));
            index += 1;
            assert!(index < 10, "no end of CONNECT packets");
        }
    }

    /// What comes of a text, in words.
    fn receive(&mut self, text: &str) -> String {
        self.handle(Message::Text(Cow::Borrowed(text)))
    }

    fn receive_binary(&mut self, data: &[u8]) -> String {
        self.handle(Message::Binary(Bytes::copy_from_slice(data)))
    }

    fn handle(&mut self, message: Message<'_>) -> String {
        match self.client.handle_message(message, self.now) {
            Ok(None) => "nothing".to_owned(),
            Ok(Some(incoming)) => describe(incoming),
            Err(violation) => violation.to_string(),
        }
    }

    /// What the driver is asked for, in words; the deadline at which it wants to be woken is dropped.
    fn drain(&mut self) -> String {
        let mut words = Vec::new();
        loop {
            assert!(words.len() < 10, "no end of outputs: {words:?}");
            match self.client.poll_output() {
                Output::Connect(key) => words.push(format!("connect {}", key.index())),
                Output::Disconnect(key) => words.push(format!("disconnect {}", key.index())),
                Output::Close(timeout) => words.push(timeout.to_string()),
                Output::Late(key) => words.push(format!("late {}", key.index())),
                Output::Timeout(_) => return words.join(", "),
            }
        }
    }

    fn deadline(&mut self) -> Option<Duration> {
        match self.client.poll_output() {
            Output::Timeout(deadline) => deadline.map(|deadline| deadline - self.begun),
            output @ (Output::Connect(_)
            | Output::Disconnect(_)
            | Output::Close(_)
            | Output::Late(_)) => {
                panic!("{output:?} is to be done")
            }
        }
    }

    fn early(&mut self, key: u32) -> String {
        let mut words = String::new();
        while let Some(event) = self.client.take_early(Key(key)) {
            let arguments = decode(event.arguments.as_arguments());
            let id = event.id.map(|id| id.to_string()).unwrap_or_default();
            write!(words, "{} {id}{arguments};", event.name).unwrap();
        }
        words
    }

    fn id(&self, key: u32) -> Option<&str> {
        self.client.id(Key(key))
    }
}

fn decode(arguments: Arguments<'_>) -> String {
    match arguments.decode() {
        Ok(Args(values)) => {
            let values: Vec<_> = values.iter().map(show).collect();
            format!("[{}]", values.join(","))
        }
        Err(error) => error.to_string(),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Binary(data) => format!("{data:?}"),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => format!("{value:?}"),
    }
}

fn describe(incoming: Incoming<'_>) -> String {
    match incoming {
        Incoming::Connected {
            key,
            recovered: false,
        } => format!("connected {}", key.index()),
        Incoming::Connected {
            key,
            recovered: true,
        } => format!("recovered {}", key.index()),
        Incoming::Refused { key, payload } => {
            let Payload::Json(text) = payload else {
                panic!("it was JSON");
            };
            format!("refused {} {text}", key.index())
        }
        Incoming::Incompatible { key } => format!("incompatible {}", key.index()),
        Incoming::Disconnect { key } => format!("disconnected {}", key.index()),
        Incoming::Event {
            key,
            id,
            name,
            arguments,
        } => {
            let id = id.map(|id| id.to_string()).unwrap_or_default();
            format!("event {} {id} {name} {}", key.index(), decode(arguments))
        }
        Incoming::Ack { key, id, arguments } => {
            format!("ack {} {id} {}", key.index(), decode(arguments))
        }
        Incoming::Ignored => "ignored".to_owned(),
    }
}
