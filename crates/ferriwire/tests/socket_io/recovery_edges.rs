//! Clients that come back when several things happen at once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ferriwire::{
    Config, ConnectError, DisconnectReason, Gap, Handshake, Limits, Namespace, NamespaceHandle,
    Overflow, Recovery, RunningServer, Server, Transport,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::client::Client;
use crate::recovery::{Guest, recovering, split};
use crate::support::until;
use crate::{Log, log, serve_with, start, stop};

const TEXT: usize = 100_000;

/// A client in `/a` and `/b` is cut; each of them has this many events of 100,000 bytes for it.
async fn cut_in_two(server: &RunningServer, events: usize) -> [(String, Value); 2] {
    let client = Client::open(server, Transport::WebSocket).await;
    let a = Guest::join(client, "/a", &json!({})).await;
    let in_a = (a.id.clone(), a.claim(None));
    let b = Guest::join(a.client, "/b", &json!({})).await;
    let in_b = (b.id.clone(), b.claim(None));
    b.client.into_websocket().reset();
    for name in ["/a", "/b"] {
        let handle = server.handle(name);
        until("the server notices", || handle.socket_count() == 0).await;
        for n in 0..events {
            let event = (n, "x".repeat(TEXT));
            handle.emit("event", event).expect("it can be sent");
        }
    }
    [in_a, in_b]
}

/// The queue belongs to the connection: what a second namespace would replay has to fit in as well.
/// Otherwise the client would be closed as too slow each time that it comes back.
#[tokio::test]
async fn replays_of_two_namespaces_share_what_one_connection_may_hold() {
    for (events, both) in [(4, true), (7, false)] {
        let server = Server::new()
            .config(recovering().limits(Limits::new().max_buffered(1024 * 1024)))
            .namespace(Namespace::new("/a"))
            .namespace(Namespace::new("/b"));
        let server = start(server).await;
        let [(a, in_a), (b, in_b)] = cut_in_two(&server, events).await;
        let mut client = Client::open(&server, Transport::Polling).await;
        // Nobody fetches anything in between.
        client.send(&format!("0/a,{in_a}")).await;
        client.send(&format!("0/b,{in_b}")).await;
        client.send("0/nowhere,").await;
        let (mut replayed, mut ids) = (0, Vec::new());
        loop {
            let packet = client.packet().await;
            if packet.starts_with("4/nowhere,") {
                break;
            }
            match packet
                .strip_prefix("0/a,")
                .or_else(|| packet.strip_prefix("0/b,"))
            {
                Some(accepted) => {
                    let accepted: Value = serde_json::from_str(accepted).unwrap();
                    ids.push(accepted["sid"].as_str().unwrap().to_owned());
                }
                None => replayed += 1,
            }
        }
        assert_eq!((ids[0] == a, ids[1] == b), (true, both));
        assert_eq!(replayed, if both { 2 * events } else { events });
        stop(server).await;
    }
}

/// `recovered` is a promise: what comes later goes first when the client reads too slowly.
#[tokio::test]
async fn no_policy_drops_what_is_replayed() {
    let config = recovering()
        .limits(Limits::new().max_buffered(1024 * 1024))
        .overflow(Overflow::DropOldest);
    let server = serve_with(config, Namespace::new("/")).await;
    let all = server.handle("/");
    let guest = Guest::arrive(&server, Transport::WebSocket).await;
    let absent = guest.cut(&server).await;
    let text = "x".repeat(TEXT);
    for n in 0..10 {
        all.emit("missed", (n, &text)).unwrap();
    }
    let mut client = Client::open(&server, Transport::Polling).await;
    client.send(&format!("0{}", absent.claim(None))).await;
    until("it is back", || all.socket_count() == 1).await;
    for n in 0..5 {
        all.emit("later", (n, &text)).unwrap();
    }
    assert!(client.packet().await.starts_with("0{"));
    for n in 0..10 {
        let (event, _) = split(&client.packet().await);
        assert_eq!((&event[0], &event[1]), (&json!("missed"), &json!(n)));
    }
    stop(server).await;
}

