//! Scripts of a client and the server, in virtual time.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::codec;
use crate::value::Args;

/// A connection and what time it is.
struct Peer {
    connection: Connection,
    now: Instant,
}

impl Peer {
    #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
    fn with(config: Config) -> Self {
        let now = Instant::now();
        Self {
            connection: Connection::new(config, &Codec::Json, now),
            now,
        }
    }

    fn new() -> Self {
        Self::with(Config::default())
    }

    /// One that has joined these namespaces; their keys count from zero.
    fn joined(namespaces: &[&str]) -> Self {
        let mut peer = Self::new();
        for (key, namespace) in (0..).zip(namespaces) {
            assert_eq!(
                peer.send(&format!("0{namespace},")),
                connect(key, namespace)
            );
            peer.connection.accept(Key(key));
        }
        peer
    }

    /// What comes of a text, in words.
    fn send(&mut self, text: &str) -> String {
        self.handle(Message::Text(Cow::Borrowed(text)))
    }

    fn send_binary(&mut self, data: &[u8]) -> String {
        self.handle(Message::Binary(Bytes::copy_from_slice(data)))
    }

    fn handle(&mut self, message: Message<'_>) -> String {
        match self.connection.handle_message(message, self.now) {
            Ok(None) => "nothing".to_owned(),
            Ok(Some(incoming)) => describe(incoming),
            Err(violation) => violation.to_string(),
        }
    }

    fn wait(&mut self, time: Duration) -> Output {
        self.now += time;
        self.connection.handle_timeout(self.now);
        self.connection.poll_output()
    }
}

fn describe(incoming: Incoming<'_>) -> String {
    let decode = |arguments: Arguments<'_>| match arguments.decode() {
        Ok(Args(values)) => format!("{values:?}"),
        Err(error) => error.to_string(),
    };
    match incoming {
        Incoming::Ignored => "ignored".to_owned(),
        Incoming::Connect {
            key,
            namespace,
            payload,
        } => format!(
            "connect {} {namespace} {}",
            key.index(),
            match payload {
                Some(Payload::Json(text)) => text,
                Some(Payload::MessagePack(_) | Payload::Value(_)) | None => "",
            }
        ),
        Incoming::Refused { namespace, why } => format!("refused {namespace}: {why}"),
        Incoming::Disconnect { key } => format!("disconnect {}", key.index()),
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
    }
}

fn connect(key: u32, namespace: &str) -> String {
    format!("connect {key} {namespace} ")
}

const NOT_JOINED: &str = "packet for a namespace that was not joined";
const TWICE: &str = "second CONNECT for the same namespace";

#[test]
fn a_client_joins_talks_and_leaves() {
    let mut peer = Peer::new();
    assert_eq!(
        peer.send("0{\"token\":\"123\"}"),
        "connect 0 / {\"token\":\"123\"}"
    );
    peer.connection.accept(Key(0));
    assert_eq!(peer.send("0/chat,"), connect(1, "/chat"));
    peer.connection.accept(Key(1));
    assert_eq!(peer.connection.namespace(Key(1)), Some("/chat"));
    assert_eq!(peer.send("2[\"e\",1]"), "event 0  e [Number(Number(1))]");
    assert_eq!(peer.send("2/chat,12[\"e\"]"), "event 1 12 e []");
    assert_eq!(peer.send("3/chat,5[true]"), "ack 1 5 [Bool(true)]");
    assert_eq!(peer.send("1"), "disconnect 0");
    // Case 47: the other namespace lives on, and what still comes for this one is ignored.
    assert_eq!(peer.send("2[\"e\",1]"), "ignored");
    assert_eq!(peer.send("2/chat,[\"e\"]"), "event 1  e []");
    assert_eq!(peer.send("1/chat"), "disconnect 1");
    assert_eq!(peer.connection.namespace(Key(1)), None);
    // Both can be joined again, and keys are used again.
    assert_eq!(peer.send("0/chat"), connect(0, "/chat"));
    assert_eq!(peer.send("2/chat,[\"e\"]"), NOT_JOINED);
}

