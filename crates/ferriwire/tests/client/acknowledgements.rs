//! Acknowledgements both ways. Cases 80 to 82.

use std::time::Duration;

use ferriwire::{AckError, Event, HandlerError, Namespace, Value};

use crate::support::within;
use crate::{WAYS, Way, notes, serve_one};

const ADD: Event<(i64, i64), i64> = Event::new("add");

#[tokio::test]
async fn the_server_answers_and_so_does_the_client() {
    let (answers, mut answered) = notes();
    let namespace =
        Namespace::new("/")
            .on(ADD, async |_, (a, b)| a + b)
            .on("ask", async move |socket, ()| {
                let answer = socket.emit_with_ack(ADD, (20, 3)).await;
                answers.send(answer.ok()).expect("the test lives");
                let early = Event::<String, String>::new("early");
                let answer = socket.emit_with_ack(early, "x").await.ok();
                answers
                    .send(answer.map(|text| i64::try_from(text.len()).unwrap()))
                    .expect("the test lives");
            });
    let server = serve_one(namespace).await;
    for way in WAYS {
        let client = way
            .to(&server, "/")
            .on(ADD, async |_, (a, b)| a + b)
            .on_with_ack(
                Event::<String, String>::new("early"),
                async |_, text, ack| {
                    ack.send(format!("{text}!")).unwrap();
                },
            )
            .connect()
            .await
            .unwrap();
        let sum = within("an answer", client.emit_with_ack(ADD, (1, 2))).await;
        assert_eq!(sum.unwrap(), 3, "{way:?}");
        client.emit("ask", ()).unwrap();
        assert_eq!(
            answered.next("the client's answer").await,
            Some(23),
            "{way:?}"
        );
        assert_eq!(answered.next("the early answer").await, Some(2), "{way:?}");
        client.close().await;
    }
}

#[tokio::test]
async fn a_handlers_error_and_a_payload_that_does_not_fit_are_told() {
    let namespace = Namespace::new("/").on(ADD, async |_, (_, _)| {
        Err::<i64, _>(HandlerError::refuse("not today").data(3))
    });
    let server = serve_one(namespace).await;
    let client = Way::WebSocket.to(&server, "/").connect().await.unwrap();
    let refused = within("an answer", client.emit_with_ack(ADD, (1, 2))).await;
    let Err(AckError::Refused { message, data }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        (message.as_str(), data),
        ("not today", Some(Value::from(3)))
    );
    let refused = within("an answer", client.emit_with_ack("add", "text")).await;
    assert!(
        matches!(refused, Err(AckError::Refused { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_waited_for_so_long() {
    let namespace = Namespace::new("/").on_with_ack(ADD, async |_, _, ack| {
        std::mem::forget(ack);
    });
    let server = serve_one(namespace).await;
    let client = Way::WebSocket.to(&server, "/").connect().await.unwrap();
    let timeout = Duration::from_millis(20);
    let answer = client.timeout(timeout).emit_with_ack(ADD, (1, 2));
    let answer = within("the timeout", answer).await;
    assert!(
        matches!(answer, Err(AckError::Timeout(after)) if after == timeout),
        "{answer:?}"
    );
}

#[tokio::test]
async fn who_waits_is_told_when_the_connection_is_lost() {
    // Case 80
    let (asked, mut asks) = notes();
    let namespace = Namespace::new("/").on_with_ack(ADD, async move |_, _, ack| {
        asked.send(ack).expect("the test lives");
    });
    let server = serve_one(namespace).await;
    for way in WAYS {
        let client = way.to(&server, "/").connect().await.unwrap();
        let answer = client.emit_with_ack(ADD, (1, 2));
        let ack = asks.next("the question").await;
        client.cut();
        let answer = within("the loss", answer).await;
        assert!(
            matches!(answer, Err(AckError::Disconnected)),
            "{way:?}: {answer:?}"
        );
        drop(ack);
        client.close().await;
    }
}

#[tokio::test]
async fn an_event_that_waits_for_a_connection_is_not_sent_behind_its_timeout() {
    // Case 81
    let (numbers, mut seen) = notes();
    let namespace = Namespace::new("/").on("number", async move |_, number: u32| {
        numbers.send(number).expect("the test lives");
    });
    let server = serve_one(namespace).await;
    let client = Way::WebSocket.to(&server, "/").connect().await.unwrap();
    client.disconnect();
    crate::support::until("leaving", || !client.is_connected()).await;
    let late = client
        .timeout(Duration::from_millis(10))
        .emit_with_ack("number", 1);
    client.emit("number", 2).unwrap();
    let late = within("the timeout", late).await;
    assert!(matches!(late, Err(AckError::Timeout(_))), "{late:?}");
    client.connect();
    assert_eq!(seen.next("what was kept").await, 2);
}
