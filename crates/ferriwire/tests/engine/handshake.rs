//! Handshakes: what opens a session, and what is refused (protocol 1.1.3, 1.1.4; 1.5 cases 1 to 9).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferriwire::engine::{Origins, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::mounting::pipes;
use crate::support::http::{Http, Response};
use crate::support::websocket::{WebSocket, handshake};
use crate::{Echo, POLLING, WEBSOCKET, config, echo};

const WEBSOCKET_3: &str = "/engine.io/?EIO=3&transport=websocket";

const CODE_0: &str = r#"{"code":0,"message":"Transport unknown"}"#;
const CODE_1: &str = r#"{"code":1,"message":"Session ID unknown"}"#;
const CODE_2: &str = r#"{"code":2,"message":"Bad handshake method"}"#;
const CODE_3: &str = r#"{"code":3,"message":"Bad request"}"#;
const CODE_4: &str = r#"{"code":4,"message":"Forbidden"}"#;
const CODE_5: &str = r#"{"code":5,"message":"Unsupported protocol version"}"#;

/// What every refusal of a plain request looks like.
fn check_refusal(response: &Response, status: u16, body: &str, what: &str) {
    assert_eq!(response.text(), body, "{what}");
    assert_eq!(response.status, status, "{what}");
    let length = body.len().to_string();
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-length", length.as_str()),
    ] {
        assert_eq!(response.header(name), Some(value), "{what}: {name}");
    }
}

/// What every refusal of an upgrade looks like: the 101 was never sent, and the connection ends.
async fn check_upgrade_refusal(
    echo: &Echo,
    target: &str,
    headers: &[(&str, &str)],
    status: u16,
    body: &str,
) {
    let mut http = Http::connect(echo.addr()).await;
    http.send(&handshake(target, headers)).await;
    let response = http.response().await;
    assert_eq!(response.status, status, "{target}");
    assert_eq!(response.text(), body, "{target}");
    assert_eq!(
        response.header("content-type"),
        Some("text/html"),
        "{target}"
    );
    assert_eq!(response.header("connection"), Some("close"), "{target}");
    assert_eq!(http.rest().await, b"", "{target}");
}

#[tokio::test]
async fn requests_that_open_no_session_are_refused_with_their_code() {
    let echo = Echo::start(config()).await;
    let unknown = "&sid=abcdefghijklmnopqrst";
    let many = format!("{POLLING}{}", "&a=b".repeat(63));
    let cases = [
        ("GET", "/engine.io/?transport=polling".to_owned(), CODE_5),
        (
            "GET",
            "/engine.io/?EIO=abc&transport=polling".to_owned(),
            CODE_5,
        ),
        (
            "GET",
            "/engine.io/?EIO=3&transport=polling".to_owned(),
            CODE_5,
        ),
        (
            "GET",
            "/engine.io/?EIO=04&transport=polling".to_owned(),
            CODE_5,
        ),
        ("GET", "/engine.io/".to_owned(), CODE_0),
        ("GET", "/engine.io/?EIO=4".to_owned(), CODE_0),
        ("GET", "/engine.io/?EIO=4&transport=".to_owned(), CODE_0),
        ("GET", "/engine.io/?EIO=4&transport=abc".to_owned(), CODE_0),
        (
            "GET",
            "/engine.io/?EIO=4&transport=constructor".to_owned(),
            CODE_0,
        ),
        (
            "GET",
            "/engine.io/?EIO=4&transport=__proto__".to_owned(),
            CODE_0,
        ),
        (
            "GET",
            "/engine.io/?EIO=4&transport=webtransport".to_owned(),
            CODE_0,
        ),
        ("GET", WEBSOCKET.to_owned(), CODE_3),
        ("GET", format!("{POLLING}&j=0"), CODE_3),
        ("GET", many, CODE_3),
        ("POST", POLLING.to_owned(), CODE_2),
        ("PUT", POLLING.to_owned(), CODE_2),
        ("DELETE", POLLING.to_owned(), CODE_2),
        ("OPTIONS", POLLING.to_owned(), CODE_2),
        ("GET", format!("{POLLING}{unknown}"), CODE_1),
        ("POST", format!("{POLLING}{unknown}"), CODE_1),
        ("GET", format!("{POLLING}&sid=__proto__"), CODE_1),
        ("GET", format!("{POLLING}&sid=constructor"), CODE_1),
        ("GET", format!("{POLLING}&sid=%ff"), CODE_1),
        ("GET", format!("{POLLING}&EIO=4"), CODE_3),
        ("GET", format!("{POLLING}&transport=polling"), CODE_3),
        ("GET", format!("{POLLING}{unknown}{unknown}"), CODE_3),
        ("GET", format!("{POLLING}&%73id=a&sid=b"), CODE_3),
    ];
    let count = cases.len();
    for (method, target, body) in cases {
        let mut http = Http::connect(echo.addr()).await;
        let response = http.request(method, &target, &[], "").await;
        check_refusal(&response, 400, body, &format!("{method} {target}"));
        // The connection goes on.
        assert_eq!(http.get(POLLING).await.status, 200, "{method} {target}");
    }
    let stats = echo.server.stats();
    assert_eq!(stats.refusals.iter().sum::<u64>(), count as u64);
    assert_eq!(stats.sessions_opened, count as u64);
}

