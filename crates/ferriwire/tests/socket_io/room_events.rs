//! What a namespace is told of its rooms: 91.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use ferriwire::{Namespace, NamespaceHandle, RoomChange, RoomEvent, Server, Socket};

use crate::client::Client;
use crate::support::until;
use crate::{Entries, log, serve, start, stop};

fn told(event: &RoomEvent) -> String {
    let room = &event.room;
    match &event.change {
        RoomChange::Created => format!("create {room}"),
        RoomChange::Deleted => format!("delete {room}"),
        RoomChange::Joined(_) => format!("join {room}"),
        RoomChange::Left(_) => format!("leave {room}"),
        RoomChange::Missed(number) => format!("missed {number}"),
        other => format!("{other:?}"),
    }
}

fn watched() -> (Namespace, Entries<String>) {
    let (seen, entries) = log();
    let namespace = Namespace::new("/")
        .on_room_event(move |event| seen.write(told(event)))
        .on("join", async |socket: Socket, room: String| {
            socket.join(room).is_ok()
        })
        .on("leave", async |socket: Socket, room: String| {
            socket.leave(room)
        });
    (namespace, entries)
}

#[tokio::test]
async fn rooms_are_created_joined_left_and_deleted_once_each() {
    let (namespace, entries) = watched();
    let server = serve(namespace).await;
    let mut one = Client::connect(&server).await;
    let mut two = Client::connect(&server).await;
    for _ in 0..2 {
        one.send(r#"20["join","a"]"#).await;
        one.expect("30[true]").await;
    }
    two.send(r#"20["join","a"]"#).await;
    two.expect("30[true]").await;
    for _ in 0..2 {
        one.send(r#"20["leave","a"]"#).await;
        one.expect("30[]").await;
    }
    two.send(r#"20["join","b"]"#).await;
    two.expect("30[true]").await;
    two.send("1").await;
    until("it leaves", || server.handle("/").socket_count() == 1).await;
    drop((one, two));
    stop(server).await;
    let told = entries.rest().await;
    let expected = [
        "create a", "join a", "join a", "leave a", "create b", "join b",
    ];
    assert_eq!(told[..6], expected);
    // A socket leaves its rooms in no particular order.
    let mut last = told[6..].to_vec();
    last.sort();
    assert_eq!(last, ["delete a", "delete b", "leave a", "leave b"]);
    let position = |what: &str| told.iter().rposition(|event| event == what);
    assert!(position("leave b") < position("delete b"));
}

/// The hook may change rooms itself, and a panic of it costs nobody anything.
#[tokio::test]
async fn the_hook_may_change_rooms_and_panic() {
    let handle: Arc<OnceLock<NamespaceHandle>> = Arc::default();
    let (seen, mut entries) = log();
    let own = Arc::clone(&handle);
    let namespace = Namespace::new("/")
        .on_room_event(move |event| {
            seen.write(told(event));
            if let (RoomChange::Joined(socket), "a") = (&event.change, &*event.room) {
                let handle = own.get().expect("the server runs");
                handle.to(socket).sockets_join(["b"]).expect("it exists");
            }
            assert_ne!(&*event.room, "panic");
        })
        .on("join", async |socket, room: String| {
            socket.join(room).is_ok()
        });
    let server = serve(namespace).await;
    handle.set(server.handle("/")).expect("set once");
    let mut client = Client::connect(&server).await;
    for room in ["panic", "a", "c"] {
        client.send(&format!(r#"20["join","{room}"]"#)).await;
        client.expect("30[true]").await;
        let rooms: &[&str] = if room == "a" { &["a", "b"] } else { &[room] };
        for room in rooms {
            assert_eq!(entries.next().await, format!("create {room}"));
            assert_eq!(entries.next().await, format!("join {room}"));
        }
    }
    assert_eq!(server.stats().handler_panics, 0);
}

/// The hook is busy with the first change while others make many more.
#[tokio::test]
async fn a_hook_that_is_too_slow_is_told_how_much_it_has_missed() {
    const WAITING: u64 = 65_536;
    let socket: Arc<OnceLock<Socket>> = Arc::default();
    let (seen, mut entries) = log();
    let own = Arc::clone(&socket);
    let namespace = Namespace::new("/")
        .on_room_event(move |event| {
            if event.change == RoomChange::Created && &*event.room == "slow" {
                let socket = own.get().expect("it has connected");
                // Each takes four: create, join, leave, delete. The join of "slow" waits already.
                for _ in 0..WAITING / 4 + 10 {
                    socket.join("fast").expect("it is connected");
                    socket.leave("fast");
                }
            }
            seen.write(event.clone());
        })
        .on("join", async move |own: Socket, room: String| {
            let _ = socket.set(own.clone());
            own.join(room).is_ok()
        });
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"20["join","slow"]"#).await;
    client.expect("30[true]").await;
    assert_eq!(entries.next().await.change, RoomChange::Created);
    for _ in 0..WAITING {
        let change = entries.next().await.change;
        assert!(!matches!(change, RoomChange::Missed(_)));
    }
    let missed = entries.next().await;
    assert_eq!(missed.change, RoomChange::Missed(41));
    assert_eq!(&*missed.room, "");
    // From then on it sees everything again.
    client.send(r#"20["join","next"]"#).await;
    client.expect("30[true]").await;
    assert_eq!(told(&entries.next().await), "create next");
    assert_eq!(told(&entries.next().await), "join next");
}

/// Threads change the same rooms in different shards at once; what is told of each room makes sense
/// and agrees with the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_contention_every_room_has_a_history_that_makes_sense() {
    let (seen, entries) = log();
    let (joined, mut sockets) = log::<Socket>();
    let namespace = Namespace::new("/")
        .on_room_event(move |event| seen.write(event.clone()))
        .on_connect(async move |socket| joined.write(socket));
    let server = start(Server::new().namespace(namespace)).await;
    let mut clients = Vec::new();
    let mut threads = Vec::new();
    for number in 0..8_usize {
        clients.push(Client::connect(&server).await);
        let socket = sockets.next().await;
        threads.push(std::thread::spawn(move || {
            for step in 0..300 {
                let room = format!("room {}", (step + number) % 3);
                if step % 2 == 0 {
                    socket.join(room).expect("it is connected");
                } else if step % 7 == 0 {
                    socket.leave_all();
                } else {
                    socket.leave(room);
                }
            }
        }));
    }
    for thread in threads {
        thread.join().expect("no panic");
    }
    drop((clients, sockets));
    stop(server).await;
    let mut rooms: BTreeMap<Arc<str>, (bool, BTreeSet<String>)> = BTreeMap::new();
    for event in entries.rest().await {
        let (exists, members) = rooms.entry(event.room).or_default();
        match event.change {
            RoomChange::Created => assert!(!std::mem::replace(exists, true) && members.is_empty()),
            RoomChange::Deleted => assert!(std::mem::take(exists) && members.is_empty()),
            RoomChange::Joined(socket) => assert!(*exists && members.insert(socket.to_string())),
            RoomChange::Left(socket) => assert!(*exists && members.remove(socket.as_str())),
            RoomChange::Missed(_) => panic!("so few are not too much"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rooms.len(), 3);
    assert!(
        rooms
            .values()
            .all(|(exists, members)| !exists && members.is_empty())
    );
}
