//! Plain requests are answered without hyper, and exactly as hyper's way answers them.

use std::time::Duration;

use ferriwire::engine::CloseReason;
use ferriwire::{Config, Cookie, Cors, HttpCompression, LimitKind, Limits, Origins};

use crate::support::http::{Http, Response};
use crate::support::until;
use crate::{Echo, POLLING, WEBSOCKET, config};

/// A header that means nothing to anybody, but is none of a plain request.
const NOT_PLAIN: &str = "Trailer: x\r\n";

/// How the bytes of a request come.
#[derive(Clone, Copy, Debug)]
enum Way {
    AtOnce,
    WithAnotherHeader,
    ByteByByte,
}

/// Requests, with `{sid}` for an open session for which `4hello` waits.
fn requests() -> Vec<(&'static str, String, String, String)> {
    let get =
        |target: &str, headers: &str| ("GET", target.to_owned(), headers.to_owned(), String::new());
    let post = |target: &str, headers: &str, body: &str| {
        let headers = format!("Content-Length: {}\r\n{headers}", body.len());
        ("POST", target.to_owned(), headers, body.to_owned())
    };
    let sid = format!("{POLLING}&sid={{sid}}");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let with_origin = |origin: &str| format!("Origin: {origin}\r\n");
    vec![
        // Handshakes.
        get(POLLING, ""),
        get(POLLING, "Connection: keep-alive\r\nCookie: a=1\r\n"),
        get(POLLING, &with_origin("https://good.example")),
        get(POLLING, &with_origin("https://evil.example")),
        get(POLLING, &with_origin("http://localhost")),
        get(POLLING, &with_origin("caf\u{e9}")),
        get(POLLING, "Sec-Fetch-Site: cross-site\r\n"),
        get(POLLING, "User-Agent: MSIE; Trident/7.0\r\n"),
        get(POLLING, "X-Forwarded-For: 1.1.1.1\r\n"),
        get("/engine.io?EIO=4&transport=polling", ""),
        get("/engine.io/?EIO=3&transport=polling", ""),
        get("/engine.io/?EIO=5&transport=polling", ""),
        get("/engine.io/?EIO=4&transport=none", ""),
        get("/engine.io/?EIO=4&transport=polling&j=0", ""),
        get("/engine.io/?transport=polling&sid=", ""),
        get("/engine.io/", ""),
        get("/engine.io/x", ""),
        get("/nothing", ""),
        get(&format!("{POLLING}&x={}", "y".repeat(7_000)), ""),
        get(&format!("{POLLING}&x={}", "y".repeat(9_000)), ""),
        post(POLLING, "", "40"),
        // Sessions.
        get(&sid, ""),
        get(&sid, "Accept-Encoding: gzip\r\n"),
        get(&sid, "Origin: https://good.example\r\n"),
        get(&sid, "Origin: https://evil.example\r\n"),
        get(&sid, "Origin: http://localhost\r\n"),
        get(&sid, "Origin: caf\u{e9}\r\n"),
        get(&sid, "Sec-Fetch-Site: cross-site\r\n"),
        get(&sid, "User-Agent: MSIE; Trident/7.0\r\n"),
        get(
            &sid,
            "Accept-Encoding: br;q=0.1\r\naccept-encoding: deflate\r\n",
        ),
        get(&format!("{sid}&t=a%20b+c"), ""),
        get(&format!("{sid}&t=<>\"'#x"), ""),
        get(&format!("{sid}&sid=x"), ""),
        get(&format!("{sid}&x={}", "y".repeat(7_000)), ""),
        get(&sid.replace("EIO=4", "EIO=3"), ""),
        get(&sid.replace("polling", "websocket"), ""),
        get(&format!("{sid}&j=1"), ""),
        get(&format!("{POLLING}&sid=unknown"), ""),
        get(&format!("{POLLING}&sid=%00"), ""),
        post(&sid, "", "4a"),
        post(
            &sid,
            "Content-Type: text/plain;charset=UTF-8\r\n",
            "4a\x1e4b",
        ),
        post(&sid, "Content-Type: application/octet-stream\r\n", "4a"),
        post(&sid, "Content-Encoding: gzip\r\n", "4a"),
        post(&sid, "Content-Encoding: identity\r\n", "4a"),
        post(
            &sid,
            "Content-Encoding: identity\r\ncontent-encoding: br\r\n",
            "4a",
        ),
        post(&sid, "Origin: https://good.example\r\n", "4a"),
        post(&sid, "User-Agent: MSIE; Trident/7.0\r\n", "4a"),
        post(&sid, "", "4\u{e9}"),
        post(&sid, "", ""),
        post(&sid, "", "x"),
        post(&sid, "", &"4a\x1e".repeat(2_000)),
        post(&sid, "", &"4".repeat(5_000)),
        post(&format!("{POLLING}&sid=unknown"), "", "4a"),
        (
            "PUT",
            sid.clone(),
            "Content-Length: 0\r\n".into(),
            String::new(),
        ),
        // WebSockets.
        get(WEBSOCKET, upgrade),
        get(
            WEBSOCKET,
            &format!("{upgrade}Origin: https://good.example\r\n"),
        ),
        get(
            WEBSOCKET,
            &format!("{upgrade}Origin: https://evil.example\r\n"),
        ),
        get(
            WEBSOCKET,
            &format!("{upgrade}Sec-WebSocket-Extensions: permessage-deflate\r\n"),
        ),
        get(WEBSOCKET, &upgrade.replace("13", "12")),
        get(
            WEBSOCKET,
            &upgrade.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        ),
        get(WEBSOCKET, ""),
        get(POLLING, upgrade),
        get("/engine.io/?EIO=3&transport=websocket", upgrade),
        get("/engine.io/?EIO=4&transport=websocket&sid={sid}", upgrade),
        get("/engine.io/?EIO=4&transport=websocket&sid=unknown", upgrade),
    ]
}

