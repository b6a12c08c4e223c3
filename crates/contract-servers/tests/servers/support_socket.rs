//! The rows of the contract for the suite of the Socket.IO client, on the wire.

use crate::peer::{Message, WebSocket};
use crate::process::Process;
use crate::{SOCKET_WEBSOCKET, SUPPORT_SOCKET, connect, open};

#[test]
fn each_question_has_its_answer() {
    let server = Process::start(SUPPORT_SOCKET);
    let mut client = connect(&server, "40");
    for (question, answers) in [
        (r#"42["hi"]"#, &[r#"42["hi"]"#][..]),
        (
            r#"421["echo",{"a":[null,"b"]}]"#,
            &[r#"431[{"a":[null,"b"]}]"#],
        ),
        (
            r#"42["getUtf8"]"#,
            &[
                r#"42["takeUtf8","てすと"]"#,
                r#"42["takeUtf8","Я Б Г Д Ж Й"]"#,
                r#"42["takeUtf8","Ä ä Ü ü ß"]"#,
                r#"42["takeUtf8","utf8 — string"]"#,
                r#"42["takeUtf8","utf8 — string"]"#,
            ],
        ),
        (r#"424["echo",null]"#, &["434[null]"]),
        (r#"42["false"]"#, &[r#"42["false",false]"#]),
        // Never answered.
        (r#"422["unknown"]"#, &[]),
        (r#"423["echo",3]"#, &["433[3]"]),
    ] {
        client.send_text(question);
        for answer in answers {
            match answer.starts_with("43") {
                true => client.expect_text(answer),
                false => assert_eq!(event(&mut client), *answer),
            }
        }
    }
}

#[test]
fn dates_are_text() {
    let server = Process::start(SUPPORT_SOCKET);
    let mut client = connect(&server, "40");
    for (question, before, behind) in [
        (r#"425["getAckDate",{"test":true}]"#, r#"435[""#, r#""]"#),
        (r#"42["getDate"]"#, r#"42["takeDate",""#, r#""]"#),
        (
            r#"42["getDateObj"]"#,
            r#"42["takeDateObj",{"date":""#,
            r#""}]"#,
        ),
    ] {
        client.send_text(question);
        let answer = match before.starts_with("43") {
            true => text(&mut client),
            false => event(&mut client),
        };
        let date = answer.strip_prefix(before);
        let date = date.and_then(|rest| rest.strip_suffix(behind));
        let date = date.unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(date.len(), "2026-11-22T17:21:32.000Z".len(), "{date}");
        assert!(date.starts_with("20") && date.ends_with('Z'), "{date}");
    }
}

#[test]
fn an_acknowledgement_is_accepted_when_it_is_right() {
    let server = Process::start(SUPPORT_SOCKET);
    let mut client = connect(&server, "40");
    for (answer, accepted) in [
        (r#"[5,{"test":true}]"#, true),
        (r#"[5,{"test":"x"}]"#, true),
        (r#"[5,{"test":0}]"#, false),
        (r#"[5,{}]"#, false),
        (r#"[6,{"test":true}]"#, false),
        ("[]", false),
    ] {
        client.send_text(r#"42["ack"]"#);
        let question = text(&mut client);
        let id = question
            .strip_prefix("42")
            .and_then(|rest| rest.strip_suffix(r#"["ack"]"#))
            .unwrap_or_else(|| panic!("{question}"));
        client.send_text(&format!("43{id}{answer}"));
        if accepted {
            assert_eq!(event(&mut client), r#"42["got it"]"#);
        }
        // Nothing else comes.
        client.send_text(r#"421["echo",1]"#);
        client.expect_text("431[1]");
    }
}

#[test]
fn binary_data_comes_and_goes() {
    let server = Process::start(SUPPORT_SOCKET);
    let mut client = connect(&server, "40");
    for (question, answer) in [
        (
            r#"42["doge"]"#,
            r#"451-["doge",{"_placeholder":true,"num":0}]"#,
        ),
        (
            r#"42["getbin"]"#,
            r#"451-["takebin",{"_placeholder":true,"num":0}]"#,
        ),
    ] {
        client.send_text(question);
        assert_eq!(event(&mut client), answer);
        assert_eq!(client.receive(), Message::Binary(b"asdfasdf".to_vec()));
    }
    for (name, answer) in [
        ("buffa", Some("buffack")),
        ("abuff1", None),
        ("abuff2", Some("abuff2-ack")),
        ("blob", Some("back")),
        // Too early.
        ("blob3", None),
        ("blob1", None),
    ] {
        client.send_text(&format!(
            r#"451-["{name}",{{"_placeholder":true,"num":0}}]"#
        ));
        client.send_binary(&[1]);
        if let Some(answer) = answer {
            assert_eq!(event(&mut client), format!(r#"42["{answer}"]"#));
        }
    }
    client.send_text(r#"42["blob2","second"]"#);
    client.send_text(r#"451-["blob3",{"_placeholder":true,"num":0}]"#);
    client.send_binary(&[3]);
    assert_eq!(event(&mut client), r#"42["blob3-ack"]"#);

    let object = r#"{"hello":"lol","message":{"_placeholder":true,"num":0},"goodbye":"gotcha"}"#;
    for name in ["jsonbuff", "jsonblob"] {
        client.send_text(&format!(r#"451-["{name}",{object}]"#));
        client.send_binary(&[4]);
        assert_eq!(event(&mut client), format!(r#"42["{name}-ack"]"#));
    }
}

#[test]
fn what_is_not_binary_is_not_taken_for_it() {
    let server = Process::start(SUPPORT_SOCKET);
    let mut client = connect(&server, "40");
    for name in ["buffa", "abuff1", "abuff2", "blob", "blob1", "blob3"] {
        client.send_text(&format!(r#"42["{name}","text"]"#));
    }
    for name in ["jsonbuff", "jsonblob"] {
        client.send_text(&format!(
            r#"42["{name}",{{"hello":"lol","message":"text","goodbye":"gotcha"}}]"#
        ));
    }
    client.send_text(r#"421["echo",1]"#);
    client.expect_text("431[1]");
}

#[test]
fn a_client_learns_what_it_has_presented() {
    let server = Process::start(SUPPORT_SOCKET);
    let path = format!("{SOCKET_WEBSOCKET}&key=v%20%26");
    let mut client = open(&server, &path);
    client.send_text(r#"40{"token":"abc"}"#);
    assert!(text(&mut client).starts_with(r#"40{"sid":"#));
    client.send_text(r#"421["getHandshake"]"#);
    let answer = text(&mut client);
    check(
        answer.strip_prefix("431[").unwrap_or(&answer),
        r#"{"token":"abc"}"#,
    );

    // Once more, and unasked.
    client.send_text("40/abc,");
    assert!(text(&mut client).starts_with(r#"40/abc,{"sid":"#));
    let answer = event(&mut client);
    let handshake = answer.strip_prefix(r#"42/abc,["handshake","#);
    check(handshake.unwrap_or(&answer), "{}");
}

fn check(handshake: &str, auth: &str) {
    let handshake = handshake.strip_suffix(']').unwrap_or(handshake);
    let handshake: serde_json::Value = serde_json::from_str(handshake).unwrap();
    let names: Vec<&String> = handshake.as_object().unwrap().keys().collect();
    let mut expected = [
        "headers", "time", "address", "xdomain", "secure", "issued", "url", "query", "auth",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(handshake["headers"]["host"], "localhost");
    assert_eq!(handshake["address"], "127.0.0.1");
    assert_eq!(handshake["xdomain"], false);
    assert_eq!(handshake["secure"], false);
    assert!(handshake["issued"].as_u64() > Some(1_700_000_000_000));
    assert_eq!(handshake["query"]["key"], "v &");
    assert_eq!(handshake["query"]["transport"], "websocket");
    let url = handshake["url"].as_str().unwrap();
    assert!(url.starts_with("/socket.io/?EIO=4&"), "{url}");
    assert_eq!(handshake["auth"].to_string(), auth);
}

#[test]
fn a_client_learns_its_id() {
    let server = Process::start(SUPPORT_SOCKET);
    let mut client = open(&server, SOCKET_WEBSOCKET);
    for (join, namespace) in [("40", ""), ("40/foo,", "/foo,")] {
        client.send_text(join);
        let answer = text(&mut client);
        let rest = answer.strip_prefix(&format!(r#"40{namespace}{{"sid":""#));
        let (id, _) = rest
            .unwrap_or_else(|| panic!("{answer}"))
            .split_once('"')
            .unwrap();
        client.send_text(&format!(r#"42{namespace}7["getId"]"#));
        client.expect_text(&format!(r#"43{namespace}7["{id}"]"#));
    }
}

#[test]
fn namespaces_accept_or_refuse() {
    let server = Process::start(SUPPORT_SOCKET);
    for namespace in ["/timeout_socket", "/valid", "/asd"] {
        connect(&server, &format!("40{namespace},"));
    }
    let no = r#"44/no,{"message":"Auth failed (custom namespace)"}"#;
    let unknown = r#"44/other,{"message":"Invalid namespace"}"#;
    let main = r#"44{"message":"Auth failed (main namespace)"}"#;
    for (query, join, refusal) in [
        ("", "40/no,", Some(no)),
        ("", "40/other,", Some(unknown)),
        ("&fail=true", "40", Some(main)),
        ("&fail=", "40", None),
    ] {
        let mut client = open(&server, &format!("{SOCKET_WEBSOCKET}{query}"));
        client.send_text(join);
        match refusal {
            Some(refusal) => client.expect_text(refusal),
            None => assert!(text(&mut client).starts_with(r#"40{"sid":"#)),
        }
    }
}

#[test]
fn a_client_whose_connection_was_cut_comes_back() {
    let server = Process::start(SUPPORT_SOCKET);
    let mut client = open(&server, SOCKET_WEBSOCKET);
    client.send_text("40");
    let answer = text(&mut client);
    let joined: serde_json::Value = serde_json::from_str(&answer[2..]).unwrap();
    client.send_text(r#"42["hi"]"#);
    let hi = text(&mut client);
    let [_, offset]: [String; 2] = serde_json::from_str(&hi[2..]).unwrap();
    drop(client);

    let mut client = open(&server, SOCKET_WEBSOCKET);
    let claim = serde_json::json!({"pid": joined["pid"], "offset": offset});
    client.send_text(&format!("40{claim}"));
    // It has missed nothing, so that this is the first packet.
    assert_eq!(text(&mut client), answer);
}

/// An event without its last argument, the offset.
fn event(client: &mut WebSocket) -> String {
    let text = text(client);
    let last = text
        .strip_suffix("\"]")
        .and_then(|rest| rest.rsplit_once(",\""));
    let (rest, offset) = last.unwrap_or_else(|| panic!("no offset: {text}"));
    assert_ne!(offset, "");
    format!("{rest}]")
}

fn text(client: &mut WebSocket) -> String {
    let Message::Text(text) = client.receive() else {
        panic!("text was expected");
    };
    text
}
