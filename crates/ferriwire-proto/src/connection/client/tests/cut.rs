//! A client and a server, both made of this crate's state machines alone, over a WebSocket that is cut
//! or bent at every byte.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::codec::{Codec, MAX_DEPTH};
use crate::connection::client::{self, Client as Namespaces, Emission, LaneConfig, Outgoing};
use crate::connection::{self, Connection, Key};
use crate::encoded::Encoded;
use crate::engine::client::{Client as ClientSession, Config, Output as ClientOutput};
use crate::engine::handshake::Open;
use crate::engine::packet::{Packet, ParseError};
use crate::engine::queue::{Control, Entry, Overflow, Queue};
use crate::engine::session::{Incoming, Lost, Output as ServerOutput, Session, Timing};
use crate::engine::{Message, Revision, SessionId, Transport};
use crate::packet::AckId;
use crate::reconnect::{Kept, RetryConfig};
use crate::value::{Args, Value};
use crate::websocket::{Decoder, Item, Limits, Masker, Role};
use bytes::Bytes;

const CODEC: Codec = Codec::Json;
/// How many events the client wants acknowledged.
const EVENTS: u32 = 3;

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, Debug, Default)]
enum Fault {
    #[default]
    None,
    /// Only so many arrive.
    Cut(usize),
    /// That one arrives with other bits.
    Bend(usize, u8),
}

/// Bytes on their way, of which so many have passed already.
#[derive(Debug, Default)]
struct Pipe {
    fault: Fault,
    passed: usize,
}

impl Pipe {
    fn of(fault: Fault) -> Self {
        Self { fault, passed: 0 }
    }

    /// What arrives; `false`: and then nothing any more.
    fn pass(&mut self, bytes: &mut Vec<u8>) -> bool {
        let begin = self.passed;
        self.passed += bytes.len();
        match self.fault {
            Fault::Cut(at) if self.passed > at => {
                bytes.truncate(at - begin);
                return false;
            }
            Fault::Bend(at, bits) if (begin..self.passed).contains(&at) => {
                bytes[at - begin] ^= bits
            }
            Fault::None | Fault::Cut(_) | Fault::Bend(..) => {}
        }
        true
    }
}

/// A whole message of a WebSocket, on its own.
#[derive(Debug)]
enum Received {
    Text(String),
    Binary(Bytes),
    Other,
}

/// `None`: the peer broke RFC 6455.
fn receive(decoder: &mut Decoder, mut input: &mut [u8]) -> Option<Vec<Received>> {
    let mut all = Vec::new();
    while !input.is_empty() {
        let decoded = decoder.decode(input).ok()?;
        let consumed = decoded.consumed;
        match decoded.item {
            Some(Item::Text(text)) => all.push(Received::Text(text.into_owned())),
            Some(Item::Binary(data)) => {
                all.push(Received::Binary(Bytes::from(data.into_owned())));
            }
            Some(Item::Ping(_) | Item::Pong(_) | Item::Close(_)) => all.push(Received::Other),
            None => {}
        }
        input = &mut input[consumed..];
    }
    Some(all)
}

impl Received {
    fn packet(&self) -> Result<Packet<'_>, ParseError> {
        match self {
            Self::Text(text) => Revision::V4.decode_text(text),
            Self::Binary(data) => Revision::V4.decode_binary(data.clone()),
            Self::Other => Ok(Packet::Noop),
        }
    }
}

/// The client, over all its sessions.
struct Client {
    namespaces: Namespaces,
    outgoing: Outgoing<u32>,
    main: Key,
    acknowledged: Vec<u32>,
    heard: Vec<String>,
    now: Instant,
}

/// The server, and what it remembers of all sessions.
#[derive(Default)]
struct Server {
    asked: Vec<u32>,
    sessions: u8,
}

/// The server's side of one session.
struct Serving {
    session: Session,
    connection: Connection,
    queue: Queue,
    decoder: Decoder,
}

impl Client {
    #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
    fn new() -> Self {
        let mut namespaces = Namespaces::new(client::Config::default(), CODEC);
        let mut outgoing = Outgoing::new(Queue::new(), 1_000_000);
        let now = Instant::now();
        let main = namespaces.add("/").unwrap();
        let chat = namespaces.add("/chat").unwrap();
        for key in [main, chat] {
            namespaces.join(key, now);
        }
        let retries = Some(RetryConfig::new(100, Duration::from_secs(3)));
        let config = LaneConfig {
            retries,
            ..LaneConfig::default()
        };
        assert_eq!(outgoing.declare(&"/".into(), config), Some(main));
        let other = outgoing.declare(&"/chat".into(), LaneConfig::default());
        assert_eq!(other, Some(chat));
        let mut client = Self {
            namespaces,
            outgoing,
            main,
            acknowledged: Vec::new(),
            heard: Vec::new(),
            now,
        };
        for number in 0..EVENTS {
            client.ask(number);
        }
        client
    }

