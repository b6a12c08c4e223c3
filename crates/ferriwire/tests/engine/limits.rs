//! Who may open a session, and how fast and how slowly a client may send (security 2.1 and 2.2; A02,
//! A07, A45, A52, A60, A61).

use std::time::Duration;

use ferriwire::engine::CloseReason;
use ferriwire::{LimitKind, Limits, Rate};
use ferriwire_proto::websocket::frame::OpCode;

use crate::support::http::{Http, Response, head};
use crate::support::websocket::{Frame, WebSocket, frame};
use crate::support::{Endpoint, until};
use crate::{Echo, POLLING, WEBSOCKET, config};

/// The answers to so many handshakes, each over a connection of its own.
async fn handshakes(echo: &Echo, count: usize) -> Vec<Response> {
    let mut responses = Vec::new();
    for _ in 0..count {
        responses.push(Http::connect(echo.addr()).await.get(POLLING).await);
    }
    responses
}

fn statuses(responses: &[Response]) -> Vec<u16> {
    responses.iter().map(|response| response.status).collect()
}

/// So many that pass, and so many that are refused like that.
fn pattern(passing: usize, refused: usize, status: u16) -> Vec<u16> {
    [vec![200; passing], vec![status; refused]].concat()
}

#[tokio::test]
async fn handshakes_beyond_each_limit_are_refused_until_there_is_room() {
    for (limits, kind, status) in [
        (
            Limits::new().max_connections(5),
            LimitKind::Connections,
            503,
        ),
        (
            Limits::new().max_connections_per_address(5),
            LimitKind::ConnectionsPerAddress,
            429,
        ),
    ] {
        let echo = Echo::start(config().limits(limits)).await;
        let mut polling = echo.polling().await;
        let responses = handshakes(&echo, 20).await;
        assert_eq!(statuses(&responses), pattern(4, 16, status), "{kind}");
        for response in responses.iter().skip(4) {
            let seconds = response.header("retry-after").expect("a time");
            assert!(["1", "2", "3", "4", "5"].contains(&seconds), "{seconds}");
            assert_eq!(response.header("connection"), Some("close"));
        }
        assert_eq!(echo.server.stats().limited(kind), 16);
        assert_eq!(echo.server.stats().sessions_opened, 5);
        let refused = WebSocket::connect(echo.addr(), WEBSOCKET, &[]).await;
        assert_eq!(refused.err().map(|response| response.status), Some(status));

        assert_eq!(polling.post("1").await.text(), "ok");
        until("the end of one session", || {
            echo.server.stats().sessions() == 4
        })
        .await;
        assert_eq!(statuses(&handshakes(&echo, 2).await), [200, status]);
    }
}

#[tokio::test]
async fn handshakes_that_come_too_fast_are_refused() {
    let rate = Rate::per_minute(1).burst(5);
    for (limits, kind, status) in [
        (
            Limits::new().handshakes_per_address(rate),
            LimitKind::HandshakesPerAddress,
            429,
        ),
        // One thread, so one core.
        (
            Limits::new().handshakes_per_core(rate),
            LimitKind::Handshakes,
            503,
        ),
    ] {
        let echo = Echo::start(config().limits(limits)).await;
        assert_eq!(
            statuses(&handshakes(&echo, 20).await),
            pattern(5, 15, status),
            "{kind}"
        );
        assert_eq!(echo.server.stats().limited(kind), 15);
        let refused = WebSocket::connect(echo.addr(), WEBSOCKET, &[]).await;
        assert_eq!(refused.err().map(|response| response.status), Some(status));
    }
}

#[tokio::test]
async fn a_handshake_that_the_program_refuses_takes_no_room() {
    let limits = Limits::new().max_connections(1);
    let config = config()
        .limits(limits)
        .allow_request(|request| match request.query("refuse") {
            Some(_) => Err("no".to_owned()),
            None => Ok(()),
        });
    let echo = Echo::start(config).await;
    for _ in 0..3 {
        let target = format!("{POLLING}&refuse=1");
        let response = Http::connect(echo.addr()).await.get(&target).await;
        assert_eq!(response.status, 403);
    }
    // One that cannot become a WebSocket.
    let response = Http::connect(echo.addr()).await.get(WEBSOCKET).await;
    assert_eq!(response.status, 400);
    assert_eq!(statuses(&handshakes(&echo, 2).await), [200, 503]);
}

