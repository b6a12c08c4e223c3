//! Several addresses for one server, and how long a connection may take over HTTP/1.1.

use std::time::Duration;

use ferriwire::engine::Server;
use ferriwire::{Error, Limits, Listener};
use tokio::net::{TcpListener, TcpStream};

use crate::support::http::Http;
use crate::support::polling::Polling;
use crate::support::websocket::WebSocket;
use crate::support::within;
use crate::{ANY_PORT, Echo, PATH, POLLING, WEBSOCKET, config};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn several_listeners_serve_one_server_and_stop_together() {
    let echo = Echo::listen(config(), [(); 3].map(|()| Listener::tcp(ANY_PORT))).await;
    let addresses = echo.server.local_addrs().to_vec();
    assert_eq!(addresses.len(), 3);
    assert_eq!(echo.addr(), addresses[0]);
    // Opened at one, used at the second, upgraded at the third.
    let polling = Polling::handshake(addresses[0], PATH).await;
    let mut http = Http::connect(addresses[1]).await;
    let posted = http.post(&polling.target(), "4one").await;
    assert_eq!(posted.text(), "ok");
    let target = polling.target_for("websocket");
    let mut websocket = WebSocket::connect(addresses[2], &target, &[])
        .await
        .unwrap();
    websocket.send_text("2probe").await;
    assert_eq!(websocket.text().await, "3probe");
    websocket.send_text("5").await;
    assert_eq!(websocket.text().await, "4one");
    drop(websocket);
    within("the shutdown", echo.server.shutdown(LONG)).await;
    for address in addresses {
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}

#[tokio::test]
async fn a_server_that_cannot_listen_everywhere_listens_nowhere() {
    let taken = TcpListener::bind(ANY_PORT).await.unwrap();
    let free = TcpListener::bind(ANY_PORT)
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let listeners = [
        Listener::tcp(free),
        Listener::tcp(taken.local_addr().unwrap()),
    ];
    let refused = Server::new().bind_all(listeners).await;
    assert!(matches!(refused, Err(Error::Io(_))), "{refused:?}");
    assert!(TcpStream::connect(free).await.is_err());
    let nowhere = Server::new().bind_all([]).await;
    assert!(matches!(nowhere, Err(Error::NoListener)), "{nowhere:?}");
    let nonsense = Server::new().bind_all([Listener::tcp("nonsense")]).await;
    assert!(matches!(nonsense, Err(Error::Io(_))), "{nonsense:?}");
}

#[tokio::test]
async fn a_connection_without_a_whole_request_is_closed() {
    let limits = Limits::new().head_timeout(SHORT).keep_alive_timeout(LONG);
    let echo = Echo::start(config().limits(limits)).await;
    for beginning in ["", "G", "GET /engine.io/ HTTP/1.1\r\nHost: a\r\n"] {
        let mut http = Http::connect(echo.addr()).await;
        http.send(beginning.as_bytes()).await;
        assert_eq!(http.rest().await, b"", "{beginning:?}");
    }
}

#[tokio::test]
async fn the_time_for_the_first_request_does_not_end_what_follows() {
    let limits = Limits::new().head_timeout(SHORT).keep_alive_timeout(LONG);
    let mut echo = Echo::start(config().limits(limits)).await;
    let mut polling = echo.polling().await;
    polling.start_get().await;
    let mut idle = Http::connect(echo.addr()).await;
    assert_eq!(idle.get(POLLING).await.status, 200);
    let mut websocket = echo.websocket().await;
    let silent = Http::connect(echo.addr()).await.rest().await;
    assert_eq!(silent, b"", "closed after all others had begun");
    websocket.send_text("4here").await;
    assert_eq!(websocket.text().await, "4here");
    assert_eq!(idle.get(POLLING).await.status, 200);
    echo.session().await.send("late").unwrap();
    assert_eq!(polling.finish_get().await.text(), "4late");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_waiting_one_is_not() {
    let limits = Limits::new().keep_alive_timeout(SHORT);
    let mut echo = Echo::start(config().limits(limits)).await;
    let mut polling = echo.polling().await;
    polling.start_get().await;
    let mut websocket = echo.websocket().await;
    let mut idle = Http::connect(echo.addr()).await;
    assert_eq!(idle.get(POLLING).await.status, 200);
    assert_eq!(idle.rest().await, b"");
    echo.session().await.send("late").unwrap();
    assert_eq!(polling.finish_get().await.text(), "4late");
    websocket.send_text("4here").await;
    assert_eq!(websocket.text().await, "4here");
    // The next head may not take longer either.
    let mut slow = Http::connect(echo.addr()).await;
    assert_eq!(slow.get(POLLING).await.status, 200);
    slow.send(b"GET /engine.io/ HTTP/1.1\r\n").await;
    assert_eq!(slow.rest().await, b"");
}

#[tokio::test]
async fn heads_are_bounded_in_number_and_size() {
    let echo = Echo::start(config()).await;
    // One is `Host`.
    for (count, status) in [(99, 200), (100, 431), (5_000, 431)] {
        let names: Vec<String> = (0..count).map(|number| format!("x-{number}")).collect();
        let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
        let mut http = Http::connect(echo.addr()).await;
        http.start("GET", POLLING, &headers, "").await;
        assert_eq!(http.response().await.status, status, "{count}");
    }
    for (size, status) in [(15 * 1024, 200), (17 * 1024, 431), (1_000_000, 431)] {
        let value = "x".repeat(size);
        let mut http = Http::connect(echo.addr()).await;
        let request = crate::support::http::head("GET", POLLING, &[("x", &value)]);
        // A server that has refused may not read the rest.
        let _ = http.try_send(&request).await;
        assert_eq!(http.response().await.status, status, "{size}");
    }
}

#[tokio::test]
async fn limits_that_mean_never_are_understood() {
    let never = Duration::MAX;
    let limits = Limits::new().head_timeout(never).keep_alive_timeout(never);
    let echo = Echo::start(config().limits(limits)).await;
    let websocket = WebSocket::connect(echo.addr(), WEBSOCKET, &[]).await;
    assert!(websocket.unwrap().text().await.starts_with('0'));
    let mut http = Http::connect(echo.addr()).await;
    for _ in 0..2 {
        assert_eq!(http.get(POLLING).await.status, 200);
    }
}
