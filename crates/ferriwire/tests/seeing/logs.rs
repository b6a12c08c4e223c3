//! What logs may not contain: anything that a client could forge a line with, and secrets.

use std::time::Duration;

use ferriwire::{Config, ConnectError, Cookie, Event, Handshake, Limits, Namespace, RunningServer};
use serde::Deserialize;

use crate::capture::Logs;
use crate::client::{Client, PATH, Received};
use crate::serve;
use crate::support::http::Http;
use crate::support::polling::Polling;
use crate::support::websocket::WebSocket;

const SETTLE: Event<()> = Event::new("settle");

const COUNT: Event<u64, u64> = Event::new("count");

const JOIN: Event<String> = Event::new("join");

/// Names that try to steer whoever reads the log.
const HOSTILE: [&str; 4] = [
    r"a\nERROR forged",
    r"\u001b[2J\u0007",
    r"user\u202etxt.exe",
    r"${jndi:ldap://x}{{7*7}}\u0000",
];

#[derive(Deserialize)]
struct Auth {
    token: String,
}

fn guarded() -> Namespace<String, ferriwire::Declared> {
    Namespace::new("/")
        .auth(async |handshake: Handshake<Auth>| {
            let Auth { token } = handshake.auth;
            match token.as_str() {
                "token-7f3a" => Ok(token),
                _ => Err(ConnectError::new("not authorized")),
            }
        })
        .on(SETTLE, async |_, ()| {})
        .on(COUNT, async |_, count| count)
        .on(JOIN, async |socket, room: String| {
            socket.join(room).map_err(Into::into)
        })
}

