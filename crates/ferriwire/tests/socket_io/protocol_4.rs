//! Clients of Socket.IO 4, over Engine.IO 3 (protocol 1.4, 1.5 case 73).

use std::net::SocketAddr;

use bytes::Bytes;
use ferriwire::{
    Args, Config, ConnectError, Event, Handshake, Namespace, RunningServer, Server, Value,
};

use crate::support::revision3::Polling3;
use crate::support::websocket::{Frame, WebSocket};

const PATH: &str = "/socket.io/";
const ECHO: Event<Args> = Event::new("echo");
const ASK: Event<Args> = Event::new("ask");
const QUESTION: Event<Args, Args> = Event::new("question");

/// Echoes, tells who somebody is, and refuses in several ways.
fn namespace(name: &str) -> Namespace<Value> {
    let auth = async |handshake: Handshake| {
        let refusal = ConnectError::new("not welcome");
        match handshake.query("refuse").as_deref() {
            None => Ok(handshake.auth),
            Some("object") => {
                Err(refusal.data(Value::Object([("code".to_owned(), 401.into())].into())))
            }
            Some("number") => Err(refusal.data(401)),
            Some("zero") => Err(refusal.data(0)),
            Some("empty") => Err(refusal.data("")),
            Some(_) => Err(refusal),
        }
    };
    Namespace::new(name)
        .auth(auth)
        .on("who", async |socket, ()| {
            (socket.id().to_string(), socket.data().clone())
        })
        .on(ECHO, async |socket, args| {
            socket.emit(ECHO, args)?;
            Ok(())
        })
        .on(ASK, async |socket, args| {
            let answer = socket.emit_with_ack(QUESTION, args).await?;
            socket.emit("answer", answer)?;
            Ok(())
        })
        .on("out", async |socket, ()| socket.disconnect())
}

async fn start() -> RunningServer {
    Server::new()
        .config(Config::new().allow_eio3(true))
        .namespace(namespace("/"))
        .namespace(namespace("/chat"))
        .bind("127.0.0.1:0")
        .await
        .expect("a free port")
}

/// A WebSocket, the id of its session, and what came behind the open packet.
async fn connect(address: SocketAddr, query: &str) -> (WebSocket, String, String) {
    let target = format!("{PATH}?EIO=3&transport=websocket{query}");
    let websocket = WebSocket::connect(address, &target, &[]).await;
    let mut websocket = websocket.expect("revision 3 is allowed");
    let open = websocket.text().await;
    let open: serde_json::Value = serde_json::from_str(&open[1..]).expect("data");
    let first = websocket.text().await;
    let sid = open["sid"].as_str().expect("an id").to_owned();
    (websocket, sid, first)
}

#[tokio::test]
async fn clients_join_the_main_namespace_without_asking() {
    let server = start().await;
    let (mut websocket, sid, first) = connect(server.local_addr(), "&a=b").await;
    assert_eq!(first, "40");
    websocket.send_text("421[\"who\"]").await;
    assert_eq!(websocket.text().await, format!("431[\"{sid}\",{{}}]"));
    let mut polling = Polling3::handshake(server.local_addr(), PATH, "").await;
    assert_eq!(polling.packets().await, ["40"]);
    polling.send(&["420[\"who\"]"]).await;
    let sid = &polling.sid.clone();
    assert_eq!(polling.packets().await, [format!("430[\"{sid}\",{{}}]")]);
}

