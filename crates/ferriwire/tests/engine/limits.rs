//! Who may open a session: how many, and how fast (security 2.2; A07, A45).

use ferriwire::{LimitKind, Limits, Rate};

use crate::support::http::{Http, Response};
use crate::support::until;
use crate::support::websocket::WebSocket;
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
