//! Messages and payloads (protocol 1.1.5, 1.1.6; 1.5 cases 19 to 27).

use bytes::Bytes;
use ferriwire::Limits;
use ferriwire::engine::{CloseReason, Message};
use ferriwire_proto::websocket::frame::OpCode;

use crate::support::http::Http;
use crate::support::polling::Polling;
use crate::support::websocket::{Frame, frame};
use crate::{Echo, config};

const MULTIBYTE: [&str; 4] = [
    "utf-8 — string",
    "\u{5343}\u{91cc}",
    "\u{1f600}\u{1f1ea}\u{1f1fa}",
    "é",
];

const CODE_1: &str = r#"{"code":1,"message":"Session ID unknown"}"#;

async fn is_gone(polling: &mut Polling) {
    let response = polling.get().await;
    assert_eq!((response.status, response.text()), (400, CODE_1));
}

#[tokio::test]
async fn several_packets_share_a_post_and_a_get() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let response = polling.post("4a\x1e4\x1ebAQIDBA==\x1e4b").await;
    assert_eq!((response.status, response.text()), (200, "ok"));
    for (name, value) in [
        ("content-type", "text/html"),
        ("content-length", "2"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(response.header(name), Some(value));
    }
    let expected = [
        Message::from("a"),
        Message::from(""),
        Message::Binary(Bytes::from_static(&[1, 2, 3, 4])),
        Message::from("b"),
    ];
    for message in expected {
        assert_eq!(echo.received().await, message);
    }
    let response = polling.get().await;
    assert_eq!(response.text(), "4a\x1e4\x1ebAQIDBA==\x1e4b");
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; charset=UTF-8")
    );
    assert_eq!(response.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_waiting_get_is_answered_by_what_comes() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let session = echo.session().await;
    for text in ["one", "two", "three"] {
        polling.start_get().await;
        session.send(text).unwrap();
        assert_eq!(polling.finish_get().await.text(), format!("4{text}"));
    }
}

#[tokio::test]
async fn binary_is_a_binary_frame_without_a_prefix() {
    let mut echo = Echo::start(config()).await;
    let mut websocket = echo.websocket().await;
    for data in [&[][..], &[0, 1, 2, 3, 255], &[b'4'; 70_000]] {
        websocket.send_binary(data).await;
        assert_eq!(websocket.next().await, Frame::Binary(data.to_vec()));
        assert_eq!(
            echo.received().await,
            Message::Binary(Bytes::copy_from_slice(data))
        );
    }
    websocket.send_text("bAQIDBA==").await;
    assert_eq!(websocket.next().await, Frame::Binary(vec![1, 2, 3, 4]));
}

#[tokio::test]
async fn of_a_view_into_a_buffer_only_the_view_is_sent() {
    let mut echo = Echo::start(config()).await;
    let buffer = Bytes::from_static(&[0, 1, 2, 3, 4, 5]);
    let views = [buffer.slice(1..3), buffer.slice(5..), buffer.slice(2..2)];
    let mut websocket = echo.websocket().await;
    let session = echo.session().await;
    for view in &views {
        session.send(Message::Binary(view.clone())).unwrap();
        assert_eq!(websocket.next().await, Frame::Binary(view.to_vec()));
    }
    let mut polling = echo.polling().await;
    let session = echo.session().await;
    for view in &views {
        session.send(Message::Binary(view.clone())).unwrap();
    }
    assert_eq!(polling.get().await.packets(), ["bAQI=", "bBQ==", "b"]);
}

#[tokio::test]
async fn characters_of_several_bytes_pass_on_both_transports() {
    let echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let mut websocket = echo.websocket().await;
    for text in MULTIBYTE {
        let packet = format!("4{text}");
        assert_eq!(polling.post(&packet).await.text(), "ok");
        assert_eq!(polling.get().await.text(), packet);
        websocket.send_text(&packet).await;
        assert_eq!(websocket.text().await, packet);
    }
}

