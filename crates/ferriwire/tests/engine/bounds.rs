//! Limits of a request's head (security 2.1).

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