/// Says that it goes, as a program may.
struct Loud(Arc<OnceLock<NamespaceHandle>>, Log<&'static str>);

impl Drop for Loud {
    fn drop(&mut self) {
        if let Some(all) = self.0.get() {
            let _ = all.emit("gone", ());
        }
        self.1.write("dropped");
    }
}

/// The program's `Drop` runs without our locks, in whatever way its session ends.
#[tokio::test]
async fn data_that_emits_when_it_is_dropped_can_be_forgotten() {
    let loud = |config: Config| async {
        let (handle, (seen, entries)) = (Arc::new(OnceLock::new()), log());
        let given = Arc::clone(&handle);
        let namespace = Namespace::new("/")
            .auth(async move |_: Handshake<Value>| Ok::<_, ConnectError>(Loud(given, seen)));
        let server = serve_with(config, namespace).await;
        let _ = handle.set(server.handle("/"));
        (server, entries)
    };
    // Its time is over.
    let brief = Config::new().recovery(Recovery::new().window(Duration::from_millis(1)));
    let (server, mut entries) = loud(brief).await;
    let guest = Guest::arrive(&server, Transport::WebSocket).await;
    guest.cut(&server).await;
    entries.next().await;
    stop(server).await;
    // It has missed too much.
    let narrow = Config::new().recovery(Recovery::new().max_session_packets(1));
    let (server, mut entries) = loud(narrow).await;
    let absent = Guest::arrive(&server, Transport::WebSocket)
        .await
        .cut(&server)
        .await;
    for _ in 0..2 {
        server.handle("/").emit("event", ()).unwrap();
    }
    let again = absent.come_back(&server, Transport::WebSocket, None).await;
    entries.next().await;
    // It leaves for good.
    let mut client = again.client;
    client.send("1").await;
    entries.next().await;
    stop(server).await;
}

/// While middleware decides, the client misses more than it may: the old socket gives way all the same.
#[tokio::test]
async fn a_gap_that_is_found_late_does_not_leave_two_sockets_with_one_id() {
    let gate = Arc::new(Semaphore::new(1));
    let opened = Arc::clone(&gate);
    let ((deciding, mut decisions), (seen, mut gaps)) = (log(), log());
    let (left, mut reasons) = log();
    let namespace = Namespace::new("/")
        .middleware(async move |_| {
            deciding.write(());
            gate.acquire().await.unwrap().forget();
            Ok(())
        })
        .on_gap(async move |_, gap| seen.write(gap))
        .on_disconnect(async move |_, reason| left.write(reason));
    let config = Config::new().recovery(Recovery::new().max_session_packets(1));
    let server = serve_with(config, namespace).await;
    let all = server.handle("/");
    let mut first = Guest::arrive(&server, Transport::WebSocket).await;
    decisions.next().await;
    // The server does not know that its connection is dead, and it comes back twice at once.
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut other = Client::open(&server, Transport::WebSocket).await;
        other.send(&format!("0{}", first.claim(None))).await;
        decisions.next().await;
        others.push(other);
    }
    for n in 0..2 {
        all.emit("event", n).unwrap();
        first.event().await;
    }
    opened.add_permits(2);
    first.client.expect("1").await;
    let told = [gaps.next().await, gaps.next().await];
    assert!(told.contains(&Gap::TooMuch) && told.contains(&Gap::UnknownSession));
    for _ in 0..2 {
        assert_eq!(reasons.next().await, DisconnectReason::ResumedElsewhere);
    }
    assert_eq!(all.socket_count(), 1);
    stop(server).await;
}

#[tokio::test]
async fn a_busy_namespace_leaves_memory_to_the_others() {
    let server = Server::new()
        .config(Config::new().recovery(Recovery::new().max_bytes(1024 * 1024)))
        .namespace(Namespace::new("/busy"))
        .namespace(Namespace::new("/quiet"));
    let server = start(server).await;
    let (busy, quiet) = (server.handle("/busy"), server.handle("/quiet"));
    let client = Client::open(&server, Transport::WebSocket).await;
    let client = Guest::join(client, "/busy", &json!({})).await.client;
    let guest = Guest::join(client, "/quiet", &json!({})).await;
    let (id, claim) = (guest.id.clone(), guest.claim(None));
    guest.client.into_websocket().reset();
    until("the server notices", || {
        busy.socket_count() + quiet.socket_count() == 0
    })
    .await;
    let text = "x".repeat(10_000);
    for n in 0..500 {
        busy.emit("event", &text).unwrap();
        if n % 100 == 0 {
            quiet.emit("event", n).unwrap();
        }
        assert!(server.stats().recovery_bytes <= 1024 * 1024);
    }
    let client = Client::open(&server, Transport::WebSocket).await;
    let again = Guest::join(client, "/quiet", &claim).await;
    assert_eq!((again.id, again.replayed.len()), (id, 5));
    stop(server).await;
}

#[tokio::test]
async fn kept_rooms_and_those_of_middleware_count_together() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/")
        .middleware(async move |socket| {
            for room in ["one", "two"] {
                seen.write(socket.join(room).is_ok());
            }
            Ok(())
        })
        .on_connect(async |socket| {
            if !socket.recovered() {
                socket.join("three").unwrap();
            }
        })
        .on("settle", async |_, ()| ());
    let config = recovering().limits(Limits::new().max_rooms_per_socket(3));
    let server = serve_with(config, namespace).await;
    let mut guest = Guest::arrive(&server, Transport::WebSocket).await;
    assert!(entries.next().await && entries.next().await);
    guest.client.expect_nothing().await;
    let absent = guest.cut(&server).await;
    let again = absent.come_back(&server, Transport::WebSocket, None).await;
    // Its rooms are those that it had.
    assert!(!entries.next().await && !entries.next().await);
    assert_eq!(again.id, absent.id);
    for room in ["one", "two", "three"] {
        let members = server.handle("/").to(room).fetch_sockets().await;
        assert_eq!(members.unwrap().len(), 1, "{room}");
    }
    stop(server).await;
}
