//! Where the program takes part: decisions, ids, headers, errors and events (protocol 1.1.3, 1.1.4;
//! server-api 2.7; 1.5 cases 6, 11, 14).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferriwire::engine::{BadRequest, Message, PeerAddress, Refusal, Server, Transport};
use ferriwire::{Config, Limits, Listener};
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;

use crate::support::http::Http;
use crate::support::http2::Http2;
use crate::support::polling::Polling;
use crate::support::until;
use crate::support::websocket::{Frame, WebSocket, handshake};
use crate::{Echo, PATH, POLLING, WEBSOCKET, config};

const CODE_3: &str = r#"{"code":3,"message":"Bad request"}"#;

/// The answers of a polling and of a WebSocket handshake, as status and body; the latter is never 101.
async fn refusals(config: Config) -> [(u16, String); 2] {
    let echo = Echo::start(config).await;
    let polling = Http::connect(echo.addr()).await.get(POLLING).await;
    let mut http = Http::connect(echo.addr()).await;
    http.send(&handshake(WEBSOCKET, &[])).await;
    let websocket = http.response().await;
    assert_eq!(echo.server.stats().sessions_opened, 0);
    [polling, websocket].map(|response| (response.status, response.text().to_owned()))
}

fn soon() -> Limits {
    Limits::new().decision_timeout(Duration::from_millis(50))
}

#[tokio::test]
async fn a_decision_that_waits_lets_in_or_refuses_with_its_reason() {
    let config = config().allow_request_async(async |request| {
        tokio::task::yield_now().await;
        match request.query("token").as_deref() {
            Some("good") => Ok(()),
            _ => Err("no token".to_owned()),
        }
    });
    let echo = Echo::start(config.clone()).await;
    for target in [POLLING, WEBSOCKET].map(|target| format!("{target}&token=good")) {
        let mut http = Http::connect(echo.addr()).await;
        http.send(&handshake(&target, &[])).await;
        let expected = if target.contains("websocket") {
            101
        } else {
            200
        };
        // A polling handshake is no upgrade.
        if expected == 101 {
            assert_eq!(http.response().await.status, 101);
        } else {
            let mut http = Http::connect(echo.addr()).await;
            assert_eq!(http.get(&target).await.status, 200);
        }
    }
    let [polling, websocket] = refusals(config).await;
    let body = r#"{"code":4,"message":"no token"}"#.to_owned();
    assert_eq!(polling, (403, body));
    assert_eq!(websocket, (400, "no token".to_owned()));
}

#[tokio::test]
async fn a_decision_that_panics_or_never_comes_refuses() {
    fn fail() -> Result<(), String> {
        panic!("a mistake of the program")
    }
    let forbidden = r#"{"code":4,"message":"Forbidden"}"#;
    for config in [
        config().allow_request(|_| fail()),
        config().allow_request_async(async |_| fail()),
        config()
            .limits(soon())
            .allow_request_async(async |_| std::future::pending().await),
    ] {
        let [polling, websocket] = refusals(config).await;
        assert_eq!(polling, (403, forbidden.to_owned()));
        assert_eq!(websocket, (400, "Forbidden".to_owned()));
    }
}

#[tokio::test]
async fn the_program_makes_the_ids_of_sessions() {
    for id in ["1".to_owned(), "node-1_abc".to_owned(), "x".repeat(64)] {
        let made = id.clone();
        let config = config().generate_id(async move |request| {
            tokio::task::yield_now().await;
            assert_eq!(request.transport(), Transport::Polling);
            Ok::<_, String>(made)
        });
        let echo = Echo::start(config).await;
        let mut polling = echo.polling().await;
        assert_eq!(polling.sid, id);
        assert_eq!(polling.post("4hi").await.text(), "ok");
        assert_eq!(polling.get().await.text(), "4hi");
        let mut websocket = polling.upgrade().await;
        websocket.send_text("4there").await;
        assert_eq!(websocket.text().await, "4there");
    }
}