    fn ask(&mut self, number: u32) {
        let id = self.outgoing.expect_answer(self.main, number, None);
        let payload = (number, Bytes::from_static(b"\x00binary\xFF"), "\u{20ac}");
        let event = CODEC.encode_event("/", id, "echo", &payload, MAX_DEPTH);
        let message = Arc::new(event.unwrap());
        let event = Kept { message, id };
        let emitted = self
            .outgoing
            .emit(self.main, event, Emission::Ordinary, self.now);
        emitted.unwrap();
    }

    /// One session, until nothing happens any more or it is over. How many bytes went up and down.
    fn run(&mut self, server: &mut Server, mut up: Pipe, mut down: Pipe) -> (usize, usize) {
        let mut session = ClientSession::new(Config {
            transports: vec![Transport::WebSocket],
            ..Config::default()
        });
        let mut decoder = Decoder::new(Role::Client, Limits::default());
        let mut masker = Masker::default();
        let mut serving = server.open(self.now);
        loop {
            let mut bytes = serving.write();
            let mut is_alive = down.pass(&mut bytes);
            let mut is_quiet = bytes.is_empty();
            match receive(&mut decoder, &mut bytes) {
                Some(messages) => {
                    for message in &messages {
                        self.handle(&mut session, message);
                    }
                }
                None => session.handle_transport_lost(Lost::Error),
            }
            if !is_alive {
                session.handle_transport_lost(Lost::Error);
            }
            if !self.settle(&mut session) {
                break;
            }
            let batch = self.outgoing.queue().take(usize::MAX);
            let mut bytes = Vec::new();
            for piece in batch.pieces() {
                masker.append(piece, &mut bytes, || [1, 2, 3, 4]);
            }
            is_quiet &= bytes.is_empty();
            is_alive &= up.pass(&mut bytes);
            is_alive &= serving.handle(server, &mut bytes, self.now);
            if !is_alive {
                session.handle_transport_lost(Lost::Closed);
                assert!(!self.settle(&mut session));
                break;
            }
            if is_quiet {
                break;
            }
        }
        let joined = self.namespaces.id(self.main).is_some();
        let lost = self.namespaces.handle_closed();
        assert_eq!(lost.contains(&self.main), joined);
        assert!(
            self.outgoing.handle_closed(self.now).is_empty(),
            "they are sent again"
        );
        (up.passed, down.passed)
    }

    fn handle(&mut self, session: &mut ClientSession, message: &Received) {
        let Ok(packet) = message.packet() else {
            return session.handle_parse_error();
        };
        let Ok(Some(message)) = session.handle_packet(packet, self.now) else {
            return;
        };
        match self.namespaces.handle_message(message, self.now) {
            Ok(Some(client::Incoming::Connected { key, .. })) => {
                self.outgoing.handle_joined(key, self.now);
            }
            Ok(Some(client::Incoming::Ack { key, id, .. })) => {
                let who = self.outgoing.handle_ack(key, id, self.now);
                self.acknowledged.extend(who);
            }
            Ok(Some(client::Incoming::Event {
                name, arguments, ..
            })) => {
                if let Ok(Args(values)) = arguments.decode() {
                    self.heard.push(format!("{name} {values:?}"));
                }
            }
            Ok(_) => {}
            Err(_) => session.handle_parse_error(),
        }
    }

    /// Carries out what was decided; `false` when the session is over.
    fn settle(&mut self, session: &mut ClientSession) -> bool {
        loop {
            match session.poll_output() {
                ClientOutput::Opened => {
                    let id = session.opened().unwrap().session.clone();
                    self.namespaces.handle_opened(id.as_str(), self.now);
                }
                ClientOutput::SendPong => {
                    self.outgoing.queue().push(Entry::Control(Control::Pong));
                }
                ClientOutput::Closed(_) => return false,
                ClientOutput::Timeout(_) => break,
                ClientOutput::OpenWebSocket => {}
                output @ (ClientOutput::Poll
                | ClientOutput::OpenCandidate
                | ClientOutput::SendProbe
                | ClientOutput::DropCandidate
                | ClientOutput::Switch
                | ClientOutput::SendPing
                | ClientOutput::BeginClose) => panic!("{output:?} on a WebSocket"),
            }
        }
        while let client::Output::Connect(key) = self.namespaces.poll_output() {
            assert!(self.namespaces.send_connect(key, self.now));
            let name = self.namespaces.namespace(key).unwrap();
            let connect = CODEC.encode_connect(name, &(), MAX_DEPTH).unwrap();
            self.outgoing
                .queue()
                .push(Entry::Message(Arc::new(connect)));
        }
        true
    }
}

impl Server {
    fn open(&mut self, now: Instant) -> Serving {
        self.sessions += 1;
        let timing = Timing::default();
        let mut queue = Queue::new();
        let session = SessionId::from_random([self.sessions; 15]);
        let open = Open {
            session: &session,
            upgrades: &[],
            ping_interval: timing.ping_interval,
            ping_timeout: timing.ping_timeout,
            max_payload: 1_000_000,
        };
        queue.push_own(Encoded::engine_packet(&open.encode()), Overflow::Close);
        let config = connection::Config::default();
        Serving {
            session: Session::new(timing, Revision::V4, Transport::WebSocket, now),
            connection: Connection::new(config, &CODEC, now),
            queue,
            decoder: Decoder::new(Role::Server, Limits::default()),
        }
    }
}

