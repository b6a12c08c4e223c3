//! From polling to a WebSocket without losing a packet (protocol 1.1.8; 1.5 cases 37, 41, 42).

use std::time::Duration;

use ferriwire::Limits;
use ferriwire::engine::CloseReason;
use ferriwire_proto::websocket::frame::OpCode;

use crate::support::http::Http;
use crate::support::polling::Polling;
use crate::support::websocket::{Frame, WebSocket, frame};
use crate::{Echo, config};

/// Polling still works, for the session that `polling` is.
async fn goes_on(polling: &mut Polling, text: &str) {
    let packet = format!("4{text}");
    assert_eq!(polling.post(&packet).await.text(), "ok", "{text}");
    assert_eq!(polling.get().await.text(), packet, "{text}");
}

#[tokio::test]
async fn a_get_that_waits_at_the_probe_and_at_5_is_answered_6() {
    let echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    polling.start_get().await;
    echo.settled().await;
    let mut websocket = polling.probe().await;
    assert_eq!(polling.finish_get().await.text(), "6");
    // A client that polls once more is let go as well.
    assert_eq!(polling.get().await.text(), "6");
    // And one that is still waiting when `5` comes.
    let mut late = frame(OpCode::Text, "5");
    late.extend(frame(OpCode::Text, "4over"));
    polling.start_get().await;
    websocket.send_raw(&late).await;
    let answer = polling.finish_get().await;
    assert!(answer.text() == "6" || answer.status == 400, "{answer:?}");
    assert_eq!(websocket.text().await, "4over");
}

#[tokio::test]
async fn what_waits_leaves_on_the_websocket_first() {
    let mut echo = Echo::start(config()).await;
    let polling = echo.polling().await;
    let session = echo.session().await;
    let mut websocket = polling.probe().await;
    for number in 0..100 {
        session.send(format!("{number}")).unwrap();
    }
    websocket.send_text("5").await;
    websocket.send_text("4echo").await;
    for number in 0..100 {
        assert_eq!(websocket.text().await, format!("4{number}"));
    }
    assert_eq!(websocket.text().await, "4echo");
}

#[tokio::test]
async fn posts_right_before_5_and_frames_right_behind_it_arrive_in_order() {
    let mut echo = Echo::start(config()).await;
    for _ in 0..20 {
        let mut polling = echo.polling().await;
        let mut websocket = polling.probe().await;
        assert_eq!(polling.post("41\x1e42").await.text(), "ok");
        assert_eq!(polling.post("43").await.text(), "ok");
        let mut frames = frame(OpCode::Text, "5");
        frames.extend(frame(OpCode::Text, "44"));
        frames.extend(frame(OpCode::Text, "45"));
        websocket.send_raw(&frames).await;
        for number in 1..=5 {
            assert_eq!(echo.received().await, format!("{number}").into());
            assert_eq!(websocket.text().await, format!("4{number}"));
        }
    }
}

#[tokio::test]
async fn a_probe_and_5_in_the_segment_of_the_handshake_lose_nothing() {
    let echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    polling.post("4before").await;
    let early: Vec<u8> = ["2probe", "5", "4behind"]
        .into_iter()
        .flat_map(|packet| frame(OpCode::Text, packet))
        .collect();
    let target = polling.target_for("websocket");
    let websocket = WebSocket::connect_and_send(echo.addr(), &target, &[], &early).await;
    let mut websocket = websocket.unwrap();
    for expected in ["3probe", "4before", "4behind"] {
        assert_eq!(websocket.text().await, expected);
    }
}

