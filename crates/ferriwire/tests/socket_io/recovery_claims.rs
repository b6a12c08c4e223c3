//! Who may come back, as whom, and who may not: A35 and A53.

use std::sync::Arc;

use ferriwire::{
    Config, ConnectError, DisconnectReason, Event, Gap, Handshake, Namespace, Recovery,
    RunningServer, Transport, ViolationKind,
};
use ferriwire_proto::websocket::frame::OpCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::client::{Client, Received};
use crate::recovery::{Guest, recovering, split};
use crate::support::until;
use crate::{Entries, Log, log, serve_with, stop};

#[derive(Debug, PartialEq)]
struct User {
    name: String,
    role: u64,
}

/// Nothing else may stand in the payload.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    name: String,
    #[serde(default)]
    role: u64,
}

/// A namespace of users, that tells how each of them begins.
fn users(seen: Log<String>) -> Namespace<User> {
    let (connected, gaps) = (seen.clone(), seen.clone());
    Namespace::new("/")
        .auth(async |handshake: Handshake<Credentials>| {
            let Credentials { name, role } = handshake.auth;
            if name == "mallory" {
                return Err(ConnectError::new("no"));
            }
            Ok(User { name, role })
        })
        .identity(|user| user.name.clone())
        .on_connect(async move |socket| {
            connected.write(format!(
                "connect {} {}",
                socket.data().name,
                socket.recovered()
            ));
        })
        .on_resume(async move |socket, previous: Option<Arc<User>>| {
            let previous = previous.expect("the namespace has one type of data");
            let (old, new) = (previous.role, socket.data().role);
            assert!(socket.recovered());
            seen.write(format!("resume {} {old} {new}", socket.data().name));
        })
        .on_gap(async move |socket, gap| {
            assert!(!socket.recovered());
            gaps.write(format!("gap {gap:?}"));
        })
        .on("settle", async |_, ()| ())
}

async fn serve_users() -> (RunningServer, Entries<String>) {
    let (seen, entries) = log();
    (serve_with(recovering(), users(seen)).await, entries)
}

fn user(name: &str, role: u64, claim: &Value) -> Value {
    let mut auth = json!({ "name": name, "role": role });
    for (member, value) in claim.as_object().expect("an object") {
        auth[member] = value.clone();
    }
    auth
}

#[tokio::test]
async fn the_same_identity_gets_its_session_with_fresh_data_and_auth_sees_no_claim() {
    let (server, mut entries) = serve_users().await;
    let auth = user("ann", 1, &json!({}));
    let guest = Guest::arrive_with(&server, Transport::WebSocket, &auth).await;
    assert_eq!(entries.next().await, "connect ann false");
    let absent = guest.cut(&server).await;
    let auth = user("ann", 2, &absent.claim(None));
    let again = Guest::arrive_with(&server, Transport::WebSocket, &auth).await;
    assert_eq!(again.id, absent.id);
    assert_eq!(entries.next().await, "resume ann 1 2");
    stop(server).await;
}

#[tokio::test]
async fn another_identity_gets_a_session_of_its_own_and_the_owner_keeps_his() {
    let (server, mut entries) = serve_users().await;
    let auth = user("ann", 1, &json!({}));
    let guest = Guest::arrive_with(&server, Transport::WebSocket, &auth).await;
    entries.next().await;
    let absent = guest.cut(&server).await;
    server.handle("/").emit("secret", ()).unwrap();

    let auth = user("bob", 1, &absent.claim(None));
    let thief = Guest::arrive_with(&server, Transport::WebSocket, &auth).await;
    assert_ne!(thief.id, absent.id);
    assert_ne!(thief.pid, absent.pid);
    assert!(thief.replayed.is_empty());
    assert_eq!(entries.next().await, "gap OtherIdentity");
    let stats = server.stats();
    assert_eq!(stats.violations(ViolationKind::ForeignSession), 1);
    assert_eq!(entries.next().await, "connect bob false");

    let auth = user("ann", 1, &absent.claim(None));
    let again = Guest::arrive_with(&server, Transport::WebSocket, &auth).await;
    assert_eq!((&again.id, again.replayed.len()), (&absent.id, 1));
    stop(server).await;
}

#[tokio::test]
async fn without_an_identity_the_payloads_have_to_be_equal() {
    let namespace = Namespace::new("/").auth(async |handshake: Handshake<Value>| {
        assert!(handshake.auth.get("pid").is_none());
        Ok::<_, ConnectError>(())
    });
    let server = serve_with(recovering(), namespace).await;
    let auth = json!({ "token": "t", "more": [1, { "a": null }] });
    let guest = Guest::arrive_with(&server, Transport::WebSocket, &auth).await;
    let absent = guest.cut(&server).await;
    let with = |mut auth: Value| {
        auth["pid"] = absent.pid.clone().into();
        auth
    };
    for other in [
        json!({}),
        json!({ "token": "u", "more": [1, { "a": null }] }),
    ] {
        let auth = with(other);
        let other = Guest::arrive_with(&server, Transport::WebSocket, &auth).await;
        assert_ne!(other.id, absent.id);
    }
    let again = Guest::arrive_with(&server, Transport::WebSocket, &with(auth)).await;
    assert_eq!(again.id, absent.id);
    stop(server).await;
}

