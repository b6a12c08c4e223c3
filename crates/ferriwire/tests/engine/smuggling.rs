//! Requests that servers in a row could split differently (security 4.7 A66, A51; T-H1-01, T-H1-02).

use crate::support::http::Http;
use crate::{Echo, POLLING, config};

/// What must never be taken for a request of its own.
const SMUGGLED: &str = "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n";

/// What follows the first header of a POST into an open session, in front of the smuggled request.
const POSTS: &[&str] = &[
    // Two lengths.
    "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "Content-Length: 2, 2\r\n\r\n4a",
    "Content-Length: 2, 3\r\n\r\n4a",
    // Lengths that are none.
    "Content-Length:\r\n\r\n",
    "Content-Length: +2\r\n\r\n4a",
    "Content-Length: -2\r\n\r\n4a",
    "Content-Length: 0x2\r\n\r\n4a",
    "Content-Length: two\r\n\r\n4a",
    "Content-Length: 2.0\r\n\r\n4a",
    "Content-Length: 2e0\r\n\r\n4a",
    "Content-Length: 0 2\r\n\r\n4a",
    "Content-Length:\x0b2\r\n\r\n4a",
    "Content-Length: 2\0\r\n\r\n4a",
    "Content-Length: 18446744073709551616\r\n\r\n",
    "Content-Length: 99999999999999999999999999999999\r\n\r\n",
    // Codings that we do not undo, or that only look like one.
    "Transfer-Encoding: gzip\r\n\r\n",
    "Transfer-Encoding: identity\r\n\r\n",
    "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    // Names that are none, and lines that go on.
    "Content-Length : 2\r\n\r\n4a",
    "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "Content-Length: 2\r\n 2\r\n\r\n4a",
    "X-A: b\r\n\tc\r\n\r\n",
    "X A: b\r\n\r\n",
    "X-A\r\n\r\n",
    ": b\r\n\r\n",
    "X-A: b\rContent-Length: 2\r\n\r\n4a",
    "X-A: b\0c\r\n\r\n",
    "X\0A: b\r\n\r\n",
    // Two hosts.
    "Host: evil.example\r\n\r\n",
    "Host: localhost\r\nContent-Length: 2\r\n\r\n4a",
    // Chunks with a length that is none.
    "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
    "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
    "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n0 0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n\r\n\r\n",
    // Lines of chunks that end otherwise than by CR LF.
    "Transfer-Encoding: chunked\r\n\r\n0\n\n",
    "Transfer-Encoding: chunked\r\n\r\n0;a=b\nc\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n1\r\n4a0\r\n\r\n",
];