#[tokio::test]
async fn an_id_that_cannot_be_had_refuses_before_the_101() {
    fn fail() -> Result<String, String> {
        panic!("a mistake of the program")
    }
    let config = || config().limits(soon());
    let with = |id: &str| {
        let id = id.to_owned();
        config().generate_id(async move |_| Ok::<_, String>(id))
    };
    for config in [
        config().generate_id(async |_| Err::<String, _>("no database")),
        config().generate_id(async |_| fail()),
        config().generate_id(async |_| std::future::pending::<Result<String, String>>().await),
        with(""),
        with("a b"),
        with("a\"}"),
        with("a\r\nb"),
        with(&"x".repeat(65)),
    ] {
        let [polling, websocket] = refusals(config).await;
        assert_eq!(polling, (400, CODE_3.to_owned()));
        assert_eq!(websocket, (400, "Bad request".to_owned()));
    }
}

#[tokio::test]
async fn the_id_of_a_session_that_exists_is_refused_and_that_session_lives() {
    let config = config().generate_id(async |_| Ok::<_, String>("same".to_owned()));
    let mut echo = Echo::start(config).await;
    let mut polling = echo.polling().await;
    let response = Http::connect(echo.addr()).await.get(POLLING).await;
    assert_eq!((response.status, response.text()), (400, CODE_3));
    let mut http = Http::connect(echo.addr()).await;
    http.send(&handshake(WEBSOCKET, &[])).await;
    assert_eq!(http.response().await.status, 400);
    polling.post("4hi").await;
    assert_eq!(polling.get().await.text(), "4hi");
    // It is free again when the session has ended.
    polling.post("1").await;
    echo.closed().await;
    assert_eq!(echo.polling().await.sid, "same");
}

#[tokio::test]
async fn the_initial_packet_stands_behind_the_handshake_in_the_same_answer() {
    for (message, packet) in [
        (Message::from("welcome"), "4welcome"),
        (Bytes::from_static(&[1, 2, 3, 4]).into(), "bAQIDBA=="),
    ] {
        let echo = Echo::start(config().initial_packet(message.clone())).await;
        let response = Http::connect(echo.addr()).await.get(POLLING).await;
        let packets = response.packets();
        assert!(packets[0].starts_with("0{"), "{packets:?}");
        assert_eq!(packets[1..], [packet]);
        let mut websocket = echo.websocket().await;
        let frame = websocket.next().await;
        match message {
            Message::Text(_) => assert_eq!(frame, Frame::Text(packet.to_owned())),
            Message::Binary(data) => assert_eq!(frame, Frame::Binary(data.to_vec())),
        }
    }
}

#[tokio::test]
async fn initial_headers_come_once_per_session_and_headers_with_each_answer() {
    let config = config()
        .on_initial_headers(|headers, request| {
            let target = request.uri().to_string();
            headers.insert("x-first", HeaderValue::try_from(target).unwrap());
            for cookie in ["1=1; Max-Age=86400", "2=2; Path=/"] {
                headers.append("set-cookie", HeaderValue::from_static(cookie));
            }
        })
        .on_headers(|headers, request| {
            let method = request.method().as_str();
            headers.insert("x-each", HeaderValue::try_from(method).unwrap());
            let seen = request.headers().get("x-sent").cloned();
            headers.extend(seen.map(|value| (http::header::SERVER, value)));
        });
    let echo = Echo::start(config).await;
    let sent = [("X-Sent", "yes")];
    let mut http = Http::connect(echo.addr()).await;
    let first = http.request("GET", POLLING, &sent, "").await;
    assert_eq!(first.header("x-first"), Some(POLLING));
    assert_eq!(first.header("x-each"), Some("GET"));
    assert_eq!(first.header("server"), Some("yes"));
    let cookies = first
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    assert_eq!(cookies.count(), 2);
    let target = format!("{POLLING}&sid={}", first.text().get(9..29).unwrap());
    let post = http.request("POST", &target, &sent, "4hi").await;
    let get = http.request("GET", &target, &sent, "").await;
    assert_eq!((post.text(), get.text()), ("ok", "4hi"));
    for (response, method) in [(post, "POST"), (get, "GET")] {
        assert_eq!(response.header("x-first"), None);
        assert_eq!(response.header("x-each"), Some(method));
        assert_eq!(response.header("server"), Some("yes"));
    }
    let upgrade = target.replace("polling", "websocket");
    for (target, initial) in [(upgrade.as_str(), None), (WEBSOCKET, Some(WEBSOCKET))] {
        let mut http = Http::connect(echo.addr()).await;
        http.send(&handshake(target, &sent)).await;
        let response = http.response().await;
        assert_eq!(response.status, 101);
        assert_eq!(response.header("x-first"), initial);
        assert_eq!(response.header("x-each"), Some("GET"));
        assert_eq!(response.header("server"), Some("yes"));
    }
    let refused = http.request("PUT", POLLING, &[], "").await;
    assert_eq!((refused.status, refused.header("x-each")), (400, None));
}