fn servers() -> [Config; 3] {
    let limits = Limits::new()
        .unknown_sessions_per_address(None)
        .handshakes_per_address(None)
        .max_payload(4_096);
    let with_all = config()
        .limits(limits.clone())
        .origins(Origins::same_host().allow("https://good.example"))
        .cookie(Cookie::new("io"))
        .http_compression(HttpCompression::on().threshold(1))
        .on_initial_headers(|headers, _| {
            headers.append("x-first", "1".parse().expect("a value"));
        })
        .on_headers(|headers, _| {
            headers.append("x-all", "1".parse().expect("a value"));
            headers.append("x-all", "2".parse().expect("a value"));
            headers.append("connection", "keep-alive".parse().expect("a value"));
        });
    // Without hooks, which would want to see whole requests.
    let without_hooks = config()
        .limits(limits.clone())
        .origins(Origins::same_host().allow("https://good.example"))
        .cors(
            Cors::new()
                .credentials(true)
                .exposed_headers([http::header::AGE]),
        )
        .http_compression(HttpCompression::on().threshold(1));
    [config().limits(limits), with_all, without_hooks]
}

/// The answer to a request, and to another one behind it if there can be one, without what is never the same.
async fn answers(
    echo: &Echo,
    way: Way,
    (method, target, headers, body): &(&str, String, String, String),
) -> Vec<Response> {
    let mut session = echo.polling().await;
    assert_eq!(session.post("4hello").await.status, 200);
    let target = target.replace("{sid}", &session.sid);
    let more = match way {
        Way::WithAnotherHeader => NOT_PLAIN,
        Way::AtOnce | Way::ByteByByte => "",
    };
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{more}{headers}\r\n{body}");
    let mut http = Http::connect(echo.addr()).await;
    match way {
        Way::AtOnce | Way::WithAnotherHeader => http.send(request.as_bytes()).await,
        Way::ByteByByte => {
            // But for the body: a server that answers a head may close before it has all of a body.
            let head_end = request.len() - body.len() - 1;
            for byte in &request.as_bytes()[..head_end] {
                http.send(&[*byte]).await;
                tokio::task::yield_now().await;
            }
            http.send(&request.as_bytes()[head_end..]).await;
        }
    }
    let mut answers = vec![http.response().await];
    if answers[0].status == 101 || answers[0].has("connection", "close") {
        drop(http);
    } else {
        answers.push(http.get("/nothing/here").await);
    }
    let close_session = session.post("1").await;
    assert!(matches!(close_session.status, 200 | 400));
    for answer in &mut answers {
        for (name, value) in &mut answer.headers {
            let value_of = match &**name {
                "date" => {
                    assert_eq!((value.len(), &value[25..]), (29, " GMT"), "{value:?}");
                    "a date"
                }
                "set-cookie" => "a cookie",
                "retry-after" => "a while",
                _ => continue,
            };
            *value = value_of.to_owned();
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if let Some((before, after)) = text.split_once("\"sid\":\"") {
            let after = after.split_once('"').map_or("", |(_, after)| after);
            answer.body = format!("{before}{after}").into();
        }
    }
    answers
}

#[tokio::test]
async fn a_plain_request_is_answered_as_hyper_does() {
    for config in servers() {
        let echo = Echo::start(config).await;
        for request in requests() {
            let expected = answers(&echo, Way::WithAnotherHeader, &request).await;
            let at_once = answers(&echo, Way::AtOnce, &request).await;
            assert_eq!(at_once, expected, "{request:?}");
        }
    }
}

/// Judging a handshake twice would take twice from what its client may ask for.
#[tokio::test]
async fn a_websocket_without_a_place_is_refused_once_and_as_by_hyper() {
    let limits = Limits::new().max_connections(1);
    let origins = Origins::same_host().allow("https://good.example");
    let echo = Echo::start(config().limits(limits).origins(origins)).await;
    let headers = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Origin: https://good.example\r\nUser-Agent: Trident/7.0\r\n";
    let request = (
        "GET",
        WEBSOCKET.to_owned(),
        headers.to_owned(),
        String::new(),
    );
    // The one place is taken by the session that is opened meanwhile.
    let expected = answers(&echo, Way::WithAnotherHeader, &request).await;
    assert_eq!(expected[0].status, 503);
    assert!(expected[0].has("x-xss-protection", "0"));
    for count in 2..4 {
        let is_free = || echo.server.stats().sessions() == 0;
        until("there is a place", is_free).await;
        let at_once = answers(&echo, Way::AtOnce, &request).await;
        assert_eq!(at_once, expected);
        assert_eq!(echo.server.stats().limited(LimitKind::Connections), count);
    }
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_answered_as_at_once() {
    let [_, config, _] = servers();
    let echo = Echo::start(config).await;
    for request in requests() {
        if request.1.len() > 1_000 || request.3.len() > 1_000 {
            continue;
        }
        let expected = answers(&echo, Way::AtOnce, &request).await;
        let bytes = answers(&echo, Way::ByteByByte, &request).await;
        assert_eq!(bytes, expected, "{request:?}");
    }
}

#[tokio::test]
async fn a_hook_does_not_say_where_an_answer_ends() {
    let say = |headers: &mut http::HeaderMap| {
        headers.insert("content-length", "3".parse().expect("a value"));
        headers.insert("x-all", "1".parse().expect("a value"));
        headers.append("transfer-encoding", "chunked".parse().expect("a value"));
        headers.append("transfer-encoding", "gzip".parse().expect("a value"));
    };
    let config = config()
        .on_initial_headers(move |headers, _| say(headers))
        .on_headers(move |headers, _| say(headers));
    let echo = Echo::start(config).await;
    for request in requests() {
        let expected = answers(&echo, Way::WithAnotherHeader, &request).await;
        let at_once = answers(&echo, Way::AtOnce, &request).await;
        assert_eq!(at_once, expected, "{request:?}");
        for answer in at_once {
            assert_eq!(answer.header("transfer-encoding"), None, "{request:?}");
        }
    }
}

/// What comes behind a request that waits for its answer is neither lost nor answered before it.
#[tokio::test]
async fn requests_behind_a_waiting_one_are_answered_after_it() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let session = echo.session().await;
    polling.start_get().await;
    until("a waiting GET", || session.buffered_bytes() == 0).await;
    let mut behind = Vec::new();
    for (method, target) in [("GET", "/nothing/here"), ("OPTIONS", "/nothing/there")] {
        behind.extend_from_slice(&crate::support::http::head(method, target, &[]));
    }
    polling.gets.send(&behind).await;
    echo.settled().await;
    session.send("hello").expect("it is open");
    assert_eq!(polling.finish_get().await.text(), "4hello");
    assert_eq!(polling.gets.response().await.status, 404);
    assert_eq!(polling.gets.response().await.status, 404);
}

/// The same connection serves plain requests, others, and what was read with them.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let echo = Echo::start(config()).await;
    let mut http = Http::connect(echo.addr()).await;
    assert_eq!(http.get(POLLING).await.status, 200);
    let get = crate::support::http::head("GET", POLLING, &[]);
    let foreign = crate::support::http::head("GET", "/nothing/here", &[]);
    http.send(&[&get[..], &foreign, &get].concat()).await;
    for status in [200, 404, 200] {
        assert_eq!(http.response().await.status, status);
    }
    assert_eq!(echo.server.stats().sessions_opened, 3);
}

