//! A panic costs one socket.

use std::future::pending;

use ferriwire::{ConnectError, Handshake, Namespace, RunningServer, Server};
use serde::{Deserialize, Deserializer};

use crate::client::{Client, TRANSPORTS};
use crate::{Entries, log, start};

/// The program's own decoding, with a mistake in it.
#[derive(Clone, Copy)]
struct Fragile;

impl<'de> Deserialize<'de> for Fragile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "" => Ok(Self),
            text => crate::support::fail(text),
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
struct Auth {
    #[serde(default)]
    panics: bool,
    #[serde(default)]
    panics_later: bool,
    #[serde(default, rename = "fragile")]
    _fragile: Option<Fragile>,
}

/// A namespace full of mistakes and one without, and the reasons for which sockets left.
async fn mistaken() -> (RunningServer, Entries<&'static str>) {
    let (seen, entries) = log();
    let namespace = Namespace::new("/")
        .auth(async |handshake: Handshake<Auth>| {
            assert!(!handshake.auth.panics, "in auth");
            Ok::<Auth, ConnectError>(handshake.auth)
        })
        .on_connect(async |socket| {
            tokio::task::yield_now().await;
            assert!(!socket.data().panics_later, "in on_connect");
        })
        .on("at once", async |_, _: ()| {
            assert!(pending_is_false(), "at once")
        })
        .on("later", async |_, _: ()| {
            tokio::task::yield_now().await;
            assert!(pending_is_false(), "later");
        })
        .on("never ends", async |_, _: ()| pending::<()>().await)
        .on("decode", async |_, (_, _): (u64, Fragile)| ())
        .on("settle", async |_, _: ()| ())
        .on_disconnect(async move |_, reason| {
            seen.write(reason.as_str());
            assert_ne!(
                reason.as_str(),
                "client namespace disconnect",
                "in on_disconnect"
            );
        });
    let other = Namespace::new("/other").on("echo", async |_, text: String| text);
    (
        start(Server::new().namespace(namespace).namespace(other)).await,
        entries,
    )
}

/// Keeps the compiler from seeing that the assertion fails.
fn pending_is_false() -> bool {
    std::hint::black_box(false)
}

/// The connection is alive.
async fn expect_alive(client: &mut Client) {
    client.send(r#"2/other,1["echo","alive"]"#).await;
    client.expect(r#"3/other,1["alive"]"#).await;
}

#[tokio::test]
async fn in_a_handler_it_ends_the_socket_and_nothing_else() {
    for transport in TRANSPORTS {
        let (server, mut left) = mistaken().await;
        let mut panics = 0;
        let mut bystander = Client::connect_over(&server, transport).await;
        let mut client = Client::connect_over(&server, transport).await;
        client.join("/other").await;
        for event in [
            r#"21["at once"]"#,
            r#"21["later"]"#,
            r#"21["decode",1,"boom"]"#,
        ] {
            client.send(r#"29["never ends"]"#).await;
            client.send(event).await;
            client.expect("1").await;
            assert_eq!(left.next().await, "server error");
            panics += 1;
            assert_eq!(server.stats().handler_panics, panics);
            // What comes behind is not heard, and not wrong either.
            client.send(event).await;
            expect_alive(&mut client).await;
            client.join("/").await;
            client.expect_nothing().await;
        }
        bystander.expect_nothing().await;
    }
}

#[tokio::test]
async fn in_on_connect_it_ends_the_socket_and_nothing_else() {
    for transport in TRANSPORTS {
        let (server, mut left) = mistaken().await;
        let mut client = Client::open(&server, transport).await;
        client.join("/other").await;
        client.send(r#"0{"panics_later":true}"#).await;
        assert!(client.packet().await.starts_with("0{"));
        client.expect("1").await;
        assert_eq!(left.next().await, "server error");
        expect_alive(&mut client).await;
        client.join("/").await;
        assert_eq!(server.stats().handler_panics, 1);
    }
}

#[tokio::test]
async fn in_auth_it_refuses_the_client_and_nothing_else() {
    let (server, mut left) = mistaken().await;
    for payload in [r#"{"panics":true}"#, r#"{"fragile":"boom"}"#] {
        let before = server.stats().handler_panics;
        let mut client = Client::open(&server, TRANSPORTS[0]).await;
        client.join("/other").await;
        client.send(&format!("0{payload}")).await;
        client.expect(r#"4{"message":"internal error"}"#).await;
        assert_eq!(server.stats().handler_panics, before + 1);
        expect_alive(&mut client).await;
        client.join("/").await;
        client.send(r#"2["later"]"#).await;
        client.expect("1").await;
        // Only who had become a socket has left.
        assert_eq!(left.next().await, "server error");
    }
}

#[tokio::test]
async fn in_on_disconnect_it_is_counted_and_nothing_else() {
    let (server, mut left) = mistaken().await;
    let mut client = Client::connect(&server).await;
    client.join("/other").await;
    client.send("1").await;
    assert_eq!(left.next().await, "client namespace disconnect");
    expect_alive(&mut client).await;
    assert_eq!(server.stats().handler_panics, 1);
    client.join("/").await;
    client.expect_nothing().await;
}
