//! How many TCP connections there may be, before anything is spoken on them (security 2.2; A08, A11).

use ferriwire::{LimitKind, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::http::Http;
use crate::support::within;
use crate::{Echo, POLLING, config};

/// Whether the server closes a connection on which nothing was said, or reset it.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = within("the end of a connection", stream.read(&mut [0])).await;
    matches!(read, Ok(0) | Err(_))
}

async fn connect(echo: &Echo) -> TcpStream {
    let connected = within("connecting", TcpStream::connect(echo.addr())).await;
    connected.expect("the server accepts")
}

#[tokio::test]
async fn tcp_connections_beyond_each_limit_are_closed_at_once_until_one_ends() {
    for (limits, kind) in [
        (
            Limits::new().max_tcp_connections(3),
            LimitKind::TcpConnections,
        ),
        (
            Limits::new().max_tcp_connections_per_address(3),
            LimitKind::TcpConnectionsPerAddress,
        ),
    ] {
        let echo = Echo::start(config().limits(limits)).await;
        let refused = || echo.server.stats().limited(kind);
        // As a request, as a WebSocket, and without a word.
        let mut http = Http::connect(echo.addr()).await;
        assert_eq!(http.get(POLLING).await.status, 200);
        let mut websocket = echo.websocket().await;
        let silent = connect(&echo).await;
        for number in 1..=30 {
            assert!(is_closed(&mut connect(&echo).await).await, "{kind}");
            assert_eq!(refused(), number);
        }
        // Who was there is not disturbed.
        websocket.send_text("4hi").await;
        assert_eq!(websocket.text().await, "4hi");
        assert_eq!(http.get("/nothing/here").await.status, 404);

        // Each of them makes room for one, and a WebSocket counts as long as it lives.
        drop(silent);
        let first = next_that_may_stay(&echo).await;
        assert!(is_closed(&mut connect(&echo).await).await, "{kind}");
        drop(http);
        let second = next_that_may_stay(&echo).await;
        assert!(is_closed(&mut connect(&echo).await).await, "{kind}");
        drop(websocket);
        let third = next_that_may_stay(&echo).await;
        assert!(is_closed(&mut connect(&echo).await).await, "{kind}");
        drop((first, second, third));
    }
}

#[tokio::test]
async fn trusted_proxies_have_no_limit_of_their_own() {
    let limits = Limits::new()
        .max_tcp_connections(20)
        .max_tcp_connections_per_address(3);
    let proxies = ["127.0.0.0/8".parse().unwrap()];
    let echo = Echo::start(config().limits(limits).trusted_proxies(proxies)).await;
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(next_that_may_stay(&echo).await);
    }
    assert!(is_closed(&mut connect(&echo).await).await);
    let stats = echo.server.stats();
    assert_eq!(stats.limited(LimitKind::TcpConnectionsPerAddress), 0);
    assert!(stats.limited(LimitKind::TcpConnections) >= 1);
}

/// Whether somebody is answered on a connection.
async fn is_served(stream: &mut TcpStream) -> bool {
    let request = b"GET /nothing/here HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // It may be closed already.
    let _ = stream.write_all(request).await;
    let read = within("an answer", stream.read(&mut [0; 1_024])).await;
    matches!(read, Ok(1..))
}

/// Connects until one connection may stay.
async fn next_that_may_stay(echo: &Echo) -> TcpStream {
    within("room", async {
        loop {
            let mut stream = connect(echo).await;
            if is_served(&mut stream).await {
                return stream;
            }
        }
    })
    .await
}
