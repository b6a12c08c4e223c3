//! Who may join, and what is known about them: 57.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferriwire::{Config, ConnectError, Handshake, Limits, Namespace, SocketId, Transport, Value};
use serde::Deserialize;
use tokio::sync::Notify;

use crate::client::{Client, TRANSPORTS};
use crate::support::until;
use crate::{log, serve, serve_with};

#[derive(Clone, Deserialize)]
struct Credentials {
    token: String,
    #[serde(default)]
    rank: Option<u8>,
}

struct User {
    name: String,
}

fn guarded() -> Namespace<User> {
    Namespace::new("/admin")
        .auth(async |handshake: Handshake<Credentials>| {
            let Credentials { token, rank } = handshake.auth;
            match (token.as_str(), rank) {
                ("secret", _) => Ok(User {
                    name: "root".to_owned(),
                }),
                (_, Some(rank)) => Err(ConnectError::new("not authorized").data(u64::from(rank))),
                (_, None) => Err(ConnectError::new("unknown token")),
            }
        })
        .on("who", async |socket, _: ()| socket.data().name.clone())
}

#[tokio::test]
async fn a_client_is_refused_with_message_and_data_and_may_try_again() {
    let server = serve(guarded()).await;
    for transport in TRANSPORTS {
        let mut client = Client::open(&server, transport).await;
        client.send(r#"0/admin,{"token":"x"}"#).await;
        client
            .expect(r#"4/admin,{"message":"unknown token"}"#)
            .await;
        client.send(r#"0/admin,{"token":"x","rank":7}"#).await;
        client
            .expect(r#"4/admin,{"message":"not authorized","data":7}"#)
            .await;
        client.send(r#"0/admin,{"token":"secret"}"#).await;
        assert!(client.packet().await.starts_with("0/admin,{"));
        client.send(r#"2/admin,1["who"]"#).await;
        client.expect(r#"3/admin,1["root"]"#).await;
    }
}

#[tokio::test]
async fn credentials_of_another_type_are_refused_with_their_path() {
    let server = serve(guarded()).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    for (payload, path) in [
        ("", ""),
        ("{}", ""),
        (r#"{"token":1}"#, "token"),
        (r#"{"token":"x","rank":300}"#, "rank"),
    ] {
        client.send(&format!("0/admin,{payload}")).await;
        client
            .expect(&format!(
                r#"4/admin,{{"message":"invalid auth","data":{{"path":"{path}"}}}}"#
            ))
            .await;
    }
}

#[tokio::test]
async fn auth_that_takes_too_long_refuses() {
    let namespace = Namespace::new("/").auth(async |_: Handshake| pending::<Result<(), _>>().await);
    let config = Config::new().limits(Limits::new().auth_timeout(Duration::from_millis(20)));
    let server = serve_with(config, namespace).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    client.send("0").await;
    client
        .expect(r#"4{"message":"authentication timed out"}"#)
        .await;
    assert_eq!(server.handle("/").socket_count(), 0);
}

#[tokio::test]
async fn who_leaves_during_auth_never_becomes_a_socket() {
    let go_on = Arc::new(Notify::new());
    let waits = Arc::clone(&go_on);
    let (seen, mut entries) = log();
    let (begun, joined) = (seen.clone(), seen.clone());
    let namespace = Namespace::new("/")
        .auth(async move |_: Handshake| {
            begun.write("auth begins");
            waits.notified().await;
            begun.write("auth ends");
            Ok::<(), ConnectError>(())
        })
        .on_connect(async move |_| joined.write("joined"))
        .on_disconnect(async move |_, _| seen.write("left"));
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::open(&server, transport).await;
        client.send("0").await;
        assert_eq!(entries.next().await, "auth begins");
        let opened = server.stats().sessions();
        match transport {
            Transport::Polling => {
                assert_eq!(client.into_polling().post("1").await.text(), "ok");
            }
            Transport::WebSocket | Transport::WebTransport => client.into_websocket().reset(),
        }
        until("the session ends", || server.stats().sessions() < opened).await;
        go_on.notify_one();
        assert_eq!(entries.next().await, "auth ends");
        assert_eq!(server.handle("/").socket_count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_reaches_a_socket_before_its_connect() {
    let namespace = Namespace::new("/")
        .auth(async |_: Handshake| {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            Ok::<(), ConnectError>(())
        })
        .on_connect(async |socket| {
            drop(socket.join("storm"));
            drop(socket.emit("welcome", ()));
        });
    let server = serve(namespace).await;
    let (handle, over) = (server.handle("/"), Arc::new(AtomicBool::new(false)));
    let storm = {
        let over = Arc::clone(&over);
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                handle.emit("storm", ()).expect("it exists");
                handle.to("storm").emit("room", ()).expect("it exists");
                tokio::task::yield_now().await;
            }
        })
    };
    for round in 0..40 {
        let mut client = Client::open(&server, TRANSPORTS[round % 2]).await;
        client.send("0").await;
        assert!(client.packet().await.starts_with(r#"0{"sid":"#));
        let mut packet = client.packet().await;
        while packet == r#"2["storm"]"# {
            packet = client.packet().await;
        }
        // In the room since the line before.
        assert!(
            packet == r#"2["welcome"]"# || packet == r#"2["room"]"#,
            "{packet}"
        );
    }
    over.store(true, Ordering::Relaxed);
    storm.await.expect("it does not panic");
}

#[tokio::test]
async fn the_request_is_known_to_auth_and_to_the_socket() {
    let (seen, mut entries) = log();
    let known = seen.clone();
    let describe = |request: &ferriwire::Request| {
        let color = request.headers().get("x-color");
        (
            color.map(|color| color.as_bytes().to_vec()),
            request.query("shape"),
            request.query("missing"),
            request.address().map(|address| address.ip().is_loopback()),
            request
                .extension::<ferriwire::engine::PeerAddress>()
                .is_some(),
        )
    };
    let namespace = Namespace::new("/")
        .auth(async move |handshake: Handshake| {
            known.write(describe(&handshake));
            Ok::<Value, ConnectError>(handshake.auth)
        })
        .on_connect(async move |socket| seen.write(describe(socket.request())));
    let server = serve(namespace).await;
    let query = "&shape=round%20%26%20red&shape=other";
    let mut client = Client::open_websocket(&server, query, &[("X-Color", "red")]).await;
    client.join("/").await;
    for _ in 0..2 {
        let expected = (
            Some(b"red".to_vec()),
            Some("round & red".to_owned()),
            None,
            Some(true),
            true,
        );
        assert_eq!(entries.next().await, expected);
    }
}

#[tokio::test]
async fn the_socket_has_the_id_that_its_client_was_told() {
    let (seen, mut entries) = log::<SocketId>();
    let namespace = Namespace::new("/").on_connect(async move |socket| {
        seen.write(socket.id().clone());
        assert!(socket.is_connected());
    });
    let server = serve(namespace).await;
    let (_client, id) = Client::connect_with_id(&server, TRANSPORTS[0]).await;
    assert_eq!(entries.next().await.to_string(), id);
}
