//! Several servers as one, over the backend for one process (93).

mod acknowledgements;
mod forged;
mod servers;
mod sockets;

use std::array;
use std::sync::Arc;
use std::time::Duration;

use ferriwire::cluster::{
    Backend, Body, Flags, InProcess, Incoming, Joined, Link, Message, NodeId, Question, Selection,
};
use ferriwire::{
    Args, Bytes, Event, Namespace, Overflow, RunningServer, Server, Target, Transport,
};

use crate::client::Client;
use crate::support::within;
use crate::{start, stop};

const LOAD: Event<u64, u64> = Event::new("load");
const NEVER: Duration = Duration::from_secs(3_600);

/// Clients name the rooms that they join.
fn rooms() -> Namespace {
    Namespace::new("/")
        .on("join", async |socket, rooms: Vec<String>| {
            socket.join_all(&rooms).is_ok()
        })
        .on("settle", async |_, _: ()| ())
}

async fn servers<const N: usize>(
    bus: &InProcess,
    namespace: impl Fn(usize) -> Namespace,
) -> [RunningServer; N] {
    let mut servers = Vec::new();
    for index in 0..N {
        let server = Server::new().namespace(namespace(index));
        servers.push(start(server.cluster(bus.clone())).await);
    }
    for server in &servers {
        acquainted(server, N).await;
    }
    let mut servers = servers.into_iter();
    array::from_fn(|_| servers.next().expect("as many as were started"))
}

/// Waits until the server knows so many servers, itself included.
async fn acquainted(server: &RunningServer, count: usize) {
    let known = async {
        while server.handle("/").server_count().await != count {
            tokio::task::yield_now().await;
        }
    };
    within("the servers to know each other", known).await;
}

/// A client in rooms, and its id.
async fn enter(server: &RunningServer, rooms: &[&str]) -> (Client, String) {
    let (mut client, id) = Client::connect_with_id(server, Transport::WebSocket).await;
    let join = serde_json::json!(["join", rooms]);
    client.send(&format!("21{join}")).await;
    client.expect("31[true]").await;
    (client, id)
}

/// Somebody who speaks on the bus without being a server of ours.
async fn stranger(bus: &InProcess) -> (NodeId, Box<dyn Link>) {
    let id = NodeId::from_random([0xEE; 8]);
    let Joined { link, .. } = bus.join(&id).await.expect("the bus takes everybody");
    (id, link)
}

async fn say(link: &dyn Link, sender: &NodeId, body: Body) {
    let message = Arc::new(Message {
        sender: sender.clone(),
        namespace: "/".into(),
        body,
    });
    link.publish(None, &message).await.expect("it is sent");
}

async fn hear(link: &dyn Link) -> Arc<Message> {
    loop {
        let incoming = within("a message", link.receive()).await;
        if let Incoming::Message(message) = incoming.expect("the bus goes on") {
            return message;
        }
    }
}

fn broadcast(event: &str, question: Option<Question>) -> Body {
    Body::Broadcast {
        selection: Selection::default(),
        flags: Flags::default(),
        event: event.into(),
        args: Args(vec![1.into()]),
        question,
    }
}

