//! Each contract server as a process: it starts, does what its contract says first, and ends.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod peer;
mod process;
mod support_engine;
mod support_socket;

use peer::{Message, WebSocket, request};
use process::{Process, refusal};

const BENCH: &str = env!("CARGO_BIN_EXE_bench-server");
const ENGINE: &str = env!("CARGO_BIN_EXE_protocol-engine");
const SOCKET: &str = env!("CARGO_BIN_EXE_protocol-socket");
const SMOKE: &str = env!("CARGO_BIN_EXE_smoke-server");
const SUPPORT_ENGINE: &str = env!("CARGO_BIN_EXE_client-support-engine");
const SUPPORT_SOCKET: &str = env!("CARGO_BIN_EXE_client-support-socket");
const ECHO: &str = env!("CARGO_BIN_EXE_websocket-echo");

const ENGINE_POLLING: &str = "/engine.io/?EIO=4&transport=polling";
const ENGINE_WEBSOCKET: &str = "/engine.io/?EIO=4&transport=websocket";
const SOCKET_WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

#[test]
fn every_server_says_when_it_is_ready_and_ends_well_on_sigterm() {
    for program in [
        BENCH,
        ENGINE,
        SOCKET,
        SMOKE,
        SUPPORT_ENGINE,
        SUPPORT_SOCKET,
        ECHO,
    ] {
        let server = Process::start(program);
        assert!(server.address().ip().is_loopback(), "{}", server.url);
        assert_eq!(server.terminate().code(), Some(0), "{program}");
    }
}

#[test]
fn clients_do_not_keep_a_server_from_ending() {
    let server = Process::start(SOCKET);
    let mut client = connect(&server, "40");
    client.expect_text("42[\"auth\",{}]");
    assert_eq!(server.terminate().code(), Some(0));
}

#[test]
fn what_is_not_supported_is_refused_with_status_2() {
    for (name, value) in [("CODEC", "cbor"), ("PORT", "http")] {
        let (status, stderr) = refusal(BENCH, name, value);
        assert_eq!(status.code(), Some(2), "{name}={value}");
        assert!(stderr.contains(&format!("{name}={value}")), "{stderr}");
    }
}

