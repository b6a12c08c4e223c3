//! Where a program takes part in handshakes and answers: its own code, called by the engine.

use std::fmt::Display;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::HeaderMap;

use super::Config;
use crate::engine::machine::memory;
use crate::engine::running::{BoxFuture, panic_message};
use crate::engine::{ConnectionError, Message, Request, Session};
use crate::shown::shown;

/// The code that a program has given us. Nothing is paid for what is not there.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) allow_request: Option<AllowRequest>,
    pub(crate) generate_id: Option<Arc<GenerateId>>,
    pub(crate) initial_headers: Option<Arc<AddHeaders>>,
    pub(crate) headers: Option<Arc<AddHeaders>>,
    pub(crate) connection_error: Option<Arc<TellError>>,
    pub(crate) upgrade: Option<Arc<TellSession>>,
    pub(crate) memory_usage: Option<Arc<MeasureMemory>>,
}

/// The program's own say on a handshake: `Err` is the reason for the refusal.
#[derive(Clone)]
pub(crate) enum AllowRequest {
    Now(Arc<Decide>),
    Later(Arc<DecideLater>),
}

type Decide = dyn Fn(&Request) -> Result<(), String> + Send + Sync;
type DecideLater = dyn Fn(Arc<Request>) -> BoxFuture<Result<(), String>> + Send + Sync;
type TellError = dyn Fn(&ConnectionError<'_>) + Send + Sync;
type MeasureMemory = dyn Fn() -> Option<usize> + Send + Sync;
type TellSession = dyn Fn(&Session) + Send + Sync;

/// Makes the id of a session, or says why it cannot.
pub(crate) type GenerateId =
    dyn Fn(Arc<Request>) -> BoxFuture<Result<String, String>> + Send + Sync;

/// Adds headers to the answer to a request.
pub(crate) type AddHeaders = dyn Fn(&mut HeaderMap, &http::Request<()>) + Send + Sync;

impl Config {
    /// Decides on each handshake before a session exists; `Err` carries the reason, which the
    /// client sees. Mirrors `allowRequest`. It must not block; when it has to wait for something,
    /// take [`allow_request_async`](Self::allow_request_async). Whichever is set last is asked.
    #[must_use]
    #[doc(alias = "allowRequest")]
    pub fn allow_request<F>(mut self, decide: F) -> Self
    where
        F: Fn(&Request) -> Result<(), String> + Send + Sync + 'static,
    {
        self.hooks.allow_request = Some(AllowRequest::Now(Arc::new(decide)));
        self
    }

    /// As [`allow_request`](Self::allow_request), for a decision that has to wait for something. It may
    /// take as long as [`Limits::decision_timeout`](crate::Limits::decision_timeout), and the handshake
    /// is refused when it takes longer or panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Config;
    ///
    /// # async fn look_up(_: &str) -> bool { true }
    /// let config = Config::new().allow_request_async(async |request| {
    ///     match request.query("token") {
    ///         Some(token) if look_up(&token).await => Ok(()),
    ///         _ => Err("no valid token".to_owned()),
    ///     }
    /// });
    /// ```
    #[must_use]
    #[doc(alias = "allowRequest")]
    pub fn allow_request_async<F, Fut>(mut self, decide: F) -> Self
    where
        F: FnOnce(Arc<Request>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let decide = move |request| -> BoxFuture<Result<(), String>> {
            let decide = decide.clone();
            Box::pin(async move { decide(request).await })
        };
        self.hooks.allow_request = Some(AllowRequest::Later(Arc::new(decide)));
        self
    }

    /// Makes the ids of sessions. Default: 15 bytes from the operating system, 20 characters. An id has
    /// 1 to 64 characters of `A-Z`, `a-z`, `0-9`, `_` and `-`; whoever has it can act as that client, so
    /// that it has to be unguessable. The handshake is refused with code 3 when this answers an error or
    /// something else, when a session of that id exists, and when it panics or takes longer than
    /// [`Limits::decision_timeout`](crate::Limits::decision_timeout). Mirrors `generateId`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Config;
    ///
    /// # fn random() -> Result<String, std::io::Error> { Ok("a".to_owned()) }
    /// let config = Config::new()
    ///     .generate_id(async |_| Ok::<_, std::io::Error>(format!("node-1-{}", random()?)));
    /// ```
    #[must_use]
    #[doc(alias = "generateId")]
    pub fn generate_id<F, Fut, E>(mut self, generate: F) -> Self
    where
        F: FnOnce(Arc<Request>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Display,
    {
        let generate = move |request| -> BoxFuture<Result<String, String>> {
            let generate = generate.clone();
            Box::pin(async move {
                let id = generate(request).await;
                id.map_err(|error| error.to_string())
            })
        };
        self.hooks.generate_id = Some(Arc::new(generate));
        self
    }

    /// A message that every session begins with: it stands behind the handshake, in the same answer on
    /// long-polling. Default none. Mirrors `initialPacket`. A client of Socket.IO would take it for a
    /// packet of Socket.IO: this is for bare sessions.
    #[must_use]
    #[doc(alias = "initialPacket")]
    pub fn initial_packet(mut self, message: impl Into<Message>) -> Self {
        self.initial_packet = Some(message.into());
        self
    }

    /// Adds headers to the first answer of each session: that of a polling handshake, or the 101 of a
    /// WebSocket. It runs before [`on_headers`](Self::on_headers) and must not block. Mirrors the
    /// event `initial_headers`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Config;
    /// use http::HeaderValue;
    ///
    /// let config = Config::new().on_initial_headers(|headers, _request| {
    ///     headers.append("set-cookie", HeaderValue::from_static("seen=1"));
    /// });
    /// ```
    #[must_use]
    #[doc(alias = "initial_headers")]
    pub fn on_initial_headers<F>(mut self, add: F) -> Self
    where
        F: Fn(&mut HeaderMap, &http::Request<()>) + Send + Sync + 'static,
    {
        self.hooks.initial_headers = Some(Arc::new(add));
        self
    }

    /// Adds headers to every answer of a session: each successful GET and POST of long-polling, and the
    /// 101 of a WebSocket. The request is the one that is answered. It must not block; while it is set,
    /// the head of every request is copied for it. Mirrors the event `headers`.
    #[must_use]
    #[doc(alias = "headers")]
    pub fn on_headers<F>(mut self, add: F) -> Self
    where
        F: Fn(&mut HeaderMap, &http::Request<()>) + Send + Sync + 'static,
    {
        self.hooks.headers = Some(Arc::new(add));
        self
    }

    /// Is told of each request that is refused for what it asks, and why. It must not block; while it is
    /// set, the head of every request is copied for it. Mirrors the event `connection_error`.
    ///
    /// What is refused because of [`Limits`](crate::Limits), with 429 or 503, has none of the codes, and
    /// a flood of it is not made dearer by telling: see [`Stats::limited`](crate::Stats::limited) and
    /// the logs.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Config;
    ///
    /// let config = Config::new().on_connection_error(|error| {
    ///     eprintln!("{} {}: {}", error.code(), error.message(), error.context());
    /// });
    /// ```
    #[must_use]
    #[doc(alias = "connection_error")]
    pub fn on_connection_error<F>(mut self, tell: F) -> Self
    where
        F: Fn(&ConnectionError<'_>) + Send + Sync + 'static,
    {
        self.hooks.connection_error = Some(Arc::new(tell));
        self
    }

    /// Is told of each session that has left long-polling for a WebSocket. It must not block. Mirrors
    /// the event `upgrade` of `socket.conn`.
    #[must_use]
    #[doc(alias = "upgrade")]
    pub fn on_upgrade<F>(mut self, tell: F) -> Self
    where
        F: Fn(&Session) + Send + Sync + 'static,
    {
        self.hooks.upgrade = Some(Arc::new(tell));
        self
    }

    /// How many bytes of memory the process uses, for [`Limits::memory`](crate::Limits::memory).
    /// Default: its resident set, where the system is Linux; elsewhere it is not known, and that
    /// limit does not hold. For programs that know better, by the statistics of their allocator for
    /// instance. It is asked once a second, `None` stands for "not known", and it must not block.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use ferriwire::{Config, Limits};
    ///
    /// static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
    /// let config = Config::new()
    ///     .limits(Limits::new().memory(512 * 1024 * 1024))
    ///     .memory_usage(|| Some(ALLOCATED.load(Ordering::Relaxed)));
    /// ```
    #[must_use]
    pub fn memory_usage<F>(mut self, measure: F) -> Self
    where
        F: Fn() -> Option<usize> + Send + Sync + 'static,
    {
        self.hooks.memory_usage = Some(Arc::new(measure));
        self
    }

    /// How much memory is used, if that is known.
    pub(crate) fn memory_used(&self) -> Option<usize> {
        match &self.hooks.memory_usage {
            Some(measure) => guarded("memory_usage", || measure())?,
            None => memory::used(),
        }
    }
}

impl Hooks {
    /// Whether the program has a say in who opens a session, and with which id.
    pub(crate) fn decide(&self) -> bool {
        self.allow_request.is_some() || self.generate_id.is_some()
    }

    /// Whether some hook wants to see the request that is answered.
    pub(crate) fn see_requests(&self) -> bool {
        self.initial_headers.is_some() || self.headers.is_some() || self.connection_error.is_some()
    }
}

/// Runs code of the program that must not end anything of ours by a panic.
pub(crate) fn guarded<T>(name: &str, hook: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(hook)) {
        Ok(value) => Some(value),
        Err(panic) => {
            let panic = panic_message(&*panic);
            tracing::error!(panic = %shown(panic), "{name} panicked");
            None
        }
    }
}
