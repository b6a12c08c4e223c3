//! HTTP/2 floods (T-H2-01 to 05): they cost that connection, and nobody else.

use std::time::Duration;

use ferriwire::{Config, Limits, Listener};

use crate::support::http::Http;
use crate::support::websocket::WebSocket;
use crate::{ANY_PORT, Echo, config};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;

/// `GET https://a/`, in HPACK.
const HEAD: [u8; 6] = [0x82, 0x87, 0x84, 0x41, 1, b'a'];
/// The same with POST.
const POST: [u8; 6] = [0x83, 0x87, 0x84, 0x41, 1, b'a'];

/// How long a server may take to end a flood. That nothing was asked for is noticed later, by default.
const SOON: Duration = Duration::from_secs(5);

/// How much the process may grow while it is flooded, in bytes.
const ROOM: usize = 48 * 1024 * 1024;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a short frame")
        .to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}

/// Sends `first`, then `count` times what `piece` gives, without reading. Another client goes on
/// meanwhile. Answers whether the server has ended the connection.
async fn flood(first: &[u8], count: u32, piece: impl Fn(u32) -> Vec<u8>) -> bool {
    flood_with(config(), first, count, piece).await
}

async fn flood_with(
    config: Config,
    first: &[u8],
    count: u32,
    piece: impl Fn(u32) -> Vec<u8>,
) -> bool {
    let listener = Listener::tcp(ANY_PORT).http2_prior_knowledge(true);
    let echo = Echo::listen(config, [listener]).await;
    let mut bystander: WebSocket = echo.websocket().await;
    let mut http = Http::connect(echo.addr()).await;
    http.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), first].concat())
        .await;
    let before = resident();
    let mut ended = false;
    for batch in 0..count.div_ceil(1_000) {
        let numbers = batch * 1_000..count.min((batch + 1) * 1_000);
        let bytes: Vec<u8> = numbers.flat_map(&piece).collect();
        let sending = http.try_send(&bytes);
        // A server that answers each frame, and whose answers nobody reads, stops reading: that is
        // no end, but it bounds what a flood can do.
        match tokio::time::timeout(Duration::from_secs(2), sending).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                ended = true;
                break;
            }
            Err(_) => break,
        }
        bystander.send_text("4still here").await;
        assert_eq!(bystander.text().await, "4still here");
        assert!(resident().saturating_sub(before) < ROOM, "memory grows");
    }
    ended = ended || tokio::time::timeout(SOON, http.rest()).await.is_ok();
    drop(http);
    drop(bystander);
    echo.is_empty_and_alive().await;
    ended
}

#[tokio::test]
async fn t_h2_01_empty_data_frames() {
    let first = frame(HEADERS, END_HEADERS, 1, &POST);
    assert!(flood(&first, 1_000_000, |_| frame(DATA, 0, 1, &[])).await);
}

#[tokio::test]
async fn t_h2_02_continuation_without_end() {
    let first = frame(HEADERS, 0, 1, &HEAD);
    let piece = frame(CONTINUATION, 0, 1, &[0x40, 1, b'x', 1, b'y'].repeat(20));
    assert!(flood(&first, 100_000, |_| piece.clone()).await);
}

#[tokio::test]
async fn t_h2_03_requests_that_are_reset_at_once() {
    let cancel = 8_u32.to_be_bytes();
    let ended = flood(&[], 100_000, |number| {
        let stream = 2 * number + 1;
        let head = frame(HEADERS, END_HEADERS | END_STREAM, stream, &HEAD);
        [head, frame(RST_STREAM, 0, stream, &cancel)].concat()
    });
    assert!(ended.await);
}

#[tokio::test]
async fn t_h2_04_requests_that_the_server_has_to_reset() {
    let nothing = 0_u32.to_be_bytes();
    let ended = flood(&[], 100_000, |number| {
        let stream = 2 * number + 1;
        let head = frame(HEADERS, END_HEADERS | END_STREAM, stream, &HEAD);
        [head, frame(WINDOW_UPDATE, 0, stream, &nothing)].concat()
    });
    assert!(ended.await);
}

/// Each is answered, at no cost in memory. They are no request, and the time for the first one ends them.
#[tokio::test]
async fn t_h2_05_settings_and_pings() {
    let impatient = config().limits(Limits::new().head_timeout(Duration::from_millis(500)));
    let ended = flood_with(impatient, &[], 100_000, |number| {
        if number % 2 == 0 {
            frame(SETTINGS, 0, 0, &[])
        } else {
            frame(PING, 0, 0, &[0; 8])
        }
    });
    assert!(ended.await);
}