#[tokio::test]
async fn upgrades_that_open_no_session_are_refused_before_the_101() {
    let echo = Echo::start(config()).await;
    for (target, body) in [
        (
            "/engine.io/?transport=websocket",
            "Unsupported protocol version",
        ),
        (
            "/engine.io/?EIO=abc&transport=websocket",
            "Unsupported protocol version",
        ),
        ("/engine.io/?EIO=4", "Transport unknown"),
        (
            "/engine.io/?EIO=4&transport=constructor",
            "Transport unknown",
        ),
        (
            "/engine.io/?EIO=4&transport=websocket&sid=abc",
            "Session ID unknown",
        ),
        (
            "/engine.io/?EIO=4&transport=websocket&sid=abcdefghijklmnopqrst",
            "Session ID unknown",
        ),
        ("/engine.io/?EIO=4&transport=websocket&EIO=4", "Bad request"),
        ("/engine.io/?EIO=4&transport=polling", "Bad request"),
    ] {
        check_upgrade_refusal(&echo, target, &[], 400, body).await;
    }
    let polling = echo.polling().await;
    let as_polling = polling.target();
    check_upgrade_refusal(&echo, &as_polling, &[], 400, "Bad request").await;
    assert_eq!(echo.server.stats().sessions(), 1);
}

#[tokio::test]
async fn only_the_path_itself_is_answered() {
    let echo = Echo::start(config()).await;
    for (path, status) in [
        ("/engine.io/", 200),
        ("/engine.io", 200),
        ("/engine.io//", 404),
        ("/engine.io/default/", 404),
        ("/engine.iox", 404),
        ("/ENGINE.IO/", 404),
        ("/engine%2eio/", 404),
        ("/x/engine.io/", 404),
        ("/", 404),
    ] {
        let mut http = Http::connect(echo.addr()).await;
        let response = http.get(&format!("{path}?EIO=4&transport=polling")).await;
        assert_eq!(response.status, status, "{path}");
        let target = format!("{path}?EIO=4&transport=websocket");
        let websocket = WebSocket::connect(echo.addr(), &target, &[]).await;
        assert_eq!(websocket.is_ok(), status == 200, "{path}");
    }
}

#[tokio::test]
async fn handshake_data_are_five_typed_values_in_the_order_of_the_reference() {
    let echo = Echo::start(config()).await;
    let mut http = Http::connect(echo.addr()).await;
    let response = http.get(POLLING).await;
    let sid = response.text().get(9..29).unwrap();
    assert!(
        sid.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    );
    let expected = format!(
        "0{{\"sid\":\"{sid}\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,\
         \"pingTimeout\":20000,\"maxPayload\":1000000}}"
    );
    assert_eq!(response.text(), expected);
    for (name, value) in [
        ("content-type", "text/plain; charset=UTF-8"),
        ("content-length", expected.len().to_string().as_str()),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(response.header(name), Some(value), "{name}");
    }
    assert_eq!(response.header("set-cookie"), None);
    assert_eq!(response.header("transfer-encoding"), None);
}

#[tokio::test]
async fn upgrades_name_what_the_client_may_move_to() {
    let both = [Transport::Polling, Transport::WebSocket];
    for (config, expected) in [
        (config(), serde_json::json!(["websocket"])),
        (
            config().transports(both).allow_upgrades(false),
            serde_json::json!([]),
        ),
        (
            config().transports([Transport::Polling]),
            serde_json::json!([]),
        ),
    ] {
        let echo = Echo::start(config).await;
        assert_eq!(echo.polling().await.open["upgrades"], expected);
    }
    let echo = Echo::start(config()).await;
    let websocket = WebSocket::connect(echo.addr(), WEBSOCKET, &[]).await;
    let open = websocket.unwrap().text().await;
    assert!(open.contains("\"upgrades\":[],"), "{open}");
}

#[tokio::test]
async fn a_transport_that_is_not_enabled_is_unknown() {
    let echo = Echo::start(config().transports([Transport::Polling])).await;
    check_upgrade_refusal(&echo, WEBSOCKET, &[], 400, "Transport unknown").await;
    let polling = echo.polling().await;
    assert_eq!(polling.candidate().await.unwrap_err().status, 400);

    let echo = Echo::start(config().transports([Transport::WebSocket])).await;
    let response = Http::connect(echo.addr()).await.get(POLLING).await;
    check_refusal(&response, 400, CODE_0, "polling");
}

