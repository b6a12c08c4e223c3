//! Peers that break off or send garbage at the worst moment (protocol 1.5 case 7; T-ADV-07, -09).

use std::time::Duration;

use ferriwire::Limits;
use ferriwire::engine::CloseReason;

use crate::support::http::{Http, head};
use crate::support::websocket::{Frame, WebSocket, frame, handshake};
use crate::{Echo, POLLING, WEBSOCKET, config, quick};
use ferriwire_proto::websocket::frame::OpCode;

#[tokio::test]
async fn garbage_right_behind_a_handshake_ends_only_that_session() {
    let mut echo = Echo::start(config()).await;
    let connected = WebSocket::connect_and_send(echo.addr(), WEBSOCKET, &[], b"test").await;
    let mut websocket = connected.unwrap();
    let frames = websocket.rest().await;
    assert!(
        matches!(&frames[..], [Frame::Text(open), Frame::Close(Some(1002))] if open.starts_with('0')),
        "{frames:?}"
    );
    assert_eq!(echo.closed().await, CloseReason::TransportError);
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn garbage_right_behind_an_upgrade_leaves_polling_working() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let target = polling.target_for("websocket");
    let connected = WebSocket::connect_and_send(echo.addr(), &target, &[], b"test").await;
    assert_eq!(connected.unwrap().rest().await, [Frame::Close(Some(1002))]);
    assert_eq!(polling.post("4hi").await.text(), "ok");
    assert_eq!(polling.get().await.text(), "4hi");
    assert!(echo.closed.try_recv().is_err());
}

#[tokio::test]
async fn messages_right_behind_a_handshake_are_delivered() {
    let echo = Echo::start(config()).await;
    let early = [frame(OpCode::Text, "4one"), frame(OpCode::Text, "4two")].concat();
    let connected = WebSocket::connect_and_send(echo.addr(), WEBSOCKET, &[], &early).await;
    let mut websocket = connected.unwrap();
    assert!(websocket.text().await.starts_with('0'));
    assert_eq!(websocket.text().await, "4one");
    assert_eq!(websocket.text().await, "4two");
}

