//! Answers to the handshake of a WebSocket, and what a client makes of them.

use ferriwire::ConnectFailure;
use tokio::io::AsyncWriteExt as _;

use crate::raw::{Peer, asked, listen};
use crate::support::within;

#[tokio::test]
async fn a_session_may_begin_right_behind_the_answer_and_in_any_pieces() {
    const OPEN: &str = r#"0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
    for piece in [1, 3, usize::MAX] {
        let (listener, client) = listen();
        let client = tokio::spawn(client.connect());
        let (mut stream, answer) = asked(&listener).await;
        stream.set_nodelay(true).expect("it is connected");
        let mut bytes = answer.into_bytes();
        bytes.extend([0x81, u8::try_from(OPEN.len()).expect("it is short")]);
        bytes.extend(OPEN.as_bytes());
        for piece in bytes.chunks(piece) {
            let sent = within("sending", stream.write_all(piece)).await;
            sent.expect("the client takes it");
            tokio::task::yield_now().await;
        }
        let mut peer = Peer::new(stream);
        assert_eq!(peer.next().await, "40");
        peer.text(r#"40{"sid":"x"}"#).await;
        let client = within("connecting", client).await.expect("no panic");
        assert_eq!(client.expect("it is let in").id().as_deref(), Some("x"));
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_status_and_a_head_without_an_end_is_a_violation() {
    for (answer, expected) in [
        (
            "302 Found\r\nLocation: /there\r\nContent-Length: 5\r\n\r\nthere",
            Ok((302, "there")),
        ),
        (
            "401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
            Ok((401, "no")),
        ),
        ("200 OK\r\n\r\nwelcome", Ok((200, "welcome"))),
        (
            "101 Endless\r\n",
            Err("answer with a head of more than 16384 bytes"),
        ),
    ] {
        let (listener, client) = listen();
        let client = tokio::spawn(client.connect());
        let (mut stream, _) = asked(&listener).await;
        let answer = format!("HTTP/1.1 {answer}");
        stream
            .write_all(answer.as_bytes())
            .await
            .expect("the client listens");
        if expected.is_err() {
            // Until the client has enough of it.
            while stream.write_all(&[b'a'; 1024]).await.is_ok() {}
        }
        drop(stream);
        let result = within("an error", client).await.expect("no panic");
        match (result, expected) {
            (Err(ConnectFailure::Http { status, body }), Ok(expected)) => {
                assert_eq!((status, body.as_str()), expected);
            }
            (Err(ConnectFailure::Violation(what)), Err(expected)) => assert_eq!(what, expected),
            (result, expected) => panic!("{result:?} instead of {expected:?}"),
        }
    }
}
