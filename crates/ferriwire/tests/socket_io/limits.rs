//! Limits of a Socket.IO server (security 2.2 and 2.3).

use std::time::{Duration, Instant};

use ferriwire::{
    Config, DisconnectReason, EmitError, EncodeError, Event, LimitKind, Limits, Namespace, Rate,
    Server, Socket, Transport, Value,
};

use crate::client::{Client, PATH, TRANSPORTS, asked};
use crate::support::http::Http;
use crate::support::until;
use crate::{Entries, log, serve_with, start};

#[tokio::test]
async fn clients_that_have_joined_nothing_do_not_keep_others_out_for_long() {
    let limits = Limits::new().max_unauthenticated(2);
    let config = Config::new().limits(limits);
    let server = serve_with(config, Namespace::new("/")).await;
    let handshake = format!("{PATH}?EIO=4&transport=polling");
    let status = async || {
        let mut http = Http::connect(server.local_addr()).await;
        http.get(&handshake).await.status
    };

    let mut first = Client::open(&server, Transport::WebSocket).await;
    let second = Client::open(&server, Transport::WebSocket).await;
    assert_eq!(status().await, 503);
    assert_eq!(server.stats().limited(LimitKind::Unauthenticated), 1);

    // Who joins makes room for one, and does not make it again by joining again.
    first.send("0").await;
    assert!(first.packet().await.starts_with("0{"));
    first.send("1").await;
    first.send("0").await;
    assert!(first.packet().await.starts_with("0{"));
    let third = Client::open(&server, Transport::WebSocket).await;
    assert_eq!(status().await, 503);

    // So does who goes, whether he joined or not.
    drop((second, third));
    until("two ends", || server.stats().sessions() == 1).await;
    let _polling = Client::open(&server, Transport::Polling).await;
    assert_eq!(status().await, 200);
    assert_eq!(status().await, 503);
    assert_eq!(server.stats().limited(LimitKind::Unauthenticated), 3);
}

/// A namespace that logs the first argument of each event, and why sockets leave.
fn logging() -> (Namespace, Entries<i64>, Entries<DisconnectReason>) {
    let (events, received) = log();
    let (reasons, left) = log();
    let namespace = Namespace::new("/")
        .on("n", async move |_, number: i64| events.write(number))
        .on_disconnect(async move |_, reason| reasons.write(reason));
    (namespace, received, left)
}

