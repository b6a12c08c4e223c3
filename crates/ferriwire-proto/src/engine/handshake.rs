//! What a request asks for, and the packet that opens a session (1.1.1, 1.1.3, 1.1.4).
//!
//! [`Query::parse`] turns the query of a request into typed parts. Whether they are acceptable is
//! asked step by step, because the order of the checks decides which refusal a client sees and
//! other checks (origin, the application's own) stand between them. Their order is:
//!
//! 1. [`Query::parse`], which needs a known transport, and [`Query::check_transport`];
//! 2. the origin;
//! 3. [`Query::session_id`], then, for a session that exists, [`Query::check_session`];
//! 4. without a session [`Query::check_handshake`], the application, [`Query::check_revision`].

use std::borrow::Cow;
use std::iter;
use std::time::Duration;

use super::jsonp::Callback;
use super::{Dialect, Revision, SessionId, Transport};

mod refusal;

pub use refusal::{BadRequest, Refusal};

/// How many parameters a query may have, unless told otherwise.
const MAX_PARAMETERS: usize = 64;

/// The part of a request's query that concerns Engine.IO. Other parameters are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The transport that the request belongs to: polling or WebSocket.
    pub transport: Transport,
    /// The revision that the client speaks. As in the reference, what is not exactly 4 is 3.
    pub revision: Revision,
    /// The session that it names: `None` for a handshake.
    pub session: Option<NamedSession>,
    /// Binary data shall be sent as base64 text, `b64`.
    pub base64: bool,
    /// The answer shall be a script, `j` with polling.
    pub jsonp: Option<Callback>,
}

/// The session that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedSession {
    /// What may be an id: as this server makes them, or its program.
    Id(SessionId),
    /// Something that is no id, so that it cannot name a session.
    Malformed,
}

/// How a request arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// A plain HTTP request.
    Plain {
        /// Its method, in upper case.
        method: &'a str,
    },
    /// A request to become a WebSocket.
    Upgrade,
}

impl Query {
    /// Reads a query, without its question mark.
    ///
    /// # Errors
    ///
    /// There are more than 64 parameters; `sid`, `EIO` or `transport` is given twice, so that two
    /// readers could disagree on what is asked for; or the transport is none that HTTP knows.
    pub fn parse(query: &str) -> Result<Self, Refusal> {
        Self::parse_within(query, MAX_PARAMETERS)
    }

    /// As [`parse`](Self::parse), with another limit than 64.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_within(query: &str, max_parameters: usize) -> Result<Self, Refusal> {
        let parameters = Parameters::parse(query, max_parameters)?;
        let name = parameters.transport.unwrap_or_default();
        // WebTransport has its own entrance and is never asked for in a query.
        let transport = match Transport::parse(&name) {
            Some(transport @ (Transport::Polling | Transport::WebSocket)) => transport,
            Some(Transport::WebTransport) | None => return Err(Refusal::transport_unknown(&name)),
        };
        let revision = match parameters.revision.as_deref() {
            Some("4") => Revision::V4,
            _ => Revision::V3,
        };
        let session = parameters.session.filter(|id| !id.is_empty());
        Ok(Self {
            transport,
            revision,
            session: session.map(|id| NamedSession::parse(&id)),
            base64: parameters.base64,
            jsonp: parameters
                .jsonp
                .filter(|_| transport == Transport::Polling)
                .map(|index| Callback::parse(&index)),
        })
    }

    /// How packets have to look for whoever asks. A script cannot carry binary data.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect::new(self.revision, self.base64 || self.jsonp.is_some())
    }

    /// The index of the callback that the answer shall call; `None` for an ordinary answer.
    ///
    /// # Errors
    ///
    /// Such answers are not `enabled`, are none of the revision, or what is given is no index.
    pub fn check_jsonp(&self, enabled: bool) -> Result<Option<&str>, Refusal> {
        match &self.jsonp {
            None => Ok(None),
            Some(Callback::Index(index)) if enabled && self.revision == Revision::V3 => {
                Ok(Some(index))
            }
            Some(_) => Err(Refusal::BadRequest(BadRequest::Jsonp)),
        }
    }

    /// Row 1 of the table in 1.1.4: the transport must be enabled.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn check_transport(&self, enabled: &[Transport]) -> Result<(), Refusal> {
        if enabled.contains(&self.transport) {
            Ok(())
        } else {
            Err(Refusal::transport_unknown(self.transport.as_str()))
        }
    }

    /// Row 3: the session that is named, `None` for a handshake. Whoever finds no such session
    /// answers with [`Refusal::SessionUnknown`], too.
    ///
    /// # Errors
    ///
    /// What is named cannot be a session.
    pub fn session_id(&self) -> Result<Option<&SessionId>, Refusal> {
        match &self.session {
            None => Ok(None),
            Some(NamedSession::Id(id)) => Ok(Some(id)),
            Some(NamedSession::Malformed) => Err(Refusal::SessionUnknown(None)),
        }
    }

    /// Rows 4 and 5: the request must fit the session that it names, which is on `current` and
    /// speaks `revision`.
    ///
    /// # Errors
    ///
    /// A plain request uses another transport than the session, an upgrade asks for something that
    /// is not a WebSocket, or the revisions differ.
    pub fn check_session(
        &self,
        current: Transport,
        revision: Revision,
        request: Request<'_>,
    ) -> Result<(), Refusal> {
        let wanted = match request {
            Request::Plain { .. } => current,
            Request::Upgrade => Transport::WebSocket,
        };
        if self.transport != wanted {
            return Err(Refusal::BadRequest(BadRequest::TransportMismatch {
                requested: self.transport,
                current,
            }));
        }
        if self.revision != revision {
            return Err(Refusal::BadRequest(BadRequest::RevisionMismatch {
                requested: self.revision,
                current: revision,
            }));
        }
        Ok(())
    }

    /// Rows 6 and 7: without a session, a request must be one that can open one.
    ///
    /// # Errors
    ///
    /// The method is not GET, or the transport does not match the kind of request.
    pub fn check_handshake(&self, request: Request<'_>) -> Result<(), Refusal> {
        let wanted = match request {
            Request::Plain { method: "GET" } => Transport::Polling,
            Request::Plain { method } => return Err(Refusal::bad_handshake_method(method)),
            Request::Upgrade => Transport::WebSocket,
        };
        if self.transport == wanted {
            Ok(())
        } else {
            let cause = BadRequest::TransportHandshake(self.transport);
            Err(Refusal::BadRequest(cause))
        }
    }

    /// Row 9: the revision must be enabled.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn check_revision(&self, enabled: &[Revision]) -> Result<(), Refusal> {
        if enabled.contains(&self.revision) {
            Ok(())
        } else {
            Err(Refusal::UnsupportedRevision(self.revision))
        }
    }
}

