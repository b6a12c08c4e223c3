//! Whether a request may do what it asks for, and what that is (1.1.4).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ferriwire_proto::admission::{self, Source};
use ferriwire_proto::engine::handshake::{self, BadRequest, Query, Refusal};
use ferriwire_proto::engine::{Dialect, SessionId, Transport};
use http::header::{HOST, ORIGIN};
use http::{HeaderValue, Method, Response, StatusCode};

use super::super::body::Body;
use super::super::core::Core;
use super::super::forwarded::{self, Origin};
use super::super::gate::Pass;
use super::super::origins::Verdict;
use super::super::reasons::LimitKind;
use super::super::request::{PeerAddress, Request, Secure};
use super::super::session::Session;
use super::super::transport::arriving::Handover;
use super::answers::{close_connection, later, with_body};
use super::decisions;
use super::fields::Fields;
use crate::config::Config;
use crate::hints::Mistake;
use crate::shown::shown;

/// What a request may do.
pub(super) enum Admission {
    /// With its id, and the bare connection if it is to be a WebSocket.
    Open(SessionId, Arc<Request>, Option<Handover>, Pass),
    /// The server is shutting down.
    Unavailable,
    Poll(Session),
    Post(Session),
    /// Another method, with a session: the reference's answer is 500.
    WrongMethod,
    /// With the dialect of the WebSocket.
    Upgrade(Session, Dialect, Option<Handover>),
}

/// Why it may not.
pub(super) enum Refused {
    /// Because of what it asks for.
    Protocol {
        refusal: Refusal,
        /// For upgrades.
        status: StatusCode,
    },
    /// Because of how many there are, or how fast they come.
    Limit {
        refusal: admission::Refusal,
        origin: Option<Origin>,
    },
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Protocol {
            refusal,
            status: StatusCode::BAD_REQUEST,
        }
    }
}

/// The one admission function: query, transport, origin, session, method, program, revision, in
/// the order of the table in 1.1.4. What opens a session gives its head away.
pub(super) async fn admit<B>(
    core: &Core,
    request: &mut http::Request<B>,
    peer: Option<SocketAddr>,
    upgrades: bool,
    handover: Option<Handover>,
    verdict: &Verdict,
) -> Result<Admission, Refused> {
    let config = core.config();
    let target = request.uri().query().unwrap_or_default();
    let query = Query::parse_within(target, config.limits.max_query_parameters);
    let query = query.inspect_err(|refusal| {
        if let Refusal::BadRequest(BadRequest::TooManyParameters { .. }) = refusal {
            oversized(core, request, peer, LimitKind::QueryParameters);
        }
    })?;
    let kind = if upgrades {
        handshake::Request::Upgrade
    } else {
        handshake::Request::Plain {
            method: request.method().as_str(),
        }
    };
    let asked = asked(core, &query, kind, verdict).map_err(|objection| match objection {
        Objection::Refused(refusal) => refusal.into(),
        Objection::Origin => {
            hint_at_origin(config, request);
            Refused::Protocol {
                refusal: Refusal::Forbidden { message: None },
                status: StatusCode::FORBIDDEN,
            }
        }
        Objection::Unknown(refusal) => unknown_session(core, request, peer, refusal),
    })?;
    let jsonp = match asked {
        Asked::Session(session) => {
            return Ok(match *request.method() {
                _ if upgrades => Admission::Upgrade(session, query.dialect(), handover),
                Method::GET => Admission::Poll(session),
                Method::POST => Admission::Post(session),
                _ => Admission::WrongMethod,
            });
        }
        Asked::Handshake { jsonp } => jsonp,
    };
    query.check_handshake(kind)?;
    if !core.is_accepting() {
        return Ok(Admission::Unavailable);
    }
    let origin = origin_of(core, request, peer);
    let pass = enter(core, origin)?;
    let upgrade = (query.transport == Transport::WebSocket)
        .then(|| handover.unwrap_or_else(|| hyper::upgrade::on(&mut *request).into()));
    if let Some(peer) = peer {
        request.extensions_mut().insert(PeerAddress(peer));
    }
    let mut request = Arc::new(remember(request, &query, jsonp, origin));
    decisions::allow(core, &request).await?;
    query.check_revision(config.revisions()).inspect_err(|_| {
        config.hint(Mistake::Revision3, Vec::<&str>::new);
    })?;
    let id = decisions::new_id(core, &request).await?;
    if let Some(request) = Arc::get_mut(&mut request) {
        request.compact();
    }
    Ok(Admission::Open(id, request, upgrade, pass))
}

