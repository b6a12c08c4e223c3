//! What servers ask each other.

use std::time::Duration;

use ferriwire::cluster::InProcess;
use ferriwire::{AckError, EmitError, Namespace, Server};

use super::{LOAD, NEVER, rooms, servers};
use crate::support::within;
use crate::{log, start, stop};

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
