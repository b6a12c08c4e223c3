//! What is known of the request that opened a session, in `auth` and on the socket.

use std::net::IpAddr;
use std::time::SystemTime;

use ferriwire::engine::PeerAddress;
use ferriwire::{Args, Config, Handshake, Namespace, Origins, Request, Transport, Value};

use crate::client::Client;
use crate::support::http::Http;
use crate::support::websocket::WebSocket;
use crate::{Entries, Log, log, serve, serve_with, start};

/// The members of the reference's `handshake`, but for `auth`.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    /// Those of this test, in their order.
    headers: Vec<(String, String)>,
    url: String,
    query: Vec<(String, String)>,
    address: Option<IpAddr>,
    has_peer_address: bool,
    secure: bool,
    has_origin: bool,
    issued: SystemTime,
    transport: Transport,
}

impl Known {
    fn of(request: &Request) -> Self {
        let headers = request.headers().iter().filter_map(|(name, value)| {
            let value = value.to_str().ok()?.to_owned();
            name.as_str()
                .starts_with("x-")
                .then(|| (name.to_string(), value))
        });
        Self {
            headers: headers.collect(),
            url: request.uri().to_string(),
            query: request.query_pairs().collect(),
            address: request.address().map(|address| address.ip()),
            has_peer_address: request.extension::<PeerAddress>().is_some(),
            secure: request.secure(),
            has_origin: request.has_origin(),
            issued: request.issued(),
            transport: request.transport(),
        }
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

/// A namespace that tells what `auth` knows, and then what the socket does.
fn telling(name: &str) -> (Namespace<(), ferriwire::Declared>, Entries<Known>) {
    let (told, entries) = log();
    let (in_auth, on_socket): (Log<Known>, Log<Known>) = (told.clone(), told);
    let namespace = Namespace::new(name)
        .auth(async move |handshake: Handshake| {
            in_auth.write(Known::of(&handshake));
            Ok::<(), ferriwire::ConnectError>(())
        })
        .on_connect(async move |socket| on_socket.write(Known::of(&socket.handshake())));
    (namespace, entries)
}

#[tokio::test]
async fn the_handshake_tells_what_the_request_said() {
    let (namespace, mut entries) = telling("/");
    let config = Config::new().origins(Origins::any());
    let server = serve_with(config, namespace).await;
    let query = "&a=%C3%A9+%26&b=1&b=2&empty=";
    let headers = [
        ("X-Many", "one"),
        ("X-Many", "two"),
        ("X-Color", "red"),
        ("Origin", "https://example.com"),
    ];
    let before = SystemTime::now();
    let mut client = Client::open_websocket(&server, query, &headers).await;
    client.join("/").await;
    let known = entries.next().await;
    assert_eq!(entries.next().await, known, "auth and socket agree");

    let many = [("x-many", "one"), ("x-many", "two"), ("x-color", "red")];
    assert_eq!(known.headers, pairs(&many));
    assert_eq!(
        known.url,
        format!("/socket.io/?EIO=4&transport=websocket{query}")
    );
    let query = [
        ("EIO", "4"),
        ("transport", "websocket"),
        ("a", "\u{e9} &"),
        ("b", "1"),
        ("b", "2"),
        ("empty", ""),
    ];
    assert_eq!(known.query, pairs(&query));
    assert_eq!(known.address, Some(server.local_addr().ip()));
    assert!(known.has_peer_address);
    assert!(!known.secure);
    assert!(known.has_origin);
    assert!(before <= known.issued && known.issued <= SystemTime::now());
    assert_eq!(known.transport, Transport::WebSocket);
}

#[tokio::test]
async fn the_handshake_of_a_page_without_origin_says_so() {
    let (namespace, mut entries) = telling("/");
    let server = serve(namespace).await;
    for transport in crate::client::TRANSPORTS {
        let _client = Client::connect_over(&server, transport).await;
        for _ in 0..2 {
            let known = entries.next().await;
            assert!(!known.has_origin);
            assert_eq!(known.transport, transport);
        }
    }
}

#[tokio::test]
async fn the_handshake_is_that_of_the_first_request_in_every_namespace() {
    let (main, mut of_main) = telling("/");
    let (other, mut of_other) = telling("/other");
    let server = start(ferriwire::Server::new().namespace(main).namespace(other)).await;
    let address = server.local_addr();
    let target = "/socket.io/?EIO=4&transport=polling&color=red";
    let mut http = Http::connect(address).await;
    let first = [("X-Color", "red")];
    let opened = http.request("GET", target, &first, "").await;
    let open: serde_json::Value = serde_json::from_str(&opened.text()[1..]).unwrap();
    let sid = open["sid"].as_str().unwrap();

    let target = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}&color=blue");
    let upgraded = WebSocket::connect(address, &target, &[("X-Color", "blue")]).await;
    let mut websocket = upgraded.unwrap();
    websocket.send_text("2probe").await;
    assert_eq!(websocket.text().await, "3probe");
    websocket.send_text("5").await;
    websocket.send_text("40").await;
    assert!(websocket.text().await.starts_with("40{"));
    websocket.send_text("40/other,").await;
    assert!(websocket.text().await.starts_with("40/other,{"));

    let known = of_main.next().await;
    assert_eq!(known.headers, pairs(&[("x-color", "red")]));
    assert_eq!(known.query.last(), pairs(&[("color", "red")]).last());
    assert_eq!(known.transport, Transport::Polling);
    assert_eq!(of_main.next().await, known);
    assert_eq!(of_other.next().await, known);
    assert_eq!(of_other.next().await, known);
}

#[tokio::test]
async fn the_auth_payload_and_the_name_are_those_of_the_namespace() {
    let (told, mut entries) = log::<(String, Value)>();
    let tell = |namespace: &str| {
        let told = told.clone();
        Namespace::new(namespace).auth(async move |handshake: Handshake| {
            let name = handshake.namespace.to_string();
            told.write((name, handshake.auth));
            Ok::<(), ferriwire::ConnectError>(())
        })
    };
    let server = ferriwire::Server::new()
        .namespace(tell("/"))
        .namespace(tell("/other"));
    let server = start(server).await;
    let mut client = Client::open(&server, Transport::WebSocket).await;
    for (packet, name, auth) in [
        (r#"0{"token":"a"}"#, "/", r#"{"token":"a"}"#),
        (r#"0/other,{"token":[1]}"#, "/other", r#"{"token":[1]}"#),
    ] {
        client.send(packet).await;
        assert!(client.packet().await.contains("sid"));
        let auth: Value = serde_json::from_str(auth).unwrap();
        assert_eq!(entries.next().await, (name.to_owned(), auth));
    }
    client.send("1").await;
    client.send("0").await;
    assert!(client.packet().await.contains("sid"));
    let none: Value = serde_json::from_str("{}").unwrap();
    assert_eq!(entries.next().await, ("/".to_owned(), none));
}

#[tokio::test]
async fn a_payload_that_does_not_fit_is_counted() {
    let namespace = Namespace::new("/")
        .on("number", async |_, number: u8| number)
        .on("anything", async |_, _: Args| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    for fits in [r#"20["number",255]"#, r#"20["anything",{}]"#] {
        client.send(fits).await;
        assert!(client.packet().await.starts_with("30["));
    }
    assert_eq!(server.stats().unfit_payloads, 0);
    let unfit = [
        r#"2["number"]"#,
        r#"2["number","one"]"#,
        r#"21["number",256]"#,
    ];
    for packet in unfit {
        client.send(packet).await;
    }
    client
        .expect(r#"31[{"error":{"message":"invalid payload","path":"[0]"}}]"#)
        .await;
    assert_eq!(server.stats().unfit_payloads, 3);
}
