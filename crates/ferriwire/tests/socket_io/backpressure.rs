//! Clients that read too slowly: what is dropped, what is not, and who waits.
//!
//! A client on long-polling without a GET takes nothing, which is as slow as it gets.

use std::time::Duration;

use ferriwire::{
    Config, EmitError, Limits, Namespace, Overflow, RunningServer, Server, Socket, Transport,
};

use crate::client::{Client, Received};
use crate::support::within;
use crate::{log, serve_with, start, stop};

/// What may wait, in bytes: ten events of 100 bytes and a bit.
const BOUND: usize = 1_050;

fn config() -> Config {
    Config::new().limits(Limits::new().max_buffered(BOUND))
}

/// One event, of 100 bytes on a WebSocket.
fn payload(number: usize) -> String {
    let wrapping = "\u{81}\u{2}42[\"e\",\"\"]".chars().count();
    let width = 100 - wrapping;
    format!("{number:0>width$}")
}

/// A client that reads nothing for now, and its socket.
async fn slow_client(config: Config) -> (RunningServer, Client, Socket) {
    let (connected, mut sockets) = log();
    let namespace = Namespace::new("/")
        .on_connect(async move |socket: Socket| connected.write(socket))
        .on("question", async |_: Socket, ()| "answer".to_owned());
    let server = serve_with(config, namespace).await;
    let client = Client::connect_over(&server, Transport::Polling).await;
    let socket = sockets.next().await;
    (server, client, socket)
}

