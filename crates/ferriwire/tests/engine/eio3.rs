//! Clients of revision 3: bodies, binary data, heartbeat, upgrade, close (protocol 1.2, 1.5 case 23;
//! CVE-2020-36048).

use std::time::Duration;

use ferriwire::engine::{CloseReason, Message};
use ferriwire::{Config, Limits};

use crate::support::http::Http;
use crate::support::revision3::{Polling3, body, packets};
use crate::support::websocket::{Frame, WebSocket};
use crate::{Echo, PATH, WEBSOCKET, config, quick};

const WEBSOCKET_3: &str = "/engine.io/?EIO=3&transport=websocket";

fn allowed(config: Config) -> Config {
    config.allow_eio3(true)
}

async fn polling(echo: &Echo) -> Polling3 {
    Polling3::handshake(echo.addr(), PATH, "").await
}

async fn websocket(echo: &Echo, query: &str) -> WebSocket {
    let target = format!("{WEBSOCKET_3}{query}");
    let websocket = WebSocket::connect(echo.addr(), &target, &[]).await;
    let mut websocket = websocket.expect("revision 3 is allowed");
    assert!(websocket.text().await.starts_with("0{"));
    websocket
}

#[tokio::test]
async fn the_handshake_has_the_same_data_behind_its_length() {
    let echo = Echo::start(allowed(config())).await;
    let session = polling(&echo).await;
    let keys: Vec<_> = session.open.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "maxPayload",
            "pingInterval",
            "pingTimeout",
            "sid",
            "upgrades"
        ]
    );
    assert_eq!(session.open["upgrades"], serde_json::json!(["websocket"]));
    let mut http = Http::connect(echo.addr()).await;
    // Whatever is not exactly 4 is 3.
    for revision in ["", "EIO=&", "EIO=3&", "EIO=5&", "EIO=04&", "EIO=abc&"] {
        let target = format!("{PATH}?{revision}transport=polling");
        let response = http.get(&target).await;
        let (length, packet) = response.text().split_once(':').unwrap();
        assert_eq!(length.parse(), Ok(packet.len()), "{revision:?}");
        assert!(packet.starts_with("0{"));
        let kind = response.header("content-type");
        assert_eq!(kind, Some("text/plain; charset=UTF-8"));
    }
}

#[tokio::test]
async fn texts_come_back_over_polling_with_lengths_in_utf_16() {
    let echo = Echo::start(allowed(config())).await;
    let mut session = polling(&echo).await;
    for (sent, expected) in [
        ("6:4hello", "6:4hello"),
        ("6:4hello2:4\u{20ac}", "6:4hello2:4\u{20ac}"),
        ("3:4\u{1f600}", "3:4\u{1f600}"),
        ("1:40:2:4x", "1:42:4x"),
        ("9:4a:1:2\u{1e}b,2:4y", "9:4a:1:2\u{1e}b,2:4y"),
    ] {
        let response = session.post(sent).await;
        assert_eq!((response.status, response.text()), (200, "ok"), "{sent:?}");
        let mut received = Vec::new();
        while received.len() < packets(expected).len() {
            received.extend(session.packets().await);
        }
        assert_eq!(
            body(&received.iter().map(String::as_str).collect::<Vec<_>>()),
            expected
        );
    }
}

