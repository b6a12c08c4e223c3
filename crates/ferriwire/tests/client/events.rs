//! Events both ways, with everything that they can carry.

use std::time::Duration;

use ferriwire::{Args, Bytes, Client, Event, Namespace, Value};

use crate::support::within;
use crate::{WAYS, Way, notes, serve_one};

fn shapes() -> Vec<Args> {
    let parse = |text| serde_json::from_str::<Vec<Value>>(text).expect("it is JSON");
    vec![
        Args(Vec::new()),
        Args(parse(
            r#"[null, true, -1.5, "text \u001e \u20ac \ud83d\ude00", [], {}, [[1, [2]], {"a": {"b": [null]}}]]"#,
        )),
        Args(vec![Value::from(Bytes::from_static(b"\x00\xff binary"))]),
        Args(vec![
            Value::Array(vec![
                Value::from(Bytes::new()),
                Value::from(1),
                Value::from(Bytes::from_static(b"in a list")),
            ]),
            Value::from("between"),
            Value::from(Bytes::from(vec![7; 100_000])),
        ]),
    ]
}

#[tokio::test]
async fn every_shape_comes_back_as_it_was() {
    const ECHO: Event<Args, Args> = Event::new("echo");
    let namespace = Namespace::new("/").on(ECHO, async |socket, args| {
        drop(socket.emit("back", &args));
        args
    });
    let server = serve_one(namespace).await;
    for way in WAYS {
        let (backs, mut back) = notes();
        let client = way
            .to(&server, "/")
            .on("back", async move |_, args: Args| {
                backs.send(args).expect("the test lives")
            })
            .connect()
            .await
            .unwrap();
        for shape in shapes() {
            let answer = within("an answer", client.emit_with_ack(ECHO, &shape))
                .await
                .unwrap();
            assert_eq!(answer, shape, "{way:?}");
            assert_eq!(back.next("the event").await, shape, "{way:?}");
        }
        client.close().await;
    }
}

#[tokio::test]
async fn listeners_come_and_go() {
    let namespace = Namespace::new("/").on("send", async |socket, name: String| {
        drop(socket.emit(&*name, 1));
    });
    let server = serve_one(namespace).await;
    let client = Way::WebSocket.to(&server, "/").connect().await.unwrap();
    let (calls, mut called) = notes();
    let note = |what: &'static str| {
        let calls = calls.clone();
        async move |_: Client, _: u32| calls.send(what).expect("the test lives")
    };
    let first = client.on("event", note("first"));
    client.once("event", note("once"));
    client.on("event", note("last"));
    let any = calls.clone();
    let all = client.on_any(async move |_, _, _| any.send("any").expect("the test lives"));
    for expected in [
        &["any", "first", "once", "last"][..],
        &["any", "first", "last"],
    ] {
        client.emit("send", "event").unwrap();
        for one in expected {
            assert_eq!(called.next("a listener").await, *one);
        }
    }
    assert!(client.off(first) && client.off(all));
    assert!(!client.off(first));
    client.emit("send", "event").unwrap();
    assert_eq!(called.next("a listener").await, "last");
    assert!(called.is_empty());
}

#[tokio::test]
async fn what_is_sent_can_be_seen() {
    let server = serve_one(Namespace::new("/")).await;
    let (sent, mut seen) = notes();
    let client = Way::Polling
        .to(&server, "/")
        .on_any_outgoing(move |_, name, args| {
            sent.send((name.to_owned(), args.clone()))
                .expect("the test lives");
        })
        .connect()
        .await
        .unwrap();
    client.emit("hello", ("a", 1)).unwrap();
    let expected = Args(vec![Value::from("a"), Value::from(1)]);
    assert_eq!(
        seen.next("what is sent").await,
        ("hello".to_owned(), expected)
    );
}

#[tokio::test]
async fn a_volatile_event_needs_a_connection() {
    // Case 83
    let (events, mut seen) = notes();
    let namespace = Namespace::new("/").on("event", async move |_, number: u32| {
        events.send(number).expect("the test lives");
    });
    let server = serve_one(namespace).await;
    for way in [Way::Polling, Way::WebSocket] {
        let client = way.to(&server, "/").open().unwrap();
        client.volatile().emit("event", 1).unwrap();
        client.emit("event", 2).unwrap();
        assert_eq!(seen.next("the other one").await, 2);
        crate::support::until("an idle connection", || {
            client.volatile().emit("event", 3).unwrap();
            !seen.is_empty()
        })
        .await;
        client.close().await;
        while !seen.is_empty() {}
    }
}

#[tokio::test]
async fn a_slow_handler_holds_up_nothing() {
    const SLOW: Event<(), u32> = Event::new("slow");
    let namespace = Namespace::new("/").on("both", async |socket, ()| {
        drop(socket.emit("never", ()));
        socket.emit_with_ack(SLOW, ()).await.ok()
    });
    let server = serve_one(namespace).await;
    let client = Way::WebSocket
        .to(&server, "/")
        .on("never", async |_, ()| {
            tokio::time::sleep(Duration::from_secs(3600)).await
        })
        .on(SLOW, async |_, ()| 7)
        .connect()
        .await
        .unwrap();
    let answer = within("an answer", client.emit_with_ack("both", ()))
        .await
        .unwrap();
    assert_eq!(answer.0, [Value::from(7)]);
}
