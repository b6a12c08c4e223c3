//! Going away without being asked, and coming back.

use std::time::{Duration, Instant};

use serde_json::json;

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
        client.relay.refuse(false);
        client.next("connect").await;
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

pub(crate) async fn a_client_that_recovers_has_missed_nothing(cell: &Cell) {
    // The reference notices that a client which polls is away only when that happens while a GET waits, and
    // until then there is no session to come back to: it is tried again.
    let is_late = cell.make == Make::Node4 && cell.transport == Transport::Polling;
    let mut tries = if is_late { 10 } else { 1 };
    while !recovers(cell).await {
        tries -= 1;
        assert!(tries > 0, "it was not recovered");
    }
}

/// Whether it is recovered after each cut. Then all that was sent has come, in order and once.
async fn recovers(cell: &Cell) -> bool {
    const COUNT: u64 = 30;
    let mut client = Client::connected(cell, json!({})).await;
    let id = client.status().await["namespaces"]["/"]["id"].take();
    client.ask("/", "stream", json!([COUNT, 20])).await;
    let mut next = 0;
    for until in [3, 10] {
        while next < until {
            assert_eq!(client.event("item").await, json!([next]));
            next += 1;
        }
        client.lose_connection().await;
        client.next("reconnect_attempt").await;
        client.relay.refuse(false);
        let line = client.next("connect").await;
        if line["recovered"] != true {
            return false;
        }
        assert_eq!(line["id"], id);
    }
    while next < COUNT {
        assert_eq!(client.event("item").await, json!([next]));
        next += 1;
    }
    assert_eq!(client.ask("/", "echo", json!([])).await, json!([]));
    let left = client.left_over("event").into_iter();
    assert_eq!(left.filter(|line| line["event"] == "item").count(), 0);
    true
}

/// The pauses double from 100 ms to at most 400 ms, and chance changes each by up to a half.
pub(crate) async fn a_killed_server_is_tried_again_at_the_right_times(cell: &Cell) {
    let options = json!({
        "reconnection_delay_ms": 100, "reconnection_delay_max_ms": 400, "randomization_factor": 0.5,
    });
    let mut client = Client::connected(cell, options).await;
    cell.kill_server().await;
    let line = client.next("disconnect").await;
    let reason = line["reason"].as_str().unwrap();
    assert!(
        ["transport close", "transport error"].contains(&reason),
        "{reason}"
    );
    client.emit("echo", json!(["while it was away"])).await;

    let mut before = Instant::now();
    for (attempt, least, most) in [(1, 50, 150), (2, 100, 300), (3, 200, 400), (4, 200, 400)] {
        let line = client.next("reconnect_attempt").await;
        assert_eq!(line["attempt"], attempt);
        let after = line["after_ms"].as_f64().unwrap();
        // The official client does not tell, so that its time is measured.
        let late = f64::from(if is_other() { 200 } else { 0 });
        let bounds = f64::from(least)..=f64::from(most) + late;
        assert!(
            bounds.contains(&after),
            "attempt {attempt} after {after} ms"
        );
        if attempt > 1 {
            // A line may be read a moment later than it was written.
            let waited = before.elapsed() + Duration::from_millis(25);
            assert!(
                waited >= Duration::from_secs_f64(after / 1_000.0),
                "{waited:?}"
            );
        }
        before = Instant::now();
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
