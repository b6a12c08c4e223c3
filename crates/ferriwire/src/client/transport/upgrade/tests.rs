use ferriwire_proto::websocket::{Deflater, accept_key};
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, duplex};

use super::*;
use crate::client::transport::refusal::MAX_REFUSAL;

const RANDOM: [u8; 16] = *b"the sample nonce";

fn handshake() -> ClientHandshake {
    ClientHandshake::new(RANDOM, None)
}

/// The head of an answer that opens the WebSocket, with more lines.
fn accepted(more: &str) -> String {
    let accept = accept_key(handshake().key()).unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// What is made of an answer that comes in pieces of this size and then ends: what is behind it, or why
/// there is no WebSocket.
async fn answered(answer: &[u8], piece: usize) -> Result<Vec<u8>, String> {
    let (mut ours, mut theirs) = duplex(piece);
    let server = async {
        let mut request = [0];
        theirs.read_exact(&mut request).await.unwrap();
        // It may be hung up on before it has said all.
        drop(theirs.write_all(answer).await);
        drop(theirs);
    };
    let client = async {
        let handshake = handshake();
        let asked = ask(&mut ours, b"?".to_vec(), &handshake).await;
        let result = match asked {
            Ok(upgraded) => {
                let mut ahead = upgraded.ahead.to_vec();
                ours.read_to_end(&mut ahead).await.unwrap();
                Ok(ahead)
            }
            Err(ConnectFailure::Http { status, body }) => Err(format!("{status} {body}")),
            Err(ConnectFailure::Violation(what)) => Err(what),
            Err(ConnectFailure::Network(error)) => Err(error.kind().to_string()),
            Err(other) => panic!("{other:?}"),
        };
        drop(ours);
        result
    };
    let (result, ()) = tokio::join!(client, server);
    result
}

/// In each way in which its bytes may come.
async fn expect(answer: impl AsRef<[u8]>, expected: Result<&[u8], &str>) {
    let answer = answer.as_ref();
    for piece in [1, 7, 1024 * 1024] {
        let shown = String::from_utf8_lossy(answer.get(..120).unwrap_or(answer)).into_owned();
        let result = answered(answer, piece).await;
        let result = result.as_deref().map_err(String::as_str);
        assert_eq!(result, expected, "{shown:?} in pieces of {piece}");
    }
}

#[test]
fn a_request_is_what_was_said_and_what_makes_it_one_for_a_websocket() {
    let headers = [
        ("host", "a:1"),
        ("x-own", "\u{e9}"),
        ("x-own", "2"),
        ("upgrade", "h2c"),
        ("sec-websocket-key", "mine"),
        ("content-length", "7"),
        ("transfer-encoding", "chunked"),
    ];
    let headers = headers.map(|(name, value)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        (HeaderName::from_static(name), value)
    });
    let headers = HeaderMap::from_iter(headers);
    // `from_iter` appends.
    assert_eq!(headers.get_all("x-own").iter().count(), 2);
    let deflating = ClientHandshake::new(RANDOM, Some(Deflater::new(1024, 15, 6)));
    for handshake in [handshake(), deflating] {
        let request = request("/p/?EIO=4&a=%20", headers.clone(), &handshake).unwrap();
        let request = String::from_utf8(request).unwrap();
        let (first, rest) = request.split_once("\r\n").unwrap();
        assert_eq!(first, "GET /p/?EIO=4&a=%20 HTTP/1.1");
        let mut lines: Vec<&str> = rest
            .strip_suffix("\r\n\r\n")
            .unwrap()
            .split("\r\n")
            .collect();
        lines.sort_unstable();
        let key = format!("sec-websocket-key: {}", handshake.key());
        let offer = handshake.extensions();
        let offer = offer.map(|offer| format!("sec-websocket-extensions: {offer}"));
        let mut expected = vec![
            "connection: Upgrade",
            "host: a:1",
            &key,
            "sec-websocket-version: 13",
            "upgrade: websocket",
            "x-own: 2",
            "x-own: \u{e9}",
        ];
        expected.extend(offer.as_deref());
        expected.sort_unstable();
        assert_eq!(lines, expected);
    }
    for target in ["", "/a b", "/\r\n"] {
        let result = request(target, HeaderMap::new(), &handshake());
        let is_told = matches!(result, Err(ConnectFailure::Configuration(_)));
        assert!(is_told, "{target:?}");
    }
}

