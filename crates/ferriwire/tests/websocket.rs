//! A bare WebSocket, without Engine.IO, spoken to byte by byte.

mod support;

use std::net::SocketAddr;

use ferriwire::Deflate;
use ferriwire::websocket::{Config, Origins, WebSocket, accept};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use support::http::{Http, head};
use support::websocket::{self, handshake};
use support::within;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Accepts WebSockets, hands them to `program`, and reports how it ended.
async fn serve<P, Fut>(
    config: Config,
    program: P,
) -> (SocketAddr, mpsc::UnboundedReceiver<std::io::Result<()>>)
where
    P: Fn(WebSocket) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let (report, results) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let service = service_fn(move |mut request: Request<Incoming>| {
        let response = match accept(&mut request, config.clone()) {
            Err(refusal) => *refusal,
            Ok((response, accepted)) => {
                let (report, program) = (report.clone(), program.clone());
                tokio::spawn(async move {
                    let socket = accepted.open().await.expect("it is handed over");
                    report.send(program(socket).await).unwrap_or_default();
                });
                response
            }
        };
        std::future::ready(Ok::<_, std::convert::Infallible>(response))
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service.clone())
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    (address, results)
}

/// A failed write emptied what waited, and that was taken for success.
#[tokio::test]
async fn a_send_that_breaks_off_is_an_error() {
    let (address, mut results) = serve(Config::default(), async |mut socket| {
        socket.send("first").await?;
        socket.send("x".repeat(16_000_000)).await
    })
    .await;
    let websocket = websocket::WebSocket::connect(address, "/", &[]).await;
    let mut websocket = websocket.unwrap();
    // The server runs on this thread: when this arrives, the second message waits for us to read.
    assert_eq!(websocket.text().await, "first");
    assert!(results.try_recv().is_err());
    websocket.reset();
    let result = within("the end", results.recv()).await.unwrap();
    assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn only_a_whole_handshake_is_accepted() {
    let (address, _results) = serve(Config::default(), async |_| Ok(())).await;
    let upgrade = ("Upgrade", "websocket");
    let connection = ("Connection", "keep-alive, Upgrade");
    let version = ("Sec-WebSocket-Version", "13");
    let key = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (method, headers, status) in [
        ("GET", &[upgrade, connection, version, key][..], 101),
        ("POST", &[upgrade, connection, version, key], 405),
        ("PUT", &[upgrade, connection, version, key], 405),
        ("GET", &[connection, version, key], 426),
        ("GET", &[upgrade, version, key], 426),
        ("GET", &[version, key], 426),
        ("GET", &[], 426),
        ("GET", &[upgrade, connection, key], 426),
        ("GET", &[upgrade, connection, version], 400),
        ("GET", &[("Upgrade", "h2c"), connection, version, key], 426),
    ] {
        let mut http = Http::connect(address).await;
        http.send(&head(method, "/", headers)).await;
        let response = http.response().await;
        assert_eq!(response.status, status, "{method} {headers:?}");
        if status == 426 {
            assert_eq!(response.header("upgrade"), Some("websocket"));
            assert_eq!(response.header("connection"), Some("Upgrade"));
            assert_eq!(response.header("sec-websocket-version"), Some("13"));
        }
        if status == 405 {
            assert_eq!(response.header("allow"), Some("GET"));
        }
    }
}

#[tokio::test]
async fn only_pages_of_the_own_host_and_listed_ones_may_connect() {
    let listed = Config {
        origins: Origins::same_host().allow("https://good.example"),
        ..Config::default()
    };
    let anyone = Config {
        origins: Origins::any(),
        ..Config::default()
    };
    for (config, origin, status) in [
        (Config::default(), "http://localhost", 101),
        (Config::default(), "https://good.example", 403),
        (Config::default(), "null", 403),
        (listed.clone(), "https://good.example", 101),
        (listed, "https://evil.example", 403),
        (anyone, "https://evil.example", 101),
    ] {
        let what = format!("{:?} {origin}", config.origins);
        let (address, _results) = serve(config, async |_| Ok(())).await;
        let mut http = Http::connect(address).await;
        http.send(&handshake("/", &[("Origin", origin)])).await;
        assert_eq!(http.response().await.status, status, "{what}");
    }
}

#[tokio::test]
async fn messages_are_compressed_for_clients_that_offer_it() {
    let config = Config {
        compression: Some(Deflate::new()),
        ..Config::default()
    };
    let (address, _results) = serve(config, async |mut socket| {
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok(())
    })
    .await;
    let offer = ("Sec-WebSocket-Extensions", "permessage-deflate");
    let long = "long ".repeat(1000);
    for (headers, compresses) in [(&[offer][..], true), (&[], false)] {
        let websocket = websocket::WebSocket::connect(address, "/", headers).await;
        let mut websocket = websocket.unwrap();
        websocket.send_text(&long).await;
        assert_eq!(websocket.text().await, long);
        assert_eq!(websocket.decoded_bytes < 100, compresses);
        websocket.send_text("short").await;
        assert_eq!(websocket.text().await, "short");
    }
}
