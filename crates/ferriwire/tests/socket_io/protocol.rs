//! What the protocol allows, and how a connection ends that breaks it: 44 to 47, 49 to 53, 59.

use ferriwire::{
    Args, Config, Handshake, Limits, Namespace, RunningServer, Server, Transport, Value,
};
use std::time::Duration;

use crate::client::{Client, PATH, TRANSPORTS};
use crate::support::polling::Polling;
use crate::support::websocket::Frame;
use crate::{Entries, Log, log, serve_with, start};

/// The server of the conformance suite, in small.
async fn conformant() -> RunningServer {
    let (server, _) = logging().await;
    server
}

/// The same, with the reasons for which sockets left.
async fn logging() -> (RunningServer, Entries<&'static str>) {
    let (reasons, left) = log();
    let server = Server::new()
        .namespace(echo("/", reasons.clone()))
        .namespace(echo("/custom", reasons));
    (start(server).await, left)
}

fn echo(name: &str, reasons: Log<&'static str>) -> Namespace<Value> {
    Namespace::new(name)
        .auth(async |handshake: Handshake| Ok(handshake.auth))
        .on_connect(async |socket| {
            let auth = socket.data().clone();
            socket.emit("auth", (auth,)).expect("it has just joined");
        })
        .on("message", async |socket, arguments: Args| {
            drop(socket.emit("message-back", arguments));
        })
        .on("message-with-ack", async |_, arguments: Args| arguments)
        .on_disconnect(async move |_, reason| reasons.write(reason.as_str()))
}

