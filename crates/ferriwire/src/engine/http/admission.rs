//! Whether a request may do what it asks for, and what that is (1.1.4).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use ferriwire_proto::engine::handshake::{self, BadRequest, Query, Refusal};
use ferriwire_proto::engine::{Revision, Transport};
use http::{Method, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use super::super::body::Body;
use super::super::core::Core;
use super::super::origins::Verdict;
use super::super::request::{PeerAddress, Request, Secure, detached};
use super::super::session::Session;
use super::answers::{close_connection, with_body};

/// What a request may do.
pub(super) enum Admission {
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
pub(super) struct Refused {
    pub(super) refusal: Refusal,
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
pub(super) fn admit<B>(
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
        secure: extensions.get::<Secure>().is_some(),
        extensions,
        address,
        transport: query.transport,
        revision: query.revision,
        issued: SystemTime::now(),
    }
}

impl Refused {
    /// Plain requests are told the code as JSON; upgrades see the message alone, and the
    /// connection ends.
    pub(super) fn response(&self, upgrade: bool) -> Response<Body> {
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