#[tokio::test]
async fn a79_names_cannot_forge_lines_and_are_cut() {
    let logs = Logs::capture();
    let config = Config::new()
        .development(true)
        .limits(Limits::new().max_payload(2_000_000));
    let namespace = Namespace::new("/").on(SETTLE, async |_, ()| {});
    let server = serve(config, namespace).await;
    let mut client = Client::connect(&server).await;
    for name in HOSTILE {
        client.send(&format!(r#"2["{name}","payload-51d0"]"#)).await;
    }
    for namespace in ["/a\nERROR forged", "/\u{1b}[2J", "/user\u{202e}txt.exe"] {
        client.send(&format!("0{namespace},")).await;
        assert!(matches!(client.next().await, Received::Text(_)));
    }
    client.expect_nothing().await;
    assert!(logs.count("no handler") >= HOSTILE.len());

    // As long as a name may be, and far beyond.
    for len in [255, 256, 257, 1_000_000] {
        let mut client = Client::connect(&server).await;
        let name = r"\u202e".repeat(len / 6);
        client.send(&format!(r#"2["{name}"]"#)).await;
        let name = "n".repeat(len);
        client.send(&format!(r#"2["{name}"]"#)).await;
        client.send(&format!("0/{name},")).await;
        while !matches!(client.next().await, Received::End | Received::Text(_)) {}
    }
    let target = format!("{PATH}?EIO=4&transport=%1b%5b2J%0aERROR");
    let response = Http::connect(server.local_addr()).await.get(&target).await;
    assert_eq!(response.status, 400);

    for line in logs.lines() {
        let forges = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2028}');
        assert!(!line.text.contains(forges), "{line:?}");
        assert!(line.text.len() <= 1_024, "{line:?}");
        assert!(!line.text.contains("payload-51d0"), "{line:?}");
    }
}

#[tokio::test]
async fn no_log_of_a_whole_session_shows_a_secret_or_a_payload() {
    let logs = Logs::capture();
    let config = Config::new()
        .development(true)
        .cookie(Cookie::new("route"))
        .limits(Limits::new().max_payload(10_000));
    let server = serve(config, guarded()).await;
    let secrets = [
        ("Cookie", "session=cookie-90bc"),
        ("Authorization", "Bearer key-41ee"),
    ];

    // By polling, with an upgrade that fails and one that succeeds.
    let mut polling = Polling::handshake(server.local_addr(), PATH).await;
    let sid = polling.sid.clone();
    polling
        .post(r#"40{"token":"token-7f3a","pid":"pid-a81c"}"#)
        .await;
    let mut client = Client::from(polling);
    let connected = client.packet().await;
    assert!(connected.starts_with("0{"), "{connected}");
    client.send(r#"2["unheard","payload-51d0"]"#).await;
    client.send(r#"21["count","payload-51d0"]"#).await;
    assert!(client.packet().await.starts_with("31"));
    client.send(r#"2["join","payload-51d0"]"#).await;
    client.send(r#"399["payload-51d0"]"#).await;
    client.send(r#"0/payless,{"token":"token-7f3a"}"#).await;
    assert!(client.packet().await.starts_with("4/payless,"));
    let mut polling = client.into_polling();
    let large = polling.post("x".repeat(20_000)).await;
    assert_eq!(large.status, 413);
    polling.posts = Http::connect(server.local_addr()).await;
    let target = format!("{PATH}?EIO=4&transport=websocket&sid={sid}");
    let mut probe = WebSocket::connect(server.local_addr(), &target, &secrets)
        .await
        .expect("the session may upgrade");
    probe.send_text("payload-51d0").await;
    while !matches!(
        probe.next().await,
        crate::support::websocket::Frame::Close(_) | crate::support::websocket::Frame::End
    ) {}
    polling.post("4payload-51d0").await;

    // By WebSocket: refused, and then violating the protocol.
    let query = "&token=query-77aa";
    let mut client = Client::open_websocket(&server, query, &secrets).await;
    client.send(r#"0{"token":"wrong-1c2d"}"#).await;
    client.expect(r#"4{"message":"not authorized"}"#).await;
    client.send(r#"0{"token":["wrong-1c2d"]}"#).await;
    client.next().await;
    let mut client = Client::open_websocket(&server, query, &secrets).await;
    client.send(r#"0{"token":"token-7f3a"}"#).await;
    client.packet().await;
    client.send(r#"2["count",payload-51d0]"#).await;
    client.expect_end().await;

    // Refused by HTTP.
    let mut http = Http::connect(server.local_addr()).await;
    let target =
        format!("{PATH}?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA&token=query-77aa");
    assert_eq!(http.request("GET", &target, &secrets, "").await.status, 400);
    server.shutdown(Duration::ZERO).await;

    let lines = logs.lines();
    assert!(lines.len() > 10, "something is logged: {lines:?}");
    for reason in [
        "no handler",
        "payload does not fit the handler",
        "nobody waits for this answer",
        "unknown namespace refused",
        "POST refused: it is larger than max_payload",
        "upgrade failed",
        "client refused",
        "the client broke the protocol",
        "request refused",
        "session closed",
    ] {
        assert!(logs.count(reason) > 0, "{reason}: {lines:#?}");
    }
    assert!(
        logs.count(&sid[..4]) > 0,
        "sessions are told apart by a prefix"
    );
    for line in &lines {
        for secret in [
            sid.as_str(),
            "AAAAAAAAAAAAAAAAAAAA",
            "token-7f3a",
            "wrong-1c2d",
            "pid-a81c",
            "cookie-90bc",
            "key-41ee",
            "query-77aa",
            "payload-51d0",
        ] {
            assert!(!line.text.contains(secret), "{line:?}");
        }
    }
}

#[tokio::test]
async fn a52_a_forwarding_header_that_is_ignored_is_warned_of_once_and_named_by_refusals() {
    const WARNING: &str = "name it in Config::trusted_proxies";
    const HINT: &str = "see Config::trusted_proxies";
    let logs = Logs::capture();
    let limits = Limits::new().max_connections_per_address(2);
    let config = Config::new().limits(limits);
    let target = format!("{PATH}?EIO=4&transport=polling");
    let ask = async |server: &RunningServer, headers: &[(&str, &str)]| {
        let mut http = Http::connect(server.local_addr()).await;
        http.request("GET", &target, headers, "").await.status
    };
    let refusals = || {
        let lines = logs.lines().into_iter();
        let refused = lines.filter(|line| line.text.contains("request refused"));
        refused.map(|line| line.text).collect::<Vec<_>>()
    };

    // Of a peer that nobody named: all of them share the limit of its address.
    let server = serve(config.clone(), Namespace::new("/")).await;
    for (header, value, status) in [
        ("X-Forwarded-For", "203.0.113.1", 200),
        ("Forwarded", "for=203.0.113.2", 200),
        ("X-Forwarded-For", "203.0.113.3", 429),
        ("X-Forwarded-Proto", "https", 429),
    ] {
        assert_eq!(ask(&server, &[(header, value)]).await, status, "{header}");
        assert_eq!(logs.count(WARNING), 1, "{header}");
    }
    let refused = refusals();
    assert_eq!(refused.len(), 2);
    for line in &refused {
        assert!(line.contains(HINT), "{line}");
        assert!(line.contains("address=127.0.0.1"), "{line}");
        assert!(!line.contains("203.0.113"), "{line}");
    }
    // Of the same limit without a header nothing of the kind is said.
    assert_eq!(ask(&server, &[]).await, 429);
    let refused = refusals();
    assert!(refused.last().is_some_and(|line| !line.contains("prox")));

    // Of a peer that was named, the header is believed.
    let trusting = config.trusted_proxies(["127.0.0.0/8".parse().expect("a network")]);
    let server = serve(trusting, Namespace::new("/")).await;
    for status in [200, 200, 429] {
        let headers = [("X-Forwarded-For", "203.0.113.1")];
        assert_eq!(ask(&server, &headers).await, status);
    }
    assert_eq!(logs.count(WARNING), 1);
    let refused = refusals();
    let last = refused.last().expect("a refusal");
    assert!(last.contains("address=203.0.113.1"), "{last}");
    assert!(!last.contains("prox"), "{last}");
}
