//! How sessions end (protocol 1.1.5, 1.1.11; 1.5 cases 35, 36, 38, 39).

use std::time::Duration;

use ferriwire::Limits;
use ferriwire::engine::{CloseReason, Message, Server};
use ferriwire_proto::websocket::frame::OpCode;
use tokio::sync::oneshot;

use crate::support::Endpoint;
use crate::support::http::Http;
use crate::support::websocket::{Frame, WebSocket};
use crate::support::{PATIENCE, until, within};
use crate::{Echo, PATH, WEBSOCKET, config, quick};

#[tokio::test]
async fn a_close_packet_answers_the_waiting_get_with_a_noop() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    polling.start_get().await;
    echo.settled().await;
    assert_eq!(polling.post("1").await.text(), "ok");
    assert_eq!(polling.finish_get().await.text(), "6");
    assert_eq!(echo.closed().await, CloseReason::TransportClose);
    assert_eq!(polling.get().await.status, 400);
}

/// Two requests that became readable at once used to be taken the wrong way round, so that the GET of a
/// client which closes found no session: every fourth time in the conformance suite.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_get_and_a_post_that_come_at_once_are_taken_in_order() {
    let echo = Echo::start(config()).await;
    for _ in 0..20 {
        let mut polling = echo.polling().await;
        // The server has both connections, and waits on them.
        assert_eq!(polling.posts.get("/nothing/here").await.status, 404);
        // The only thread of the server sleeps until both requests are there.
        let (stopped, is_stopped) = oneshot::channel();
        let (resume, resumed) = std::sync::mpsc::channel::<()>();
        let pause = tokio::spawn(async move {
            stopped.send(()).unwrap();
            resumed.recv_timeout(PATIENCE).unwrap();
        });
        is_stopped.await.unwrap();
        let target = polling.target();
        polling.gets.start("GET", &target, &[], "").await;
        polling.posts.start("POST", &target, &[], "1").await;
        resume.send(()).unwrap();
        pause.await.unwrap();
        assert_eq!(polling.gets.response().await.text(), "6");
        assert_eq!(polling.posts.response().await.text(), "ok");
    }
}