#[tokio::test]
async fn resets_at_every_step_leave_nothing_behind() {
    let echo = Echo::start(quick()).await;
    let whole = handshake(WEBSOCKET, &[]);
    for cut in [0, 1, 30, whole.len() - 1, whole.len()] {
        let mut http = Http::connect(echo.addr()).await;
        http.send(&whole[..cut]).await;
        http.reset();
    }
    let poll = head("GET", POLLING, &[]);
    for cut in [1, poll.len() - 1, poll.len()] {
        let mut http = Http::connect(echo.addr()).await;
        http.send(&poll[..cut]).await;
        http.reset();
    }
    // Refused upgrades, on our path and on another.
    for target in ["/engine.io/?EIO=4&transport=x", "/elsewhere", "*"] {
        let mut http = Http::connect(echo.addr()).await;
        http.send(&handshake(target, &[])).await;
        http.reset();
        let mut http = Http::connect(echo.addr()).await;
        http.send(&handshake(target, &[])).await;
        http.response().await;
        http.reset();
    }
    // A WebSocket that was opened, within a header and within a payload.
    for bytes in [&[][..], &[0x81], &[0x81, 0x85, 1, 2, 3, 4, 5]] {
        let mut websocket = echo.websocket().await;
        websocket.send_raw(bytes).await;
        websocket.reset();
    }
    // Every step of an upgrade; the session then ends for want of a pong.
    for step in 0..5 {
        let polling = echo.polling().await;
        let request = handshake(&polling.target_for("websocket"), &[]);
        if step == 0 {
            let mut http = Http::connect(echo.addr()).await;
            http.send(&request).await;
            http.reset();
            continue;
        }
        let mut websocket = polling.candidate().await.unwrap();
        if step >= 2 {
            websocket.send_text("2probe").await;
        }
        if step >= 3 {
            assert_eq!(websocket.text().await, "3probe");
        }
        if step >= 4 {
            websocket.send_text("5").await;
        }
        websocket.reset();
    }
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn a_thousand_refused_upgrades_with_a_reset_leave_the_server_alive() {
    let echo = Echo::start(config()).await;
    for number in 0..1_000 {
        let target = match number % 3 {
            0 => "/engine.io/?EIO=4&transport=websocket&sid=x",
            1 => "/nowhere/",
            _ => "/engine.io/?EIO=4&transport=websocket",
        };
        let mut http = Http::connect(echo.addr()).await;
        // Half of them are broken off within the request.
        let request = handshake(target, &[]);
        let end = if number % 2 == 0 { request.len() } else { 40 };
        http.send(&request[..end]).await;
        http.reset();
    }
    echo.is_empty_and_alive().await;
}

/// No subprotocol is spoken, so nothing is looked for in what a client offers.
#[tokio::test]
async fn t_adv_23_a_long_offer_of_subprotocols_is_not_read() {
    let echo = Echo::start(config()).await;
    for filler in [" ", "\t", ",", "a ", ", ,"] {
        let offer = format!("a{}b", filler.repeat(8 * 1024 / filler.len()));
        let headers = [("Sec-WebSocket-Protocol", offer.as_str())];
        let connected = WebSocket::connect(echo.addr(), WEBSOCKET, &headers).await;
        let mut websocket = connected.unwrap();
        assert_eq!(websocket.response.header("sec-websocket-protocol"), None);
        assert!(websocket.text().await.starts_with('0'));
    }
}

#[tokio::test]
async fn a12_the_connection_ends_behind_a_close_frame_whatever_it_is_like() {
    let mut echo = Echo::start(config()).await;
    let endless = frame(OpCode::Text, "4more").repeat(1_000);
    for (payload, code, reason) in [
        (&b"\x03\xe8"[..], Some(1000), CloseReason::TransportClose),
        (b"", None, CloseReason::TransportClose),
        // One byte is no code, and these are none that may be sent.
        (b"\x03", Some(1002), CloseReason::TransportError),
        (b"\x03\xec", Some(1002), CloseReason::TransportError),
        (b"\x13\x88", Some(1002), CloseReason::TransportError),
        (b"\x03\xe8\xff", Some(1007), CloseReason::TransportError),
    ] {
        let mut websocket = echo.websocket().await;
        let bytes = [frame(OpCode::Close, payload), endless.clone()].concat();
        websocket.send_raw(&bytes).await;
        assert_eq!(websocket.rest().await, [Frame::Close(code)], "{payload:?}");
        assert_eq!(echo.closed().await, reason, "{payload:?}");
        assert!(echo.received.try_recv().is_err(), "{payload:?}");
    }
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn a_declared_length_is_refused_before_anything_is_reserved() {
    let mut echo = Echo::start(config()).await;
    for (length, code) in [
        (1_000_001_u64, 1009),
        (1 << 32, 1009),
        ((1 << 63) - 1, 1009),
        // The first bit must be 0 (RFC 6455 section 5.2).
        (1 << 63, 1002),
        (u64::MAX, 1002),
    ] {
        let mut websocket = echo.websocket().await;
        let mut header = vec![0x82, 0xff];
        header.extend(length.to_be_bytes());
        header.extend([0; 4]);
        websocket.send_raw(&header).await;
        assert_eq!(
            websocket.rest().await,
            [Frame::Close(Some(code))],
            "{length}"
        );
        assert_eq!(echo.closed().await, CloseReason::TransportError);
    }
}

#[tokio::test]
async fn a_peer_that_neither_reads_nor_pongs_is_let_go() {
    let mut echo =
        Echo::start(quick().limits(Limits::new().upgrade_timeout(Duration::from_millis(300))))
            .await;
    let _silent = echo.websocket().await;
    let polling = echo.polling().await;
    let _candidate = polling.candidate().await.unwrap();
    for _ in 0..2 {
        assert_eq!(echo.closed().await, CloseReason::PingTimeout);
    }
    assert_eq!(echo.server.stats().sessions(), 0);
}
