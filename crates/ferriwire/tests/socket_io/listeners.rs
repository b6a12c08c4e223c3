//! Listeners that a socket gets late, and catch-all listeners of what comes in and goes out: 58, 62.

use std::sync::{Arc, Mutex};

use ferriwire::{Args, Event, ListenerId, Namespace, Socket, Transport};

use crate::client::{Client, asked};
use crate::support::{until, within};
use crate::{log, serve, stop};

const COUNT: Event<u64, u64> = Event::new("count");

/// What the client says is done with listeners of its own socket.
fn learning() -> Namespace {
    let last: Arc<Mutex<Vec<ListenerId>>> = Arc::default();
    let (add, remove) = (Arc::clone(&last), last);
    Namespace::new("/")
        .on(
            "learn",
            async move |socket, (event, once): (String, bool)| {
                let event: Event<u64, u64> = match event.as_str() {
                    "count" => COUNT,
                    _ => Event::new("other"),
                };
                let handler = async |_, number| number + 1;
                let id = if once {
                    socket.once(event, handler)
                } else {
                    socket.on(event, handler)
                };
                add.lock().expect("no panic").push(id);
            },
        )
        .on("forget", async move |socket, _: ()| {
            let id = remove.lock().expect("no panic").pop();
            id.is_some_and(|id| socket.off(id))
        })
        .on("forget all", async |socket, _: ()| {
            socket.off_event("count")
        })
        .on("names", async |socket, _: ()| {
            let mut names = socket.event_names();
            names.sort_unstable();
            vec![format!("{names:?} {}", socket.listener_count("count"))]
        })
        .on("settle", async |_, _: ()| ())
}

async fn call(client: &mut Client, event: &str, answer: &str) {
    client.send(&format!("21{event}")).await;
    client.expect(&format!("31{answer}")).await;
}

