//! Whatever a client does too much or wrong is counted once, under a reason of a closed set
//! (security 2.3).

use std::future::pending;
use std::time::Duration;

use ferriwire::{
    Config, ConnectError, Event, Handshake, LimitKind, Limits, Namespace, RunningServer, Server,
    Socket, Transport,
};

use crate::client::{Client, asked};
use crate::start;
use crate::support::{counted, until};

const QUESTION: Event<(), bool> = Event::new("question");

async fn serve(limits: Limits) -> RunningServer {
    let main = Namespace::new("/")
        .on("settle", async |_, _: ()| ())
        .on("unfit", async |_, _: u64| ());
    start(
        Server::new()
            .config(Config::new().limits(limits))
            .namespace(main),
    )
    .await
}

#[tokio::test]
async fn each_packet_that_ends_a_connection_is_counted_under_one_reason() {
    let limits = Limits::new()
        .max_attachments(2)
        .max_arguments(3)
        .max_event_name(8)
        .max_payload(4_000);
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let large = "x".repeat(5_000);
    for (packet, reason) in [
        // At the limit, beyond it by one, and far beyond.
        (r#"2["e",1,2,3]"#.to_owned(), None),
        (r#"2["e",1,2,3,4]"#.to_owned(), Some("max_arguments")),
        (
            format!(r#"2["e"{}]"#, ",1".repeat(1_000)),
            Some("max_arguments"),
        ),
        (r#"2["exactly8"]"#.to_owned(), None),
        (r#"2["exactly89"]"#.to_owned(), Some("max_event_name")),
        (
            format!(r#"2["{}"]"#, "n".repeat(3_000)),
            Some("max_event_name"),
        ),
        (r#"52-["e"]"#.to_owned(), None),
        (r#"53-["e"]"#.to_owned(), Some("max_attachments")),
        (r#"5999999999-["e"]"#.to_owned(), Some("max_attachments")),
        (format!(r#"2["e",{}]"#, nested(128)), None),
        (format!(r#"2["e",{}]"#, nested(129)), Some("max_depth")),
        (format!(r#"2["e",{}]"#, nested(1_900)), Some("max_depth")),
        (format!(r#"2["{large}"]"#), Some("max_payload")),
        ("9".to_owned(), Some("packet")),
        (r#"50-["e"]"#.to_owned(), Some("packet")),
        (r#"3["e"]"#.to_owned(), Some("packet")),
        (r#"29007199254740991["e"]"#.to_owned(), None),
        (r#"29007199254740992["e"]"#.to_owned(), Some("packet")),
        (format!(r#"2{}["e"]"#, "9".repeat(900)), Some("packet")),
        (r#"2["e",]"#.to_owned(), Some("payload")),
        (r#"2{"e":1}"#.to_owned(), Some("payload")),
        (r#"2["unfit",x]"#.to_owned(), Some("payload")),
        // Correct, but not what the handler takes.
        (r#"2["unfit","x"]"#.to_owned(), None),
        (
            r#"51-["e",{"_placeholder":true,"num":1}]"#.to_owned(),
            Some("attachments"),
        ),
        (r#"2["connect"]"#.to_owned(), Some("reserved_name")),
        ("2/x,[\"e\"]".to_owned(), Some("state")),
        ("0".to_owned(), Some("state")),
        (r#"4{"message":"no"}"#.to_owned(), Some("state")),
    ] {
        let server = serve(limits.clone()).await;
        let mut client = Client::connect(&server).await;
        client.send(&packet).await;
        match reason {
            Some(_) => client.expect_end().await,
            // Its attachments are missing.
            None if packet.starts_with('5') => {}
            None => client.expect_nothing().await,
        }
        let expected: Vec<_> = reason.into_iter().map(|reason| (reason, 1)).collect();
        let shown = packet.get(..packet.len().min(60));
        assert_eq!(counted(&server.stats()), expected, "{shown:?}");
    }
}

#[tokio::test]
async fn attachments_that_do_not_fit_are_counted() {
    let limits = Limits::new()
        .max_payload(1_000)
        .attachments_timeout(Duration::from_millis(200));
    let heavy = vec![0; 990];
    for (sent, reason) in [(None, "attachments_timeout"), (Some(heavy), "max_payload")] {
        let server = serve(limits.clone()).await;
        let mut client = Client::connect(&server).await;
        client
            .send(r#"51-["e",{"_placeholder":true,"num":0}]"#)
            .await;
        if let Some(data) = sent {
            client.send_binary(&data).await;
        }
        client.expect_end().await;
        assert_eq!(counted(&server.stats()), [(reason, 1)]);
    }
    let server = serve(limits).await;
    let mut client = Client::connect(&server).await;
    client.send_binary(b"x").await;
    client.expect_end().await;
    assert_eq!(counted(&server.stats()), [("attachments", 1)]);
}

#[tokio::test]
async fn each_refusal_by_a_limit_is_counted_under_its_setting() {
    let limits = Limits::new()
        .max_namespaces(2)
        .max_namespace_name(5)
        .max_dynamic_namespaces(1)
        .auth_timeout(Duration::from_millis(200));
    let slow = Namespace::new("/slow").auth(async |_: Handshake<()>| {
        pending::<()>().await;
        Ok::<_, ConnectError>(())
    });
    let server = Server::new()
        .config(Config::new().limits(limits))
        .namespace(Namespace::new("/"))
        .namespace(slow)
        .namespace(Namespace::regex(r"^/d\d$"));
    let server = start(server).await;
    let mut client = Client::connect(&server).await;
    for (namespace, message, reason) in [
        ("/fives", "Invalid namespace", "max_namespace_name"),
        ("/slow", "authentication timed out", "auth_timeout"),
    ] {
        client.send(&format!("0{namespace},")).await;
        let expected = format!(r#"4{namespace},{{"message":"{message}"}}"#);
        client.expect(&expected).await;
        let stats = server.stats();
        assert!(counted(&stats).contains(&(reason, 1)), "{namespace}");
    }
    client.join("/d1").await;
    client.send("0/d2,").await;
    client
        .expect(r#"4/d2,{"message":"limit of 2 namespaces reached"}"#)
        .await;
    let mut other = Client::connect(&server).await;
    other.send("0/d2,").await;
    other
        .expect(r#"4/d2,{"message":"limit of 1 dynamic namespaces reached"}"#)
        .await;
    let stats = server.stats();
    let mut reasons = counted(&stats);
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            ("auth_timeout", 1),
            ("max_dynamic_namespaces", 1),
            ("max_namespace_name", 1),
            ("max_namespaces", 1),
        ]
    );
    // What refused them was no decision of the program.
    assert_eq!((stats.refused_by_auth, stats.unknown_namespaces), (0, 0));
}

#[tokio::test]
async fn who_joins_nothing_in_time_is_counted() {
    let limits = Limits::new().connect_timeout(Duration::from_millis(200));
    let server = serve(limits).await;
    let mut client = Client::open(&server, Transport::WebSocket).await;
    client.expect_end().await;
    assert_eq!(counted(&server.stats()), [("connect_timeout", 1)]);
}

#[tokio::test]
async fn what_a_socket_may_not_hold_is_an_error_and_counted() {
    let limits = Limits::new()
        .max_rooms_per_socket(2)
        .max_room_name(3)
        .max_pending_acks(1);
    let main = Namespace::new("/")
        .on("join", async |socket: Socket, room: String| {
            socket.join(room).is_ok()
        })
        .on("ask", async |socket: Socket, _: ()| {
            let first = socket.emit_with_ack(QUESTION, ());
            let second = socket.emit_with_ack(QUESTION, ());
            let (_, second) = tokio::join!(first, second);
            second.is_ok()
        });
    let server = Server::new().config(Config::new().limits(limits));
    let server = start(server.namespace(main)).await;
    let mut client = Client::connect(&server).await;
    for (room, joined) in [
        ("abcd", false),
        ("a", true),
        ("b", true),
        ("c", false),
        ("d", false),
    ] {
        client.send(&format!(r#"21["join","{room}"]"#)).await;
        client.expect(&format!("31[{joined}]")).await;
    }
    client.send(r#"21["ask"]"#).await;
    let id = asked(&mut client, r#"["question"]"#).await;
    client.send(&format!("3{id}[true]")).await;
    client.expect("31[false]").await;
    assert_eq!(
        counted(&server.stats()),
        [
            ("max_rooms_per_socket", 2),
            ("max_room_name", 1),
            ("max_pending_acks", 1),
        ]
    );
}

#[tokio::test]
async fn a_client_that_is_not_read_from_while_handlers_run_is_counted() {
    let limits = Limits::new()
        .max_running_handlers(2)
        .handler_grace(Duration::ZERO);
    let main = Namespace::new("/").on("never", async |_, _: ()| pending::<()>().await);
    let server = Server::new().config(Config::new().limits(limits));
    let server = start(server.namespace(main).namespace(Namespace::new("/x"))).await;
    let client = Client::connect_over(&server, Transport::Polling).await;
    let held = [r#"2["never"]"#; 3];
    let packets = [held.as_slice(), &["0/x,"]].concat();
    // The third handler waits, and so does whatever is behind it; a CONNECT cannot.
    let packets: Vec<_> = packets.iter().map(|packet| format!("4{packet}")).collect();
    let mut polling = client.into_polling();
    let target = polling.target();
    polling
        .posts
        .start("POST", &target, &[], packets.join("\x1e"))
        .await;
    until("the refusal", || {
        server.stats().limited(LimitKind::RunningHandlers) == 2
    })
    .await;
    drop(polling);
    until("the end of the handlers", || {
        server.stats().limited(LimitKind::HandlerGrace) == 1
    })
    .await;
}
