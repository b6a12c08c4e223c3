//! Events and acknowledgements, and what they carry.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::cell::Cell;
use crate::under_test::{Client, shortened};

pub(crate) async fn every_shape_of_json_comes_back(cell: &Cell) {
    let mut client = Client::connected(cell, json!({})).await;
    let nested = (0..40).fold(json!("innermost"), |inner, depth| match depth % 2 {
        0 => json!([inner]),
        _ => json!({"in": inner}),
    });
    for args in [
        json!([]),
        json!([null]),
        json!([true, false, null, 0, -1, "", [], {}]),
        json!([
            9_007_199_254_740_991_i64,
            -9_007_199_254_740_991_i64,
            1.5,
            -2.25e-7,
            1e300
        ]),
        json!([
            "plain",
            "\u{fc} \u{20ac} \u{4f60}\u{597d} \u{1f600}",
            "\0\u{1e}\u{2028}\"\\/\n"
        ]),
        json!([{"b": 1, "a": {"\u{43a}": [1, [2, [3]]]}, "": null, "42[\"x\"]": "2probe"}]),
        json!([{"_placeholder": true, "num": 0}]),
        json!([nested]),
        json!(["\u{1f600}".repeat(20_000)]),
        Value::Array((0..200).map(Value::from).collect()),
    ] {
        comes_back(&mut client, args).await;
    }
}

pub(crate) async fn nested_binary_comes_back(cell: &Cell) {
    let mut client = Client::connected(cell, json!({})).await;
    for args in [
        json!([binary(b"\0\x01\x1e\xfe\xff")]),
        json!([binary(b"1"), "between", binary(b"2"), [binary(b"3"), {"deep": {"er": binary(b"4")}}]]),
        json!([{"file": binary(&[0xab; 300_000]), "name": "\u{fc}.bin"}, binary(b"5")]),
        json!([binary(b""), null]),
        Value::Array((0..10).map(|byte| binary(&[byte])).collect()),
    ] {
        comes_back(&mut client, args).await;
    }
}

/// As an event, and as the acknowledgement.
async fn comes_back(client: &mut Client, args: Value) {
    let answer = client.ask("/", "echo", args.clone()).await;
    let expected = shortened(&args);
    assert!(
        answer == args,
        "{} instead of {expected}",
        shortened(&answer)
    );
    let event = client.event("echo").await;
    assert!(event == args, "{} instead of {expected}", shortened(&event));
}

fn binary(bytes: &[u8]) -> Value {
    json!({"$bin": BASE64_STANDARD.encode(bytes)})
}

pub(crate) async fn acknowledgements_go_both_ways(cell: &Cell) {
    let mut client = Client::connected(cell, json!({})).await;
    // Its own arguments.
    client
        .command(json!({"cmd": "answer", "event": "back"}))
        .await;
    let args = json!(["back", 10_000, "text", binary(b"6"), {"in": [binary(b"7")]}]);
    let answer = client.ask("/", "ask", args).await;
    assert_eq!(
        answer,
        json!(["text", binary(b"6"), {"in": [binary(b"7")]}])
    );
    assert_eq!(client.asked("back").await, answer);

    // Others, later; meanwhile another event is answered.
    let args = json!(["late", binary(b"8")]);
    let command = json!({"cmd": "answer", "event": "slow", "args": args, "delay_ms": 100});
    client.command(command).await;
    let slow = client
        .start_asking("/", "ask", json!(["slow", 10_000, 1]))
        .await;
    assert_eq!(client.ask("/", "echo", json!([2])).await, json!([2]));
    assert_eq!(client.answer(slow).await["args"], args);
}

pub(crate) async fn who_does_not_answer_is_not_waited_for(cell: &Cell) {
    let mut client = Client::connected(cell, json!({})).await;
    let ask = json!({
        "cmd": "emit", "ns": "/", "event": "deaf", "args": [], "ack": true, "timeout_ms": 100, "tag": "deaf",
    });
    client.command(ask).await;
    let answer = client.until("ack", |line| line["tag"] == "deaf").await;
    assert!(answer["error"].is_string(), "{answer}");
    // Nor does the server wait for the client.
    let answer = client.ask("/", "ask", json!(["unanswered", 100])).await;
    assert_eq!(answer, json!(["nobody answers"]));
    assert_eq!(client.ask("/", "echo", json!([1])).await, json!([1]));
}

/// An event comes again if, and only if, its acknowledgement was lost; one is in flight at a time, so that the
/// order is kept.
pub(crate) async fn an_event_is_repeated_until_it_is_acknowledged(cell: &Cell) {
    let mut observer = Client::connected(cell, json!({})).await;
    // No acknowledgement is late, whatever else the machine does: each is lost with its connection.
    let options = json!({"retries": 1, "ack_timeout_ms": 600_000});
    let mut client = Client::connected(cell, options).await;
    // Its GET waits behind this, on a connection that there is.
    client.ask("/", "echo", json!([])).await;
    client.relay.lose_answers();
    let mut asked = Vec::new();
    for (key, losses) in [("1 lost once", 0), ("2", 0), ("3 never", 9), ("4", 0)] {
        let args = json!([format!("cut {key}"), losses]);
        asked.push(client.start_asking("/", "flaky", args).await);
    }
    let mut log = vec!["cut 1 lost once"];
    logged(&mut observer, "cut", &log).await;
    client.lose_connection().await;
    client.come_back().await;
    log.extend(["cut 1 lost once", "cut 2", "cut 3 never"]);
    logged(&mut observer, "cut", &log).await;
    for (index, number) in [(0, 2), (1, 1)] {
        assert_eq!(client.answer(asked[index]).await["args"], json!([number]));
    }
    client.lose_connection().await;
    client.come_back().await;
    log.push("cut 3 never");
    logged(&mut observer, "cut", &log).await;
    // It has had its tries.
    client.lose_connection().await;
    let given_up = client.answer(asked[2]).await;
    assert!(given_up["error"].is_string(), "{given_up}");
    client.come_back().await;
    assert_eq!(client.answer(asked[3]).await["args"], json!([1]));
    log.push("cut 4");
    logged(&mut observer, "cut", &log).await;
}

/// What is never acknowledged is tried so often, and then the next one has its turn.
pub(crate) async fn an_event_that_is_never_acknowledged_is_given_up(cell: &Cell) {
    let mut observer = Client::connected(cell, json!({})).await;
    let options = json!({"retries": 2, "ack_timeout_ms": 100});
    let mut client = Client::connected(cell, options).await;
    let mut asked = Vec::new();
    for key in ["first", "second"] {
        let args = json!([format!("late {key}"), 9]);
        asked.push(client.start_asking("/", "flaky", args).await);
    }
    for tag in asked {
        let given_up = client.answer(tag).await;
        assert!(given_up["error"].is_string(), "{given_up}");
    }
    let log = [["late first"; 3], ["late second"; 3]];
    logged(&mut observer, "late", log.as_flattened()).await;
}

/// Waits until these have come to the server, in that order, and nothing else.
async fn logged(observer: &mut Client, prefix: &str, expected: &[&str]) {
    observer
        .ask_until("log", json!([prefix]), |answer| {
            let log = answer[0].as_array().unwrap();
            assert!(
                log.iter().zip(expected).all(|(one, other)| one == other)
                    && log.len() <= expected.len(),
                "{log:?} instead of {expected:?}"
            );
            log.len() == expected.len()
        })
        .await;
}