#[tokio::test]
async fn binary_data_makes_a_polling_body_binary() {
    let mut echo = Echo::start(allowed(config())).await;
    let mut session = polling(&echo).await;
    let both = b"\x00\x04\xff4\xe2\x82\xac\x01\x04\xff\x04\x01\x02\x03";
    session.start_get().await;
    let handle = echo.session().await;
    let response = session.post_binary(both).await;
    assert_eq!((response.status, response.text()), (200, "ok"));
    assert_eq!(echo.received().await, Message::from("\u{20ac}"));
    assert_eq!(echo.received().await, Message::Binary(vec![1, 2, 3].into()));
    // The text may have left alone, in a body of its own.
    let first = session.finish_get().await;
    let answer = if first.header("content-type") == Some("application/octet-stream") {
        assert_eq!(first.body, both);
        first
    } else {
        assert_eq!(first.text(), "2:4\u{20ac}");
        session.get().await
    };
    assert_eq!(
        answer.header("content-type"),
        Some("application/octet-stream")
    );
    assert!(answer.body.ends_with(b"\x01\x04\xff\x04\x01\x02\x03"));

    // Several packets at once, in one body.
    handle.send("a").unwrap();
    handle.send(Message::Binary(vec![0; 300].into())).unwrap();
    handle.send("\u{1f600}").unwrap();
    let answer = session.get().await;
    let mut expected = b"\x00\x02\xff4a\x01\x03\x00\x01\xff\x04".to_vec();
    expected.extend([0; 300]);
    expected.extend_from_slice(b"\x00\x05\xff4\xf0\x9f\x98\x80");
    assert_eq!(answer.body, expected);

    // Base64 is understood in a text body too.
    session.send(&["b4AQIDBA=="]).await;
    assert_eq!(
        echo.received().await,
        Message::Binary(vec![1, 2, 3, 4].into())
    );
    assert_eq!(
        session.get().await.body,
        b"\x01\x05\xff\x04\x01\x02\x03\x04"
    );
}

#[tokio::test]
async fn clients_without_binary_get_base64_in_text() {
    let mut echo = Echo::start(allowed(config())).await;
    let mut session = Polling3::handshake(echo.addr(), PATH, "&b64=1").await;
    let handle = echo.session().await;
    handle.send("a").unwrap();
    handle
        .send(Message::Binary(vec![1, 2, 3, 4].into()))
        .unwrap();
    let answer = session.get().await;
    assert_eq!(answer.text(), "2:4a10:b4AQIDBA==");
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=UTF-8")
    );
    let mut websocket = session.probe().await;
    websocket.send_text("5").await;
    websocket.send_text("b4AQIDBA==").await;
    assert_eq!(websocket.text().await, "b4AQIDBA==");

    let mut websocket = self::websocket(&echo, "&b64=1").await;
    websocket.send_binary(&[4, 1, 2, 3, 4]).await;
    assert_eq!(websocket.text().await, "b4AQIDBA==");
}

/// Case 23 in revision 4: on polling and on a WebSocket.
#[tokio::test]
async fn base64_is_sent_to_clients_of_revision_4_that_ask_for_it() {
    let mut echo = Echo::start(config()).await;
    let mut http = Http::connect(echo.addr()).await;
    let target = format!("{PATH}?EIO=4&transport=polling&b64=1");
    let response = http.get(&target).await;
    let sid = response.text().get(9..29).unwrap().to_owned();
    let handle = echo.session().await;
    handle
        .send(Message::Binary(vec![1, 2, 3, 4].into()))
        .unwrap();
    assert_eq!(
        http.get(&format!("{target}&sid={sid}")).await.text(),
        "bAQIDBA=="
    );

    let websocket = WebSocket::connect(echo.addr(), &format!("{WEBSOCKET}&b64=1"), &[]).await;
    let mut websocket = websocket.unwrap();
    assert!(websocket.text().await.starts_with("0{"));
    websocket.send_binary(&[1, 2, 3, 4]).await;
    assert_eq!(websocket.text().await, "bAQIDBA==");
    websocket.send_text("bAQIDBA==").await;
    assert_eq!(websocket.text().await, "bAQIDBA==");
}

/// The new transport says for itself whether it takes binary data.
#[tokio::test]
async fn an_upgrade_may_end_base64() {
    let mut echo = Echo::start(config()).await;
    let mut http = Http::connect(echo.addr()).await;
    let target = format!("{PATH}?EIO=4&transport=polling&b64=1");
    let sid = http
        .get(&target)
        .await
        .text()
        .get(9..29)
        .unwrap()
        .to_owned();
    let handle = echo.session().await;
    let target = format!("{WEBSOCKET}&sid={sid}");
    let mut websocket = WebSocket::connect(echo.addr(), &target, &[]).await.unwrap();
    websocket.send_text("2probe").await;
    assert_eq!(websocket.text().await, "3probe");
    handle.send(Message::Binary(vec![7; 1000].into())).unwrap();
    websocket.send_text("5").await;
    assert_eq!(websocket.next().await, Frame::Binary(vec![7; 1000]));
    assert_eq!(handle.buffered_bytes(), 0);
}