impl Serving {
    fn write(&mut self) -> Vec<u8> {
        let batch = self.queue.take(usize::MAX);
        batch.pieces().flatten().copied().collect()
    }

    /// `false`: the session is over.
    fn handle(&mut self, server: &mut Server, bytes: &mut [u8], now: Instant) -> bool {
        let Some(messages) = receive(&mut self.decoder, bytes) else {
            return false;
        };
        for message in messages {
            let Ok(packet) = message.packet() else {
                return false;
            };
            let Some(Incoming::Message(message)) = self.session.handle_packet(packet, now) else {
                continue;
            };
            if !self.handle_message(server, message, now) {
                return false;
            }
        }
        while let output = self.session.poll_output()
            && !matches!(output, ServerOutput::Timeout(_))
        {
            if matches!(output, ServerOutput::Closed(_)) {
                return false;
            }
        }
        true
    }

    fn handle_message(&mut self, server: &mut Server, message: Message<'_>, now: Instant) -> bool {
        let answer = match self.connection.handle_message(message, now) {
            Ok(Some(connection::Incoming::Connect { key, namespace, .. })) => {
                let sid = format!("{}{namespace}", server.sessions);
                let welcome = Value::from_iter([("sid".to_owned(), Value::from(sid))]);
                let name = namespace.to_owned();
                self.connection.accept(key);
                CODEC.encode_connect(&name, &welcome, MAX_DEPTH)
            }
            Ok(Some(connection::Incoming::Event {
                id: Some(id),
                arguments,
                ..
            })) => {
                let Ok(Args(values)) = arguments.decode() else {
                    return false;
                };
                let number = values.first().and_then(Value::as_u64);
                server
                    .asked
                    .extend(number.and_then(|number| u32::try_from(number).ok()));
                self.answer(id, &values)
            }
            Ok(_) => return true,
            Err(_) => return false,
        };
        self.queue.push_own(answer.unwrap(), Overflow::Close);
        true
    }

    fn answer(
        &mut self,
        id: AckId,
        values: &[Value],
    ) -> Result<Encoded, crate::codec::EncodeError> {
        let echo = Args(values.to_vec());
        let event = CODEC.encode_event("/chat", None, "said", &echo, MAX_DEPTH)?;
        self.queue.push_own(event, Overflow::Close);
        CODEC.encode_ack("/", id, &echo, MAX_DEPTH)
    }
}

fn golden() -> (usize, usize) {
    let (mut client, mut server) = (Client::new(), Server::default());
    let bytes = client.run(&mut server, Pipe::default(), Pipe::default());
    assert_eq!(client.acknowledged, [0, 1, 2]);
    assert_eq!(server.asked, [0, 1, 2]);
    assert_eq!(client.heard.len(), 3);
    bytes
}

/// After the first session another one, on which nothing goes wrong.
fn run_twice(up: Fault, down: Fault) -> (Client, Server) {
    let (mut client, mut server) = (Client::new(), Server::default());
    client.run(&mut server, Pipe::of(up), Pipe::of(down));
    client.run(&mut server, Pipe::default(), Pipe::default());
    (client, server)
}

#[test]
fn a_session_that_is_cut_at_any_byte_is_made_up_for_by_the_next() {
    let (up, down) = golden();
    assert!(up > 200 && down > 400, "{up} up, {down} down");
    let cuts = (0..up).map(|at| (Fault::Cut(at), Fault::None));
    let cuts = cuts.chain((0..down).map(|at| (Fault::None, Fault::Cut(at))));
    for (up, down) in cuts {
        let (client, server) = run_twice(up, down);
        assert_eq!(client.acknowledged, [0, 1, 2], "{up:?} {down:?}");
        let numbers = client
            .heard
            .iter()
            .map(|event| event.split([',', ')']).next());
        assert!(numbers.is_sorted(), "{up:?} {down:?}: {:?}", client.heard);
        // What was in flight may come twice, and nothing before it again.
        assert!(
            server.asked.is_sorted(),
            "{up:?} {down:?}: {:?}",
            server.asked
        );
        assert!(
            server.asked.len() <= 4,
            "{up:?} {down:?}: {:?}",
            server.asked
        );
    }
}

#[test]
fn whatever_byte_a_server_gets_wrong_the_client_ends_the_session_or_goes_on() {
    let (_, down) = golden();
    for at in 0..down {
        for bits in [0x01, 0x04, 0x20, 0x80, 0xFF] {
            let (client, _) = run_twice(Fault::None, Fault::Bend(at, bits));
            // Unless it became a packet that takes the client out of the namespace.
            if client.namespaces.is_active(client.main) {
                assert_eq!(client.acknowledged, [0, 1, 2], "{at} {bits:#x}");
            } else {
                assert!(
                    [0, 1, 2].starts_with(&client.acknowledged),
                    "{at} {bits:#x}"
                );
            }
        }
    }
}
