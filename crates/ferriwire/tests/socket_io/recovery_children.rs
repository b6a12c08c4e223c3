//! Clients come back to children of dynamic namespaces that nobody else is in: section 1.3.3 of
//! docs/protocol.md.

use std::sync::Arc;
use std::time::Duration;

use ferriwire::{
    Config, ConnectError, Fresh, Gap, Limits, Namespace, NamespaceHandle, Recovery, RunningServer,
    Server, Transport,
};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::client::{Client, TRANSPORTS};
use crate::recovery::{Guest, recovering};
use crate::support::websocket::WebSocket;
use crate::support::{Endpoint, until};
use crate::{Entries, log, start, stop};

const WINDOW: Duration = Duration::from_secs(120);

/// How many bytes the session of an absent client takes at least.
const SESSION: usize = 512;

fn rooms() -> Namespace<(), Fresh> {
    Namespace::pattern("/room-{number}")
}

fn limited(children: usize) -> Config {
    recovering().limits(Limits::new().max_dynamic_namespaces(children))
}

/// A server with these namespaces, the handle to all children, and the gaps.
async fn serve(config: Config) -> (RunningServer, NamespaceHandle, Entries<Gap>) {
    let (seen, gaps) = log();
    let mut server = Server::new().config(config);
    let all = server.add(rooms().on_gap(async move |_, gap| seen.write(gap)));
    (start(server).await, all.untyped(), gaps)
}

fn names(all: &NamespaceHandle) -> Vec<String> {
    let children = all.children();
    let names = children.iter().filter_map(NamespaceHandle::name);
    names.map(str::to_owned).collect()
}

/// A client alone in a child.
async fn arrive(server: &RunningServer, name: &str, claim: &Value) -> Guest {
    let client = Client::open(server, Transport::WebSocket).await;
    Guest::join(client, name, claim).await
}

/// It joins and is cut; returns its id and what it can claim.
async fn leave(server: &RunningServer, name: &str) -> (String, Value) {
    let guest = arrive(server, name, &json!({})).await;
    let left = (guest.id.clone(), guest.claim(None));
    cut(server, name, guest.client).await;
    left
}

async fn cut(server: &RunningServer, name: &str, client: Client) {
    let child = server.handle(name);
    match client.transport() {
        Transport::Polling => {
            client.into_polling().post("1").await;
        }
        Transport::WebSocket | Transport::WebTransport => client.into_websocket().reset(),
    }
    until("the server notices", || child.socket_count() == 0).await;
}

#[tokio::test]
async fn a_client_comes_back_to_a_child_that_nobody_else_is_in() {
    let (server, all, _) = serve(recovering()).await;
    for transport in TRANSPORTS {
        let client = Client::open(&server, transport).await;
        let mut guest = Guest::join(client, "/room-1", &json!({})).await;
        for round in 0..3 {
            let (id, claim) = (guest.id.clone(), guest.claim(None));
            cut(&server, "/room-1", guest.client).await;
            assert_eq!(names(&all), ["/room-1"]);
            server.handle("/room-1").emit("to one", round).unwrap();
            all.emit("to all", round).unwrap();
            let client = Client::open(&server, transport).await;
            guest = Guest::join(client, "/room-1", &claim).await;
            assert_eq!(guest.id, id);
            // It claims to have seen nothing.
            assert_eq!(guest.replayed.len(), 2 * (round + 1));
            assert!(
                guest
                    .replayed
                    .iter()
                    .all(|packet| packet.contains("/room-1,[\"to "))
            );
        }
        // By its own will it goes for good, and the child with it.
        guest.client.send("1/room-1,").await;
        until("the child is removed", || all.children().is_empty()).await;
        assert_eq!(server.stats().recovery_bytes, 0);
    }
    stop(server).await;
}

#[tokio::test]
async fn absent_clients_make_room_for_new_children_the_oldest_first() {
    let (server, all, mut gaps) = serve(limited(3)).await;
    let mut absent = Vec::new();
    for number in 0..3 {
        absent.push(leave(&server, &format!("/room-{number}")).await);
    }
    assert_eq!(names(&all), ["/room-0", "/room-1", "/room-2"]);
    let fourth = arrive(&server, "/room-3", &json!({})).await;
    assert_eq!(names(&all), ["/room-1", "/room-2", "/room-3"]);
    // The next one is back in time, and its child is not the oldest any more.
    let second = arrive(&server, "/room-1", &absent[1].1).await;
    assert_eq!(second.id, absent[1].0);
    let fifth = arrive(&server, "/room-4", &json!({})).await;
    assert_eq!(names(&all), ["/room-1", "/room-3", "/room-4"]);
    // Somebody is in all of them.
    let mut client = Client::open(&server, Transport::WebSocket).await;
    client.send(&format!("0/room-2,{}", absent[2].1)).await;
    let full = r#"4/room-2,{"message":"limit of 3 dynamic namespaces reached"}"#;
    client.expect(full).await;
    cut(&server, "/room-4", fifth.client).await;
    // Whoever has lost its place starts anew, and the program knows why.
    let again = Guest::join(client, "/room-2", &absent[2].1).await;
    assert_ne!(again.id, absent[2].0);
    assert_eq!(gaps.next().await, Gap::UnknownSession);
    assert_eq!(names(&all), ["/room-1", "/room-2", "/room-3"]);
    drop((fourth, second));
    stop(server).await;
}

