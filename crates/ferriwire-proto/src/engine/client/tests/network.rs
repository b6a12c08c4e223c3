//! A client and a server, both ours, with a network between them that takes as long as it likes.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::engine::session::{self, Incoming, Session, Timing};

#[derive(Clone, Debug)]
enum Step {
    ClientSends,
    ServerSends,
    /// The GET, or its answer, arrives.
    Get,
    /// The POST, or its answer, arrives.
    Post,
    /// The WebSocket is connected.
    Connect,
    /// A packet on the WebSocket arrives at the server.
    Up,
    /// A packet on the WebSocket arrives at the client.
    Down,
    /// The WebSocket breaks before the client has changed to it.
    Break,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::ClientSends),
        4 => Just(Step::ServerSends),
        6 => Just(Step::Get),
        6 => Just(Step::Post),
        3 => Just(Step::Connect),
        4 => Just(Step::Up),
        4 => Just(Step::Down),
        1 => Just(Step::Break),
        2 => (0_u64..6_000).prop_map(Step::Wait),
    ]
}

#[derive(Debug)]
enum Get {
    ToServer,
    Waiting,
    ToClient(Vec<String>),
}

#[derive(Debug)]
enum Post {
    ToServer(Vec<String>),
    ToClient,
}

#[derive(Debug, Default)]
struct Socket {
    is_connected: bool,
    up: VecDeque<String>,
    down: VecDeque<String>,
}

/// Both sides, what is between them, and the numbers of the messages that each has heard.
struct World {
    client: Client,
    server: Session,
    now: Instant,
    client_queue: VecDeque<String>,
    server_queue: VecDeque<String>,
    get: Option<Get>,
    post: Option<Post>,
    socket: Option<Socket>,
    sent_by_client: usize,
    sent_by_server: usize,
    heard_by_server: usize,
    heard_by_client: usize,
}

impl World {
    fn new() -> Self {
        let Script {
            mut client, now, ..
        } = Script::opening();
        client
            .handle_packet(Packet::decode(OPEN).unwrap(), now)
            .unwrap();
        client.handle_polled();
        let mut world = Self {
            client,
            server: Session::new(Timing::default(), Revision::V4, Transport::Polling, now),
            now,
            client_queue: VecDeque::new(),
            server_queue: VecDeque::new(),
            get: None,
            post: None,
            socket: None,
            sent_by_client: 0,
            sent_by_server: 0,
            heard_by_server: 0,
            heard_by_client: 0,
        };
        world.settle();
        world
    }

    fn is_over(&self) -> bool {
        self.client.is_closed() || self.server.is_closed()
    }

    /// Says whether there was anything to do.
    fn apply(&mut self, step: &Step) -> bool {
        match *step {
            Step::ClientSends if self.client.is_open() => {
                self.client_queue
                    .push_back(format!("4{}", self.sent_by_client));
                self.sent_by_client += 1;
            }
            Step::ServerSends if self.server.is_open() => {
                self.server_queue
                    .push_back(format!("4{}", self.sent_by_server));
                self.sent_by_server += 1;
            }
            Step::Get => match self.get.take() {
                Some(Get::ToServer) => {
                    self.get = Some(Get::Waiting);
                    self.server.handle_poll();
                }
                Some(Get::ToClient(packets)) => {
                    for packet in packets {
                        self.client_hears(&packet);
                    }
                    self.client.handle_polled();
                }
                waiting => {
                    self.get = waiting;
                    return false;
                }
            },
            Step::Post => match self.post.take() {
                Some(Post::ToServer(packets)) => {
                    assert_eq!(self.server.transport(), Transport::Polling);
                    for packet in packets {
                        self.server_hears(&packet);
                    }
                    self.post = Some(Post::ToClient);
                }
                Some(Post::ToClient) => self.client.handle_posted(),
                None => return false,
            },
            Step::Connect => match &mut self.socket {
                Some(socket) if !socket.is_connected => {
                    socket.is_connected = true;
                    assert!(self.server.handle_candidate(self.now));
                    self.client.handle_candidate_open();
                }
                Some(_) | None => return false,
            },
            Step::Up => {
                let packet = self
                    .socket
                    .as_mut()
                    .and_then(|socket| socket.up.pop_front());
                let Some(packet) = packet else { return false };
                if self.server.transport() == Transport::WebSocket {
                    self.server_hears(&packet);
                } else {
                    let packet = Packet::decode(&packet).unwrap();
                    self.server.handle_candidate_packet(&packet, self.now);
                }
            }
            Step::Down => {
                let packet = self
                    .socket
                    .as_mut()
                    .and_then(|socket| socket.down.pop_front());
                let Some(packet) = packet else { return false };
                if self.client.transport() == Transport::WebSocket {
                    self.client_hears(&packet);
                } else {
                    let packet = Packet::decode(&packet).unwrap();
                    self.client.handle_candidate_packet(&packet);
                }
            }
            Step::Break if self.client.transport() == Transport::Polling => self.lose_socket(),
            Step::Wait(milliseconds) => {
                self.now += Duration::from_millis(milliseconds);
                self.client.handle_timeout(self.now);
                self.settle();
                self.server.handle_timeout(self.now);
            }
            Step::ClientSends | Step::ServerSends | Step::Break => return false,
        }
        self.settle();
        true
    }

