//! Connecting, being refused, and several namespaces on one connection. Cases 78, 79 and 86.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ferriwire::{
    Client, ConnectError, ConnectFailure, HandlerError, Handshake, Namespace, Server, Transport,
    Value,
};

use crate::support::within;
use crate::{WAYS, Way, notes, serve, serve_one};

#[tokio::test]
async fn connected_on_every_way_with_the_id_of_the_server() {
    // Case 79
    let (ids, mut seen) = notes();
    let namespace = Namespace::new("/chat").on_connect(async move |socket| {
        ids.send(socket.id().as_str().to_owned())
            .expect("the test lives");
    });
    let server = serve_one(namespace).await;
    for way in WAYS {
        let client = within("connecting", way.to(&server, "/chat").connect()).await;
        let client = client.unwrap_or_else(|error| panic!("{way:?}: {error}"));
        assert!(client.is_connected() && client.is_active() && !client.is_recovered());
        assert_eq!(client.name(), "/chat");
        let id = seen.next("the server's hook").await;
        assert_eq!(client.id().as_deref(), Some(&*id), "{way:?}");
        within("closing", client.close()).await;
    }
}

#[tokio::test]
async fn polling_is_upgraded_and_what_is_sent_meanwhile_stays_in_order() {
    let (numbers, mut seen) = notes();
    let namespace = Namespace::new("/").on("number", async move |_, number: u32| {
        numbers.send(number).expect("the test lives");
    });
    let server = serve_one(namespace).await;
    let (upgrades, mut upgraded) = notes();
    let client = Way::Upgrade
        .to(&server, "/")
        .on_upgrade(async move |client, transport| {
            upgrades
                .send((transport, client.transport()))
                .expect("the test lives");
        })
        .connect()
        .await
        .unwrap();
    for number in 0..200 {
        client.emit("number", number).unwrap();
        if number % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let socket = Transport::WebSocket;
    assert_eq!(upgraded.next("the upgrade").await, (socket, Some(socket)));
    for number in 200..400 {
        client.emit("number", number).unwrap();
    }
    for number in 0..400 {
        assert_eq!(seen.next("a number").await, number);
    }
}

#[tokio::test]
async fn a_refusal_has_the_servers_message_and_data_and_is_not_tried_again() {
    // Cases 77 and 78
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let namespace = Namespace::new("/").auth(async move |_: Handshake<Value>| {
        counted.fetch_add(1, Ordering::Relaxed);
        Err::<(), _>(ConnectError::new("no token").data(401))
    });
    let server = serve(Server::new().namespace(namespace)).await;
    for way in WAYS {
        asked.store(0, Ordering::Relaxed);
        let result = within("an answer", way.to(&server, "/").connect_retrying()).await;
        let Err(ConnectFailure::Refused(error)) = result else {
            panic!("{way:?}: {result:?}");
        };
        assert_eq!(error.message(), "no token");
        assert_eq!(error.details(), Some(&Value::from(401)));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn nobody_listens() {
    // Case 78
    let server = serve_one(Namespace::new("/")).await;
    let address = server.local_addr();
    drop(server);
    let url = format!("http://{address}");
    for builder in [
        Client::builder(&url),
        Client::builder(&url).transports([Transport::WebSocket]),
        Client::builder(&url).try_all_transports(true),
    ] {
        let result = within("a failure", builder.connect()).await;
        assert!(
            matches!(result, Err(ConnectFailure::Network(_))),
            "{result:?}"
        );
    }
    let builder = Client::builder(&url).reconnection(false);
    let result = within("a failure", builder.connect_retrying()).await;
    assert!(
        matches!(result, Err(ConnectFailure::GaveUp(_))),
        "{result:?}"
    );
}

#[tokio::test]
async fn an_unfit_answer_has_its_status_and_its_body() {
    // Case 90
    let server = serve_one(Namespace::new("/")).await;
    for way in [Way::Polling, Way::WebSocket] {
        let builder = way.to(&server, "/").query("transport", "no-such-one");
        // Twice the same parameter is ambiguous, which our server refuses.
        let result = within("an answer", builder.connect()).await;
        let Err(ConnectFailure::Http { status, body }) = result else {
            panic!("{way:?}: {result:?}");
        };
        assert_eq!(status, 400);
        assert!(body.contains("Bad request"), "{way:?}: {body}");
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_said_before_anything_is_sent() {
    for builder in [
        Client::builder("ftp://localhost"),
        Client::builder("http://localhost").header("a b", "c"),
        Client::builder("http://localhost").header("a", "b\r\nc: d"),
        Client::builder("http://localhost").transports([]),
        Client::builder("http://localhost").transports([Transport::WebTransport]),
    ] {
        let result = builder.connect().await;
        assert!(
            matches!(result, Err(ConnectFailure::Configuration(_))),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn auth_is_a_value_or_made_for_each_attempt() {
    let (tokens, mut seen) = notes();
    let namespace = Namespace::new("/").auth(async move |handshake: Handshake<Value>| {
        tokens.send(handshake.auth).expect("the test lives");
        Ok::<_, ConnectError>(())
    });
    let server = serve(Server::new().namespace(namespace)).await;
    for way in WAYS {
        let auth = std::collections::HashMap::from([("token", "t")]);
        let client = way.to(&server, "/").auth(&auth).connect().await.unwrap();
        let seen_one = seen.next("the token").await;
        assert_eq!(seen_one.get("token").and_then(Value::as_str), Some("t"));
        client.close().await;
        let client = way.to(&server, "/").auth_with(async |attempt| {
            tokio::task::yield_now().await;
            Ok(std::collections::HashMap::from([(
                "number",
                attempt.number,
            )]))
        });
        let client = client.connect().await.unwrap();
        let first = seen.next("the first token").await;
        assert_eq!(first.get("number").and_then(Value::as_u64), Some(0));
        client.cut();
        let second = seen.next("the second token").await;
        assert_eq!(
            second.get("number").and_then(Value::as_u64),
            Some(1),
            "{way:?}"
        );
        client.close().await;
    }
    let failing = Way::Polling
        .to(&server, "/")
        .auth_with(async |_| Err::<u32, _>(HandlerError::refuse("no token today")));
    let result = within("a failure", failing.connect()).await;
    assert!(matches!(result, Err(ConnectFailure::Auth(_))), "{result:?}");
}

#[tokio::test]
async fn namespaces_share_one_connection() {
    // Case 75
    let server = Server::new()
        .namespace(Namespace::new("/").on("where", async |_, ()| "main"))
        .namespace(Namespace::new("/a").on("where", async |_, ()| "a"))
        .namespace(
            Namespace::new("/b")
                .auth(async |_: Handshake<Value>| Err::<(), _>(ConnectError::new("not here"))),
        );
    let server = serve(server).await;
    for way in WAYS {
        let main = way.to(&server, "/").connect().await.unwrap();
        let a = within("joining", main.namespace("a").connect())
            .await
            .unwrap();
        assert_eq!(a.name(), "/a");
        let refused = within("a refusal", main.namespace("/b").connect()).await;
        assert!(
            matches!(refused, Err(ConnectFailure::Refused(_))),
            "{refused:?}"
        );
        let again = within("an answer", main.namespace("/a").connect()).await;
        assert!(
            matches!(again, Err(ConnectFailure::AlreadyJoined)),
            "{again:?}"
        );
        for (client, expected) in [(&main, "main"), (&a, "a")] {
            let answer = within("an answer", client.emit_with_ack("where", ()))
                .await
                .unwrap();
            assert_eq!(answer.0, [Value::from(expected)], "{way:?}");
        }
        assert_ne!(main.id(), a.id());
        assert_eq!(server.stats().sessions(), 1, "{way:?}");
        within("closing", main.close()).await;
        assert!(!a.is_connected());
        crate::support::until("the session's end", || server.stats().sessions() == 0).await;
    }
}