/// The numbers of the events that arrive before `last`.
async fn numbers_until(client: &mut Client, last: &str) -> Vec<usize> {
    let mut numbers = Vec::new();
    loop {
        let packet = client.packet().await;
        if packet == last {
            return numbers;
        }
        let number = packet.strip_prefix("2[\"e\",\"").expect("an event");
        let number = number.trim_end_matches("\"]");
        numbers.push(number.parse().expect("a number"));
    }
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_or_the_newest_events() {
    let cases = [
        (Overflow::DropOldest, [0, 11, 19]),
        (Overflow::DropNewest, [0, 1, 9]),
    ];
    for (overflow, [first, second, last]) in cases {
        let (server, mut client, socket) = slow_client(config().overflow(overflow)).await;
        for number in 0..20 {
            socket
                .emit("e", payload(number))
                .expect("something is dropped");
        }
        assert!(socket.buffered_bytes() <= BOUND + 100);
        // An acknowledgement is not dropped, and does not wait behind what was.
        client.send("27[\"question\"]").await;
        let numbers = numbers_until(&mut client, "37[\"answer\"]").await;
        // Each time eleven wait behind the next one, two are dropped: then an eighth is free.
        assert_eq!(numbers.len(), 10, "the next one, and nine behind it");
        assert_eq!(numbers[..2], [first, second], "{overflow:?}");
        assert_eq!(numbers[9], last, "{overflow:?}");
        assert_eq!(server.stats().dropped_events, 10);
        stop(server).await;
    }
}

#[tokio::test]
async fn at_the_bound_nothing_is_dropped_and_one_byte_above_it_an_eighth_is() {
    // A frame of more than 125 bytes has a header that is two bytes longer.
    for (longer, dropped) in [(0, 0), (48, 0), (49, 2)] {
        let (server, mut client, socket) =
            slow_client(config().overflow(Overflow::DropOldest)).await;
        for number in 0..10 {
            socket.emit("e", payload(number)).expect("it fits");
        }
        let text = format!("{}{}", "0".repeat(longer), payload(10));
        socket.emit("e", text).expect("something is dropped");
        assert_eq!(
            server.stats().dropped_events,
            dropped,
            "{longer} bytes more"
        );
        for _ in dropped..11 {
            assert!(client.packet().await.starts_with("2[\"e\""));
        }
        stop(server).await;
    }
}

#[tokio::test]
async fn an_event_and_a_socket_have_policies_of_their_own() {
    let (server, mut client, socket) = slow_client(config()).await;
    for number in 0..20 {
        let disposable = socket.overflow(Overflow::DropOldest);
        disposable
            .emit("e", payload(number))
            .expect("it is disposable");
    }
    // What is not disposable takes the place of what is.
    for number in 20..25 {
        socket.emit("e", payload(number)).expect("there is room");
    }
    client.send("27[\"question\"]").await;
    let numbers = numbers_until(&mut client, "37[\"answer\"]").await;
    assert_eq!(numbers, [0, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]);

    socket.set_overflow(Overflow::DropNewest);
    for number in 0..20 {
        socket
            .emit("e", payload(number))
            .expect("something is dropped");
    }
    socket.set_overflow(Overflow::Close);
    let closed = (0..20).find_map(|number| socket.emit("e", payload(number)).err());
    assert!(matches!(closed, Some(EmitError::Full)), "{closed:?}");
    stop(server).await;
}

#[tokio::test]
async fn a_broadcast_drops_where_it_must_and_nowhere_else() {
    let (connected, mut sockets) = log();
    let namespace = Namespace::new("/")
        .on_connect(async move |socket: Socket| connected.write(socket))
        .on("question", async |_: Socket, ()| "answer".to_owned());
    let server = start(Server::new().config(config()).namespace(namespace)).await;
    let mut slow = Client::connect_over(&server, Transport::Polling).await;
    let slow_socket = sockets.next().await;
    let mut fast = Client::connect(&server).await;
    let everybody = server.handle("/");
    for number in 0..20 {
        let broadcast = everybody.all().overflow(Overflow::DropNewest);
        broadcast.emit("e", payload(number)).expect("it is sent");
        assert!(fast.packet().await.starts_with("2[\"e\""));
    }
    assert!(slow_socket.is_connected());
    slow.send("27[\"question\"]").await;
    let numbers = numbers_until(&mut slow, "37[\"answer\"]").await;
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    stop(server).await;
}

#[tokio::test]
async fn of_one_key_a_slow_client_gets_the_latest() {
    let (server, mut client, socket) = slow_client(config()).await;
    let other = socket.handle();
    socket.emit("e", payload(0)).unwrap();
    for number in 1..1_000 {
        socket
            .latest("a")
            .emit("e", payload(number))
            .expect("one waits");
        let b = other.to(socket.id()).latest("b");
        b.emit("e", payload(1_000 + number)).expect("one waits");
    }
    assert_eq!(socket.buffered_bytes(), 300);
    client.send("27[\"question\"]").await;
    let numbers = numbers_until(&mut client, "37[\"answer\"]").await;
    assert_eq!(numbers, [0, 999, 1_999]);
    assert_eq!(server.stats().dropped_events, 0, "replaced, not dropped");
    stop(server).await;
}

#[tokio::test]
async fn who_awaits_room_never_makes_a_slow_consumer() {
    let (server, mut client, socket) = slow_client(config()).await;
    let producer = tokio::spawn(async move {
        let mut most = 0;
        for number in 0..200 {
            socket.emit_when_ready("e", payload(number)).await?;
            most = most.max(socket.buffered_bytes());
        }
        socket.drained().await?;
        Ok::<_, EmitError>((most, socket.buffered_bytes()))
    });
    for number in 0..200 {
        assert_eq!(
            client.packet().await,
            format!("2[\"e\",\"{}\"]", payload(number))
        );
    }
    let (most, left) = within("the producer", producer).await.unwrap().unwrap();
    assert!(most <= BOUND / 2 + 100, "{most} bytes waited");
    assert_eq!(left, 0);
    stop(server).await;
}

#[tokio::test]
async fn who_waits_is_told_when_the_client_leaves() {
    let (server, client, socket) = slow_client(config()).await;
    socket.emit("e", payload(0)).unwrap();
    let drained = tokio::spawn(async move { socket.drained().await });
    tokio::task::yield_now().await;
    assert!(!drained.is_finished());
    stop(server).await;
    let result = within("the end", drained).await.unwrap();
    assert!(matches!(result, Err(EmitError::Disconnected)), "{result:?}");
    drop(client);
}

#[tokio::test]
async fn a_websocket_that_stops_reading_loses_only_what_may_be_dropped() {
    let config = Config::new()
        .ping_interval(Duration::from_secs(600))
        .limits(Limits::new().max_buffered(64 * 1024));
    let (connected, mut sockets) = log();
    let namespace =
        Namespace::new("/").on_connect(async move |socket: Socket| connected.write(socket));
    let server = serve_with(config, namespace).await;
    let mut client = Client::connect(&server).await;
    let socket = sockets.next().await;
    let text = "x".repeat(10_000);
    let mut sent = 0_usize;
    while server.stats().dropped_events < 100 {
        let event = socket.overflow(Overflow::DropOldest);
        event
            .emit("e", (sent, &text))
            .expect("it is dropped at worst");
        sent += 1;
    }
    socket
        .emit("last", ())
        .expect("it takes the place of others");
    let mut numbers = Vec::new();
    loop {
        match client.next().await {
            Received::Text(packet) if packet == "2[\"last\"]" => break,
            Received::Text(packet) => {
                let number = packet.trim_start_matches("2[\"e\",").split(',').next();
                numbers.push(number.and_then(|number| number.parse().ok()).unwrap_or(0));
            }
            other @ (Received::Binary(_) | Received::End) => {
                crate::support::fail(&format!("an event was expected, not {other:?}"))
            }
        }
    }
    assert!(numbers.is_sorted_by(|a: &usize, b| a < b), "in order");
    assert_eq!(numbers.last(), Some(&(sent - 1)));
    let dropped = usize::try_from(server.stats().dropped_events).unwrap();
    assert_eq!(numbers.len(), sent - dropped, "each is counted");
    stop(server).await;
}