#[tokio::test]
async fn a_post_may_come_byte_by_byte() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let body = format!("4{}\x1ebAQI=", MULTIBYTE.concat());
    let length = body.len().to_string();
    let head = [("Content-Length", length.as_str())];
    let mut request = crate::support::http::head("POST", &polling.target(), &head);
    request.extend_from_slice(body.as_bytes());
    for byte in request {
        polling.posts.send(&[byte]).await;
    }
    assert_eq!(polling.posts.response().await.text(), "ok");
    assert_eq!(echo.received().await, Message::from(MULTIBYTE.concat()));
    assert_eq!(polling.get().await.text(), body);
}

#[tokio::test]
async fn chunks_may_split_a_character() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let body = format!("4{}", MULTIBYTE.concat());
    let chunks: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
    let target = polling.target();
    polling
        .posts
        .start_chunked("POST", &target, &[], &chunks)
        .await;
    assert_eq!(polling.posts.response().await.text(), "ok");
    assert_eq!(echo.received().await, Message::from(MULTIBYTE.concat()));
    assert_eq!(polling.get().await.text(), body);
}

#[tokio::test]
async fn frames_may_come_byte_by_byte_and_in_fragments() {
    let echo = Echo::start(config()).await;
    let mut websocket = echo.websocket().await;
    let text = format!("4{}", MULTIBYTE.concat());
    for byte in frame(OpCode::Text, &text) {
        websocket.send_raw(&[byte]).await;
    }
    assert_eq!(websocket.text().await, text);

    // The same in fragments of one byte, with a ping in the middle.
    let (first, rest) = text.as_bytes().split_first().unwrap();
    let mut fragments = frame(OpCode::Text, [*first]);
    fragments[0] &= 0x7f;
    for byte in rest {
        let mut fragment = frame(OpCode::Continuation, [*byte]);
        fragment[0] &= 0x7f;
        fragments.extend(fragment);
    }
    fragments.extend(frame(OpCode::Ping, "now"));
    fragments.extend(frame(OpCode::Continuation, ""));
    websocket.send_raw(&fragments).await;
    assert_eq!(websocket.next().await, Frame::Pong(b"now".to_vec()));
    assert_eq!(websocket.text().await, text);
}

#[tokio::test]
async fn many_frames_in_one_segment_are_answered_in_order() {
    let echo = Echo::start(config()).await;
    let mut websocket = echo.websocket().await;
    let frames: Vec<u8> = (0..1_000)
        .flat_map(|number| frame(OpCode::Text, format!("4{number}")))
        .collect();
    websocket.send_raw(&frames).await;
    for number in 0..1_000 {
        assert_eq!(websocket.text().await, format!("4{number}"));
    }
}

#[tokio::test]
async fn a_post_above_the_limit_is_answered_413_and_one_at_the_limit_passes() {
    let mut echo = Echo::start(config().limits(Limits::new().max_payload(1_000))).await;
    let mut polling = echo.polling().await;
    let largest = format!("4{}", "x".repeat(999));
    assert_eq!(polling.post(&largest).await.text(), "ok");
    assert_eq!(echo.received().await, Message::from(&largest[1..]));
    assert_eq!(polling.get().await.text(), largest);

    let too_large = format!("4{}", "y".repeat(1_000));
    let response = polling.post(&too_large).await;
    assert_eq!((response.status, response.text()), (413, ""));
    // Announced by nothing but the chunks themselves.
    let mut http = Http::connect(echo.addr()).await;
    let target = polling.target();
    let chunks: Vec<&[u8]> = too_large.as_bytes().chunks(100).collect();
    http.start_chunked("POST", &target, &[], &chunks).await;
    let response = http.response().await;
    assert_eq!((response.status, response.text()), (413, ""));
    // The session has not noticed, and nothing of it was delivered.
    polling.posts = Http::connect(echo.addr()).await;
    assert_eq!(polling.post("4still here").await.text(), "ok");
    assert_eq!(echo.received().await, Message::from("still here"));
    assert_eq!(echo.server.stats().oversized_bodies, 2);
}