/// A35: nothing is replayed to whom `auth` refuses, and nothing while it decides.
#[tokio::test]
async fn a35_nothing_is_replayed_before_auth_has_accepted_the_client() {
    let gate = Arc::new(Semaphore::new(1));
    let opened = Arc::clone(&gate);
    let (deciding, mut entries) = log();
    let namespace = Namespace::new("/")
        .auth(async move |handshake: Handshake<Value>| {
            deciding.write("deciding");
            gate.acquire().await.unwrap().forget();
            match handshake.auth.get("refuse") {
                None => Ok(()),
                Some(_) => Err(ConnectError::new("no")),
            }
        })
        .identity(|()| "everybody");
    let server = serve_with(recovering(), namespace).await;
    let all = server.handle("/");
    let guest = Guest::arrive(&server, Transport::WebSocket).await;
    entries.next().await;
    let absent = guest.cut(&server).await;
    all.emit("missed", 1).unwrap();

    let mut refused = Client::open(&server, Transport::WebSocket).await;
    let mut auth = absent.claim(None);
    auth["refuse"] = true.into();
    refused.send(&format!("0{auth}")).await;
    entries.next().await;
    all.emit("missed", 2).unwrap();
    opened.add_permits(1);
    refused.expect(r#"4{"message":"no"}"#).await;

    // A refusal has cost nothing: the client may still come back.
    let mut client = Client::open(&server, Transport::WebSocket).await;
    client.send(&format!("0{}", absent.claim(None))).await;
    entries.next().await;
    all.emit("missed", 3).unwrap();
    opened.add_permits(1);
    // A client that is cut within this has seen whatever it has read, and asks for the rest.
    assert!(client.packet().await.starts_with("0{"));
    for n in 1..=3 {
        assert_eq!(split(&client.packet().await).0, json!(["missed", n]));
    }
    stop(server).await;
}

/// A53: one holder at a time; who comes later has it.
#[tokio::test]
async fn a53_the_earlier_holder_of_a_token_is_closed() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/")
        .on_connect(async |socket| socket.join("room").unwrap())
        .on_disconnecting(async move |socket, reason| {
            seen.write((reason, socket.rooms().len()));
        })
        .on("settle", async |_, ()| ());
    let server = serve_with(recovering(), namespace).await;
    let all = server.handle("/");
    let mut first = Guest::arrive(&server, Transport::WebSocket).await;
    first.client.expect_nothing().await;
    all.emit("event", 1).unwrap();
    let (_, offset) = first.event().await;
    all.emit("event", 2).unwrap();

    let claim = first.claim(Some(&offset));
    let mut second = Guest::arrive_with(&server, Transport::WebSocket, &claim).await;
    assert_eq!((&second.id, &second.pid), (&first.id, &first.pid));
    assert_eq!(split(&second.replayed[0]).0, json!(["event", 2]));
    assert_eq!(first.event().await.0, json!(["event", 2]));
    first.client.expect("1").await;
    assert_eq!(
        entries.next().await,
        (DisconnectReason::ResumedElsewhere, 1)
    );
    assert_eq!(all.socket_count(), 1);
    // Nothing reaches the first any more.
    all.to("room").emit("event", 3).unwrap();
    assert_eq!(second.event().await.0, json!(["event", 3]));
    first.client.send("0").await;
    assert!(first.client.packet().await.starts_with("0{"));
    stop(server).await;
}

/// A53: whatever else is claimed, the client starts anew and is told.
#[tokio::test]
async fn a53_offsets_of_the_future_and_garbage_start_a_fresh_session() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on_gap(async move |_, gap| seen.write(gap));
    let server = serve_with(recovering(), namespace).await;
    let mut guest = Guest::arrive(&server, Transport::WebSocket).await;
    server.handle("/").emit("event", ()).unwrap();
    let (_, valid) = guest.event().await;
    let absent = guest.cut(&server).await;
    // The first eight characters are the log's own, the last eight count.
    let future = format!("{}AAAAB___", &valid[..8]);
    let long = "x".repeat(900_000);
    let garbage = ["", "$", "-", "+", "0", "1-0", &future, &long].map(Value::from);
    let others = [json!(1), json!({}), json!([valid])];
    for offset in garbage.into_iter().chain(others) {
        let claim = json!({ "pid": absent.pid, "offset": offset });
        let other = Guest::arrive_with(&server, Transport::WebSocket, &claim).await;
        assert_ne!(other.id, absent.id);
        assert!(other.replayed.is_empty());
        assert_eq!(entries.next().await, Gap::InvalidOffset);
    }
    for pid in ["", "x", "AAAAAAAAAAAAAAAAAAAAAA", &long] {
        let claim = json!({ "pid": pid, "offset": valid });
        let other = Guest::arrive_with(&server, Transport::WebSocket, &claim).await;
        assert!(other.id != absent.id && other.pid != pid);
        assert_eq!(entries.next().await, Gap::UnknownSession);
    }
    // And the owner has lost nothing by it.
    let claim = absent.claim(Some(&valid));
    let again = Guest::arrive_with(&server, Transport::WebSocket, &claim).await;
    assert_eq!(again.id, absent.id);
    stop(server).await;
}

