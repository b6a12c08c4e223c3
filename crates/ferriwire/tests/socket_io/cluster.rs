//! Several servers as one, over the backend for one process (93).

use std::array;
use std::sync::Arc;
use std::time::Duration;

use ferriwire::cluster::{
    Backend, Body, Flags, InProcess, Incoming, Joined, Link, Message, NodeId, Question, RequestId,
    Selection,
};
use ferriwire::{
    AckError, Args, Bytes, Config, EmitError, Event, FetchError, Limits, Namespace, Overflow,
    RunningServer, Server, Target, Transport, Value,
};

use crate::client::{Client, asked};
use crate::support::within;
use crate::{log, start, stop};

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
async fn all_clients_answer_a_broadcast_with_acknowledgement() {
    let bus = InProcess::new();
    let [a, b, c] = servers(&bus, |_| rooms()).await;
    let (mut one, one_id) = enter(&a, &["x"]).await;
    let (mut two, _) = enter(&b, &["x"]).await;
    let (mut three, _) = enter(&c, &["x"]).await;
    let ask = Event::<(), Value>::new("ask");
    let answers = a.handle("/").to("x").timeout(NEVER).emit_with_ack(ask, ());
    let mut answers = answers.expect("it exists");
    let id = asked(&mut one, r#"["ask"]"#).await;
    one.send(&format!("3{id}[1]")).await;
    let first = within("an answer", answers.next())
        .await
        .expect("one of three");
    assert_eq!(first.socket.expect("it is here").as_str(), one_id);
    assert_eq!(first.result.expect("an answer"), 1.into());
    let id = asked(&mut two, r#"["ask"]"#).await;
    two.send(&format!("61-{id}[{{\"_placeholder\":true,\"num\":0}}]"))
        .await;
    two.send_binary(&[1, 2, 3]).await;
    // Streamed: the third one has not answered.
    let second = within("an answer", answers.next())
        .await
        .expect("two of three");
    assert_eq!(second.socket, None);
    let second = second.result.expect("an answer");
    assert_eq!(second, Value::Binary(Bytes::from_static(&[1, 2, 3])));
    let id = asked(&mut three, r#"["ask"]"#).await;
    three.send(&format!("3{id}[3]")).await;
    let rest = within("the end", answers.collect()).await;
    assert!(rest.is_complete());
    assert_eq!(rest.values, [3.into()]);
}

#[tokio::test]
async fn nobody_is_waited_for_where_nobody_is() {
    let bus = InProcess::new();
    let [a, _b, _c] = servers(&bus, |_| rooms()).await;
    let answers = a.handle("/").all().timeout(NEVER).emit_with_ack("ask", ());
    let answers = within("an end", answers.expect("it exists").collect()).await;
    assert!(answers.is_complete() && answers.values.is_empty());
}

#[tokio::test]
async fn clients_that_are_silent_or_leave_are_missing_on_every_server() {
    let bus = InProcess::new();
    let [a, b] = servers(&bus, |_| rooms()).await;
    let (_silent, _) = enter(&b, &[]).await;
    let (mut leaves, _) = enter(&b, &[]).await;
    let (mut answers, _) = enter(&b, &[]).await;
    let ask = Event::<(), u64>::new("ask");
    let all = a.handle("/").all().timeout(Duration::from_millis(700));
    let collecting = all.emit_with_ack(ask, ()).expect("it exists").collect();
    let (responses, ()) = tokio::join!(within("the timeout", collecting), async {
        let id = asked(&mut answers, r#"["ask"]"#).await;
        answers.send(&format!("3{id}[7]")).await;
        asked(&mut leaves, r#"["ask"]"#).await;
        leaves.send("1").await;
    });
    assert_eq!(responses.values, [7]);
    let mut missing: Vec<_> = responses
        .missing
        .iter()
        .map(|missing| format!("{:?}", missing.error))
        .collect();
    missing.sort();
    assert_eq!(missing, ["Disconnected", "Timeout(700ms)"]);
}

#[tokio::test]
async fn clients_owe_nothing_to_servers_whose_time_is_over() {
    let bus = InProcess::new();
    let limits = Limits::new().max_pending_acks(1);
    let config = Config::new().limits(limits);
    let server = Server::new().config(config).namespace(rooms());
    let server = start(server.cluster(bus.clone())).await;
    let (id, link) = stranger(&bus).await;
    let (mut client, _) = enter(&server, &[]).await;
    let question = |byte, timeout| Question {
        request: RequestId::from_random([byte; 8]),
        timeout: Duration::from_millis(timeout),
    };
    say(&*link, &id, broadcast("ask", Some(question(1, 0)))).await;
    asked(&mut client, r#"["ask",1]"#).await;
    let body = Body::Receivers {
        request: question(1, 0).request,
        count: 1,
    };
    assert_eq!(hear(&*link).await.body, body);
    // The second question fits when the first one is forgotten, and is refused until then.
    let asked_at_last = loop {
        say(&*link, &id, broadcast("ask", Some(question(2, 60_000)))).await;
        assert!(matches!(
            hear(&*link).await.body,
            Body::Receivers { count: 1, .. }
        ));
        let settled = Body::Fetch {
            selection: Selection::default(),
            request: question(3, 0).request,
        };
        say(&*link, &id, settled).await;
        let next = hear(&*link).await;
        if matches!(&next.body, Body::Answer { answer: None, .. }) {
            assert!(matches!(hear(&*link).await.body, Body::Fetched { .. }));
            tokio::task::yield_now().await;
        } else {
            break next;
        }
    };
    assert!(matches!(asked_at_last.body, Body::Fetched { .. }));
    asked(&mut client, r#"["ask",1]"#).await;
}

#[tokio::test]
async fn sockets_of_all_servers_are_fetched_and_addressed_one_by_one() {
    let bus = InProcess::new();
    let [a, b] = servers(&bus, |_| rooms().public(|()| "seen")).await;
    let (mut here, here_id) = enter(&a, &["r"]).await;
    let (mut there, there_id) = enter(&b, &["r", "s"]).await;
    let handle = a.handle("/");
    let local = handle
        .all()
        .local()
        .fetch_sockets()
        .await
        .expect("it exists");
    assert_eq!(local.len(), 1);
    assert_eq!(local[0].id.as_str(), here_id);
    assert_eq!(handle.fetch_sockets().await.expect("all answer").len(), 2);
    let sockets = handle.to("s").fetch_sockets().await.expect("all answer");
    assert_eq!(sockets.len(), 1);
    let remote = &sockets[0];
    assert_eq!(remote.id.as_str(), there_id);
    assert_eq!(remote.data::<String>().expect("public data"), "seen");
    assert_eq!(remote.rooms.len(), 2);
    for (socket, client) in [(&local[0], &mut here), (remote, &mut there)] {
        let (answer, ()) = tokio::join!(
            within("an answer", socket.emit_with_ack("ask", ())),
            async {
                let id = asked(client, r#"["ask"]"#).await;
                client.send(&format!("3{id}[42]")).await;
            }
        );
        assert_eq!(answer.expect("an answer").0, [42.into()]);
    }
    remote.join(["t"]).expect("it exists");
    remote.leave(["s"]).expect("it exists");
    assert!(
        handle
            .to("s")
            .fetch_sockets()
            .await
            .expect("all answer")
            .is_empty()
    );
    assert_eq!(
        handle
            .to("t")
            .fetch_sockets()
            .await
            .expect("all answer")
            .len(),
        1
    );
    remote.disconnect(false).expect("it exists");
    there.expect("1").await;
    // It has left, and nobody is waited for.
    let gone = within("an answer", remote.emit_with_ack("ask", ())).await;
    assert!(matches!(gone, Err(AckError::Disconnected)));
}

#[tokio::test]
async fn many_sockets_join_and_leave_on_all_servers() {
    let bus = InProcess::new();
    let [a, b] = servers(&bus, |_| rooms()).await;
    let (_one, _) = enter(&a, &["r"]).await;
    let (_two, _) = enter(&b, &["r"]).await;
    let (_three, _) = enter(&b, &[]).await;
    let handle = a.handle("/");
    let count = async |room: &str| {
        let sockets = handle.to(room).fetch_sockets().await;
        sockets.expect("all answer").len()
    };
    handle.to("r").sockets_join(["x", "y"]).expect("it exists");
    assert_eq!((count("x").await, count("y").await), (2, 2));
    handle
        .all()
        .local()
        .sockets_leave(["x"])
        .expect("it exists");
    handle.to("r").sockets_leave(["y"]).expect("it exists");
    assert_eq!((count("x").await, count("y").await), (1, 0));
}

#[tokio::test]
async fn fetching_sockets_tells_who_has_not_answered() {
    let bus = InProcess::new();
    let [a, b] = servers(&bus, |_| rooms()).await;
    let (_client, _) = enter(&b, &[]).await;
    let (silent, _link) = stranger(&bus).await;
    acquainted(&a, 3).await;
    let all = a.handle("/").all().timeout(Duration::from_millis(500));
    let Err(FetchError::Incomplete { sockets, missing }) = all.fetch_sockets().await else {
        panic!("a silent server is told");
    };
    assert_eq!((sockets.len(), missing), (1, vec![silent]));
    let nowhere = a.handle("/nowhere").fetch_sockets().await;
    assert!(matches!(nowhere, Err(FetchError::NoSuchNamespace(_))));
}

#[tokio::test]
async fn servers_hear_each_other_in_the_same_namespace_but_not_themselves() {
    let bus = InProcess::new();
    let (written, mut entries) = log::<(usize, u64)>();
    let namespace = |index| {
        let written = written.clone();
        rooms().on_server_event(LOAD, async move |load| {
            written.write((index, load));
            load
        })
    };
    let [a, b] = servers(&bus, namespace).await;
    let written_elsewhere = written.clone();
    let elsewhere = Namespace::new("/other").on_server_event(LOAD, async move |load| {
        written_elsewhere.write((99, load));
        load
    });
    b.add(elsewhere).expect("it is new");
    for load in 0..3 {
        a.handle("/")
            .server_side_emit(LOAD, load)
            .expect("it exists");
        assert_eq!(entries.next().await, (1, load));
    }
    b.handle("/").server_side_emit(LOAD, 7).expect("it exists");
    assert_eq!(entries.next().await, (0, 7));
    for name in ["connect", "connection", "new_namespace"] {
        let refused = a.handle("/").server_side_emit(name, ());
        assert!(matches!(refused, Err(EmitError::Reserved(_))), "{name}");
    }
    let reserved = rooms().on_server_event("connection", async |()| ());
    assert!(
        Server::new()
            .namespace(reserved)
            .bind("127.0.0.1:0")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn every_other_server_answers_once() {
    let bus = InProcess::new();
    let namespace = |index: usize| {
        let namespace = rooms().on_server_event(LOAD, async move |load| load + index as u64);
        // Of several listeners the first one answers.
        namespace.on_server_event(LOAD, async |_| 1_000_u64)
    };
    let [a, _b, _c] = servers(&bus, namespace).await;
    let answers = a.handle("/").server_side_emit_with_ack(LOAD, 10);
    let mut answers = within("all answers", answers.expect("it exists").into_future()).await;
    answers.values.sort_unstable();
    assert_eq!(answers.values, [11, 12]);
    assert!(answers.is_complete());
    for server in [
        start(Server::new().namespace(rooms())).await,
        start(Server::new().namespace(rooms()).cluster(InProcess::new())).await,
    ] {
        let nobody = server.handle("/").server_side_emit_with_ack(LOAD, 10);
        let nobody = nobody.expect("it exists").timeout(NEVER);
        let nobody = within("an end", nobody.into_future()).await;
        assert!(nobody.is_complete() && nobody.values.is_empty());
    }
}

#[tokio::test]
async fn servers_that_are_silent_are_named_and_the_others_counted() {
    let bus = InProcess::new();
    let namespace = |index| match index {
        1 => rooms().on_server_event(LOAD, async |load| load),
        2 => rooms().on_server_event(LOAD, async |_| std::future::pending::<u64>().await),
        3 => rooms().on_server_event(LOAD, async |_| -> u64 { panic!("on purpose") }),
        _ => rooms(),
    };
    let [a, _b, _c, d, _e] = servers(&bus, namespace).await;
    let answers = a.handle("/").server_side_emit_with_ack(LOAD, 10);
    let answers = answers
        .expect("it exists")
        .timeout(Duration::from_millis(700));
    let answers = within("the timeout", answers.into_future()).await;
    assert_eq!(answers.values, [10]);
    let kind = |error: &AckError| {
        let text = format!("{error:?}");
        text.split('(').next().map(str::to_owned)
    };
    let missing = answers.missing.iter();
    let mut errors: Vec<_> = missing.filter_map(|missing| kind(&missing.error)).collect();
    errors.sort_unstable();
    assert_eq!(errors, ["Mismatch", "NoListener", "Timeout"]);
    assert_eq!(d.stats().handler_panics, 1);
}

#[tokio::test]
async fn a_server_that_leaves_meanwhile_is_not_waited_for() {
    let bus = InProcess::new();
    let (written, mut entries) = log();
    let namespace = |index| match index {
        1 => rooms().on_server_event(LOAD, async |load| load),
        _ => {
            let written = written.clone();
            rooms().on_server_event(LOAD, async move |_| {
                written.write(());
                std::future::pending::<u64>().await
            })
        }
    };
    let [a, _b, c] = servers(&bus, namespace).await;
    let answers = a.handle("/").server_side_emit_with_ack(LOAD, 10);
    let answers = answers.expect("it exists").timeout(NEVER);
    entries.next().await;
    stop(c).await;
    let answers = within("the end", answers.into_future()).await;
    assert_eq!(answers.values, [10]);
    assert!(answers.is_complete());
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

#[tokio::test]
async fn forged_and_senseless_messages_change_nothing() {
    let bus = InProcess::new();
    let [a, b] = servers(&bus, |_| rooms()).await;
    let (id, link) = stranger(&bus).await;
    acquainted(&a, 3).await;
    let (mut client, _) = enter(&a, &[]).await;
    b.handle("/").emit("who", ()).expect("it exists");
    let b_id = hear(&*link).await.sender.clone();
    a.handle("/").all().emit("who", ()).expect("it exists");
    let a_id = hear(&*link).await.sender.clone();
    for _ in 0..2 {
        client.expect(r#"2["who"]"#).await;
    }
    let request = RequestId::from_random([9; 8]);
    for body in [
        broadcast("disconnect", None),
        broadcast("connect", None),
        Body::Answer {
            request: request.clone(),
            answer: None,
        },
        Body::Receivers {
            request: request.clone(),
            count: u64::MAX,
        },
        Body::Fetched {
            request: request.clone(),
            sockets: Vec::new(),
        },
        Body::Join {
            selection: Selection::default(),
            rooms: vec!["x".repeat(100_000).into()],
        },
        Body::ServerEvent {
            event: "__proto__".into(),
            args: Args::default(),
            request: None,
        },
    ] {
        say(&*link, &id, body).await;
    }
    // In the name of the server itself: what comes back to it is ignored.
    let all = Selection::default();
    let out = |selection| Body::Disconnect {
        selection,
        close: true,
    };
    let own = Arc::new(Message {
        sender: a_id.clone(),
        namespace: "/".into(),
        body: out(all),
    });
    link.publish(Some(&a_id), &own).await.expect("it is sent");
    client.expect_nothing().await;
    // An answer in the name of a server that was not asked counts for nobody.
    let answers = a.handle("/").server_side_emit_with_ack(LOAD, 1);
    let answers = answers.expect("it exists").timeout(NEVER);
    let question = hear(&*link).await;
    let Body::ServerEvent {
        request: Some(asked),
        ..
    } = &question.body
    else {
        panic!("a question");
    };
    let answer = |value: u64| Body::ServerAnswer {
        request: asked.clone(),
        answer: Some(Args(vec![value.into()])),
    };
    say(&*link, &NodeId::from_random([1; 8]), answer(666)).await;
    say(&*link, &id, answer(1)).await;
    say(&*link, &id, answer(667)).await;
    let answers = within("the end", answers.into_future()).await;
    assert_eq!(answers.values, [1]);
    assert_eq!(answers.missing.len(), 1);
    assert_eq!(answers.missing[0].node, b_id);
    assert!(matches!(answers.missing[0].error, AckError::NoListener));
}

/// A server of its own with these limits, and a bus that it has joined.
async fn limited(limits: Limits) -> (InProcess, RunningServer) {
    let bus = InProcess::new();
    let server = Server::new().config(Config::new().limits(limits));
    let server = start(server.namespace(rooms()).cluster(bus.clone())).await;
    acquainted(&server, 1).await;
    (bus, server)
}

#[tokio::test]
async fn other_servers_are_waited_for_as_long_as_was_set() {
    let limits = Limits::new().cluster_timeout(Duration::from_millis(300));
    let (bus, server) = limited(limits).await;
    let (silent, _link) = stranger(&bus).await;
    acquainted(&server, 2).await;
    let begun = std::time::Instant::now();
    let fetched = server.handle("/").fetch_sockets().await;
    let Err(FetchError::Incomplete { missing, .. }) = fetched else {
        panic!("a silent server is told");
    };
    assert_eq!(missing, [silent]);
    let waited = begun.elapsed();
    let bounds = Duration::from_millis(300)..Duration::from_secs(5);
    assert!(bounds.contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn what_waits_for_a_backend_keeps_to_the_limit_that_was_set() {
    for (limit, lost) in [(1_000_000, 0), (1, 9)] {
        let (bus, server) = limited(Limits::new().max_cluster_queue(limit)).await;
        let (_, _link) = stranger(&bus).await;
        acquainted(&server, 2).await;
        // Nothing is sent before this task waits. One message fits, however large it is.
        for _ in 0..10 {
            server
                .handle("/")
                .emit("large", "x".repeat(10_000))
                .expect("it is sent here");
        }
        assert_eq!(server.stats().lost_messages, lost, "{limit}");
    }
}