#[tokio::test]
async fn what_follows_the_answer_is_the_websocket() {
    let frame = b"\x81\x02hi\x89\x00\r\n\r\n";
    for head in [
        accepted(""),
        accepted("Set-Cookie: a=b\r\nServer: \u{e9}\r\nContent-Length: 0\r\n"),
        accepted("").replace("\r\n", "\n"),
        accepted("").replace(" Switching Protocols", ""),
        format!("HTTP/1.1 100 Continue\r\n\r\n{}", accepted("")),
        format!(
            "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n{}",
            accepted("")
        ),
    ] {
        expect(&head, Ok(b"")).await;
        expect([head.as_bytes(), frame].concat(), Ok(frame)).await;
    }
}

#[tokio::test]
async fn a_head_that_breaks_the_rules_is_refused() {
    let no_http = "answer that is not HTTP/1";
    let field = "answer with a head that cannot be read: invalid header name";
    let text = "answer with a head that cannot be read: invalid header value";
    let foreign = "answer does not belong to the request";
    let accept = accepted("");
    let accept = accept.lines().nth(3).unwrap();
    let many = "A: b\r\n".repeat(MAX_HEADERS);
    for (answer, why) in [
        ("SMTP ready\r\n\r\n".to_owned(), no_http),
        ("HTTP/2 101 x\r\n\r\n".to_owned(), no_http),
        ("\r\nHTTP/1.1 101 x\r\n\r\n".to_owned(), no_http),
        ("\0".to_owned(), no_http),
        ("HTTP/1.1 101".to_owned(), "unexpected end of file"),
        (String::new(), "unexpected end of file"),
        (
            accepted("").replacen("/1.1", "/1.0", 1),
            "change of the protocol in HTTP/1.0",
        ),
        (
            accepted("").replacen("/1.1", "/1.2", 1),
            "answer with a head that cannot be read: invalid HTTP version",
        ),
        (
            accepted("").replacen("101", "1x1", 1),
            "answer with a head that cannot be read: invalid response status",
        ),
        (
            accepted("").replacen("101", "099", 1),
            "answer with a head that cannot be read",
        ),
        (
            accepted("").replacen("101 S", "101 \0", 1),
            "answer with a head that cannot be read: invalid response status",
        ),
        (accepted("A\0: b\r\n"), field),
        (accepted("A : b\r\n"), field),
        (accepted("no colon\r\n"), field),
        (accepted("A: b\r\n c\r\n"), field),
        (accepted("A: b\0\r\n"), text),
        (accepted("A: b\rc\r\n"), text),
        (
            accepted(&many),
            "answer with a head that cannot be read: too many headers",
        ),
        (accepted("").replace(accept, "A: b"), foreign),
        (
            accepted("").replace(accept, "Sec-WebSocket-Accept: bm8="),
            foreign,
        ),
        (
            accepted("").replace(accept, "Sec-WebSocket-Accept: \u{e9}"),
            foreign,
        ),
        (accepted(&format!("{accept}\r\n")), foreign),
        (
            accepted("").replace("Connection: Upgrade", "Connection: close"),
            "answer without a change to WebSocket",
        ),
        (
            accepted("Sec-WebSocket-Protocol: \u{e9}\r\n"),
            "sub-protocol that was not asked for",
        ),
        (
            accepted("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
            "extension that was not offered",
        ),
    ] {
        expect(answer, Err(why)).await;
    }
    // Not even text.
    let latin = accepted("").replace(accept, "Sec-WebSocket-Protocol: ?\r\nA: b");
    let latin: Vec<u8> = latin
        .bytes()
        .map(|byte| if byte == b'?' { 0xE9 } else { byte })
        .collect();
    expect(latin, Err("sub-protocol that was not asked for")).await;
}

#[tokio::test]
async fn a_head_is_bounded_with_all_that_comes_before_it() {
    let too_long = "answer with a head of more than 16384 bytes";
    let room = MAX_HEAD - accepted("X: \r\n").len();
    let full = accepted(&format!("X: {}\r\n", "x".repeat(room)));
    assert_eq!(full.len(), MAX_HEAD);
    expect([full.as_bytes(), b"\x81\x00"].concat(), Ok(b"\x81\x00")).await;
    let longer = accepted(&format!("X: {}\r\n", "x".repeat(room + 1)));
    expect(longer, Err(too_long)).await;
    let endless = accepted("").replace("\r\n\r\n", &"\r\nA: b".repeat(100_000));
    expect(endless, Err(too_long)).await;
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(1_000);
    expect(interim + &accepted(""), Err(too_long)).await;
}

#[tokio::test]
async fn a_refusal_has_its_status_and_its_body() {
    for (answer, expected) in [
        (
            "200 OK\r\nContent-Length: 5\r\n\r\nhello, not read",
            "200 hello",
        ),
        (
            "302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\nhello",
            "302 ",
        ),
        (
            "401 No\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "401 hello",
        ),
        ("401 No\r\n\r\nhello", "401 hello"),
        ("401 No\n\nhello", "401 hello"),
        ("426\r\n\r\n", "426 "),
        ("204 No Content\r\n\r\nhello", "204 "),
        ("304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", "304 "),
        ("500 No\r\nContent-Length: 9\r\n\r\nshort", "500 short"),
        (
            "500 No\r\nContent-Length: 18446744073709551615\r\n\r\nshort",
            "500 short",
        ),
        (
            "403 No\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 1\r\n\r\n\
             2;a=b\r\nhe\r\n003\r\nllo\r\n0\r\nTrailer: a\r\n\r\n",
            "403 hello",
        ),
        (
            "403 No\r\nTransfer-Encoding: gzip\r\n\r\nhello",
            "403 hello",
        ),
        // What breaks off or breaks the rules ends there.
        (
            "403 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            "403 hel",
        ),
        (
            "403 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello??5\r\nhello",
            "403 hello",
        ),
        (
            "403 No\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nhello",
            "403 ",
        ),
        (
            "403 No\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello",
            "403 ",
        ),
    ] {
        expect(format!("HTTP/1.1 {answer}"), Err(expected)).await;
        expect(format!("HTTP/1.0 {answer}"), Err(expected)).await;
    }
    for (lengths, why) in [
        (
            "Content-Length: 5\r\nContent-Length: 6",
            "answer with two lengths",
        ),
        ("Content-Length: +5", "answer with a length that is none"),
        ("Content-Length: -1", "answer with a length that is none"),
        ("Content-Length:", "answer with a length that is none"),
        ("Content-Length: 5, 5", "answer with a length that is none"),
        (
            "Content-Length: 18446744073709551616",
            "answer with a length that is none",
        ),
    ] {
        let answer = format!("HTTP/1.1 400 No\r\n{lengths}\r\n\r\nhello");
        expect(answer, Err(why)).await;
    }
}

#[tokio::test]
async fn a_refusal_without_an_end_is_bounded() {
    let long = "x".repeat(3 * MAX_REFUSAL);
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let extension = format!("1;{long}\r\nx\r\n");
    let kept = format!("400 {}", "x".repeat(MAX_REFUSAL));
    for (framing, body, expected) in [
        ("A: b".to_owned(), &long, kept.as_str()),
        (format!("Content-Length: {}", long.len()), &long, &kept),
        (
            "Transfer-Encoding: chunked".to_owned(),
            &chunk.repeat(100),
            &kept,
        ),
        ("Transfer-Encoding: chunked".to_owned(), &extension, "400 "),
    ] {
        let answer = format!("HTTP/1.1 400 No\r\n{framing}\r\n\r\n{body}");
        expect(answer, Err(expected)).await;
    }
}

proptest! {
    #[test]
    fn no_head_panics(bytes: Vec<u8>, tail in "[ -~\r\n]{0,60}") {
        let handshake = handshake();
        drop(judge(&bytes, &handshake));
        drop(judge(format!("HTTP/1.1 101 {tail}\r\n\r\n").as_bytes(), &handshake));
        drop(judge(format!("HTTP/1.1 400\r\n{tail}\r\n\r\n").as_bytes(), &handshake));
    }
}
