//! Middleware that decides on single events.

use std::sync::Arc;
use std::time::Duration;

use ferriwire::{Config, HandlerError, LimitKind, Limits, Namespace};
use tokio::sync::Semaphore;

use crate::client::{Client, TRANSPORTS};
use crate::{log, serve, serve_with, stop};

#[tokio::test]
async fn a_refused_event_reaches_no_handler_and_its_sender_is_told() {
    let (seen, mut entries) = log();
    let (caught, handled) = (seen.clone(), seen.clone());
    let namespace = Namespace::new("/")
        .event_middleware(async |_, event, args| {
            if event == "secret" {
                return Err(HandlerError::refuse("not for you").data(args.0.len()));
            }
            let _: u64 = if event == "broken" { "x".parse()? } else { 0 };
            Ok(())
        })
        .on_any(async move |_, event, _| caught.write(format!("any {event}")))
        .on("secret", async move |_, _: u64| {
            handled.write("handled".to_owned())
        })
        .on_error(async move |_, event, error| seen.write(format!("error {event} {error}")))
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        client.send(r#"20["secret",1]"#).await;
        client
            .expect(r#"30[{"error":{"message":"not for you","data":1}}]"#)
            .await;
        client.send(r#"21["broken"]"#).await;
        client
            .expect(r#"31[{"error":{"message":"internal error"}}]"#)
            .await;
        client.send(r#"2["secret",1]"#).await;
        client.expect_nothing().await;
        for expected in [
            "any secret",
            "error secret not for you",
            "any broken",
            "error broken invalid digit found in string",
            "any secret",
            "error secret not for you",
            "any settle",
        ] {
            assert_eq!(entries.next().await, expected);
        }
    }
}

#[tokio::test]
async fn events_keep_their_order_while_middleware_waits() {
    let (seen, entries) = log();
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    let (a, b) = (seen.clone(), seen);
    let namespace = Namespace::new("/")
        .event_middleware(async move |_, event, _| {
            if event == "slow" {
                gate.acquire().await?.forget();
            }
            Ok(())
        })
        .on("slow", async move |_, number: u64| a.write(number))
        .on("fast", async move |_, number: u64| b.write(number))
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    let mut other = Client::connect(&server).await;
    for number in 0..10 {
        let name = if number % 3 == 0 { "slow" } else { "fast" };
        client
            .send(&format!(r#"2{number}["{name}",{number}]"#))
            .await;
    }
    // Another socket does not wait.
    other.send(r#"2["fast",100]"#).await;
    other.expect_nothing().await;
    open.add_permits(4);
    for number in 0..10 {
        client.expect(&format!("3{number}[]")).await;
    }
    drop((client, other));
    stop(server).await;
    let mut expected = vec![100];
    expected.extend(0..10);
    assert_eq!(entries.rest().await, expected);
}

#[tokio::test]
async fn several_run_one_behind_the_other_and_those_of_the_socket_last() {
    let (seen, entries) = log();
    let (a, b, c) = (seen.clone(), seen.clone(), seen);
    let namespace = Namespace::new("/")
        .event_middleware(async move |_, event, _| {
            a.write("first");
            if event == "stop" {
                return Err(HandlerError::refuse("stopped"));
            }
            Ok(())
        })
        .event_middleware(async move |_, _, _| {
            tokio::task::yield_now().await;
            b.write("second");
            Ok(())
        })
        .on("more", async move |socket, _: ()| {
            let c = c.clone();
            socket.event_middleware(async move |_, _, _| {
                c.write("late");
                Err(HandlerError::refuse("closed"))
            });
        })
        .on("stop", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"20["stop"]"#).await;
    client
        .expect(r#"30[{"error":{"message":"stopped"}}]"#)
        .await;
    client.send(r#"21["more"]"#).await;
    client.expect("31[]").await;
    client.send(r#"22["more"]"#).await;
    client.expect(r#"32[{"error":{"message":"closed"}}]"#).await;
    drop(client);
    stop(server).await;
    let expected = ["first", "first", "second", "first", "second", "late"];
    assert_eq!(entries.rest().await, expected);
}

#[tokio::test]
async fn middleware_that_panics_ends_its_socket_and_no_more() {
    let namespace = Namespace::new("/")
        .event_middleware(async |_, event, _| {
            assert_ne!(event, "panic");
            Ok(())
        })
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    let mut other = Client::connect(&server).await;
    client.send(r#"2["panic"]"#).await;
    client.expect("1").await;
    other.expect_nothing().await;
    assert_eq!(server.stats().handler_panics, 1);
    client.join("/").await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn an_event_whose_sender_left_while_middleware_waited_is_not_handled() {
    let (seen, entries) = log();
    let gate = Arc::new(Semaphore::new(0));
    let (waits, gone) = (Arc::clone(&gate), Arc::clone(&gate));
    let namespace = Namespace::new("/")
        .event_middleware(async move |_, _, _| {
            waits.acquire().await?.forget();
            Ok(())
        })
        .on("event", async move |_, _: ()| seen.write(()))
        .on_disconnect(async move |_, _| gone.add_permits(1));
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send_all(&[r#"20["event"]"#, "1"]).await;
    client.join("/").await;
    drop(client);
    stop(server).await;
    assert!(entries.rest().await.is_empty());
}

/// What comes behind it is not held for ever.
#[tokio::test]
async fn event_middleware_that_never_decides_refuses_the_event() {
    let (seen, mut entries) = log();
    let limits = Limits::new().event_middleware_timeout(Duration::from_millis(50));
    let namespace = Namespace::new("/")
        .event_middleware(async |_, event, _| {
            if event == "hang" {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
        .on_error(async move |_, event, error| seen.write(format!("{event}: {error}")))
        .on("next", async |_, _: ()| ());
    let server = serve_with(Config::new().limits(limits), namespace).await;
    let mut client = Client::connect(&server).await;
    client.send_all(&[r#"20["hang"]"#, r#"21["next"]"#]).await;
    client
        .expect(r#"30[{"error":{"message":"event middleware timed out"}}]"#)
        .await;
    client.expect("31[]").await;
    assert_eq!(entries.next().await, "hang: event middleware timed out");
    assert_eq!(server.stats().limited(LimitKind::EventMiddlewareTime), 1);
}
