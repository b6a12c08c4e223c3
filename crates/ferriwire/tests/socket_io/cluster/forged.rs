//! What a stranger says on the bus, and how much may wait.

use std::sync::Arc;
use std::time::Duration;

use ferriwire::cluster::{Body, InProcess, Message, NodeId, RequestId, Selection};
use ferriwire::{AckError, Args, Config, FetchError, Limits, RunningServer, Server};

use super::{LOAD, NEVER, acquainted, broadcast, enter, hear, rooms, say, servers, stranger};
use crate::start;
use crate::support::within;

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