impl NamedSession {
    fn parse(text: &str) -> Self {
        SessionId::parse_custom(text).map_or(Self::Malformed, Self::Id)
    }
}

/// The parameters that have a meaning, percent-decoded.
#[derive(Default)]
struct Parameters<'a> {
    transport: Option<Cow<'a, str>>,
    revision: Option<Cow<'a, str>>,
    session: Option<Cow<'a, str>>,
    base64: bool,
    jsonp: Option<Cow<'a, str>>,
}

impl<'a> Parameters<'a> {
    fn parse(query: &'a str, limit: usize) -> Result<Self, Refusal> {
        // Clients encode nothing of what has a meaning here, and every request asks.
        let is_encoded = query
            .bytes()
            .fold(false, |found, byte| found | matches!(byte, b'%' | b'+'));
        if is_encoded {
            return Self::collect(form_urlencoded::parse(query.as_bytes()), limit);
        }
        let mut rest = Some(query);
        let pairs = iter::from_fn(|| {
            let (pair, behind) = cut(rest?, b'&');
            rest = behind;
            Some(pair)
        });
        let pairs = pairs.filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = cut(pair, b'=');
            (key.into(), value.unwrap_or_default().into())
        });
        Self::collect(pairs, limit)
    }

    fn collect(
        pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
        limit: usize,
    ) -> Result<Self, Refusal> {
        let mut parameters = Self::default();
        for (index, (key, value)) in pairs.enumerate() {
            if index >= limit {
                let cause = BadRequest::TooManyParameters { limit };
                return Err(Refusal::BadRequest(cause));
            }
            match key.as_ref() {
                "transport" => set_once("transport", &mut parameters.transport, value)?,
                "EIO" => set_once("EIO", &mut parameters.revision, value)?,
                "sid" => set_once("sid", &mut parameters.session, value)?,
                "b64" => parameters.base64 = !value.is_empty(),
                "j" => parameters.jsonp = Some(value),
                _ => {}
            }
        }
        Ok(parameters)
    }
}

/// What stands in front of a character of ASCII and, if it is there, behind it. Texts so short are
/// searched best byte by byte.
fn cut(text: &str, at: u8) -> (&str, Option<&str>) {
    let found = text.bytes().position(|byte| byte == at);
    match found.and_then(|position| text.split_at_checked(position)) {
        Some((front, behind)) => (front, behind.get(1..)),
        None => (text, None),
    }
}

fn set_once<'a>(
    name: &'static str,
    parameter: &mut Option<Cow<'a, str>>,
    value: Cow<'a, str>,
) -> Result<(), Refusal> {
    if parameter.replace(value).is_some() {
        return Err(Refusal::BadRequest(BadRequest::DuplicateParameter(name)));
    }
    Ok(())
}

/// What the first packet of a session tells the client.
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    /// The session's id.
    pub session: &'a SessionId,
    /// The transports that the client may move to; none unless it is on polling.
    pub upgrades: &'a [Transport],
    /// How often the client is going to see a ping.
    pub ping_interval: Duration,
    /// How long after that interval either side gives up.
    pub ping_timeout: Duration,
    /// The largest polling body or message that the server takes, in bytes.
    pub max_payload: usize,
}

/// So long is the packet with an id of ours and the usual numbers.
const OPEN: usize = 128;

impl Open<'_> {
    /// The packet as text, with its keys in the reference's order.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut digits = [(); 3].map(|()| itoa::Buffer::new());
        let [interval, timeout, max_payload] = &mut digits;
        // Neither ids nor names of transports contain anything that JSON would escape.
        let mut text = String::with_capacity(OPEN);
        text.push_str(r#"0{"sid":""#);
        text.push_str(self.session.as_str());
        text.push_str(r#"","upgrades":["#);
        for (index, transport) in self.upgrades.iter().enumerate() {
            text.push_str(if index == 0 { "\"" } else { ",\"" });
            text.push_str(transport.as_str());
            text.push('"');
        }
        text.push_str(r#"],"pingInterval":"#);
        text.push_str(interval.format(self.ping_interval.as_millis()));
        text.push_str(r#","pingTimeout":"#);
        text.push_str(timeout.format(self.ping_timeout.as_millis()));
        text.push_str(r#","maxPayload":"#);
        text.push_str(max_payload.format(self.max_payload));
        text.push('}');
        text
    }
}

#[cfg(test)]
mod tests;