#[tokio::test]
async fn broadcasts_reach_the_selected_clients_of_all_servers() {
    let bus = InProcess::new();
    let [a, b, c] = servers(&bus, |_| rooms()).await;
    let (mut one, _) = enter(&a, &["red"]).await;
    let (mut two, two_id) = enter(&b, &["red", "blue"]).await;
    let (mut three, _) = enter(&c, &["green"]).await;
    let handle = a.handle("/");
    handle.emit("all", ()).expect("it exists");
    handle
        .to("red")
        .to("blue")
        .emit("red", 1)
        .expect("it exists");
    handle
        .to("red")
        .except("blue")
        .emit("few", 2)
        .expect("it exists");
    let two_id: ferriwire::SocketId = two_id.parse().expect("a socket id");
    handle.to(&two_id).emit("you", 3).expect("it exists");
    handle
        .except(&two_id)
        .emit("not you", 4)
        .expect("it exists");
    handle.all().local().emit("here", 5).expect("it exists");
    // A room of that name is not the socket.
    handle
        .to(two_id.as_str())
        .emit("nobody", ())
        .expect("it exists");
    let data = Bytes::from_static(&[0, 255]);
    handle.emit("data", &data).expect("it exists");
    for packet in [
        r#"2["all"]"#,
        r#"2["red",1]"#,
        r#"2["few",2]"#,
        r#"2["not you",4]"#,
        r#"2["here",5]"#,
    ] {
        one.expect(packet).await;
    }
    for packet in [r#"2["all"]"#, r#"2["red",1]"#, r#"2["you",3]"#] {
        two.expect(packet).await;
    }
    for packet in [r#"2["all"]"#, r#"2["not you",4]"#] {
        three.expect(packet).await;
    }
    for client in [&mut one, &mut two, &mut three] {
        client
            .expect(r#"51-["data",{"_placeholder":true,"num":0}]"#)
            .await;
        client.expect_binary(&data).await;
    }
}

#[tokio::test]
async fn events_of_one_server_keep_their_order_on_the_others() {
    let bus = InProcess::new();
    let [a, b] = servers(&bus, |_| rooms()).await;
    let (mut client, _) = enter(&b, &["odd"]).await;
    let handle = a.handle("/");
    for number in 0..500 {
        let target = if number % 2 == 0 {
            handle.all()
        } else {
            handle.to("odd")
        };
        target.emit("count", number).expect("it exists");
    }
    for number in 0..500 {
        client.expect(&format!(r#"2["count",{number}]"#)).await;
    }
}

#[tokio::test]
async fn an_event_in_front_of_disconnect_sockets_arrives_before_it() {
    let bus = InProcess::new();
    let [a, b] = servers(&bus, |_| rooms()).await;
    let (mut here, _) = enter(&a, &["out"]).await;
    let (mut there, _) = enter(&b, &["out"]).await;
    let (mut stays, _) = enter(&b, &[]).await;
    let out = a.handle("/").to("out");
    out.emit("bye", ()).expect("it exists");
    out.disconnect_sockets(true).expect("it exists");
    for client in [&mut here, &mut there] {
        client.expect(r#"2["bye"]"#).await;
        client.expect("1").await;
        client.expect_end().await;
    }
    stays.expect_nothing().await;
}

#[tokio::test]
async fn a_server_that_comes_late_takes_part_and_one_that_leaves_does_not() {
    let bus = InProcess::new();
    let [a, b] = servers(&bus, |_| rooms()).await;
    let late = start(Server::new().namespace(rooms()).cluster(bus.clone())).await;
    for server in [&a, &b, &late] {
        acquainted(server, 3).await;
    }
    let (mut client, _) = enter(&late, &[]).await;
    b.handle("/").emit("welcome", ()).expect("it exists");
    client.expect(r#"2["welcome"]"#).await;
    stop(late).await;
    acquainted(&a, 2).await;
    acquainted(&b, 2).await;
    let alone = start(Server::new().namespace(rooms())).await;
    assert_eq!(alone.handle("/").server_count().await, 1);
    // Dropped, and not shut down.
    drop(b);
    acquainted(&a, 1).await;
}

#[tokio::test]
async fn modifiers_travel() {
    let bus = InProcess::new();
    let [a] = servers(&bus, |_| rooms()).await;
    let (_, link) = stranger(&bus).await;
    acquainted(&a, 2).await;
    let modified = a.handle("/").to("r").except("s").volatile().compress(false);
    let modified = modified.overflow(Overflow::DropOldest).latest("key");
    modified.emit("said", (1, "x")).expect("it exists");
    let message = hear(&*link).await;
    let body = Body::Broadcast {
        selection: Selection {
            to: vec![Target::from("r")],
            except: vec![Target::from("s")],
        },
        flags: Flags {
            volatile: true,
            compress: false,
            overflow: Some(Overflow::DropOldest),
            latest: Some("key".into()),
        },
        event: "said".into(),
        args: Args(vec![1.into(), "x".into()]),
        question: None,
    };
    assert_eq!((&*message.namespace, &message.body), ("/", &body));
    assert_eq!(message.sender.as_str().len(), 16);
}
