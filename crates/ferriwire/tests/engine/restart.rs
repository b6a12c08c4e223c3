//! Shutting down with a deadline, and starting again (protocol 1.5 case 38).

use std::sync::Arc;
use std::time::Duration;

use ferriwire::Limits;
use ferriwire::engine::CloseReason;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::support::http::Http;
use crate::support::polling::Polling;
use crate::support::websocket::{Frame, WebSocket};
use crate::support::{until, within};
use crate::{Echo, POLLING, config, echo};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_waits_is_written_and_then_the_transports_close() {
    let mut echo = Echo::start(config()).await;
    let mut websocket = echo.websocket().await;
    echo.session().await.send("last").unwrap();
    let mut waiting = echo.polling().await;
    waiting.start_get().await;
    echo.settled().await;
    let mut upgraded = {
        let polling = echo.polling().await;
        polling.upgrade().await
    };
    upgraded.send_text("4hi").await;
    assert_eq!(upgraded.text().await, "4hi");

    let client = async {
        // Engine.IO says nothing more than that the transport closes.
        assert_eq!(
            websocket.rest().await,
            [Frame::Text("4last".to_owned()), Frame::Close(None)]
        );
        drop(websocket);
        assert_eq!(upgraded.raw_rest().await, [0x88, 0]);
        drop(upgraded);
        assert_eq!(waiting.finish_get().await.text(), "1");
    };
    tokio::join!(within("the shutdown", echo.server.shutdown(LONG)), client);
    for _ in 0..3 {
        assert_eq!(echo.closed().await, CloseReason::ServerShuttingDown);
    }
    assert_eq!(echo.server.stats().sessions(), 0);
    assert!(!echo.server.is_ready());
}

/// Idle keep-alive connections used to be closed at once, so that a client between two polls could
/// not fetch its farewell, and the shutdown took its whole grace.
#[tokio::test]
async fn a_client_between_two_polls_fetches_its_farewell_over_its_idle_connection() {
    let mut echo = Echo::start(config()).await;
    let mut polling = echo.polling().await;
    let client = async {
        let farewell = polling.get().await;
        assert!(matches!(farewell.text(), "1" | "6\u{1e}1"));
    };
    tokio::join!(within("the shutdown", echo.server.shutdown(LONG)), client);
    assert_eq!(echo.closed().await, CloseReason::ServerShuttingDown);
}

/// A session ended as soon as its last answer was handed to hyper, and the runtime of a program that
/// ended right behind `shutdown` was gone before the answer was written.
#[tokio::test]
async fn a_program_may_end_when_the_shutdown_has_and_no_answer_is_cut() {
    // More than the kernel takes of somebody who begins to read.
    const LENGTH: usize = 16_000_000;
    for by_ended in [false, true] {
        let (bound, address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let program = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (server, mut sessions, ..) = echo(config());
                let server = server.bind("127.0.0.1:0").await.unwrap();
                bound.send(server.local_addr()).unwrap();
                let session = sessions.recv().await.unwrap();
                session.send("x".repeat(LENGTH)).unwrap();
                stopped.await.unwrap();
                if by_ended {
                    let stopping = server.clone();
                    tokio::spawn(async move { stopping.shutdown(LONG).await });
                    server.ended().await;
                } else {
                    server.shutdown(LONG).await;
                }
            });
        });
        let address = within("the address", address).await.unwrap();
        let mut polling = Polling::handshake(address, crate::PATH).await;
        polling.start_get().await;
        let mut later = Http::connect(address).await;
        assert_eq!(later.get("/nothing").await.status, 404);
        // No session is left to wait for, only its answer that nobody reads yet.
        assert_eq!(polling.post("1").await.text(), "ok");
        stop.send(()).unwrap();
        assert_eq!(polling.finish_get().await.body.len(), "4".len() + LENGTH);
        program.join().unwrap();
    }
}

/// A connection that stands still does not hold the shutdown longer than it was given.
#[tokio::test]
async fn the_deadline_holds_with_a_request_that_never_ends() {
    let echo = Echo::start(config()).await;
    let mut http = Http::connect(echo.addr()).await;
    http.send(b"GET /nothing HTTP/1.1\r\n").await;
    echo.settled().await;
    let grace = Duration::from_millis(200);
    let shutdown = echo.server.shutdown(grace);
    // Much less than the time for a head.
    let ended = tokio::time::timeout(Duration::from_secs(5), shutdown).await;
    assert!(ended.is_ok());
    drop(http);
}

#[tokio::test]
async fn the_deadline_holds_with_a_client_that_never_reads() {
    let mut echo = Echo::start(config().limits(Limits::new().max_buffered(64 * 1024 * 1024))).await;
    let _deaf = echo.websocket().await;
    let session = echo.session().await;
    let message = "x".repeat(1_000_000);
    for _ in 0..30 {
        session.send(message.as_str()).unwrap();
    }
    assert!(
        session.buffered_bytes() > 0,
        "the kernel does not take 30 MB"
    );
    // And one that waits on polling for a GET that never comes.
    let _absent = echo.polling().await;
    let grace = Duration::from_millis(300);
    within("the shutdown", echo.server.shutdown(grace)).await;
    for _ in 0..2 {
        assert_eq!(echo.closed().await, CloseReason::ServerShuttingDown);
    }
    assert_eq!(echo.server.stats().sessions(), 0);
}