/// Joins `/` and reads the greeting.
async fn join(client: &mut Client) {
    client.join("/").await;
    client.expect(r#"2["auth",{}]"#).await;
}

#[tokio::test]
async fn a_namespace_is_joined_with_and_without_payload() {
    let server = conformant().await;
    for transport in TRANSPORTS {
        for (namespace, prefix) in [("", ""), ("/custom,", "/custom,")] {
            for (payload, auth) in [("", "{}"), (r#"{"token":"123"}"#, r#"{"token":"123"}"#)] {
                let mut client = Client::open(&server, transport).await;
                client.send(&format!("0{namespace}{payload}")).await;
                let connect = client.packet().await;
                assert!(
                    connect.starts_with(&format!("0{prefix}{{\"sid\":\"")),
                    "{connect}"
                );
                client.expect(&format!("2{prefix}[\"auth\",{auth}]")).await;
            }
        }
    }
}

#[tokio::test]
async fn a_client_has_another_id_in_each_namespace_and_none_is_its_session() {
    let server = conformant().await;
    let polling = Polling::handshake(server.local_addr(), PATH).await;
    let session = polling.sid.clone();
    let mut client = Client::from(polling);
    let main = client.join("/").await;
    client.expect(r#"2["auth",{}]"#).await;
    let custom = client.join("/custom").await;
    assert_eq!((main.len(), custom.len()), (20, 20));
    assert_ne!(main, custom);
    assert!(main != session && custom != session);
}

#[tokio::test]
async fn an_unknown_namespace_is_refused_and_the_connection_goes_on() {
    let server = conformant().await;
    for transport in TRANSPORTS {
        let mut client = Client::open(&server, transport).await;
        client.send("0/random").await;
        client
            .expect(r#"4/random,{"message":"Invalid namespace"}"#)
            .await;
        client.send(r#"0/random,{"again":true}"#).await;
        client
            .expect(r#"4/random,{"message":"Invalid namespace"}"#)
            .await;
        join(&mut client).await;
    }
}

#[tokio::test]
async fn who_joins_nothing_in_time_is_closed() {
    let config = Config::new().limits(Limits::new().connect_timeout(Duration::from_millis(50)));
    let server = serve_with(config, Namespace::new("/")).await;
    let client = Client::open(&server, Transport::WebSocket).await;
    assert_eq!(client.into_websocket().rest().await, [Frame::Close(None)]);
    let mut polling = Polling::handshake(server.local_addr(), PATH).await;
    assert_eq!(polling.get().await.text(), "1");
    assert_eq!(polling.get().await.status, 400);
    assert_eq!(server.stats().sessions(), 0);
}

#[tokio::test]
async fn who_has_joined_in_time_stays_after_the_time() {
    let timeout = Duration::from_millis(50);
    let config = Config::new()
        .limits(Limits::new().connect_timeout(timeout))
        .ping_interval(2 * timeout);
    let server = serve_with(config, Namespace::new("/")).await;
    let client = Client::connect(&server).await;
    let mut websocket = client.into_websocket();
    assert_eq!(websocket.text().await, "2");
}

#[tokio::test]
async fn events_behind_a_disconnect_are_ignored() {
    for transport in TRANSPORTS {
        let (server, mut left) = logging().await;
        let mut client = Client::open(&server, transport).await;
        join(&mut client).await;
        client
            .send_all(&["1", r#"2["message",1]"#, "0/custom"])
            .await;
        assert!(client.packet().await.starts_with(r#"0/custom,{"sid":"#));
        client.expect(r#"2/custom,["auth",{}]"#).await;
        assert_eq!(left.next().await, "client namespace disconnect");
    }
}

#[tokio::test]
async fn one_namespace_is_left_and_the_other_stays() {
    let server = conformant().await;
    for transport in TRANSPORTS {
        for disconnect in ["1/custom,", "1/custom"] {
            let mut client = Client::open(&server, transport).await;
            join(&mut client).await;
            client.join("/custom").await;
            client.expect(r#"2/custom,["auth",{}]"#).await;
            client.send(disconnect).await;
            client
                .send(r#"2["message","message to main namespace"]"#)
                .await;
            client
                .expect(r#"2["message-back","message to main namespace"]"#)
                .await;
            // It may come back.
            let again = client.join("/custom").await;
            assert_eq!(again.len(), 20);
        }
    }
}

/// What breaks the protocol before anything is joined.
const BEFORE_CONNECT: [&str; 9] = [
    "abc",
    r#"2["message"]"#,
    "30[]",
    "1",
    "1/custom,",
    "0[]",
    "0\"text\"",
    "0{",
    "",
];

/// What breaks it for a socket that has joined.
const AFTER_CONNECT: [&str; 26] = [
    "abc",
    "2{}",
    r#"2abc["message-with-ack",1]"#,
    "2",
    "2[]",
    "2[null]",
    "2[true]",
    r#"2[["a"]]"#,
    r#"2[{"toString":"foo"}]"#,
    r#"2["message""#,
    r#"2["message",]"#,
    "5",
    "5-",
    "51",
    "5a-",
    "51.23-",
    r#"50-["message"]"#,
    "60-[]",
    r#"511-["message"]"#,
    "7",
    "999",
    "3[]",
    r#"3x[]"#,
    r#"4{"message":"no"}"#,
    r#"2["connect"]"#,
    r#"2["disconnecting"]"#,
];

#[tokio::test]
async fn a_broken_packet_closes_a_websocket() {
    for packet in BEFORE_CONNECT {
        let server = conformant().await;
        let mut client = Client::open(&server, Transport::WebSocket).await;
        client.send(packet).await;
        let frames = client.into_websocket().rest().await;
        assert_eq!(frames, [Frame::Close(None)], "{packet}");
    }
    for packet in AFTER_CONNECT {
        let (server, mut left) = logging().await;
        let mut client = Client::open(&server, Transport::WebSocket).await;
        join(&mut client).await;
        client.send(packet).await;
        let frames = client.into_websocket().rest().await;
        assert_eq!(frames, [Frame::Close(None)], "{packet}");
        assert_eq!(left.next().await, "forced close", "{packet}");
    }
}

#[tokio::test]
async fn a_broken_packet_closes_polling_with_a_noop_and_a_close() {
    for packet in BEFORE_CONNECT {
        let server = conformant().await;
        let mut polling = Polling::handshake(server.local_addr(), PATH).await;
        assert_eq!(polling.post(format!("4{packet}")).await.text(), "ok");
        assert_eq!(polling.get().await.text(), "6\x1e1", "{packet}");
        assert_eq!(polling.get().await.status, 400, "{packet}");
    }
    for packet in AFTER_CONNECT {
        let (server, mut left) = logging().await;
        let mut client = Client::open(&server, Transport::Polling).await;
        join(&mut client).await;
        let mut polling = client.into_polling();
        assert_eq!(polling.post(format!("4{packet}")).await.text(), "ok");
        assert_eq!(polling.get().await.text(), "6\x1e1", "{packet}");
        let state_error = packet.starts_with("4{");
        let reason = if state_error {
            "forced server close"
        } else {
            "forced close"
        };
        assert_eq!(left.next().await, reason, "{packet}");
    }
}

#[tokio::test]
async fn a_broken_packet_is_answered_to_a_waiting_get() {
    let (server, mut left) = logging().await;
    let mut client = Client::open(&server, Transport::Polling).await;
    join(&mut client).await;
    let mut polling = client.into_polling();
    polling.start_get().await;
    assert_eq!(polling.post("40").await.text(), "ok");
    assert_eq!(polling.finish_get().await.text(), "1");
    assert_eq!(left.next().await, "forced close");
}

#[tokio::test]
async fn connecting_twice_closes_the_connection() {
    let (server, mut left) = logging().await;
    let mut client = Client::open(&server, Transport::WebSocket).await;
    join(&mut client).await;
    client.send("0").await;
    assert_eq!(client.into_websocket().rest().await, [Frame::Close(None)]);
    assert_eq!(left.next().await, "forced close");

    let mut client = Client::open(&server, Transport::Polling).await;
    join(&mut client).await;
    let mut polling = client.into_polling();
    assert_eq!(polling.post("40").await.text(), "ok");
    assert_eq!(polling.get().await.text(), "6\x1e1");
    assert_eq!(left.next().await, "forced server close");
}

#[tokio::test]
async fn an_event_before_connect_closes_the_connection() {
    let server = conformant().await;
    let mut polling = Polling::handshake(server.local_addr(), PATH).await;
    assert_eq!(polling.post(r#"42["message"]"#).await.text(), "ok");
    assert_eq!(polling.get().await.text(), "6\x1e1");
}

#[tokio::test]
async fn an_event_for_a_namespace_that_was_not_joined_closes_all_of_the_connection() {
    let (server, mut left) = logging().await;
    let mut client = Client::open(&server, Transport::WebSocket).await;
    join(&mut client).await;
    client.send(r#"2/custom,["message"]"#).await;
    client.expect_end().await;
    assert_eq!(left.next().await, "forced close");
}

#[tokio::test]
async fn an_event_may_have_a_number_for_a_name_and_ack_zero() {
    let namespace = Namespace::new("/").on("1", async |_, text: String| text);
    let server = crate::serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"20[1,"one"]"#).await;
    client.expect(r#"30["one"]"#).await;
}

#[tokio::test]
async fn packets_in_one_body_are_answered_in_one_body() {
    let server = conformant().await;
    let mut client = Client::open(&server, Transport::Polling).await;
    join(&mut client).await;
    let mut polling = client.into_polling();
    let payload = "42[\"message\",1]\x1e427[\"message-with-ack\",2]";
    assert_eq!(polling.post(payload).await.text(), "ok");
    let body = "42[\"message-back\",1]\x1e437[2]";
    assert_eq!(polling.get().await.text(), body);
}
