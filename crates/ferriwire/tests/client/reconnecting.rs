//! Coming back after a connection was lost. Cases 77 and 80.

use std::time::Duration;

use ferriwire::client::{DisconnectReason, Reconnection};
use ferriwire::{Namespace, Server};

use crate::support::{until, within};
use crate::{WAYS, notes, serve_one};

#[tokio::test]
async fn a_lost_connection_is_made_again_and_what_was_kept_leaves_first() {
    // Case 80
    let (texts, mut seen) = notes();
    let namespace = Namespace::new("/").on("text", async move |_, text: String| {
        texts.send(text).expect("the test lives");
    });
    let server = serve_one(namespace).await;
    for way in WAYS {
        let (events, mut event) = notes();
        let client = way
            .to(&server, "/")
            .on_connect(async |client| client.emit("text", "from on_connect").unwrap())
            .on_disconnect(async |client, reason| {
                assert_eq!(reason, DisconnectReason::TransportClose);
                assert!(client.is_active());
                for text in ["kept 1", "kept 2"] {
                    client.emit("text", text).unwrap();
                }
            })
            .on_reconnect(async move |_, what| events.send(what).expect("the test lives"))
            .connect()
            .await
            .unwrap();
        assert_eq!(seen.next("the first text").await, "from on_connect");
        let first = client.id();
        client.cut();
        for text in ["kept 1", "kept 2", "from on_connect"] {
            assert_eq!(seen.next("a text").await, text, "{way:?}");
        }
        let attempt = event.next("the attempt").await;
        assert!(
            matches!(attempt, Reconnection::Attempt { number: 1, after } if after < Duration::from_millis(16)),
            "{attempt:?}"
        );
        let done = event.next("the end of it").await;
        assert!(matches!(done, Reconnection::Done(1)), "{done:?}");
        assert_ne!(client.id(), first);
        client.close().await;
    }
}

#[tokio::test]
async fn a_server_that_is_down_for_a_while_is_found_again() {
    for way in WAYS {
        let server = serve_one(Namespace::new("/")).await;
        let address = server.local_addr();
        let (failures, mut failure) = notes();
        let client = way
            .to(&server, "/")
            .on_connect_error(async move |client, _| {
                failures.send(client.is_active()).expect("the test lives");
            })
            .connect()
            .await
            .unwrap();
        server.shutdown(Duration::from_secs(1)).await;
        for _ in 0..3 {
            assert!(failure.next("an attempt that fails").await, "{way:?}");
        }
        let server = Server::new()
            .namespace(Namespace::new("/"))
            .bind(address)
            .await
            .unwrap();
        until("the next connection", || client.is_connected()).await;
        client.close().await;
        drop(server);
    }
}

#[tokio::test]
async fn attempts_are_counted_and_then_given_up() {
    // Case 77
    let server = serve_one(Namespace::new("/")).await;
    let (events, mut event) = notes();
    let client = crate::Way::WebSocket
        .to(&server, "/")
        .reconnection_attempts(2)
        .on_reconnect(async move |_, what| {
            let text = match what {
                Reconnection::Attempt { number, .. } => format!("attempt {number}"),
                Reconnection::Failed(_) => "failed".to_owned(),
                Reconnection::Done(attempts) => format!("done after {attempts}"),
                Reconnection::GaveUp => "gave up".to_owned(),
                _ => "something new".to_owned(),
            };
            events.send(text).expect("the test lives");
        })
        .connect()
        .await
        .unwrap();
    server.shutdown(Duration::from_secs(1)).await;
    for expected in ["attempt 1", "failed", "attempt 2", "failed", "gave up"] {
        assert_eq!(within("an event", event.next(expected)).await, expected);
    }
    until("the end of it", || !client.is_active()).await;
    assert!(event.is_empty());
}