#[tokio::test]
async fn a_client_that_still_sends_a_large_post_sees_413() {
    let echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let target = polling.target();
    let body = vec![b'4'; 3_000_000];
    for announced in [true, false] {
        let mut http = Http::connect(echo.addr()).await;
        if announced {
            http.start("POST", &target, &[], &body).await;
        } else {
            let chunks: Vec<&[u8]> = body.chunks(10_000).collect();
            http.start_chunked("POST", &target, &[], &chunks).await;
        }
        assert_eq!(http.response().await.status, 413, "announced: {announced}");
    }
    polling.post("4here").await;
    assert_eq!(polling.get().await.text(), "4here");
}

#[tokio::test]
async fn a_websocket_message_above_the_limit_ends_with_1009() {
    let mut echo = Echo::start(config().limits(Limits::new().max_payload(1_000))).await;
    let mut websocket = echo.websocket().await;
    let largest = format!("4{}", "x".repeat(999));
    websocket.send_text(&largest).await;
    assert_eq!(websocket.text().await, largest);
    websocket.send_text(&format!("{largest}x")).await;
    assert_eq!(websocket.rest().await, [Frame::Close(Some(1009))]);
    assert_eq!(echo.closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn a_client_that_still_sends_a_large_message_sees_1009() {
    let mut echo = Echo::start(config()).await;
    let mut websocket = echo.websocket().await;
    let frame = frame(OpCode::Binary, vec![7; 8_000_000]);
    websocket.send_raw(&frame).await;
    assert_eq!(websocket.rest().await, [Frame::Close(Some(1009))]);
    assert_eq!(echo.closed().await, CloseReason::TransportError);
}

#[tokio::test]
async fn garbage_is_answered_ok_while_the_session_dies() {
    for (body, delivered) in [
        (&b"abc"[..], None),
        (b"", None),
        (b"4first\x1eabc\x1e4last", Some("first")),
        (b"4first\x1e", Some("first")),
        (b"b!", None),
        (b"4\xff\xfe", None),
        (b"\x1e", None),
    ] {
        let mut echo = Echo::start(config()).await;
        let mut polling = echo.polling().await;
        let response = polling.post(body).await;
        assert_eq!((response.status, response.text()), (200, "ok"));
        assert_eq!(echo.closed().await, CloseReason::ParseError);
        assert_eq!(echo.received.try_recv().ok(), delivered.map(Message::from));
        is_gone(&mut polling).await;
    }
}

#[tokio::test]
async fn a_waiting_get_learns_by_1_that_the_session_died() {
    for (body, reason) in [
        ("abc", CloseReason::ParseError),
        ("", CloseReason::ParseError),
        ("2", CloseReason::TransportError),
    ] {
        let mut echo = Echo::start(config()).await;
        let mut polling = echo.polling().await;
        polling.start_get().await;
        echo.settled().await;
        let response = polling.post(body).await;
        assert_eq!((response.status, response.text()), (200, "ok"));
        let response = polling.finish_get().await;
        assert_eq!((response.status, response.text()), (200, "1"));
        assert_eq!(echo.closed().await, reason);
        is_gone(&mut polling).await;
    }
}

#[tokio::test]
async fn an_octet_stream_ends_the_session() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let target = polling.target();
    let octets = [("Content-Type", "application/octet-stream")];
    let response = polling.posts.request("POST", &target, &octets, "4hi").await;
    assert_eq!((response.status, response.text()), (400, ""));
    assert_eq!(echo.closed().await, CloseReason::TransportError);
    is_gone(&mut polling).await;
}

#[tokio::test]
async fn an_encoded_body_is_answered_415_and_never_decoded() {
    let echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let target = polling.target();
    for encoding in [
        "gzip",
        "deflate",
        "br",
        "x-gzip",
        "identity, gzip",
        "nonsense",
    ] {
        let headers = [("Content-Encoding", encoding)];
        let mut http = Http::connect(echo.addr()).await;
        let response = http.request("POST", &target, &headers, "4hi").await;
        assert_eq!((response.status, response.text()), (415, ""), "{encoding}");
        let connection = response.header("connection");
        assert_eq!(connection, Some("close"), "{encoding}");
    }
    // The session lives, and what is not encoded may say so.
    let plain = [("Content-Encoding", "identity")];
    let response = polling.posts.request("POST", &target, &plain, "4hi").await;
    assert_eq!((response.status, response.text()), (200, "ok"));
    assert_eq!(polling.get().await.text(), "4hi");
}

#[tokio::test]
async fn a_second_get_ends_the_session() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    polling.start_get().await;
    echo.settled().await;
    let target = polling.target();
    let second = polling.posts.get(&target).await;
    assert_eq!((second.status, second.text()), (400, ""));
    let first = polling.finish_get().await;
    assert_eq!((first.status, first.text()), (200, "1"));
    assert_eq!(echo.closed().await, CloseReason::TransportError);
    is_gone(&mut polling).await;
}