#[tokio::test]
async fn guesses_of_session_ids_are_cut_off_and_known_sessions_go_on() {
    let echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let unknown = [
        format!("{POLLING}&sid=AAAAAAAAAAAAAAAAAAAA"),
        format!("{POLLING}&sid=malformed"),
    ];
    for number in 0..100 {
        let target = &unknown[number % 2];
        let response = Http::connect(echo.addr()).await.get(target).await;
        let expected = if number < 20 { 400 } else { 429 };
        assert_eq!(response.status, expected, "request {number}");
    }
    let stats = echo.server.stats();
    assert_eq!(stats.limited(LimitKind::UnknownSessions), 80);
    assert_eq!(stats.refusals[1], 20);
    assert_eq!(polling.post("4hi").await.text(), "ok");
    assert_eq!(polling.get().await.text(), "4hi");
    assert_eq!(statuses(&handshakes(&echo, 1).await), [200]);
}

#[tokio::test]
async fn no_limit_is_a_limit_that_was_written_out() {
    let limits = Limits::new()
        .max_connections(usize::MAX)
        .max_connections_per_address(usize::MAX)
        .handshakes_per_address(None)
        .handshakes_per_core(None)
        .unknown_sessions_per_address(None);
    let echo = Echo::start(config().limits(limits)).await;
    let mut http = Http::connect(echo.addr()).await;
    for _ in 0..300 {
        assert_eq!(http.get(POLLING).await.status, 200);
    }
    for _ in 0..50 {
        let target = format!("{POLLING}&sid=AAAAAAAAAAAAAAAAAAAA");
        assert_eq!(http.get(&target).await.status, 400);
    }
}

#[tokio::test]
async fn a_body_that_takes_too_long_is_answered_408() {
    let limits = Limits::new().body_timeout(Duration::from_millis(300));
    let echo = Echo::start(config().limits(limits)).await;
    let mut polling = echo.polling().await;
    let target = polling.target();
    let request = head("POST", &target, &[("Content-Length", "999999")]);
    polling.posts.send(&request).await;
    polling.posts.send(b"4").await;
    let response = polling.posts.response().await;
    assert_eq!(response.status, 408);
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(echo.server.stats().limited(LimitKind::BodyTime), 1);
}

#[tokio::test]
async fn pings_beyond_their_rate_close_the_websocket() {
    for (pings, closes) in [(60, false), (61, true), (10_000, true)] {
        let mut echo = Echo::start(config()).await;
        let mut websocket = echo.websocket().await;
        let flood = frame(OpCode::Ping, "x").repeat(pings);
        // The server may have closed before it has read all.
        let _ = websocket.try_send_raw(&flood).await;
        if closes {
            assert_eq!(echo.closed().await, CloseReason::TransportError);
            assert_eq!(echo.server.stats().limited(LimitKind::Pings), 1, "{pings}");
        } else {
            for _ in 0..pings {
                assert_eq!(websocket.next().await, Frame::Pong(b"x".to_vec()));
            }
            websocket.send_text("4alive").await;
            assert_eq!(websocket.text().await, "4alive");
        }
    }
}

#[tokio::test]
async fn a_websocket_that_pings_too_fast_is_told_so() {
    let echo = Echo::start(config()).await;
    let mut websocket = echo.websocket().await;
    websocket
        .send_raw(&frame(OpCode::Ping, "x").repeat(61))
        .await;
    let frames = websocket.rest().await;
    assert_eq!(frames.last(), Some(&Frame::Close(Some(1008))));
}

#[tokio::test]
async fn of_the_pongs_for_a_peer_that_does_not_read_the_latest_are_kept() {
    let limits = Limits::new()
        .ping_rate(None)
        .max_buffered(64 * 1024 * 1024)
        .write_stall_timeout(Duration::from_secs(60));
    let mut echo = Echo::start(config().limits(limits)).await;
    let connected = WebSocket::connect(Endpoint::Narrow(echo.addr()), WEBSOCKET, &[]).await;
    let mut websocket = connected.unwrap();
    assert!(websocket.text().await.starts_with("0{"));
    let session = echo.session().await;
    // Until the kernel takes nothing more.
    let large = "x".repeat(256 * 1024);
    while session.buffered_bytes() == 0 {
        session.send(large.as_str()).unwrap();
        tokio::task::yield_now().await;
    }
    let waiting = session.buffered_bytes();
    for number in 0..2_000 {
        let ping = frame(OpCode::Ping, format!("{number:04}"));
        websocket.send_raw(&ping).await;
    }
    until("all pings", || {
        echo.server.stats().limited(LimitKind::PendingPongs) >= 2_000 - 16
    })
    .await;
    assert_eq!(session.buffered_bytes(), waiting);
    let mut pongs = Vec::new();
    while pongs.last().is_none_or(|last| last != "1999") {
        if let Frame::Pong(payload) = websocket.next().await {
            pongs.push(String::from_utf8(payload).unwrap());
        }
    }
    let expected: Vec<_> = (1_984..2_000).map(|number| number.to_string()).collect();
    assert_eq!(pongs, expected);
}

