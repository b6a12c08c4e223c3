//! From a request to a WebSocket (1.1.6, RFC 6455 section 4.2; over HTTP/2 RFC 8441; compressed RFC
//! 7692).

use ferriwire_proto::engine::handshake::{BadRequest, Refusal};
use ferriwire_proto::engine::{Dialect, Transport};
use ferriwire_proto::websocket::{Accept, accept_deflate, accept_key};
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::ext::Protocol;

use super::super::body::Body;
use super::super::core::Core;
use super::super::session::{Input, Session};
use super::super::transport::arriving::{Arriving, Handover};
use super::admission::Refused;
use super::answers::empty;
use super::fields::Fields;
use crate::config::Deflate;

/// A WebSocket for a session that began with long-polling. Whether it may take the session over is
/// decided by the connection task, in order with everything else that happens to the session.
pub(super) fn upgrade<B>(
    core: &Core,
    mut request: Request<B>,
    session: &Session,
    dialect: Dialect,
    handover: Option<Handover>,
) -> Response<Body> {
    let compression = core.config().websocket_compression.as_ref();
    match switching_protocols(request.method(), request.headers(), compression) {
        Ok((response, deflate)) => {
            let handover = handover.unwrap_or_else(|| hyper::upgrade::on(&mut request).into());
            let upgrade = Arriving::new(handover, core.config().websocket_limits(), deflate);
            let upgrade = Box::new(upgrade);
            session.outbox().contest();
            session.tell(Input::Candidate { upgrade, dialect });
            response
        }
        Err(refusal) => *refusal,
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

/// Whether an HTTP/2 stream is to become a WebSocket (RFC 8441 section 5): the host's HTTP server
/// has announced that it passes such requests on.
pub(crate) fn is_extended_connect<B>(request: &Request<B>) -> bool {
    let protocol = request.extensions().get::<Protocol>();
    *request.method() == Method::CONNECT
        && protocol.is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// The answer that opens a WebSocket, and how its messages are compressed where that was negotiated.
pub(crate) type Switching = (Response<Body>, Option<Deflate>);

/// The 101 of RFC 6455 section 4.2.2, over HTTP/2 a 200, or the answer to a handshake that breaks
/// 4.2.1.
pub(crate) fn switching_protocols(
    method: &Method,
    headers: &HeaderMap,
    compression: Option<&Deflate>,
) -> Result<Switching, Box<Response<Body>>> {
    if !is_understood(headers) {
        return Err(Box::new(upgrade_required()));
    }
    if *method == Method::CONNECT {
        // Such a stream has no key, because no other protocol could be mistaken for it.
        let mut response = Response::new(Body::empty());
        let deflate = negotiate(headers, response.headers_mut(), compression);
        return Ok((response, deflate));
    }
    let accept = accept_of(headers);
    let accept = accept.and_then(|accept| HeaderValue::from_bytes(accept.as_bytes()).ok());
    let Some(accept) = accept else {
        let cause = BadRequest::TransportHandshake(Transport::WebSocket);
        let refused = Refused::from(Refusal::BadRequest(cause));
        return Err(Box::new(refused.response(true)));
    };
    let mut response = Response::new(Body::empty());
    let deflate = negotiate(headers, response.headers_mut(), compression);
    switch(&mut response, accept);
    Ok((response, deflate))
}

/// Whether a client speaks WebSocket in the version that we do.
pub(super) fn is_understood<F: Fields + ?Sized>(fields: &F) -> bool {
    fields.first_named(&SEC_WEBSOCKET_VERSION) == Some(b"13")
}

/// The answer to a client's key, if it is one.
pub(super) fn accept_of<F: Fields + ?Sized>(fields: &F) -> Option<Accept> {
    let key = fields.first_named(&SEC_WEBSOCKET_KEY);
    key.and_then(accept_key)
}

/// Makes an answer one that opens a WebSocket.
pub(super) fn switch(response: &mut Response<Body>, accept: HeaderValue) {
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
}

/// Accepts compression, where it is on and the client offers it in a way that we can keep to.
fn negotiate(
    offered: &HeaderMap,
    answer: &mut HeaderMap,
    compression: Option<&Deflate>,
) -> Option<Deflate> {
    let compression = compression?;
    let offers = offered.get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
    let offers = offers.filter_map(|value| value.to_str().ok());
    let accepted = accept_deflate(offers, compression.deflater())?;
    let accepted = HeaderValue::try_from(accepted).ok()?;
    answer.insert(SEC_WEBSOCKET_EXTENSIONS, accepted);
    Some(compression.clone())
}

/// Takes out what speaks about a connection, and has no place on one of many streams (RFC 9113,
/// 8.2.2).
pub(crate) fn fit_to(version: Version, headers: &mut HeaderMap) {
    if version >= Version::HTTP_2 {
        headers.remove(CONNECTION);
        headers.remove(UPGRADE);
    }
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
