//! Mounting into a program's own HTTP server: a tower service, and a layer in front of another.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use http::{Request, Response};
use http_body::Body as HttpBody;
use http_body_util::Either;

use super::body::Body;
use super::core::Core;
use super::counters::Stats;
use super::http::{Route, respond, route};

/// A tower service that answers everything under the server's path, and 404 elsewhere.
///
/// It works with any body and any server that supports HTTP upgrades, such as `axum::serve` or
/// hyper's `serve_connection(..).with_upgrades()`. Cloning it is cheap: a clone that is kept is the
/// handle to the mounted server.
///
/// A tower layer in front of it is what `io.engine.use(..)` is in the reference: it sees every request
/// of a session, may refuse it, may add headers to its answer, and what it puts into the extensions of
/// the first request is read with [`Request::extension`](super::Request::extension). See
/// `docs/mounting.md`.
#[derive(Clone, Debug)]
#[doc(alias = "handleRequest")]
#[doc(alias = "handleUpgrade")]
pub struct Service {
    core: Arc<Core>,
}

/// A tower layer that answers everything under the server's path, and passes the rest on.
///
/// As with [`Service`], a clone that is kept is the handle to the mounted server.
#[derive(Clone, Debug)]
pub struct Layer {
    core: Arc<Core>,
}

/// A service with a [`Layer`] in front.
#[derive(Clone, Debug)]
pub struct Layered<S> {
    core: Arc<Core>,
    inside: S,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Service {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Whether it takes new sessions: not any more once it is being shut down.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.core.is_accepting()
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// Takes no new sessions, writes what waits, closes all sessions in batches
    /// ([`Config::drain_pause`](crate::Config::drain_pause)), and returns when that is done or `grace`
    /// has passed.
    ///
    /// The program's own HTTP server goes on; stop it when this has returned, gracefully, because it
    /// is what writes the last answers of long-polling.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use ferriwire::{Namespace, Server};
    ///
    /// # async fn run(stop: impl Future<Output = ()> + Send + 'static) -> ferriwire::Result<()> {
    /// let service = Server::new().namespace(Namespace::new("/")).into_service()?;
    /// let app = axum::Router::<()>::new().fallback_service(service.clone());
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    /// let stopped = async move {
    ///     stop.await;
    ///     service.shutdown(Duration::from_secs(10)).await;
    /// };
    /// axum::serve(listener, app).with_graceful_shutdown(stopped).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "close")]
    pub async fn shutdown(&self, grace: Duration) {
        self.core.shut_down(grace).await;
    }
}

impl Layer {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// As [`Service::is_ready`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.core.is_accepting()
    }

    /// As [`Service::stats`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// As [`Service::shutdown`].
    #[doc(alias = "close")]
    pub async fn shutdown(&self, grace: Duration) {
        self.core.shut_down(grace).await;
    }
}

impl<B> tower_service::Service<Request<B>> for Service
where
    B: HttpBody<Data: Buf + Send, Error: Display + Send> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let core = Arc::clone(&self.core);
        Box::pin(async move { Ok(respond(&core, request, None, None).await) })
    }
}

impl<B> hyper::service::Service<Request<B>> for Service
where
    B: HttpBody<Data: Buf + Send, Error: Display + Send> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<B>) -> Self::Future {
        tower_service::Service::call(&mut self.clone(), request)
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Layered<S>;

    fn layer(&self, inside: S) -> Layered<S> {
        Layered {
            core: Arc::clone(&self.core),
            inside,
        }
    }
}

impl<S, B, R> tower_service::Service<Request<B>> for Layered<S>
where
    S: tower_service::Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Send + 'static,
    B: HttpBody<Data: Buf + Send, Error: Display + Send> + Send + 'static,
{
    type Response = Response<Either<Body, R>>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inside.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if matches!(route(&self.core, request.uri().path()), Route::Foreign) {
            let answer = self.inside.call(request);
            return Box::pin(async move { Ok(answer.await?.map(Either::Right)) });
        }
        let core = Arc::clone(&self.core);
        Box::pin(async move { Ok(respond(&core, request, None, None).await.map(Either::Left)) })
    }
}
