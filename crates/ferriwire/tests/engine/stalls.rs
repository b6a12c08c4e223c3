//! Clients that do not take what they asked for (security 2.1, "poll response write stall").

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use ferriwire::engine::CloseReason;
use ferriwire::{Config, LimitKind, Limits, Listener};
use http::{HeaderMap, Method};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::support::http::Http;
use crate::support::http2::Http2;
use crate::support::polling::Polling;
use crate::support::{Endpoint, Stream, within};
use crate::{ANY_PORT, Echo, PATH, POLLING, config};

const SHORT: Duration = Duration::from_millis(300);

/// More than the kernel holds on both sides of a socket.
const LARGE: usize = 30_000_000;

fn impatient() -> Config {
    config().limits(Limits::new().answer_stall_timeout(SHORT))
}

/// Has a large answer written to a client that does not take it, and waits for the consequences.
async fn asks_and_does_not_take(mut echo: Echo, narrow: &Endpoint, wide: &Endpoint) {
    let polling = Polling::handshake(wide, PATH).await;
    let session = echo.session().await;
    session.send("x".repeat(LARGE)).expect("it is open");
    let mut deaf = Http::connect(narrow).await;
    deaf.start("GET", &polling.target(), &[], "").await;
    assert_eq!(echo.closed().await, CloseReason::SlowConsumer);
    assert_eq!(echo.server.stats().limited(LimitKind::AnswerStall), 1);
    let rest = deaf.rest().await;
    assert!(rest.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(rest.len() < LARGE, "the connection was closed within it");
    // Others are where they were.
    let mut http = Http::connect(wide).await;
    assert_eq!(http.get(POLLING).await.status, 200);
}

#[tokio::test]
async fn whoever_does_not_take_the_answer_to_a_poll_loses_connection_and_session() {
    let echo = Echo::start(impatient()).await;
    let (narrow, wide) = (Endpoint::Narrow(echo.addr()), Endpoint::Tcp(echo.addr()));
    asks_and_does_not_take(echo, &narrow, &wide).await;
}

#[tokio::test]
async fn an_answer_that_is_taken_is_written_to_its_end() {
    let mut echo = Echo::start(impatient()).await;
    let mut polling = Polling::handshake(Endpoint::Narrow(echo.addr()), PATH).await;
    let session = echo.session().await;
    for _ in 0..3 {
        session.send("x".repeat(1_000_000)).unwrap();
        assert_eq!(polling.get().await.body.len(), 1_000_001);
    }
    assert_eq!(echo.server.stats().limited(LimitKind::AnswerStall), 0);
    assert!(echo.closed.try_recv().is_err());
}

#[tokio::test]
async fn a_stalled_stream_is_reset_and_the_others_of_its_connection_go_on() {
    let listener = Listener::tcp(ANY_PORT).http2_prior_knowledge(true);
    let mut echo = Echo::listen(impatient(), [listener]).await;
    // Room for several answers on the connection, and for a part of one on each stream.
    let http = Http2::connect_with(echo.addr(), 64 * 1024, 8 * 1024 * 1024).await;
    let mut targets = Vec::new();
    for _ in 0..2 {
        let opened = http.get(POLLING).await;
        let sid = opened.text().split('"').nth(3).expect("an id").to_owned();
        targets.push((format!("{POLLING}&sid={sid}"), echo.session().await));
    }
    let (target, session) = &targets[0];
    session.send("x".repeat(1_000_000)).unwrap();
    let response = http.start(Method::GET, target, HeaderMap::new(), b"").await;
    let response = within("an answer", response).await.expect("a stream");
    let mut body = response.into_body();
    assert_eq!(echo.closed().await, CloseReason::SlowConsumer);
    assert_eq!(echo.server.stats().limited(LimitKind::AnswerStall), 1);
    let mut taken = 0;
    let end = loop {
        match within("the end", body.data()).await {
            Some(Ok(data)) => taken += data.len(),
            end => break end,
        }
    };
    assert!(matches!(end, Some(Err(error)) if error.is_reset()));
    assert!(taken <= 64 * 1024, "{taken}");

    let (target, session) = &targets[1];
    session.send("x".repeat(1_000_000)).unwrap();
    assert_eq!(http.get(target).await.body.len(), 1_000_001);
}

#[tokio::test]
async fn a_short_answer_that_no_window_takes_is_given_up() {
    // An answer of one byte more, and the window of its stream.
    for (length, window) in [
        (10_000, 0),
        (10_000, 1),
        (10_000, 10_000),
        (16_384, 16_384),
        (80_000, 64 * 1024),
    ] {
        let listener = Listener::tcp(ANY_PORT).http2_prior_knowledge(true);
        let mut echo = Echo::listen(impatient(), [listener]).await;
        let polling = echo.polling().await;
        let session = echo.session().await;
        session.send("x".repeat(length)).unwrap();
        let http = Http2::connect_with(echo.addr(), window, 8 * 1024 * 1024).await;
        let target = polling.target();
        let response = http.start(Method::GET, &target, HeaderMap::new(), b"");
        let response = response.await;
        assert_eq!(echo.closed().await, CloseReason::SlowConsumer);
        assert_eq!(echo.server.stats().limited(LimitKind::AnswerStall), 1);
        drop(response);
        // The connection goes on, and so does whoever has room for it all.
        let polling = echo.polling().await;
        let session = echo.session().await;
        session.send("x".repeat(length)).unwrap();
        let wide = Http2::connect_with(echo.addr(), 1024 * 1024, 8 * 1024 * 1024).await;
        let response = wide.get(&polling.target()).await;
        assert_eq!(response.body.len(), length + 1);
    }
}

/// A client's end of a connection which it stops to read from.
struct Deafened {
    stream: Box<dyn Stream>,
    deaf: Arc<AtomicBool>,
}

impl AsyncRead for Deafened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.deaf.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Deafened {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Stream for Deafened {
    fn reset(self: Box<Self>) {
        self.stream.reset();
    }
}

#[tokio::test]
async fn a_stalled_connection_of_http2_ends_all_sessions_whose_answers_were_on_it() {
    let listener = Listener::tcp(ANY_PORT).http2_prior_knowledge(true);
    let mut echo = Echo::listen(impatient(), [listener]).await;
    let deaf = Arc::new(AtomicBool::new(false));
    let (narrow, switch) = (Endpoint::Narrow(echo.addr()), Arc::clone(&deaf));
    let endpoint = Endpoint::Behind(Arc::new(move || {
        let (narrow, deaf) = (narrow.clone(), Arc::clone(&switch));
        Box::pin(async move {
            let stream = narrow.open().await;
            Box::new(Deafened { stream, deaf }) as Box<dyn Stream>
        })
    }));
    let http = Http2::connect_with(&endpoint, 64 * 1024 * 1024, 64 * 1024 * 1024).await;
    // What was taken concerns nobody any more.
    let polling = echo.polling().await;
    let session = echo.session().await;
    session.send("x".repeat(100_000)).unwrap();
    let taken = http.get(&polling.target()).await;
    assert_eq!(taken.body.len(), 100_001);
    let mut requests = Vec::new();
    // The first one fills the connection; what the others have is handed over as a whole.
    for length in [LARGE, 10, 10_000, 40_000] {
        let polling = echo.polling().await;
        let session = echo.session().await;
        session.send("x".repeat(length)).unwrap();
        let target = polling.target();
        deaf.store(true, Ordering::Relaxed);
        let request = http.start(Method::GET, &target, HeaderMap::new(), b"");
        requests.push(request.await);
    }
    for _ in 0..4 {
        assert_eq!(echo.closed().await, CloseReason::SlowConsumer);
    }
    echo.settled().await;
    assert_eq!(echo.server.stats().sessions(), 1);
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn the_same_holds_over_tls() {
    use ferriwire::Tls;
    use tokio::net::TcpSocket;

    use crate::support::tls::Authority;

    let authority = Authority::new();
    let signed = authority.sign();
    let tls = Tls::pem(signed.chain, signed.key);
    let echo = Echo::listen(impatient(), [Listener::tcp(ANY_PORT).tls(tls)]).await;
    let address = echo.addr();
    let connector = authority.client(None, &["http/1.1"]);
    let narrow = Endpoint::Behind(Arc::new(move || {
        let connector = connector.clone();
        Box::pin(async move {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_recv_buffer_size(4_096).expect("a new socket");
            let stream = socket.connect(address).await.expect("it listens");
            let name = "localhost".try_into().expect("a name");
            let stream = connector.connect(name, stream).await;
            Box::new(stream.expect("it is trusted")) as Box<dyn Stream>
        })
    }));
    let wide = authority.endpoint(address, "http/1.1");
    asks_and_does_not_take(echo, &narrow, &wide).await;
}