#[tokio::test]
async fn a_client_that_leaves_a_waiting_get_ends_its_session() {
    for resets in [false, true] {
        let mut echo = Echo::start(config()).await;
        let mut polling = echo.polling().await;
        polling.start_get().await;
        echo.settled().await;
        if resets {
            polling.gets.reset();
        } else {
            polling.gets.finish().await;
        }
        assert_eq!(echo.closed().await, CloseReason::TransportError);
    }
}

#[tokio::test]
async fn a_connection_that_rests_too_long_is_closed() {
    let limits = Limits::new().keep_alive_timeout(Duration::from_millis(200));
    let echo = Echo::start(config().limits(limits)).await;
    let mut http = Http::connect(echo.addr()).await;
    assert_eq!(http.get(POLLING).await.status, 200);
    assert!(http.rest().await.is_empty());
}

/// Frames right behind the request are not lost, whoever reads them.
#[tokio::test]
async fn frames_that_come_with_the_handshake_are_handled() {
    use crate::support::websocket::{WebSocket, frame, handshake};
    use ferriwire_proto::websocket::frame::OpCode;

    let echo = Echo::start(config()).await;
    // The second one is longer than what hyper reads at once.
    for len in [1, 20_000] {
        let text = format!("4{}", "x".repeat(len));
        let mut request = handshake(WEBSOCKET, &[]);
        request.extend_from_slice(&frame(OpCode::Text, &text));
        let mut http = Http::connect(echo.addr()).await;
        http.send(&request).await;
        let response = http.response().await;
        assert_eq!(response.status, 101);
        let (stream, received) = http.into_parts();
        let mut websocket = WebSocket::open(stream, received, response);
        assert!(websocket.text().await.starts_with("0{"));
        assert_eq!(websocket.text().await, text);
    }
}
