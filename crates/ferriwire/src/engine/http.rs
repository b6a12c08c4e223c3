//! From an HTTP request to a session and a transport, or to an error answer (1.1.4, 1.1.5).
//!
//! Polling, WebSocket and upgrades go through the one function [`admit`].

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use ferriwire_proto::engine::handshake::{self, BadRequest, Query, Refusal};
use ferriwire_proto::engine::{Revision, Transport};
use ferriwire_proto::websocket::accept_key;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, CACHE_CONTROL, CONNECTION,
    CONTENT_TYPE, HeaderName, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::Body as HttpBody;
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;

use super::body::{Body, ReadError, read_body};
use super::core::Core;
use super::origins::Verdict;
use super::request::{PeerAddress, Request, detached};
use super::session::{Input, Session};

/// The longest target of a request, in bytes.
const MAX_TARGET: usize = 8 * 1024;

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    Engine,
    /// A file of the browser client, if there is one of that name.
    Bundle(&'a str),
    /// Nothing of ours.
    Foreign,
}

/// Matches the path exactly, with an optional slash at its end.
pub(crate) fn route<'a>(core: &Core, path: &'a str) -> Route<'a> {
    let own = core.config().path.as_str();
    let Some(rest) = path.strip_prefix(own.trim_end_matches('/')) else {
        return Route::Foreign;
    };
    match rest.strip_prefix('/') {
        None if rest.is_empty() => Route::Engine,
        Some("") => Route::Engine,
        Some(name)
            if core
                .bundle()
                .is_some_and(|bundle| bundle.file(name).is_some()) =>
        {
            Route::Bundle(name)
        }
        Some(_) | None => Route::Foreign,
    }
}

/// Answers a request whose path is ours.
pub(crate) async fn respond<B>(core: &Arc<Core>, mut request: http::Request<B>) -> Response<Body>
where
    B: HttpBody<Data: Buf, Error: Display>,
{
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > MAX_TARGET) {
        return empty(StatusCode::URI_TOO_LONG);
    }
    let verdict = core.config().origins.judge(&request);
    let path = request.uri().path().to_owned();
    let requested = request
        .headers()
        .get(ACCESS_CONTROL_REQUEST_HEADERS)
        .cloned();
    let mut response = match route(core, &path) {
        Route::Foreign => empty(StatusCode::NOT_FOUND),
        Route::Bundle(name) => bundle_file(core, name, request.method()),
        Route::Engine if is_preflight(request.method(), &verdict) => preflight(requested),
        Route::Engine => {
            let upgrades = is_upgrade(request.method(), request.headers());
            match admit(core, &mut request, upgrades, &verdict) {
                Ok(admission) => proceed(core, request, admission).await,
                Err(refused) => {
                    tracing::debug!(refusal = %refused.refusal, "request refused");
                    core.counters().refused(&refused.refusal);
                    refused.response(upgrades)
                }
            }
        }
    };
    allow_origin(response.headers_mut(), &verdict);
    response
}

/// What a request may do.
enum Admission {
    /// With the bare connection, if it is to be a WebSocket.
    Open(Arc<Request>, Option<OnUpgrade>),
    /// A server that is shutting down, or full.
    Unavailable,
    Poll(Session),
    Post(Session),
    /// Another method, with a session: the reference's answer is 500.
    WrongMethod,
    Upgrade(Session),
}

/// Why it may not, with the status for upgrades where that is not 400.
struct Refused {
    refusal: Refusal,
    upgrade_status: StatusCode,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            upgrade_status: StatusCode::BAD_REQUEST,
        }
    }
}

/// The one admission function: query, transport, origin, session, method, program, revision, in
/// the order of the table in 1.1.4. What opens a session gives its head away.
fn admit<B>(
    core: &Core,
    request: &mut http::Request<B>,
    upgrades: bool,
    verdict: &Verdict,
) -> Result<Admission, Refused> {
    let config = core.config();
    let query = Query::parse(request.uri().query().unwrap_or_default())?;
    query.check_transport(&config.transports)?;
    match verdict {
        Verdict::Plain | Verdict::Foreign(_) | Verdict::Anyone => {}
        Verdict::Invalid => return Err(Refusal::BadRequest(BadRequest::Origin).into()),
        Verdict::Refused => {
            return Err(Refused {
                refusal: Refusal::Forbidden { message: None },
                upgrade_status: StatusCode::FORBIDDEN,
            });
        }
    }
    let kind = if upgrades {
        handshake::Request::Upgrade
    } else {
        handshake::Request::Plain {
            method: request.method().as_str(),
        }
    };
    if query.jsonp {
        return Err(Refusal::BadRequest(BadRequest::Jsonp).into());
    }
    if let Some(id) = query.session_id()? {
        let session = core.sessions().get(id);
        let session = session.ok_or_else(|| Refusal::SessionUnknown(Some(id.clone())))?;
        if upgrades && !config.allow_upgrades {
            return Err(
                Refusal::BadRequest(BadRequest::TransportHandshake(query.transport)).into(),
            );
        }
        query.check_session(session.transport(), session.request().revision, kind)?;
        return Ok(match *request.method() {
            _ if upgrades => Admission::Upgrade(session),
            Method::GET => Admission::Poll(session),
            Method::POST => Admission::Post(session),
            _ => Admission::WrongMethod,
        });
    }
    query.check_handshake(kind)?;
    if !core.is_accepting() {
        return Ok(Admission::Unavailable);
    }
    let upgrade =
        (query.transport == Transport::WebSocket).then(|| hyper::upgrade::on(&mut *request));
    let request = remember(request, &query);
    if let Some(decide) = &config.allow_request {
        decide(&request).map_err(|message| Refusal::Forbidden {
            message: Some(message),
        })?;
    }
    query.check_revision(&[Revision::V4])?;
    Ok(Admission::Open(Arc::new(request), upgrade))
}