/// A client that was cut before this process has sent it anything still has its offset of the last one.
#[tokio::test]
async fn an_offset_of_an_earlier_process_says_that_nothing_of_this_session_was_seen() {
    let server = serve_with(recovering(), Namespace::new("/")).await;
    let guest = Guest::arrive(&server, Transport::WebSocket).await;
    let absent = guest.cut(&server).await;
    server.handle("/").emit("event", 1).unwrap();
    for _ in 0..2 {
        let claim = absent.claim(Some("AAAAAAAAAAAAAAAA"));
        let again = Guest::arrive_with(&server, Transport::WebSocket, &claim).await;
        assert_eq!(again.id, absent.id);
        assert_eq!(split(&again.replayed[0]).0, json!(["event", 1]));
        again.cut(&server).await;
    }
    stop(server).await;
}

/// Section 2.8 of the reference's server API: who leaves by intent does not come back as who it was.
#[tokio::test]
async fn sessions_are_kept_for_the_reasons_of_the_reference() {
    async fn check(reason: &str, kept: bool, leave: impl AsyncFnOnce(&RunningServer, Client)) {
        let (seen, mut entries) = log();
        let namespace = Namespace::new("/")
            .on_disconnect(async move |_, reason| seen.write(reason.as_str()))
            .on("panic", async |_, ()| assert!(socket_is_broken()));
        let server = serve_with(Config::new().recovery(Recovery::new()), namespace).await;
        let guest = Guest::arrive(&server, Transport::WebSocket).await;
        let (id, claim) = (guest.id.clone(), guest.claim(None));
        leave(&server, guest.client).await;
        assert_eq!(entries.next().await, reason);
        until("the socket leaves", || {
            server.handle("/").socket_count() == 0
        })
        .await;
        let again = Guest::arrive_with(&server, Transport::WebSocket, &claim).await;
        assert_eq!(again.id == id, kept, "{reason}");
        stop(server).await;
    }
    fn socket_is_broken() -> bool {
        false
    }
    check(
        "server namespace disconnect",
        false,
        async |server, mut client| {
            server.handle("/").all().disconnect_sockets(false).unwrap();
            client.expect("1").await;
        },
    )
    .await;
    check(
        "client namespace disconnect",
        false,
        async |_, mut client| {
            client.send("1").await;
        },
    )
    .await;
    check("parse error", false, async |_, client| {
        client.into_websocket().send_text("x").await;
    })
    .await;
    check("server error", false, async |_, mut client| {
        client.send("2[\"panic\"]").await;
        assert_eq!(client.next().await, Received::Text("1".to_owned()));
    })
    .await;
    check("transport error", true, async |_, client| {
        client.into_websocket().reset()
    })
    .await;
    check("transport close", true, async |_, client| {
        let mut websocket = client.into_websocket();
        websocket
            .send_frame(OpCode::Close, &1000_u16.to_be_bytes())
            .await;
        websocket.rest().await;
    })
    .await;
    check("forced close", true, async |_, mut client| {
        client.send("0").await;
        assert_eq!(client.next().await, Received::End);
    })
    .await;
}

#[tokio::test]
async fn without_a_hook_of_its_own_a_return_is_a_connect_as_in_the_reference() {
    let (seen, mut entries) = log();
    let namespace =
        Namespace::new("/").on_connect(async move |socket| seen.write(socket.recovered()));
    let server = serve_with(recovering(), namespace).await;
    let guest = Guest::arrive(&server, Transport::WebSocket).await;
    assert!(!entries.next().await);
    let absent = guest.cut(&server).await;
    absent.come_back(&server, Transport::WebSocket, None).await;
    assert!(entries.next().await);
    stop(server).await;
}

#[tokio::test]
async fn events_wait_for_the_hook_of_the_return() {
    let (seen, mut entries) = log();
    let said = seen.clone();
    let namespace = Namespace::new("/")
        .on_resume(async move |socket, _| {
            let answer = socket
                .emit_with_ack(Event::<(), ()>::new("ready"), ())
                .await;
            seen.write(format!("resumed {}", answer.is_ok()));
        })
        .on("say", async move |_, text: String| said.write(text));
    let server = serve_with(recovering(), namespace).await;
    let absent = Guest::arrive(&server, Transport::WebSocket)
        .await
        .cut(&server)
        .await;
    let mut again = absent.come_back(&server, Transport::WebSocket, None).await;
    assert_eq!(again.replayed, ["20[\"ready\"]"]);
    again.client.send("2[\"say\",\"hi\"]").await;
    again.client.send("30[]").await;
    assert_eq!(entries.next().await, "resumed true");
    assert_eq!(entries.next().await, "hi");
    stop(server).await;
}
