//! Long-polling over HTTP/2, and WebSockets on its streams (RFC 8441).

use std::time::Duration;

use ferriwire::engine::CloseReason;
use ferriwire::{Config, Limits, Listener};
use ferriwire_proto::websocket::frame::OpCode;
use http::{HeaderMap, HeaderValue, Method};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::mounting::works;
use crate::support::http::Http;
use crate::support::http2::{Http2, answer};
use crate::support::websocket::{Frame, WebSocket, frame};
use crate::support::{until, within};
use crate::{ANY_PORT, Echo, POLLING, WEBSOCKET, config, echo};

const SHORT: Duration = Duration::from_millis(300);
const TICK: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(600);

/// A server whose listener takes HTTP/2 without TLS.
async fn start(config: Config) -> Echo {
    let listener = Listener::tcp(ANY_PORT).http2_prior_knowledge(true);
    Echo::listen(config, [listener]).await
}

fn with_websockets() -> Config {
    config().http2_websocket(true)
}

/// The headers of a WebSocket's request, and others.
fn headers(others: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
    for (name, value) in others {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    headers
}

async fn handshake(http: &Http2) -> String {
    let response = http.get(POLLING).await;
    assert_eq!(response.status, 200, "{response:?}");
    let open: serde_json::Value = serde_json::from_str(&response.text()[1..]).expect("JSON");
    let sid = open["sid"].as_str().expect("a session id");
    format!("{POLLING}&sid={sid}")
}

async fn open(http: &Http2) -> WebSocket {
    let opened = http.websocket(WEBSOCKET, headers(&[])).await;
    let mut websocket = opened.expect("it is accepted");
    assert!(websocket.text().await.starts_with("0{"));
    websocket
}

#[tokio::test]
async fn without_being_asked_for_it_is_not_spoken() {
    let echo = Echo::start(config()).await;
    let mut http = Http::connect(echo.addr()).await;
    http.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let answer = http.rest().await;
    assert!(!answer.starts_with(&[0, 0]), "no SETTINGS: {answer:?}");
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn a_listener_with_prior_knowledge_speaks_http1_as_well() {
    let echo = start(config()).await;
    works(&echo.addr().into()).await;
}

#[tokio::test]
async fn many_sessions_poll_on_one_connection() {
    let echo = start(config()).await;
    let http = Http2::connect(echo.addr()).await;
    let mut sessions = Vec::new();
    for _ in 0..50 {
        let target = handshake(&http).await;
        let waiting = http
            .start(Method::GET, &target, HeaderMap::new(), b"")
            .await;
        sessions.push((target, waiting));
    }
    for (number, (target, waiting)) in sessions.into_iter().enumerate() {
        let message = format!("4{number}\x1ebAQI=");
        let posted = http
            .request(Method::POST, &target, message.as_bytes())
            .await;
        assert_eq!((posted.status, posted.text()), (200, "ok"));
        let polled = answer(waiting).await;
        assert!(polled.text().starts_with(&format!("4{number}")));
        assert_eq!(polled.header("cache-control"), Some("no-store"));
        assert_eq!(polled.header("connection"), None);
    }
    let large = vec![b'x'; 999_000];
    let target = handshake(&http).await;
    let posted = http
        .request(Method::POST, &target, &[b"4", &large[..]].concat())
        .await;
    assert_eq!(posted.text(), "ok");
    assert_eq!(http.get(&target).await.body.len(), 999_001);
}

#[tokio::test]
async fn a_poll_that_is_reset_ends_its_session_and_not_the_connection() {
    let mut echo = start(config()).await;
    let http = Http2::connect(echo.addr()).await;
    let target = handshake(&http).await;
    let other = handshake(&http).await;
    let waiting = http
        .start(Method::GET, &target, HeaderMap::new(), b"")
        .await;
    // Answered behind the GET in front of it.
    assert_eq!(http.get("/nothing").await.status, 404);
    drop(waiting);
    assert_eq!(echo.closed().await, CloseReason::TransportError);
    let posted = http.request(Method::POST, &other, b"4here").await;
    assert_eq!(posted.text(), "ok");
}

#[tokio::test]
async fn the_host_and_the_path_are_what_they_are_over_http1() {
    let mut echo = start(config()).await;
    let http = Http2::connect(echo.addr()).await;
    handshake(&http).await;
    let session = echo.session().await;
    let request = session.request();
    assert_eq!(request.uri().to_string(), POLLING);
    assert_eq!(request.headers()["host"], "localhost");
    assert!(!request.secure(), "whatever the client says");
    assert!(request.address().is_some());
}

#[tokio::test]
async fn heads_are_bounded_in_number_and_size() {
    let echo = start(config()).await;
    for (count, size, status) in [
        (100, 1, 200),
        (101, 1, 431),
        (1, 15_000, 200),
        (1, 17_000, 431),
    ] {
        let http = Http2::connect(echo.addr()).await;
        let mut headers = HeaderMap::new();
        for number in 0..count {
            let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
            headers.insert(name, HeaderValue::try_from("x".repeat(size)).unwrap());
        }
        let response = http.start(Method::GET, POLLING, headers, b"").await;
        assert_eq!(answer(response).await.status, status, "{count} {size}");
    }
}

#[tokio::test]
async fn streams_are_bounded() {
    let echo = start(config().limits(Limits::new().max_http2_streams(2))).await;
    let http = Http2::connect(echo.addr()).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let target = handshake(&http).await;
        let waits = http
            .start(Method::GET, &target, HeaderMap::new(), b"")
            .await;
        waiting.push((target, waits));
    }
    // A third has to wait for one of them.
    let third = http.get(POLLING);
    let mut third = std::pin::pin!(third);
    let (target, waits) = waiting.pop().unwrap();
    tokio::select! {
        biased;
        response = third.as_mut() => panic!("{response:?} came too early"),
        () = tokio::task::yield_now() => {}
    }
    let mut other = Http::connect(echo.addr()).await;
    assert_eq!(other.post(&target, "4a").await.text(), "ok");
    let (polled, third) = tokio::join!(answer(waits), third);
    assert_eq!((polled.text(), third.status), ("4a", 200));
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go_and_a_used_one_is_not() {
    // Looked at after a second for the first time, when all of them are what they shall be.
    let limits = Limits::new()
        .head_timeout(1_000 * TICK)
        .keep_alive_timeout(TICK);
    let mut echo = start(with_websockets().limits(limits)).await;
    let used = Http2::connect(echo.addr()).await;
    let mut websocket = open(&used).await;
    let waiting = Http2::connect(echo.addr()).await;
    let target = handshake(&waiting).await;
    let get = waiting
        .start(Method::GET, &target, HeaderMap::new(), b"")
        .await;
    let _of_the_websocket = echo.session().await;
    let polling = echo.session().await;
    let idle = Http2::connect(echo.addr()).await;
    assert_eq!(idle.get("/nothing").await.status, 404);
    let end = within("a GOAWAY", idle.connection).await.unwrap();
    assert!(end.is_ok(), "{end:?}");
    polling.send("late").unwrap();
    assert_eq!(answer(get).await.text(), "4late");
    websocket.send_text("4here").await;
    assert_eq!(websocket.text().await, "4here");
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let limits = Limits::new().head_timeout(SHORT);
    let echo = start(config().limits(limits)).await;
    let silent = Http2::connect(echo.addr()).await;
    drop(within("the end", silent.connection).await);
    for beginning in [&b""[..], b"PRI * HTTP/2.0\r\n"] {
        let mut http = Http::connect(echo.addr()).await;
        http.send(beginning).await;
        assert_eq!(http.rest().await, b"", "{beginning:?}");
    }
}

#[tokio::test]
async fn a_stream_is_a_websocket() {
    let mut echo = start(with_websockets()).await;
    let http = Http2::connect(echo.addr()).await;
    assert!(http.offers_websockets());
    let mut websocket = open(&http).await;
    for name in ["connection", "upgrade", "sec-websocket-accept"] {
        assert_eq!(websocket.response.header(name), None);
    }
    websocket.send_text("4text").await;
    assert_eq!(websocket.text().await, "4text");
    let large = vec![7; 900_000];
    websocket.send_binary(&large).await;
    assert_eq!(websocket.next().await, Frame::Binary(large));
    websocket.send_frame(OpCode::Ping, b"x").await;
    assert_eq!(websocket.next().await, Frame::Pong(b"x".to_vec()));
    let mut second = open(&http).await;
    websocket
        .send_frame(OpCode::Close, &1000_u16.to_be_bytes())
        .await;
    assert_eq!(websocket.rest().await, [Frame::Close(Some(1000))]);
    assert_eq!(echo.closed().await, CloseReason::TransportClose);
    second.send_raw(b"test").await;
    assert_eq!(second.rest().await, [Frame::Close(Some(1002))]);
    assert_eq!(http.get(POLLING).await.status, 200);
    let session = echo.session().await;
    assert_eq!(session.request().method(), Method::CONNECT);
    assert_eq!(session.request().uri().to_string(), WEBSOCKET);
}

#[tokio::test]
async fn a_session_changes_from_polling_to_a_websocket_on_the_same_connection() {
    let echo = start(with_websockets()).await;
    let http = Http2::connect(echo.addr()).await;
    let polling = handshake(&http).await;
    let posted = http.request(Method::POST, &polling, b"4two").await;
    assert_eq!(posted.text(), "ok");
    let target = polling.replace("polling", "websocket");
    let mut websocket = http.websocket(&target, headers(&[])).await.unwrap();
    websocket.send_text("2probe").await;
    assert_eq!(websocket.text().await, "3probe");
    let frames = [frame(OpCode::Text, "5"), frame(OpCode::Text, "4three")].concat();
    websocket.send_raw(&frames).await;
    assert_eq!(websocket.text().await, "4two");
    assert_eq!(websocket.text().await, "4three");
    assert_eq!(http.get(&polling).await.status, 400);
    let late = http.websocket(&target, headers(&[])).await.unwrap();
    let mut late = late;
    assert_eq!(late.rest().await, [Frame::Close(None)]);
}

#[tokio::test]
async fn websockets_over_http2_are_off_unless_switched_on() {
    let echo = start(config()).await;
    let http = Http2::connect(echo.addr()).await;
    assert!(!http.offers_websockets());
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn the_same_admission_stands_in_front_of_streams() {
    let config = with_websockets().allow_request(|request| {
        let denied = request.query("denied").is_some();
        if denied { Err("no".to_owned()) } else { Ok(()) }
    });
    let echo = start(config).await;
    let http = Http2::connect(echo.addr()).await;
    let evil = headers(&[("origin", "https://evil.example")]);
    let own = headers(&[("origin", "https://localhost")]);
    let unknown = format!("{WEBSOCKET}&sid=AAAAAAAAAAAAAAAAAAAA");
    let denied = format!("{WEBSOCKET}&denied=1");
    for (target, headers, status) in [
        (WEBSOCKET, evil, 403),
        (WEBSOCKET, HeaderMap::new(), 426),
        (POLLING, headers(&[]), 400),
        ("/engine.io/?transport=websocket&EIO=3", headers(&[]), 400),
        (&unknown, headers(&[]), 400),
        (&denied, headers(&[]), 400),
        ("/elsewhere", headers(&[]), 404),
    ] {
        let refused = http.websocket(target, headers).await.unwrap_err();
        assert_eq!(refused.status, status, "{target}");
        assert_eq!(refused.header("connection"), None);
    }
    assert!(http.websocket(WEBSOCKET, own).await.is_ok());
}

#[tokio::test]
async fn a_lost_connection_ends_all_its_websockets() {
    let mut echo = start(with_websockets()).await;
    let http = Http2::connect(echo.addr()).await;
    let websockets = [open(&http).await, open(&http).await];
    http.connection.abort();
    for _ in &websockets {
        let reason = echo.closed().await;
        let lost = [CloseReason::TransportClose, CloseReason::TransportError];
        assert!(lost.contains(&reason), "{reason:?}");
    }
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn a_slow_reader_on_a_stream_is_closed_and_its_neighbour_is_not() {
    let mut echo = start(with_websockets()).await;
    let http = Http2::connect(echo.addr()).await;
    let slow = open(&http).await;
    let session = echo.session().await;
    let mut quick = open(&http).await;
    let message = "x".repeat(10_000);
    let mut sent = 0;
    while session.send(message.as_str()).is_ok() {
        sent += message.len();
        assert!(sent < 4 * 1024 * 1024, "the bound is 1 MiB");
        tokio::task::yield_now().await;
    }
    assert_eq!(echo.closed().await, CloseReason::SlowConsumer);
    quick.send_text("4here").await;
    assert_eq!(quick.text().await, "4here");
    drop(slow);
}

#[tokio::test]
async fn a_shutdown_ends_streams_and_connections_in_order() {
    let echo = start(with_websockets()).await;
    let http = Http2::connect(echo.addr()).await;
    let mut websocket = open(&http).await;
    let polling = handshake(&http).await;
    let waiting = http
        .start(Method::GET, &polling, HeaderMap::new(), b"")
        .await;
    assert_eq!(http.get("/nothing").await.status, 404);
    let clients = async {
        assert_eq!(websocket.rest().await, [Frame::Close(None)]);
        drop(websocket);
        assert!(matches!(answer(waiting).await.text(), "1" | "6\x1e1"));
        let end = within("a GOAWAY", http.connection).await.unwrap();
        assert!(end.is_ok(), "{end:?}");
    };
    tokio::join!(within("the shutdown", echo.server.shutdown(LONG)), clients);
}

#[tokio::test]
async fn mounted_into_a_host_that_enables_extended_connect() {
    for allowed in [true, false] {
        let (server, ..) = echo(config().http2_websocket(allowed));
        let service = server.into_service().unwrap();
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = service.clone();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http2().enable_connect_protocol();
            let io = TokioIo::new(stream);
            drop(builder.serve_connection_with_upgrades(io, serving).await);
        });
        let http = Http2::connect(address).await;
        assert!(http.offers_websockets());
        match http.websocket(WEBSOCKET, headers(&[])).await {
            Ok(mut websocket) => {
                assert!(allowed);
                assert!(websocket.text().await.starts_with("0{"));
                websocket.send_text("4here").await;
                assert_eq!(websocket.text().await, "4here");
                drop(websocket);
                until("its end", || service.stats().sessions() == 0).await;
            }
            Err(refused) => assert_eq!((allowed, refused.status), (false, 400)),
        }
    }
}