/// Takes from a request what its session keeps.
fn remember<B>(request: &mut http::Request<B>, query: &Query) -> Request {
    let uri = std::mem::take(request.uri_mut());
    let extensions = std::mem::take(request.extensions_mut());
    let address: Option<SocketAddr> = extensions.get().map(|PeerAddress(peer)| *peer);
    Request {
        method: request.method().clone(),
        uri: uri.to_string().parse().unwrap_or(uri),
        headers: detached(request.headers()),
        extensions,
        address,
        transport: query.transport,
        revision: query.revision,
        issued: SystemTime::now(),
    }
}

async fn proceed<B>(
    core: &Arc<Core>,
    request: http::Request<B>,
    admission: Admission,
) -> Response<Body>
where
    B: HttpBody<Data: Buf, Error: Display>,
{
    match admission {
        Admission::Open(request, upgrade) => open(core, request, upgrade),
        Admission::Unavailable => {
            let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
            response
        }
        Admission::Poll(session) => poll(session).await,
        Admission::Post(session) => post(core, request, session).await,
        Admission::WrongMethod => empty(StatusCode::INTERNAL_SERVER_ERROR),
        Admission::Upgrade(session) => upgrade(request, &session),
    }
}

/// Opens a session, by long-polling or by a WebSocket.
fn open(core: &Arc<Core>, request: Arc<Request>, upgrade: Option<OnUpgrade>) -> Response<Body> {
    let switching = match &upgrade {
        Some(_) => match switching_protocols(&request.headers) {
            Ok(response) => Some(response),
            Err(refusal) => return *refusal,
        },
        None => None,
    };
    match core.open_session(request, upgrade) {
        Ok(handshake) => switching.unwrap_or_else(|| payload(handshake.into_bytes())),
        Err(error) => {
            tracing::error!(%error, "no random bytes for a session id");
            let refusal = Refusal::BadRequest(BadRequest::IdGeneration);
            core.counters().refused(&refusal);
            Refused::from(refusal).response(switching.is_some())
        }
    }
}

/// A WebSocket for a session that began with long-polling. Whether it may take the session over is
/// decided by the connection task, in order with everything else that happens to the session.
fn upgrade<B>(mut request: http::Request<B>, session: &Session) -> Response<Body> {
    match switching_protocols(request.headers()) {
        Ok(response) => {
            session.tell(Input::Candidate(hyper::upgrade::on(&mut request)));
            response
        }
        Err(refusal) => *refusal,
    }
}

/// A GET: waits until there are packets.
async fn poll(session: Session) -> Response<Body> {
    let (waiter, answer) = oneshot::channel();
    session.tell(Input::Poll(waiter));
    let mut unfinished = Unfinished::new(&session, Input::PollAborted);
    let answer = answer.await;
    unfinished.finish();
    match answer {
        Ok(body) => payload(body),
        // A second GET at the same time, or the session is over.
        Err(_) => empty(StatusCode::BAD_REQUEST),
    }
}