#[tokio::test]
async fn whoever_emits_too_fast_is_read_later_and_loses_nothing() {
    for transport in TRANSPORTS {
        let limits = Limits::new().event_rate(Rate::per_second(200).burst(50));
        let (namespace, mut received, _left) = logging();
        let server = serve_with(Config::new().limits(limits), namespace).await;
        let mut client = Client::connect_over(&server, transport).await;
        let begun = Instant::now();
        for first in [0, 100] {
            let packets: Vec<_> = (first..first + 100)
                .map(|number| format!(r#"2["n",{number}]"#))
                .collect();
            let packets: Vec<_> = packets.iter().map(String::as_str).collect();
            client.send_all(&packets).await;
            for number in first..first + 100 {
                assert_eq!(received.next().await, number, "{transport:?}");
            }
        }
        // What came in the second batch waited for what the first one had taken too much.
        assert!(
            begun.elapsed() >= Duration::from_millis(200),
            "{transport:?}"
        );
        // That it was read later is counted, and it was not closed.
        let stats = server.stats();
        assert!(stats.limited(LimitKind::Events) > 0, "{transport:?}");
        assert_eq!(stats.limited(LimitKind::EventFloodTime), 0);
    }
}

/// Time stands still but where the test moves it: somebody is always ready to run, so that the
/// runtime has no reason to.
#[tokio::test]
async fn whoever_goes_on_emitting_too_fast_is_closed() {
    let limits = Limits::new()
        .event_rate(Rate::per_second(10_000).burst(100))
        .event_flood_timeout(Duration::from_millis(500));
    let (namespace, _received, mut left) = logging();
    let server = serve_with(Config::new().limits(limits), namespace).await;
    let mut client = Client::connect(&server).await;
    tokio::time::pause();
    // Three floods within the time, each of which is over before the next, and one behind it.
    for flood in 1..=3 {
        client.send_all(&[r#"2["n",1]"#; 300]).await;
        until("a pause", || {
            server.stats().limited(LimitKind::Events) == flood
        })
        .await;
        assert_eq!(server.stats().limited(LimitKind::EventFloodTime), 0);
        assert_eq!(server.stats().sessions(), 1);
        tokio::time::advance(Duration::from_millis(200)).await;
    }
    client.send_all(&[r#"2["n",1]"#; 300]).await;
    until("the end", || server.stats().sessions() == 0).await;
    tokio::time::resume();
    assert_eq!(left.next().await, DisconnectReason::LimitExceeded);
    assert_eq!(server.stats().limited(LimitKind::EventFloodTime), 1);
}

const QUESTION: Event<(), bool> = Event::new("question");

/// Each flood is twice the burst, and whoever overdraws is closed at once.
#[tokio::test]
async fn packets_that_nobody_hears_count_and_awaited_answers_do_not() {
    let limits = Limits::new()
        .event_rate(Rate::per_second(1).burst(50))
        .event_flood_timeout(Duration::ZERO);
    let main = Namespace::new("/").on("ask", async |socket: Socket, _: ()| {
        let mut answers = 0;
        for _ in 0..100 {
            let answer = socket.emit_with_ack(QUESTION, ()).await;
            answers += u32::from(matches!(answer, Ok(true)));
        }
        answers
    });
    let server = Server::new().config(Config::new().limits(limits));
    let server = start(server.namespace(main).namespace(Namespace::new("/x"))).await;
    for (closed, packet) in (1..).zip([r#"2/x,["n",1]"#, "1/x,", "3/x,7[]", "37[]"]) {
        let mut client = Client::connect(&server).await;
        client.join("/x").await;
        client.send("1/x,").await;
        client.send_all(&[packet; 100]).await;
        client.expect_end().await;
        assert_eq!(
            server.stats().limited(LimitKind::EventFloodTime),
            closed,
            "{packet}"
        );
    }
    let mut client = Client::connect(&server).await;
    client.send(r#"20["ask"]"#).await;
    for _ in 0..100 {
        let id = asked(&mut client, r#"["question"]"#).await;
        client.send(&format!("3{id}[true]")).await;
    }
    client.expect("30[100]").await;
}

#[tokio::test]
async fn packets_keep_to_limits_that_were_set() {
    let limits = Limits::new()
        .max_attachments(2)
        .max_arguments(3)
        .max_event_name(4)
        .attachments_timeout(Duration::from_millis(300))
        .max_namespaces(2)
        .max_namespace_name(5);
    let (namespace, mut received, _left) = logging();
    let server = Server::new()
        .config(Config::new().limits(limits))
        .namespace(namespace)
        .namespace(Namespace::new("/four"));
    let server = start(server).await;
    for (packet, passes) in [
        (r#"2["n",1,2,3]"#, true),
        (r#"2["n",1,2,3,4]"#, false),
        (r#"2["name"]"#, true),
        (r#"2["names"]"#, false),
        (r#"53-["n",1]"#, false),
        // Never completed.
        (r#"52-["n",1]"#, false),
    ] {
        let mut client = Client::connect(&server).await;
        client.send(packet).await;
        if passes {
            client.send(r#"2["n",7]"#).await;
            while received.next().await != 7 {}
        } else {
            client.expect_end().await;
        }
    }
    let mut client = Client::connect(&server).await;
    client.send("0/fives,").await;
    client
        .expect(r#"4/fives,{"message":"Invalid namespace"}"#)
        .await;
    client.join("/four").await;
    client.send("0/x,").await;
    client
        .expect(r#"4/x,{"message":"limit of 2 namespaces reached"}"#)
        .await;
}

#[tokio::test]
async fn rooms_keep_to_limits_that_were_set() {
    let limits = Limits::new().max_rooms_per_socket(2).max_room_name(3);
    let namespace = Namespace::new("/").on("join", async |socket, room: String| {
        socket.join(room).is_ok()
    });
    let server = serve_with(Config::new().limits(limits), namespace).await;
    let mut client = Client::connect(&server).await;
    for (id, (room, joined)) in [
        ("abcd", false),
        ("abc", true),
        ("b", true),
        ("c", false),
        ("b", true),
    ]
    .into_iter()
    .enumerate()
    {
        client.send(&format!(r#"2{id}["join","{room}"]"#)).await;
        client.expect(&format!("3{id}[{joined}]")).await;
    }
}

#[tokio::test]
async fn nesting_keeps_to_the_limit_that_was_set_in_both_directions() {
    let nested =
        |levels: usize| (0..levels).fold(Value::Null, |value, _| Value::Array(vec![value]));
    for (limit, last) in [(3, 3), (128, 128), (1_000, 128)] {
        let main = Namespace::new("/")
            .on("echo", async |_, value: Value| value)
            .on("emit", async move |socket: Socket, levels: usize| {
                let sent = socket.emit("value", (nested(levels),));
                let too_deep = matches!(sent, Err(EmitError::Encode(EncodeError::TooDeep)));
                assert_eq!(too_deep, sent.is_err());
                sent.is_ok()
            });
        let limits = Limits::new().max_depth(limit);
        let server = serve_with(Config::new().limits(limits), main).await;
        let text = |levels: usize| format!("{}null{}", "[".repeat(levels), "]".repeat(levels));
        let mut client = Client::connect(&server).await;
        for levels in [last - 1, last] {
            client
                .send(&format!(r#"21["echo",{}]"#, text(levels)))
                .await;
            client.expect(&format!("31[{}]", text(levels))).await;
            client.send(&format!(r#"22["emit",{levels}]"#)).await;
            client
                .expect(&format!(r#"2["value",{}]"#, text(levels)))
                .await;
            client.expect("32[true]").await;
        }
        for levels in [last + 1, last + 500] {
            client.send(&format!(r#"22["emit",{levels}]"#)).await;
            client.expect("32[false]").await;
        }
        client
            .send(&format!(r#"21["echo",{}]"#, text(last + 1)))
            .await;
        client.expect_end().await;
        let mut client = Client::connect(&server).await;
        client
            .send(&format!(r#"21["echo",{}]"#, text(100_000)))
            .await;
        client.expect_end().await;
        let mut client = Client::open(&server, Transport::WebSocket).await;
        client.send(&format!(r#"0{{"a":{}}}"#, text(last))).await;
        client.expect_end().await;
        assert_eq!(server.stats().limited(LimitKind::Depth), 3);
    }
}

#[tokio::test]
async fn others_run_after_every_64_writes_of_a_broadcast() {
    const CLIENTS: usize = 150;
    let server = serve_with(Config::new(), Namespace::new("/")).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Client::connect(&server).await);
    }
    let written = || server.stats().bytes_out;
    let before = written();
    server.handle("/").emit("said", ()).expect("it is sent");
    // This test and the server take turns on one thread: what was written in each of the server's.
    let mut turns = Vec::new();
    let mut last = before;
    for _ in 0..100 {
        tokio::task::yield_now().await;
        let now = written();
        turns.push(now - last);
        last = now;
    }
    for client in &mut clients {
        client.expect(r#"2["said"]"#).await;
    }
    let all = written() - before;
    turns.retain(|bytes| *bytes > 0);
    assert_eq!(turns.iter().sum::<u64>(), all);
    let each = all / CLIENTS as u64;
    let writes: Vec<_> = turns.iter().map(|bytes| bytes / each).collect();
    assert_eq!(writes, [64, 64, 22]);
}
