//! Development mode.

use ferriwire::{Config, Event, Namespace};

use crate::capture::Logs;
use crate::client::{Client, PATH};
use crate::serve;
use crate::support::revision3::Polling3;
use crate::support::until;
use crate::support::websocket::WebSocket;

const MESSAGE: Event<(String, u64)> = Event::new("message");

const ASK: Event<(), String> = Event::new("ask");

const SETTLE: Event<()> = Event::new("settle");

fn chat() -> Namespace<(), ferriwire::Declared> {
    Namespace::new("/")
        .on(MESSAGE, async |_, _| {})
        .on(SETTLE, async |_, ()| {})
        .on_with_ack(ASK, async |_, (), ack| drop(ack))
}

#[tokio::test]
async fn each_mistake_is_named_once_with_what_to_do() {
    let logs = Logs::capture();
    let server = serve(Config::new().development(true), chat()).await;
    let mut client = Client::connect(&server).await;
    for _ in 0..3 {
        client.send(r#"2["mesage","x",1]"#).await;
        client.send(r#"2["message","x","secret"]"#).await;
        client.send(r#"27["ask"]"#).await;
        client.send("0/chat,").await;
        client
            .expect(r#"4/chat,{"message":"Invalid namespace"}"#)
            .await;
        client.expect_nothing().await;

        let foreign = [("Origin", "https://elsewhere.example")];
        let target = format!("{PATH}?EIO=4&transport=websocket");
        let refused = WebSocket::connect(server.local_addr(), &target, &foreign).await;
        assert!(refused.is_err());
        let target = format!("{PATH}?EIO=3&transport=websocket");
        let refused = WebSocket::connect(server.local_addr(), &target, &[]).await;
        assert!(refused.is_err());
    }
    assert_eq!(
        logs.hints(),
        [
            "no handler for `mesage` on `/`; did you mean `message`?",
            "the payload of `message` on `/` does not fit its handler: expected u64 at `[1]`; \
             change the type of the `Event`, or what the client sends",
            "a handler of `ask` on `/` dropped its `Ack`, and the client waits for the answer; \
             call `Ack::send` on every way out",
            "there is no namespace `/chat`; add it with `Server::namespace`",
            "a page of the origin `https://elsewhere.example` was refused; allow it with \
             `Config::origins`",
            "a client of Engine.IO 3 (Socket.IO 1.x or 2.x) was refused; update it, or serve such \
             clients with `Config::allow_eio3`",
        ]
    );
    let lines = logs.lines();
    let mut hints = lines.iter().filter(|line| line.target == "ferriwire::hint");
    assert!(hints.all(|hint| hint.level == tracing::Level::WARN));
}

#[tokio::test]
async fn without_development_mode_nothing_is_hinted() {
    let logs = Logs::capture();
    let server = serve(Config::new(), chat()).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"2["mesage"]"#).await;
    client.expect_nothing().await;
    assert_eq!(logs.hints(), [""; 0]);
    assert_eq!(logs.count("no handler"), 1, "but it is logged");
}

#[tokio::test]
async fn whoever_listens_to_all_events_misses_none() {
    let logs = Logs::capture();
    let chat = chat().on_any(async |_, _, _| {});
    let server = serve(Config::new().development(true), chat).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"2["mesage"]"#).await;
    client.expect_nothing().await;
    assert_eq!(logs.hints(), [""; 0]);
}

#[tokio::test]
async fn a_namespace_that_was_misspelt_is_recognised() {
    let logs = Logs::capture();
    let chat = Namespace::new("/chat").on(SETTLE, async |_, ()| {});
    let server = serve(Config::new().development(true), chat).await;
    let mut client = Client::open(&server, ferriwire::Transport::WebSocket).await;
    client.send("0/Chat,").await;
    client
        .expect(r#"4/Chat,{"message":"Invalid namespace"}"#)
        .await;
    let expected = "there is no namespace `/Chat`; did you mean `/chat`?";
    assert_eq!(logs.hints(), [expected]);
}

#[tokio::test]
async fn clients_of_revision_3_that_are_served_are_no_mistake() {
    let logs = Logs::capture();
    let config = Config::new().development(true).allow_eio3(true);
    let server = serve(config, chat()).await;
    let mut client = Polling3::handshake(server.local_addr(), PATH, "").await;
    client.send(&[r#"42["mesage"]"#]).await;
    until("the event is seen", || logs.count("no handler") > 0).await;
    assert!(logs.count(&client.sid) == 0, "the socket's id is a secret");
    let expected = "no handler for `mesage` on `/`; did you mean `message`?";
    assert_eq!(logs.hints(), [expected]);
}