#[tokio::test]
async fn without_allow_upgrades_a_session_stays_on_polling() {
    let echo = Echo::start(config().allow_upgrades(false)).await;
    let mut polling = echo.polling().await;
    assert_eq!(polling.candidate().await.unwrap_err().text(), "Bad request");
    assert_eq!(polling.post("4hi").await.text(), "ok");
    assert_eq!(polling.get().await.text(), "4hi");
}

#[tokio::test]
async fn a_request_that_lost_its_upgrade_header_falls_back_to_polling() {
    let echo = Echo::start(config()).await;
    let mut http = Http::connect(echo.addr()).await;
    // A proxy has taken `Upgrade` away; the official client then goes on with polling.
    let stripped = [
        ("Connection", "keep-alive"),
        ("Sec-WebSocket-Version", "13"),
    ];
    let response = http.request("GET", WEBSOCKET, &stripped, "").await;
    check_refusal(&response, 400, CODE_3, "stripped handshake");
    let mut polling = echo.polling().await;
    let target = polling.target_for("websocket");
    let response = http.request("GET", &target, &stripped, "").await;
    check_refusal(&response, 400, CODE_3, "stripped upgrade");
    polling.post("4hi").await;
    assert_eq!(polling.get().await.text(), "4hi");
}

#[tokio::test]
async fn an_invalid_origin_is_a_bad_request_on_every_transport() {
    for origins in [Origins::same_host(), Origins::any()] {
        let echo = Echo::start(config().origins(origins)).await;
        for target in [POLLING, WEBSOCKET] {
            let mut request = match target {
                POLLING => crate::support::http::head("GET", target, &[]),
                _ => handshake(target, &[]),
            };
            request.truncate(request.len() - 2);
            request.extend_from_slice(b"Origin: http://\xf0\x9f\xff\r\n\r\n");
            let mut http = Http::connect(echo.addr()).await;
            http.send(&request).await;
            let response = http.response().await;
            assert_eq!(response.status, 400);
            assert!(response.text().contains("Bad request"));
        }
        echo.is_empty_and_alive().await;
    }
}

#[tokio::test]
async fn a_foreign_origin_is_forbidden_everywhere() {
    let echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let foreign = [("Origin", "http://evil.example")];
    for (method, target, body) in [
        ("GET", POLLING.to_owned(), ""),
        ("GET", polling.target(), ""),
        ("POST", polling.target(), "4hi"),
        ("OPTIONS", POLLING.to_owned(), ""),
        ("DELETE", polling.target(), ""),
    ] {
        let mut http = Http::connect(echo.addr()).await;
        let response = http.request(method, &target, &foreign, body).await;
        check_refusal(&response, 403, CODE_4, &format!("{method} {target}"));
        assert_eq!(response.header("access-control-allow-origin"), None);
    }
    check_upgrade_refusal(&echo, WEBSOCKET, &foreign, 403, "Forbidden").await;
    let upgrade = polling.target_for("websocket");
    check_upgrade_refusal(&echo, &upgrade, &foreign, 403, "Forbidden").await;
    let cross_site = [("Sec-Fetch-Site", "cross-site")];
    check_upgrade_refusal(&echo, WEBSOCKET, &cross_site, 403, "Forbidden").await;
    // The session that was named has not noticed.
    polling.post("4mine").await;
    assert_eq!(polling.get().await.text(), "4mine");
    let own = [("Origin", "http://localhost")];
    assert!(
        WebSocket::connect(echo.addr(), WEBSOCKET, &own)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_program_is_asked_once_per_session_and_its_reason_is_told() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let echo = Echo::start(config().allow_request(move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        match request.headers().get("authorization") {
            Some(_) => Ok(()),
            None => Err("sign in \"first\"".to_owned()),
        }
    }))
    .await;
    let response = Http::connect(echo.addr()).await.get(POLLING).await;
    let body = r#"{"code":4,"message":"sign in \"first\""}"#;
    check_refusal(&response, 403, body, "polling");
    check_upgrade_refusal(&echo, WEBSOCKET, &[], 400, "sign in \"first\"").await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);

    // The program is asked before the revision is looked at, and after everything else.
    let mut http = Http::connect(echo.addr()).await;
    let target = "/engine.io/?EIO=3&transport=polling";
    let other_revision = http.get(target).await;
    check_refusal(&other_revision, 403, body, "another revision");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    check_refusal(&http.post(POLLING, "").await, 400, CODE_2, "a POST");
    check_refusal(&http.get(WEBSOCKET).await, 400, CODE_3, "no upgrade");
    let signed_in = [("Authorization", "Bearer x")];
    let response = http.request("GET", target, &signed_in, "").await;
    check_refusal(&response, 400, CODE_5, "another revision, signed in");
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    assert_eq!(echo.server.stats().sessions_opened, 0);

    let mut http = Http::connect(echo.addr()).await;
    let response = http.request("GET", POLLING, &signed_in, "").await;
    let sid = response.text().get(9..29).unwrap();
    let target = format!("{POLLING}&sid={sid}");
    assert_eq!(http.post(&target, "4hi").await.text(), "ok");
    assert_eq!(http.get(&target).await.text(), "4hi");
    let upgrade = format!("{WEBSOCKET}&sid={sid}");
    assert!(WebSocket::connect(echo.addr(), &upgrade, &[]).await.is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_websocket_handshake_needs_version_13_and_a_key() {
    let echo = Echo::start(config()).await;
    let mut http = Http::connect(echo.addr()).await;
    let upgrade = [
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "WebSocket"),
    ];
    let mut headers = upgrade.to_vec();
    headers.push(("Sec-WebSocket-Version", "8"));
    let response = http.request("GET", WEBSOCKET, &headers, "").await;
    assert_eq!(response.status, 426);
    assert_eq!(response.header("sec-websocket-version"), Some("13"));
    assert_eq!(response.header("upgrade"), Some("websocket"));
    assert_eq!(response.header("connection"), Some("Upgrade"));

    let mut headers = upgrade.to_vec();
    headers.push(("Sec-WebSocket-Version", "13"));
    headers.push(("Sec-WebSocket-Key", "too short"));
    let mut http = Http::connect(echo.addr()).await;
    let response = http.request("GET", WEBSOCKET, &headers, "").await;
    assert_eq!((response.status, response.text()), (400, "Bad request"));

    headers.pop();
    headers.push(("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="));
    let mut http = Http::connect(echo.addr()).await;
    let response = http.request("GET", WEBSOCKET, &headers, "").await;
    assert_eq!(response.status, 101);
    assert_eq!(response.header("sec-websocket-protocol"), None);
    assert_eq!(response.header("sec-websocket-extensions"), None);
    assert_eq!(echo.server.stats().sessions_opened, 1);
}

