//! Acknowledgements that a client owes: `emit_with_ack` to one socket, 63.

use std::time::Duration;

use ferriwire::{AckError, Config, EmitError, Event, Limits, Namespace};

use crate::client::{Client, TRANSPORTS, asked};
use crate::support::until;
use crate::{log, serve, serve_with};

const ASK: Event<String, u64> = Event::new("ask");

#[tokio::test]
async fn the_client_answers() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on("go", async move |socket, _: ()| {
        seen.write(format!("{:?}", socket.emit_with_ack(ASK, "number?").await));
        seen.write(format!("{:?}", socket.emit_with_ack("any", (1, 2)).await));
    });
    let server = serve(namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        client.send(r#"2["go"]"#).await;
        let id = asked(&mut client, r#"["ask","number?"]"#).await;
        client.send(&format!("3{id}[42,\"more\"]")).await;
        assert_eq!(entries.next().await, "Ok(42)");
        let id = asked(&mut client, r#"["any",1,2]"#).await;
        // The list may be left out.
        client.send(&format!("3{id}")).await;
        assert_eq!(entries.next().await, "Ok(Args([]))");
    }
}

#[tokio::test]
async fn an_answer_of_another_type_is_a_mismatch() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on("go", async move |socket, _: ()| {
        seen.write(socket.emit_with_ack(ASK, "number?").await);
    });
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"2["go"]"#).await;
    let id = asked(&mut client, r#"["ask","number?"]"#).await;
    client.send(&format!(r#"3{id}["many"]"#)).await;
    assert!(matches!(entries.next().await, Err(AckError::Mismatch(_))));
}

#[tokio::test]
async fn an_answer_that_does_not_come_times_out_and_is_ignored_when_it_comes_late() {
    let (seen, mut entries) = log();
    let timeout = Duration::from_millis(20);
    let namespace = Namespace::new("/").on("go", async move |socket, own: bool| {
        let answer = if own {
            socket.timeout(timeout).emit_with_ack(ASK, "number?").await
        } else {
            socket.emit_with_ack(ASK, "number?").await
        };
        seen.write(answer);
    });
    let config = Config::new().limits(Limits::new().ack_timeout(2 * timeout));
    let server = serve_with(config, namespace).await;
    for (own, expected) in [(true, timeout), (false, 2 * timeout)] {
        let mut client = Client::connect(&server).await;
        client.send(&format!(r#"2["go",{own}]"#)).await;
        let id = asked(&mut client, r#"["ask","number?"]"#).await;
        let answer = entries.next().await;
        assert!(matches!(answer, Err(AckError::Timeout(waited)) if waited == expected));
        let before = server.stats().unexpected_acks;
        client.send(&format!("3{id}[1]")).await;
        until("the late answer counts", || {
            server.stats().unexpected_acks == before + 1
        })
        .await;
    }
}

#[tokio::test]
async fn a_timeout_may_be_endless() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on("go", async move |socket, _: ()| {
        let forever = socket.timeout(Duration::MAX);
        seen.write(forever.emit_with_ack(ASK, "number?").await);
    });
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"2["go"]"#).await;
    let id = asked(&mut client, r#"["ask","number?"]"#).await;
    client.send(&format!("3{id}[1]")).await;
    assert!(matches!(entries.next().await, Ok(1)));
}

#[tokio::test]
async fn who_leaves_does_not_answer() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on("go", async move |socket, _: ()| {
        seen.write(socket.emit_with_ack(ASK, "number?").await);
        // And not any more afterwards.
        let again = socket.emit_with_ack(ASK, "number?").await;
        seen.write(again);
    });
    let server = serve(namespace).await;
    for leave_politely in [true, false] {
        let mut client = Client::connect(&server).await;
        client.send(r#"2["go"]"#).await;
        asked(&mut client, r#"["ask","number?"]"#).await;
        if leave_politely {
            client.send("1").await;
        }
        let websocket = client.into_websocket();
        if !leave_politely {
            websocket.reset();
        }
        assert!(matches!(entries.next().await, Err(AckError::Disconnected)));
        assert!(matches!(
            entries.next().await,
            Err(AckError::Disconnected | AckError::Emit(EmitError::Disconnected))
        ));
    }
}

#[tokio::test]
async fn a_client_may_owe_only_so_many_answers() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on("go", async move |socket, _: ()| {
        let first = socket.emit_with_ack("a", ());
        let second = socket.emit_with_ack("b", ());
        let third = socket.emit_with_ack("c", ()).await;
        seen.write(matches!(third, Err(AckError::TooManyPending(2))));
        // A dropped one is not owed any more.
        drop(first);
        let fourth = socket.emit_with_ack("d", ());
        seen.write(second.await.is_ok());
        seen.write(fourth.await.is_ok());
    });
    let config = Config::new().limits(Limits::new().max_pending_acks(2));
    let server = serve_with(config, namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"2["go"]"#).await;
    let first = asked(&mut client, r#"["a"]"#).await;
    let second = asked(&mut client, r#"["b"]"#).await;
    let fourth = asked(&mut client, r#"["d"]"#).await;
    for id in [first, second, fourth] {
        client.send(&format!("3{id}[]")).await;
    }
    for _ in 0..3 {
        assert!(entries.next().await);
    }
    assert_eq!(server.stats().unexpected_acks, 1);
}

#[tokio::test]
async fn a_limit_of_no_answers_at_all_holds() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on_connect(async move |socket| {
        let answer = socket.emit_with_ack("a", ()).await;
        seen.write(matches!(answer, Err(AckError::TooManyPending(0))));
    });
    let server = serve_with(
        Config::new().limits(Limits::new().max_pending_acks(0)),
        namespace,
    )
    .await;
    let _client = Client::connect(&server).await;
    assert!(entries.next().await);
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_counted_and_ignored() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/")
        .on("go", async move |socket, _: ()| {
            seen.write(socket.emit_with_ack(ASK, "number?").await);
        })
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut asked_one = Client::connect(&server).await;
    let mut other = Client::connect(&server).await;
    asked_one.send(r#"2["go"]"#).await;
    let id = asked(&mut asked_one, r#"["ask","number?"]"#).await;
    other.send(&format!("3{id}[666]")).await;
    other.expect_nothing().await;
    assert_eq!(server.stats().unexpected_acks, 1);
    asked_one.send(&format!("3{id}[1]")).await;
    asked_one.send(&format!("3{id}[2]")).await;
    assert!(matches!(entries.next().await, Ok(1)));
    asked_one.send("39007199254740991[3]").await;
    asked_one.expect_nothing().await;
    assert_eq!(server.stats().unexpected_acks, 3);
}

#[tokio::test]
async fn a_reserved_name_cannot_be_asked() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on_connect(async move |socket| {
        seen.write(socket.emit_with_ack("connect", ()).await);
    });
    let server = serve(namespace).await;
    let _client = Client::connect(&server).await;
    assert!(matches!(
        entries.next().await,
        Err(AckError::Emit(EmitError::Reserved(name))) if name == "connect"
    ));
}
