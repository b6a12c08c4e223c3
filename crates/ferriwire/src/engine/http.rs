//! From an HTTP request to a session and a transport, or to an error answer (1.1.4, 1.1.5).
//!
//! Polling, WebSocket and upgrades go through the one function [`admit`](admission::admit).

mod admission;
mod answers;
mod brief;
mod bundle;
mod cors;
mod decisions;
pub(crate) mod encoding;
pub(crate) mod fields;
mod framing;
mod opening;
mod polling;
mod reply;
mod upgrade;

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use ferriwire_proto::engine::SessionId;
use ferriwire_proto::engine::body::Body as Payload;
use ferriwire_proto::engine::handshake::{BadRequest, Refusal};
use http::header::{CONTENT_LENGTH, SET_COOKIE, TRANSFER_ENCODING};
use http::{Response, StatusCode};
use http_body::Body as HttpBody;
use hyper::upgrade::OnUpgrade;

use self::admission::{Admission, Refused, admit, oversized};
pub(crate) use self::answers::empty;
use self::answers::{close_connection, is_internet_explorer, later, without_filter};
pub(crate) use self::brief::Brief;
use self::cors::{allow_origin, is_preflight, preflight};
use self::encoding::{Coding, negotiate};
use self::framing::is_unambiguous;
pub(crate) use self::opening::Opening;
use self::polling::{Posting, poll, post};
#[cfg(test)]
pub(crate) use self::reply::Stock;
pub(crate) use self::reply::{Reply, Stocked, Switching};
use self::upgrade::upgrade;
pub(crate) use self::upgrade::{
    fit_to, is_extended_connect, is_upgrade, switching_protocols, upgrade_required,
};
use super::body::{Body, read_body};
use super::bundle::File;
use super::connection_error::ConnectionError;
use super::core::Core;
use super::gate::Pass;
use super::reasons::LimitKind;
use super::request::{PeerAddress, Request};
use super::transport::arriving::{Arriving, Handover};
use crate::config::{Deflate, Hooks, guarded};

/// What a path asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route<'a> {
    Engine,
    /// A file of the browser client.
    Bundle(&'a File),
    /// Nothing of ours.
    Foreign,
}

/// Matches the path exactly, with an optional slash at its end.
pub(crate) fn route<'a>(core: &'a Core, path: &str) -> Route<'a> {
    let own = core.config().path.as_str();
    let Some(rest) = path.strip_prefix(own.trim_end_matches('/')) else {
        return Route::Foreign;
    };
    match rest.strip_prefix('/') {
        None if rest.is_empty() => Route::Engine,
        Some("") => Route::Engine,
        Some(name) => {
            let file = core.bundle().and_then(|bundle| bundle.file(name));
            file.map_or(Route::Foreign, Route::Bundle)
        }
        None => Route::Foreign,
    }
}

/// Answers a request whose path is ours, from a `peer` of a listener of ours or, without one, of the
/// program's own server. Without a `handover` it is hyper that hands the connection over.
pub(crate) async fn respond<B>(
    core: &Arc<Core>,
    mut request: http::Request<B>,
    peer: Option<SocketAddr>,
    handover: Option<Handover>,
) -> Response<Body>
where
    B: HttpBody<Data: Buf, Error: Display>,
{
    if !is_unambiguous(request.version(), request.headers()) {
        tracing::debug!("request refused: its host or its length is ambiguous");
        return close_connection(empty(StatusCode::BAD_REQUEST));
    }
    let target = request.uri().path_and_query();
    let max_target = core.config().limits.max_target;
    if target.is_some_and(|target| target.as_str().len() > max_target) {
        oversized(core, &request, peer, LimitKind::Target);
        return empty(StatusCode::URI_TOO_LONG);
    }
    let verdict = core.config().origins.judge(&request);
    let version = request.version();
    let internet_explorer = is_internet_explorer(request.headers());
    let mut response = match route(core, request.uri().path()) {
        Route::Foreign => empty(StatusCode::NOT_FOUND),
        Route::Bundle(_) | Route::Engine if is_preflight(request.method(), &verdict) => {
            preflight(&core.config().cors, request.headers())
        }
        Route::Bundle(file) => bundle::serve(file, request.method(), request.headers()).await,
        Route::Engine => {
            let upgrades = is_upgrade(request.method(), request.headers())
                || (core.config().http2_websocket && is_extended_connect(&request));
            let hooks = &core.config().hooks;
            let asked = hooks.see_requests().then(|| head_of(&request, peer));
            match admit(core, &mut request, peer, upgrades, handover, &verdict).await {
                Ok(admission) => {
                    let opens = matches!(admission, Admission::Open(..));
                    let mut response = proceed(core, request, admission, asked.as_ref()).await;
                    if let Some(asked) = &asked {
                        add_headers(hooks, opens, asked, &mut response);
                    }
                    response
                }
                Err(refused) => refuse(core, &refused, upgrades, asked.as_ref()),
            }
        }
    };
    let headers = response.headers_mut();
    allow_origin(headers, &verdict, core.config());
    if internet_explorer {
        without_filter(headers);
    }
    fit_to(version, headers);
    response
}

