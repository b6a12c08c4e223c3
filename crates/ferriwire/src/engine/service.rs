//! Mounting into a program's own HTTP server: a tower service, and a layer in front of another.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http::{Request, Response};
use http_body::Body as HttpBody;
use http_body_util::Either;

use super::body::Body;
use super::core::Core;
use super::http::{Route, respond, route};

/// A tower service that answers everything under the server's path, and 404 elsewhere.
///
/// It works with any body and any server that supports HTTP upgrades, such as `axum::serve` or
/// hyper's `serve_connection(..).with_upgrades()`. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Service {
    core: Arc<Core>,
}

/// A tower layer that answers everything under the server's path, and passes the rest on.
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
}

impl Layer {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
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
        Box::pin(async move { Ok(respond(&core, request).await) })
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
        if route(&self.core, request.uri().path()) == Route::Foreign {
            let answer = self.inside.call(request);
            return Box::pin(async move { Ok(answer.await?.map(Either::Right)) });
        }
        let core = Arc::clone(&self.core);
        Box::pin(async move { Ok(respond(&core, request).await.map(Either::Left)) })
    }
}