#[tokio::test]
async fn traffic_in_both_directions_survives_an_upgrade_whole_and_in_order() {
    let mut echo = Echo::start(config()).await;
    for _ in 0..20 {
        let mut polling = echo.polling().await;
        let session = echo.session().await;
        let mut seen = Vec::new();
        let sender = tokio::spawn(async move {
            for number in 0..200 {
                session.send(format!("s{number}")).unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut websocket = polling.candidate().await.unwrap();
        websocket.send_text("2probe").await;
        assert_eq!(polling.post("4c0\x1e4c1").await.text(), "ok");
        let answer = polling.get().await;
        seen.extend(answer.packets().into_iter().map(str::to_owned));
        assert_eq!(websocket.text().await, "3probe");
        assert_eq!(polling.post("4c2").await.text(), "ok");
        websocket.send_text("5").await;
        for number in 3..50 {
            websocket.send_text(&format!("4c{number}")).await;
        }
        while seen.iter().filter(|packet| *packet != "6").count() < 250 {
            seen.push(websocket.text().await);
        }
        sender.await.unwrap();
        for (direction, count) in [("4s", 200), ("4c", 50)] {
            let numbers = seen
                .iter()
                .filter_map(|packet| packet.strip_prefix(direction));
            let expected: Vec<_> = (0..count).map(|number| format!("{number}")).collect();
            assert_eq!(numbers.collect::<Vec<_>>(), expected, "{direction}");
        }
    }
}

#[tokio::test]
async fn an_upgrade_that_breaks_the_rules_leaves_polling_working() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    for packets in [
        &["5"][..],
        &["4early"],
        &["3probe"],
        &["2"],
        &["2other"],
        &["2probe", "2probe"],
        &["2probe", "4early"],
        &["2probe", "3"],
        &["2probe", "1"],
        &["garbage"],
        &["2probe", "garbage"],
        &["2probe", ""],
    ] {
        let mut websocket = polling.candidate().await.unwrap();
        for packet in packets {
            websocket.send_text(packet).await;
        }
        let mut frames = websocket.rest().await;
        assert_eq!(frames.pop(), Some(Frame::Close(None)), "{packets:?}");
        frames.retain(|frame| *frame != Frame::Text("3probe".to_owned()));
        assert_eq!(frames, [], "{packets:?}");
        goes_on(&mut polling, &format!("after {packets:?}")).await;
    }
    assert!(echo.closed.try_recv().is_err());
    assert_eq!(echo.server.stats().sessions(), 1);
    // And it can still be upgraded.
    let mut websocket = polling.upgrade().await;
    websocket.send_text("4at last").await;
    assert_eq!(websocket.text().await, "4at last");
}

#[tokio::test]
async fn a_binary_or_broken_frame_ends_the_upgrade_alone() {
    let mut echo = Echo::start(config().limits(Limits::new().max_payload(1_000))).await;
    let mut polling = echo.polling().await;
    let too_large = frame(OpCode::Text, "4".repeat(1_001));
    for (bytes, close) in [
        (frame(OpCode::Binary, [1]), vec![0x88, 0]),
        (b"test".to_vec(), vec![0x88, 2, 3, 0xea]),
        (too_large, vec![0x88, 2, 3, 0xf1]),
        (
            frame(OpCode::Close, 1000_u16.to_be_bytes()),
            vec![0x88, 2, 3, 0xe8],
        ),
        (frame(OpCode::Close, ""), vec![0x88, 0]),
    ] {
        let mut websocket = polling.candidate().await.unwrap();
        websocket.send_raw(&bytes).await;
        // One close frame, and nothing behind it.
        assert_eq!(websocket.raw_rest().await, close, "{bytes:x?}");
        goes_on(&mut polling, "after a broken frame").await;
    }
    assert!(echo.closed.try_recv().is_err());
}

#[tokio::test]
async fn an_upgrade_that_is_given_up_leaves_polling_working() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    drop(polling.candidate().await);
    goes_on(&mut polling, "after a candidate").await;
    polling.candidate().await.unwrap().reset();
    goes_on(&mut polling, "after a reset candidate").await;
    drop(polling.probe().await);
    goes_on(&mut polling, "after a probe").await;
    polling.probe().await.reset();
    goes_on(&mut polling, "after a reset probe").await;
    assert!(echo.closed.try_recv().is_err());
    let mut websocket = loop {
        // The server may not have noticed yet that the last one is gone.
        let mut websocket = polling.candidate().await.unwrap();
        websocket.send_text("2probe").await;
        if websocket.next().await == Frame::Text("3probe".to_owned()) {
            break websocket;
        }
    };
    websocket.send_text("5").await;
    websocket.send_text("4done").await;
    assert_eq!(websocket.text().await, "4done");
}

#[tokio::test]
async fn an_upgrade_times_out_alone_and_a_finished_one_does_not() {
    let timeout = Duration::from_millis(200);
    let mut echo = Echo::start(config().limits(Limits::new().upgrade_timeout(timeout))).await;
    let mut upgraded = echo.polling().await.upgrade().await;
    let mut polling = echo.polling().await;
    let mut silent = polling.candidate().await.unwrap();
    assert_eq!(silent.rest().await, [Frame::Close(None)]);
    goes_on(&mut polling, "after silence").await;
    // It probes, and never says `5`.
    let mut abandoned = polling.probe().await;
    assert_eq!(abandoned.rest().await, [Frame::Close(None)]);
    goes_on(&mut polling, "without 5").await;
    upgraded.send_text("4alive").await;
    assert_eq!(upgraded.text().await, "4alive");
    assert!(echo.closed.try_recv().is_err());
}

#[tokio::test]
async fn requests_after_the_upgrade_are_refused_and_the_websocket_works_on() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let mut websocket = polling.upgrade().await;
    websocket.send_text("4first").await;
    assert_eq!(websocket.text().await, "4first");
    let mismatch = r#"{"code":3,"message":"Bad request"}"#;
    let response = polling.get().await;
    assert_eq!((response.status, response.text()), (400, mismatch));
    let response = polling.post("4late").await;
    assert_eq!((response.status, response.text()), (400, mismatch));
    let mut second = polling.candidate().await.unwrap();
    assert_eq!(second.raw_rest().await, [0x88, 0]);
    websocket.send_text("4still").await;
    assert_eq!(websocket.text().await, "4still");
    assert!(echo.closed.try_recv().is_err());
}

