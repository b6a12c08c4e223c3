//! The client that is driven, and its namespaces.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ferriwire::client::{Client, ClientTls, Jitter, Revision};
use ferriwire::{Args, Codec, Event};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::command::{Answer, CodecName, Command, Emit, Open, milliseconds};
use crate::report::{self, report};
use crate::values::arguments;

/// The reference's pauses, where only one of them is said.
const DELAY: u64 = 1_000;
const DELAY_MAX: u64 = 5_000;
/// How long an acknowledgement of an event that is retried is waited for, unless it is said.
const ACK_TIMEOUT: u64 = 10_000;

/// One client at most.
#[derive(Default)]
pub(crate) struct Driven {
    /// What it was opened with; namespaces that are joined later are declared with the same.
    open: Option<Box<Open>>,
    namespaces: BTreeMap<String, Client>,
    answers: Answers,
}

/// How events are acknowledged, by their names.
type Answers = Arc<Mutex<BTreeMap<&'static str, Answer>>>;

/// Declares what is told of a namespace, and how its events are answered; the two builders have these
/// methods without having a trait.
macro_rules! declare {
    ($builder:expr, $open:expr, $answers:expr) => {{
        let (open, answers): (&Open, &Answers) = ($open, $answers);
        let mut builder = $builder
            .on_any(async |client, event, args| report::event(&client, &event, &args))
            .on_connect(async |client| report::connected(&client))
            .on_connect_error(async |client, failure| report::not_connected(&client, &failure))
            .on_disconnect(async |client, reason| report::disconnected(&client, reason));
        if let Some(auth) = &open.auth {
            builder = builder.auth(auth);
        }
        if !open.auth_sequence.is_empty() {
            let sequence = Arc::new(open.auth_sequence.clone());
            builder = builder.auth_with(move |attempt| {
                let number = usize::try_from(attempt.number).unwrap_or(usize::MAX);
                let auth = sequence.get(number).or(sequence.last()).cloned();
                async move { Ok(auth) }
            });
        }
        let ack_timeout = open.ack_timeout_ms;
        if let Some(retries) = open.retries {
            builder = builder.retries(retries, milliseconds(ack_timeout.unwrap_or(ACK_TIMEOUT)));
        }
        if let Some(timeout) = ack_timeout {
            builder = builder.ack_timeout(milliseconds(timeout));
        }
        for name in names(answers) {
            let answers = Arc::clone(answers);
            let event = Event::<Args, Args>::new(name);
            builder = builder.on_with_ack(event, async move |_, args, ack| {
                answer(&answers, name, args, ack).await;
            });
        }
        builder
    }};
}

impl Driven {
    /// Does what a command says.
    pub(crate) fn follow(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::Open(open) => self.open(open),
            Command::Emit(emit) => self.emit(emit),
            Command::Answer(answer) => {
                self.answer(answer);
                Ok(())
            }
            Command::Disconnect(place) => self.namespace(&place.ns).map(Client::disconnect),
            Command::Connect(place) => self.connect(&place.ns),
            Command::Cut => self.any().map(Client::cut),
            Command::Status => {
                self.status();
                Ok(())
            }
            // The input is not read any further.
            Command::Exit => Ok(()),
        }
    }

    fn open(&mut self, open: Box<Open>) -> Result<(), String> {
        if !self.namespaces.is_empty() {
            return Err("there is a client already".to_owned());
        }
        let [first, others @ ..] = open.namespaces.as_slice() else {
            return Err("no namespace is named".to_owned());
        };
        let builder = configured(&in_namespace(&open.url, first), &open)?;
        let builder = declare!(builder, &open, &self.answers)
            .on_reconnect(async |_, step| report::reconnection(&step))
            .on_upgrade(async |_, transport| report::upgraded(transport));
        let client = builder.open().map_err(|failure| failure.to_string())?;
        for name in others {
            self.join(&client, name, &open)?;
        }
        self.namespaces.insert(first.clone(), client);
        self.open = Some(open);
        Ok(())
    }

    fn join(&mut self, client: &Client, name: &str, open: &Open) -> Result<(), String> {
        let namespace = declare!(client.namespace(name), open, &self.answers).open();
        let namespace = namespace.map_err(|failure| failure.to_string())?;
        self.namespaces.insert(name.to_owned(), namespace);
        Ok(())
    }

    /// Joins a namespace that was left, or one more.
    fn connect(&mut self, name: &str) -> Result<(), String> {
        if let Some(client) = self.namespaces.get(name) {
            client.connect();
            return Ok(());
        }
        let client = self.any()?.clone();
        let open = self.open.take().ok_or("there is no client")?;
        let joined = self.join(&client, name, &open);
        self.open = Some(open);
        joined
    }

    /// Whoever waits for an acknowledgement is told under its tag that there is none.
    fn emit(&self, emit: Emit) -> Result<(), String> {
        let (tag, is_answered) = (emit.tag.clone(), emit.ack);
        match self.start_emitting(emit) {
            Err(message) if is_answered => {
                report(&json!({"ev": "ack", "tag": tag, "error": message}));
                Ok(())
            }
            emitted => emitted,
        }
    }

    fn start_emitting(&self, emit: Emit) -> Result<(), String> {
        let client = self.namespace(&emit.ns)?;
        let args = arguments(emit.args)?;
        let event = emit.event.as_str();
        let mut emitter = client.compress(true);
        if emit.volatile {
            emitter = emitter.volatile();
        }
        if let Some(timeout) = emit.timeout_ms {
            emitter = emitter.timeout(milliseconds(timeout));
        }
        if !emit.ack {
            return emitter
                .emit(event, &args)
                .map_err(|error| error.to_string());
        }
        let answer = emitter.emit_with_ack(event, &args);
        tokio::spawn(async move { report::acknowledged(&emit.tag, &answer.await) });
        Ok(())
    }

    fn answer(&self, rule: Answer) {
        let mut answers = lock(&self.answers);
        if let Some(known) = answers.get_mut(rule.event.as_str()) {
            *known = rule;
            return;
        }
        // Names of events are constants in programs; here they are few.
        let name: &'static str = rule.event.clone().leak();
        answers.insert(name, rule);
        drop(answers);
        for client in self.namespaces.values() {
            let answers = Arc::clone(&self.answers);
            let event = Event::<Args, Args>::new(name);
            client.on_with_ack(event, async move |_, args, ack| {
                answer(&answers, name, args, ack).await;
            });
        }
    }

    fn status(&self) {
        let client = self.namespaces.values().next();
        let transport = client.and_then(Client::transport);
        let namespaces = self.namespaces.iter().map(|(name, client)| {
            let id = client.id();
            let state = json!({"connected": client.is_connected(), "id": id.as_deref()});
            (name.clone(), state)
        });
        report(&json!({
            "ev": "status",
            "transport": transport.map(report::name),
            "sessions": self.sessions(),
            "buffered": client.map_or(0, Client::buffered_bytes),
            "namespaces": namespaces.collect::<Value>(),
        }));
    }

    /// How many connections of the namespaces have a session.
    fn sessions(&self) -> usize {
        let mut connections: Vec<&Client> = Vec::new();
        for client in self.namespaces.values() {
            let is_known = |known: &&Client| known.shares_connection_with(client);
            if client.transport().is_some() && !connections.iter().any(is_known) {
                connections.push(client);
            }
        }
        connections.len()
    }

    fn namespace(&self, name: &str) -> Result<&Client, String> {
        let client = self.namespaces.get(name);
        client.ok_or_else(|| format!("there is no client in {name}"))
    }

    fn any(&self) -> Result<&Client, String> {
        let client = self.namespaces.values().next();
        client.ok_or_else(|| "there is no client".to_owned())
    }

    /// Closes the client, if there is one.
    pub(crate) async fn close(self) {
        if let Some(client) = self.namespaces.values().next() {
            client.clone().close().await;
        }
    }
}

