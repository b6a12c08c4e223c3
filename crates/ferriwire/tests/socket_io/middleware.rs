//! What runs between `auth` and CONNECT: 56, 57.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ferriwire::{
    AckError, Config, ConnectError, EmitError, Event, Handshake, JoinError, Limits, Namespace,
    Socket, Transport,
};
use tokio::sync::Notify;

use crate::client::{Client, TRANSPORTS, asked};
use crate::support::until;
use crate::{log, serve, serve_with};

fn accept() -> Result<(), ConnectError> {
    Ok(())
}

#[tokio::test]
async fn middleware_runs_in_order_behind_auth_and_the_first_refusal_counts() {
    let (seen, mut entries) = log();
    let [auth, first, second, third, connect] = [(); 5].map(|()| seen.clone());
    let namespace = Namespace::new("/")
        .auth(async move |handshake: Handshake<BTreeMap<String, bool>>| {
            auth.write("auth");
            Ok::<_, ConnectError>(handshake.auth.contains_key("known"))
        })
        .middleware(async move |_| {
            tokio::time::sleep(Duration::from_millis(1)).await;
            first.write("first");
            accept()
        })
        .middleware(async move |socket: Socket<bool>| {
            second.write("second");
            let refusal = ConnectError::new("not you").data(401);
            if *socket.data() { Ok(()) } else { Err(refusal) }
        })
        .middleware(async move |_| {
            third.write("third");
            accept()
        })
        .on_connect(async move |_| connect.write("connect"));
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::open(&server, transport).await;
        client.send("0").await;
        client.expect(r#"4{"message":"not you","data":401}"#).await;
        client.send(r#"0{"known":true}"#).await;
        assert!(client.packet().await.starts_with(r#"0{"sid":"#));
        let expected = ["auth", "first", "second"]
            .into_iter()
            .chain(["auth", "first", "second", "third", "connect"]);
        for entry in expected {
            assert_eq!(entries.next().await, entry);
        }
    }
}

#[tokio::test]
async fn what_middleware_emits_stands_right_behind_connect() {
    let namespace = Namespace::new("/")
        .middleware(async |socket| {
            socket.emit("event", 0)?;
            tokio::task::yield_now().await;
            socket.emit("event", 1)?;
            // The client can take nothing now, which is when these are dropped.
            socket.volatile().emit("event", "volatile")?;
            accept()
        })
        .middleware(async |socket| Ok(socket.emit("event", 2)?))
        .on_connect(async |socket| drop(socket.emit("event", 3)));
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        for number in 0..4 {
            client.expect(&format!(r#"2["event",{number}]"#)).await;
        }
    }
}

#[tokio::test]
async fn a_socket_is_not_connected_and_cannot_be_reached_before_it_is_accepted() {
    let (seen, mut entries) = log();
    let go_on = Arc::new(Notify::new());
    let waits = Arc::clone(&go_on);
    let namespace = Namespace::new("/")
        .middleware(async move |socket| {
            socket.join("room")?;
            socket.join("left")?;
            socket.leave("left");
            // Neither is possible yet.
            socket.disconnect();
            socket.disconnect_connection();
            let rooms: Vec<_> = socket.rooms().iter().map(|room| room.to_string()).collect();
            seen.write((socket.is_connected(), rooms, socket.id().clone()));
            waits.notified().await;
            accept()
        })
        .on("rooms", async |socket, _: ()| {
            (socket.is_connected(), socket.rooms().join(","))
        });
    let server = serve(namespace).await;
    let handle = server.handle("/");
    for transport in TRANSPORTS {
        let mut client = Client::open(&server, transport).await;
        client.send("0").await;
        let (connected, rooms, id) = entries.next().await;
        assert_eq!((connected, rooms), (false, vec!["room".to_owned()]));
        assert_eq!(handle.socket_count(), 0);
        for broadcast in [handle.all(), handle.to("room"), handle.to(&id)] {
            broadcast.emit("early", ()).expect("nobody hears it");
        }
        go_on.notify_one();
        assert!(client.packet().await.starts_with(r#"0{"sid":"#));
        handle.to("left").emit("left", ()).expect("nobody hears it");
        handle.to("room").emit("late", ()).expect("it is there");
        client.expect(r#"2["late"]"#).await;
        client.send(r#"21["rooms"]"#).await;
        client.expect(r#"31[true,"room"]"#).await;
        client.send("1").await;
        until("it has left", || handle.socket_count() == 0).await;
    }
}

#[tokio::test]
async fn after_a_refusal_nothing_of_the_socket_remains() {
    let (seen, mut entries) = log();
    let refused = seen.clone();
    let namespace = Namespace::new("/")
        .middleware(async move |socket| {
            socket.join("room")?;
            socket.emit("event", ())?;
            refused.write(socket);
            Err(ConnectError::new("no"))
        })
        .on_connect(async move |socket| seen.write(socket));
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::open(&server, transport).await;
        client.send("0").await;
        client.expect(r#"4{"message":"no"}"#).await;
        let socket = entries.next().await;
        assert!(!socket.is_connected());
        assert!(socket.rooms().is_empty());
        assert!(matches!(
            socket.emit("event", ()),
            Err(EmitError::Disconnected)
        ));
        assert!(matches!(socket.join("x"), Err(JoinError::Disconnected)));
        let answer = socket.emit_with_ack("event", ()).await;
        assert!(matches!(answer, Err(AckError::Disconnected)));
        let handle = server.handle("/");
        handle
            .to("room")
            .emit("event", ())
            .expect("nobody hears it");
        assert_eq!(handle.socket_count(), 0);
        // And it may try again.
        client.send("0").await;
        client.expect(r#"4{"message":"no"}"#).await;
        drop(entries.next().await);
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_middleware_runs_is_cleaned_in_silence() {
    let (seen, mut entries) = log();
    let [begun, hook, left] = [(); 3].map(|()| seen.clone());
    let go_on = Arc::new(Notify::new());
    let waits = Arc::clone(&go_on);
    let namespace = Namespace::new("/")
        .middleware(async move |socket| {
            socket.join("room")?;
            begun.write(Some(socket.clone()));
            waits.notified().await;
            begun.write(None);
            accept()
        })
        .on_connect(async move |socket| hook.write(Some(socket)))
        .on_disconnect(async move |socket, _| left.write(Some(socket)));
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::open(&server, transport).await;
        client.send("0").await;
        let socket = entries.next().await.expect("a socket");
        match transport {
            Transport::Polling => {
                assert_eq!(client.into_polling().post("1").await.text(), "ok");
            }
            Transport::WebSocket | Transport::WebTransport => client.into_websocket().reset(),
        }
        until("the session ends", || server.stats().sessions() == 0).await;
        go_on.notify_one();
        assert!(entries.next().await.is_none());
        until("the socket is gone", || socket.rooms().is_empty()).await;
        assert!(matches!(
            socket.emit("event", ()),
            Err(EmitError::Disconnected)
        ));
        assert_eq!(server.handle("/").socket_count(), 0);
    }
}

#[tokio::test]
async fn auth_and_middleware_share_one_time() {
    let limits = Limits::new().auth_timeout(Duration::from_millis(50));
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").middleware(async move |socket| {
        socket.emit("event", ())?;
        seen.write(socket);
        std::future::pending().await
    });
    let server = serve_with(Config::new().limits(limits), namespace).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    client.send("0").await;
    client
        .expect(r#"4{"message":"authentication timed out"}"#)
        .await;
    let socket = entries.next().await;
    assert!(matches!(
        socket.emit("event", ()),
        Err(EmitError::Disconnected)
    ));
}

#[tokio::test]
async fn middleware_that_panics_refuses() {
    let calls = Arc::new(AtomicUsize::new(0));
    let namespace = Namespace::new("/").middleware(async move |socket| {
        socket.join("room")?;
        assert!(calls.fetch_add(1, Ordering::Relaxed) > 0);
        accept()
    });
    let server = serve(namespace).await;
    let mut client = Client::open(&server, TRANSPORTS[0]).await;
    client.send("0").await;
    client.expect(r#"4{"message":"internal error"}"#).await;
    assert_eq!(server.stats().handler_panics, 1);
    assert_eq!(server.handle("/").socket_count(), 0);
    client.join("/").await;
}

#[tokio::test]
async fn what_middleware_does_is_bounded() {
    let (seen, mut entries) = log();
    let limits = Limits::new()
        .max_rooms_per_socket(2)
        .max_pending_acks(1)
        .max_buffered(1_000);
    let namespace = Namespace::new("/").middleware(async move |socket| {
        let rooms = ["a", "b", "a", "c"].map(|room| socket.join(room));
        let long = socket.join("x".repeat(257));
        // The first may be of any size.
        let sizes = [5_000, 10, 10];
        let emitted = sizes.map(|size| socket.emit("event", "x".repeat(size)));
        seen.write((rooms, long, emitted));
        accept()
    });
    let server = serve_with(Config::new().limits(limits), namespace).await;
    let mut client = Client::connect(&server).await;
    let (rooms, long, emitted) = entries.next().await;
    let [first, second, again, third] = rooms;
    assert_eq!((first, second, again), (Ok(()), Ok(()), Ok(())));
    assert_eq!(third, Err(JoinError::TooManyRooms(2)));
    assert_eq!(long, Err(JoinError::NameTooLong(257, 256)));
    let [first, second, third] = emitted;
    assert!(first.is_ok());
    assert!(matches!(second, Err(EmitError::Full)));
    assert!(matches!(third, Err(EmitError::Full)));
    assert!(client.packet().await.len() > 5_000);
}

#[tokio::test]
async fn what_is_asked_in_middleware_is_answered_behind_connect() {
    const NAME: Event<(), String> = Event::new("name?");
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").middleware(async move |socket| {
        let answer = socket.emit_with_ack(NAME, ());
        let seen = seen.clone();
        tokio::spawn(async move {
            seen.write(answer.await.ok());
        });
        accept()
    });
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    let id = asked(&mut client, r#"["name?"]"#).await;
    client.send(&format!(r#"3{id}["me"]"#)).await;
    assert_eq!(entries.next().await.as_deref(), Some("me"));
}

#[tokio::test]
async fn middleware_speaks_to_others() {
    let namespace = Namespace::new("/").middleware(async |socket| {
        drop(socket.broadcast().emit("somebody comes", ()));
        accept()
    });
    let server = serve(namespace).await;
    let mut first = Client::connect(&server).await;
    let _second = Client::connect(&server).await;
    first.expect(r#"2["somebody comes"]"#).await;
}

/// Says how often it was written, and when it is dropped.
#[derive(Clone)]
struct Traced(Arc<AtomicUsize>);

impl serde::Serialize for Traced {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_u64(1)
    }
}

/// The first middleware adds listeners that hold their socket, and the second one refuses.
#[tokio::test]
async fn listeners_of_a_socket_that_is_refused_are_dropped_and_slow_nobody_down() {
    let held = Arc::new(());
    let captured = Arc::clone(&held);
    let namespace = Namespace::new("/")
        .middleware(async move |socket: Socket| {
            let own = (socket.clone(), Arc::clone(&captured));
            socket.on_any_outgoing(move |_, _, _| drop(own.clone()));
            let own = (socket.clone(), Arc::clone(&captured));
            socket.on("event", async move |_, _: ()| drop(own));
            accept()
        })
        .middleware(async |socket: Socket| {
            let refused = socket.handshake().query("refused").is_some();
            if refused {
                Err(ConnectError::new("no"))
            } else {
                accept()
            }
        });
    let server = serve(namespace).await;
    let idle = Arc::strong_count(&held);
    for _ in 0..3 {
        let mut client = Client::open_websocket(&server, "&refused=1", &[]).await;
        client.send("0").await;
        client.expect(r#"4{"message":"no"}"#).await;
    }
    until("they are dropped", || Arc::strong_count(&held) == idle).await;
    let written = Traced(Arc::default());
    let handle = server.handle("/");
    let emit = || handle.emit("event", written.clone()).expect("it exists");
    emit();
    assert_eq!(written.0.load(Ordering::Relaxed), 1, "nobody looks on");
    // One that is accepted does, which shows that the count can tell.
    let mut client = Client::connect(&server).await;
    emit();
    client.expect(r#"2["event",1]"#).await;
    assert_eq!(written.0.load(Ordering::Relaxed), 3, "sent and shown");
}

#[tokio::test]
async fn what_middleware_emits_is_shown_to_those_who_see_what_is_sent() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/")
        .auth(async |_: Handshake<()>| Ok::<_, ConnectError>("data"))
        .middleware(async |socket: Socket<&'static str>| Ok(socket.emit("early", 1)?))
        .on_any_outgoing(move |socket, name, _| seen.write(format!("{name} {}", socket.data())))
        .on_connect(async |socket| drop(socket.emit("late", 2)));
    let server = serve(namespace).await;
    let _client = Client::connect(&server).await;
    assert_eq!(entries.next().await, "early data");
    assert_eq!(entries.next().await, "late data");
}
