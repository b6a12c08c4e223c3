//! permessage-deflate on the wire (1.1.6, RFC 7692; attacks A58 and T-ADV-24).

use ferriwire::{Config, Deflate, Limits, Listener};
use ferriwire_proto::websocket::frame::OpCode;
use http::{HeaderMap, HeaderValue};

use crate::support::http2::Http2;
use crate::support::websocket::{Frame, WebSocket, compressed, frame};
use crate::support::{Endpoint, until};
use crate::{ANY_PORT, Echo, WEBSOCKET, config};

const EXTENSIONS: &str = "sec-websocket-extensions";
/// What browsers send.
const OFFER: (&str, &str) = (
    "Sec-WebSocket-Extensions",
    "permessage-deflate; client_max_window_bits",
);
const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                      client_max_window_bits=12";

fn deflating() -> Config {
    config().websocket_compression(Deflate::new())
}

async fn open(endpoint: impl Into<Endpoint>, target: &str) -> WebSocket {
    let websocket = WebSocket::connect(endpoint, target, &[OFFER]).await;
    let websocket = websocket.expect("the handshake is accepted");
    assert_eq!(websocket.response.header(EXTENSIONS), Some(ANSWER));
    websocket
}

async fn open_session(endpoint: impl Into<Endpoint>) -> WebSocket {
    let mut websocket = open(endpoint, WEBSOCKET).await;
    assert!(websocket.text().await.starts_with("0{"));
    websocket
}

/// A long message comes back compressed, and a short one as it is.
async fn echoes(websocket: &mut WebSocket) {
    let long = format!("4{}", "long ".repeat(1000));
    websocket.send_raw(&compressed(OpCode::Text, &long)).await;
    let before = websocket.decoded_bytes;
    assert_eq!(websocket.text().await, long);
    assert!(websocket.decoded_bytes - before < 100);

    let binary = vec![7; 5000];
    websocket
        .send_raw(&compressed(OpCode::Binary, &binary))
        .await;
    let before = websocket.decoded_bytes;
    assert_eq!(websocket.next().await, Frame::Binary(binary));
    assert!(websocket.decoded_bytes - before < 100);

    websocket
        .send_raw(&compressed(OpCode::Text, format!("4{}", "s".repeat(1022))))
        .await;
    let before = websocket.decoded_bytes;
    assert_eq!(websocket.text().await.len(), 1023);
    assert_eq!(
        websocket.decoded_bytes - before,
        4 + 1023,
        "below the threshold"
    );

    websocket.send_text("4plain").await;
    assert_eq!(websocket.text().await, "4plain");
}