/// What belongs to the connection.
fn configured(url: &str, open: &Open) -> Result<ferriwire::client::ClientBuilder, String> {
    let mut builder = Client::builder(url);
    if let Some(transports) = &open.transports {
        builder = builder.transports(transports.iter().map(|name| (*name).into()));
    }
    if let Some(upgrade) = open.upgrade {
        builder = builder.upgrade(upgrade);
    }
    if let Some(path) = &open.path {
        builder = builder.path(path);
    }
    for (name, value) in &open.query {
        builder = builder.query(name, &value.0);
    }
    for (name, value) in &open.headers {
        builder = builder.header(name, &value.0);
    }
    if let Some(reconnection) = open.reconnection {
        builder = builder.reconnection(reconnection);
    }
    if let Some(attempts) = open.reconnection_attempts {
        builder = builder.reconnection_attempts(attempts);
    }
    let (first, max) = (open.reconnection_delay_ms, open.reconnection_delay_max_ms);
    let (first, max) = (first.unwrap_or(DELAY), max.unwrap_or(DELAY_MAX));
    builder = builder.reconnection_delay(milliseconds(first), milliseconds(max));
    if let Some(factor) = open.randomization_factor {
        builder = builder.jitter(Jitter::Reference(factor));
    }
    if let Some(timeout) = open.timeout_ms {
        builder = builder.connect_timeout(milliseconds(timeout));
    }
    builder = match open.codec {
        Some(CodecName::MsgPack) => builder.codec(Codec::MessagePack),
        Some(CodecName::Json) | None => builder,
    };
    builder = match open.revision {
        Some(3) => builder.revision(Revision::V3),
        Some(4) | None => builder,
        Some(other) => return Err(format!("there is no revision {other}")),
    };
    if let Some(proxy) = &open.proxy {
        builder = builder.proxy(proxy);
    }
    let mut tls = ClientTls::new();
    if let Some(authority) = &open.ca_pem {
        tls = tls.ca_file(authority);
    }
    if open.insecure {
        tls = tls.danger_accept_any_certificate();
    }
    Ok(builder.tls(tls))
}

/// The same server, and that namespace; what the URL asks for in its query stays.
fn in_namespace(url: &str, namespace: &str) -> String {
    let (rest, query) = url.split_once('?').unwrap_or((url, ""));
    let host = rest.find("://").map_or(0, |scheme| scheme + 3);
    let path = rest.get(host..).and_then(|rest| rest.find('/'));
    let server = path
        .and_then(|path| rest.get(..host + path))
        .unwrap_or(rest);
    let mark = if query.is_empty() { "" } else { "?" };
    let slash = if namespace.starts_with('/') { "" } else { "/" };
    format!("{server}{slash}{namespace}{mark}{query}")
}

fn names(answers: &Answers) -> Vec<&'static str> {
    lock(answers).keys().copied().collect()
}

async fn answer(answers: &Answers, name: &str, own: Args, ack: ferriwire::client::Ack<Args>) {
    let Some(rule) = lock(answers).get(name).cloned() else {
        return;
    };
    if let Some(delay) = rule.delay_ms {
        sleep(milliseconds(delay)).await;
    }
    let args = rule.args.map_or(Ok(own), arguments);
    match args.map(|args| ack.send(&args)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => report(&json!({"ev": "error", "message": error.to_string()})),
        Err(message) => report(&json!({"ev": "error", "message": message})),
    }
}

/// What a mutex guards here cannot be left half changed.
fn lock(answers: &Answers) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Answer>> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}