#[tokio::test]
async fn a_second_post_ends_the_session() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let target = polling.target();
    polling.start_get().await;
    echo.settled().await;
    let length = [("Content-Length", "3")];
    let first = crate::support::http::head("POST", &target, &length);
    polling.posts.send(&first).await;
    // The first is being read as soon as a second one is refused.
    let second = loop {
        let mut http = Http::connect(echo.addr()).await;
        let response = http.post(&target, "4").await;
        if response.status != 200 {
            break response;
        }
    };
    assert_eq!((second.status, second.text()), (400, ""));
    assert_eq!(polling.finish_get().await.packets().last(), Some(&"1"));
    assert_eq!(echo.closed().await, CloseReason::TransportError);
    is_gone(&mut polling).await;
}

#[tokio::test]
async fn other_methods_with_a_session_are_answered_500() {
    let echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let target = polling.target();
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let response = polling.posts.request(method, &target, &[], "").await;
        assert_eq!((response.status, response.text()), (500, ""), "{method}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    polling.post("4hi").await;
    assert_eq!(polling.get().await.text(), "4hi");
}

#[tokio::test]
async fn a_payload_of_too_many_packets_ends_the_session() {
    let mut echo = Echo::start(config().limits(Limits::new().max_packets_per_payload(3))).await;
    let mut polling = echo.polling().await;
    assert_eq!(polling.post("4a\x1e4b\x1e4c").await.text(), "ok");
    assert_eq!(polling.get().await.packets(), ["4a", "4b", "4c"]);
    for text in ["a", "b", "c"] {
        assert_eq!(echo.received().await, Message::from(text));
    }
    polling.start_get().await;
    echo.settled().await;
    let response = polling.post("4d\x1e4e\x1e4f\x1e4g").await;
    assert_eq!((response.status, response.text()), (400, ""));
    assert_eq!(echo.closed().await, CloseReason::ParseError);
    assert_eq!(polling.finish_get().await.text(), "1");
    is_gone(&mut polling).await;
    assert!(echo.received.try_recv().is_err(), "none of them is handled");
}

/// The rest of a long message is read to where it stays, and not together with what stands behind it.
#[tokio::test]
async fn long_binary_messages_arrive_whole_wherever_the_network_cuts_them() {
    let long: Vec<u8> = (0..=255).cycle().take(999_999).collect();
    let mut fragments = frame(OpCode::Binary, &long[..300_000]);
    fragments[0] &= 0x7F;
    fragments.extend(frame(OpCode::Ping, b"between"));
    fragments.extend(frame(OpCode::Continuation, &long[300_000..]));
    let whole = frame(OpCode::Binary, &long);
    let behind = frame(OpCode::Text, "4behind");
    for (long_frames, has_ping) in [(whole, false), (fragments, true)] {
        let stream = [&behind[..], &long_frames, &behind].concat();
        for size in [stream.len(), 400_000, 65_536, 9_999] {
            let mut echo = Echo::start(config()).await;
            let mut websocket = echo.websocket().await;
            for piece in stream.chunks(size) {
                websocket.send_raw(piece).await;
                tokio::task::yield_now().await;
            }
            assert_eq!(echo.received().await, Message::from("behind"));
            let message = echo.received().await;
            assert!(message == Message::Binary(Bytes::from(long.clone())));
            assert_eq!(echo.received().await, Message::from("behind"));
            assert_eq!(websocket.text().await, "4behind");
            if has_ping {
                assert_eq!(websocket.next().await, Frame::Pong(b"between".to_vec()));
            }
            assert!(websocket.next().await == Frame::Binary(long.clone()));
            assert_eq!(websocket.text().await, "4behind");
        }
    }
}
