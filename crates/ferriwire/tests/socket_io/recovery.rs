//! Clients whose connection was cut come back: section 1.3.3 of docs/protocol.md, case 72.

use std::time::Duration;

use ferriwire::{Bytes, Config, Namespace, Recovery, RunningServer, Server, Transport};
use serde_json::{Value, json};

use crate::client::{Client, Received, TRANSPORTS};
use crate::support::{fail, until};
use crate::{log, serve, serve_with, start, stop};

pub(crate) fn recovering() -> Config {
    Config::new().recovery(Recovery::new())
}

/// A client that may come back.
pub(crate) struct Guest {
    pub(crate) client: Client,
    pub(crate) id: String,
    pub(crate) pid: String,
    /// What came behind its CONNECT packet, until it was answered something else.
    pub(crate) replayed: Vec<String>,
}

/// One whose connection was cut.
pub(crate) struct Absent {
    pub(crate) id: String,
    pub(crate) pid: String,
}

impl Guest {
    /// Joins the main namespace.
    pub(crate) async fn arrive(server: &RunningServer, transport: Transport) -> Self {
        Self::arrive_with(server, transport, &json!({})).await
    }

    /// The same with a payload for `auth`.
    pub(crate) async fn arrive_with(
        server: &RunningServer,
        transport: Transport,
        auth: &Value,
    ) -> Self {
        Self::join(Client::open(server, transport).await, "/", auth).await
    }

    pub(crate) async fn join(mut client: Client, namespace: &str, auth: &Value) -> Self {
        let prefix = match namespace {
            "/" => "0".to_owned(),
            namespace => format!("0{namespace},"),
        };
        client.send(&format!("{prefix}{auth}")).await;
        let accepted = client.packet().await;
        let payload = accepted.strip_prefix(&prefix).expect(&accepted);
        let payload: Value = serde_json::from_str(payload).expect("JSON");
        let text = |name: &str| payload[name].as_str().expect(name).to_owned();
        let (id, pid) = (text("sid"), text("pid"));
        // What it has missed is queued by now.
        client.send("0/nowhere,").await;
        let mut replayed = Vec::new();
        loop {
            match client.next().await {
                Received::Text(packet) if packet.starts_with("4/nowhere,") => {
                    return Self {
                        client,
                        id,
                        pid,
                        replayed,
                    };
                }
                Received::Text(packet) => replayed.push(packet),
                Received::Binary(data) => replayed.push(format!("{data:?}")),
                Received::End => fail("the session ended"),
            }
        }
    }

    pub(crate) fn claim(&self, offset: Option<&str>) -> Value {
        claim(&self.pid, offset)
    }

    /// Its connection is cut, and the server has noticed. Nobody else may be there.
    pub(crate) async fn cut(self, server: &RunningServer) -> Absent {
        match self.client.transport() {
            Transport::Polling => {
                self.client.into_polling().post("1").await;
            }
            Transport::WebSocket | Transport::WebTransport => self.client.into_websocket().reset(),
        }
        until("the server notices", || {
            server.handle("/").socket_count() == 0
        })
        .await;
        Absent {
            id: self.id,
            pid: self.pid,
        }
    }

    /// The next event and its offset.
    pub(crate) async fn event(&mut self) -> (Value, String) {
        split(&self.client.packet().await)
    }
}

impl Absent {
    /// Comes back with what it has seen.
    pub(crate) async fn come_back(
        &self,
        server: &RunningServer,
        transport: Transport,
        offset: Option<&str>,
    ) -> Guest {
        Guest::arrive_with(server, transport, &self.claim(offset)).await
    }

    pub(crate) fn claim(&self, offset: Option<&str>) -> Value {
        claim(&self.pid, offset)
    }
}

fn claim(pid: &str, offset: Option<&str>) -> Value {
    match offset {
        Some(offset) => json!({ "pid": pid, "offset": offset }),
        None => json!({ "pid": pid }),
    }
}

