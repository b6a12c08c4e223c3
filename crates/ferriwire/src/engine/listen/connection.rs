//! One accepted connection: TLS, the version of HTTP, and how long it may last.

#[cfg(feature = "test")]
mod in_memory;

use std::convert::Infallible;
use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response, StatusCode, Version};
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
use super::plain::Lane;
use super::tls::Secured;
use crate::engine::body::Body;
use crate::engine::core::Core;
use crate::engine::http::{empty, respond};
use crate::engine::running::{BoxFuture, at_once};
use crate::engine::tcp::TcpConnection;
use crate::engine::writing::{OF_STREAM, Writing};

#[cfg(feature = "test")]
pub(super) use self::in_memory::serve_in_memory;

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

/// How many headers hyper takes without being told, for which it has room without asking for memory.
const USUAL_HEADERS: usize = 100;

/// How long a connection that was told to end may take.
const FAREWELL: Duration = Duration::from_secs(30);

/// Serves what was accepted until it is closed, or became a WebSocket. On the heap, because it is some 2 KB,
/// and more in a box of its own where hyper is needed, which the runtime would move half a dozen times.
pub(super) fn serve(
    core: Arc<Core>,
    security: &Arc<Security>,
    stream: TcpConnection,
    peer: SocketAddr,
    phase: watch::Receiver<Phase>,
) -> BoxFuture<()> {
    let connection = Connection {
        core,
        peer,
        activity: Activity::since(stream.writing().begun()),
        writing: Arc::clone(stream.writing()),
        phase,
        is_continued: false,
    };
    match **security {
        Security::Plain {
            prior_knowledge: false,
        } => Box::pin(connection.plain(stream)),
        Security::Plain {
            prior_knowledge: true,
        } => Box::pin(async move { connection.http2(stream, |_| {}, true).await }),
        Security::Tls(_) => Box::pin(connection.tls(Arc::clone(security), stream)),
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
    /// Requests were answered before hyper had it, which therefore waits for its first one even if it is
    /// told to end.
    is_continued: bool,
}

impl Connection {
    async fn tls(self, security: Arc<Security>, stream: TcpConnection) {
        let Security::Tls(acceptor) = &*security else {
            return;
        };
        let mut phase = self.phase.clone();
        let handshake = Box::pin(acceptor.handshake(&self.core, stream, self.peer));
        let secured = tokio::select! {
            secured = handshake => secured,
            () = until_parting(&mut phase) => None,
        };
        if let Some(secured) = secured {
            Box::pin(self.secured(secured)).await;
        }
    }

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

    /// HTTP/1.1 on a bare socket: as long as it is plain without hyper.
    async fn plain(mut self, stream: TcpConnection) {
        let other = {
            let ending = AtomicBool::new(false);
            let lane = Lane {
                core: &self.core,
                peer: self.peer,
                activity: &self.activity,
                ending: &ending,
            };
            let serving = pin!(lane.serve(stream));
            let end = |_: Pin<&mut _>| ending.store(true, Ordering::Relaxed);
            self.drive(serving, end).await.flatten()
        };
        if let Some(stream) = other {
            self.is_continued = self.activity.has_begun();
            Box::pin(self.http1(stream, |_| {})).await;
        }
    }

    async fn http1<IO, M>(&self, stream: IO, mark: M)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        M: Fn(&mut Request<Incoming>) + Send + 'static,
    {
        let limits = &self.core.config().limits;
        let mut builder = http1::Builder::new();
        builder
            .header_read_timeout(None)
            .max_buf_size(limits.max_head_bytes.max(MIN_HEAD));
        if limits.max_headers != USUAL_HEADERS {
            builder.max_headers(limits.max_headers);
        }
        let connection = builder
            .serve_connection(TokioIo::new(stream), self.service(mark))
            .with_upgrades();
        self.drive(pin!(connection), |connection| {
            connection.graceful_shutdown()
        })
        .await;
    }

    /// HTTP/2, or, when HTTP/1.1 is allowed, what the client begins with.
    async fn http2<IO, M>(&self, stream: IO, mark: M, allow_http1: bool)
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
            .header_read_timeout(None)
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
            let pending = activity.begin_request(request.version());
            mark(&mut request);
            let (core, writing) = (Arc::clone(&core), Arc::clone(&writing));
            async move {
                // Over HTTP/1.1 hyper has counted them.
                if request.headers().len() > core.config().limits.max_headers {
                    return Ok(empty(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
                }
                let is_stream = request.version() >= Version::HTTP_2;
                let mut response = respond(&core, request, Some(peer), None).await;
                let stream = is_stream.then(|| OF_STREAM.try_with(Arc::clone).ok());
                let stream = stream.flatten();
                response.body_mut().watch(stream, &writing);
                drop(pending);
                Ok(response)
            }
        })
    }

    /// Drives a connection to its end, and ends it when it has no purpose any more.
    async fn drive<C, T, E>(
        &self,
        mut connection: Pin<&mut C>,
        end: impl Fn(Pin<&mut C>),
    ) -> Option<T>
    where
        C: Future<Output = Result<T, E>>,
        E: Display,
    {
        // Nearly every WebSocket's request is there already, and its connection is over with the answer.
        if let Poll::Ready(result) = at_once(&mut connection).await {
            return self.ended(result);
        }
        let limits = &self.core.config().limits;
        let keep_alive = limits.keep_alive_timeout.min(LONGEST);
        let (mut told_to_end, mut parting) = (false, false);
        let first = self.activity.begun() + limits.head_timeout.min(LONGEST);
        // Never later than a connection that rests from now on has rested for too long.
        let wake = pin!(tokio::time::sleep_until(
            first.min(self.activity.begun() + keep_alive)
        ));
        let mut wake = Rarely::new(wake);
        let mut stalled = pin!(self.writing.stalled(limits.answer_stall_timeout));
        let mut awaited = self.phase.clone();
        let all_parting = pin!(until_parting(&mut awaited));
        let mut all_parting = Rarely::new(all_parting);
        let farewell = || match self.is_continued && self.activity.rests(self.writing.is_waiting())
        {
            true => Instant::now(),
            false => Instant::now() + FAREWELL,
        };
        loop {
            // A request that has arrived is seen before the time for it is over.
            let event = poll_fn(|cx| {
                if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                    return Poll::Ready(Event::Ended(result));
                }
                if stalled.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Event::Stalled);
                }
                let is_changed = self.phase.has_changed().unwrap_or(true);
                if !parting && all_parting.poll(is_changed, cx).is_ready() {
                    return Poll::Ready(Event::Parting);
                }
                let is_due = wake.future.is_elapsed();
                wake.poll(is_due, cx).map(|()| Event::Due)
            });
            let next = match event.await {
                Event::Ended(result) => return self.ended(result),
                Event::Stalled => {
                    self.writing.give_up(self.core.counters());
                    return None;
                }
                // Only when the sessions have ended: polling clients fetch their farewell over this.
                Event::Parting => {
                    (told_to_end, parting) = (true, true);
                    end(connection.as_mut());
                    farewell()
                }
                Event::Due if parting => return None,
                Event::Due => match self.activity.purpose(keep_alive, self.writing.is_waiting()) {
                    Purpose::Unknown if Instant::now() < first => {
                        first.min(Instant::now() + keep_alive)
                    }
                    Purpose::Unknown => {
                        tracing::debug!(peer = %self.peer, "no request in time");
                        return None;
                    }
                    Purpose::None if told_to_end => return None,
                    Purpose::None => {
                        told_to_end = true;
                        end(connection.as_mut());
                        farewell()
                    }
                    Purpose::Some { look_again } => look_again,
                },
            };
            wake.future.as_mut().reset(next);
            wake.known_to = None;
        }
    }

    /// What is left of a connection that has ended.
    fn ended<T>(&self, result: Result<T, impl Display>) -> Option<T> {
        let noted = result.inspect_err(|error| {
            tracing::debug!(peer = %self.peer, %error, "HTTP connection ended");
        });
        noted.ok()
    }
}

/// What happens to a connection.
enum Event<T, E> {
    Ended(Result<T, E>),
    /// The client takes nothing of what is written.
    Stalled,
    /// The sessions of the server have ended.
    Parting,
    /// It is time to look whether it has a purpose.
    Due,
}

/// A future that is asked only when it is known to have something to say: asking it each time that
/// a request or a piece of one arrives costs as much as some requests do.
struct Rarely<F> {
    future: F,
    /// Whom it wakes.
    known_to: Option<Waker>,
}

impl<F: Future + Unpin> Rarely<F> {
    fn new(future: F) -> Self {
        let known_to = None;
        Self { future, known_to }
    }

    fn poll(&mut self, has_happened: bool, cx: &mut Context<'_>) -> Poll<F::Output> {
        let known_to = self.known_to.as_ref();
        if !has_happened && known_to.is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        self.known_to = Some(cx.waker().clone());
        Pin::new(&mut self.future).poll(cx)
    }
}