#[test]
fn strangers_may_only_connect() {
    // Cases 49 to 51; also after another namespace was joined.
    for prefix in ["", "/chat,"] {
        for packet in [
            "2P[\"e\"]",
            "2P7[\"e\"]",
            "3P7[]",
            "1P",
            "51-P[\"e\"]",
            "61-P7[]",
        ] {
            for mut peer in [Peer::new(), Peer::joined(&["/other"])] {
                let packet = packet.replace('P', prefix);
                assert_eq!(peer.send(&packet), NOT_JOINED, "{packet}");
                assert!(!peer.connection.is_open());
                assert_eq!(peer.send("0"), "nothing", "it is over");
                assert_eq!(peer.connection.poll_output(), Output::Timeout(None));
            }
        }
    }
}

#[test]
fn nothing_may_come_before_the_answer_to_connect() {
    for (packet, outcome) in [
        ("2[\"e\"]", NOT_JOINED),
        ("37[]", NOT_JOINED),
        ("1", NOT_JOINED),
        ("51-[\"e\"]", NOT_JOINED),
        ("0", TWICE),
        ("0{}", TWICE),
        ("0/,", TWICE),
    ] {
        let mut peer = Peer::new();
        peer.send("0");
        assert_eq!(peer.send(packet), outcome, "{packet}");
    }
    assert_eq!(Peer::joined(&["/"]).send("0"), TWICE);
    assert_eq!(
        Peer::joined(&["/"]).send("4\"x\""),
        "CONNECT_ERROR from a client"
    );
}

#[test]
fn who_was_refused_is_a_stranger_and_may_try_again() {
    let mut peer = Peer::new();
    assert_eq!(peer.send("0/a"), connect(0, "/a"));
    peer.connection.refuse(Key(0));
    assert_eq!(peer.send("0/a"), connect(0, "/a"));
    peer.connection.refuse(Key(0));
    assert_eq!(peer.send("2/a,[\"e\"]"), NOT_JOINED);
}

#[test]
fn what_was_on_the_way_when_the_server_left_is_ignored() {
    // Case 59, and the same for a binary packet that arrives around it.
    let mut peer = Peer::joined(&["/", "/a"]);
    assert_eq!(peer.send("52-[\"e\"]"), "nothing");
    assert_eq!(peer.send_binary(&[1]), "nothing");
    peer.connection.leave(Key(0));
    assert_eq!(peer.send_binary(&[2]), "ignored");
    for packet in ["2[\"e\"]", "37[]", "1", "1", "2[\"e\"]"] {
        assert_eq!(peer.send(packet), "ignored", "{packet}");
    }
    assert_eq!(peer.send("51-[\"e\"]"), "nothing");
    assert_eq!(peer.send_binary(&[1]), "ignored");
    assert_eq!(peer.send("2/a,[\"e\"]"), "event 1  e []");
    assert_eq!(peer.send("0"), connect(0, "/"), "it can be joined again");
    assert_eq!(
        peer.send("1"),
        NOT_JOINED,
        "and then the rules are strict again"
    );
    // It stays an error to send what is no packet.
    let mut peer = Peer::joined(&["/"]);
    peer.connection.leave(Key(0));
    assert_eq!(
        peer.send("2{}"),
        "payload does not suit a packet of kind Event"
    );
}

#[test]
fn commands_for_unknown_keys_do_nothing() {
    let mut peer = Peer::new();
    for key in [Key(0), Key(7), Key(u32::MAX)] {
        peer.connection.accept(key);
        peer.connection.refuse(key);
        peer.connection.leave(key);
    }
    assert_eq!(
        peer.wait(Duration::from_secs(45)),
        Output::Close(ConnectionTimeout::Connect)
    );
}

