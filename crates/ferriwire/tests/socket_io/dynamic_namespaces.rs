//! Namespaces that come and go with their clients: 65, 66.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ferriwire::{
    Config, ConnectError, EmitError, Event, Handshake, Limits, Namespace, RunningServer, Server,
};
use tokio::sync::Notify;

use crate::client::{Client, TRANSPORTS};
use crate::support::until;
use crate::{log, serve, serve_with, start};

fn numbered() -> Namespace {
    Namespace::regex(r"^/dynamic-\d+$").on("echo", async |socket, text: String| {
        drop(socket.emit("echo", (socket.namespace(), text)));
    })
}

async fn refused(client: &mut Client, namespace: &str, message: &str) {
    client.send(&format!("0{namespace},")).await;
    let refusal = format!(r#"4{namespace},{{"message":"{message}"}}"#);
    client.expect(&refusal).await;
}

/// Waits until there is nobody in a child, and no child.
async fn gone(server: &RunningServer, all: &ferriwire::NamespaceHandle<impl Sized>) {
    until("the children are removed", || all.children().is_empty()).await;
    assert_eq!(all.socket_count(), 0);
    assert!(server.is_ready());
}

#[tokio::test]
async fn handlers_of_a_dynamic_namespace_serve_all_its_children() {
    let server = serve(numbered()).await;
    for transport in TRANSPORTS {
        let mut client = Client::open(&server, transport).await;
        for name in ["/dynamic-1", "/dynamic-101"] {
            client.join(name).await;
        }
        for name in ["/dynamic-101", "/dynamic-1"] {
            client.send(&format!(r#"2{name},["echo","x"]"#)).await;
            client
                .expect(&format!(r#"2{name},["echo","{name}","x"]"#))
                .await;
        }
        refused(&mut client, "/dynamic-abc", "Invalid namespace").await;
        refused(&mut client, "/x/dynamic-1", "Invalid namespace").await;
    }
}

#[tokio::test]
async fn children_do_not_hear_each_other() {
    let server = serve(numbered()).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    client.join("/dynamic-1").await;
    client.join("/dynamic-2").await;
    let first = server.handle("/dynamic-1");
    first.emit("event", 1).expect("it exists");
    server
        .handle("/dynamic-2")
        .emit("event", 2)
        .expect("it exists");
    client.expect(r#"2/dynamic-1,["event",1]"#).await;
    client.expect(r#"2/dynamic-2,["event",2]"#).await;
    assert_eq!(first.socket_count(), 1);
    assert_eq!(first.name(), Some("/dynamic-1"));
}

#[tokio::test]
async fn the_parameters_of_a_pattern_reach_auth_middleware_and_socket() {
    let (seen, mut entries) = log();
    let (middleware, connected) = (seen.clone(), seen.clone());
    let namespace = Namespace::pattern("/shops/{shop}/orders/{id}")
        .auth(async move |handshake: Handshake| {
            seen.write((handshake.namespace.to_string(), handshake.params.clone()));
            let id = handshake
                .params
                .get("id")
                .and_then(|id| id.parse::<u64>().ok());
            id.ok_or_else(|| ConnectError::new("no such order"))
        })
        .middleware(async move |socket| {
            let handshake = socket.handshake();
            middleware.write((handshake.namespace.to_string(), handshake.params));
            Ok(())
        })
        .on_connect(async move |socket| {
            let handshake = socket.handshake();
            connected.write((handshake.namespace.to_string(), handshake.params));
            drop(socket.emit("order", socket.data()));
        });
    let server = serve(namespace).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    client.join("/shops/a b/orders/7").await;
    client.expect(r#"2/shops/a b/orders/7,["order",7]"#).await;
    for _ in 0..3 {
        let (name, params) = entries.next().await;
        assert_eq!(name, "/shops/a b/orders/7");
        let params: Vec<_> = params.iter().collect();
        assert_eq!(params, [("shop", "a b"), ("id", "7")]);
    }
    refused(&mut client, "/shops/a/orders/x", "no such order").await;
    refused(&mut client, "/shops/a/orders/7/8", "Invalid namespace").await;
}

#[tokio::test]
async fn a_function_decides_by_name_and_auth_for_every_client() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    #[derive(serde::Deserialize)]
    struct Credentials {
        token: String,
    }
    let namespace = Namespace::matching(async move |handshake: Handshake<Credentials>| {
        counted.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        handshake.namespace.starts_with("/tenant-")
            && handshake.auth.token == "secret"
            && handshake.query("EIO").is_some()
    });
    let server = serve(namespace.on_any(async |_, _, _| {})).await;
    for transport in TRANSPORTS {
        let mut client = Client::open(&server, transport).await;
        client.send(r#"0/tenant-1,{"token":"secret"}"#).await;
        assert!(client.packet().await.starts_with(r#"0/tenant-1,{"sid":"#));
        // The child exists now, which lets nobody else in.
        let mut other = Client::open(&server, transport).await;
        refused(&mut other, "/tenant-1", "Invalid namespace").await;
        other.send(r#"0/x,{"token":"secret"}"#).await;
        other.expect(r#"4/x,{"message":"Invalid namespace"}"#).await;
    }
    // Who has no token is not even asked about.
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn static_namespaces_come_first_and_dynamic_ones_in_their_order() {
    let tell = |who: &'static str, namespace: Namespace<(), ferriwire::Fresh>| {
        namespace.on_connect(async move |socket| drop(socket.emit("who", who)))
    };
    let server = Server::new()
        .namespace(tell("no", Namespace::matching(async |_: Handshake| false)))
        .namespace(tell("pattern", Namespace::pattern("/a-{x}")))
        .namespace(tell("regex", Namespace::regex("/[ab]-.*")))
        .namespace(tell(
            "function",
            Namespace::matching(async |handshake: Handshake| handshake.namespace.len() < 9),
        ))
        .namespace(tell("static", Namespace::new("/a-static")));
    let server = start(server).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    let expected = [
        ("/a-static", "static"),
        ("/a-1", "pattern"),
        ("/a-", "regex"),
        ("/b-1", "regex"),
        ("/c-1", "function"),
    ];
    for (name, who) in expected {
        client.join(name).await;
        client.expect(&format!(r#"2{name},["who","{who}"]"#)).await;
    }
    refused(&mut client, "/c-too-long", "Invalid namespace").await;
}

#[tokio::test]
async fn a_function_that_panics_or_takes_too_long_refuses() {
    let config = Config::new().limits(Limits::new().auth_timeout(Duration::from_millis(50)));
    let namespace = Namespace::matching(async |handshake: Handshake| {
        assert_ne!(&*handshake.namespace, "/panic");
        std::future::pending::<bool>().await
    });
    let server = serve_with(config, namespace).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    refused(&mut client, "/panic", "internal error").await;
    refused(&mut client, "/slow", "authentication timed out").await;
    assert_eq!(server.stats().handler_panics, 1);
}

#[tokio::test]
async fn an_empty_child_is_removed_and_can_come_back() {
    let mut server = Server::new().namespace(Namespace::new("/static"));
    let all = server.add(numbered());
    let server = start(server).await;
    for transport in TRANSPORTS {
        let (mut first, mut second) = (
            Client::open(&server, transport).await,
            Client::open(&server, transport).await,
        );
        first.join("/static").await;
        let child = server.handle("/dynamic-1");
        let old = first.join("/dynamic-1").await;
        second.join("/dynamic-1").await;
        first.send("1/dynamic-1,").await;
        until("the first has left", || child.socket_count() == 1).await;
        assert_eq!(all.children().len(), 1);
        second.send("1/dynamic-1,").await;
        gone(&server, &all).await;
        // The handle serves the next one of that name as well, and between them speaks to nobody.
        child.emit("event", 1).expect("it may come");
        assert_ne!(first.join("/dynamic-1").await, old);
        child.emit("event", 2).expect("it is there");
        first.expect(r#"2/dynamic-1,["event",2]"#).await;
        first.send("1/dynamic-1,").await;
        gone(&server, &all).await;
        // Static ones stay.
        first.send("1/static,").await;
        first.join("/static").await;
    }
}

#[tokio::test]
async fn a_child_is_removed_when_its_connections_break() {
    let mut server = Server::new();
    let all = server.add(numbered());
    let server = start(server).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    for number in 0..5 {
        client.join(&format!("/dynamic-{number}")).await;
    }
    let names = all.children();
    let names: Vec<_> = names.iter().filter_map(|child| child.name()).collect();
    assert_eq!(names.len(), 5);
    assert!(names.is_sorted());
    client.into_websocket().reset();
    gone(&server, &all).await;
}

#[tokio::test]
async fn a_client_that_auth_refuses_makes_no_child_and_one_that_middleware_refuses_leaves_none() {
    let (seen, mut entries) = log();
    let mut server = Server::new().on_new_namespace(move |namespace| {
        seen.write(namespace.name().map(str::to_owned));
    });
    let all = server.add(
        Namespace::pattern("/{kind}/{who}")
            .auth(
                async |handshake: Handshake| match handshake.params.get("who") {
                    Some("nobody") => Err(ConnectError::new("no auth")),
                    _ => Ok(()),
                },
            )
            .middleware(async |socket| match socket.handshake().params.get("who") {
                Some("somebody") => Err(ConnectError::new("no middleware")),
                _ => Ok(()),
            }),
    );
    let server = start(server).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    refused(&mut client, "/a/nobody", "no auth").await;
    assert!(all.children().is_empty());
    refused(&mut client, "/a/somebody", "no middleware").await;
    assert!(all.children().is_empty());
    assert_eq!(entries.next().await.as_deref(), Some("/a/somebody"));
    client.join("/a/me").await;
    assert_eq!(entries.next().await.as_deref(), Some("/a/me"));
}

#[tokio::test]
async fn without_cleanup_children_stay_and_count_against_the_limit() {
    let limits = Limits::new().max_dynamic_namespaces(3);
    let config = Config::new()
        .cleanup_empty_child_namespaces(false)
        .limits(limits);
    let mut server = Server::new().config(config);
    let all = server.add(numbered());
    let server = start(server).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    for number in 0..3 {
        let name = format!("/dynamic-{number}");
        client.join(&name).await;
        client.send(&format!("1{name},")).await;
    }
    let full = "limit of 3 dynamic namespaces reached";
    for number in 3..20 {
        refused(&mut client, &format!("/dynamic-{number}"), full).await;
    }
    assert_eq!(all.children().len(), 3);
    // One that is there takes no further place.
    client.join("/dynamic-2").await;
}

#[tokio::test]
async fn a_place_is_free_again_when_a_child_is_removed() {
    let config = Config::new().limits(Limits::new().max_dynamic_namespaces(2));
    let mut server = Server::new().config(config);
    let all = server.add(numbered());
    let server = start(server).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    let full = "limit of 2 dynamic namespaces reached";
    for round in 0..10 {
        let names = [0, 1, 2].map(|number| format!("/dynamic-{}", 3 * round + number));
        client.join(&names[0]).await;
        client.join(&names[1]).await;
        refused(&mut client, &names[2], full).await;
        client.send(&format!("1{},", names[0])).await;
        until("it is removed", || all.children().len() == 1).await;
        client.join(&names[2]).await;
        client.send(&format!("1{},", names[1])).await;
        client.send(&format!("1{},", names[2])).await;
        gone(&server, &all).await;
    }
}

#[tokio::test]
async fn clients_that_join_a_new_child_at_once_meet_in_one() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let go_on = Arc::new(Notify::new());
    let waits = Arc::clone(&go_on);
    let waiting = Arc::new(AtomicUsize::new(0));
    let arrived = Arc::clone(&waiting);
    let mut server = Server::new().on_new_namespace(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    // Everybody is held in front of the door, and then let go at once.
    let all = server.add(
        Namespace::pattern("/room/{id}").auth(async move |_: Handshake| {
            let passed = waits.notified();
            arrived.fetch_add(1, Ordering::Relaxed);
            passed.await;
            Ok::<(), ConnectError>(())
        }),
    );
    let server = start(server).await;
    let mut clients = Vec::new();
    for number in 0..30 {
        let mut client = Client::open(&server, TRANSPORTS[number % 2]).await;
        client.send("0/room/7,").await;
        clients.push(client);
    }
    until("all are waiting", || waiting.load(Ordering::Relaxed) == 30).await;
    go_on.notify_waiters();
    for client in &mut clients {
        assert!(client.packet().await.starts_with(r#"0/room/7,{"sid":"#));
    }
    assert_eq!(made.load(Ordering::Relaxed), 1);
    assert_eq!(all.children().len(), 1);
    assert_eq!(server.handle("/room/7").socket_count(), 30);
    all.emit("event", ()).expect("it exists");
    for client in &mut clients {
        client.expect(r#"2/room/7,["event"]"#).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_joins_while_the_last_one_leaves_is_never_lost() {
    let mut server = Server::new();
    let all = server.add(
        Namespace::pattern("/room/{id}")
            .on_connect(async |socket| socket.join("here").expect("it has just joined"))
            .on("say", async |socket, text: String| {
                drop(socket.handle().to("here").emit("said", &text));
            }),
    );
    let server = start(server).await;
    let come_and_go = async |number: usize| {
        let transport = TRANSPORTS[number % 2];
        let mut client = Client::open(&server, transport).await;
        for round in 0..60 {
            client.send("0/room/1,").await;
            // What others said may still have been on its way when it left.
            while !client.packet().await.starts_with("0/room/1,{") {}
            // Its own words come back through the room, so it is a member of the child that
            // everybody else means by this name.
            let word = format!(r#"/room/1,["said","{number}.{round}"]"#);
            client
                .send(&format!(r#"2/room/1,["say","{number}.{round}"]"#))
                .await;
            while client.packet().await != format!("2{word}") {}
            client.send("1/room/1,").await;
        }
    };
    tokio::join!(
        come_and_go(0),
        come_and_go(2),
        come_and_go(4),
        come_and_go(1)
    );
    gone(&server, &all).await;
}

#[tokio::test]
async fn a_dynamic_namespace_speaks_to_all_its_children() {
    const ASK: Event<(), String> = Event::new("ask");
    let mut server = Server::new();
    let all = server.add(numbered().on_connect(async |socket| {
        socket.join("room").expect("it has just joined");
    }));
    let server = start(server).await;
    all.emit("event", 0).expect("nobody hears it");
    let (mut one, mut two) = (
        Client::open(&server, TRANSPORTS[0]).await,
        Client::open(&server, TRANSPORTS[0]).await,
    );
    let id = one.join("/dynamic-1").await;
    two.join("/dynamic-2").await;
    until("both are in the room", || all.sockets_in("room").len() == 2).await;
    all.emit("event", 1).expect("they are there");
    one.expect(r#"2/dynamic-1,["event",1]"#).await;
    two.expect(r#"2/dynamic-2,["event",1]"#).await;
    all.to("room").emit("event", 2).expect("they are there");
    one.expect(r#"2/dynamic-1,["event",2]"#).await;
    two.expect(r#"2/dynamic-2,["event",2]"#).await;
    let id: ferriwire::SocketId = id.parse().expect("an id");
    all.except(&id)
        .volatile()
        .emit("event", 3)
        .expect("they are there");
    all.to(&id).emit("event", 4).expect("they are there");
    one.expect(r#"2/dynamic-1,["event",4]"#).await;
    two.expect(r#"2/dynamic-2,["event",3]"#).await;
    let mut answers = all.all().emit_with_ack(ASK, ()).expect("they are there");
    let asked = [
        asked_in(&mut one, "/dynamic-1").await,
        asked_in(&mut two, "/dynamic-2").await,
    ];
    two.send(&format!(r#"3/dynamic-2,{}["two"]"#, asked[1]))
        .await;
    one.send(&format!(r#"3/dynamic-1,{}["one"]"#, asked[0]))
        .await;
    let mut said = BTreeSet::new();
    while let Some(answer) = answers.next().await {
        said.insert(answer.result.expect("an answer"));
    }
    assert_eq!(said, BTreeSet::from(["one".to_owned(), "two".to_owned()]));
    assert_eq!(all.name(), None);
}

async fn asked_in(client: &mut Client, namespace: &str) -> String {
    let packet = client.packet().await;
    let id = packet
        .strip_prefix(&format!("2{namespace},"))
        .and_then(|packet| packet.strip_suffix(r#"["ask"]"#));
    id.unwrap_or_else(|| crate::support::fail(&packet))
        .to_owned()
}

#[tokio::test]
async fn answers_of_children_that_do_not_come_are_overdue() {
    const ASK: Event<(), String> = Event::new("ask");
    let mut server = Server::new();
    let all = server.add(numbered());
    let server = start(server).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    for number in 0..3 {
        client.join(&format!("/dynamic-{number}")).await;
    }
    let broadcast = all.all().timeout(Duration::from_millis(20));
    let answers = broadcast.emit_with_ack(ASK, ()).expect("they are there");
    let answers = answers.collect().await;
    assert_eq!((answers.values.len(), answers.missing.len()), (0, 3));
}

#[tokio::test]
async fn namespaces_are_added_while_the_server_runs() {
    let (seen, mut entries) = log();
    let server = Server::new()
        .on_new_namespace(move |namespace| seen.write(format!("{:?}", namespace.name())));
    let server = start(server.namespace(Namespace::new("/"))).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    refused(&mut client, "/late", "Invalid namespace").await;
    let early = server.handle("/late");
    assert!(
        matches!(early.emit("event", 0), Err(EmitError::NoSuchNamespace(name)) if name == "/late")
    );
    let late = server.add(Namespace::new("/late")).expect("it is new");
    assert_eq!(entries.next().await, r#"Some("/late")"#);
    assert!(server.add(Namespace::new("/late")).is_err());
    assert!(server.add(Namespace::pattern("/{")).is_err());
    assert!(
        server
            .add(Namespace::new("/x").on("connect", async |_, _: ()| ()))
            .is_err()
    );
    client.join("/late").await;
    early.emit("event", 1).expect("it exists");
    late.emit("event", 2).expect("it exists");
    client.expect(r#"2/late,["event",1]"#).await;
    client.expect(r#"2/late,["event",2]"#).await;
    let children = server
        .add(Namespace::pattern("/late-{x}"))
        .expect("it is well-formed");
    client.join("/late-1").await;
    assert_eq!(entries.next().await, r#"Some("/late-1")"#);
    // The name of a child is taken while it is there.
    assert!(server.add(Namespace::new("/late-1")).is_err());
    client.send("1/late-1,").await;
    gone(&server, &children).await;
    server
        .add(Namespace::new("/late-1"))
        .expect("it is free again");
}

#[tokio::test]
async fn hostile_names_are_names_and_nothing_else() {
    let mut server = Server::new().namespace(Namespace::new("/admin"));
    let all = server.add(Namespace::regex("(?s)/.*"));
    let server = start(server).await;
    let admin = server.handle("/admin");
    let longest = format!("/{}", "x".repeat(254));
    let names = [
        "/*",
        "/[a]",
        "/a#b#",
        "/../admin",
        "//",
        "/%2e%2e",
        "/admin/",
        "/Admin",
        "/\u{202e}nimda",
        "/$",
        "/__proto__",
        &longest,
    ];
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    for name in names {
        client.join(name).await;
        assert_eq!(admin.socket_count(), 0);
        assert_eq!(server.handle(name).socket_count(), 1, "{name}");
        client.send(&format!("1{name},")).await;
    }
    gone(&server, &all).await;
    let control = ["/\r\n", "/\0", "/a\u{7f}", "/a\u{85}b"];
    let longer = format!("/{}", "x".repeat(255));
    let far = format!("/{}", "x".repeat(500_000));
    for name in control.into_iter().chain([longer.as_str(), far.as_str()]) {
        refused(&mut client, name, "Invalid namespace").await;
        assert!(all.children().is_empty());
    }
}

#[tokio::test]
async fn a_flood_of_names_is_bounded_for_each_client_and_for_the_server() {
    let config = Config::new().limits(Limits::new().max_dynamic_namespaces(100));
    let mut server = Server::new().config(config);
    let all = server.add(Namespace::pattern("/dyn-{i}"));
    let server = start(server).await;
    let mut clients = Vec::new();
    for number in 0..5 {
        let mut client = Client::open(&server, TRANSPORTS[0]).await;
        let mut accepted = 0;
        for i in 0..200 {
            client.send(&format!("0/dyn-{number}-{i},")).await;
            let answer = client.packet().await;
            accepted += usize::from(answer.starts_with('0'));
        }
        assert_eq!(
            accepted,
            if number < 3 {
                32
            } else if number == 3 {
                4
            } else {
                0
            }
        );
        clients.push(client);
    }
    assert_eq!(all.children().len(), 100);
    for client in clients {
        client.into_websocket().reset();
    }
    gone(&server, &all).await;
}

#[tokio::test]
async fn what_is_asked_of_a_child_is_answered() {
    let server = serve(numbered().on("sum", async |_, (a, b): (u64, u64)| a + b)).await;
    let mut client = Client::open(&server, TRANSPORTS[1]).await;
    client.join("/dynamic-3").await;
    client.send(r#"2/dynamic-3,5["sum",2,3]"#).await;
    client.expect("3/dynamic-3,5[5]").await;
}
