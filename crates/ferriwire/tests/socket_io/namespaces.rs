//! Several namespaces on one connection, and speaking to one from outside.

use std::thread;

use ferriwire::{Config, EmitError, Limits, Namespace, Server};

use crate::client::{Client, TRANSPORTS};
use crate::support::until;
use crate::{serve, start};

fn echo(name: &str) -> Namespace {
    Namespace::new(name).on("echo", async |socket, text: String| {
        drop(socket.emit("echo", (socket.namespace(), text)));
    })
}

#[tokio::test]
async fn namespaces_of_one_connection_do_not_hear_each_other() {
    // A missing slash is added.
    let server = Server::new()
        .namespace(echo("/"))
        .namespace(echo("a"))
        .namespace(echo("/a/b?c=d"));
    let server = start(server).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        client.join("/a").await;
        client.join("/a/b?c=d").await;
        for (prefix, name) in [("", "/"), ("/a,", "/a"), ("/a/b?c=d,", "/a/b?c=d")] {
            client.send(&format!(r#"2{prefix}["echo","x"]"#)).await;
            client
                .expect(&format!(r#"2{prefix}["echo","{name}","x"]"#))
                .await;
            let handle = server.handle(name);
            handle.emit("all", ()).expect("it exists");
            client.expect(&format!(r#"2{prefix}["all"]"#)).await;
        }
    }
}

#[tokio::test]
async fn several_namespaces_are_joined_in_one_body() {
    let server = start(Server::new().namespace(echo("/")).namespace(echo("/a"))).await;
    for transport in TRANSPORTS {
        let mut client = Client::open(&server, transport).await;
        client.send_all(&["0", "0/a,", r#"2/a,["echo","x"]"#]).await;
        assert!(client.packet().await.starts_with("0{"));
        assert!(client.packet().await.starts_with("0/a,{"));
        client.expect(r#"2/a,["echo","/a","x"]"#).await;
    }
}

#[tokio::test]
async fn a_client_may_join_so_many_namespaces_and_no_more() {
    let server = Server::new()
        .config(Config::new().limits(Limits::new().max_namespaces(2)))
        .namespace(echo("/"))
        .namespace(echo("/a"))
        .namespace(echo("/b"));
    let server = start(server).await;
    let mut client = Client::connect(&server).await;
    // One that does not exist takes no place.
    client.send("0/nowhere,").await;
    client
        .expect(r#"4/nowhere,{"message":"Invalid namespace"}"#)
        .await;
    client.join("/a").await;
    client.send("0/b,").await;
    client
        .expect(r#"4/b,{"message":"limit of 2 namespaces reached"}"#)
        .await;
    client.send("1/a,").await;
    client.join("/b").await;
}

#[tokio::test]
async fn the_name_of_a_namespace_may_be_so_long_and_no_longer() {
    let names = [255, 256].map(|len| format!("/{}", "x".repeat(len - 1)));
    let server = Server::new()
        .namespace(echo(&names[0]))
        .namespace(echo(&names[1]));
    let server = start(server).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    client.join(&names[0]).await;
    client.send(&format!("0{},", names[1])).await;
    client
        .expect(&format!(
            r#"4{},{{"message":"Invalid namespace"}}"#,
            names[1]
        ))
        .await;
}

#[tokio::test]
async fn two_namespaces_of_one_name_are_an_error() {
    let server = Server::new()
        .namespace(echo("/a"))
        .namespace(echo("a"))
        .namespace(echo("/b"));
    let error = server.bind("127.0.0.1:0").await.err();
    let error = error.map(|error| error.to_string());
    assert_eq!(
        error.as_deref(),
        Some(r#"namespace "/a" is declared twice"#)
    );
}

#[tokio::test]
async fn a_missing_namespace_is_an_error_to_whoever_speaks_to_it() {
    let server = serve(echo("/")).await;
    let handle = server.handle("/missing");
    let missing = |result: Result<(), EmitError>| matches!(result, Err(EmitError::NoSuchNamespace(name)) if name == "/missing");
    assert!(missing(handle.emit("event", ())));
    assert!(missing(handle.to("room").volatile().emit("event", ())));
    assert!(missing(handle.all().disconnect_sockets(false)));
    assert_eq!(handle.socket_count(), 0);
    assert!(server.handle("/").emit("nobody hears this", ()).is_ok());
}

#[tokio::test]
async fn two_clients_that_join_at_the_same_instant_both_live() {
    let server = serve(echo("/")).await;
    for _ in 0..20 {
        let mut one = Client::open(&server, TRANSPORTS[0]).await;
        let mut other = Client::open(&server, TRANSPORTS[1]).await;
        let (first, second) = tokio::join!(one.join("/"), other.join("/"));
        assert_ne!(first, second);
        for client in [&mut one, &mut other] {
            client.send(r#"2["echo","x"]"#).await;
            client.expect(r#"2["echo","/","x"]"#).await;
            client.send("1").await;
        }
    }
    until("all have left", || server.handle("/").socket_count() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anybody_may_speak_to_a_namespace() {
    let server = Server::new().namespace(echo("/"));
    let early = server.handle("/");
    let server = start(server).await;
    let mut clients = Vec::new();
    for transport in TRANSPORTS {
        clients.push(Client::connect_over(&server, transport).await);
    }
    let handle = server.handle("/");
    let from_thread = thread::spawn(move || {
        for number in 0..100 {
            early.emit("thread", number).expect("it exists");
        }
    });
    let from_task = tokio::spawn(async move {
        for number in 0..100 {
            handle.emit("task", number).expect("it exists");
            tokio::task::yield_now().await;
        }
    });
    for client in &mut clients {
        let mut next = [0, 0];
        while next != [100, 100] {
            let packet = client.packet().await;
            let from = usize::from(packet.starts_with(r#"2["task""#));
            let name = ["thread", "task"][from];
            assert_eq!(packet, format!(r#"2["{name}",{}]"#, next[from]));
            next[from] += 1;
        }
    }
    from_thread.join().expect("it does not panic");
    from_task.await.expect("it does not panic");
}
