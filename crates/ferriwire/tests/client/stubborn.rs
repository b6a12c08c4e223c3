//! Servers, functions and transports on which one part does not work, and what becomes of the others.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use ferriwire::test::Network;
use ferriwire::{Config, ConnectFailure, Limits, Namespace, Server, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::raw::{Peer, listen};
use crate::support::{fail, until, within};
use crate::{WAYS, Way, notes};

/// Nothing bounded a function that never says who the client is.
#[tokio::test(start_paused = true)]
async fn auth_that_hangs_is_made_again() {
    let network = Network::new(Server::new().namespace(Namespace::new("/"))).unwrap();
    for way in WAYS {
        let client = || {
            way.through(&network.wire())
                .connect_timeout(Duration::from_secs(3))
                .auth_with(async |attempt| match attempt.number {
                    0 | 1 => pending().await,
                    _ => Ok(HashMap::from([("token", 7)])),
                })
        };
        let begun = Instant::now();
        let result = client().connect().await;
        assert!(matches!(result, Err(ConnectFailure::Timeout)), "{result:?}");
        assert_eq!(begun.elapsed().as_secs(), 3);
        let (failures, mut failure) = notes();
        let client = client()
            .on_connect_error(async move |client, failure| {
                let told = (failure.to_string(), client.is_active());
                failures.send(told).expect("the test lives");
            })
            .connect_retrying()
            .await
            .unwrap();
        assert_eq!(begun.elapsed().as_secs(), 9, "{way:?}");
        for _ in 0..2 {
            let told = failure.next("a failure").await;
            assert_eq!(told, ("timeout".to_owned(), true));
        }
        client.close().await;
    }
}

/// It took the session with it, and all other namespaces.
#[tokio::test(start_paused = true)]
async fn a_namespace_that_does_not_answer_fails_alone() {
    let slow = Arc::new(Notify::new());
    let of_server = Arc::clone(&slow);
    let namespace = Namespace::new("/slow").auth(async move |_: ferriwire::Handshake<()>| {
        of_server.notified().await;
        Ok(())
    });
    let limits = Limits::new().auth_timeout(Duration::from_secs(1_000));
    let server = Server::new()
        .config(Config::new().limits(limits))
        .namespace(Namespace::new("/"))
        .namespace(namespace);
    let network = Network::new(server).unwrap();
    let (reasons, mut reason) = notes();
    let client = Way::WebSocket
        .through(&network.wire())
        .on_disconnect(async move |_, why| reasons.send(why).expect("the test lives"))
        .connect()
        .await
        .unwrap();
    let begun = Instant::now();
    let result = client.namespace("/slow").connect().await;
    assert!(matches!(result, Err(ConnectFailure::Timeout)), "{result:?}");
    assert_eq!(begun.elapsed().as_secs(), 45);
    // Who waits longer is told, and joins when it is answered.
    slow.notify_one();
    let (failures, mut failure) = notes();
    let waiting = client
        .namespace("/slow")
        .on_connect_error(async move |_, why| failures.send(why).expect("the test lives"));
    let waiting = tokio::spawn(waiting.connect_retrying());
    let why = tokio::time::timeout(Duration::from_secs(100), failure_of(&mut failure)).await;
    let why = why.unwrap();
    assert!(matches!(why, ConnectFailure::Timeout), "{why:?}");
    slow.notify_one();
    let joined = waiting.await.unwrap().unwrap();
    assert!(joined.is_connected() && client.is_connected());
    assert!(reason.is_empty(), "the session lives");
}

async fn failure_of(failures: &mut crate::Notes<ConnectFailure>) -> ConnectFailure {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Some(failure) = failures.try_next() {
            return failure;
        }
    }
}

/// An event that waited for a handler, and was of a session that was over, ended the next one.
#[tokio::test]
async fn a_broken_event_of_an_earlier_session_does_not_end_the_next_one() {
    let (listener, client) = listen();
    let may_go_on = Arc::new(Notify::new());
    let goes_on = Arc::clone(&may_go_on);
    let (reasons, mut reason) = notes();
    let (names, mut name) = notes();
    let also = names.clone();
    let client = client
        .max_running_handlers(1)
        .on("slow", async move |_, ()| {
            names.send("slow").expect("the test lives");
            goes_on.notified().await;
        })
        .on("e", async move |_, ()| {
            also.send("e").expect("the test lives")
        })
        .on_disconnect(async move |_, why| reasons.send(why).expect("the test lives"))
        .open()
        .unwrap();
    let mut first = Peer::welcome(&listener).await;
    first
        .texts(&[r#"42["slow"]"#, r#"42["e",{]"#, r#"42["e"]"#])
        .await;
    assert_eq!(name.next("the slow one").await, "slow");
    until("something waits", || client.incoming_bytes() > 0).await;
    drop(first);
    let mut second = Peer::welcome(&listener).await;
    until("connected", || client.is_connected()).await;
    may_go_on.notify_one();
    reason.next("the end of the first session").await;
    assert_eq!(name.next("what came behind it").await, "e");
    second.text(r#"42["e"]"#).await;
    assert_eq!(name.next("what comes now").await, "e");
    assert!(client.is_connected() && reason.is_empty());
}

/// The first error was told, although the last transport was the one that counts.
/// A timeout of nothing let no attempt begin, of which nobody was told.
#[tokio::test]
async fn an_attempt_without_any_time_fails_and_says_so() {
    let (_listener, client) = listen();
    let client = client.connect_timeout(Duration::ZERO);
    let result = within("an error", client.connect()).await;
    assert!(matches!(result, Err(ConnectFailure::Timeout)), "{result:?}");
}

#[tokio::test]
async fn of_several_transports_the_last_error_is_told() {
    for transports in [
        [Transport::WebSocket, Transport::Polling],
        [Transport::Polling, Transport::WebSocket],
    ] {
        let (listener, client) = listen();
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    stream.read_buf(&mut head).await.expect("a request");
                }
                let is_polling = head.windows(7).any(|seven| seven == b"polling");
                let status = if is_polling { 503 } else { 404 };
                let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
                stream
                    .write_all(answer.as_bytes())
                    .await
                    .expect("it listens");
            }
        });
        let client = client.transports(transports).try_all_transports(true);
        let result = within("an error", client.connect()).await;
        let is_polling = transports[1] == Transport::Polling;
        let expected = if is_polling { 503 } else { 404 };
        match result {
            Err(ConnectFailure::Http { status, .. }) => assert_eq!(status, expected),
            other => fail(&format!("{other:?}")),
        }
        server.abort();
    }
}