/// A refused CONNECT moved its child to the end of those that make room.
#[tokio::test]
async fn whoever_is_refused_does_not_change_which_child_makes_room() {
    let mut server = Server::new().config(limited(2));
    let all = server.add(
        rooms().middleware(async |socket| match socket.request().query("deny") {
            Some(_) => Err(ConnectError::new("no")),
            None => Ok(()),
        }),
    );
    let all = all.untyped();
    let server = start(server).await;
    let (_, first) = leave(&server, "/room-0").await;
    leave(&server, "/room-1").await;
    let mut denied = Client::open_websocket(&server, "&deny=1", &[]).await;
    denied.send(&format!("0/room-0,{first}")).await;
    denied.expect(r#"4/room-0,{"message":"no"}"#).await;
    leave(&server, "/room-2").await;
    assert_eq!(names(&all), ["/room-1", "/room-2"]);
    // Who is let in does.
    leave(&server, "/room-1").await;
    leave(&server, "/room-3").await;
    assert_eq!(names(&all), ["/room-1", "/room-3"]);
    stop(server).await;
}

#[tokio::test]
async fn a31_a_flood_of_children_whose_clients_leave_is_bounded() {
    const MOST: usize = 50;
    let (server, all, _) = serve(limited(MOST)).await;
    for flood in 0..20 {
        let mut client = Client::open(&server, Transport::WebSocket).await;
        for number in 0..30 {
            let name = format!("/room-{flood}-{number}");
            client.send(&format!("0{name},")).await;
            let answer = client.packet().await;
            assert!(answer.starts_with(&format!("0{name},{{")), "{answer}");
        }
        assert!(all.children().len() <= MOST);
        let names: Vec<_> = (0..30).map(|n| format!("/room-{flood}-{n}")).collect();
        client.into_websocket().reset();
        until("the server notices", || {
            let left = |name: &String| server.handle(name).socket_count() == 0;
            names.iter().all(left)
        })
        .await;
    }
    assert_eq!(all.children().len(), MOST);
    assert!(server.stats().recovery_bytes <= MOST * (SESSION + 200));
    stop(server).await;
}

#[tokio::test]
async fn children_go_with_sessions_that_the_budget_does_not_allow() {
    let bytes = 8 * SESSION;
    let config = Config::new().recovery(Recovery::new().max_bytes(bytes));
    let (server, all, _) = serve(config).await;
    for number in 0..100 {
        leave(&server, &format!("/room-{number}")).await;
    }
    until("what is too much is given up", || {
        server.stats().recovery_bytes <= bytes && all.children().len() <= bytes / SESSION
    })
    .await;
    stop(server).await;
}

#[tokio::test]
async fn middleware_that_refuses_a_return_leaves_the_absent_client_its_place() {
    let mut server = Server::new().config(recovering());
    let all = server.add(
        rooms().middleware(async |socket| match socket.request().query("deny") {
            Some(_) => Err(ConnectError::new("no")),
            None => Ok(()),
        }),
    );
    let server = start(server).await;
    let (id, claim) = leave(&server, "/room-1").await;
    for _ in 0..3 {
        let mut denied = Client::open_websocket(&server, "&deny=1", &[]).await;
        denied.send(&format!("0/room-1,{claim}")).await;
        denied.expect(r#"4/room-1,{"message":"no"}"#).await;
        assert_eq!(all.children().len(), 1);
    }
    assert_eq!(arrive(&server, "/room-1", &claim).await.id, id);
    stop(server).await;
}

/// A server on pipes, which keep virtual time.
fn on_pipes(server: Server) -> Endpoint {
    let service = server.into_service().expect("a service");
    Endpoint::Pipe(Arc::new(move || {
        let (client, stream) = tokio::io::duplex(10_000);
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service.clone())
            .with_upgrades();
        tokio::spawn(connection);
        client
    }))
}

async fn on_pipe(endpoint: &Endpoint, name: &str, claim: &Value) -> (WebSocket, Value) {
    let target = "/socket.io/?EIO=4&transport=websocket";
    let connected = WebSocket::connect(endpoint, target, &[]).await;
    let mut client = connected.expect("the handshake is allowed");
    assert!(client.text().await.starts_with("0{"));
    client.send_text(&format!("40{name},{claim}")).await;
    let answer = client.text().await;
    let payload = answer.strip_prefix(&format!("40{name},"));
    let payload = serde_json::from_str(payload.expect("CONNECT")).expect("JSON");
    (client, payload)
}

#[tokio::test(start_paused = true)]
async fn a_child_goes_with_the_window_of_its_last_absent_client() {
    let config = Config::new().recovery(Recovery::new().window(WINDOW));
    let mut server = Server::new().config(config);
    let all = server.add(rooms()).untyped();
    let endpoint = on_pipes(server);
    let (first, accepted) = on_pipe(&endpoint, "/room-1", &json!({})).await;
    let (second, _) = on_pipe(&endpoint, "/room-1", &json!({})).await;
    let gone = |count: usize| {
        let child = all.children();
        async move {
            until("the server notices", || {
                child.iter().all(|child| child.socket_count() == count)
            })
            .await;
        }
    };
    drop(first);
    gone(1).await;
    tokio::time::sleep(WINDOW / 2).await;
    drop(second);
    gone(0).await;
    // Long enough for the first one, with the time until somebody looks.
    tokio::time::sleep(WINDOW / 2 + WINDOW / 4).await;
    assert_eq!(names(&all), ["/room-1"]);
    let claim = json!({ "pid": accepted["pid"] });
    let (late, payload) = on_pipe(&endpoint, "/room-1", &claim).await;
    assert_ne!(payload["sid"], accepted["sid"]);
    drop(late);
    gone(0).await;
    tokio::time::sleep(WINDOW - Duration::from_secs(1)).await;
    assert_eq!(names(&all), ["/room-1"]);
    tokio::time::sleep(WINDOW / 4).await;
    assert_eq!(names(&all), Vec::<String>::new());
}