/// An event without its offset, and its offset.
pub(crate) fn split(packet: &str) -> (Value, String) {
    let text = packet.strip_prefix('2').expect("an event");
    let mut arguments: Vec<Value> = serde_json::from_str(text).expect(packet);
    let offset = arguments.pop().expect("an offset");
    let offset = offset.as_str().expect("a text").to_owned();
    assert_eq!(offset.len(), 16, "{packet}");
    (Value::Array(arguments), offset)
}

fn events(packets: &[String]) -> Vec<Value> {
    packets.iter().map(|packet| split(packet).0).collect()
}

#[tokio::test]
async fn recovery_is_off_by_default() {
    let server = serve(Namespace::new("/")).await;
    let (mut client, _) = Client::connect_with_id(&server, Transport::WebSocket).await;
    server.handle("/").emit("event", 1).unwrap();
    client.expect("2[\"event\",1]").await;
    // A claim is nothing then.
    let mut other = Client::open(&server, Transport::WebSocket).await;
    other
        .send(r#"0{"pid":"AAAAAAAAAAAAAAAAAAAAAA","offset":"x"}"#)
        .await;
    assert!(other.packet().await.starts_with(r#"0{"sid":""#));
}

#[tokio::test]
async fn a_client_gets_its_id_its_rooms_and_what_it_has_missed() {
    for transport in TRANSPORTS {
        let namespace = Namespace::new("/")
            .on_connect(async |socket| {
                if !socket.recovered() {
                    socket.join("mine").unwrap();
                }
            })
            .on("settle", async |_, ()| ());
        let server = serve_with(recovering(), namespace).await;
        let all = server.handle("/");
        let mut guest = Guest::arrive(&server, transport).await;
        assert_eq!(guest.pid.len(), 22);
        assert_ne!(guest.pid, guest.id);
        guest.client.expect_nothing().await;
        all.emit("seen", 0).unwrap();
        let (seen, offset) = guest.event().await;
        assert_eq!(seen, json!(["seen", 0]));

        let id: ferriwire::SocketId = guest.id.parse().unwrap();
        let guest = guest.cut(&server).await;
        all.emit("all", ()).unwrap();
        all.to("mine").emit("room", "1").unwrap();
        all.to("others").emit("not for it", 1).unwrap();
        all.except("mine").emit("not for it", 2).unwrap();
        all.except(&id).emit("not for it", 3).unwrap();
        all.to("others").to(&id).emit("direct", 2).unwrap();
        all.all().volatile().emit("not for it", 4).unwrap();
        drop(all.all().emit_with_ack("not for it", 5).unwrap());

        let mut again = guest.come_back(&server, transport, Some(&offset)).await;
        assert_eq!((&again.id, &again.pid), (&guest.id, &guest.pid));
        let expected = [json!(["all"]), json!(["room", "1"]), json!(["direct", 2])];
        assert_eq!(events(&again.replayed), expected);
        // It is in its room, and everything goes on as before.
        all.to("mine").emit("after", ()).unwrap();
        assert_eq!(again.event().await.0, json!(["after"]));
        stop(server).await;
    }
}

#[tokio::test]
async fn a_client_recovers_before_its_first_event_and_again_and_again() {
    let server = serve_with(recovering(), Namespace::new("/")).await;
    let all = server.handle("/");
    let mut guest = Guest::arrive(&server, Transport::WebSocket).await;
    for round in 0..3 {
        let absent = guest.cut(&server).await;
        all.emit("missed", round).unwrap();
        let back = absent.come_back(&server, Transport::Polling, None).await;
        assert_eq!(back.id, absent.id);
        let missed: Vec<Value> = (0..=round).map(|n| json!(["missed", n])).collect();
        assert_eq!(
            events(&back.replayed),
            missed,
            "all since the first connect"
        );
        guest = back;
    }
    let mut offset = split(guest.replayed.last().unwrap()).1;
    for round in 3..6 {
        let absent = guest.cut(&server).await;
        all.emit("missed", round).unwrap();
        guest = absent
            .come_back(&server, Transport::WebSocket, Some(&offset))
            .await;
        assert_eq!(events(&guest.replayed), [json!(["missed", round])]);
        offset = split(&guest.replayed[0]).1;
    }
    stop(server).await;
}

#[tokio::test]
async fn offsets_ascend_and_volatile_events_carry_the_newest() {
    let server = serve_with(recovering(), Namespace::new("/")).await;
    let all = server.handle("/");
    let mut guest = Guest::arrive(&server, Transport::WebSocket).await;
    let mut last = String::new();
    for n in 0..10 {
        all.emit("event", n).unwrap();
        let (event, offset) = guest.event().await;
        assert_eq!(event, json!(["event", n]));
        assert_ne!(offset, last);
        last = offset;
        all.all().volatile().emit("volatile", "a text").unwrap();
        let (event, offset) = guest.event().await;
        assert_eq!(event, json!(["volatile", "a text"]));
        assert_eq!(offset, last, "nothing is lost by storing this one");
    }
    stop(server).await;
}

/// A later event in the place of an earlier one would carry an offset beyond those behind it.
#[tokio::test]
async fn events_keep_their_order_whatever_key_they_have() {
    let server = serve_with(recovering(), Namespace::new("/")).await;
    let all = server.handle("/");
    let mut guest = Guest::arrive(&server, Transport::Polling).await;
    for n in 0..4 {
        all.all().latest("position").emit("position", n).unwrap();
        all.emit("event", n).unwrap();
    }
    for n in 0..4 {
        assert_eq!(guest.event().await.0, json!(["position", n]));
        assert_eq!(guest.event().await.0, json!(["event", n]));
    }
    stop(server).await;
}

#[tokio::test]
async fn an_event_that_asks_for_an_answer_carries_no_offset_and_is_not_replayed() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on_connect(async move |socket| {
        if socket.recovered() {
            return;
        }
        let answer = socket.emit_with_ack(ferriwire::Event::<String, u64>::new("ask"), "x");
        let seen = seen.clone();
        tokio::spawn(async move { seen.write(format!("{:?}", answer.await.unwrap_err())) });
    });
    let server = serve_with(recovering(), namespace).await;
    let guest = Guest::arrive(&server, Transport::WebSocket).await;
    assert_eq!(guest.replayed, ["20[\"ask\",\"x\"]"]);
    let guest = guest.cut(&server).await;
    assert_eq!(entries.next().await, "Disconnected");
    let guest = guest.come_back(&server, Transport::WebSocket, None).await;
    assert_eq!(guest.replayed, Vec::<String>::new());
    stop(server).await;
}

#[tokio::test]
async fn what_the_socket_itself_was_sent_is_replayed_also_with_attachments() {
    for transport in TRANSPORTS {
        let namespace = Namespace::new("/").on_connect(async |socket| {
            if !socket.recovered() {
                for n in 0..3_u8 {
                    socket.emit("binary", (n, Bytes::from(vec![n; 3]))).unwrap();
                }
                socket.emit("last", ()).unwrap();
            }
        });
        let server = serve_with(recovering(), namespace).await;
        let guest = Guest::arrive(&server, transport).await.cut(&server).await;
        let back = guest.come_back(&server, transport, None).await;
        assert_eq!(back.replayed.len(), 7, "{:?}", back.replayed);
        for n in 0..3_usize {
            let text = &back.replayed[2 * n];
            let placeholder = format!("51-[\"binary\",{n},{{\"_placeholder\":true,\"num\":0}},\"");
            assert!(text.starts_with(&placeholder), "{text}");
            assert_eq!(back.replayed[2 * n + 1], format!("{:?}", vec![n; 3]));
        }
        assert_eq!(split(&back.replayed[6]).0, json!(["last"]));
        stop(server).await;
    }
}

#[tokio::test]
async fn a_client_that_upgrades_recovers_like_any_other() {
    let server = serve_with(recovering(), Namespace::new("/")).await;
    let all = server.handle("/");
    let guest = Guest::arrive(&server, Transport::Polling).await;
    let (id, claim) = (guest.id.clone(), guest.claim(None));
    let websocket = guest.client.into_polling().upgrade().await;
    all.emit("first", ()).unwrap();
    websocket.reset();
    until("the server notices", || all.socket_count() == 0).await;
    all.emit("second", ()).unwrap();

    let polling = Client::open(&server, Transport::Polling).await;
    let again = Guest::join(polling, "/", &claim).await;
    assert_eq!(again.id, id);
    assert_eq!(
        events(&again.replayed),
        [json!(["first"]), json!(["second"])]
    );
    let mut websocket = again.client.into_polling().upgrade().await;
    all.emit("third", ()).unwrap();
    let text = websocket.text().await;
    assert_eq!(split(text.strip_prefix('4').unwrap()).0, json!(["third"]));
    stop(server).await;
}

#[tokio::test]
async fn each_namespace_has_a_session_of_its_own() {
    let server = Server::new()
        .config(recovering())
        .namespace(Namespace::new("/"))
        .namespace(Namespace::new("/chat"));
    let server = start(server).await;
    let client = Client::open(&server, Transport::WebSocket).await;
    let main = Guest::join(client, "/", &json!({})).await;
    let (main_id, main_claim) = (main.id.clone(), main.claim(None));
    let chat = Guest::join(main.client, "/chat", &json!({})).await;
    let (chat_id, chat_claim) = (chat.id.clone(), chat.claim(None));
    assert_ne!(main_claim, chat_claim);
    chat.client.into_websocket().reset();
    until("the server notices", || {
        server.handle("/chat").socket_count() == 0
    })
    .await;
    server.handle("/chat").emit("event", ()).unwrap();

    let client = Client::open(&server, Transport::WebSocket).await;
    // The token of another namespace is none.
    let main = Guest::join(client, "/", &chat_claim).await;
    assert!(main.id != main_id && main.id != chat_id && main.replayed.is_empty());
    let chat = Guest::join(main.client, "/chat", &chat_claim).await;
    assert_eq!(chat.id, chat_id);
    assert_eq!(chat.replayed.len(), 1);
    stop(server).await;
}

#[tokio::test]
async fn nothing_is_missed_at_any_point_of_a_stream_of_events() {
    let server = serve_with(recovering(), Namespace::new("/")).await;
    let all = server.handle("/");
    let mut guest = Guest::arrive(&server, Transport::WebSocket).await;
    let mut seen = Vec::new();
    let mut offset = None;
    for n in 0..500 {
        all.emit("event", n).unwrap();
        if n % 7 == 0 {
            all.all().volatile().emit("volatile", n).unwrap();
        }
        // Now and then it reads what is there, and now and then it is cut in the middle.
        for _ in 0..n % 3 {
            let (event, at) = guest.event().await;
            offset = Some(at);
            if event[0] == "event" {
                seen.push(event[1].as_u64().unwrap());
            }
            if seen.last() == Some(&n) {
                break;
            }
        }
        if n % 50 == 49 {
            let absent = guest.cut(&server).await;
            guest = absent
                .come_back(&server, Transport::WebSocket, offset.as_deref())
                .await;
            for packet in &guest.replayed {
                let (event, at) = split(packet);
                offset = Some(at);
                assert_eq!(event[0], "event");
                seen.push(event[1].as_u64().unwrap());
            }
        }
    }
    assert_eq!(seen, (0..500).collect::<Vec<u64>>());
    stop(server).await;
}

#[tokio::test]
async fn a_client_that_is_away_for_longer_than_the_window_starts_anew_and_nothing_is_kept() {
    let config = Config::new().recovery(Recovery::new().window(Duration::from_millis(1)));
    let server = serve_with(config, Namespace::new("/")).await;
    let all = server.handle("/");
    let guest = Guest::arrive(&server, Transport::WebSocket).await;
    all.emit("event", "x".repeat(10_000)).unwrap();
    let guest = guest.cut(&server).await;
    until("all is forgotten", || server.stats().recovery_bytes == 0).await;
    let again = guest.come_back(&server, Transport::WebSocket, None).await;
    assert_ne!(again.id, guest.id);
    assert_ne!(again.pid, guest.pid);
    assert!(again.replayed.is_empty());
    stop(server).await;
}