    fn client_hears(&mut self, text: &str) {
        let packet = Packet::decode(text).unwrap();
        if let Some(message) = self.client.handle_packet(packet, self.now).unwrap() {
            let expected = self.heard_by_client.to_string();
            assert_eq!(message, Message::Text(expected.into()));
            self.heard_by_client += 1;
        }
    }

    fn server_hears(&mut self, text: &str) {
        let packet = Packet::decode(text).unwrap();
        if let Some(message) = self.server.handle_packet(packet, self.now) {
            let expected = self.heard_by_server.to_string();
            assert_eq!(message, Incoming::Message(Message::Text(expected.into())));
            self.heard_by_server += 1;
        }
    }

    fn lose_socket(&mut self) {
        if self.socket.take().is_none() {
            return;
        }
        if self.client.transport() == Transport::WebSocket {
            self.client.handle_transport_lost(Lost::Closed);
        } else {
            self.client.handle_candidate_lost();
        }
        self.server.handle_candidate_lost();
    }

    /// Carries out what both sides decided, and writes what may be written.
    fn settle(&mut self) {
        loop {
            match self.client.poll_output() {
                Output::Poll => {
                    assert!(self.get.is_none(), "two GETs at a time");
                    assert_eq!(self.server.transport(), Transport::Polling);
                    self.get = Some(Get::ToServer);
                }
                Output::OpenCandidate => self.socket = Some(Socket::default()),
                Output::SendProbe => self.write_up("2probe"),
                Output::DropCandidate => self.lose_socket(),
                Output::Switch => {
                    assert!(self.get.is_none() && self.post.is_none());
                    self.write_up("5");
                }
                Output::SendPong => self.client_queue.push_back("3".to_owned()),
                Output::Opened | Output::Closed(_) => {}
                Output::Timeout(_) => break,
                output @ (Output::OpenWebSocket | Output::SendPing | Output::BeginClose) => {
                    panic!("{output:?} was never asked for")
                }
            }
        }
        if self.client.may_write() && !self.client_queue.is_empty() {
            let packets = std::mem::take(&mut self.client_queue);
            match &mut self.socket {
                Some(socket) if self.client.transport() == Transport::WebSocket => {
                    socket.up.extend(packets);
                }
                _ => {
                    assert!(self.post.is_none(), "two POSTs at a time");
                    self.post = Some(Post::ToServer(packets.into()));
                    self.client.handle_post();
                }
            }
        }
        loop {
            match self.server.poll_output() {
                session::Output::SendPing => self.server_queue.push_back("2".to_owned()),
                session::Output::AnswerProbe => self.write_down("3probe"),
                session::Output::ReleasePoll => {
                    if self.server_queue.is_empty() {
                        self.server_queue.push_back("6".to_owned());
                    }
                    self.answer_get();
                    self.server_queue.retain(|packet| packet != "6");
                }
                session::Output::DropCandidate => {
                    self.lose_socket();
                    return self.settle();
                }
                session::Output::Switch | session::Output::Closed(_) => {}
                session::Output::Timeout(_) => break,
                session::Output::BeginClose => panic!("nobody closes"),
            }
        }
        if self.server.transport() == Transport::WebSocket {
            let packets = std::mem::take(&mut self.server_queue);
            if let Some(socket) = &mut self.socket {
                socket.down.extend(packets);
            }
        } else if !self.server_queue.is_empty() {
            self.answer_get();
        }
    }

    fn answer_get(&mut self) {
        if matches!(self.get, Some(Get::Waiting)) {
            let packets = std::mem::take(&mut self.server_queue);
            self.get = Some(Get::ToClient(packets.into()));
        }
    }

    fn write_up(&mut self, packet: &str) {
        let socket = self.socket.as_mut().expect("there is a socket");
        socket.up.push_back(packet.to_owned());
    }

    fn write_down(&mut self, packet: &str) {
        let socket = self.socket.as_mut().expect("there is a socket");
        socket.down.push_back(packet.to_owned());
    }

    /// Lets everything arrive that is under way.
    fn finish(&mut self) {
        let ways = [Step::Connect, Step::Up, Step::Down, Step::Get, Step::Post];
        while !self.is_over() && ways.iter().any(|step| self.apply(step)) {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever takes how long, and wherever the candidate breaks: one GET and one POST at a time, and
    /// every message is heard once and in order, on both sides.
    #[test]
    fn nothing_is_lost_or_reordered_over_an_upgrade(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
            if world.is_over() {
                break;
            }
        }
        world.finish();
        if !world.is_over() {
            prop_assert_eq!(world.heard_by_server, world.sent_by_client);
            prop_assert_eq!(world.heard_by_client, world.sent_by_server);
            let both = (world.client.transport(), world.server.transport());
            prop_assert_eq!(both.0, both.1);
            prop_assert!(both.0 == Transport::WebSocket || world.socket.is_none());
        }
    }

    /// The same with nothing that breaks and no time that passes: then the session survives and ends on
    /// the WebSocket.
    #[test]
    fn without_faults_every_session_moves(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::new();
        for step in steps.iter().filter(|step| !matches!(step, Step::Break | Step::Wait(_))) {
            world.apply(step);
        }
        world.finish();
        prop_assert!(!world.is_over());
        prop_assert_eq!(world.client.transport(), Transport::WebSocket);
        prop_assert_eq!(world.server.transport(), Transport::WebSocket);
        prop_assert_eq!(world.heard_by_server, world.sent_by_client);
        prop_assert_eq!(world.heard_by_client, world.sent_by_server);
    }
}
