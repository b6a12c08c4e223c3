//! The same server inside axum, inside plain hyper, and on streams that are no sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, map_request};
use axum::response::IntoResponse;
use axum::routing::get;
use ferriwire::engine::{CloseReason, Message, PeerAddress, Secure, Service};
use ferriwire::{ConnectError, Handshake, Limits, Namespace};
use ferriwire_proto::websocket::frame::OpCode;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::Endpoint;
use crate::support::http::Http;
use crate::support::polling::Polling;
use crate::support::websocket::{Frame, WebSocket, frame};
use crate::support::{until, within};
use crate::{PATH, POLLING, WEBSOCKET, config, echo, quick};

/// Everything a client does, on whatever the server stands on.
pub(crate) async fn works(endpoint: &Endpoint) {
    let mut polling = Polling::handshake(endpoint, PATH).await;
    assert_eq!(polling.post("4one\x1ebAQI=").await.text(), "ok");
    assert_eq!(polling.get().await.text(), "4one\x1ebAQI=");
    let mut abandoned = polling.probe().await;
    abandoned.send_text("garbage").await;
    assert_eq!(abandoned.rest().await, [Frame::Close(None)]);
    assert_eq!(polling.post("4two").await.text(), "ok");
    let mut websocket = polling.probe().await;
    let frames = [frame(OpCode::Text, "5"), frame(OpCode::Text, "4three")].concat();
    websocket.send_raw(&frames).await;
    assert_eq!(websocket.text().await, "4two");
    assert_eq!(websocket.text().await, "4three");
    assert_eq!(polling.get().await.status, 400);

    let early = frame(OpCode::Text, "4early");
    let connected = WebSocket::connect_and_send(endpoint, WEBSOCKET, &[], &early).await;
    let mut websocket = connected.expect("it works");
    assert!(websocket.text().await.starts_with('0'));
    assert_eq!(websocket.text().await, "4early");
    let large = vec![7; 900_000];
    websocket.send_binary(&large).await;
    assert_eq!(websocket.next().await, Frame::Binary(large));
    websocket.send_frame(OpCode::Ping, b"x").await;
    assert_eq!(websocket.next().await, Frame::Pong(b"x".to_vec()));
    websocket
        .send_frame(OpCode::Close, &1000_u16.to_be_bytes())
        .await;
    assert_eq!(websocket.rest().await, [Frame::Close(Some(1000))]);

    let connected = WebSocket::connect(endpoint, WEBSOCKET, &[]).await;
    let mut websocket = connected.expect("it works");
    assert!(websocket.text().await.starts_with('0'));
    websocket.send_raw(b"test").await;
    assert_eq!(websocket.rest().await, [Frame::Close(Some(1002))]);
    let response = Http::connect(endpoint).await.get("/engine.io/?EIO=4").await;
    assert_eq!(response.status, 400);
}

