//! From CONNECT to the last handler: 55, 58, 59.

use std::sync::Arc;
use std::time::Duration;

use ferriwire::{Config, EmitError, Limits, Namespace, Server, Socket};
use tokio::sync::Notify;

use crate::client::{Client, PATH, TRANSPORTS, asked};
use crate::support::polling::Polling;
use crate::support::until;
use crate::{log, serve, serve_with, start, stop};

#[tokio::test]
async fn what_on_connect_emits_stands_right_behind_connect() {
    let namespace = Namespace::new("/").on_connect(async |socket| {
        for number in 0..3 {
            drop(socket.emit("event", number));
        }
        tokio::task::yield_now().await;
        drop(socket.emit("event", 3));
    });
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        for number in 0..4 {
            client.expect(&format!(r#"2["event",{number}]"#)).await;
        }
    }
    let mut polling = Polling::handshake(server.local_addr(), PATH).await;
    assert_eq!(polling.post("40").await.text(), "ok");
    let body = polling.get().await;
    let packets = body.packets();
    assert!(packets[0].starts_with(r#"40{"sid":""#), "{packets:?}");
    let events = [r#"42["event",0]"#, r#"42["event",1]"#, r#"42["event",2]"#];
    assert_eq!(packets[1..4], events);
}

#[tokio::test]
async fn events_wait_until_on_connect_has_its_answer_from_their_own_client() {
    let (seen, mut entries) = log();
    let connected = seen.clone();
    let namespace = Namespace::new("/")
        .on_connect(async move |socket| {
            let answer = socket.emit_with_ack("ready?", ()).await;
            connected.write(if answer.is_ok() { "ready" } else { "not ready" });
        })
        .on("event", async move |_, number: u64| {
            seen.write(["first", "second"][usize::from(number == 2)]);
            number
        });
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        client
            .send_all(&[r#"21["event",1]"#, r#"22["event",2]"#])
            .await;
        let id = asked(&mut client, r#"["ready?"]"#).await;
        client.send(&format!("3{id}[]")).await;
        for entry in ["ready", "first", "second"] {
            assert_eq!(entries.next().await, entry);
        }
        client.expect("31[1]").await;
        client.expect("32[2]").await;
    }
}

/// Events that waited for on_connect were handed to a socket that had just been taken out.
#[tokio::test]
async fn events_that_waited_are_dropped_with_the_socket() {
    let go_on = Arc::new(Notify::new());
    let waits = Arc::clone(&go_on);
    let (seen, entries) = log();
    let namespace = Namespace::new("/")
        .on_connect(async move |socket| {
            waits.notified().await;
            socket.disconnect();
        })
        .on("event", async move |_, _: ()| seen.write("event"));
    let other = Namespace::new("/other").on("settle", async |_, _: ()| ());
    let server = start(Server::new().namespace(namespace).namespace(other)).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        client.send(r#"2["event"]"#).await;
        client.join("/other").await;
        go_on.notify_one();
        client.expect("1").await;
        client.send(r#"2["event"]"#).await;
        client.send(r#"2/other,1["settle"]"#).await;
        client.expect("3/other,1[]").await;
    }
    stop(server).await;
    assert_eq!(entries.rest().await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_socket_is_taken_out_inside_its_handler_and_may_come_back() {
    for transport in TRANSPORTS {
        let (seen, mut entries) = log();
        let left = seen.clone();
        let namespace = Namespace::new("/")
            .on("go", async move |socket, _: ()| {
                drop(socket.emit("last words", ()));
                socket.disconnect();
                let after = socket.emit("too late", ());
                assert!(matches!(after, Err(EmitError::Disconnected)));
                assert!(!socket.is_connected());
                socket.disconnect();
                seen.write("handler");
            })
            .on("event", async |_, _: ()| ())
            .on_disconnect(async move |_, reason| left.write(reason.as_str()));
        let server = serve(namespace).await;
        let (mut client, id) = Client::connect_with_id(&server, transport).await;
        // What comes behind in the same body is ignored.
        client.send_all(&[r#"21["go"]"#, r#"22["event"]"#]).await;
        client.expect(r#"2["last words"]"#).await;
        client.expect("1").await;
        assert_eq!(entries.next().await, "handler");
        assert_eq!(entries.next().await, "server namespace disconnect");
        assert_ne!(client.join("/").await, id);
        client.send(r#"23["event"]"#).await;
        client.expect("33[]").await;
    }
}

/// A client that came back as soon as it had read its DISCONNECT was closed for joining twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_another_task_takes_out_may_come_back_at_once() {
    let (seen, mut sockets) = log::<Socket>();
    let namespace = Namespace::new("/").on_connect(async move |socket| seen.write(socket));
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        for _ in 0..100 {
            let socket = sockets.next().await;
            let taking_out = tokio::spawn(async move { socket.disconnect() });
            client.expect("1").await;
            client.join("/").await;
            taking_out.await.expect("it does not panic");
        }
        drop(sockets.next().await);
    }
}

#[tokio::test]
async fn the_whole_connection_is_closed_after_a_disconnect_of_each_namespace() {
    let (seen, entries) = log();
    let watched = |name: &str| {
        let seen = seen.clone();
        Namespace::new(name)
            .on("go", async |socket, _: ()| socket.disconnect_connection())
            .on("event", async |socket, _: ()| {
                drop(socket.emit("event", ()))
            })
            .on_disconnect(async move |_, reason| seen.write(reason.as_str()))
    };
    let server = Server::new()
        .namespace(watched("/"))
        .namespace(watched("/a"));
    let server = start(server).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        client.join("/a").await;
        // Nothing behind it is heard: not the event, and no new namespace either.
        client
            .send_all(&[r#"2/a,["go"]"#, r#"2["event"]"#, "0"])
            .await;
        client.expect("1/a,").await;
        client.expect("1").await;
        client.expect_end().await;
    }
    until("the sessions end", || server.stats().sessions() == 0).await;
    stop(server).await;
    drop(seen);
    assert_eq!(entries.rest().await, ["server namespace disconnect"; 4]);
}

#[tokio::test]
async fn the_close_packet_does_not_share_an_answer_with_the_disconnect_packet() {
    let namespace =
        Namespace::new("/").on("go", async |socket, _: ()| socket.disconnect_connection());
    let server = serve(namespace).await;
    let client = Client::connect_over(&server, TRANSPORTS[1]).await;
    let mut polling = client.into_polling();
    assert_eq!(polling.post(r#"42["go"]"#).await.text(), "ok");
    assert_eq!(polling.get().await.text(), "41");
    assert_eq!(polling.get().await.text(), "6\x1e1");
    assert_eq!(polling.get().await.status, 400);
}

#[tokio::test]
async fn a_handler_outlives_its_socket_and_on_disconnect_does_not_wait_for_it() {
    let go_on = Arc::new(Notify::new());
    let waits = Arc::clone(&go_on);
    let (seen, mut entries) = log();
    let left = seen.clone();
    let namespace = Namespace::new("/")
        .on("event", async move |socket, _: ()| {
            seen.write("begins".to_owned());
            waits.notified().await;
            seen.write(format!("{:?}", socket.emit("event", ())));
        })
        .on_disconnect(async move |_, reason| left.write(reason.to_string()));
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"2["event"]"#).await;
    assert_eq!(entries.next().await, "begins");
    client.into_websocket().reset();
    assert_eq!(entries.next().await, "transport error");
    go_on.notify_one();
    assert_eq!(entries.next().await, "Err(Disconnected)");
}

#[tokio::test]
async fn a_handler_outlives_its_socket_only_for_so_long() {
    struct Dropped(crate::Log<&'static str>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.write("dropped");
        }
    }
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on("event", async move |_, _: ()| {
        let _guard = Dropped(seen.clone());
        seen.write("begins");
        std::future::pending::<()>().await;
    });
    let config = Config::new().limits(Limits::new().handler_grace(Duration::from_millis(10)));
    let server = serve_with(config, namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"2["event"]"#).await;
    assert_eq!(entries.next().await, "begins");
    drop(client);
    assert_eq!(entries.next().await, "dropped");
}
