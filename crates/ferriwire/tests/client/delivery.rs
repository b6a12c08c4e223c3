//! What arrives although connections are lost: recovery, retries, and what is kept offline. Cases 80 and 82.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ferriwire::client::OfflinePolicy;
use ferriwire::{AckError, Config, EmitError, Event, Namespace, Recovery, Server};

use crate::support::{until, within};
use crate::{WAYS, Way, notes, serve, serve_one};

#[tokio::test]
async fn what_was_missed_comes_when_the_session_is_recovered() {
    let config = Config::new().recovery(Recovery::new());
    let server = serve(Server::new().config(config).namespace(Namespace::new("/"))).await;
    let everybody = server.handle("/");
    for way in WAYS {
        let (numbers, mut seen) = notes();
        let (connections, mut connected) = notes();
        let client = way
            .to(&server, "/")
            .reconnection_delay(Duration::from_millis(100), Duration::from_millis(100))
            .on("number", async move |_, number: u32| {
                numbers.send(number).expect("the test lives")
            })
            .on_connect(async move |client| {
                connections
                    .send((client.is_recovered(), client.id()))
                    .expect("the test lives");
            })
            .connect()
            .await
            .unwrap();
        let (recovered, id) = connected.next("connecting").await;
        assert!(!recovered);
        everybody.all().emit("number", 0).unwrap();
        assert_eq!(seen.next("a number").await, 0);
        client.cut();
        until("the loss", || !client.is_connected()).await;
        for number in 1..10 {
            everybody.all().emit("number", number).unwrap();
        }
        assert_eq!(connected.next("coming back").await, (true, id), "{way:?}");
        for number in 1..10 {
            assert_eq!(seen.next("a number").await, number, "{way:?}");
        }
        client.close().await;
    }
}

#[tokio::test]
async fn events_are_sent_until_they_are_acknowledged() {
    // Case 82
    const STORE: Event<u32, u32> = Event::new("store");
    let (numbers, mut seen) = notes();
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let namespace = Namespace::new("/").on_with_ack(STORE, async move |_, number, ack| {
        numbers.send(number).expect("the test lives");
        // Of two answers one is lost.
        if counted.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            ack.send(number + 1).expect("the client waits");
        }
    });
    let server = serve_one(namespace).await;
    for way in [Way::Polling, Way::WebSocket] {
        tries.store(0, Ordering::Relaxed);
        let client = way
            .to(&server, "/")
            .retries(2, Duration::from_millis(50))
            .connect()
            .await
            .unwrap();
        client.emit(STORE, 10).unwrap();
        let second = client.emit_with_ack(STORE, 20);
        let third = client.emit_with_ack(STORE, 30);
        assert_eq!(within("an answer", second).await.unwrap(), 21, "{way:?}");
        assert_eq!(within("an answer", third).await.unwrap(), 31, "{way:?}");
        for number in [10, 10, 20, 20, 30, 30] {
            assert_eq!(seen.next("a try").await, number, "{way:?}");
        }
        client.close().await;
    }
}

#[tokio::test]
async fn a_retried_event_is_given_up_and_the_next_one_has_its_turn() {
    // Case 82
    const STORE: Event<u32, u32> = Event::new("store");
    let namespace = Namespace::new("/").on_with_ack(STORE, async |_, number, ack| {
        if number != 1 {
            ack.send(number).expect("the client waits");
        }
    });
    let server = serve_one(namespace).await;
    let client = Way::WebSocket
        .to(&server, "/")
        .retries(2, Duration::from_millis(10));
    let client = client.connect().await.unwrap();
    let never = client.emit_with_ack(STORE, 1);
    let next = client.emit_with_ack(STORE, 2);
    let never = within("the end of it", never).await;
    assert!(matches!(never, Err(AckError::Timeout(_))), "{never:?}");
    assert_eq!(within("an answer", next).await.unwrap(), 2);
}

#[tokio::test]
async fn what_is_kept_offline_is_bounded() {
    let (numbers, mut seen) = notes();
    let namespace = Namespace::new("/").on("text", async move |_, text: String| {
        numbers.send(text.len()).expect("the test lives");
    });
    let server = serve_one(namespace).await;
    for policy in [OfflinePolicy::Refuse, OfflinePolicy::DropOldest] {
        let client = Way::WebSocket
            .to(&server, "/")
            .offline(1_000, policy)
            .open()
            .unwrap();
        let emit = |len: usize| client.emit("text", "x".repeat(len));
        emit(500).unwrap();
        assert!(client.buffered_bytes() > 500);
        let more = emit(501);
        let expected = match policy {
            OfflinePolicy::Refuse => {
                assert!(matches!(more, Err(EmitError::BufferFull(_))), "{more:?}");
                500
            }
            OfflinePolicy::DropOldest => {
                more.unwrap();
                501
            }
        };
        assert_eq!(seen.next("what was kept").await, expected);
        client.close().await;
        assert!(seen.is_empty());
    }
}

#[tokio::test]
async fn what_is_not_retried_has_its_own_time_and_no_retries_are_none() {
    const DEAF: Event<(), ()> = Event::new("deaf");
    const ECHO: Event<u32, u32> = Event::new("echo");
    let namespace = Namespace::new("/")
        .on_with_ack(DEAF, async |_, (), _ack| ())
        .on(ECHO, async |_, number| number);
    let server = serve_one(namespace).await;
    let (try_time, own) = (Duration::from_millis(20), Duration::from_millis(10));
    let client = |retries| {
        let client = Way::WebSocket.to(&server, "/");
        client.retries(retries, try_time).ack_timeout(own)
    };
    // A volatile event is sent once: nobody else ends the wait for its answer.
    let retrying = client(3).connect().await.unwrap();
    let answer = within("an answer", retrying.emit_with_ack(ECHO, 1)).await;
    assert_eq!(answer.unwrap(), 1);
    let late = within("the end of it", retrying.volatile().emit_with_ack(DEAF, ())).await;
    assert!(
        matches!(late, Err(AckError::Timeout(time)) if time == own),
        "{late:?}"
    );
    // Of the others it is a try that is too late.
    let late = within("the last try", retrying.emit_with_ack(DEAF, ())).await;
    assert!(
        matches!(late, Err(AckError::Timeout(time)) if time == try_time),
        "{late:?}"
    );
    // Without retries nothing waits for what is in front.
    let once = client(0).connect().await.unwrap();
    let deaf = once
        .timeout(Duration::from_secs(60))
        .emit_with_ack(DEAF, ());
    let answer = within("an answer", once.emit_with_ack(ECHO, 1)).await;
    assert_eq!(answer.unwrap(), 1);
    drop(deaf);
}