async fn serve_axum(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("it works");
    let address = listener.local_addr().expect("it works");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn serve_hyper(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: Service) {
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    tokio::spawn(connection);
}

/// A server on pipes that hold little, as a TLS stream would be to us.
pub(crate) fn pipes(service: Service) -> Endpoint {
    Endpoint::Pipe(Arc::new(move || {
        let (client, server) = tokio::io::duplex(1_000);
        serve_hyper(server, service.clone());
        client
    }))
}

#[tokio::test]
async fn as_the_fallback_of_an_axum_router() {
    let (server, ..) = echo(config());
    let app = Router::new()
        .route("/", get(async || "the page"))
        .fallback_service(server.into_service().unwrap());
    let address = serve_axum(app).await;
    works(&address.into()).await;
    let mut http = Http::connect(address).await;
    assert_eq!(http.get("/").await.text(), "the page");
    assert_eq!(http.get("/other").await.status, 404);
}

#[tokio::test]
async fn as_a_layer_around_an_axum_router() {
    let (server, ..) = echo(config());
    let app = Router::new()
        .route("/", get(async || "the page"))
        .fallback(async || "somebody else")
        .layer(server.into_layer().unwrap());
    let address = serve_axum(app).await;
    works(&address.into()).await;
    let mut http = Http::connect(address).await;
    assert_eq!(http.get("/").await.text(), "the page");
    assert_eq!(
        http.get("/engine.io/default/").await.text(),
        "somebody else"
    );
}

/// As docs/mounting.md says it.
async fn tell_peer(mut request: Request) -> Request {
    if let Some(&ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        request.extensions_mut().insert(PeerAddress(peer));
        request.extensions_mut().insert(Secure);
    }
    request
}

#[tokio::test]
async fn a_mounted_server_counts_for_each_address_that_the_host_tells() {
    for tells in [true, false] {
        let limits = Limits::new().max_connections_per_address(2);
        let (server, mut sessions, ..) = echo(config().limits(limits));
        let mut app = Router::new().layer(server.into_layer().unwrap());
        if tells {
            app = app.layer(map_request(tell_peer));
        }
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        for status in [200, 200, if tells { 429 } else { 200 }] {
            let response = Http::connect(address).await.get(POLLING).await;
            assert_eq!(response.status, status, "{tells}");
        }
        let session = within("a session", sessions.recv()).await.unwrap();
        let known = session.request().address().map(|peer| peer.ip());
        assert_eq!(known, tells.then_some(address.ip()));
        assert_eq!(session.request().secure(), tells);
    }
}

#[tokio::test]
async fn a_kept_clone_reads_the_counters_and_shuts_down() {
    let (server, _sessions, _received, mut closed) = echo(config());
    let service = server.into_service().unwrap();
    let address = serve_axum(Router::new().fallback_service(service.clone())).await;
    let connected = WebSocket::connect(address, WEBSOCKET, &[]).await;
    let mut websocket = connected.unwrap();
    assert!(websocket.text().await.starts_with('0'));
    let mut polling = Polling::handshake(address, PATH).await;
    assert!(service.is_ready());
    assert_eq!(service.stats().sessions(), 2);
    let clients = async {
        assert_eq!(websocket.rest().await, [Frame::Close(None)]);
        drop(websocket);
        assert!(matches!(polling.get().await.text(), "1" | "6\x1e1"));
    };
    let shutdown = service.shutdown(Duration::from_secs(60));
    tokio::join!(within("the shutdown", shutdown), clients);
    for _ in 0..2 {
        let reason = within("a close", closed.recv()).await;
        assert_eq!(reason, Some(CloseReason::ServerShuttingDown));
    }
    assert!(!service.is_ready());
    assert_eq!(service.stats().sessions(), 0);
    let refused = Http::connect(address).await.get(POLLING).await;
    assert_eq!(refused.status, 503);
}

#[tokio::test]
async fn a_kept_layer_is_a_handle_with_the_counters_of_socket_io() {
    let namespace = Namespace::new("/").on("panic", async |_, why: String| {
        assert!(why.is_empty(), "{why}");
    });
    let layer = ferriwire::Server::new().namespace(namespace);
    let layer = layer.into_layer().unwrap();
    let address = serve_axum(Router::new().layer(layer.clone())).await;
    let target = "/socket.io/?EIO=4&transport=websocket";
    let connected = WebSocket::connect(address, target, &[]).await;
    let mut websocket = connected.unwrap();
    assert!(websocket.text().await.starts_with('0'));
    websocket.send_text("40").await;
    assert!(websocket.text().await.starts_with("40"));
    websocket.send_text(r#"42["panic","on purpose"]"#).await;
    until("the panic", || layer.stats().handler_panics == 1).await;
    drop(websocket);
    let shutdown = layer.shutdown(Duration::from_secs(60));
    within("the shutdown", shutdown).await;
    assert!(!layer.is_ready());
    assert_eq!(layer.stats().sessions(), 0);
}

/// What the program's own layer found out about who asks.
#[derive(Clone)]
struct User(String);

/// Greets whom the program's layer knows, and is asked for what that layer said.
fn greeting() -> Service {
    let namespace = Namespace::new("/")
        .auth(async |handshake: Handshake| {
            let user = handshake.extension::<User>().cloned();
            user.ok_or_else(|| ConnectError::new("nobody knows you"))
        })
        .on("who", async |socket, _: ()| socket.data().0.clone());
    let server = ferriwire::Server::new().namespace(namespace);
    server.into_service().expect("it works")
}

#[tokio::test]
async fn a_layer_in_front_sees_every_request_and_may_refuse_and_add() {
    let (seen, mut requests) = unbounded_channel();
    let layer = from_fn(move |mut request: Request, next: Next| {
        let query = request.uri().query().unwrap_or_default();
        let is_first = !query.contains("&sid=");
        let is_websocket = query.contains("transport=websocket");
        drop(seen.send((request.method().to_string(), is_websocket, is_first)));
        async move {
            let Some(user) = request.headers().get("x-user") else {
                return (StatusCode::UNAUTHORIZED, "who are you?").into_response();
            };
            let user = User(user.to_str().unwrap_or_default().to_owned());
            request.extensions_mut().insert(user);
            let mut response = next.run(request).await;
            let seen = HeaderValue::from_static("yes");
            response.headers_mut().insert("x-seen", seen);
            response
        }
    });
    let app = Router::new().fallback_service(greeting()).layer(layer);
    let address = serve_axum(app).await;
    let mut http = Http::connect(address).await;
    let ada: &[_] = &[("X-User", "ada")];
    let polling = "/socket.io/?EIO=4&transport=polling";

    let refused = http.request("GET", polling, &[], "").await;
    assert_eq!((refused.status, refused.text()), (401, "who are you?"));
    let opened = http.request("GET", polling, ada, "").await;
    assert_eq!(
        (opened.status, opened.header("x-seen")),
        (200, Some("yes")),
        "{opened:?}"
    );
    let open: serde_json::Value = serde_json::from_str(&opened.text()[1..]).unwrap();
    let sid = open["sid"].as_str().unwrap();
    let polling = format!("{polling}&sid={sid}");
    for (method, headers, body, status, answer) in [
        ("POST", ada, "40", 200, "ok"),
        ("GET", ada, "", 200, r#"40{"sid":"#),
        // Refused in front: the session never learns of them.
        ("POST", &[], "42", 401, "who are you?"),
        ("GET", &[], "", 401, "who are you?"),
        ("POST", ada, r#"420["who"]"#, 200, "ok"),
        ("GET", ada, "", 200, r#"430["ada"]"#),
    ] {
        let response = http.request(method, &polling, headers, body).await;
        assert_eq!(response.status, status, "{method} {body}");
        assert!(response.text().starts_with(answer), "{method} {body}");
        assert_eq!(response.header("x-seen").is_some(), status == 200);
    }

    let upgrade = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
    let refused = WebSocket::connect(address, &upgrade, &[]).await;
    assert_eq!(refused.err().map(|response| response.status), Some(401));
    let mut websocket = WebSocket::connect(address, &upgrade, ada).await.unwrap();
    assert_eq!(websocket.response.header("x-seen"), Some("yes"));
    websocket.send_text("2probe").await;
    assert_eq!(websocket.text().await, "3probe");
    websocket.send_text("5").await;
    websocket.send_text(r#"421["who"]"#).await;
    assert_eq!(websocket.text().await, r#"431["ada"]"#);

    for (method, is_websocket, is_first, times) in [
        ("GET", false, true, 2),
        ("POST", false, false, 1),
        ("GET", false, false, 1),
        ("POST", false, false, 1),
        ("GET", false, false, 1),
        ("POST", false, false, 1),
        ("GET", false, false, 1),
        ("GET", true, false, 2),
    ] {
        for _ in 0..times {
            let seen = within("a request", requests.recv()).await;
            assert_eq!(seen, Some((method.to_owned(), is_websocket, is_first)));
        }
    }
    assert!(requests.try_recv().is_err(), "there were no others");
}

#[tokio::test]
async fn on_plain_hyper() {
    let (server, ..) = echo(config());
    let service = server.into_service().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve_hyper(stream, service.clone());
        }
    });
    works(&address.into()).await;
}

#[tokio::test]
async fn on_a_stream_that_is_no_socket() {
    let (server, ..) = echo(config());
    works(&pipes(server.into_service().unwrap())).await;
}

#[tokio::test]
async fn a_stream_that_is_no_socket_keeps_its_heartbeat_and_its_close() {
    let (server, mut sessions, _, mut closed) = echo(quick());
    let endpoint = pipes(server.into_service().unwrap());
    let connected = WebSocket::connect(&endpoint, WEBSOCKET, &[]).await;
    let mut websocket = connected.unwrap();
    assert!(websocket.text().await.starts_with('0'));
    assert_eq!(websocket.text().await, "2");
    websocket.send_text("3").await;
    let session = within("a session", sessions.recv()).await.unwrap();
    session.send("last").unwrap();
    session.close();
    assert_eq!(websocket.text().await, "4last");
    assert_eq!(websocket.raw_rest().await, [0x88, 0]);
    assert_eq!(
        within("a close", closed.recv()).await,
        Some(CloseReason::ForcedClose)
    );

    let connected = WebSocket::connect(&endpoint, WEBSOCKET, &[]).await;
    let mut websocket = connected.unwrap();
    let frames = websocket.rest().await;
    assert_eq!(
        frames[1..],
        [Frame::Text("2".to_owned()), Frame::Close(None)]
    );
    assert_eq!(
        within("a close", closed.recv()).await,
        Some(CloseReason::PingTimeout)
    );
}

#[tokio::test]
async fn on_a_stream_that_is_no_socket_nothing_is_lost_while_the_reader_is_slow() {
    let (server, mut sessions, ..) = echo(config());
    let endpoint = pipes(server.into_service().unwrap());
    let connected = WebSocket::connect(&endpoint, WEBSOCKET, &[]).await;
    let mut websocket = connected.unwrap();
    assert!(websocket.text().await.starts_with('0'));
    let session = within("a session", sessions.recv()).await.unwrap();
    for number in 0..500 {
        session
            .send(format!("{number} {}", "x".repeat(1_000)))
            .unwrap();
    }
    session
        .send(Message::Binary(vec![1; 300_000].into()))
        .unwrap();
    for number in 0..500 {
        assert!(websocket.text().await.starts_with(&format!("4{number} ")));
    }
    assert_eq!(websocket.next().await, Frame::Binary(vec![1; 300_000]));
}

#[tokio::test]
async fn on_a_stream_that_is_no_socket_a_slow_reader_is_closed() {
    let (server, mut sessions, _, mut closed) = echo(config());
    let endpoint = pipes(server.into_service().unwrap());
    let connected = WebSocket::connect(&endpoint, WEBSOCKET, &[]).await;
    let mut websocket = connected.unwrap();
    assert!(websocket.text().await.starts_with('0'));
    let session = within("a session", sessions.recv()).await.unwrap();
    let message = "x".repeat(10_000);
    let mut sent = 0;
    while session.send(message.as_str()).is_ok() {
        sent += message.len();
        assert!(sent < 2 * 1024 * 1024, "the bound is 1 MiB");
        tokio::task::yield_now().await;
    }
    assert_eq!(
        within("a close", closed.recv()).await,
        Some(CloseReason::SlowConsumer)
    );
    assert_eq!(session.buffered_bytes(), 0);
}

#[tokio::test]
async fn a_mounted_service_without_an_address_serves_as_well() {
    let (server, mut sessions, ..) = echo(config().ping_interval(Duration::from_secs(1)));
    let endpoint = pipes(server.into_service().unwrap());
    let response = Http::connect(&endpoint).await.get(POLLING).await;
    assert_eq!(response.status, 200);
    let session = within("a session", sessions.recv()).await.unwrap();
    assert_eq!(session.request().address(), None);
}

#[tokio::test]
async fn a_request_without_a_server_needs_a_host() {
    let (server, mut sessions, ..) = echo(config());
    let service = server.into_service().expect("it is valid");
    for (host, expected) in [(None, 400), (Some("localhost"), 200)] {
        let mut request = http::Request::get(POLLING).body(String::new()).unwrap();
        if let Some(host) = host {
            let headers = request.headers_mut();
            headers.insert("host", HeaderValue::from_static(host));
        }
        let answer = hyper::service::Service::call(&service, request);
        assert_eq!(answer.await.unwrap().status(), expected);
    }
    assert!(within("a session", sessions.recv()).await.is_some());
}
