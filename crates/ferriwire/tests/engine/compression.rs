//! Compressed answers of long-polling (protocol 1.1.5; 1.5 case 30; advisory T-FIX-04).

use std::io::Read;

use ferriwire::engine::CloseReason;
use ferriwire::{HttpCompression, Namespace, Server};
use flate2::read::{GzDecoder, ZlibDecoder};

use crate::support::http::Response;
use crate::support::polling::Polling;
use crate::{Echo, config};

/// Sends a message and asks for its echo with this `Accept-Encoding`.
async fn echoed(polling: &mut Polling, message: &str, accepted: &str) -> Response {
    let post = polling.post(format!("4{message}")).await;
    assert_eq!(post.text(), "ok");
    let target = polling.target();
    let headers = [("Accept-Encoding", accepted)];
    polling.gets.request("GET", &target, &headers, "").await
}

fn decoded(response: &Response) -> String {
    let mut text = String::new();
    let body = &response.body[..];
    match response.header("content-encoding") {
        None => body.to_owned().as_slice().read_to_string(&mut text),
        Some("gzip") => GzDecoder::new(body).read_to_string(&mut text),
        Some("deflate") => ZlibDecoder::new(body).read_to_string(&mut text),
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_string(&mut text),
        Some(other) => crate::support::fail(other),
    }
    .expect("what the header says");
    text
}

#[tokio::test]
async fn each_coding_carries_a_body_whole() {
    let echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let texts = ["a".repeat(2_000), "\u{20ac}\u{1f600}\"x\" ".repeat(40_000)];
    for text in &texts {
        for (accepted, coding) in [
            ("gzip, deflate, br, zstd", Some("gzip")),
            ("deflate", Some("deflate")),
            ("br", Some("br")),
            ("gzip;q=0.1, br;q=0.9", Some("br")),
            ("zstd", None),
            ("identity", None),
            ("gzip;q=0", None),
        ] {
            let response = echoed(&mut polling, text, accepted).await;
            assert_eq!(response.status, 200);
            assert_eq!(response.header("content-encoding"), coding, "{accepted}");
            assert!(response.has("vary", "Accept-Encoding"), "{accepted}");
            let content_type = response.header("content-type");
            assert_eq!(content_type, Some("text/plain; charset=UTF-8"));
            assert_eq!(response.header("cache-control"), Some("no-store"));
            let smaller = response.body.len() < text.len() / 4;
            assert_eq!(smaller, coding.is_some(), "{accepted}");
            assert!(decoded(&response) == format!("4{text}"), "{accepted}");
        }
    }
}

#[tokio::test]
async fn bodies_are_compressed_from_the_threshold_on() {
    for (compression, size, coding) in [
        (HttpCompression::on(), 1_023, None),
        (HttpCompression::on(), 1_024, Some("gzip")),
        (HttpCompression::on(), 1_025, Some("gzip")),
        (HttpCompression::on().threshold(10), 9, None),
        (HttpCompression::on().threshold(10), 10, Some("gzip")),
        (HttpCompression::off(), 900_000, None),
    ] {
        let echo = Echo::start(config().http_compression(compression)).await;
        let mut polling = echo.polling().await;
        // The packet's type is a byte of the body.
        let text = "a".repeat(size - 1);
        let response = echoed(&mut polling, &text, "gzip").await;
        assert_eq!(response.header("content-encoding"), coding, "{size}");
        assert_eq!(response.has("vary", "Accept-Encoding"), coding.is_some());
        assert!(decoded(&response) == format!("4{text}"));
    }
}

#[tokio::test]
async fn answers_without_packets_are_never_compressed() {
    let config = config().http_compression(HttpCompression::on().threshold(0));
    let echo = Echo::start(config).await;
    let mut polling = echo.polling().await;
    let target = polling.target();
    let accepted = [("Accept-Encoding", "gzip")];
    let post = polling
        .posts
        .request("POST", &target, &accepted, "4a")
        .await;
    assert_eq!((post.text(), post.header("content-encoding")), ("ok", None));
    let refused = polling.posts.request("PUT", &target, &accepted, "").await;
    assert_eq!(refused.header("content-encoding"), None);
    let response = polling.gets.request("GET", &target, &accepted, "").await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(decoded(&response), "4a");
}

/// A client that went away while its answer was compressed kept its session for ever in the
/// reference (6.6.11).
#[tokio::test]
async fn a_get_that_is_given_up_behind_a_large_answer_ends_the_session() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let session = echo.session().await;
    let target = polling.target();
    let headers = [("Accept-Encoding", "br")];
    polling.gets.start("GET", &target, &headers, "").await;
    echo.settled().await;
    let noise: String = (0..800_000_u32)
        .map(|at| char::from(b'a' + (at.wrapping_mul(2_654_435_761) >> 27) as u8 % 26))
        .collect();
    session.send(noise).expect("the session is open");
    polling.gets.reset();
    assert_eq!(echo.closed().await, CloseReason::TransportError);
    assert_eq!(session.buffered_bytes(), 0);
}

#[tokio::test]
async fn an_event_that_is_not_to_be_compressed_is_not() {
    let namespace = Namespace::new("/").on("send", async |socket, compress: bool| {
        drop(socket.compress(compress).emit("text", "a".repeat(2_000)));
    });
    let server = Server::new().namespace(namespace).bind("127.0.0.1:0").await;
    let server = server.expect("a free port");
    let mut polling = Polling::handshake(server.local_addr(), "/socket.io/").await;
    polling.post("40").await;
    assert!(polling.get().await.text().starts_with("40{"));
    let target = polling.target();
    let headers = [("Accept-Encoding", "gzip")];
    for (compress, coding) in [(false, None), (true, Some("gzip"))] {
        polling.post(format!("42[\"send\",{compress}]")).await;
        let response = polling.gets.request("GET", &target, &headers, "").await;
        assert_eq!(response.header("content-encoding"), coding);
        assert!(decoded(&response).starts_with("42[\"text\",\"aaa"));
    }
}
