//! Answers to the client, and answers of the client.

use std::num::ParseIntError;
use std::time::Duration;

use ferriwire::{AckError, Config, EmitError, Event, HandlerError, Namespace, Value};
use serde::Deserialize;
use tokio::sync::Notify;

use std::sync::Arc;

use crate::client::{Client, TRANSPORTS};
use crate::support::until;
use crate::{log, serve, serve_with};

const DIVIDE: Event<(i64, i64), i64> = Event::new("divide");
const PARSE: Event<String, i64> = Event::new("parse");
const ASK: Event<String, u64> = Event::new("ask");

#[derive(Debug, Deserialize)]
struct Order {
    #[expect(dead_code, reason = "only its type matters")]
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    #[expect(dead_code, reason = "only its type matters")]
    count: u32,
}

#[tokio::test]
async fn what_a_handler_returns_is_the_acknowledgement() {
    let namespace = Namespace::new("/").on(DIVIDE, async |_, (dividend, divisor)| {
        if divisor == 0 {
            return Err(HandlerError::refuse("division by zero").data(dividend));
        }
        Ok(dividend / divisor)
    });
    let server = serve(namespace.on("settle", async |_, _: ()| ())).await;
    for transport in TRANSPORTS {
        let mut client = Client::connect_over(&server, transport).await;
        client.send(r#"20["divide",6,3]"#).await;
        client.expect("30[2]").await;
        client.send(r#"2123["divide",6,0]"#).await;
        client
            .expect(r#"3123[{"error":{"message":"division by zero","data":6}}]"#)
            .await;
        // Who does not ask gets no answer.
        client.send(r#"2["divide",6,0]"#).await;
        client.send(r#"2["divide",6,"x"]"#).await;
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn an_internal_error_hides_its_text() {
    let namespace = Namespace::new("/").on(PARSE, async |_, text| {
        let number: Result<i64, ParseIntError> = text.parse();
        Ok(number?)
    });
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"20["parse","12"]"#).await;
    client.expect("30[12]").await;
    client.send(r#"21["parse","secret"]"#).await;
    client
        .expect(r#"31[{"error":{"message":"internal error"}}]"#)
        .await;
}

#[tokio::test]
async fn a_mismatch_is_answered_with_its_path() {
    let namespace = Namespace::new("/")
        .on("order", async |_, (_, _): (u64, Order)| ())
        .on("unit", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    let cases = [
        (r#"["order","x"]"#, "[0]"),
        (r#"["order",1]"#, "[1]"),
        (r#"["order",1,{}]"#, "[1]"),
        (
            r#"["order",1,{"items":[{"count":1},{"count":-1}]}]"#,
            "[1].items[1].count",
        ),
    ];
    for (event, path) in cases {
        client.send(&format!("27{event}")).await;
        client
            .expect(&format!(
                r#"37[{{"error":{{"message":"invalid payload","path":"{path}"}}}}]"#
            ))
            .await;
    }
    // The connection lives on.
    client.send(r#"28["unit"]"#).await;
    client.expect("38[]").await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_is_an_internal_error() {
    let namespace = Namespace::new("/").on("deep", async |_, _: ()| {
        (0..200).fold(Value::Null, |deep, _| Value::Array(vec![deep]))
    });
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"20["deep"]"#).await;
    client
        .expect(r#"30[{"error":{"message":"internal error"}}]"#)
        .await;
}

const EARLY: Event<(), u64> = Event::new("early");
const LATE: Event<(), u64> = Event::new("late");
const NEVER: Event<(), u64> = Event::new("never");

#[tokio::test]
async fn a_handler_answers_early_late_or_never() {
    let go_on = Arc::new(Notify::new());
    let waits = Arc::clone(&go_on);
    let (seen, mut entries) = log();
    let (early, wanted) = (seen.clone(), seen);
    let namespace = Namespace::new("/")
        .on_with_ack(EARLY, async move |socket, (), ack| {
            assert!(ack.send(1).is_ok());
            drop(socket.emit("after the answer", ()));
            early.write("early");
        })
        .on_with_ack(LATE, async move |_, (), ack| {
            // Somebody else answers, when the handler has ended.
            tokio::spawn(async move {
                waits.notified().await;
                ack.send(2)
            });
        })
        .on_with_ack(NEVER, async move |_, (), ack| {
            wanted.write(if ack.is_wanted() {
                "wanted"
            } else {
                "not wanted"
            });
        })
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"25["late"]"#).await;
    client.send(r#"26["early"]"#).await;
    client.expect("36[1]").await;
    client.expect(r#"2["after the answer"]"#).await;
    client.send(r#"27["never"]"#).await;
    client.send(r#"2["never"]"#).await;
    client.send(r#"2["early"]"#).await;
    client.expect(r#"2["after the answer"]"#).await;
    client.expect_nothing().await;
    for entry in ["early", "wanted", "not wanted", "early"] {
        assert_eq!(entries.next().await, entry);
    }
    go_on.notify_one();
    client.expect("35[2]").await;
}

#[tokio::test]
async fn an_answer_to_a_client_that_has_gone_is_an_error() {
    let go_on = Arc::new(Notify::new());
    let (waits, gone) = (Arc::clone(&go_on), Arc::clone(&go_on));
    let (seen, mut entries) = log::<bool>();
    let namespace = Namespace::new("/")
        .on_with_ack(LATE, async move |_, (), ack| {
            waits.notified().await;
            seen.write(matches!(ack.send(2), Err(EmitError::Disconnected)));
        })
        .on_disconnect(async move |_, _| gone.notify_one());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"25["late"]"#).await;
    client.send("1").await;
    assert!(entries.next().await);
}

#[tokio::test]
async fn of_several_handlers_of_an_event_the_first_one_answers() {
    let (seen, mut entries) = log();
    let second = seen.clone();
    let namespace = Namespace::new("/")
        .on("event", async move |_, number: u64| {
            tokio::task::yield_now().await;
            seen.write(number);
            "first"
        })
        .on("event", async move |_, number: u64| {
            second.write(number);
            "second"
        })
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"20["event",7]"#).await;
    client.expect(r#"30["first"]"#).await;
    assert_eq!((entries.next().await, entries.next().await), (7, 7));
    client.expect_nothing().await;
}

/// A payload that did not fit the second of two handlers was answered with an error besides the
/// first one's answer, and kept the handlers behind from running.
#[tokio::test]
async fn a_handler_that_the_payload_does_not_fit_does_not_concern_the_others() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/")
        .on("event", async |_, number: u64| {
            tokio::task::yield_now().await;
            number
        })
        .on("event", async |_, _: String| ())
        .on("event", async move |_, number: u64| seen.write(number))
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"20["event",7]"#).await;
    client.expect("30[7]").await;
    assert_eq!(entries.next().await, 7);
    client.send(r#"21["event","seven"]"#).await;
    client
        .expect(r#"31[{"error":{"message":"invalid payload","path":"[0]"}}]"#)
        .await;
    client.expect_nothing().await;
}

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
    let config = Config::new().ack_timeout(2 * timeout);
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
    let config = Config::new().max_pending_acks(2);
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
    let server = serve_with(Config::new().max_pending_acks(0), namespace).await;
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

/// The number under which the client is asked this.
pub(crate) async fn asked(client: &mut Client, event: &str) -> u64 {
    let packet = client.packet().await;
    let id = packet
        .strip_prefix('2')
        .and_then(|packet| packet.strip_suffix(event));
    let id = id.and_then(|id| id.parse().ok());
    id.unwrap_or_else(|| crate::support::fail(&format!("{event} was expected, not {packet}")))
}