#[tokio::test]
async fn a_server_on_the_same_port_takes_over_at_once() {
    let mut address = None;
    let mut kept = Vec::new();
    for round in 0..5 {
        let (server, ..) = echo(config());
        let server = server.bind(address.unwrap_or_else(|| "127.0.0.1:0".parse().unwrap()));
        let server = server
            .await
            .unwrap_or_else(|error| crate::support::fail(&format!("round {round}: {error}")));
        let bound = *address.get_or_insert_with(|| server.local_addr());
        let connected = WebSocket::connect(bound, crate::WEBSOCKET, &[]).await;
        let mut websocket = connected.unwrap();
        assert!(websocket.text().await.starts_with('0'));
        websocket.send_text("4hi").await;
        assert_eq!(websocket.text().await, "4hi");
        if round % 2 == 0 {
            // Nobody to wait for: the port is free all the same when this returns.
            within("the shutdown", server.shutdown(Duration::ZERO)).await;
            continue;
        }
        // An idle connection does not hold the port, nor does a session.
        let mut idle = Http::connect(bound).await;
        assert_eq!(idle.get("/nothing").await.status, 404);
        within("the shutdown", server.shutdown(Duration::from_millis(50))).await;
        assert_eq!(websocket.next().await, Frame::Close(None));
        assert_eq!(idle.rest().await, b"");
        kept.push((websocket, idle));
    }
}

#[tokio::test]
async fn a_server_that_goes_down_takes_no_new_sessions() {
    let echo = Echo::start(config()).await;
    let mut websocket = echo.websocket().await;
    let mut http = Http::connect(echo.addr()).await;
    http.send(&crate::support::http::head("GET", POLLING, &[])[..20])
        .await;
    echo.settled().await;
    let late = async {
        assert_eq!(websocket.next().await, Frame::Close(None));
        // Whoever is within a request is told to come back; others find nobody.
        let rest = &crate::support::http::head("GET", POLLING, &[])[20..];
        if http.try_send(rest).await.is_ok() {
            let answer = http.rest().await;
            assert!(
                answer.is_empty() || answer.starts_with(b"HTTP/1.1 503"),
                "{}",
                String::from_utf8_lossy(&answer)
            );
        }
        drop(websocket);
    };
    tokio::join!(within("the shutdown", echo.server.shutdown(LONG)), late);
    within("the end", echo.server.ended()).await;
}

/// All clients at once would come back at once, to the nodes that are left.
#[tokio::test]
async fn many_sessions_are_closed_in_batches() {
    let mut echo = Echo::start(config().drain_pause(LONG)).await;
    let mut websockets = Vec::new();
    for _ in 0..110 {
        websockets.push(echo.websocket().await);
    }
    let server = echo.server.clone();
    let shutdown = tokio::spawn(async move { server.shutdown(10 * LONG).await });
    let (mut closed, mut open) = (Vec::new(), Vec::new());
    until("the beginning", || !echo.server.is_ready()).await;
    for mut websocket in websockets {
        // Whoever is not in the first batch is served on.
        websocket.send_text("4hi").await;
        let frame = websocket.next().await;
        if frame == Frame::Close(None) {
            closed.push(websocket);
        } else {
            assert_eq!(frame, Frame::Text("4hi".to_owned()));
            open.push(websocket);
        }
    }
    assert_eq!((closed.len(), open.len()), (100, 10));
    drop(closed);
    for _ in 0..100 {
        assert_eq!(echo.closed().await, CloseReason::ServerShuttingDown);
    }
    // New clients are sent elsewhere meanwhile.
    let answer = Http::connect(echo.addr()).await.get(POLLING).await;
    assert_eq!(answer.status, 503);
    shutdown.abort();
}

#[tokio::test]
async fn the_server_has_ended_when_its_sessions_have() {
    let (server, ..) = echo(config());
    let server = Arc::new(server.bind("127.0.0.1:0").await.unwrap());
    let connected = WebSocket::connect(server.local_addr(), crate::WEBSOCKET, &[]).await;
    let mut websocket = connected.unwrap();
    assert!(websocket.text().await.starts_with('0'));
    let main = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.ended().await }
    });
    let stop = tokio::spawn(async move { server.shutdown(LONG).await });
    assert_eq!(websocket.next().await, Frame::Close(None));
    assert!(!main.is_finished(), "the client has not answered yet");
    drop(websocket);
    within("the shutdown", stop).await.unwrap();
    within("the end", main).await.unwrap();
}

#[tokio::test]
async fn no_disconnect_packet_is_sent_so_that_clients_come_back() {
    let (left, mut reasons) = tokio::sync::mpsc::unbounded_channel();
    let namespace = ferriwire::Namespace::new("/").on_disconnect(async move |_, reason| {
        left.send(reason).unwrap_or_default();
    });
    let server = ferriwire::Server::new().namespace(namespace);
    let everybody = server.handle("/");
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let target = "/socket.io/?EIO=4&transport=websocket";
    let connected = WebSocket::connect(server.local_addr(), target, &[]).await;
    let mut websocket = connected.unwrap();
    assert!(websocket.text().await.starts_with('0'));
    websocket.send_text("40").await;
    assert!(websocket.text().await.starts_with("40{"));
    let mut polling = Polling::handshake(server.local_addr(), "/socket.io/").await;
    polling.post("40").await;
    assert!(polling.get().await.text().starts_with("40{"));
    polling.start_get().await;
    // The GET has been taken when a later request on a new connection is answered.
    let mut http = Http::connect(server.local_addr()).await;
    assert_eq!(http.get("/nothing").await.status, 404);
    everybody.emit("last", "word").unwrap();
    let clients = async {
        let last = "42[\"last\",\"word\"]";
        assert_eq!(
            websocket.rest().await,
            [Frame::Text(last.to_owned()), Frame::Close(None)]
        );
        drop(websocket);
        assert_eq!(polling.finish_get().await.text(), last);
    };
    tokio::join!(server.shutdown(Duration::from_millis(500)), clients);
    for _ in 0..2 {
        let reason = within("a reason", reasons.recv()).await.unwrap();
        assert_eq!(reason.as_str(), "server shutting down");
    }
}
