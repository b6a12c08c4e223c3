//! Who gets what is sent to rooms and sockets: 58, 61, and the limits of rooms.

use ferriwire::{
    Broadcast, Config, ConnectError, EmitError, Handshake, JoinError, Limits, Namespace,
    NamespaceHandle, RunningServer, Server, SocketId, Transport, Value,
};

use crate::client::{Client, TRANSPORTS};
use crate::support::until;
use crate::{log, serve, serve_with, start, stop};

/// A namespace in which clients say what they want.
fn obedient() -> Namespace {
    Namespace::new("/")
        .on("join", async |socket, rooms: Vec<String>| {
            let joined = rooms.iter().map(|room| socket.join(room));
            joined
                .map(|joined| format!("{joined:?}"))
                .collect::<Vec<_>>()
        })
        .on("leave", async |socket, room: String| socket.leave(room))
        .on("rooms", async |socket, _: ()| {
            let mut rooms: Vec<_> = socket.rooms().iter().map(|room| room.to_string()).collect();
            rooms.sort();
            rooms
        })
        .on(
            "say",
            async |socket, (to, except): (Vec<String>, Vec<String>)| {
                let broadcast = to.iter().fold(socket.broadcast(), Broadcast::to);
                let broadcast = except.iter().fold(broadcast, Broadcast::except);
                broadcast.emit("said", ()).is_ok()
            },
        )
        .on("settle", async |_, _: ()| ())
}

async fn join(client: &mut Client, rooms: &[&str]) {
    let event = serde_json::json!(["join", rooms]);
    client.send(&format!("21{event}")).await;
    let answer = vec!["Ok(())"; rooms.len()];
    client
        .expect(&format!("31[{}]", serde_json::json!(answer)))
        .await;
}

/// Four clients: in rooms a and b, in b, in c, and in none; the first one polls.
async fn crowd(server: &RunningServer) -> [(Client, SocketId); 4] {
    let rooms: [&[&str]; 4] = [&["a", "b"], &["b"], &["c"], &[]];
    let mut clients = Vec::new();
    for (index, rooms) in rooms.into_iter().enumerate() {
        let transport = if index == 0 {
            Transport::Polling
        } else {
            Transport::WebSocket
        };
        let (mut client, id) = Client::connect_with_id(server, transport).await;
        join(&mut client, rooms).await;
        clients.push((client, id.parse().expect("a socket id")));
    }
    clients.try_into().ok().expect("four clients")
}

