//! From packets to payloads and back: types, names, attachments, 48, 52, 53.

use ferriwire::{
    Args, Bytes, Config, EmitError, Event, Limits, Namespace, RunningServer, Server, Value,
};
use serde::{Deserialize, Serialize};

use crate::client::{Client, TRANSPORTS};
use crate::{log, serve, serve_with, start};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Message {
    from: String,
    at: Option<u64>,
}

const NOTHING: Event<(), String> = Event::new("nothing");
const ONE: Event<Message, Message> = Event::new("one");
const TWO: Event<(String, u64), (u64, String)> = Event::new("two");
const MAYBE: Event<Option<u64>, Option<u64>> = Event::new("maybe");
const LAST: Event<(u64, Option<String>), String> = Event::new("last");
const LIST: Event<Vec<u64>, Vec<u64>> = Event::new("list");
const FIXED: Event<[u64; 2], [u64; 2]> = Event::new("fixed");

fn typed() -> Namespace {
    Namespace::new("/")
        .on(NOTHING, async |_, ()| "nothing".to_owned())
        .on(ONE, async |_, message| message)
        .on(TWO, async |_, (text, number)| (number, text))
        .on(MAYBE, async |_, number| number)
        .on(LAST, async |_, (number, text)| format!("{number} {text:?}"))
        .on(LIST, async |_, list| list)
        .on(FIXED, async |_, [first, second]| [second, first])
        .on("plain", async |_, (text, number): (String, u64)| {
            format!("{text} {number}")
        })
        .on("none", async |_, _: ()| ())
}

