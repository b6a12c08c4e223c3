//! A POST of many packets is handled a few packets at a time, and others have their turn in between
//! (security 2.1; A15).

use std::future::Future;

use ferriwire::engine::{CloseReason, Message};
use tokio::runtime::Builder;

use crate::support::polling::Polling;
use crate::support::{until, within};
use crate::{Echo, config};

/// As many as a payload may have by default.
const PACKETS: usize = 10_000;

/// A good deal more than anybody else needs turns to be served.
const A_PART: usize = PACKETS / 4;

/// Runs a test on a thread that looks after the network, and the test, behind each turn of a task: what
/// comes in between does not depend on how fast anything is.
fn turn_by_turn(test: impl Future<Output = ()>) {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_all().event_interval(1).build();
    runtime.expect("a runtime").block_on(test);
}

/// Messages with the numbers from 0 on, and whatever else, as one payload.
fn payload(numbers: usize, behind: &[&str]) -> String {
    let mut packets: Vec<_> = (0..numbers).map(|number| format!("4{number}")).collect();
    packets.extend(behind.iter().copied().map(str::to_owned));
    packets.join("\x1e")
}

/// Sends a payload, and waits until the server has begun with it.
async fn begin(echo: &mut Echo, polling: &mut Polling, payload: &str) {
    let target = polling.target();
    polling.posts.start("POST", &target, &[], payload).await;
    assert_eq!(echo.received().await, Message::from("0"));
}

/// What has arrived, which is the numbers from 1 on.
fn numbers(echo: &mut Echo) -> usize {
    let mut count = 0;
    while let Ok(message) = echo.received.try_recv() {
        count += 1;
        assert_eq!(message, Message::from(count.to_string()));
    }
    count
}

#[test]
fn others_are_served_while_a_post_of_10_000_packets_is_handled() {
    turn_by_turn(async {
        let mut echo = Echo::start(config()).await;
        let mut other = echo.websocket().await;
        let mut polling = echo.polling().await;
        begin(&mut echo, &mut polling, &payload(PACKETS, &[])).await;
        other.send_text("4other").await;
        assert_eq!(other.text().await, "4other");
        let in_between = echo.received.len();
        assert!(in_between < A_PART, "{in_between} packets were handled");

        let response = polling.posts.response().await;
        assert_eq!((response.status, response.text()), (200, "ok"));
        assert_eq!(echo.received.len(), PACKETS, "it is answered behind all");
        let mut number = 1;
        while let Ok(message) = echo.received.try_recv() {
            if message != Message::from("other") {
                assert_eq!(message, Message::from(number.to_string()));
                number += 1;
            }
        }
        assert_eq!(number, PACKETS);
        let mut answered = 0;
        while answered < PACKETS {
            for packet in polling.get().await.packets() {
                assert_eq!(packet, format!("4{answered}"));
                answered += 1;
            }
        }
        assert_eq!(polling.post("4next").await.text(), "ok");
        assert_eq!(polling.get().await.text(), "4next");
    });
}

#[test]
fn what_ends_a_session_in_the_middle_of_a_post_ends_it_there() {
    for (last, reason) in [
        ("1", CloseReason::TransportClose),
        ("", CloseReason::ParseError),
        ("9", CloseReason::ParseError),
    ] {
        for before in [1, 63, 64, 65, 128, 1_000] {
            turn_by_turn(async {
                let mut echo = Echo::start(config()).await;
                let mut polling = echo.polling().await;
                let payload = payload(before, &[last, "4behind", "4behind"]);
                assert_eq!(polling.post(payload).await.text(), "ok");
                assert_eq!(echo.closed().await, reason, "{before} in front of {last:?}");
                assert_eq!(echo.received().await, Message::from("0"));
                assert_eq!(numbers(&mut echo), before - 1);
                assert_eq!(polling.get().await.status, 400);
            });
        }
    }
}

#[test]
fn a_session_that_the_program_closes_meanwhile_forgets_the_rest() {
    turn_by_turn(async {
        let mut echo = Echo::start(config()).await;
        let mut polling = echo.polling().await;
        let session = echo.session().await;
        polling.start_get().await;
        begin(&mut echo, &mut polling, &payload(PACKETS, &[])).await;
        session.close();
        assert_eq!(polling.posts.response().await.text(), "ok");
        assert!(numbers(&mut echo) < A_PART);
        let mut response = polling.finish_get().await;
        while response.packets().last() != Some(&"1") {
            response = polling.get().await;
            assert_eq!(response.status, 200);
        }
        assert_eq!(echo.closed().await, CloseReason::ForcedClose);
    });
}

#[test]
fn a_client_that_gives_its_post_up_meanwhile_is_lost() {
    turn_by_turn(async {
        let mut echo = Echo::start(config()).await;
        let mut polling = echo.polling().await;
        begin(&mut echo, &mut polling, &payload(PACKETS, &[])).await;
        drop(polling);
        assert_eq!(echo.closed().await, CloseReason::TransportError);
        assert!(numbers(&mut echo) < A_PART);
        until("the end of the session", || {
            echo.server.stats().sessions() == 0
        })
        .await;
    });
}

/// No client says `5` before its POST is answered; of one that does nothing is reordered.
#[test]
fn an_upgrade_meanwhile_comes_behind_the_packets_of_the_post() {
    turn_by_turn(async {
        let mut echo = Echo::start(config()).await;
        let mut polling = echo.polling().await;
        let mut websocket = polling.probe().await;
        begin(&mut echo, &mut polling, &payload(PACKETS, &[])).await;
        websocket.send_text("5").await;
        websocket.send_text("4behind").await;
        for number in 0..PACKETS {
            assert_eq!(websocket.text().await, format!("4{number}"));
        }
        assert_eq!(websocket.text().await, "4behind");
        let response = within("the answer", polling.posts.response()).await;
        assert_eq!((response.status, response.text()), (200, "ok"));
        assert!(echo.closed.try_recv().is_err());
    });
}
