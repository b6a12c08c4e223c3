//! A bare WebSocket, without Engine.IO, spoken to byte by byte.

mod support;

use std::net::SocketAddr;

use ferriwire::websocket::{Config, accept};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use support::within;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Accepts WebSockets, hands them to `program`, and reports how it ended.
async fn serve<P, Fut>(
    config: Config,
    program: P,
) -> (SocketAddr, mpsc::UnboundedReceiver<std::io::Result<()>>)
where
    P: Fn(ferriwire::websocket::WebSocket) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let (report, results) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it listens");
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
    let websocket = support::websocket::WebSocket::connect(address, "/", &[]).await;
    let mut websocket = websocket.unwrap();
    // The server runs on this thread: when this arrives, the second message waits for us to read.
    assert_eq!(websocket.text().await, "first");
    assert!(results.try_recv().is_err());
    websocket.reset();
    let result = within("the end", results.recv()).await.unwrap();
    assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}