#[test]
fn the_bench_server_echoes_binary_data_and_broadcasts_to_members_of_a_room() {
    let server = Process::start(BENCH);
    let mut client = connect(&server, "40");

    client.send_text(r#"451-7["echo",{"b":{"_placeholder":true,"num":0},"a":[1,"x"]}]"#);
    client.send_binary(&[1, 2, 3]);
    client.expect_text(r#"461-7[{"b":{"_placeholder":true,"num":0},"a":[1,"x"]}]"#);
    assert_eq!(client.receive(), Message::Binary(vec![1, 2, 3]));

    // The sender is a member, and gets it once; after it has left, not any more.
    let bcast = r#"42["bcast","room",{"x":[1,2]}]"#;
    for (text, answers) in [
        (r#"428["join","room"]"#, &["438[]"][..]),
        (bcast, &[r#"42["bcast",{"x":[1,2]}]"#]),
        (r#"42["sink","nothing"]"#, &[]),
        (r#"429["leave","room"]"#, &["439[]"]),
        (bcast, &[]),
        (r#"4210["echo"]"#, &["4310[]"]),
    ] {
        client.send_text(text);
        for answer in answers {
            client.expect_text(answer);
        }
    }
}

#[test]
fn the_servers_of_socket_io_speak_msgpack_when_told_so() {
    for program in [BENCH, SOCKET, SMOKE, SUPPORT_SOCKET] {
        let server = Process::start_with(program, "CODEC", "msgpack");
        let mut client = WebSocket::open(server.address(), SOCKET_WEBSOCKET);
        assert!(matches!(client.receive(), Message::Text(open) if open.starts_with("0{")));
        // {type: 0, data: {token: "good"}, nsp: "/"}
        client.send_binary(b"\x83\xa4type\x00\xa4data\x81\xa5token\xa4good\xa3nsp\xa1/");
        let Message::Binary(connect) = client.receive() else {
            panic!("{program} does not answer in msgpack");
        };
        // {type: 0, data: {sid: .., with recovery pid: ..}, ..
        let entries = if program == SUPPORT_SOCKET { 2 } else { 1 };
        let expected = [
            &b"\x83\xa4type\x00\xa4data"[..],
            &[0x80 | entries],
            b"\xa3sid",
        ]
        .concat();
        assert!(connect.starts_with(&expected), "{connect:?}");
    }
}

#[test]
fn the_engine_server_opens_sessions_and_sends_messages_back() {
    let server = Process::start(ENGINE);
    let address = server.address();
    let (status, open) = request(address, &format!("GET {ENGINE_POLLING}"), "");
    assert_eq!(status, 200);
    let tail =
        r#","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}"#;
    assert!(open.ends_with(tail), "{open}");

    let session = session_of(&open);
    let path = format!("{ENGINE_POLLING}&sid={session}");
    let answer = request(address, &format!("POST {path}"), "4hello\x1ebAQID");
    assert_eq!(answer, (200, "ok".to_owned()));
    let answer = request(address, &format!("GET {path}"), "");
    assert_eq!(answer, (200, "4hello\x1ebAQID".to_owned()));
}

/// A client may send `5` right behind its probe, and poll once more right behind that. The probe was
/// not answered then, and the poll was, as if the session had not left polling.
#[test]
fn a_poll_right_behind_the_end_of_an_upgrade_is_refused() {
    let server = Process::start(ENGINE);
    let address = server.address();
    for _ in 0..20 {
        let (_, open) = request(address, &format!("GET {ENGINE_POLLING}"), "");
        let session = session_of(&open);
        let path = format!("{ENGINE_WEBSOCKET}&sid={session}");
        let mut websocket = WebSocket::open(address, &path);
        websocket.send_text("2probe");
        websocket.send_text("5");
        let path = format!("{ENGINE_POLLING}&sid={session}");
        let (status, _) = request(address, &format!("GET {path}"), "");
        assert_eq!(status, 400);
        websocket.expect_text("3probe");
        websocket.send_text("4hello");
        websocket.expect_text("4hello");
    }
}

#[test]
fn a_second_websocket_of_a_session_is_accepted_and_closed() {
    let server = Process::start(ENGINE);
    let mut first = WebSocket::open(server.address(), ENGINE_WEBSOCKET);
    let Message::Text(open) = first.receive() else {
        panic!("the first message is the open packet");
    };
    let path = format!("{ENGINE_WEBSOCKET}&sid={}", session_of(&open));
    let mut second = WebSocket::open(server.address(), &path);
    assert_eq!(second.receive(), Message::Close);
    first.send_text("4still here");
    first.expect_text("4still here");
}

#[test]
fn the_socket_server_answers_in_both_of_its_namespaces_and_in_no_other() {
    let server = Process::start(SOCKET);
    for (join, namespace, auth) in [
        ("40", "", "{}"),
        (r#"40{"token":"123"}"#, "", r#"{"token":"123"}"#),
        ("40/custom,", "/custom,", "{}"),
    ] {
        let mut client = connect(&server, join);
        client.expect_text(&format!(r#"42{namespace}["auth",{auth}]"#));
        client.send_text(&format!(r#"42{namespace}["message",1,"2",{{"3":[true]}}]"#));
        client.expect_text(&format!(
            r#"42{namespace}["message-back",1,"2",{{"3":[true]}}]"#
        ));
        client.send_text(&format!(r#"42{namespace}456["message-with-ack",1,false]"#));
        client.expect_text(&format!("43{namespace}456[1,false]"));
    }
    let mut client = open(&server, SOCKET_WEBSOCKET);
    client.send_text("40/random");
    client.expect_text(r#"44/random,{"message":"Invalid namespace"}"#);
}

#[test]
fn the_smoke_server_lets_in_whoever_has_the_token() {
    let server = Process::start(SMOKE);
    let refusal = r#"44{"message":"not authorized","data":{"code":401}}"#;
    for join in ["40", r#"40{"token":"bad"}"#, r#"40{"token":5}"#] {
        let mut client = open(&server, SOCKET_WEBSOCKET);
        client.send_text(join);
        client.expect_text(refusal);
    }
    let mut client = open(&server, &format!("{SOCKET_WEBSOCKET}&token=good"));
    client.send_text("40");
    assert!(matches!(client.receive(), Message::Text(text) if text.starts_with("40{")));
}

#[test]
fn the_smoke_server_asks_joins_and_says_goodbye() {
    let server = Process::start(SMOKE);
    let mut client = connect(&server, r#"40/chat,{"token":"good"}"#);
    client.send_text(r#"42/chat,["ask",1,"two"]"#);
    let Message::Text(question) = client.receive() else {
        panic!("a question is text");
    };
    let id = question
        .strip_prefix("42/chat,")
        .and_then(|rest| rest.strip_suffix(r#"["question",1,"two"]"#))
        .unwrap_or_else(|| panic!("{question}"));
    client.send_text(&format!(r#"43/chat,{id}["yes",3]"#));
    client.expect_text(r#"42/chat,["answer","yes",3]"#);

    client.send_text(r#"42/chat,1["join","den"]"#);
    client.expect_text("43/chat,1[]");
    client.send_text(r#"42/chat,["room","den",true,null]"#);
    client.expect_text(r#"42/chat,["room",true,null]"#);
    client.send_text(r#"42/chat,["bye"]"#);
    client.expect_text("41/chat,");
}

#[test]
fn the_websocket_server_echoes_on_any_path() {
    let server = Process::start(ECHO);
    for path in ["/", "/runCase?case=1&agent=x"] {
        let mut client = WebSocket::open(server.address(), path);
        client.send_text("hello");
        client.expect_text("hello");
        let data = vec![7; 60_000];
        client.send_binary(&data);
        assert_eq!(client.receive(), Message::Binary(data));
    }
    let (status, _) = request(server.address(), "GET /", "");
    assert_eq!(status, 426);
}

/// A session on a WebSocket, behind its open packet.
fn open(server: &Process, path: &str) -> WebSocket {
    let mut client = WebSocket::open(server.address(), path);
    assert!(matches!(client.receive(), Message::Text(open) if open.starts_with("0{")));
    client
}

/// A client that has joined a namespace.
fn connect(server: &Process, join: &str) -> WebSocket {
    let mut client = open(server, SOCKET_WEBSOCKET);
    client.send_text(join);
    let (namespace, _) = join.split_once('{').unwrap_or((join, ""));
    let expected = format!("{namespace}{{\"sid\":\"");
    let answer = client.receive();
    assert!(
        matches!(&answer, Message::Text(text) if text.starts_with(&expected)),
        "{answer:?}"
    );
    client
}

fn session_of(open: &str) -> &str {
    let rest = open.strip_prefix(r#"0{"sid":""#).expect("an open packet");
    let (session, _) = rest.split_once('"').expect("the id has an end");
    session
}