#[tokio::test]
async fn an_id_that_is_given_again_names_the_later_session() {
    let (connected, mut sessions) = tokio::sync::mpsc::unbounded_channel();
    let (received, mut messages) = tokio::sync::mpsc::unbounded_channel();
    let handled = Arc::new(tokio::sync::Notify::new());
    let until_told = Arc::clone(&handled);
    let server = Server::new()
        .config(config().generate_id(async |_| Ok::<_, String>("same".to_owned())))
        .on_connect(async move |session| drop(connected.send(session)))
        .on_message(async move |_, _| {
            let done = Done(received.clone());
            let _ = received.send("begun");
            until_told.notified().await;
            drop(done);
        })
        .bind(crate::ANY_PORT)
        .await
        .unwrap();
    let mut polling = Polling::handshake(server.local_addr(), PATH).await;
    polling.post("4hi").await;
    assert_eq!(messages.recv().await, Some("begun"));
    drop(sessions.recv().await);
    polling.post("1").await;
    until("the end of the session", || server.stats().sessions() == 0).await;
    // Its handler still runs, and with it its task.
    let mut later = Polling::handshake(server.local_addr(), PATH).await;
    let session = sessions.recv().await.unwrap();
    handled.notify_one();
    assert_eq!(messages.recv().await, Some("done"));
    let ended = Http::connect(server.local_addr()).await.get("/").await;
    assert_eq!(ended.status, 404);
    session.send("still here").unwrap();
    assert_eq!(later.get().await.text(), "4still here");
    assert_eq!(server.stats().sessions(), 1);
}

/// Tells that a handler has come to its end.
struct Done(tokio::sync::mpsc::UnboundedSender<&'static str>);

impl Drop for Done {
    fn drop(&mut self) {
        let _ = self.0.send("done");
    }
}

#[tokio::test]
async fn what_is_for_the_http_server_does_not_stay_with_a_session() {
    let mut echo = Echo::start(config()).await;
    let sent = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
    ];
    let mut http = Http::connect(echo.addr()).await;
    let response = http.request("GET", POLLING, &sent, "").await;
    assert_eq!(response.status, 200);
    let request = Arc::clone(echo.session().await.request());
    assert!(request.extension::<hyper::upgrade::OnUpgrade>().is_none());
    assert_eq!(request.headers().get("upgrade").unwrap(), "h2c");
    assert!(request.extension::<PeerAddress>().is_some());

    let listener = Listener::tcp(crate::ANY_PORT).http2_prior_knowledge(true);
    let mut echo = Echo::listen(config().http2_websocket(true), [listener]).await;
    let http = Http2::connect(echo.addr()).await;
    let mut headers = HeaderMap::new();
    headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
    let connected = http.websocket(WEBSOCKET, headers).await;
    let _websocket = connected.expect("the handshake is accepted");
    let request = Arc::clone(echo.session().await.request());
    assert_eq!(request.method(), http::Method::CONNECT);
    assert!(request.extension::<hyper::ext::Protocol>().is_none());
    assert!(request.extension::<hyper::upgrade::OnUpgrade>().is_none());
}

#[tokio::test]
async fn headers_that_panic_are_left_out() {
    fn fail() {
        panic!("a mistake of the program")
    }
    let config = config()
        .on_headers(|_, _| fail())
        .on_connection_error(|_| fail())
        .on_upgrade(|_| fail());
    let echo = Echo::start(config).await;
    let polling = Polling::handshake(echo.addr(), PATH).await;
    let mut websocket = polling.upgrade().await;
    websocket.send_text("4hi").await;
    assert_eq!(websocket.text().await, "4hi");
    let mut http = Http::connect(echo.addr()).await;
    assert_eq!(http.request("PUT", POLLING, &[], "").await.status, 400);
}