/// The right to have a session, as far as limits go.
pub(super) fn enter(core: &Core, origin: Option<Origin>) -> Result<Pass, Refused> {
    let pass = core.gate().enter(source(origin), now());
    pass.map_err(|refusal| Refused::Limit { refusal, origin })
}

/// What a query asks for, as far as it may.
pub(super) enum Asked<'a> {
    /// Something of this session.
    Session(Session),
    /// A session of its own.
    Handshake { jsonp: Option<&'a str> },
}

/// Why it may not.
pub(super) enum Objection {
    Refused(Refusal),
    /// The origin is none of those that may come.
    Origin,
    /// There is no such session.
    Unknown(Refusal),
}

impl From<Refusal> for Objection {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Rows 1 to 5 of the table: all that is asked of a request that names a session. Without effect, so that
/// a request can be judged a second time.
pub(super) fn asked<'a>(
    core: &Core,
    query: &'a Query,
    kind: handshake::Request<'_>,
    verdict: &Verdict,
) -> Result<Asked<'a>, Objection> {
    let config = core.config();
    query.check_transport(&config.transports)?;
    match verdict {
        Verdict::Plain | Verdict::Foreign(_) | Verdict::Anyone => {}
        Verdict::Invalid => return Err(Refusal::BadRequest(BadRequest::Origin).into()),
        Verdict::Refused => return Err(Objection::Origin),
    }
    let jsonp = query.check_jsonp(config.jsonp)?;
    let Some(id) = query.session_id().map_err(Objection::Unknown)? else {
        return Ok(Asked::Handshake { jsonp });
    };
    let session = core.sessions().get(id);
    let unknown = || Objection::Unknown(Refusal::SessionUnknown(Some(id.clone())));
    let session = session.ok_or_else(unknown)?;
    if matches!(kind, handshake::Request::Upgrade) && !config.allow_upgrades {
        let cause = BadRequest::TransportHandshake(query.transport);
        return Err(Refusal::BadRequest(cause).into());
    }
    query.check_session(session.transport(), session.request().revision(), kind)?;
    if jsonp.is_some() && session.request().jsonp().is_none() {
        return Err(Refusal::BadRequest(BadRequest::Jsonp).into());
    }
    Ok(Asked::Session(session))
}

fn hint_at_origin<B>(config: &Config, request: &http::Request<B>) {
    let origin = request.headers().get(ORIGIN);
    let origin = origin.map_or(Ok("of another site"), HeaderValue::to_str);
    let mistake = Mistake::ForeignOrigin(origin.unwrap_or_default());
    config.hint(mistake, Vec::<&str>::new);
}

/// Whoever asks for sessions that do not exist is told so, but not any number of times.
fn unknown_session<B>(
    core: &Core,
    request: &http::Request<B>,
    peer: Option<SocketAddr>,
    refusal: Refusal,
) -> Refused {
    let origin = origin_of(core, request, peer);
    match core.gate().ask_for_unknown(source(origin), now()) {
        Ok(()) => refusal.into(),
        Err(refusal) => Refused::Limit { refusal, origin },
    }
}

