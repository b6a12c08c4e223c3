//! Going away without being asked, and coming back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cell::{Cell, Transport};
use crate::make::Make;
use crate::under_test::{Client, is_other};

pub(crate) async fn each_attempt_presents_a_fresh_token(cell: &Cell) {
    let sequence: Vec<_> = (1..=3)
        .map(|n| json!({"token": format!("good {n}")}))
        .collect();
    let options = json!({"namespaces": ["/guarded"], "auth_sequence": sequence});
    let mut client = Client::connected(cell, options).await;
    for _ in 0..2 {
        client.lose_connection().await;
        client.come_back().await;
    }
    let tokens = client.ask("/guarded", "tokens", json!(["good"])).await;
    assert_eq!(tokens, json!([["good 1", "good 2", "good 3"]]));
}

/// Case 80, from outside: what was emitted while the client was away comes first, in order, and its
/// acknowledgements survive.
pub(crate) async fn what_waited_leaves_before_what_is_sent_on_connecting(cell: &Cell) {
    let mut client = Client::connected(cell, json!({})).await;
    client.lose_connection().await;
    let mut asked = Vec::new();
    for number in 0..5 {
        asked.push(client.start_asking("/", "echo", json!([number])).await);
    }
    client.relay.refuse(false);
    client.next("connect").await;
    client.emit("echo", json!([5])).await;
    for number in 0..6 {
        assert_eq!(client.event("echo").await, json!([number]));
    }
    for (number, tag) in asked.into_iter().enumerate() {
        assert_eq!(client.answer(tag).await["args"], json!([number]));
    }
}

/// After each cut all has come, in order and once: what was sent while it was away, and what was lost on its
/// way.
pub(crate) async fn a_client_that_recovers_has_missed_nothing(cell: &Cell) {
    let mut sender = Client::connected(cell, json!({})).await;
    let mut client = Client::connected(cell, json!({})).await;
    let id = client.status().await["namespaces"]["/"]["id"].take();
    // The reference notices that a client which polls is away only when that happens while a GET waits; until
    // its heartbeat is late there is no session to come back to. An answer to a GET is not lost there.
    let needs_get = cell.make == Make::Node4 && cell.transport == Transport::Polling;
    let mut next = 0;
    for round in 0..3 {
        send(&mut sender, &id, next, 3).await;
        arrive(&mut client, &mut next, 3).await;
        if needs_get {
            let waits = |answer: &Value| answer[0] == true;
            sender.ask_until("reachable", json!([id]), waits).await;
        } else {
            client.relay.lose_answers();
            send(&mut sender, &id, next, 2).await;
        }
        client.lose_connection().await;
        let lost = if needs_get { 0 } else { 2 };
        send(&mut sender, &id, next + lost, round).await;
        client.next("reconnect_attempt").await;
        let line = client.come_back().await;
        assert_eq!((&line["recovered"], &line["id"]), (&json!(true), &id));
        arrive(&mut client, &mut next, lost + round).await;
    }
    assert_eq!(client.ask("/", "echo", json!([])).await, json!([]));
    let left = client.left_over("event").into_iter();
    assert_eq!(left.filter(|line| line["event"] == "item").count(), 0);
}

/// Has the server send so many items to the client with that id, here or away.
async fn send(sender: &mut Client, id: &Value, first: u64, count: u64) {
    let args = json!([id, first, count]);
    assert_eq!(sender.ask("/", "items", args).await, json!([]));
}

async fn arrive(client: &mut Client, next: &mut u64, count: u64) {
    for _ in 0..count {
        assert_eq!(client.event("item").await, json!([*next]));
        *next += 1;
    }
}

/// The pauses double from 100 ms to at most 400 ms, and chance changes each by up to a half.
pub(crate) async fn a_killed_server_is_tried_again_at_the_right_times(cell: &Cell) {
    let options = json!({
        "reconnection_delay_ms": 100, "reconnection_delay_max_ms": 400, "randomization_factor": 0.5,
    });
    let mut client = Client::connected(cell, options).await;
    let killed = Instant::now();
    cell.kill_server().await;
    let line = client.next("disconnect").await;
    let reason = line["reason"].as_str().unwrap();
    assert!(
        ["transport close", "transport error"].contains(&reason),
        "{reason}"
    );
    client.emit("echo", json!(["while it was away"])).await;

    let mut pauses = Duration::ZERO;
    for (attempt, least, most) in [(1, 50, 150), (2, 100, 300), (3, 200, 400), (4, 200, 400)] {
        let line = client.next("reconnect_attempt").await;
        assert_eq!(line["attempt"], attempt);
        let after = line["after_ms"].as_f64().unwrap();
        // The official client does not tell, so that its time is measured: on a busy machine it may be late.
        let is_right = after >= f64::from(least) && (is_other() || after <= f64::from(most));
        assert!(is_right, "attempt {attempt} after {after} ms");
        // It has waited for as long as it says.
        pauses += Duration::from_secs_f64(after / 1_000.0);
        let waited = killed.elapsed();
        assert!(is_other() || waited >= pauses, "{waited:?}");
    }
    cell.restart_server().await;
    client.relay.move_to(cell.address());
    let line = client.next("reconnect").await;
    assert!(line["attempt"].as_u64().unwrap() >= 4);
    client.next("connect").await;
    assert_eq!(client.event("echo").await, json!(["while it was away"]));
    assert_eq!(
        client.ask("/", "echo", json!(["now"])).await,
        json!(["now"])
    );
}
