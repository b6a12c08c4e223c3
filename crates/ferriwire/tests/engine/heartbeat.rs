//! Pings, pongs and their timeout (protocol 1.1.7; 1.5 cases 33 and 34).

use std::time::Duration;

use ferriwire::engine::CloseReason;

use crate::mounting::pipes;
use crate::support::polling::Polling;
use crate::support::websocket::Frame;
use crate::{Echo, PATH, config, echo, quick};

#[tokio::test]
async fn three_rounds_on_a_websocket() {
    let echo = Echo::start(quick()).await;
    let mut websocket = echo.websocket().await;
    for _ in 0..3 {
        assert_eq!(websocket.text().await, "2");
        websocket.send_text("3").await;
    }
    websocket.send_text("4alive").await;
    assert_eq!(websocket.text().await, "4alive");
}

#[tokio::test]
async fn three_rounds_on_polling() {
    let echo = Echo::start(quick()).await;
    let mut polling = echo.polling().await;
    for _ in 0..3 {
        assert_eq!(polling.get().await.text(), "2");
        assert_eq!(polling.post("3").await.text(), "ok");
    }
    polling.post("4alive").await;
    assert_eq!(polling.get().await.text(), "4alive");
}

#[tokio::test]
async fn a_missing_pong_closes_a_websocket_without_a_code() {
    let mut echo = Echo::start(quick()).await;
    let mut websocket = echo.websocket().await;
    assert_eq!(
        websocket.rest().await,
        [Frame::Text("2".to_owned()), Frame::Close(None)]
    );
    assert_eq!(echo.closed().await, CloseReason::PingTimeout);
    assert_eq!(echo.server.stats().ping_timeouts, 1);
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn a_missing_pong_closes_polling_with_and_without_a_waiting_get() {
    let mut echo = Echo::start(quick()).await;
    let mut silent = echo.polling().await;
    assert_eq!(echo.closed().await, CloseReason::PingTimeout);
    assert_eq!(silent.get().await.status, 400);

    let mut waiting = echo.polling().await;
    assert_eq!(waiting.get().await.text(), "2");
    assert_eq!(waiting.get().await.text(), "1");
    assert_eq!(echo.closed().await, CloseReason::PingTimeout);
    assert_eq!(waiting.get().await.status, 400);
}

/// Timers fire in steps of 100 ms. A GET between the deadline and the next step got the ping that had
/// waited for it, as one that comes half a millisecond after a deadline did with steps of 1 ms.
#[tokio::test(start_paused = true)]
async fn a_get_after_the_deadline_is_too_late_although_no_timer_has_fired() {
    let (server, ..) = echo(config());
    let endpoint = pipes(server.into_service().unwrap());
    for (late, status) in [(-10, 200), (20, 400)] {
        let step = tokio::time::Instant::now();
        tokio::time::sleep(Duration::from_millis(30)).await;
        let mut polling = Polling::handshake(&endpoint, PATH).await;
        tokio::time::sleep(Duration::from_millis(u64::try_from(45_000 + late).unwrap())).await;
        assert_eq!(polling.get().await.status, status, "{late} ms");
        tokio::time::sleep_until(step + Duration::from_mins(1)).await;
    }
}

#[tokio::test]
async fn a_ping_from_the_client_is_in_the_wrong_direction() {
    let mut echo = Echo::start(config()).await;
    let mut websocket = echo.websocket().await;
    websocket.send_text("2").await;
    websocket.rest().await;
    assert_eq!(echo.closed().await, CloseReason::TransportError);
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn heartbeats_go_on_after_an_upgrade() {
    let mut echo = Echo::start(quick()).await;
    let polling = echo.polling().await;
    let mut websocket = polling.upgrade().await;
    for _ in 0..2 {
        assert_eq!(websocket.text().await, "2");
        websocket.send_text("3").await;
    }
    assert_eq!(websocket.text().await, "2");
    assert_eq!(websocket.next().await, Frame::Close(None));
    assert_eq!(echo.closed().await, CloseReason::PingTimeout);
}

#[tokio::test]
async fn many_sessions_are_each_pinged_and_each_time_out() {
    let mut echo = Echo::start(quick().ping_timeout(Duration::from_millis(500))).await;
    let mut websockets = Vec::new();
    for _ in 0..50 {
        websockets.push(echo.websocket().await);
    }
    for websocket in &mut websockets {
        assert_eq!(websocket.text().await, "2");
    }
    for _ in &websockets {
        assert_eq!(echo.closed().await, CloseReason::PingTimeout);
    }
    assert_eq!(echo.server.stats().sessions(), 0);
}