#[tokio::test]
async fn the_query_of_a_namespace_is_what_a_client_presents() {
    let server = start().await;
    let (mut websocket, sid, _) = connect(server.local_addr(), "").await;
    websocket.send_text("40/chat?token=abc&x=%2C%22&x=2,").await;
    assert_eq!(websocket.text().await, "40/chat,");
    websocket.send_text("42/chat,7[\"who\"]").await;
    let expected = format!(r#"43/chat,7["/chat#{sid}",{{"token":"abc","x":[",\"","2"]}}]"#);
    assert_eq!(websocket.text().await, expected);
    // Its own object does not count, and a second CONNECT ends the connection.
    websocket.send_text("40/chat?token=abc").await;
    assert_eq!(websocket.next().await, Frame::Close(None));
    for (connect, auth) in [
        ("40/chat", "{}"),
        ("40/chat,", "{}"),
        ("40/chat?,", "{}"),
        ("40/chat,{\"token\":\"no\"}", "{}"),
        ("40/chat?__proto__=x,", r#"{"__proto__":"x"}"#),
    ] {
        let (mut websocket, sid, _) = self::connect(server.local_addr(), "").await;
        websocket.send_text(connect).await;
        assert_eq!(websocket.text().await, "40/chat,", "{connect}");
        websocket.send_text("42/chat,7[\"who\"]").await;
        let expected = format!("43/chat,7[\"/chat#{sid}\",{auth}]");
        assert_eq!(websocket.text().await, expected, "{connect}");
    }
}

#[tokio::test]
async fn a_refusal_is_its_data_or_its_message() {
    let server = start().await;
    for (query, expected) in [
        ("object", r#"44{"code":401}"#),
        ("number", "44401"),
        ("zero", r#"44"not welcome""#),
        ("empty", r#"44"not welcome""#),
        ("message", r#"44"not welcome""#),
    ] {
        let query = format!("&refuse={query}");
        let (mut websocket, _, first) = connect(server.local_addr(), &query).await;
        assert_eq!(first, expected);
        websocket.send_text("40/chat,").await;
        let expected = expected.replacen("44", "44/chat,", 1);
        assert_eq!(websocket.text().await, expected);
    }
    let (mut websocket, _, _) = connect(server.local_addr(), "").await;
    websocket.send_text("40/unknown?token=x,").await;
    let expected = r#"44/unknown,{"message":"Invalid namespace"}"#;
    assert_eq!(websocket.text().await, expected);
    websocket.send_text("42[\"echo\",1]").await;
    assert_eq!(websocket.text().await, "42[\"echo\",1]");
}

#[tokio::test]
async fn binary_events_and_acknowledgements_go_both_ways() {
    let server = start().await;
    let (mut websocket, _, _) = connect(server.local_addr(), "").await;
    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    websocket
        .send_text(&format!("451-[\"echo\",{placeholder}]"))
        .await;
    websocket.send_binary(&[4, 1, 2]).await;
    assert_eq!(
        websocket.text().await,
        format!("451-[\"echo\",{placeholder}]")
    );
    assert_eq!(websocket.next().await, Frame::Binary(vec![4, 1, 2]));
    websocket
        .send_text(&format!("451-[\"ask\",{placeholder}]"))
        .await;
    websocket.send_binary(&[4, 3]).await;
    assert_eq!(
        websocket.text().await,
        format!("451-0[\"question\",{placeholder}]")
    );
    assert_eq!(websocket.next().await, Frame::Binary(vec![4, 3]));
    websocket.send_text(&format!("461-0[{placeholder}]")).await;
    websocket.send_text("b4BQ==").await;
    assert_eq!(
        websocket.text().await,
        format!("451-[\"answer\",{placeholder}]")
    );
    assert_eq!(websocket.next().await, Frame::Binary(vec![4, 5]));
}

/// One broadcast, six forms: text and binary, in both revisions, with and without base64.
#[tokio::test]
async fn one_broadcast_reaches_clients_of_both_revisions() {
    let server = start().await;
    let address = server.local_addr();
    let (mut old, _, _) = connect(address, "").await;
    let (mut old_base64, _, _) = connect(address, "&b64=1").await;
    let mut old_polling = Polling3::handshake(address, PATH, "").await;
    let mut old_polling_base64 = Polling3::handshake(address, PATH, "&b64=1").await;
    assert_eq!(old_polling.packets().await, ["40"]);
    assert_eq!(old_polling_base64.packets().await, ["40"]);
    let mut new = Vec::new();
    for query in ["", "&b64=1"] {
        let target = format!("{PATH}?EIO=4&transport=websocket{query}");
        let mut websocket = WebSocket::connect(address, &target, &[]).await.unwrap();
        websocket.text().await;
        websocket.send_text("40").await;
        assert!(websocket.text().await.starts_with("40{\"sid\":"));
        new.push(websocket);
    }
    let root = server.handle("/");
    root.emit("news", ("\u{1f600}", Bytes::from_static(&[1, 2, 3, 4])))
        .unwrap();
    let text = "451-[\"news\",\"\u{1f600}\",{\"_placeholder\":true,\"num\":0}]";
    for (websocket, binary) in [
        (&mut old, Frame::Binary(vec![4, 1, 2, 3, 4])),
        (&mut old_base64, Frame::Text("b4AQIDBA==".to_owned())),
        (&mut new[0], Frame::Binary(vec![1, 2, 3, 4])),
    ] {
        assert_eq!(websocket.text().await, text);
        assert_eq!(websocket.next().await, binary);
    }
    assert_eq!(new[1].text().await, text);
    assert_eq!(new[1].text().await, "bAQIDBA==");
    assert_eq!(old_polling_base64.packets().await, [text, "b4AQIDBA=="]);
    let body = old_polling.get().await.body;
    let digits: Vec<u8> = text
        .len()
        .to_string()
        .bytes()
        .map(|digit| digit - b'0')
        .collect();
    let marked = [&[0], digits.as_slice(), &[255], text.as_bytes()].concat();
    assert_eq!(
        body,
        [marked, b"\x01\x05\xff\x04\x01\x02\x03\x04".to_vec()].concat()
    );
}

#[tokio::test]
async fn a_socket_leaves_and_comes_back_under_the_same_id() {
    let server = start().await;
    let (mut websocket, sid, _) = connect(server.local_addr(), "").await;
    for _ in 0..3 {
        websocket.send_text("40/chat,").await;
        assert_eq!(websocket.text().await, "40/chat,");
        websocket.send_text("42/chat,1[\"who\"]").await;
        assert_eq!(
            websocket.text().await,
            format!("43/chat,1[\"/chat#{sid}\",{{}}]")
        );
        websocket.send_text("41/chat,").await;
    }
    websocket.send_text("40/chat,").await;
    assert_eq!(websocket.text().await, "40/chat,");
    websocket.send_text("42/chat,[\"out\"]").await;
    assert_eq!(websocket.text().await, "41/chat,");
    websocket.send_text("42[\"echo\"]").await;
    assert_eq!(websocket.text().await, "42[\"echo\"]");
}
