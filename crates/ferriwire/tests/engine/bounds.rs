//! Limits of a request's head, and of what waits for one client (security 2.1, 2.3).

use ferriwire::Limits;
use ferriwire::engine::CloseReason;

use crate::support::http::{Http, head};
use crate::{Echo, POLLING, config};

#[tokio::test]
async fn a_head_above_its_limits_is_refused() {
    let echo = Echo::start(config()).await;
    let names: Vec<String> = (0..200).map(|number| format!("X-{number}")).collect();
    let many = |count: usize| -> Vec<(&str, &str)> {
        names
            .iter()
            .take(count)
            .map(|name| (name.as_str(), "x"))
            .collect()
    };
    let long = "x".repeat(17 * 1024);
    for (headers, status) in [
        // `Host` is the hundredth.
        (many(99), 200),
        (many(100), 431),
        (many(200), 431),
        (vec![("X-Long", &long[..14 * 1024])], 200),
        (vec![("X-Long", long.as_str())], 431),
    ] {
        let mut http = Http::connect(echo.addr()).await;
        http.send(&head("GET", POLLING, &headers)).await;
        let response = http.response().await;
        assert_eq!(response.status, status, "{} headers", headers.len());
    }
    echo_is_alive(&echo).await;
}

/// What has come is not parsed again for each byte.
#[tokio::test]
async fn t_rs_16_a_head_in_segments_of_one_byte_is_read() {
    let echo = Echo::start(config()).await;
    let long = "x".repeat(15 * 1024);
    let mut http = Http::connect(echo.addr()).await;
    for byte in head("GET", POLLING, &[("X-Long", &long)]) {
        http.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(http.response().await.status, 200);
    echo_is_alive(&echo).await;
}

#[tokio::test]
async fn a_target_above_8_kib_is_refused() {
    let echo = Echo::start(config()).await;
    let fill = 8 * 1024 - POLLING.len() - 3;
    for (extra, status) in [(0, 200), (1, 414)] {
        let target = format!("{POLLING}&a={}", "b".repeat(fill + extra));
        let response = Http::connect(echo.addr()).await.get(&target).await;
        assert_eq!(response.status, status, "{} bytes", target.len());
    }
    echo_is_alive(&echo).await;
}

async fn echo_is_alive(echo: &Echo) {
    let mut websocket = echo.websocket().await;
    websocket.send_text("4alive").await;
    assert_eq!(websocket.text().await, "4alive");
}

#[tokio::test]
async fn a_small_bound_of_what_waits_is_kept_and_one_larger_message_passes() {
    let mut echo = Echo::start(config().limits(Limits::new().max_buffered(10_000))).await;
    let mut polling = echo.polling().await;
    let session = echo.session().await;
    session.send("x".repeat(50_000)).unwrap();
    assert_eq!(polling.get().await.body.len(), 50_001);

    let message = "x".repeat(1_000);
    let sent = (0..100).take_while(|_| session.send(message.as_str()).is_ok());
    assert!((9..=10).contains(&sent.count()));
    assert_eq!(echo.closed().await, CloseReason::SlowConsumer);
    assert_eq!(session.buffered_bytes(), 0);
    assert_eq!(polling.get().await.status, 400);
    assert_eq!(echo.server.stats().slow_consumers, 1);
}