/// Counts a request whose target is more than it may be, and warns of such ones now and then.
pub(super) fn oversized<B>(
    core: &Core,
    request: &http::Request<B>,
    peer: Option<SocketAddr>,
    limit: LimitKind,
) {
    let address = source(origin_of(core, request, peer)).map(tracing::field::display);
    if core.counters().limited(limit, now()) {
        tracing::warn!(%limit, address, "request refused: its target is too large");
    } else {
        tracing::debug!(%limit, address, "request refused: its target is too large");
    }
}

/// Where the client is, when that is known: of a listener of ours, or of the program's own server.
fn origin_of<B>(
    core: &Core,
    request: &http::Request<B>,
    peer: Option<SocketAddr>,
) -> Option<Origin> {
    let told = || request.extensions().get().map(|PeerAddress(peer)| *peer);
    let peer = peer.or_else(told)?;
    Some(origin_behind(core, request.headers(), peer))
}

/// Where the client is that sent these headers by way of a peer.
pub(super) fn origin_behind<F>(core: &Core, fields: &F, peer: SocketAddr) -> Origin
where
    F: Fields + ?Sized,
{
    let origin = forwarded::origin(peer, fields, &core.config().trusted_proxies);
    if origin.ignored {
        core.warn_of_proxy(peer);
    }
    origin
}

/// The same for the limits of each address.
fn source(origin: Option<Origin>) -> Option<Source> {
    origin.map(|origin| Source::from(origin.address.ip()))
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Takes from a request what its session keeps.
fn remember<B>(
    request: &mut http::Request<B>,
    query: &Query,
    jsonp: Option<&str>,
    origin: Option<Origin>,
) -> Request {
    let forwarded = origin.and_then(|origin| origin.secure);
    let secure = forwarded.unwrap_or_else(|| request.extensions().get::<Secure>().is_some());
    let authority = request
        .uri()
        .authority()
        .map(|host| host.as_str().to_owned());
    // Where HTTP/1.1 names the host in a header, HTTP/2 does in the target.
    let host = authority
        .as_deref()
        .filter(|_| !request.headers().contains_key(HOST));
    let host = host.map(|host| (HOST, host));
    let address = origin.map(|origin| origin.address);
    Request::new(request, host, address, secure, query, jsonp)
}

impl Refused {
    /// Why, when it is one of the protocol's reasons.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Protocol { refusal, .. } => Some(refusal),
            Self::Limit { .. } => None,
        }
    }

    pub(super) fn count(&self, core: &Core) {
        match self {
            Self::Protocol { refusal, .. } => {
                tracing::debug!(refusal = %shown(refusal), "request refused");
                core.counters().refused(refusal);
            }
            Self::Limit { refusal, origin } => {
                let limit = LimitKind::from(*refusal);
                let address = source(*origin).map(tracing::field::display);
                let ignored = origin.is_some_and(|origin| origin.ignored);
                let hint = if refusal.is_of_source() && ignored {
                    "; the address may be that of a proxy, because a forwarding header was ignored: \
                     see Config::trusted_proxies"
                } else {
                    ""
                };
                if core.counters().limited(limit, now()) {
                    tracing::warn!(%limit, address, "request refused: {refusal}{hint}");
                } else {
                    tracing::debug!(%limit, address, "request refused: {refusal}{hint}");
                }
            }
        }
    }

    /// Plain requests are told the code as JSON; upgrades see the message alone, and the
    /// connection ends.
    pub(super) fn response(&self, upgrade: bool) -> Response<Body> {
        match self {
            Self::Protocol { refusal, status } if upgrade => {
                let body = refusal.message().to_owned();
                close_connection(with_body(*status, "text/html", Body::full(body.into())))
            }
            Self::Protocol { refusal, .. } => with_body(
                status_of(refusal.status()),
                "application/json",
                Body::full(refusal.body().into()),
            ),
            // A flood is not given the time for another request.
            Self::Limit { refusal, .. } => close_connection(later(status_of(refusal.status()))),
        }
    }
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST)
}