#[tokio::test]
async fn fragments_without_an_end_close_the_websocket() {
    let limits = Limits::new()
        .fragments_timeout(Duration::from_millis(300))
        .max_fragments(3);
    let mut echo = Echo::start(config().limits(limits)).await;
    // A first fragment, and pongs in between.
    let mut websocket = echo.websocket().await;
    websocket.send_raw(&[0x01, 0x81, 0, 0, 0, 0, b'4']).await;
    websocket.send_raw(&frame(OpCode::Pong, "x")).await;
    assert_eq!(websocket.rest().await, [Frame::Close(Some(1008))]);
    assert_eq!(echo.closed().await, CloseReason::TransportError);
    assert_eq!(echo.server.stats().limited(LimitKind::FragmentsTime), 1);
    // As many as may be, and one more.
    let mut websocket = echo.websocket().await;
    let (begin, go_on, end) = (
        [0x01, 0x81, 0, 0, 0, 0, b'4'],
        [0x00, 0x81, 0, 0, 0, 0, b'a'],
        [0x80, 0x81, 0, 0, 0, 0, b'b'],
    );
    websocket.send_raw(&[begin, go_on, end].concat()).await;
    assert_eq!(websocket.text().await, "4ab");
    websocket
        .send_raw(&[begin, go_on, go_on, end].concat())
        .await;
    assert_eq!(websocket.rest().await, [Frame::Close(Some(1008))]);
}

#[tokio::test]
async fn targets_and_queries_keep_to_their_own_limits() {
    let limits = Limits::new().max_target(100).max_query_parameters(3);
    let echo = Echo::start(config().limits(limits)).await;
    let fill = "b".repeat(100 - POLLING.len() - 3);
    for (extra, status) in [
        (String::new(), 200),
        ("&a=1".to_owned(), 200),
        ("&a=1&b=2".to_owned(), 400),
        (format!("&a={fill}"), 200),
        (format!("&a={fill}b"), 414),
        ("&a".repeat(30), 400),
        (format!("&a={}", "b".repeat(12_000)), 414),
    ] {
        let target = format!("{POLLING}{extra}");
        let response = Http::connect(echo.addr()).await.get(&target).await;
        assert_eq!(response.status, status, "{target}");
    }
    let stats = echo.server.stats();
    assert_eq!(stats.limited(LimitKind::QueryParameters), 2);
    assert_eq!(stats.limited(LimitKind::Target), 2);
    assert_eq!(stats.refusals[3], 2);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_told_apart() {
    let limits = Limits::new().max_connections_per_address(2);
    let config = config().limits(limits);
    let trusting = config
        .clone()
        .trusted_proxies(["127.0.0.0/8".parse().unwrap()]);
    let from = async |echo: &Echo, client: &str| {
        let headers = [("X-Forwarded-For", client), ("X-Forwarded-Proto", "https")];
        let mut http = Http::connect(echo.addr()).await;
        http.request("GET", POLLING, &headers, "").await.status
    };

    let mut echo = Echo::start(trusting).await;
    for client in ["203.0.113.1", "6.6.6.6, 203.0.113.2"] {
        assert_eq!(from(&echo, client).await, 200);
        assert_eq!(from(&echo, client).await, 200);
        assert_eq!(from(&echo, client).await, 429, "{client}");
    }
    let request = echo.session().await.request().clone();
    assert_eq!(request.address(), Some("203.0.113.1:0".parse().unwrap()));
    assert!(request.secure());

    // Nobody is trusted who was not named.
    let mut echo = Echo::start(config).await;
    assert_eq!(from(&echo, "203.0.113.1").await, 200);
    assert_eq!(from(&echo, "203.0.113.2").await, 200);
    assert_eq!(from(&echo, "203.0.113.3").await, 429);
    let request = echo.session().await.request().clone();
    assert!(
        request
            .address()
            .is_some_and(|peer| peer.ip().is_loopback())
    );
    assert!(!request.secure());
}