async fn proceed<B>(
    core: &Arc<Core>,
    request: http::Request<B>,
    admission: Admission,
    asked: Option<&http::Request<()>>,
) -> Response<Body>
where
    B: HttpBody<Data: Buf, Error: Display>,
{
    match admission {
        Admission::Open(id, first, upgrade, pass) => {
            let switching = upgrade.map(|upgrade| switch(core, &request, upgrade));
            match switching.transpose() {
                Ok(switching) => open(core, id, &first, switching, pass, asked),
                Err(refusal) => *refusal,
            }
        }
        Admission::Unavailable => {
            tracing::debug!("request refused: the server is shutting down");
            later(StatusCode::SERVICE_UNAVAILABLE)
        }
        Admission::Poll(session) => {
            let coding = negotiate(request.headers(), Coding::FOR_POLLING);
            // As long as the head is there, so are the 8 KB into which hyper has read it.
            let (head, _body) = request.into_parts();
            drop(head);
            poll(core, session, coding).await.into_response()
        }
        Admission::Post(session) => {
            let (head, body) = request.into_parts();
            let posting = Posting::new(&head.headers);
            drop(head);
            let body = read_body(body, &core.config().limits);
            post(core, posting, body, session).await.into_response()
        }
        Admission::WrongMethod => {
            tracing::debug!("request refused: its method is none that a session knows");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Admission::Upgrade(session, dialect, handover) => {
            upgrade(core, request, &session, dialect, handover)
        }
    }
}

/// How long the `open` packet keeps behind the answer to a WebSocket's handshake. A client may begin to
/// listen only when it has seen that answer, and loses what it reads together with it: so do programs on the
/// `ws` package that await `open`, the official suites among them.
const OPEN_APART: Duration = Duration::from_millis(3);

/// Answers a WebSocket's handshake.
fn switch<B>(
    core: &Core,
    request: &http::Request<B>,
    handover: Handover,
) -> Result<(Response<Body>, Arriving), Box<Response<Body>>> {
    let compression = core.config().websocket_compression.as_ref();
    let (response, deflate) =
        switching_protocols(request.method(), request.headers(), compression)?;
    Ok((response, arrive(core, handover, deflate)))
}

/// The WebSocket of a new session, when its handshake is answered.
fn arrive(core: &Core, handover: Handover, deflate: Option<Deflate>) -> Arriving {
    let arriving = Arriving::new(handover, core.config().websocket_limits(), deflate);
    arriving.apart(OPEN_APART)
}

/// Opens a session, by long-polling or by a WebSocket.
fn open(
    core: &Arc<Core>,
    id: SessionId,
    request: &Arc<Request>,
    switching: Option<(Response<Body>, Arriving)>,
    pass: Pass,
    asked: Option<&http::Request<()>>,
) -> Response<Body> {
    let (switching, arriving) = switching.unzip();
    let handshake = match begin(core, id, request, arriving, pass) {
        Ok(handshake) => handshake,
        Err(refused) => return refuse(core, &refused, switching.is_some(), asked),
    };
    switching.unwrap_or_else(|| {
        let mut response = Reply::payload(handshake, request.jsonp()).into_response();
        if let Some(cookie) = core.cookie() {
            let headers = response.headers_mut();
            headers.append(SET_COOKIE, cookie.value(request.secure));
        }
        response
    })
}

/// Begins a session: with the answer to its handshake by long-polling, if that is how it begins.
fn begin(
    core: &Arc<Core>,
    id: SessionId,
    request: &Arc<Request>,
    arriving: Option<Arriving>,
    pass: Pass,
) -> Result<Payload, Refused> {
    let opened = core.open_session(id, Arc::clone(request), arriving, pass);
    opened.ok_or_else(|| {
        tracing::error!("generate_id made the id of a session that exists");
        Refusal::BadRequest(BadRequest::IdGeneration).into()
    })
}

/// Tells whoever wants to know that a request is refused, and answers it.
fn refuse(
    core: &Core,
    refused: &Refused,
    upgrades: bool,
    asked: Option<&http::Request<()>>,
) -> Response<Body> {
    refused.count(core);
    let tell = &core.config().hooks.connection_error;
    if let (Some(tell), Some(request), Some(refusal)) = (tell, asked, refused.refusal()) {
        let error = ConnectionError { refusal, request };
        guarded("on_connection_error", || tell(&error));
    }
    refused.response(upgrades)
}

/// The head of a request, for hooks that want to see what is answered.
fn head_of<B>(request: &http::Request<B>, peer: Option<SocketAddr>) -> http::Request<()> {
    let mut head = http::Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    *head.extensions_mut() = request.extensions().clone();
    // The connection is ours to take.
    head.extensions_mut().remove::<OnUpgrade>();
    if let Some(peer) = peer {
        head.extensions_mut().insert(PeerAddress(peer));
    }
    head
}

/// Lets the program add headers to an answer of a session.
fn add_headers(
    hooks: &Hooks,
    opens: bool,
    asked: &http::Request<()>,
    response: &mut Response<Body>,
) {
    let status = response.status();
    if !status.is_success() && status != StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    if let Some(add) = hooks.initial_headers.as_ref().filter(|_| opens) {
        guarded("on_initial_headers", || add(response.headers_mut(), asked));
    }
    if let Some(add) = &hooks.headers {
        guarded("on_headers", || add(response.headers_mut(), asked));
    }
    // Where an answer ends is known to who writes it, whatever a hook says.
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING] {
        response.headers_mut().remove(name);
    }
}