#[tokio::test]
async fn each_refusal_is_told_with_code_message_context_and_request() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let config = config()
        .allow_request(|request| match request.query("deny") {
            Some(reason) => Err(reason),
            None => Ok(()),
        })
        .generate_id(async |request| match request.query("id") {
            Some(_) => Err("no"),
            None => Ok("abc".to_owned()),
        })
        .on_connection_error(move |error| {
            let sent = error.request().headers().get("x-sent").cloned();
            assert_eq!(sent.as_ref().map(HeaderValue::as_bytes), Some(&b"yes"[..]));
            let request = format!("{} {}", error.request().method(), error.request().uri());
            let message = error.message().to_owned();
            tell.lock()
                .push((request, error.code(), message, error.context().clone()));
        });
    let echo = Echo::start(config).await;
    let polling = echo.polling().await;
    let current = polling.target_for("websocket");
    let revision = polling.target().replace("EIO=4", "EIO=3");
    let unknown = format!("{POLLING}&sid=abcdefghijklmnopqrst");
    for (method, target, code, context) in [
        (
            "GET",
            "/engine.io/?EIO=4&transport=tcp",
            0,
            "transport \"tcp\" is unknown or not enabled",
        ),
        ("GET", unknown.as_str(), 1, "session abcd.. is unknown"),
        (
            "GET",
            current.as_str(),
            3,
            "request over websocket for a session on polling",
        ),
        (
            "GET",
            revision.as_str(),
            3,
            "request in revision V3 for a session in V4",
        ),
        ("POST", POLLING, 2, "method \"POST\" cannot open a session"),
        (
            "GET",
            WEBSOCKET,
            3,
            "request cannot open a session over websocket",
        ),
        (
            "GET",
            "/engine.io/?EIO=4&transport=polling&deny=why",
            4,
            "request is forbidden: \"why\"",
        ),
        (
            "GET",
            "/engine.io/?EIO=3&transport=polling",
            5,
            "protocol revision V3 is not enabled",
        ),
        (
            "GET",
            "/engine.io/?EIO=4&transport=polling&id=1",
            3,
            "no session id could be made",
        ),
        ("GET", POLLING, 3, "no session id could be made"),
    ] {
        let mut http = Http::connect(echo.addr()).await;
        let response = http.request(method, target, &[("X-Sent", "yes")], "").await;
        assert!(response.status >= 400, "{target}");
        let (request, told_code, message, refusal) = told.lock().pop().expect("it was told");
        assert_eq!(request, format!("{method} {target}"));
        assert_eq!(told_code, code, "{target}");
        assert_eq!(refusal.to_string(), context, "{target}");
        assert!(response.text().contains(&message), "{target}");
        assert_eq!(*told.lock(), [], "{target}");
    }
    let mut http = Http::connect(echo.addr()).await;
    let denied = handshake(&format!("{WEBSOCKET}&id=1"), &[("X-Sent", "yes")]);
    http.send(&denied).await;
    assert_eq!(http.response().await.status, 400);
    let (_, _, _, refusal) = told.lock().pop().expect("it was told");
    assert_eq!(refusal, Refusal::BadRequest(BadRequest::IdGeneration));
    let refusals = echo.server.stats().refusals;
    assert_eq!(refusals, [1, 1, 1, 6, 1, 1]);
}

#[tokio::test]
async fn an_upgrade_is_told_once_and_a_websocket_from_the_start_never() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let config = config().on_upgrade(move |session| tell.lock().push(session.transport()));
    let echo = Echo::start(config).await;
    let _direct: WebSocket = echo.websocket().await;
    let polling = echo.polling().await;
    let mut probing = polling.probe().await;
    assert_eq!(*told.lock(), []);
    probing.send_text("5").await;
    probing.send_text("4hi").await;
    assert_eq!(probing.text().await, "4hi");
    assert_eq!(*told.lock(), [Transport::WebSocket]);
}