#[tokio::test]
async fn payloads_are_argument_lists_by_their_type() {
    let server = serve(typed()).await;
    let cases = [
        (r#"21["nothing"]"#, r#"31["nothing"]"#),
        // What goes beyond the type is ignored.
        (r#"22["nothing",1,{"a":[]}]"#, r#"32["nothing"]"#),
        (
            r#"23["one",{"from":"a","at":7,"more":1}]"#,
            r#"33[{"from":"a","at":7}]"#,
        ),
        (r#"24["one",{"from":"a"}]"#, r#"34[{"from":"a","at":null}]"#),
        (r#"25["two","a",7]"#, r#"35[7,"a"]"#),
        (r#"26["two","a",7,"offset"]"#, r#"36[7,"a"]"#),
        (r#"27["maybe",7]"#, r#"37[7]"#),
        (r#"28["maybe"]"#, r#"38[null]"#),
        (r#"29["maybe",null]"#, r#"39[null]"#),
        (r#"210["last",1]"#, r#"310["1 None"]"#),
        (r#"211["last",1,"a"]"#, r#"311["1 Some(\"a\")"]"#),
        (r#"212["list",[1,2]]"#, r#"312[[1,2]]"#),
        (r#"213["fixed",1,2]"#, r#"313[2,1]"#),
        (r#"214["plain","a",7]"#, r#"314["a 7"]"#),
        (r#"215["none"]"#, "315[]"),
        (r#"216["none",1]"#, "316[]"),
    ];
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        for (event, answer) in cases {
            client.send(event).await;
            client.expect(answer).await;
        }
    }
}

#[tokio::test]
async fn what_is_emitted_has_the_form_of_its_type() {
    let namespace = Namespace::new("/").on_connect(async |socket| {
        let message = Message {
            from: "a".to_owned(),
            at: None,
        };
        let emitted = [
            socket.emit(NOTHING, ()),
            socket.emit(ONE, &message),
            socket.emit(TWO, ("a", 7)),
            socket.emit(TWO, &("b".to_owned(), 8)),
            socket.emit(MAYBE, Some(7)),
            socket.emit(LIST, vec![1, 2]),
            socket.emit(FIXED, &[1, 2]),
            socket.emit("plain", ("a", [1], message)),
            socket.emit("plain", ()),
            socket.emit("\u{2028}\"\u{1f600}\u{1e}", "\u{1e}"),
        ];
        assert!(emitted.iter().all(Result::is_ok), "{emitted:?}");
    });
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        for packet in [
            r#"2["nothing"]"#,
            r#"2["one",{"from":"a","at":null}]"#,
            r#"2["two","a",7]"#,
            r#"2["two","b",8]"#,
            r#"2["maybe",7]"#,
            r#"2["list",[1,2]]"#,
            r#"2["fixed",1,2]"#,
            r#"2["plain","a",[1],{"from":"a","at":null}]"#,
            r#"2["plain"]"#,
            "2[\"\u{2028}\\\"\u{1f600}\\u001e\",\"\\u001e\"]",
        ] {
            client.expect(packet).await;
        }
    }
}

async fn binary_echo() -> RunningServer {
    let namespace = Namespace::new("/")
        .on("echo", async |socket, arguments: Args| {
            drop(socket.emit("echo", &arguments));
            arguments
        })
        .on("two", async |_, (first, second): (Bytes, Bytes)| {
            (second, first)
        })
        .on("length", async |_, data: Bytes| data.len())
        .on("settle", async |_, _: ()| ());
    serve(namespace).await
}

#[tokio::test]
async fn attachments_come_back_in_order_in_events_and_acknowledgements() {
    let server = binary_echo().await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        client
            .send(r#"52-5["echo",{"_placeholder":true,"num":0},"text",[{"_placeholder":true,"num":1}]]"#)
            .await;
        client.send_binary(&[1, 2, 3]).await;
        client.send_binary(&[4, 5, 6]).await;
        client
            .expect(r#"52-["echo",{"_placeholder":true,"num":0},"text",[{"_placeholder":true,"num":1}]]"#)
            .await;
        client.expect_binary(&[1, 2, 3]).await;
        client.expect_binary(&[4, 5, 6]).await;
        client
            .expect(r#"62-5[{"_placeholder":true,"num":0},"text",[{"_placeholder":true,"num":1}]]"#)
            .await;
        client.expect_binary(&[1, 2, 3]).await;
        client.expect_binary(&[4, 5, 6]).await;

        // Numbered against the order in which they are used.
        client
            .send(r#"52-6["two",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#)
            .await;
        client.send_binary(b"second").await;
        client.send_binary(b"first").await;
        client
            .expect(r#"62-6[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#)
            .await;
        client.expect_binary(b"second").await;
        client.expect_binary(b"first").await;

        // One without a byte is one too.
        client
            .send(r#"51-7["length",{"num":0,"_placeholder":true}]"#)
            .await;
        client.send_binary(b"").await;
        client.expect("37[0]").await;
    }
}

#[tokio::test]
async fn null_stands_beside_binary_data_and_a_placeholder_may_be_plain_data() {
    let server = binary_echo().await;
    let mut client = Client::connect(&server).await;
    let event = r#"51-["echo",{"a":null,"b":{"_placeholder":true,"num":0}},null]"#;
    client.send(event).await;
    client.send_binary(&[1]).await;
    client.expect(event).await;
    client.expect_binary(&[1]).await;
    // Nobody announced an attachment, so this is an object like any other.
    let event = r#"2["echo",{"_placeholder":true,"num":0}]"#;
    client.send(event).await;
    client.expect(event).await;
}

#[tokio::test]
async fn what_does_not_fit_the_announced_attachments_closes_the_connection() {
    let server = binary_echo().await;
    let announced = r#"51-["length",{"_placeholder":true,"num":0}]"#;
    // Text between attachments; and placeholders of nothing.
    let broken: [&[&str]; 6] = [
        &[announced, r#"2["settle"]"#],
        &[announced, announced],
        &[r#"51-["length",{"_placeholder":true,"num":1}]"#],
        &[r#"51-["length",{"_placeholder":true,"num":"splice"}]"#],
        &[r#"51-["length",{"_placeholder":true,"num":-1}]"#],
        &[r#"51-["length",{"_placeholder":true}]"#],
    ];
    for packets in broken {
        let mut client = Client::connect(&server).await;
        for packet in packets {
            client.send(packet).await;
        }
        client.expect_end().await;
    }
    let mut client = Client::connect(&server).await;
    client.send_binary(b"unannounced").await;
    client.expect_end().await;
}

#[tokio::test]
async fn attachments_belong_to_one_packet_in_all_they_may_weigh() {
    let config = Config::new().limits(Limits::new().max_payload(1_000));
    let namespace = Namespace::new("/").on("length", async |_, data: Bytes| data.len());
    let server = serve_with(config, namespace).await;
    let packet = r#"52-1["length",{"_placeholder":true,"num":0}]"#;
    for (second, passes) in [
        (1_000 - packet.len() - 500, true),
        (1_001 - packet.len() - 500, false),
    ] {
        let mut client = Client::connect(&server).await;
        client.send(packet).await;
        client.send_binary(&[0; 500]).await;
        client.send_binary(&vec![0; second]).await;
        if passes {
            client.expect("31[500]").await;
        } else {
            client.expect_end().await;
        }
    }
}

#[tokio::test]
async fn emitted_values_carry_binary_data_at_any_depth() {
    let namespace = Namespace::new("/").on_connect(async |socket| {
        let nested = Value::Array(vec![
            Value::Binary(Bytes::from_static(b"one")),
            Value::Object([("two".to_owned(), Value::Binary(Bytes::from_static(b"two")))].into()),
        ]);
        drop(socket.emit("nested", Args(vec![nested, Value::Null])));
        drop(socket.emit("direct", Bytes::from_static(b"three")));
        drop(socket.emit("numbers", vec![1_u8, 2]));
    });
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        client
            .expect(r#"52-["nested",[{"_placeholder":true,"num":0},{"two":{"_placeholder":true,"num":1}}],null]"#)
            .await;
        client.expect_binary(b"one").await;
        client.expect_binary(b"two").await;
        client
            .expect(r#"51-["direct",{"_placeholder":true,"num":0}]"#)
            .await;
        client.expect_binary(b"three").await;
        client.expect(r#"2["numbers",[1,2]]"#).await;
    }
}

#[tokio::test]
async fn on_any_sees_every_event_before_its_handlers_do() {
    let (seen, mut entries) = log::<String>();
    let (any, own) = (seen.clone(), seen);
    let namespace = Namespace::new("/")
        .on("known", async move |_, number: u64| {
            own.write(format!("own {number}"));
            number
        })
        .on_any(async move |_, name, Args(arguments)| {
            any.write(format!("any {name} {arguments:?}"));
        });
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"2["unknown","a",[1]]"#).await;
    client.send(r#"21["known",7]"#).await;
    client.expect("31[7]").await;
    let unknown = Args(vec!["a".into(), Value::Array(vec![1.into()])]);
    assert_eq!(entries.next().await, format!("any unknown {:?}", unknown.0));
    assert!(entries.next().await.starts_with("any known ["));
    assert_eq!(entries.next().await, "own 7");
}

#[tokio::test]
async fn an_event_without_a_handler_is_not_answered_and_harms_nobody() {
    let server = binary_echo().await;
    let mut client = Client::connect(&server).await;
    client.send(r#"21["nobody",1]"#).await;
    client.send(r#"21["error","x"]"#).await;
    client.send(r#"21["__proto__"]"#).await;
    client.expect_nothing().await;
    // But it has to be an event.
    client.send(r#"2["nobody",]"#).await;
    client.expect_end().await;
}

const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

#[tokio::test]
async fn reserved_names_cannot_be_emitted() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/")
        .on_connect(async move |socket| {
            for name in RESERVED {
                seen.write((
                    name,
                    socket.emit(name, ()),
                    socket.broadcast().emit(name, ()),
                ));
            }
        })
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    for _ in RESERVED {
        let (name, emit, broadcast): (&str, Result<(), EmitError>, Result<(), EmitError>) =
            entries.next().await;
        assert!(matches!(emit, Err(EmitError::Reserved(reserved)) if reserved == name));
        assert!(matches!(broadcast, Err(EmitError::Reserved(reserved)) if reserved == name));
    }
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_server_with_a_handler_for_a_reserved_name_does_not_start() {
    for name in RESERVED {
        let server = Server::new()
            .namespace(Namespace::new("/"))
            .namespace(Namespace::new("/a").on(name, async |_, _: ()| ()));
        let error = server.bind("127.0.0.1:0").await.err();
        let error = error.map(|error| error.to_string());
        assert_eq!(error, Some(format!("event name {name:?} is reserved")));
    }
    drop(
        start(Server::new().namespace(Namespace::new("/").on("error", async |_, _: ()| ()))).await,
    );
}

#[tokio::test]
async fn what_cannot_be_encoded_is_an_error_and_sends_nothing() {
    let (seen, mut entries) = log::<bool>();
    let namespace = Namespace::new("/")
        .on_connect(async move |socket| {
            let too_many = vec![Value::Binary(Bytes::from_static(b"x")); 11];
            let error = socket.emit("many", Args(too_many));
            seen.write(matches!(error, Err(EmitError::Encode(_))));
            let mut deep = Value::Null;
            for _ in 0..200 {
                deep = Value::Array(vec![deep]);
            }
            seen.write(matches!(
                socket.emit("deep", deep),
                Err(EmitError::Encode(_))
            ));
        })
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    assert!(entries.next().await);
    assert!(entries.next().await);
    client.expect_nothing().await;
}

#[tokio::test]
async fn a19_an_event_with_a_number_beyond_f64_reaches_untyped_handlers() {
    let namespace = Namespace::new("/")
        .on("echo", async |_, args: Args| args)
        .on("half", async |_, number: f64| number / 2.0);
    let server = serve(namespace).await;
    let digits = "9".repeat(900_000);
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        client
            .send(r#"21["echo",1e400,{"a":[-1e999]},9007199254740993]"#)
            .await;
        client
            .expect(r#"31[null,{"a":[null]},9007199254740993]"#)
            .await;
        client.send(&format!(r#"22["echo",{digits}]"#)).await;
        client.expect("32[null]").await;
        // It does not fit, so that its handler does not run; the connection goes on.
        client.send(r#"2["half",1e400]"#).await;
        client.send(r#"23["half",3]"#).await;
        client.expect("33[1.5]").await;
    }
}
