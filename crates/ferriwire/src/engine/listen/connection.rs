//! One accepted connection: TLS, the version of HTTP, and how long it may last.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Phase;
use super::activity::{Activity, Purpose, Streams};
use super::listener::Security;
use super::tls::Secured;
use crate::engine::body::Body;
use crate::engine::core::Core;
use crate::engine::http::{empty, respond};
use crate::engine::request::PeerAddress;
use crate::engine::tcp::TcpConnection;
use crate::engine::writing::{OF_STREAM, Writing};

/// What hyper reads into at least.
const MIN_HEAD: usize = 8 * 1024;

/// What a peer may send of one request before we have read it, in bytes.
const STREAM_WINDOW: u32 = 128 * 1024;

/// The same for all requests of one connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// What waits inside hyper to be sent on one stream, in bytes.
const STREAM_SEND_BUFFER: usize = 64 * 1024;

/// What hyper and the clock can add to the present.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long a connection that was told to end may take.
const FAREWELL: Duration = Duration::from_secs(30);

/// Serves what was accepted until it is closed, or became a WebSocket.
pub(super) async fn serve(
    core: Arc<Core>,
    security: Arc<Security>,
    stream: TcpConnection,
    peer: SocketAddr,
    mut phase: watch::Receiver<Phase>,
) {
    let connection = Connection {
        core,
        peer,
        activity: Activity::new(),
        writing: Arc::clone(stream.writing()),
        phase: phase.clone(),
    };
    match &*security {
        Security::Plain {
            prior_knowledge: false,
        } => connection.http1(stream, |_| {}).await,
        Security::Plain {
            prior_knowledge: true,
        } => Box::pin(connection.http2(stream, |_| {}, true)).await,
        Security::Tls(acceptor) => {
            let handshake = Box::pin(acceptor.handshake(&connection.core, stream, peer));
            let secured = tokio::select! {
                secured = handshake => secured,
                () = until_parting(&mut phase) => None,
            };
            if let Some(secured) = secured {
                Box::pin(connection.secured(secured)).await;
            }
        }
    }
}

/// Waits until the sessions of a server that shuts down have ended.
async fn until_parting(phase: &mut watch::Receiver<Phase>) {
    drop(phase.wait_for(|phase| *phase >= Phase::Parting).await);
}

struct Connection {
    core: Arc<Core>,
    peer: SocketAddr,
    activity: Arc<Activity>,
    writing: Arc<Writing>,
    phase: watch::Receiver<Phase>,
}

impl Connection {
    async fn secured(mut self, secured: Secured) {
        // The time for the first request begins when TLS is done.
        self.activity = Activity::new();
        let (stream, credentials, is_http2) = secured.into_parts();
        let mark = move |request: &mut Request<Incoming>| credentials.mark(request);
        if is_http2 {
            self.http2(stream, mark, false).await;
        } else {
            self.http1(stream, mark).await;
        }
    }

    async fn http1<IO, M>(self, stream: IO, mark: M)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        M: Fn(&mut Request<Incoming>) + Send + 'static,
    {
        let limits = &self.core.config().limits;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.keep_alive_timeout.min(LONGEST))
            .max_buf_size(limits.max_head_bytes.max(MIN_HEAD))
            .max_headers(limits.max_headers)
            .serve_connection(TokioIo::new(stream), self.service(mark))
            .with_upgrades();
        self.drive(pin!(connection), |connection| {
            connection.graceful_shutdown()
        })
        .await;
    }

    /// HTTP/2, or, when HTTP/1.1 is allowed, what the client begins with.
    async fn http2<IO, M>(self, stream: IO, mark: M, allow_http1: bool)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        M: Fn(&mut Request<Incoming>) + Send + 'static,
    {
        let config = self.core.config();
        let limits = &config.limits;
        let mut builder = auto::Builder::new(Streams {
            activity: Arc::clone(&self.activity),
            counters: Arc::clone(self.core.counters()),
            stall_timeout: limits.answer_stall_timeout,
            writing: Arc::clone(&self.writing),
        });
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.keep_alive_timeout.min(LONGEST))
            .max_buf_size(limits.max_head_bytes.max(MIN_HEAD))
            .max_headers(limits.max_headers);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_http2_streams)
            .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(STREAM_SEND_BUFFER);
        if config.http2_websocket {
            builder.http2().enable_connect_protocol();
        }
        if !allow_http1 {
            builder = builder.http2_only();
        }
        let service = self.service(mark);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        self.drive(pin!(connection), |connection| {
            connection.graceful_shutdown()
        })
        .await;
    }

    /// Answers one request after the other, or, over HTTP/2, many at a time.
    fn service<M>(
        &self,
        mark: M,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + use<M>
    where
        M: Fn(&mut Request<Incoming>) + Send + 'static,
    {
        let (core, activity, writing, peer) = (
            Arc::clone(&self.core),
            Arc::clone(&self.activity),
            Arc::clone(&self.writing),
            self.peer,
        );
        service_fn(move |mut request: Request<Incoming>| {
            activity.request_arrived(request.version());
            request.extensions_mut().insert(PeerAddress(peer));
            mark(&mut request);
            let (core, writing) = (Arc::clone(&core), Arc::clone(&writing));
            async move {
                // Over HTTP/1.1 hyper has counted them.
                if request.headers().len() > core.config().limits.max_headers {
                    return Ok(empty(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
                }
                let mut response = respond(&core, request).await;
                let stream = OF_STREAM.try_with(Arc::clone).ok();
                response.body_mut().watch(stream, &writing);
                Ok(response)
            }
        })
    }

    /// Drives a connection to its end, and ends it when it has no purpose any more.
    async fn drive<C, E>(mut self, mut connection: Pin<&mut C>, end: impl Fn(Pin<&mut C>))
    where
        C: Future<Output = Result<(), E>>,
        E: Display,
    {
        let limits = &self.core.config().limits;
        let (mut told_to_end, mut parting) = (false, false);
        let first = self.activity.begun() + limits.head_timeout.min(LONGEST);
        let mut wake = pin!(tokio::time::sleep_until(first));
        let mut stalled = pin!(self.writing.stalled(limits.answer_stall_timeout));
        loop {
            tokio::select! {
                // A request that has arrived is seen before the time for it is over.
                biased;
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(peer = %self.peer, %error, "HTTP connection ended");
                    }
                    return;
                }
                () = stalled.as_mut() => {
                    self.writing.give_up(self.core.counters());
                    return;
                }
                // Only when the sessions have ended: polling clients fetch their farewell over this.
                () = until_parting(&mut self.phase), if !parting => {
                    (told_to_end, parting) = (true, true);
                    end(connection.as_mut());
                    wake.as_mut().reset(Instant::now() + FAREWELL);
                }
                () = wake.as_mut() => {
                    let next = match self.activity.purpose(limits.keep_alive_timeout.min(LONGEST)) {
                        _ if parting => return,
                        Purpose::Unknown => {
                            tracing::debug!(peer = %self.peer, "no request in time");
                            return;
                        }
                        Purpose::None if told_to_end => return,
                        Purpose::None => {
                            told_to_end = true;
                            end(connection.as_mut());
                            Instant::now() + FAREWELL
                        }
                        Purpose::Some { look_again } => look_again,
                    };
                    wake.as_mut().reset(next);
                }
            }
        }
    }
}