#[tokio::test]
async fn a_late_listener_hears_and_answers_until_it_is_removed() {
    let server = serve(learning()).await;
    let mut client = Client::connect(&server).await;
    let mut other = Client::connect(&server).await;
    client.send(r#"22["count",1]"#).await;
    client.expect_nothing().await;
    call(&mut client, r#"["learn","count",false]"#, "[]").await;
    call(&mut client, r#"["count",1]"#, "[2]").await;
    call(&mut client, r#"["count",5]"#, "[6]").await;
    other.send(r#"22["count",1]"#).await;
    other.expect_nothing().await;
    call(&mut client, r#"["names"]"#, r#"[["[\"count\"] 1"]]"#).await;
    call(&mut client, r#"["forget"]"#, "[true]").await;
    call(&mut client, r#"["forget"]"#, "[false]").await;
    client.send(r#"22["count",1]"#).await;
    client.expect_nothing().await;
    call(&mut client, r#"["names"]"#, r#"[["[] 0"]]"#).await;
}

#[tokio::test]
async fn once_hears_one_event_also_of_several_in_one_payload() {
    let server = serve(learning()).await;
    for transport in crate::client::TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        call(&mut client, r#"["learn","count",true]"#, "[]").await;
        client
            .send_all(&[r#"22["count",1]"#, r#"23["count",2]"#])
            .await;
        client.expect("32[2]").await;
        client.expect_nothing().await;
        call(&mut client, r#"["names"]"#, r#"[["[] 0"]]"#).await;
    }
}

#[tokio::test]
async fn all_late_listeners_of_an_event_can_be_removed_at_once() {
    let server = serve(learning()).await;
    let mut client = Client::connect(&server).await;
    for event in ["count", "count", "other"] {
        call(&mut client, &format!(r#"["learn","{event}",false]"#), "[]").await;
    }
    call(
        &mut client,
        r#"["names"]"#,
        r#"[["[\"count\", \"other\"] 2"]]"#,
    )
    .await;
    call(&mut client, r#"["forget all"]"#, "[]").await;
    call(&mut client, r#"["names"]"#, r#"[["[\"other\"] 0"]]"#).await;
}

#[tokio::test]
async fn of_declared_and_late_handlers_the_declared_one_answers() {
    let (seen, entries) = log();
    let late = seen.clone();
    let namespace = Namespace::new("/")
        .on_connect(async move |socket| {
            let late = late.clone();
            socket.on("event", async move |_, number: u64| {
                late.write(("late", number));
                "late"
            });
        })
        .on("event", async move |_, number: u64| {
            seen.write(("declared", number));
            "declared"
        })
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    call(&mut client, r#"["event",7]"#, r#"["declared"]"#).await;
    client.expect_nothing().await;
    drop(client);
    stop(server).await;
    assert_eq!(entries.rest().await, [("declared", 7), ("late", 7)]);
}

#[tokio::test]
async fn catch_all_listeners_run_first_and_in_the_order_of_their_places() {
    let (seen, mut entries) = log();
    let write = move |what: &'static str| {
        let seen = seen.clone();
        move |name: &str| seen.write(format!("{what} {name}"))
    };
    let (first, second, third) = (write("first"), write("second"), write("third"));
    let (fourth, handler) = (write("fourth"), write("handler"));
    let removed = write("removed");
    let namespace = Namespace::new("/")
        .on_any(async move |_, name, _| second(&name))
        .prepend_any(async move |_, name, args| first(&format!("{name}{}", args.0.len())))
        .on("event", async move |_, _: Args| handler("event"))
        .on_connect(async move |socket| {
            let id = socket.on_any(async move |_, name, _| removed(&name));
            socket.on_any(async move |_, name, _| fourth(&name));
            socket.prepend_any(async move |_, name, _| third(&name));
            assert!(socket.off(id));
        })
        .on("calm", async |socket, _: ()| socket.off_any());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"2["event",1,2]"#).await;
    for expected in [
        "first event2",
        "second event",
        "third event",
        "fourth event",
        "handler event",
    ] {
        assert_eq!(entries.next().await, expected);
    }
    client.send(r#"2["calm"]"#).await;
    for expected in ["first calm0", "second calm", "third calm", "fourth calm"] {
        assert_eq!(entries.next().await, expected);
    }
    client.send(r#"2["unknown"]"#).await;
    assert_eq!(entries.next().await, "first unknown0");
    assert_eq!(entries.next().await, "second unknown");
    client.send(r#"2["event"]"#).await;
    assert_eq!(entries.next().await, "first event0");
}

/// A catch-all listener of everything that goes out, and what it saw.
fn observed() -> (Namespace, crate::Entries<String>) {
    let (seen, entries) = log();
    let (first, late) = (seen.clone(), seen.clone());
    let write = |seen: &crate::Log<String>, who: &str, name: &str, args: &Args| {
        seen.write(format!("{who} {name} {:?}", args.0));
    };
    let namespace = Namespace::new("/")
        .on_any_outgoing(move |_: &Socket, name, args| write(&seen, "second", name, args))
        .prepend_any_outgoing(move |_: &Socket, name, args| write(&first, "first", name, args))
        .on("watch", async move |socket, _: ()| {
            let late = late.clone();
            socket.on_any_outgoing(move |_, name, args| write(&late, "late", name, args));
        })
        .on("unwatch", async |socket, _: ()| socket.off_any_outgoing())
        .on("settle", async |_, _: ()| ());
    (namespace, entries)
}

#[tokio::test]
async fn outgoing_listeners_see_each_receiver_once_and_no_acknowledgements() {
    let (namespace, mut entries) = observed();
    let server = serve(namespace).await;
    let (mut client, id) = Client::connect_with_id(&server, Transport::WebSocket).await;
    let mut other = Client::connect(&server).await;
    call(&mut client, r#"["watch"]"#, "[]").await;
    let handle = server.handle("/");
    handle.emit("said", (1, "a")).expect("it exists");
    let args = r#"said [Number(Number(1)), String("a")]"#;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(entries.next().await);
    }
    all.sort();
    let expected = ["first", "first", "late", "second", "second"];
    assert_eq!(all, expected.map(|who| format!("{who} {args}")));
    let sockets = handle.fetch_sockets().await.expect("it exists");
    let socket = sockets.iter().find(|socket| socket.id.as_str() == id);
    let socket = socket.expect("it is there");
    client.expect(r#"2["said",1,"a"]"#).await;
    call(&mut client, r#"["unwatch"]"#, "[]").await;
    let ((), answer) = tokio::join!(
        async {
            let id = asked(&mut client, r#"["ask"]"#).await;
            client.send(&format!("3{id}[true]")).await;
        },
        within("an answer", socket.emit_with_ack("ask", ())),
    );
    assert!(answer.is_ok());
    assert_eq!(entries.next().await, "first ask []");
    assert_eq!(entries.next().await, "second ask []");
    other.expect(r#"2["said",1,"a"]"#).await;
    other.expect_nothing().await;
    drop((client, other));
    stop(server).await;
    assert_eq!(entries.rest().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_emitted_to_one_socket_is_seen_by_its_own_listener_alone() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/")
        .on("watch", async move |socket, _: ()| {
            let seen = seen.clone();
            socket.on_any_outgoing(move |_, name, _| seen.write(name.to_owned()));
        })
        .on("go", async |socket, _: ()| {
            socket.emit("direct", 1).is_ok() && socket.broadcast().emit("others", 2).is_ok()
        });
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    let mut other = Client::connect(&server).await;
    call(&mut client, r#"["watch"]"#, "[]").await;
    client.send(r#"21["go"]"#).await;
    client.expect(r#"2["direct",1]"#).await;
    client.expect("31[true]").await;
    other.expect(r#"2["others",2]"#).await;
    other.send(r#"21["go"]"#).await;
    client.expect(r#"2["others",2]"#).await;
    assert_eq!(entries.next().await, "direct");
    assert_eq!(entries.next().await, "others");
    drop((client, other));
    stop(server).await;
    assert_eq!(entries.rest().await, Vec::<String>::new());
}

#[tokio::test]
async fn late_hooks_of_the_end_run_behind_the_declared_ones_and_nothing_is_kept() {
    let (seen, entries) = log();
    let (a, b, kept) = (seen.clone(), seen.clone(), Arc::new(()));
    let weak = Arc::downgrade(&kept);
    let namespace = Namespace::new("/")
        .on_connect(async move |socket| {
            let (a, b, kept) = (a.clone(), b.clone(), Arc::clone(&kept));
            let itself = socket.clone();
            socket.on("never", async move |_, _: ()| drop((itself, kept)));
            socket.join("room").expect("it is connected");
            socket.on_disconnecting(async move |socket: Socket, _| {
                a.write(format!("late disconnecting {}", socket.rooms().len()));
            });
            socket.on_disconnect(async move |socket: Socket, reason| {
                b.write(format!("late disconnect {} {reason}", socket.rooms().len()));
            });
        })
        .on_disconnect(async move |_, _| seen.write("declared disconnect".to_owned()));
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send("1").await;
    until("it leaves", || server.handle("/").socket_count() == 0).await;
    drop(client);
    stop(server).await;
    let expected = [
        "late disconnecting 1",
        "declared disconnect",
        "late disconnect 0 client namespace disconnect",
    ];
    assert_eq!(entries.rest().await, expected);
    assert!(
        weak.upgrade().is_none(),
        "a socket that had itself was kept"
    );
}
