//! Whatever bytes break a limit or a rule of a WebSocket or of Engine.IO is counted once, under a
//! reason of a closed set (security 2.1).

use std::time::Duration;

use ferriwire::{Deflate, Limits};
use ferriwire_proto::websocket::frame::OpCode;

use crate::support::websocket::{WebSocket, compressed, frame};
use crate::support::{counted, until};
use crate::{Echo, WEBSOCKET, config};

fn limits() -> Limits {
    Limits::new()
        .max_payload(1_000)
        .max_fragments(3)
        .max_packets_per_payload(3)
}

#[tokio::test]
async fn each_frame_that_ends_a_connection_is_counted_under_one_reason() {
    let text = |len: usize| frame(OpCode::Text, format!("4{}", "x".repeat(len - 1)));
    let fragments = |count: usize| {
        let mut bytes = vec![0x01, 0x81, 0, 0, 0, 0, b'4'];
        bytes.extend([0x00, 0x80, 0, 0, 0, 0].repeat(count - 2));
        bytes.extend([0x80, 0x80, 0, 0, 0, 0]);
        bytes
    };
    // A header that announces 2^63 - 1 bytes.
    let giant = [&[0x81, 0xff, 0x7f][..], &[0xff; 7], &[0; 4]].concat();
    for (bytes, reason) in [
        (text(1_000), None),
        (text(1_001), Some("max_payload")),
        (giant, Some("max_payload")),
        (fragments(3), None),
        (fragments(4), Some("max_fragments")),
        (fragments(1_000), Some("max_fragments")),
        // No mask, and a reserved bit.
        (vec![0x81, 0x01, b'4'], Some("frame")),
        (vec![0xc1, 0x81, 0, 0, 0, 0, b'4'], Some("frame")),
        (frame(OpCode::Text, [0xff]), Some("frame")),
        (frame(OpCode::Text, "9"), Some("engine_packet")),
        (frame(OpCode::Text, ""), Some("engine_packet")),
    ] {
        let mut echo = Echo::start(config().limits(limits())).await;
        let mut websocket = echo.websocket().await;
        // The server may close before it has read all.
        let _ = websocket.try_send_raw(&bytes).await;
        if reason.is_some() {
            echo.closed().await;
        } else {
            echo.received().await;
        }
        let expected: Vec<_> = reason.into_iter().map(|reason| (reason, 1)).collect();
        let shown = bytes.get(..bytes.len().min(20));
        assert_eq!(counted(&echo.server.stats()), expected, "{shown:x?}");
    }
}

#[tokio::test]
async fn what_inflates_to_too_much_is_counted() {
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    let message = compressed(OpCode::Text, format!("4{}", "x".repeat(100_000)));
    for (budget, reason) in [(1_000_000, "max_payload"), (500, "inflate_budget")] {
        let config = config()
            .limits(limits())
            .websocket_compression(Deflate::new().inflate_budget(budget));
        let mut echo = Echo::start(config).await;
        let websocket = WebSocket::connect(echo.addr(), WEBSOCKET, &offer).await;
        let mut websocket = websocket.expect("the handshake is accepted");
        websocket.send_raw(&message).await;
        echo.closed().await;
        assert_eq!(counted(&echo.server.stats()), [(reason, 1)]);
    }
}

#[tokio::test]
async fn each_body_that_is_refused_is_counted_under_one_reason() {
    for (body, reason) in [
        ("4a\x1e4b\x1e4c".to_owned(), None),
        (
            "4a\x1e4b\x1e4c\x1e4d".to_owned(),
            Some("max_packets_per_payload"),
        ),
        ("4\x1e".repeat(400), Some("max_packets_per_payload")),
        (format!("4{}", "x".repeat(1_000)), Some("max_payload")),
        (format!("4{}", "x".repeat(100_000)), Some("max_payload")),
        ("9".to_owned(), Some("engine_packet")),
        ("b%".to_owned(), Some("engine_packet")),
    ] {
        let echo = Echo::start(config().limits(limits())).await;
        let mut polling = echo.polling().await;
        polling.post(&body).await;
        let expected: Vec<_> = reason.into_iter().map(|reason| (reason, 1)).collect();
        let shown = body.get(..body.len().min(20));
        assert_eq!(counted(&echo.server.stats()), expected, "{shown:?}");
    }
    let echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    polling.post([b'4', 0xff]).await;
    assert_eq!(
        counted(&echo.server.stats()),
        [("engine_packet", 1)],
        "no UTF-8"
    );
}

#[tokio::test]
async fn an_upgrade_that_takes_too_long_is_counted_and_one_that_fails_is_not() {
    let limits = Limits::new().upgrade_timeout(Duration::from_millis(200));
    let echo = Echo::start(config().limits(limits)).await;
    let polling = echo.polling().await;
    let mut candidate = polling.candidate().await.expect("a candidate");
    candidate.send_text("4too early").await;
    candidate.rest().await;
    assert_eq!(counted(&echo.server.stats()), []);
    let _candidate = polling.probe().await;
    until("the end of the upgrade", || {
        counted(&echo.server.stats()) == [("upgrade_timeout", 1)]
    })
    .await;
    assert_eq!(echo.server.stats().sessions(), 1);
}