/// Lines of a request that no server should try to understand, with all that follows.
const HEADS: &[&str] = &[
    "GET  /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET\t/engine.io/?EIO=4&transport=polling\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /engine.io/?EIO=4&transport=polling x HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /engine.io/?EIO=4&transport=polling HTTP/1.2\r\nHost: a\r\n\r\n",
    "GET /engine.io/?EIO=4&transport=polling HTTP/2.0\r\nHost: a\r\n\r\n",
    "GET /engine.io/?EIO=4&transport=polling\r\n\r\n",
    "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\n\r\n",
    "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n",
    "POST /engine.io/?EIO=4&transport=polling HTTP/1.0\r\nConnection: keep-alive\r\n\
     Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];

/// Sends bytes with a request behind them, and answers with everything that comes until the server closes.
async fn send(echo: &Echo, bytes: &str) -> String {
    let mut http = Http::connect(echo.addr()).await;
    http.send(format!("{bytes}{SMUGGLED}").as_bytes()).await;
    String::from_utf8(http.rest().await).expect("an answer in ASCII")
}

/// Opens a session, and gives the beginning of a POST into it.
async fn post(echo: &Echo) -> String {
    let polling = echo.polling().await;
    format!("POST {} HTTP/1.1\r\nHost: localhost\r\n", polling.target())
}

#[tokio::test]
async fn a66_what_could_be_split_differently_is_refused_once_and_the_connection_closed() {
    let echo = Echo::start(config()).await;
    for (opened, rest) in (1..).zip(POSTS) {
        let post = post(&echo).await;
        let answer = send(&echo, &format!("{post}{rest}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{rest:?}: {answer:?}");
        assert_eq!(
            answer.matches("HTTP/1.1").count(),
            1,
            "{rest:?}: {answer:?}"
        );
        assert_eq!(echo.server.stats().sessions_opened, opened, "{rest:?}");
    }
    let opened = echo.server.stats().sessions_opened;
    for head in HEADS {
        let answer = send(&echo, head).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?}: {answer:?}");
        assert_eq!(
            answer.matches("HTTP/1.1").count(),
            1,
            "{head:?}: {answer:?}"
        );
    }
    assert_eq!(echo.server.stats().sessions_opened, opened);
}

/// Of a length and chunks the chunks count, and nothing that follows is read (RFC 9112 section 6.3).
#[tokio::test]
async fn a66_a_length_beside_chunks_is_ignored_and_the_connection_closed() {
    let echo = Echo::start(config()).await;
    for (opened, rest) in (1..).zip([
        "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n4a\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n2\r\n4a\r\n0\r\n\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n4a\r\n0\r\n\r\n",
    ]) {
        let post = post(&echo).await;
        let answer = send(&echo, &format!("{post}{rest}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{rest:?}: {answer:?}");
        assert!(answer.ends_with("\r\n\r\nok"), "{rest:?}: {answer:?}");
        assert_eq!(
            answer.matches("HTTP/1.1").count(),
            1,
            "{rest:?}: {answer:?}"
        );
        assert_eq!(echo.server.stats().sessions_opened, opened, "{rest:?}");
    }
}

/// What follows a chunk's length is bounded in all, so that a body is not kept waiting by nothing.
#[tokio::test]
async fn a66_a_megabyte_behind_the_length_of_a_chunk_is_refused() {
    let echo = Echo::start(config()).await;
    let post = post(&echo).await;
    let extension = "a".repeat(1_000_000);
    let mut http = Http::connect(echo.addr()).await;
    let body = format!("{post}Transfer-Encoding: chunked\r\n\r\n2;{extension}\r\n4a\r\n0\r\n\r\n");
    // It may be closed before all of that is sent.
    let sent = http.try_send(body.as_bytes()).await;
    let answer = String::from_utf8(http.rest().await).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") || sent.is_err(),
        "{answer:?}"
    );
    echo.is_empty_and_alive().await;
}

/// A length that is said twice is still one, and trailers are read past, whatever they are called.
#[tokio::test]
async fn a66_what_everybody_understands_alike_is_one_request() {
    let mut echo = Echo::start(config()).await;
    for rest in [
        "Content-Length: 2\r\nContent-Length: 2\r\n\r\n4a",
        "Transfer-Encoding: chunked\r\n\r\n2\r\n4a\r\n0\r\nContent-Length: 50\r\n\r\n",
        "Transfer-Encoding:\tCHUNKED\r\n\r\n2;a=b\r\n4a\r\n000\r\n\r\n",
    ] {
        let post = post(&echo).await;
        let mut http = Http::connect(echo.addr()).await;
        http.send(format!("{post}{rest}").as_bytes()).await;
        assert_eq!(http.response().await.text(), "ok", "{rest:?}");
        assert_eq!(http.get(POLLING).await.status, 200, "{rest:?}");
        assert_eq!(echo.received().await, "a".into());
    }
}

/// A line may end without CR (RFC 9112 section 2.2); then it ends there, and is not one with the next.
#[tokio::test]
async fn a66_a_line_that_ends_without_cr_is_a_line() {
    let echo = Echo::start(config()).await;
    let mut http = Http::connect(echo.addr()).await;
    for head in [
        "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\nHost: localhost\n\n",
        "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n",
    ] {
        http.send(head.as_bytes()).await;
        assert_eq!(http.response().await.status, 200, "{head:?}");
    }
    let hidden = "GET /nothing HTTP/1.1\r\nHost: localhost\r\nX-A: b\nHost: evil.example\r\n\r\n";
    let answer = send(&echo, hidden).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
    assert_eq!(echo.server.stats().sessions_opened, 2);
}