/// The connection used to be dropped without a close frame, which clients see as 1006.
#[tokio::test]
async fn a_packet_that_ends_the_session_ends_its_websocket_by_one_plain_close_frame() {
    let mut echo = Echo::start(config()).await;
    for (packet, reason) in [
        ("1", CloseReason::TransportClose),
        // A heartbeat in the wrong direction.
        ("2", CloseReason::TransportError),
        ("abc", CloseReason::ParseError),
    ] {
        let mut websocket = echo.websocket().await;
        websocket.send_text(packet).await;
        assert_eq!(websocket.raw_rest().await, [0x88, 0], "{packet}");
        assert_eq!(echo.closed().await, reason);

        let mut upgraded = echo.polling().await.upgrade().await;
        upgraded.send_text(packet).await;
        assert_eq!(upgraded.raw_rest().await, [0x88, 0], "{packet}, upgraded");
        assert_eq!(echo.closed().await, reason);
    }
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn a_close_frame_is_echoed_behind_what_was_owed() {
    let mut echo = Echo::start(config()).await;
    for code in [None, Some(1000_u16), Some(1001), Some(4321)] {
        let mut websocket = echo.websocket().await;
        let payload = code
            .map(|code| code.to_be_bytes().to_vec())
            .unwrap_or_default();
        let mut last = crate::support::websocket::frame(OpCode::Text, "4last");
        last.extend(crate::support::websocket::frame(OpCode::Close, payload));
        websocket.send_raw(&last).await;
        let expected = [Frame::Text("4last".to_owned()), Frame::Close(code)];
        assert_eq!(websocket.rest().await, expected);
        assert_eq!(echo.closed().await, CloseReason::TransportClose);
    }
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn pings_are_answered_with_their_payload() {
    let echo = Echo::start(config()).await;
    let mut websocket = echo.websocket().await;
    for payload in [&b""[..], b"x", &[7; 125]] {
        websocket.send_frame(OpCode::Ping, payload).await;
        assert_eq!(websocket.next().await, Frame::Pong(payload.to_vec()));
        websocket.send_frame(OpCode::Pong, payload).await;
    }
    websocket.send_text("4hi").await;
    assert_eq!(websocket.text().await, "4hi");
}

#[tokio::test]
async fn the_server_closes_a_websocket_by_one_plain_close_frame_behind_what_waits() {
    let mut echo = Echo::start(config()).await;
    let mut websocket = echo.websocket().await;
    let session = echo.session().await;
    session.send("one").unwrap();
    session.send("two").unwrap();
    session.close();
    let expected = ["4one", "4two"].map(|text| Frame::Text(text.to_owned()));
    assert_eq!(websocket.next().await, expected[0]);
    assert_eq!(websocket.next().await, expected[1]);
    // The bytes themselves: a decoder stops at the first close frame.
    assert_eq!(websocket.raw_rest().await, [0x88, 0]);
    assert_eq!(echo.closed().await, CloseReason::ForcedClose);
    assert!(session.send("three").is_err());
}

#[tokio::test]
async fn the_server_closes_polling_by_what_waits_and_1() {
    let mut echo = Echo::start(config()).await;
    // Nothing waits, and no GET either: the next one is told.
    let mut polling = echo.polling().await;
    echo.session().await.close();
    assert_eq!(polling.get().await.text(), "6\x1e1");
    assert_eq!(echo.closed().await, CloseReason::ForcedClose);

    let mut polling = echo.polling().await;
    let session = echo.session().await;
    session.send("data").unwrap();
    session.close();
    assert_eq!(polling.get().await.text(), "4data\x1e1");
    assert_eq!(echo.closed().await, CloseReason::ForcedClose);

    let mut polling = echo.polling().await;
    polling.start_get().await;
    echo.settled().await;
    echo.session().await.close();
    assert_eq!(polling.finish_get().await.text(), "1");
    assert_eq!(echo.closed().await, CloseReason::ForcedClose);
    assert_eq!(polling.get().await.status, 400);
}

#[tokio::test]
async fn a_handler_may_close_within_a_payload() {
    let server = Server::new().on_message(async |session, message| {
        drop(session.send(message));
        session.close();
    });
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let mut polling = crate::support::polling::Polling::handshake(server.local_addr(), PATH).await;
    assert_eq!(polling.post("4a\x1e4b\x1e4c").await.text(), "ok");
    let packets = polling.get().await;
    assert_eq!(packets.packets().last(), Some(&"1"));
    assert_eq!(packets.packets().first(), Some(&"4a"));
    assert_eq!(polling.get().await.status, 400);
}

#[tokio::test]
async fn a_handler_may_close_before_the_client_has_heard_anything() {
    let server = Server::new().on_connect(async |session| session.close());
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let mut polling = crate::support::polling::Polling::handshake(server.local_addr(), PATH).await;
    assert_eq!(polling.get().await.text(), "6\x1e1");
    let websocket = WebSocket::connect(server.local_addr(), WEBSOCKET, &[]);
    let frames = websocket.await.unwrap().rest().await;
    assert!(
        matches!(&frames[..], [Frame::Text(open), Frame::Close(None)] if open.starts_with('0'))
    );
}

#[tokio::test]
async fn connection_close_from_the_client_is_no_error() {
    let mut echo = Echo::start(config()).await;
    let polling = echo.polling().await;
    let close = [("Connection", "close")];
    let target = polling.target();
    for _ in 0..3 {
        let mut http = Http::connect(echo.addr()).await;
        assert_eq!(
            http.request("POST", &target, &close, "4hi").await.text(),
            "ok"
        );
        assert_eq!(http.rest().await, b"");
        let mut http = Http::connect(echo.addr()).await;
        assert_eq!(http.request("GET", &target, &close, "").await.text(), "4hi");
        assert_eq!(http.rest().await, b"");
    }
    assert!(echo.closed.try_recv().is_err());
}

#[tokio::test]
async fn giving_up_a_get_or_a_post_ends_the_session() {
    for reset in [false, true] {
        let mut echo = Echo::start(config()).await;
        let mut polling = echo.polling().await;
        polling.start_get().await;
        echo.settled().await;
        if reset {
            polling.gets.reset();
        } else {
            drop(polling.gets);
        }
        assert_eq!(echo.closed().await, CloseReason::TransportError);

        let mut polling = echo.polling().await;
        let target = polling.target();
        let head = crate::support::http::head("POST", &target, &[("Content-Length", "10")]);
        polling.posts.send(&head).await;
        polling.posts.send(b"4abc").await;
        echo.settled().await;
        if reset {
            polling.posts.reset();
        } else {
            drop(polling.posts);
        }
        assert_eq!(echo.closed().await, CloseReason::TransportError);
        assert!(echo.received.try_recv().is_err());
        echo.is_empty_and_alive().await;
    }
}

#[tokio::test]
async fn a_websocket_that_breaks_off_closes_its_session_and_invalid_frames_are_errors() {
    let mut echo = Echo::start(config()).await;
    drop(echo.websocket().await);
    assert_eq!(echo.closed().await, CloseReason::TransportClose);
    echo.websocket().await.reset();
    assert_eq!(echo.closed().await, CloseReason::TransportError);
    for (bytes, code) in [
        (&[0x81, 0x01, b'4'][..], 1002),
        (b"test", 1002),
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),
        (&[0x80, 0x80, 0, 0, 0, 0], 1002),
        (&[0x81, 0x82, 0, 0, 0, 0, b'4', 0xff], 1007),
    ] {
        let mut websocket = echo.websocket().await;
        websocket.send_raw(bytes).await;
        assert_eq!(
            websocket.rest().await,
            [Frame::Close(Some(code))],
            "{bytes:?}"
        );
        assert_eq!(echo.closed().await, CloseReason::TransportError);
    }
    let mut websocket = echo.websocket().await;
    websocket.send_text("abc").await;
    assert_eq!(websocket.rest().await, [Frame::Close(None)]);
    assert_eq!(echo.closed().await, CloseReason::ParseError);
    echo.is_empty_and_alive().await;
}

#[tokio::test]
async fn a_get_that_comes_too_late_is_refused_while_handlers_still_run() {
    // The session is over but its last handler is not: a GET that was admitted before must not
    // wait for what never comes.
    let (release, released) = tokio::sync::watch::channel(false);
    let server = Server::new().on_message(async move |_, _: Message| {
        let mut released = released.clone();
        drop(released.wait_for(|released| *released).await);
    });
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let mut polling = crate::support::polling::Polling::handshake(server.local_addr(), PATH).await;
    assert_eq!(polling.post("4wait").await.text(), "ok");
    // Both are there before the server looks.
    let target = polling.target();
    polling.posts.start("POST", &target, &[], "1").await;
    polling.start_get().await;
    assert_eq!(polling.posts.response().await.text(), "ok");
    let answer = within("an answer", polling.finish_get()).await;
    assert!(answer.status == 400 || answer.text() == "6", "{answer:?}");
    release.send_replace(true);
}

#[tokio::test]
async fn a_closing_session_delivers_nothing_more() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    echo.session().await.close();
    echo.settled().await;
    assert_eq!(polling.post("4late").await.text(), "ok");
    assert_eq!(polling.get().await.text(), "6\x1e1");
    assert_eq!(echo.closed().await, CloseReason::ForcedClose);
    assert!(echo.received.try_recv().is_err());
    echo.server.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn no_close_frame_is_written_into_the_middle_of_another() {
    // The kernel has taken a part of a frame when the pong is overdue: a close frame behind that
    // part would be read as the frame's payload.
    let mut echo = Echo::start(quick()).await;
    let endpoint = Endpoint::Narrow(echo.addr());
    let mut websocket = WebSocket::connect(endpoint, WEBSOCKET, &[]).await.unwrap();
    assert!(websocket.text().await.starts_with('0'));
    let length = 8_000_000;
    let session = echo.session().await;
    session.send("x".repeat(length)).unwrap();
    assert_eq!(echo.closed().await, CloseReason::PingTimeout);
    let bytes = websocket.raw_rest().await;
    assert!(bytes.len() < length, "the kernel has not taken all of it");
    let (header, payload) = bytes.split_at(10);
    assert_eq!(header[..2], [0x81, 127]);
    assert_eq!(payload[0], b'4');
    assert!(payload[1..].iter().all(|byte| *byte == b'x'));
}

#[tokio::test]
async fn a_websocket_that_takes_nothing_for_too_long_is_closed() {
    let limit = Duration::from_millis(300);
    let mut echo = Echo::start(config().limits(Limits::new().write_stall_timeout(limit))).await;
    let endpoint = Endpoint::Narrow(echo.addr());
    let mut deaf = WebSocket::connect(endpoint, WEBSOCKET, &[]).await.unwrap();
    assert!(deaf.text().await.starts_with('0'));
    let session = echo.session().await;
    // One message of any size passes, but its reader has to take it.
    session.send("x".repeat(30_000_000)).unwrap();
    assert_eq!(echo.closed().await, CloseReason::SlowConsumer);
    assert_eq!(session.buffered_bytes(), 0);
}

/// Time stands still but where the test moves it: somebody is always ready to run, so that the
/// runtime has no reason to.
#[tokio::test]
async fn a_websocket_that_takes_something_again_and_again_is_not() {
    let limit = Duration::from_secs(4);
    let mut echo = Echo::start(config().limits(Limits::new().write_stall_timeout(limit))).await;
    let endpoint = Endpoint::Narrow(echo.addr());
    let mut slow = WebSocket::connect(endpoint, WEBSOCKET, &[]).await.unwrap();
    assert!(slow.text().await.starts_with('0'));
    let session = echo.session().await;
    tokio::time::pause();
    let length = 16_000_000;
    session.send("x".repeat(length)).unwrap();
    until("what waits", || session.buffered_bytes() > 0).await;
    let mut taken = 0;
    for _ in 0..5 {
        let written = echo.server.stats().bytes_out;
        until("a write", || {
            taken += slow.take_available();
            echo.server.stats().bytes_out > written || !echo.closed.is_empty()
        })
        .await;
        tokio::time::advance(limit - Duration::from_millis(1)).await;
        // Whoever is woken by the time has its turn.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(echo.closed.is_empty());
    }
    assert!(session.buffered_bytes() > 0, "it has waited all the time");
    // Two bytes, eight for the length, and the type of the packet.
    let frame = 2 + 8 + 1 + length;
    until("all of it", || {
        taken += slow.take_available();
        taken == frame || !echo.closed.is_empty()
    })
    .await;
    tokio::time::resume();
    assert_eq!(slow.text().await.len(), length + 1);
    slow.send_text("4still here").await;
    assert_eq!(slow.text().await, "4still here");
}