#[tokio::test]
async fn internet_explorer_is_told_to_leave_scripts_alone() {
    let echo = Echo::start(config()).await;
    for (agent, expected) in [
        (
            "Mozilla/4.0 (compatible;MSIE 8.0;Windows NT 6.1)",
            Some("0"),
        ),
        (
            "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)",
            Some("0"),
        ),
        (
            "Mozilla/5.0 (Windows NT 6.3; Trident/7.0; rv:11.0) like Gecko",
            Some("0"),
        ),
        ("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", None),
    ] {
        let mut http = Http::connect(echo.addr()).await;
        let agent = [("User-Agent", agent)];
        let response = http.request("GET", POLLING, &agent, "").await;
        assert_eq!(response.header("x-xss-protection"), expected, "{agent:?}");
        let caching = response.header("cache-control");
        assert_eq!(caching, Some("no-store"));
        let sniffing = response.header("x-content-type-options");
        assert_eq!(sniffing, Some("nosniff"));
    }
}

#[tokio::test]
async fn a_path_without_a_trailing_slash_and_the_root_are_paths() {
    for (path, targets) in [
        ("/engine.io/", ["/engine.io", "/engine.io/"]),
        ("engine.io", ["/engine.io", "/engine.io/"]),
        ("/a/b", ["/a/b", "/a/b/"]),
        ("/", ["/", "/"]),
    ] {
        let echo = Echo::start(config().path(path)).await;
        for target in targets {
            let mut http = Http::connect(echo.addr()).await;
            let target = format!("{target}?EIO=4&transport=polling");
            assert_eq!(http.get(&target).await.status, 200, "{path} {target}");
            let target = target.replace("polling", "websocket");
            let websocket = WebSocket::connect(echo.addr(), &target, &[]).await;
            assert!(websocket.is_ok(), "{path} {target}");
        }
    }
}

/// Programs on the `ws` package that await `open`, and then the first message, waited for ever: what is
/// read in one go with the 101 is handed out before they listen.
#[tokio::test(start_paused = true)]
async fn what_opens_a_session_keeps_behind_the_answer_to_the_handshake() {
    for target in [WEBSOCKET, WEBSOCKET_3] {
        let (server, ..) = echo(config().allow_eio3(true));
        let mut stream = pipes(server.into_service().unwrap()).open().await;
        stream.write_all(&handshake(target, &[])).await.unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"\r\n\r\n") {
            received.push(stream.read_u8().await.unwrap());
        }
        assert!(received.starts_with(b"HTTP/1.1 101 "), "{target}");
        let answered = Instant::now();
        stream.read_u8().await.unwrap();
        let apart = answered.elapsed();
        assert!(apart.as_millis() >= 2, "{target}: {apart:?}");
    }
}