#[tokio::test]
async fn binary_frames_begin_with_their_type() {
    let mut echo = Echo::start(allowed(config())).await;
    let mut websocket = websocket(&echo, "").await;
    websocket.send_text("4hello \u{1f600}").await;
    assert_eq!(websocket.text().await, "4hello \u{1f600}");
    websocket.send_binary(&[4, 1, 2, 3]).await;
    assert_eq!(websocket.next().await, Frame::Binary(vec![4, 1, 2, 3]));
    websocket.send_binary(&[4]).await;
    assert_eq!(websocket.next().await, Frame::Binary(vec![4]));
    echo.received().await;
    assert_eq!(echo.received().await, Message::Binary(vec![1, 2, 3].into()));
    // The type as a character is no type here.
    websocket.send_binary(b"4abc").await;
    assert_eq!(websocket.next().await, Frame::Close(None));
    assert_eq!(echo.closed().await, CloseReason::ParseError);
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn the_client_pings_and_gets_a_bare_pong() {
    let echo = Echo::start(allowed(quick())).await;
    let mut websocket = websocket(&echo, "").await;
    for ping in ["2", "2probe", "2\u{20ac}"] {
        websocket.send_text(ping).await;
        assert_eq!(websocket.text().await, "3", "{ping}");
    }
    let mut session = polling(&echo).await;
    for ping in ["2", "2data"] {
        assert_eq!(session.send(&[ping]).await.text(), "ok");
        assert_eq!(session.packets().await, ["3"], "{ping}");
    }
}

#[tokio::test]
async fn pings_keep_a_session_and_the_server_sends_none() {
    let echo = Echo::start(allowed(quick())).await;
    let mut websocket = websocket(&echo, "").await;
    let began = tokio::time::Instant::now();
    // Longer than interval and timeout together.
    while began.elapsed() < Duration::from_millis(700) {
        websocket.send_text("2").await;
        assert_eq!(websocket.text().await, "3");
        tokio::task::yield_now().await;
    }
    websocket.send_text("4alive").await;
    assert_eq!(websocket.text().await, "4alive");
}

#[tokio::test]
async fn a_client_that_does_not_ping_is_closed() {
    let mut echo = Echo::start(allowed(quick())).await;
    let mut websocket = websocket(&echo, "").await;
    assert_eq!(websocket.rest().await, [Frame::Close(None)]);
    assert_eq!(echo.closed().await, CloseReason::PingTimeout);
    let mut session = polling(&echo).await;
    assert_eq!(session.packets().await, ["1"]);
    assert_eq!(echo.closed().await, CloseReason::PingTimeout);
    assert_eq!(session.get().await.status, 400);
}

#[tokio::test]
async fn a_pong_from_the_client_closes_the_session() {
    let mut echo = Echo::start(allowed(config())).await;
    let mut session = polling(&echo).await;
    session.start_get().await;
    echo.settled().await;
    assert_eq!(session.send(&["3"]).await.text(), "ok");
    assert_eq!(session.finish_get().await.text(), "1:1");
    assert_eq!(echo.closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn an_upgrade_takes_everything_along() {
    let mut echo = Echo::start(allowed(config())).await;
    let mut session = polling(&echo).await;
    let handle = echo.session().await;
    session.start_get().await;
    echo.settled().await;
    let mut websocket = session.probe().await;
    assert_eq!(session.finish_get().await.text(), "1:6");
    handle.send("first").unwrap();
    handle.send(Message::Binary(vec![1, 2].into())).unwrap();
    websocket.send_text("5").await;
    assert_eq!(websocket.text().await, "4first");
    assert_eq!(websocket.next().await, Frame::Binary(vec![4, 1, 2]));
    websocket.send_text("2").await;
    assert_eq!(websocket.text().await, "3");
    websocket.send_binary(&[4, 9]).await;
    assert_eq!(websocket.next().await, Frame::Binary(vec![4, 9]));
    assert_eq!(session.get().await.status, 400);
}

#[tokio::test]
async fn closes_are_written_with_their_length() {
    let mut echo = Echo::start(allowed(config())).await;
    let mut session = polling(&echo).await;
    let handle = echo.session().await;
    handle.close();
    echo.settled().await;
    assert_eq!(session.get().await.text(), "1:61:1");
    assert_eq!(echo.closed().await, CloseReason::ForcedClose);

    let mut session = polling(&echo).await;
    session.start_get().await;
    echo.settled().await;
    assert_eq!(session.send(&["1"]).await.text(), "ok");
    assert_eq!(session.finish_get().await.text(), "1:6");
    assert_eq!(echo.closed().await, CloseReason::TransportClose);
}

/// T-ADV-04, on the wire: every such body ends its session, or is taken, and nothing else suffers.
#[tokio::test]
async fn bodies_made_for_much_work_are_dealt_with() {
    let mut echo = Echo::start(allowed(config())).await;
    let size = 1_000_000;
    let text = |pattern: &str| pattern.repeat(size / pattern.len()).into_bytes();
    let close = Some(CloseReason::ParseError);
    // Too many packets, which is told before the first of them is handled.
    for body in [text("1:6"), text("2:4\u{bc}")] {
        let mut session = polling(&echo).await;
        assert_eq!(session.post(&body).await.status, 400);
        assert_eq!(Some(echo.closed().await), close);
    }
    for (kind, body, reason) in [
        (
            "text",
            format!("999999:4{}", "a".repeat(size - 10)).into_bytes(),
            close,
        ),
        ("text", text("1"), close),
        ("text", Vec::new(), close),
        ("text", b"2:4\xff".to_vec(), close),
        ("binary", b"\x01\xff".repeat(size / 2), close),
        ("binary", b"\x01\x05\xff\x04\x01\x02".to_vec(), close),
        ("binary", vec![1; size], close),
        (
            "text",
            format!("{}:4{}", size - 7, "a".repeat(size - 8)).into_bytes(),
            None,
        ),
    ] {
        let mut session = polling(&echo).await;
        let response = match kind {
            "binary" => session.post_binary(&body).await,
            _ => session.post(&body).await,
        };
        assert_eq!((response.status, response.text()), (200, "ok"));
        match reason {
            Some(reason) => assert_eq!(echo.closed().await, reason),
            None => assert_eq!(session.get().await.body, body),
        }
    }
    let mut session = polling(&echo).await;
    assert_eq!(session.post(vec![b'1'; size + 1]).await.status, 413);
}

#[tokio::test]
async fn packets_of_one_body_are_counted() {
    let limits = Limits::new().max_packets_per_payload(3);
    let mut echo = Echo::start(allowed(config()).limits(limits)).await;
    let mut session = polling(&echo).await;
    session.send(&["4a", "4b", "4c"]).await;
    assert_eq!(session.packets().await.len(), 3);
    for _ in 0..3 {
        echo.received().await;
    }
    let response = session.send(&["4a", "4b", "4c", "4d"]).await;
    assert_eq!((response.status, response.text()), (400, ""));
    assert_eq!(echo.closed().await, CloseReason::ParseError);
    let mut session = polling(&echo).await;
    let response = session.post_binary(&b"\x01\x01\xff\x04".repeat(4)).await;
    assert_eq!((response.status, response.text()), (400, ""));
    assert_eq!(echo.closed().await, CloseReason::ParseError);
    assert!(echo.received.try_recv().is_err(), "none of them is handled");
}