/// A POST: answered when its packets were handed to the connection task.
async fn post<B>(core: &Core, request: http::Request<B>, session: Session) -> Response<Body>
where
    B: HttpBody<Data: Buf, Error: Display>,
{
    if !session.begin_post() {
        session.tell(Input::PostFailed);
        return empty(StatusCode::BAD_REQUEST);
    }
    let mut unfinished = Unfinished::new(&session, Input::PostFailed);
    let (parts, body) = request.into_parts();
    let binary = parts.headers.get(CONTENT_TYPE);
    if binary.is_some_and(|kind| kind.as_bytes() == b"application/octet-stream") {
        return empty(StatusCode::BAD_REQUEST);
    }
    let response = match read_body(body, core.config().limits.max_payload).await {
        Ok(body) => {
            let (handed_on, answer) = oneshot::channel();
            session.tell(Input::Post { body, handed_on });
            match answer.await {
                Ok(()) => ok(),
                Err(_) => Refused::from(Refusal::SessionUnknown(None)).response(false),
            }
        }
        Err(ReadError::TooLarge) => {
            core.counters().oversized_body();
            close_connection(empty(StatusCode::PAYLOAD_TOO_LARGE))
        }
        Err(ReadError::TimedOut) => close_connection(empty(StatusCode::REQUEST_TIMEOUT)),
        Err(ReadError::Broken) => return empty(StatusCode::BAD_REQUEST),
    };
    unfinished.finish();
    session.end_post();
    response
}

/// Tells the connection task of a request that its client gave up: hyper then drops the future.
struct Unfinished<'a> {
    session: &'a Session,
    report: Option<Input>,
}

impl<'a> Unfinished<'a> {
    fn new(session: &'a Session, report: Input) -> Self {
        Self {
            session,
            report: Some(report),
        }
    }

    fn finish(&mut self) {
        self.report = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(report) = self.report.take() {
            self.session.tell(report);
        }
    }
}

pub(crate) fn is_upgrade(method: &Method, headers: &HeaderMap) -> bool {
    let names = |header: &HeaderName, token: &str| {
        let values = headers.get_all(header).iter();
        values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().eq_ignore_ascii_case(token))
    };
    *method == Method::GET && names(&UPGRADE, "websocket") && names(&CONNECTION, "upgrade")
}

/// The 101 of RFC 6455 section 4.2.2, or the answer to a handshake that breaks 4.2.1.
pub(crate) fn switching_protocols(
    headers: &HeaderMap,
) -> Result<Response<Body>, Box<Response<Body>>> {
    if headers
        .get(SEC_WEBSOCKET_VERSION)
        .map(HeaderValue::as_bytes)
        != Some(b"13")
    {
        return Err(Box::new(upgrade_required()));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY);
    let accept = key
        .and_then(|key| key.to_str().ok())
        .and_then(accept_key)
        .and_then(|accept| HeaderValue::try_from(accept).ok());
    let Some(accept) = accept else {
        let cause = BadRequest::TransportHandshake(Transport::WebSocket);
        let refused = Refused::from(Refusal::BadRequest(cause));
        return Err(Box::new(refused.response(true)));
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// The answer to whoever should speak WebSocket, in the version that we do (RFC 9110, 15.5.22).
pub(crate) fn upgrade_required() -> Response<Body> {
    let mut response = empty(StatusCode::UPGRADE_REQUIRED);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

impl Refused {
    /// Plain requests are told the code as JSON; upgrades see the message alone, and the
    /// connection ends.
    fn response(&self, upgrade: bool) -> Response<Body> {
        if upgrade {
            let body = self.refusal.message().to_owned();
            let response = with_body(self.upgrade_status, "text/html", body.into());
            return close_connection(response);
        }
        let status = StatusCode::from_u16(self.refusal.status());
        with_body(
            status.unwrap_or(StatusCode::BAD_REQUEST),
            "application/json",
            self.refusal.body().into(),
        )
    }
}

fn payload(body: Vec<u8>) -> Response<Body> {
    with_body(StatusCode::OK, "text/plain; charset=UTF-8", body.into())
}

fn ok() -> Response<Body> {
    with_body(StatusCode::OK, "text/html", Bytes::from_static(b"ok"))
}

pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    protect(response.headers_mut());
    response
}

fn with_body(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    protect(headers);
    response
}

fn protect(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn close_connection(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn bundle_file(core: &Core, name: &str, method: &Method) -> Response<Body> {
    let file = core.bundle().and_then(|bundle| bundle.file(name));
    let Some((content_type, content)) = file else {
        return empty(StatusCode::NOT_FOUND);
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        return empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    let mut response = with_body(StatusCode::OK, content_type, content);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0"));
    response
}

fn is_preflight(method: &Method, verdict: &Verdict) -> bool {
    *method == Method::OPTIONS && matches!(verdict, Verdict::Foreign(_) | Verdict::Anyone)
}

fn preflight(requested: Option<HeaderValue>) -> Response<Body> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static("GET,POST");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    if let Some(requested) = requested {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, requested);
    }
    response
}

fn allow_origin(headers: &mut HeaderMap, verdict: &Verdict) {
    match verdict {
        Verdict::Plain | Verdict::Refused | Verdict::Invalid => {}
        Verdict::Anyone => {
            let anyone = HeaderValue::from_static("*");
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, anyone);
        }
        Verdict::Foreign(origin) => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            let yes = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }
}
