//! The rows of the contract for the suite of the Engine.IO client, on the wire.

use crate::peer::{Message, WebSocket, exchange, request, values};
use crate::process::Process;
use crate::{ENGINE_POLLING, ENGINE_WEBSOCKET, SUPPORT_ENGINE, open, session_of};

#[test]
fn the_first_answer_of_a_session_sets_four_cookies() {
    let server = Process::start(SUPPORT_ENGINE);
    let address = server.address();
    let close = "Connection: close\r\n";
    let (polling, body) = exchange(address, &format!("GET {ENGINE_POLLING}"), close, "");
    let websocket = WebSocket::open(address, ENGINE_WEBSOCKET).head;
    for head in [&polling, &websocket] {
        let cookies = values(head, "set-cookie");
        let expected = [
            "1=1; Max-Age=86400",
            "2=2; Path=/; HttpOnly; Secure; SameSite=Strict",
            "3=3; Max-Age=0",
        ];
        assert_eq!(cookies[..3], expected);
        assert!(cookies[3].starts_with("4=4; Expires="), "{cookies:?}");
        assert!(cookies[3].ends_with(" GMT"), "{cookies:?}");
        assert_eq!(cookies.len(), 4);
    }
    let poll = format!("GET {ENGINE_POLLING}&sid={}", session_of(&body));
    let (second, body) = exchange(address, &poll, close, "");
    assert_eq!(body, "4hi");
    assert!(values(&second, "set-cookie").is_empty(), "{second}");
}

#[test]
fn messages_come_back_unless_they_ask_for_something() {
    let server = Process::start(SUPPORT_ENGINE);
    let mut client = open(&server, ENGINE_WEBSOCKET);
    client.expect_text("4hi");
    client.send_text("4give binary");
    assert_eq!(client.receive(), Message::Binary(vec![0, 1, 2, 3, 4]));
    client.send_text("4give utf8");
    client.expect_text("4пойду спать всем спокойной ночи");
    client.send_text("4hello");
    client.expect_text("4hello");
    client.send_binary(b"give binary");
    assert_eq!(client.receive(), Message::Binary(b"give binary".to_vec()));
}

#[test]
fn the_headers_of_a_post_are_those_that_carried_the_question() {
    let server = Process::start(SUPPORT_ENGINE);
    let address = server.address();
    let (_, body) = request(address, &format!("GET {ENGINE_POLLING}"), "");
    let path = format!("{ENGINE_POLLING}&sid={}", session_of(&body));
    request(address, &format!("GET {path}"), "");

    for (headers, message) in [
        ("X-Turn: other\r\n", "4first"),
        ("X-Turn: one\r\nCookie: 1=1; 2=2\r\n", "4sendHeaders"),
    ] {
        let headers = format!("Connection: close\r\n{headers}");
        exchange(address, &format!("POST {path}"), &headers, message);
        let (status, answer) = request(address, &format!("GET {path}"), "");
        assert_eq!(status, 200);
        if message == "4sendHeaders" {
            let headers: serde_json::Value = serde_json::from_str(&answer[1..]).unwrap();
            assert_eq!(headers["x-turn"], "one");
            assert_eq!(headers["cookie"], "1=1; 2=2");
        }
    }
}

#[test]
fn whoever_asks_to_be_denied_is() {
    let server = Process::start(SUPPORT_ENGINE);
    let address = server.address();
    let (status, body) = request(address, &format!("GET {ENGINE_POLLING}&deny=1"), "");
    assert_eq!(status, 403);
    assert_eq!(body, r#"{"code":4,"message":"denied"}"#);
    let path = format!("{ENGINE_WEBSOCKET}&deny=1");
    // As the reference refuses every WebSocket.
    assert_eq!(WebSocket::refused(address, &path), 400);
}

#[test]
fn more_than_a_hundred_bytes_are_too_much() {
    let server = Process::start(SUPPORT_ENGINE);
    let address = server.address();
    let (_, body) = request(address, &format!("GET {ENGINE_POLLING}"), "");
    assert!(body.contains(r#""maxPayload":100}"#), "{body}");
    let path = format!("{ENGINE_POLLING}&sid={}", session_of(&body));

    let most = format!("4{}", "a".repeat(99));
    let answer = request(address, &format!("POST {path}"), &most);
    assert_eq!(answer, (200, "ok".to_owned()));
    // Nothing in this request asks for the end of the connection.
    let (head, body) = exchange(address, &format!("POST {path}"), "", &format!("{most}a"));
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    assert_eq!(body, "");

    let mut client = open(&server, ENGINE_WEBSOCKET);
    client.expect_text("4hi");
    client.send_text(&most);
    client.expect_text(&most);
    client.send_text(&format!("{most}a"));
    client.expect_close(1009);
}

#[test]
fn a_session_that_is_unknown_is_refused() {
    let server = Process::start(SUPPORT_ENGINE);
    let address = server.address();
    let unknown = "&sid=AAAAAAAAAAAAAAAAAAAA";
    let (status, body) = request(address, &format!("GET {ENGINE_POLLING}{unknown}"), "");
    assert_eq!(status, 400);
    assert_eq!(body, r#"{"code":1,"message":"Session ID unknown"}"#);
    let path = format!("{ENGINE_WEBSOCKET}{unknown}");
    assert_eq!(WebSocket::refused(address, &path), 400);
}

#[test]
fn the_support_server_speaks_revision_3_only_when_told_so() {
    let path = "/engine.io/?EIO=3&transport=websocket";
    let server = Process::start(SUPPORT_ENGINE);
    assert_eq!(WebSocket::refused(server.address(), path), 400);
    let server = Process::start_with(SUPPORT_ENGINE, "EIO3", "1");
    open(&server, path).expect_text("4hi");
}