/// Each of the clients gets the event as often as it says here, and nothing else.
async fn expect_said(clients: &mut [(Client, SocketId); 4], times: [usize; 4]) {
    for ((client, _), times) in clients.iter_mut().zip(times) {
        for _ in 0..times {
            client.expect(r#"2["said"]"#).await;
        }
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn several_rooms_are_a_union_without_duplicates() {
    let server = serve(obedient()).await;
    let mut clients = crowd(&server).await;
    let everybody = server.handle("/");
    let ids: Vec<_> = clients.iter().map(|(_, id)| id.clone()).collect();
    let cases: [(Broadcast, [usize; 4]); 12] = [
        (everybody.all(), [1, 1, 1, 1]),
        (everybody.all().local(), [1, 1, 1, 1]),
        (everybody.to("a"), [1, 0, 0, 0]),
        (everybody.to("a").to("b"), [1, 1, 0, 0]),
        (everybody.to("b").to("b").to("c"), [1, 1, 1, 0]),
        (everybody.to("nowhere"), [0, 0, 0, 0]),
        (everybody.to(&ids[3]).to("a").to(&ids[0]), [1, 0, 0, 1]),
        (everybody.except("b"), [0, 0, 1, 1]),
        (everybody.except(&ids[3]), [1, 1, 1, 0]),
        (everybody.to("b").except("a"), [0, 1, 0, 0]),
        (everybody.to("b").to("c").except(&ids[1]), [1, 0, 1, 0]),
        (
            everybody.to("a").except("nowhere").except("a"),
            [0, 0, 0, 0],
        ),
    ];
    for (broadcast, times) in cases {
        broadcast.emit("said", ()).expect("the namespace exists");
        expect_said(&mut clients, times).await;
    }
}

#[tokio::test]
async fn a_socket_speaks_to_others_and_not_to_itself() {
    let server = serve(obedient()).await;
    let mut clients = crowd(&server).await;
    for (to, except, times) in [
        (vec![], vec![], [0, 1, 1, 1]),
        (vec!["a"], vec![], [0, 0, 0, 0]),
        (vec!["a", "b", "c"], vec![], [0, 1, 1, 0]),
        (vec![], vec!["b"], [0, 0, 1, 1]),
    ] {
        let event = serde_json::json!(["say", to, except]);
        clients[0].0.send(&format!("21{event}")).await;
        clients[0].0.expect("31[true]").await;
        expect_said(&mut clients, times).await;
    }
}

#[tokio::test]
async fn a_broadcast_is_a_value_that_no_call_changes() {
    let server = serve(obedient()).await;
    let mut clients = crowd(&server).await;
    let a = server.handle("/").to("a");
    let a_and_c = a.clone().to("c");
    let only_c = a_and_c.clone().except("a").volatile();
    a.emit("said", ()).expect("the namespace exists");
    expect_said(&mut clients, [1, 0, 0, 0]).await;
    a_and_c.emit("said", ()).expect("the namespace exists");
    a_and_c.emit("said", ()).expect("the namespace exists");
    expect_said(&mut clients, [2, 0, 2, 0]).await;
    only_c.emit("said", ()).expect("the namespace exists");
    expect_said(&mut clients, [0, 0, 1, 0]).await;
}

#[tokio::test]
async fn no_room_has_the_address_of_a_socket() {
    let server = serve(obedient()).await;
    let mut clients = crowd(&server).await;
    let victim = clients[3].1.clone();
    join(&mut clients[2].0, &[victim.as_str()]).await;
    let everybody = server.handle("/");
    everybody.to(&victim).emit("said", ()).expect("it exists");
    expect_said(&mut clients, [0, 0, 0, 1]).await;
    everybody
        .to(victim.as_str())
        .emit("said", ())
        .expect("it exists");
    expect_said(&mut clients, [0, 0, 1, 0]).await;
    clients[3].0.send(r#"21["rooms"]"#).await;
    clients[3].0.expect("31[[]]").await;
}

#[tokio::test]
async fn rooms_are_joined_and_left_as_often_as_one_likes() {
    let server = serve(obedient()).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        join(&mut client, &["b", "a", "b", ""]).await;
        client.send(r#"21["rooms"]"#).await;
        client.expect(r#"31[["","a","b"]]"#).await;
        for room in ["a", "a", "never joined"] {
            client.send(&format!(r#"21["leave","{room}"]"#)).await;
            client.expect("31[]").await;
        }
        client.send(r#"21["rooms"]"#).await;
        client.expect(r#"31[["","b"]]"#).await;
    }
}

#[tokio::test]
async fn a_socket_may_be_in_so_many_rooms_and_no_more() {
    let config = Config::new().limits(Limits::new().max_rooms_per_socket(2));
    let server = serve_with(config, obedient()).await;
    let mut client = Client::connect(&server).await;
    join(&mut client, &["a", "b"]).await;
    client.send(r#"21["join",["c","a"]]"#).await;
    client
        .expect(r#"31[["Err(TooManyRooms(2))","Ok(())"]]"#)
        .await;
    client.send(r#"21["leave","a"]"#).await;
    client.expect("31[]").await;
    join(&mut client, &["c"]).await;
}

#[tokio::test]
async fn the_name_of_a_room_may_be_so_long_and_no_longer() {
    let server = serve(obedient()).await;
    let mut client = Client::connect(&server).await;
    join(&mut client, &[&"x".repeat(256), &"\u{e9}".repeat(128)]).await;
    let event = serde_json::json!(["join", ["x".repeat(257), "\u{e9}".repeat(129)]]);
    client.send(&format!("21{event}")).await;
    client
        .expect(r#"31[["Err(NameTooLong(257, 256))","Err(NameTooLong(258, 256))"]]"#)
        .await;
}

#[tokio::test]
async fn who_has_left_is_in_no_room_and_joins_none() {
    let (seen, mut entries) = log();
    let namespace = obedient().on_disconnect(async move |socket, _| {
        let joined = socket.join("a");
        seen.write((socket.rooms().len(), joined, socket.emit("said", ())));
        socket.leave("a");
        socket.disconnect();
    });
    let server = serve(namespace).await;
    let mut clients = crowd(&server).await;
    clients[0].0.send("1").await;
    let (rooms, joined, emitted): (usize, Result<(), JoinError>, Result<(), EmitError>) =
        entries.next().await;
    assert_eq!((rooms, joined), (0, Err(JoinError::Disconnected)));
    assert!(matches!(emitted, Err(EmitError::Disconnected)));
    let everybody = server.handle("/");
    assert_eq!(everybody.socket_count(), 3);
    everybody
        .to("a")
        .to("b")
        .emit("said", ())
        .expect("it exists");
    clients[1].0.expect(r#"2["said"]"#).await;
}

#[tokio::test]
async fn on_disconnecting_still_sees_the_rooms_and_on_disconnect_does_not() {
    for by_server in [false, true] {
        let (seen, entries) = log();
        let left = seen.clone();
        let namespace = obedient()
            .on("go", async |socket, _: ()| socket.disconnect())
            .on_disconnecting(async move |socket, reason| {
                let mut rooms: Vec<_> =
                    socket.rooms().iter().map(|room| room.to_string()).collect();
                rooms.sort();
                seen.write((rooms.concat(), reason.as_str()));
            })
            .on_disconnect(async move |socket, reason| {
                left.write((socket.rooms().concat(), reason.as_str()));
            });
        let server = serve(namespace).await;
        let mut client = Client::connect(&server).await;
        join(&mut client, &["a", "b"]).await;
        let (packet, reason) = if by_server {
            (r#"2["go"]"#, "server namespace disconnect")
        } else {
            ("1", "client namespace disconnect")
        };
        client.send(packet).await;
        until("it leaves", || server.handle("/").socket_count() == 0).await;
        drop(client);
        stop(server).await;
        let expected = [("ab".to_owned(), reason), (String::new(), reason)];
        assert_eq!(entries.rest().await, expected);
    }
}

/// In on_disconnecting an event could be sent to a client that had left the namespace.
#[tokio::test]
async fn nothing_is_sent_to_a_socket_in_on_disconnecting() {
    let (seen, mut entries) = log();
    let namespace = obedient().on_disconnecting(async move |socket, _| {
        let emitted = socket.emit("said", ());
        socket.disconnect();
        seen.write((socket.is_connected(), socket.join("a"), emitted));
    });
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send("1").await;
    let (connected, joined, emitted): (bool, Result<(), JoinError>, Result<(), EmitError>) =
        entries.next().await;
    assert_eq!((connected, joined), (false, Err(JoinError::Disconnected)));
    assert!(matches!(emitted, Err(EmitError::Disconnected)));
    client.join("/").await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_typed_handle_lists_the_sockets_of_a_room_with_their_data() {
    let namespace = Namespace::new("/")
        .auth(async |handshake: Handshake| {
            let name = handshake.auth.get("name").and_then(Value::as_str);
            name.map(str::to_owned)
                .ok_or_else(|| ConnectError::new("nameless"))
        })
        .on_connect(async |socket| drop(socket.join("a")))
        .on("settle", async |_, _: ()| ());
    let mut server = Server::new();
    let handle = server.add(namespace);
    let server = start(server).await;
    let mut clients = Vec::new();
    for name in ["one", "two"] {
        let mut client = Client::open(&server, Transport::WebSocket).await;
        client.send(&format!(r#"0{{"name":"{name}"}}"#)).await;
        assert!(client.packet().await.starts_with("0{"));
        client.expect_nothing().await;
        clients.push(client);
    }
    let sockets = handle.sockets_in("a");
    let mut names: Vec<_> = sockets.iter().map(|socket| socket.data().clone()).collect();
    names.sort();
    assert_eq!(names, ["one", "two"]);
    assert!(handle.sockets_in("b").is_empty());
    let one = handle.sockets_in(sockets[0].id());
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].data(), sockets[0].data());
}

#[tokio::test]
async fn all_that_are_addressed_can_be_taken_out() {
    let server = serve(obedient()).await;
    let mut clients = crowd(&server).await;
    let everybody: NamespaceHandle = server.handle("/");
    everybody
        .to("b")
        .disconnect_sockets(false)
        .expect("it exists");
    for (client, _) in &mut clients[..2] {
        client.expect("1").await;
    }
    assert_eq!(everybody.socket_count(), 2);
    everybody
        .all()
        .disconnect_sockets(false)
        .expect("it exists");
    for (client, _) in &mut clients[2..] {
        client.expect("1").await;
    }
    assert_eq!(everybody.socket_count(), 0);
}