#[tokio::test]
async fn it_is_off_unless_it_is_turned_on() {
    let echo = Echo::start(config()).await;
    let websocket = WebSocket::connect(echo.addr(), WEBSOCKET, &[OFFER]).await;
    let mut websocket = websocket.unwrap();
    assert_eq!(websocket.response.header(EXTENSIONS), None);
    assert!(websocket.text().await.starts_with("0{"));
    let long = format!("4{}", "x".repeat(5000));
    websocket.send_text(&long).await;
    let before = websocket.decoded_bytes;
    assert_eq!(websocket.text().await, long);
    assert_eq!(websocket.decoded_bytes - before, 4 + 5001);
    websocket.send_raw(&compressed(OpCode::Text, &long)).await;
    assert_eq!(websocket.rest().await, [Frame::Close(Some(1002))]);
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn long_messages_are_compressed_in_both_directions() {
    let echo = Echo::start(deflating()).await;
    echoes(&mut open_session(echo.addr()).await).await;
    // A client that does not offer it gets none.
    let mut plain = echo.websocket().await;
    let long = format!("4{}", "x".repeat(5000));
    plain.send_text(&long).await;
    let before = plain.decoded_bytes;
    assert_eq!(plain.text().await, long);
    assert_eq!(plain.decoded_bytes - before, 4 + 5001);
}

#[tokio::test]
async fn a_session_that_changes_to_a_websocket_is_compressed_from_then_on() {
    let echo = Echo::start(deflating()).await;
    let polling = echo.polling().await;
    let target = format!("{WEBSOCKET}&sid={}", polling.sid);
    let mut websocket = open(echo.addr(), &target).await;
    websocket.send_raw(&frame(OpCode::Text, "2probe")).await;
    assert_eq!(websocket.text().await, "3probe");
    websocket.send_text("5").await;
    echoes(&mut websocket).await;
}

#[tokio::test]
async fn it_is_negotiated_over_http_2_as_well() {
    let listener = Listener::tcp(ANY_PORT).http2_prior_knowledge(true);
    let echo = Echo::listen(deflating().http2_websocket(true), [listener]).await;
    let http = Http2::connect(echo.addr()).await;
    let mut headers = HeaderMap::new();
    headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
    headers.insert(EXTENSIONS, HeaderValue::from_static(OFFER.1));
    let mut websocket = http.websocket(WEBSOCKET, headers).await.unwrap();
    assert_eq!(websocket.response.header(EXTENSIONS), Some(ANSWER));
    assert!(websocket.text().await.starts_with("0{"));
    echoes(&mut websocket).await;
}

/// T-ADV-24, and a window smaller than ours.
#[tokio::test]
async fn offers_that_cannot_be_kept_to_are_answered_without() {
    let echo = Echo::start(deflating()).await;
    for offer in [
        "permessage-deflate; constructor",
        "permessage-deflate; __proto__",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=11",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=\"\"",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover=1",
        ";,\"=",
        "",
    ] {
        let headers = [("Sec-WebSocket-Extensions", offer)];
        let websocket = WebSocket::connect(echo.addr(), WEBSOCKET, &headers).await;
        let mut websocket = websocket.unwrap();
        assert_eq!(websocket.response.header(EXTENSIONS), None, "{offer}");
        assert!(websocket.text().await.starts_with("0{"));
        websocket.send_text("4alive").await;
        assert_eq!(websocket.text().await, "4alive");
    }
    // Several headers are one list.
    let second = [
        (
            "Sec-WebSocket-Extensions",
            "permessage-deflate; constructor",
        ),
        OFFER,
    ];
    let websocket = WebSocket::connect(echo.addr(), WEBSOCKET, &second).await;
    assert_eq!(websocket.unwrap().response.header(EXTENSIONS), Some(ANSWER));
}

/// A58.
#[tokio::test]
async fn a_bomb_or_garbage_ends_its_own_connection_only() {
    let limits = Limits::new().max_payload(100_000);
    let mut echo = Echo::start(deflating().limits(limits)).await;
    let bomb = compressed(OpCode::Binary, vec![0; 1_000_000]);
    assert!(bomb.len() < 2000);
    let mut continued = bomb.clone();
    continued[0] &= 0x7F;
    let empty_end = [0x80, 0x80, 0, 0, 0, 0];
    let bit_on_continuation = [0xC0, 0x80, 0, 0, 0, 0];
    for (bytes, code) in [
        (bomb.clone(), 1009),
        ([&continued[..], &empty_end].concat(), 1009),
        ([&continued[..], &bit_on_continuation].concat(), 1002),
        (vec![0xC1, 0x82, 0, 0, 0, 0, 0xFF, 0xFF], 1007),
        // "Hello", and something behind its final block.
        (
            vec![
                0xC1, 0x88, 0, 0, 0, 0, 0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x01,
            ],
            1007,
        ),
        (vec![0xC9, 0x80, 0, 0, 0, 0], 1002),
    ] {
        let mut websocket = open_session(echo.addr()).await;
        websocket.send_raw(&bytes).await;
        let rest = websocket.rest().await;
        assert_eq!(rest, [Frame::Close(Some(code))], "{:x?}", &bytes[..8]);
    }
    assert!(echo.received.try_recv().is_err(), "nothing was delivered");
    let mut websocket = open_session(echo.addr()).await;
    let largest = compressed(OpCode::Binary, vec![0; 100_000]);
    websocket.send_raw(&largest).await;
    assert_eq!(websocket.next().await, Frame::Binary(vec![0; 100_000]));
    drop(websocket);
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn what_is_inflated_at_a_time_has_a_budget() {
    let deflate = Deflate::new().inflate_budget(10_000);
    let echo = Echo::start(config().websocket_compression(deflate)).await;
    let mut websocket = open_session(echo.addr()).await;
    let small = format!("4{}", "x".repeat(4000));
    websocket.send_raw(&compressed(OpCode::Text, &small)).await;
    assert_eq!(websocket.text().await, small);
    let large = compressed(OpCode::Binary, vec![0; 20_000]);
    websocket.send_raw(&large).await;
    assert_eq!(websocket.rest().await, [Frame::Close(Some(1009))]);
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn a_reader_that_stops_for_a_while_gets_every_compressed_message_whole() {
    let limits = Limits::new().max_buffered(64 * 1024 * 1024);
    let mut echo = Echo::start(deflating().limits(limits)).await;
    let mut websocket = open_session(Endpoint::Narrow(echo.addr())).await;
    let session = echo.session().await;
    // Digits without a pattern: half of them is left when they are compressed.
    let mut state = 1_u64;
    let digits: String = (0..20_000)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'0' + (state >> 56) as u8 % 10)
        })
        .collect();
    // What waits beyond 64 KiB is written at once, until the kernel takes nothing more.
    let mut expected = Vec::new();
    while session.buffered_bytes() < 500_000 {
        let message = format!("{:06}{digits}", expected.len());
        session.send(message.as_str()).unwrap();
        expected.push(format!("4{message}"));
    }
    let before = websocket.decoded_bytes;
    for message in &expected {
        assert!(websocket.text().await == *message);
    }
    let raw: usize = expected.iter().map(String::len).sum();
    assert!(websocket.decoded_bytes - before < raw * 6 / 10);
    until("an empty queue", || session.buffered_bytes() == 0).await;
}