#[test]
fn so_many_namespaces_and_no_more() {
    let names: Vec<String> = (0..32).map(|index| format!("/{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut peer = Peer::joined(&names);
    let refused = "refused /more: limit of 32 namespaces reached";
    assert_eq!(peer.send("0/more"), refused);
    assert_eq!(peer.send("0/more"), refused, "a refusal changes nothing");
    assert_eq!(peer.send("1/5"), "disconnect 5");
    assert_eq!(peer.send("0/more"), connect(5, "/more"));
    assert_eq!(
        peer.send("0/5"),
        "refused /5: limit of 32 namespaces reached"
    );
}

#[test]
fn names_of_namespaces_are_limited() {
    let refused = |name: &str| format!("refused {name}: Invalid namespace");
    let longest = format!("/{}", "x".repeat(254));
    assert_eq!(
        Peer::new().send(&format!("0{longest}")),
        connect(0, &longest)
    );
    for name in [
        format!("{longest}x"),
        "/a\u{1e}b".into(),
        "/\n".into(),
        "/\u{0}".into(),
        "/\u{7f}".into(),
    ] {
        assert_eq!(Peer::new().send(&format!("0{name},{{}}")), refused(&name));
    }
    for name in ["/", "/__proto__", "/é", "/a b", "/a?b=c", "//"] {
        assert_eq!(Peer::new().send(&format!("0{name}")), connect(0, name));
    }
}

#[test]
fn only_the_latest_namespaces_that_were_left_are_remembered() {
    let mut peer = Peer::with(Config {
        max_namespaces: 2,
        ..Config::default()
    });
    for name in ["/a", "/b", "/c"] {
        assert_eq!(peer.send(&format!("0{name}")), connect(0, name));
        peer.connection.accept(Key(0));
        assert_eq!(peer.send(&format!("1{name}")), "disconnect 0");
    }
    assert_eq!(peer.send("2/c,[\"e\"]"), "ignored");
    assert_eq!(peer.send("2/b,[\"e\"]"), "ignored");
    assert_eq!(peer.send("2/a,[\"e\"]"), NOT_JOINED);
}

#[test]
fn a_client_that_joins_nothing_is_closed() {
    // Case 46: neither trying nor being refused counts.
    let mut peer = Peer::new();
    peer.send("0/a");
    peer.connection.refuse(Key(0));
    peer.send("0/b");
    let deadline = peer.now + Duration::from_secs(45);
    assert_eq!(
        peer.wait(Duration::from_secs(44)),
        Output::Timeout(Some(deadline))
    );
    assert_eq!(
        peer.wait(Duration::from_secs(1)),
        Output::Close(ConnectionTimeout::Connect)
    );
    assert_eq!(
        peer.wait(Duration::from_secs(1)),
        Output::Timeout(None),
        "once"
    );
    assert_eq!(peer.send("2"), "nothing");
    let mut peer = Peer::joined(&["/"]);
    assert_eq!(peer.send("1"), "disconnect 0");
    assert_eq!(
        peer.wait(Duration::from_secs(1_000_000)),
        Output::Timeout(None)
    );
}

#[test]
fn attachments_have_a_deadline() {
    let mut peer = Peer::joined(&["/"]);
    for _ in 0..2 {
        assert_eq!(peer.send("52-[\"e\"]"), "nothing");
        let deadline = peer.now + Duration::from_secs(10);
        assert_eq!(
            peer.wait(Duration::from_secs(6)),
            Output::Timeout(Some(deadline))
        );
        assert_eq!(peer.send_binary(&[1]), "nothing");
        assert_eq!(
            peer.connection.poll_output(),
            Output::Timeout(Some(deadline)),
            "it stays"
        );
        assert_eq!(peer.send_binary(&[2]), "event 0  e []");
        assert_eq!(peer.connection.poll_output(), Output::Timeout(None));
    }
    peer.send("52-[\"e\"]");
    assert_eq!(
        peer.wait(Duration::from_secs(10)),
        Output::Close(ConnectionTimeout::Attachments)
    );
    assert_eq!(peer.send_binary(&[1]), "nothing");
}

#[test]
fn binary_packets_arrive_whole() {
    // Case 48
    let mut peer = Peer::joined(&["/"]);
    let placeholder = "{\"_placeholder\":true,\"num\":0}";
    peer.send(&format!("51-3[\"e\",{placeholder}]"));
    assert_eq!(peer.send_binary(b"x"), "event 0 3 e [Binary(b\"x\")]");
    peer.send(&format!("61-4[{placeholder}]"));
    assert_eq!(peer.send_binary(b"y"), "ack 0 4 [Binary(b\"y\")]");
    peer.send("51-[\"e\"]");
    assert_eq!(
        peer.send("2[\"e\"]"),
        codec::Violation::UnexpectedText.to_string()
    );
    let mut peer = Peer::joined(&["/"]);
    assert_eq!(
        peer.send_binary(b"x"),
        codec::Violation::UnexpectedBinary.to_string()
    );
    assert!(!peer.connection.is_open());
}

#[test]
fn assembled_text_is_read_like_borrowed_text_and_not_kept() {
    let mut peer = Peer::new();
    let owned = |text: &str| Message::Text(Cow::Owned(text.to_owned()));
    assert_eq!(
        peer.handle(owned("0/a,{\"x\":1}")),
        "connect 0 /a {\"x\":1}"
    );
    peer.connection.accept(Key(0));
    assert_eq!(
        peer.handle(owned("2/a,[\"e\",[]]")),
        "event 0  e [Array([])]"
    );
    peer.handle(owned("51-/a,[\"e\"]"));
    assert_eq!(peer.send_binary(&[1]), "event 0  e []");
    let before = format!("{:?}", peer.connection);
    peer.connection.poll_output();
    assert_ne!(
        before,
        format!("{:?}", peer.connection),
        "the text was released"
    );
}

/// What the client and the server may do, at random.
#[derive(Clone, Debug)]
enum Step {
    Send(String),
    SendBinary,
    Accept(u32),
    Refuse(u32),
    Leave(u32),
}

fn steps() -> impl Strategy<Value = Step> {
    // Mostly what is allowed, so that scripts do not end at once.
    let packets = prop_oneof![
        8 => Just("0P"),
        8 => Just("0P{}"),
        2 => Just("1P"),
        4 => Just("2P[\"e\"]"),
        4 => Just("3P1[]"),
        2 => Just("51-P[\"e\"]"),
        1 => Just("2P{}"),
    ];
    let texts =
        (0..4, packets).prop_map(|(name, packet)| packet.replace('P', &format!("/{name},")));
    prop_oneof![
        6 => texts.prop_map(Step::Send),
        2 => Just(Step::SendBinary),
        4 => (0_u32..4).prop_map(Step::Accept),
        1 => (0_u32..4).prop_map(Step::Refuse),
        1 => (0_u32..4).prop_map(Step::Leave),
    ]
}

proptest! {
    /// Against a table of names: only members are heard, keys are distinct, and the limit holds.
    #[test]
    fn whatever_happens_the_bookkeeping_holds(
        script in proptest::collection::vec(steps(), 0..60),
    ) {
        let mut peer = Peer::with(Config { max_namespaces: 3, ..Config::default() });
        let mut model: [Option<(String, bool)>; 4] = Default::default();
        for step in script {
            let message = match step {
                Step::Send(text) => Message::Text(Cow::Owned(text)),
                Step::SendBinary => Message::Binary(Bytes::new()),
                Step::Accept(key) => {
                    peer.connection.accept(Key(key));
                    if let Some(member) = &mut model[Key(key).index()] {
                        member.1 = true;
                    }
                    continue;
                }
                Step::Refuse(key) => {
                    peer.connection.refuse(Key(key));
                    model[Key(key).index()] = None;
                    continue;
                }
                Step::Leave(key) => {
                    peer.connection.leave(Key(key));
                    model[Key(key).index()] = None;
                    continue;
                }
            };
            let Ok(incoming) = peer.connection.handle_message(message, peer.now) else {
                prop_assert!(!peer.connection.is_open());
                break;
            };
            match incoming {
                None | Some(Incoming::Ignored) => {}
                Some(Incoming::Connect { key, namespace, .. }) => {
                    prop_assert!(model.iter().flatten().all(|(name, _)| name != namespace));
                    prop_assert!(model[key.index()].is_none());
                    model[key.index()] = Some((namespace.to_owned(), false));
                }
                Some(Incoming::Refused { .. }) => {
                    prop_assert_eq!(model.iter().flatten().count(), 3);
                }
                Some(Incoming::Disconnect { key }) => {
                    prop_assert!(model[key.index()].take().is_some_and(|(_, accepted)| accepted));
                }
                Some(Incoming::Event { key, .. } | Incoming::Ack { key, .. }) => {
                    prop_assert!(model[key.index()].as_ref().is_some_and(|(_, accepted)| *accepted));
                }
            }
            prop_assert!(model.iter().flatten().count() <= 3);
            for (key, member) in (0..).zip(&model) {
                let name = member.as_ref().map(|(name, _)| name.as_str());
                prop_assert_eq!(peer.connection.namespace(Key(key)), name);
            }
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
fn the_parts_of_a_packet_in_a_custom_codec_have_a_deadline() {
    struct Unfinished;

    impl codec::CustomCodec for Unfinished {
        fn encode(
            &self,
            _packet: &codec::UntypedPacket,
        ) -> Result<codec::Parts, Box<dyn std::error::Error + Send + Sync>> {
            Err("it only reads".into())
        }

        fn decoder(&self) -> Box<dyn codec::CustomDecoder> {
            Box::new(Self)
        }
    }

    impl codec::CustomDecoder for Unfinished {
        fn decode(
            &mut self,
            _message: Message<'_>,
        ) -> Result<Option<codec::UntypedPacket>, Box<dyn std::error::Error + Send + Sync>>
        {
            Ok(None)
        }
    }

    let now = Instant::now();
    let mut peer = Peer {
        connection: Connection::new(Config::default(), &Codec::custom(Unfinished), now),
        now,
    };
    assert_eq!(peer.send("first"), "nothing");
    let due = now + Duration::from_secs(10);
    let still = Output::Timeout(Some(due));
    assert_eq!(peer.wait(Duration::from_secs(9)), still);
    assert_eq!(peer.send("second"), "nothing");
    assert_eq!(peer.connection.poll_output(), still, "the first one counts");
    let close = Output::Close(ConnectionTimeout::Attachments);
    assert_eq!(peer.wait(Duration::from_secs(1)), close);
}

/// A driver asks for outputs only when it is told to.
#[test]
fn only_an_event_in_one_text_leaves_nothing_to_ask_for() {
    let mut peer = Peer::joined(&["/"]);
    assert!(!peer.connection.is_settled(), "the deadline has changed");
    assert_eq!(peer.connection.poll_output(), Output::Timeout(None));
    peer.send(r#"27["event",1]"#);
    assert!(peer.connection.is_settled());
    peer.send(r#"51-["event",{"_placeholder":true,"num":0}]"#);
    assert!(!peer.connection.is_settled(), "there is a deadline now");
    assert!(matches!(
        peer.connection.poll_output(),
        Output::Timeout(Some(_))
    ));
    peer.send_binary(b"data");
    assert!(!peer.connection.is_settled(), "there is none any more");
    assert_eq!(peer.connection.poll_output(), Output::Timeout(None));
    let owned = Message::Text(Cow::Owned(r#"2["event"]"#.to_owned()));
    peer.handle(owned);
    assert!(!peer.connection.is_settled(), "the text is held");
}