#[tokio::test]
async fn a_second_candidate_is_closed_and_the_first_goes_on() {
    let echo = Echo::start(config()).await;
    let polling = echo.polling().await;
    let mut first = polling.probe().await;
    let mut second = polling.candidate().await.unwrap();
    assert_eq!(second.rest().await, [Frame::Close(None)]);
    first.send_text("5").await;
    first.send_text("4first").await;
    assert_eq!(first.text().await, "4first");
}

#[tokio::test]
async fn a_websocket_for_a_session_that_began_on_a_websocket_is_closed() {
    let mut echo = Echo::start(config()).await;
    let connected = WebSocket::connect(echo.addr(), crate::WEBSOCKET, &[]).await;
    let mut websocket = connected.unwrap();
    let open = websocket.text().await;
    let target = format!("{}&sid={}", crate::WEBSOCKET, open.get(9..29).unwrap());
    let second = WebSocket::connect(echo.addr(), &target, &[]).await;
    assert_eq!(second.unwrap().rest().await, [Frame::Close(None)]);
    websocket.send_text("4mine").await;
    assert_eq!(websocket.text().await, "4mine");
    assert!(echo.closed.try_recv().is_err());
}

#[tokio::test]
async fn a_revision_that_differs_is_refused() {
    let echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    for revision in ["", "EIO=3&", "EIO=04&"] {
        let sid = &polling.sid;
        let target = format!("/engine.io/?{revision}transport=websocket&sid={sid}");
        let refused = WebSocket::connect(echo.addr(), &target, &[])
            .await
            .unwrap_err();
        assert_eq!((refused.status, refused.text()), (400, "Bad request"));
        let target = format!("/engine.io/?{revision}transport=polling&sid={sid}");
        let refused = Http::connect(echo.addr()).await.get(&target).await;
        assert_eq!(refused.status, 400);
    }
    goes_on(&mut polling, "as before").await;
}

#[tokio::test]
async fn a_close_during_an_upgrade_waits_for_its_end_and_sends_all_that_waits() {
    let mut echo = Echo::start(config()).await;
    let polling = echo.polling().await;
    let session = echo.session().await;
    let mut websocket = polling.probe().await;
    for number in 0..3 {
        session.send(format!("{number}")).unwrap();
    }
    session.close();
    echo.settled().await;
    assert!(echo.closed.try_recv().is_err());
    websocket.send_text("5").await;
    for number in 0..3 {
        assert_eq!(websocket.text().await, format!("4{number}"));
    }
    assert_eq!(websocket.raw_rest().await, [0x88, 0]);
    assert_eq!(echo.closed().await, CloseReason::ForcedClose);
}

#[tokio::test]
async fn a_close_during_an_upgrade_that_fails_goes_by_polling() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let session = echo.session().await;
    let mut websocket = polling.probe().await;
    session.send("last").unwrap();
    session.close();
    echo.settled().await;
    websocket.send_text("garbage").await;
    assert_eq!(websocket.rest().await, [Frame::Close(None)]);
    assert_eq!(polling.get().await.text(), "4last\x1e1");
    assert_eq!(echo.closed().await, CloseReason::ForcedClose);
}

#[tokio::test]
async fn a_session_that_closes_takes_its_candidate_along() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let mut websocket = polling.probe().await;
    assert_eq!(polling.post("1").await.text(), "ok");
    assert_eq!(websocket.rest().await, [Frame::Close(None)]);
    assert_eq!(echo.closed().await, CloseReason::TransportClose);
    echo.is_empty_and_alive().await;
}
