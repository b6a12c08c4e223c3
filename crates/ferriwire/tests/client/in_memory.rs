//! What the in-memory network does to clients, in virtual time.

use std::time::Duration;

use ferriwire::client::DisconnectReason;
use ferriwire::test::{Direction, Network};
use ferriwire::{Event, Namespace, Server, Transport};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::{WAYS, Way};

const ECHO: Event<String, String> = Event::new("echo");

fn server() -> Server {
    let namespace = Namespace::new("/").on(ECHO, async |_, text: String| text);
    Server::new().namespace(namespace)
}

#[tokio::test(start_paused = true)]
async fn clients_reach_the_server_on_each_transport() {
    let network = Network::new(server()).unwrap();
    for way in WAYS {
        let client = way.through(&network.wire()).connect().await.unwrap();
        for text in ["one", "two"] {
            let answer = client.emit_with_ack(ECHO, text).await;
            assert_eq!(answer.unwrap(), text, "{way:?}");
        }
        client.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_noticed_by_both_sides() {
    for way in WAYS {
        let (reasons, mut reason) = mpsc::unbounded_channel();
        let (server_reasons, mut server_reason) = mpsc::unbounded_channel();
        let namespace = Namespace::new("/").on_disconnect(async move |_, reason| {
            server_reasons
                .send(reason.as_str())
                .expect("the test lives");
        });
        let network = Network::new(Server::new().namespace(namespace)).unwrap();
        let wire = network.wire();
        let client = way
            .through(&wire)
            .on_disconnect(async move |_, reason| reasons.send(reason).expect("the test lives"))
            .connect()
            .await
            .unwrap();
        // An upgrade has its time.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let begun = Instant::now();
        wire.half_open();
        let patience = Duration::from_secs(60);
        let reason = timeout(patience, reason.recv()).await;
        assert_eq!(reason, Ok(Some(DisconnectReason::PingTimeout)), "{way:?}");
        let reason = timeout(patience, server_reason.recv()).await;
        assert_eq!(reason, Ok(Some("ping timeout")), "{way:?}");
        let silent = begun.elapsed().as_secs();
        assert!((40..=46).contains(&silent), "{way:?}: {silent} s");
        wire.heal();
        while !client.is_connected() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        client.close().await;
    }
}

/// The change is decided when the last answer on polling is there; that the candidate has died in the same
/// instant is seen before `5` is written. So nothing is lost, and the session goes on where it was.
#[tokio::test(start_paused = true)]
async fn a_candidate_that_dies_with_the_last_answer_on_polling_costs_nothing() {
    let network = Network::new(server()).unwrap();
    let wire = network.wire();
    let (written, mut until_then) = mpsc::unbounded_channel();
    let of_server = wire.clone();
    let client = Way::Upgrade
        .through(&wire)
        .on_upgrade(async move |_, _| {
            let passed = of_server.passed(Direction::ToClient);
            written.send(passed).expect("the test lives");
        })
        .connect()
        .await
        .unwrap();
    // The server says nothing more before it has read `5`.
    let last_answer = until_then.recv().await.unwrap();
    client.close().await;

    let wire = network.wire();
    wire.cut_after(Direction::ToClient, last_answer);
    let (reasons, mut reason) = mpsc::unbounded_channel();
    let client = Way::Upgrade
        .through(&wire)
        .on_disconnect(async move |_, reason| reasons.send(reason).expect("the test lives"))
        .connect()
        .await
        .unwrap();
    for text in ["one", "two"] {
        let answer = client.emit_with_ack(ECHO, text).await;
        assert_eq!(answer.unwrap(), text);
    }
    assert!(wire.passed(Direction::ToClient) > last_answer);
    assert_eq!(client.transport(), Some(Transport::Polling));
    assert!(reason.try_recv().is_err(), "the session lives");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_way_is_slow_in_virtual_time_only() {
    let network = Network::new(server()).unwrap();
    let wire = network.wire();
    let client = Way::WebSocket.through(&wire).connect().await.unwrap();
    wire.delay(Duration::from_millis(700));
    let begun = Instant::now();
    assert_eq!(client.emit_with_ack(ECHO, "x").await.unwrap(), "x");
    assert_eq!(begun.elapsed().as_millis(), 1_400);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_started_again_gets_its_clients_back() {
    let mut network = Network::new(server()).unwrap();
    let wire = network.wire();
    let client = Way::Polling.through(&wire).connect().await.unwrap();
    network.restart(server()).unwrap();
    wire.cut();
    let answer = timeout(Duration::from_secs(10), async {
        while network.server().stats().sessions() == 0 || !client.is_connected() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        client.emit_with_ack(ECHO, "again").await
    });
    assert_eq!(answer.await.unwrap().unwrap(), "again");
}
