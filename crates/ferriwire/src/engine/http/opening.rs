//! Handshakes of WebSockets that open a session, by which most clients come, judged and answered without a
//! map of their headers.
//!
//! As with [`Brief`](super::Brief), whatever would be refused or seen by a hook goes the way of all others;
//! but for what is said of limits, because asking counts.

use std::net::SocketAddr;
use std::sync::Arc;

use ferriwire_proto::engine::Transport;
use ferriwire_proto::engine::handshake::Request as Kind;
use ferriwire_proto::websocket::Accept;
use http::header::SEC_WEBSOCKET_EXTENSIONS;

use super::super::core::Core;
use super::super::forwarded::Origin;
use super::super::origins::Verdict;
use super::super::request::{PeerAddress, Request};
use super::super::transport::arriving::Handover;
use super::admission::{Asked, Refused, asked, enter, origin_behind};
use super::answers::is_internet_explorer;
use super::brief::{complete, query_of};
use super::decisions::random_id;
use super::fields::Fields;
use super::reply::{Reply, Switching};
use super::upgrade::{accept_of, is_understood};
use super::{arrive, begin, refuse};

/// A handshake that may open a session, if there is room for one.
pub(crate) struct Opening {
    request: Arc<Request>,
    origin: Origin,
    /// To the client's key.
    accept: Accept,
    verdict: Verdict,
    internet_explorer: bool,
}

impl Opening {
    /// Judges a GET of HTTP/1.1 that asks for a WebSocket. Without an effect.
    pub(crate) fn judge<F: Fields + ?Sized>(
        core: &Core,
        target: &str,
        fields: &F,
        peer: SocketAddr,
    ) -> Option<Self> {
        let config = core.config();
        let query = query_of(core, target)?;
        let verdict = config.origins.judge_fields(fields, None);
        let Ok(Asked::Handshake { jsonp: None }) = asked(core, &query, Kind::Upgrade, &verdict)
        else {
            return None;
        };
        query.check_handshake(Kind::Upgrade).ok()?;
        query.check_revision(config.revisions()).ok()?;
        let compresses = config.websocket_compression.is_some()
            && fields.first_named(&SEC_WEBSOCKET_EXTENSIONS).is_some();
        if query.transport != Transport::WebSocket
            || !core.is_accepting()
            || config.hooks.decide()
            || compresses
            || !is_understood(fields)
        {
            return None;
        }
        let accept = accept_of(fields)?;
        let origin = origin_behind(core, fields, peer);
        let secure = origin.secure.unwrap_or_default();
        let peer = PeerAddress(peer);
        let request = Request::plain(target, fields, peer, origin.address, secure, &query);
        Some(Self {
            request: Arc::new(request),
            origin,
            accept,
            verdict,
            internet_explorer: is_internet_explorer(fields),
        })
    }

    /// Opens the session, and answers.
    pub(crate) fn respond(self, core: &Arc<Core>, handover: Handover) -> Reply {
        let mut reply = match self.open(core, handover) {
            Ok(()) => Reply::Switching(Switching {
                accept: self.accept,
                more: None,
            }),
            Err(refused) => refuse(core, &refused, true, None).into(),
        };
        complete(&mut reply, core, &self.verdict, self.internet_explorer);
        reply
    }

    fn open(&self, core: &Arc<Core>, handover: Handover) -> Result<(), Refused> {
        let pass = enter(core, Some(self.origin))?;
        let id = random_id()?;
        let arriving = arrive(core, handover, None);
        begin(core, id, &self.request, Some(arriving), pass).map(drop)
    }
}
