//! What comes first arrives first, and starts first, however much there is of it.

use std::sync::Arc;
use std::time::Duration;

use ferriwire::{Config, Limits, Namespace, Transport};
use tokio::sync::Semaphore;

use crate::client::{Client, TRANSPORTS};
use crate::support::websocket::Frame;
use crate::support::within;
use crate::{log, serve, serve_with};

/// Long enough to see that something does not happen, which makes no test fail that should pass.
const A_WHILE: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_emits_of_one_handler_arrive_whole_and_in_order() {
    let namespace = Namespace::new("/").on("go", async |socket, size: usize| {
        for number in 0..10_000 {
            let payload = format!("{number:0size$}");
            socket.emit("event", &payload).expect("the client reads");
        }
    });
    let server = serve(namespace).await;
    for (transport, size) in [
        (Transport::WebSocket, 20),
        (Transport::WebSocket, 200),
        (Transport::Polling, 20),
    ] {
        let mut client = Client::connect_over(&server, transport).await;
        client.send(&format!(r#"2["go",{size}]"#)).await;
        for number in 0..10_000 {
            client
                .expect(&format!(r#"2["event","{number:0size$}"]"#))
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_sleep_at_random_start_in_the_order_of_their_events() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on("event", async move |_, number: u64| {
        seen.write(number);
        // The sleep is what is tested: handlers end in another order than they began.
        tokio::time::sleep(Duration::from_micros(number * 7_919 % 3_000)).await;
        number
    });
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        let events: Vec<_> = (0..1_000)
            .map(|number| format!(r#"2{number}["event",{number}]"#))
            .collect();
        let events: Vec<_> = events.iter().map(String::as_str).collect();
        for some in events.chunks(100) {
            client.send_all(some).await;
        }
        for number in 0..1_000 {
            assert_eq!(entries.next().await, number);
        }
        let mut answers = Vec::new();
        for _ in 0..1_000 {
            answers.push(client.packet().await);
        }
        let in_order = (0..1_000).map(|number| format!("3{number}[{number}]"));
        assert!(!answers.iter().cloned().eq(in_order), "nobody overtook");
        answers.sort();
        answers.dedup();
        assert_eq!(answers.len(), 1_000);
    }
}

/// A namespace whose handlers wait for a permit, and log their event's number when they start.
fn waiting() -> (Namespace, Arc<Semaphore>, crate::Entries<u64>) {
    let (seen, entries) = log();
    let permits = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&permits);
    let namespace = Namespace::new("/").on("event", async move |_, (number, _): (u64, String)| {
        seen.write(number);
        waits.acquire().await.expect("it is never closed").forget();
        number
    });
    (namespace, permits, entries)
}

#[tokio::test]
async fn a_full_connection_is_not_read_and_goes_on_later() {
    let (namespace, permits, mut entries) = waiting();
    let config = Config::new().limits(Limits::new().max_running_handlers(2));
    let server = serve_with(config, namespace).await;
    let client = Client::connect(&server).await;
    let mut websocket = client.into_websocket();
    // Much more than what the sockets of both sides hold.
    let (events, filler) = (200, "x".repeat(100_000));
    let mut sending = tokio::spawn(async move {
        for number in 0..events {
            let event = format!(r#"42{number}["event",{number},"{filler}"]"#);
            websocket.send_text(&event).await;
        }
        websocket
    });
    assert_eq!((entries.next().await, entries.next().await), (0, 1));
    let early = tokio::time::timeout(A_WHILE, &mut sending).await;
    assert!(early.is_err(), "everything was read");
    let early = tokio::time::timeout(A_WHILE, entries.next()).await;
    assert!(early.is_err(), "a third handler runs");
    permits.add_permits(1);
    assert_eq!(entries.next().await, 2);
    permits.add_permits(events);
    for number in 3..events as u64 {
        assert_eq!(entries.next().await, number);
    }
    let mut websocket = within("sending", sending).await.expect("no panic");
    for number in 0..events {
        assert_eq!(websocket.text().await, format!("43{number}[{number}]"));
    }
}

/// A body of many small events does not become a great deal of larger ones that wait in memory.
#[tokio::test]
async fn of_a_post_no_more_is_taken_up_than_may_wait() {
    let (namespace, permits, mut entries) = waiting();
    let config = Config::new().limits(Limits::new().max_running_handlers(2));
    let server = serve_with(config, namespace).await;
    let client = Client::connect_over(&server, Transport::Polling).await;
    let mut polling = client.into_polling();
    let (events, before) = (9_000, server.stats().events_in);
    let body: Vec<_> = (0..events)
        .map(|number| format!(r#"42["event",{number},""]"#))
        .collect();
    let target = polling.target();
    let body = body.join("\x1e");
    polling.posts.start("POST", &target, &[], &body).await;
    assert_eq!((entries.next().await, entries.next().await), (0, 1));
    let taken_up = || server.stats().events_in - before;
    let early = tokio::time::timeout(A_WHILE, entries.next()).await;
    assert!(early.is_err(), "a third handler runs");
    // 64 KiB of them, and each takes more than 64 bytes.
    assert!(
        (3..1_024).contains(&taken_up()),
        "{} events wait",
        taken_up()
    );
    permits.add_permits(events);
    for number in 2..events as u64 {
        assert_eq!(entries.next().await, number);
    }
    assert_eq!(polling.posts.response().await.text(), "ok");
    assert_eq!(taken_up(), events as u64);
}

#[tokio::test]
async fn a_full_connection_that_polls_gets_its_post_answered_later() {
    let (namespace, permits, mut entries) = waiting();
    let config = Config::new().limits(Limits::new().max_running_handlers(2));
    let server = serve_with(config, namespace).await;
    let client = Client::connect_over(&server, Transport::Polling).await;
    let mut polling = client.into_polling();
    let events: Vec<_> = (0..3)
        .map(|number| format!(r#"42["event",{number},""]"#))
        .collect();
    let target = polling.target();
    polling
        .posts
        .start("POST", &target, &[], events.join("\x1e"))
        .await;
    assert_eq!((entries.next().await, entries.next().await), (0, 1));
    let early = tokio::time::timeout(A_WHILE, polling.posts.response()).await;
    assert!(early.is_err(), "the POST was answered");
    permits.add_permits(1);
    assert_eq!(entries.next().await, 2);
    permits.add_permits(1);
    assert_eq!(polling.posts.response().await.text(), "ok");
    permits.add_permits(1);
}

#[tokio::test]
async fn while_a_connection_is_not_read_its_ping_timeout_stands_still() {
    let (namespace, permits, mut entries) = waiting();
    let interval = Duration::from_millis(20);
    let config = Config::new()
        .limits(Limits::new().max_running_handlers(1))
        .ping_interval(interval)
        .ping_timeout(interval);
    let server = serve_with(config, namespace).await;
    let mut websocket = Client::connect(&server).await.into_websocket();
    websocket.send_text(r#"42["event",1,""]"#).await;
    assert_eq!(entries.next().await, 1);
    assert_eq!(websocket.text().await, "2");
    // The pong lies there unread.
    websocket.send_text("3").await;
    let silence = tokio::time::timeout(10 * interval, websocket.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    permits.add_permits(1);
    assert_eq!(websocket.text().await, "2");
    // Now that it is read again, a pong that does not come ends it.
    assert_eq!(websocket.rest().await, [Frame::Close(None)]);
    assert_eq!(server.stats().ping_timeouts, 1);
}

#[tokio::test]
async fn a_full_connection_still_takes_the_answers_that_were_read() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on("event", async move |socket, number: u64| {
        let answer: u64 = match socket.emit_with_ack("ask", number).await {
            Ok(arguments) => arguments.0[0].as_u64().expect("a number"),
            Err(_) => 0,
        };
        seen.write(answer);
    });
    let config = Config::new().limits(Limits::new().max_running_handlers(1));
    let server = serve_with(config, namespace).await;
    let client = Client::connect_over(&server, Transport::Polling).await;
    let mut polling = client.into_polling();
    // The number of the question is foreseeable: it counts from 0.
    let payload = "42[\"event\",7]\x1e430[17]";
    assert_eq!(polling.post(payload).await.text(), "ok");
    assert_eq!(entries.next().await, 17);
}

/// Events without arguments weighed nothing while they waited.
#[tokio::test]
async fn small_events_that_wait_for_on_connect_fill_a_connection_too() {
    let permits = Arc::new(Semaphore::new(0));
    let permit = Arc::clone(&permits);
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/")
        .on_connect(async move |_| drop(permit.acquire().await))
        .on("event", async move |_, _: ()| seen.write(()));
    let server = serve(namespace).await;
    let client = Client::connect_over(&server, Transport::Polling).await;
    let mut polling = client.into_polling();
    let (target, events) = (polling.target(), 1000);
    let payload = vec![r#"42["event"]"#; events].join("\x1e");
    polling.posts.start("POST", &target, &[], payload).await;
    let early = tokio::time::timeout(A_WHILE, polling.posts.response()).await;
    assert!(early.is_err(), "the POST was answered");
    permits.add_permits(1);
    assert_eq!(polling.posts.response().await.text(), "ok");
    for _ in 0..events {
        entries.next().await;
    }
}
