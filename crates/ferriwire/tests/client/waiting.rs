//! Events that wait for the program, and attempts that wait for their time. Case 77.

use std::time::Duration;

use ferriwire::client::{ClientEvent, Reconnection};
use ferriwire::{Args, Client, Namespace, Value};
use tokio::sync::Semaphore;

use crate::support::{fail, until, within};
use crate::{WAYS, Way, notes, serve_one};

#[tokio::test]
async fn a_client_that_handles_slowly_reads_slowly_and_loses_nothing() {
    const COUNT: usize = 200;
    const LEN: usize = 4_000;
    const FLOOD: ferriwire::Event<()> = ferriwire::Event::new("flood");
    let namespace = Namespace::new("/").on(FLOOD, async |socket, ()| {
        for number in 0..COUNT {
            let text = "x".repeat(LEN);
            socket.emit_when_ready("text", (number, &*text)).await?;
        }
        Ok(())
    });
    let server = serve_one(namespace).await;
    for way in [Way::Polling, Way::WebSocket] {
        static MAY_GO_ON: Semaphore = Semaphore::const_new(0);
        let (numbers, mut seen) = notes();
        let client = way
            .to(&server, "/")
            .max_running_handlers(1)
            .max_incoming(20_000)
            .on("text", async move |_, (number, _): (usize, String)| {
                MAY_GO_ON.acquire().await.expect("it stays open").forget();
                numbers.send(number).expect("the test lives");
            })
            .connect()
            .await
            .unwrap();
        client.emit("flood", ()).unwrap();
        until("too much", || client.incoming_bytes() > 20_000).await;
        for number in 0..COUNT {
            // One read may bring more than the bound, and a poll all that the server has.
            let most = if way == Way::Polling {
                1_100_000
            } else {
                20_000 + 40_000
            };
            assert!(
                client.incoming_bytes() < most,
                "{way:?}: {}",
                client.incoming_bytes()
            );
            MAY_GO_ON.add_permits(1);
            assert_eq!(seen.next("a number").await, number, "{way:?}");
        }
        until("nothing waits", || client.incoming_bytes() == 0).await;
        client.close().await;
    }
}

#[tokio::test]
async fn a_client_is_a_stream_of_what_happens() {
    let namespace = Namespace::new("/")
        .on("ask", async |socket, ()| {
            let answer = socket.emit_with_ack("question", 42).await;
            drop(socket.emit("answered", answer.unwrap_or_default()));
        })
        .on("end", async |socket, ()| socket.disconnect());
    let server = serve_one(namespace).await;
    for way in WAYS {
        let (client, mut events) = way.to(&server, "/").events().await.unwrap();
        let mut words = Vec::new();
        client.emit("ask", ()).unwrap();
        while words.len() < 4 {
            words.push(match within("an event", events.next()).await.unwrap() {
                ClientEvent::Connected { recovered } => format!("connected {recovered}"),
                ClientEvent::Event { name, args, ack } => {
                    if ack.is_wanted() {
                        ack.send(args).unwrap();
                    } else {
                        assert_eq!(args, Args(vec![Value::from(42)]));
                        client.emit("end", ()).unwrap();
                    }
                    name
                }
                ClientEvent::Disconnected(reason) => reason.to_string(),
                ClientEvent::ConnectError(failure) => failure.to_string(),
                _ => "something new".to_owned(),
            });
        }
        let expected = [
            "connected false",
            "question",
            "answered",
            "io server disconnect",
        ];
        assert_eq!(words, expected, "{way:?}");
        // Without a handle the client ends, and the stream with it.
        drop(client);
        assert!(within("the end", events.next()).await.is_none());
    }
}

/// The pauses of a client with that seed whose server is not there, and how long they took.
async fn pauses(seed: u64) -> Vec<Duration> {
    let server = serve_one(Namespace::new("/")).await;
    let address = server.local_addr();
    server.shutdown(Duration::ZERO).await;
    let (events, mut event) = notes();
    let began = tokio::time::Instant::now();
    let client = Client::builder(format!("http://{address}"))
        .no_proxy()
        .seed(seed)
        .reconnection_attempts(6)
        .on_reconnect(async move |_, what| events.send(what).expect("the test lives"));
    let result = client.connect_retrying().await;
    assert!(result.is_err());
    let (mut pauses, mut failed) = (Vec::new(), 0);
    loop {
        match event.next("an attempt").await {
            Reconnection::Attempt { number, after } => {
                pauses.push(after);
                assert_eq!(number as usize, pauses.len());
            }
            Reconnection::Failed(_) => failed += 1,
            Reconnection::Done(_) | Reconnection::GaveUp => break,
            _ => fail("something new happened"),
        }
    }
    assert_eq!((pauses.len(), failed), (6, 6));
    let all: Duration = pauses.iter().sum();
    let took = began.elapsed();
    assert!(
        took >= all && took < all + Duration::from_millis(500),
        "{took:?} {all:?}"
    );
    pauses
}

#[tokio::test(start_paused = true)]
async fn pauses_are_those_of_the_algorithm_and_of_their_seed() {
    // Case 77
    let first = pauses(1).await;
    for (pause, (least, most)) in first.iter().zip([
        (500, 1_500),
        (1_000, 3_000),
        (2_000, 5_000),
        (4_000, 5_000),
        (5_000, 5_000),
        (5_000, 5_000),
    ]) {
        let allowed = Duration::from_millis(least)..=Duration::from_millis(most);
        assert!(allowed.contains(pause), "{first:?}");
    }
    assert_eq!(pauses(1).await, first);
    assert_ne!(pauses(2).await, first);
}
