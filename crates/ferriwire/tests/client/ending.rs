//! Leaving, being taken out, closing, and dropping. Cases 76 and 77.

use std::future::pending;

use ferriwire::client::DisconnectReason;
use ferriwire::test::Network;
use ferriwire::{EmitError, Namespace, Server};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::support::{until, within};
use crate::{WAYS, Way, notes, serve_one};

#[tokio::test]
async fn whom_the_server_takes_out_stays_out_until_it_asks() {
    // Case 77
    let namespace = Namespace::new("/").on("leave", async |socket, ()| socket.disconnect());
    let server = serve_one(namespace).await;
    for way in WAYS {
        let (reasons, mut reason) = notes();
        let client = way
            .to(&server, "/")
            .on_disconnect(async move |client, reason| {
                reasons
                    .send((reason, client.is_active()))
                    .expect("the test lives");
            })
            .connect()
            .await
            .unwrap();
        client.emit("leave", ()).unwrap();
        let expected = (DisconnectReason::Server, false);
        assert_eq!(reason.next("the end").await, expected, "{way:?}");
        assert_eq!((client.is_connected(), client.id()), (false, None));
        until("the session's end", || server.stats().sessions() == 0).await;
        client.connect();
        until("the next connection", || client.is_connected()).await;
        client.close().await;
    }
}

#[tokio::test]
async fn who_leaves_comes_back_when_it_wants() {
    // Cases 76 and 77
    let (reasons, mut left) = notes();
    let namespace = Namespace::new("/").on_disconnect(async move |_, reason| {
        reasons.send(reason.as_str()).expect("the test lives");
    });
    let server = serve_one(namespace).await;
    for way in WAYS {
        let (reasons, mut reason) = notes();
        let client = way
            .to(&server, "/")
            .on_disconnect(async move |_, reason| {
                reasons.send(reason.to_string()).expect("the test lives");
            })
            .connect()
            .await
            .unwrap();
        let first = client.id();
        client.disconnect();
        assert_eq!(reason.next("the end").await, "io client disconnect");
        assert_eq!(
            left.next("leaving").await,
            "client namespace disconnect",
            "{way:?}"
        );
        client.connect();
        until("the next connection", || client.is_connected()).await;
        assert_ne!(client.id(), first);
        client.close().await;
        left.next("closing").await;
    }
}

#[tokio::test]
async fn what_is_queued_leaves_before_the_end() {
    let (numbers, mut seen) = notes();
    let namespace = Namespace::new("/").on("number", async move |_, number: u32| {
        numbers.send(number).expect("the test lives");
    });
    let server = serve_one(namespace).await;
    for way in WAYS {
        for closes in [true, false] {
            let client = way.to(&server, "/").connect().await.unwrap();
            for number in 0..500 {
                client.emit("number", number).unwrap();
            }
            if closes {
                let other = client.clone();
                within("closing", client.close()).await;
                let late = other.emit("number", 1);
                assert!(matches!(late, Err(EmitError::Closed)), "{late:?}");
            } else {
                drop(client);
            }
            for number in 0..500 {
                assert_eq!(seen.next("a number").await, number, "{way:?}");
            }
            until("the session's end", || server.stats().sessions() == 0).await;
        }
    }
}

#[tokio::test]
async fn a_handler_may_close_its_own_client() {
    let namespace = Namespace::new("/").on_connect(async |socket| drop(socket.emit("end", ())));
    let server = serve_one(namespace).await;
    let (closed, mut closing) = notes();
    let client = Way::WebSocket
        .to(&server, "/")
        .on("end", async move |client, ()| {
            client.close().await;
            closed.send(()).expect("the test lives");
        })
        .connect()
        .await
        .unwrap();
    closing.next("the end").await;
    assert!(!client.is_connected());
    within("closing again", client.close()).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_outlives_its_client_only_for_so_long() {
    let namespace = Namespace::new("/").on_connect(async |socket| drop(socket.emit("work", ())));
    let network = Network::new(Server::new().namespace(namespace)).unwrap();
    // Closed when nobody holds its sender any more, which the handler does.
    let (held, mut released) = mpsc::channel::<()>(1);
    let (begins, mut begun) = notes();
    let client = Way::WebSocket
        .through(&network.wire())
        .on("work", async move |_, ()| {
            begins.send(()).expect("the test lives");
            pending::<()>().await;
            drop(held);
        })
        .connect()
        .await
        .unwrap();
    begun.next("the handler").await;
    client.close().await;
    let closed = Instant::now();
    assert_eq!(released.recv().await, None);
    assert_eq!(closed.elapsed().as_secs(), 30);
}
