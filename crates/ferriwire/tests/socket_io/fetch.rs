//! Sockets as others see them, and what is done to many at once.

use ferriwire::{
    AckError, ConnectError, Handshake, Namespace, NamespaceHandle, RemoteSocket, RunningServer,
    Transport, Value,
};
use serde::{Deserialize, Serialize};

use crate::client::{Client, TRANSPORTS, asked};
use crate::serve;
use crate::support::within;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Public {
    name: String,
}

struct User {
    name: String,
}

/// Clients give their name, join the rooms that they name, and are seen by their name.
fn visible() -> Namespace<User> {
    Namespace::new("/")
        .auth(async |handshake: Handshake| {
            let name = handshake.auth.get("name").and_then(Value::as_str);
            let name = name
                .ok_or_else(|| ConnectError::new("nameless"))?
                .to_owned();
            Ok(User { name })
        })
        .public(|user| Public {
            name: user.name.clone(),
        })
        .on("join", async |socket, rooms: Vec<String>| {
            socket.join_all(&rooms).is_ok()
        })
        .on("settle", async |_, _: ()| ())
}

async fn enter(server: &RunningServer, name: &str, rooms: &[&str]) -> (Client, String) {
    let mut client = Client::open(server, Transport::WebSocket).await;
    client.send(&format!(r#"0{{"name":"{name}"}}"#)).await;
    let packet = client.packet().await;
    let id = packet
        .strip_prefix(r#"0{"sid":""#)
        .and_then(|rest| rest.strip_suffix(r#""}"#));
    let id = id.expect("CONNECT").to_owned();
    client
        .send(&format!("21{}", serde_json::json!(["join", rooms])))
        .await;
    client.expect("31[true]").await;
    (client, id)
}

fn rooms_of(socket: &RemoteSocket) -> Vec<String> {
    let mut rooms: Vec<_> = socket.rooms.iter().map(ToString::to_string).collect();
    rooms.sort();
    rooms
}

#[tokio::test]
async fn fetched_sockets_show_their_rooms_and_their_public_data() {
    let server = serve(visible()).await;
    let (_one, one) = enter(&server, "one", &["a", "b"]).await;
    let (_two, two) = enter(&server, "two", &["b"]).await;
    let handle = server.handle("/");
    let mut sockets = handle.fetch_sockets().await.expect("it exists");
    sockets.sort_by_key(|socket| socket.data::<Public>().expect("a name").name);
    let seen: Vec<_> = sockets
        .iter()
        .map(|socket| (socket.id.to_string(), rooms_of(socket)))
        .collect();
    let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        seen,
        [(one.clone(), strings(&["a", "b"])), (two, strings(&["b"]))]
    );
    let data: Value = sockets[0].data().expect("anything fits");
    assert_eq!(data.get("name"), Some(&"one".into()));
    let error = sockets[0].data::<u8>().expect_err("it is an object");
    assert!(error.to_string().starts_with("unexpected data: "));
    let in_a = handle.to("a").fetch_sockets().await.expect("it exists");
    assert_eq!(in_a.len(), 1);
    assert_eq!(in_a[0].id.as_str(), one);
    let nobody = handle.to("c").fetch_sockets().await.expect("it exists");
    assert!(nobody.is_empty());
}

#[tokio::test]
async fn data_that_is_not_declared_public_is_not_shown() {
    let namespace = Namespace::new("/").auth(async |_: Handshake| Ok::<_, ConnectError>("secret"));
    let server = serve(namespace).await;
    let _client = Client::connect(&server).await;
    let sockets = server.handle("/").fetch_sockets().await.expect("it exists");
    assert_eq!(sockets[0].data(), Ok(Value::Null));
}

#[tokio::test]
async fn a_fetched_socket_can_be_addressed() {
    let server = serve(visible()).await;
    let (mut client, _) = enter(&server, "one", &["a"]).await;
    let (mut other, _) = enter(&server, "two", &[]).await;
    let sockets = server.handle("/").to("a").fetch_sockets().await;
    let socket = sockets.expect("it exists").remove(0);
    socket.emit("said", 1).expect("it exists");
    client.expect(r#"2["said",1]"#).await;
    let ((), answer) = tokio::join!(
        async {
            let id = asked(&mut client, r#"["ask"]"#).await;
            client.send(&format!("3{id}[42]")).await;
        },
        socket.emit_with_ack("ask", ()),
    );
    assert_eq!(answer.expect("an answer").0, [42.into()]);
    socket.join(["b", "c"]).expect("it exists");
    socket.leave(["a"]).expect("it exists");
    let sockets = server.handle("/").to("b").fetch_sockets().await;
    assert_eq!(rooms_of(&sockets.expect("it exists")[0]), ["b", "c"]);
    socket.disconnect(true).expect("it exists");
    client.expect("1").await;
    client.expect_end().await;
    other.expect_nothing().await;
    // It has left, and nobody is waited for.
    let gone = within("an answer", socket.emit_with_ack("ask", ())).await;
    assert!(matches!(gone, Err(AckError::Disconnected)));
}

#[tokio::test]
async fn many_sockets_join_leave_and_go_at_once() {
    let server = serve(visible()).await;
    let (mut one, _) = enter(&server, "one", &["a"]).await;
    let (mut two, _) = enter(&server, "two", &["b"]).await;
    let (mut three, _) = enter(&server, "three", &["c"]).await;
    let handle: NamespaceHandle = server.handle("/");
    let members = async |room: &str| {
        let sockets = handle.to(room).fetch_sockets().await.expect("it exists");
        let names = sockets.iter().map(|socket| socket.data::<Public>());
        let mut names: Vec<_> = names.map(|public| public.expect("a name").name).collect();
        names.sort();
        names
    };
    handle
        .to("a")
        .to("b")
        .sockets_join(["d", "e"])
        .expect("it exists");
    assert_eq!(members("d").await, ["one", "two"]);
    assert_eq!(members("e").await, ["one", "two"]);
    handle.except("a").sockets_leave(["d"]).expect("it exists");
    assert_eq!(members("d").await, ["one"]);
    handle.sockets_join(["everybody"]).expect("it exists");
    assert_eq!(members("everybody").await, ["one", "three", "two"]);
    handle
        .sockets_leave(["e", "never joined"])
        .expect("it exists");
    assert!(members("e").await.is_empty());
    handle.to("a").disconnect_sockets(false).expect("it exists");
    one.expect("1").await;
    handle.to("b").disconnect_sockets(true).expect("it exists");
    two.expect("1").await;
    two.expect_end().await;
    three.expect_nothing().await;
    assert_eq!(handle.socket_count(), 1);
    handle.disconnect_sockets(true).expect("it exists");
    three.expect("1").await;
    three.expect_end().await;
}

#[tokio::test]
async fn leave_all_leaves_all_rooms_but_not_the_namespace() {
    let namespace = Namespace::new("/")
        .on("go", async |socket, _: ()| {
            let joined = socket.join_all(["a", "b"]);
            let before = socket.rooms().len();
            socket.leave_all();
            (joined.is_ok(), before, socket.rooms().len())
        })
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let (mut client, id) = Client::connect_with_id(&server, Transport::Polling).await;
    client.send(r#"21["go"]"#).await;
    client.expect("31[true,2,0]").await;
    let id: ferriwire::SocketId = id.parse().expect("a socket id");
    let handle = server.handle("/");
    handle.to("a").emit("said", ()).expect("it exists");
    handle.to(id).emit("said", 1).expect("it exists");
    client.expect(r#"2["said",1]"#).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_socket_knows_its_transport_and_its_peer() {
    let namespace = Namespace::new("/").on("who", async |socket, _: ()| {
        let address = socket.remote_address().map(|address| address.ip());
        (
            format!("{:?}", socket.transport()),
            address.is_some_and(|address| address.is_loopback()),
            socket.session().buffered_bytes(),
        )
    });
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        client.send(r#"21["who"]"#).await;
        client
            .expect(&format!(r#"31["{transport:?}",true,0]"#))
            .await;
    }
}
