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

/// Some lose acknowledgements, and one all of them: whatever comes twice, the order is kept.
pub(crate) async fn an_event_is_repeated_until_it_is_acknowledged(cell: &Cell) {
    const TRIES: usize = 5;
    const LOSSES: [(&str, usize); 5] = [
        ("first", 2),
        ("second", 0),
        ("third", 1),
        ("lost", 9),
        ("last", 0),
    ];
    let options = json!({"retries": TRIES - 1, "ack_timeout_ms": 400});
    let mut client = Client::connected(cell, options).await;
    let mut asked = Vec::new();
    for (key, losses) in LOSSES {
        let args = json!([format!("repeated {key}"), losses]);
        asked.push(client.start_asking("/", "flaky", args).await);
    }
    for ((key, losses), tag) in LOSSES.into_iter().zip(asked) {
        let answer = client.answer(tag).await;
        let is_answered = losses < TRIES;
        assert_eq!(answer["args"].is_array(), is_answered, "{key}: {answer}");
        assert_eq!(answer["error"].is_string(), !is_answered, "{key}: {answer}");
    }
    let log = client.ask("/", "log", json!(["repeated"])).await;
    let log: Vec<_> = log[0]
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    // On a machine that is busy an acknowledgement may come too late, which is as good as lost.
    let runs: Vec<_> = log.chunk_by(|one, next| one == next).collect();
    assert_eq!(runs.len(), LOSSES.len(), "{log:?}");
    for (run, (key, losses)) in runs.into_iter().zip(LOSSES) {
        assert!(run[0].contains(key), "{log:?}");
        let least = TRIES.min(losses + 1);
        assert!((least..=TRIES).contains(&run.len()), "{log:?}");
    }
}
