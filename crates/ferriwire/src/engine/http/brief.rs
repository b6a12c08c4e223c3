//! Requests of a session's long-polling, which are nearly all that a polling client sends, judged and
//! answered without a map of their headers.
//!
//! Whatever would be refused, or seen by a hook, is none of them: it goes the way of all others, through
//! the same [`admission`](super::admission), where it is counted and answered.

use std::future::ready;

use bytes::Bytes;
use ferriwire_proto::engine::handshake::{Query, Request};
use http::Method;

use super::super::core::Core;
use super::super::origins::Verdict;
use super::super::session::Session;
use super::admission::{Asked, asked};
use super::answers::{is_internet_explorer, without_filter};
use super::cors::{allow_origin, has_nothing_to_tell};
use super::encoding::{Coding, negotiate};
use super::fields::Fields;
use super::polling::{Posting, poll, post};
use super::reply::Reply;
use super::{Route, route};

/// A GET or a POST that its session may have.
pub(crate) struct Brief {
    session: Session,
    kind: Kind,
    verdict: Verdict,
    internet_explorer: bool,
}

enum Kind {
    /// With what the answer may be coded in.
    Get(Option<Coding>),
    Post(Posting, Bytes),
}

impl Brief {
    /// Judges a request of HTTP/1.1 that does not ask for another protocol. Without an effect when it is
    /// none that can be answered here.
    pub(crate) fn judge<F: Fields + ?Sized>(
        core: &Core,
        method: &Method,
        target: &str,
        fields: &F,
        body: &[u8],
    ) -> Option<Self> {
        let query = query_of(core, target)?;
        let verdict = core.config().origins.judge_fields(fields, None);
        let kind = Request::Plain {
            method: method.as_str(),
        };
        let Ok(Asked::Session(session)) = asked(core, &query, kind, &verdict) else {
            return None;
        };
        let kind = match *method {
            Method::GET => Kind::Get(negotiate(fields, Coding::FOR_POLLING)),
            Method::POST => Kind::Post(Posting::new(fields), Bytes::copy_from_slice(body)),
            _ => return None,
        };
        Some(Self {
            session,
            kind,
            verdict,
            internet_explorer: is_internet_explorer(fields),
        })
    }

    pub(crate) async fn respond(self, core: &Core) -> Reply {
        let mut reply = match self.kind {
            Kind::Get(coding) => poll(core, self.session, coding).await,
            Kind::Post(posting, body) => post(core, posting, ready(Ok(body)), self.session).await,
        };
        complete(&mut reply, core, &self.verdict, self.internet_explorer);
        reply
    }
}

/// What a request asks for that no hook wants to see, of a target that is ours.
pub(super) fn query_of(core: &Core, target: &str) -> Option<Query> {
    let config = core.config();
    if target.len() > config.limits.max_target || config.hooks.see_requests() || !is_simple(target)
    {
        return None;
    }
    let (path, query) = target.split_once('?')?;
    if !matches!(route(core, path), Route::Engine) {
        return None;
    }
    Query::parse_within(query, config.limits.max_query_parameters).ok()
}

/// Adds what every answer tells to whoever asked like this.
pub(super) fn complete(reply: &mut Reply, core: &Core, verdict: &Verdict, internet_explorer: bool) {
    if !has_nothing_to_tell(verdict, core.config()) {
        allow_origin(reply.headers_mut(), verdict, core.config());
    }
    if internet_explorer {
        without_filter(reply.headers_mut());
    }
}

/// Whether a target has nothing but what every reader of one takes as it is.
fn is_simple(target: &str) -> bool {
    let simple = |byte| matches!(byte, b'-'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'~' | b'?' | b'=' | b'&');
    target.bytes().fold(true, |all, byte| all & simple(byte))
}
