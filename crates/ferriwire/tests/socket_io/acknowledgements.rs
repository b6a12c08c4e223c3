//! Answers that a client asked for.

use std::num::ParseIntError;
use std::sync::Arc;

use ferriwire::{EmitError, Event, HandlerError, Namespace, Value};
use serde::Deserialize;
use tokio::sync::Notify;

use crate::client::{Client, TRANSPORTS};
use crate::{log, serve};

const DIVIDE: Event<(i64, i64), i64> = Event::new("divide");
const PARSE: Event<String, i64> = Event::new("parse");

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
