//! Answers whose status and headers are nearly always the same: to long-polling, and to the handshake of a
//! WebSocket.

use bytes::Bytes;
use ferriwire_proto::engine::body::Body as Payload;
use ferriwire_proto::engine::jsonp::script;
use ferriwire_proto::websocket::Accept;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::super::body::Body;
use super::answers::with_body;
use super::upgrade::switch;
use crate::engine::session::Session;

/// A head that is known beforehand: of an answer with the status 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stock {
    /// A POST was handed on.
    Taken,
    /// Packets as text.
    Text,
    /// Packets of revision 3, some of them binary.
    Binary,
    /// Packets as an argument of a script's call.
    Script,
}

/// An answer.
pub(crate) enum Reply {
    Stock(Stocked),
    Switching(Switching),
    Whole(Box<Response<Body>>),
}

/// An answer with a head that is known beforehand.
pub(crate) struct Stocked {
    pub(crate) stock: Stock,
    pub(crate) content: Bytes,
    /// Whose packets are in it.
    pub(crate) session: Option<Session>,
    /// Further headers, of which most have none.
    pub(crate) more: Option<Box<HeaderMap>>,
}

/// The answer that opens a WebSocket.
pub(crate) struct Switching {
    /// To the client's key.
    pub(crate) accept: Accept,
    /// Further headers, of which most have none.
    pub(crate) more: Option<Box<HeaderMap>>,
}

impl Switching {
    /// The lines in front of that answer's further headers, in two parts with the answer to the key between.
    pub(crate) const HEAD: [&str; 2] = [
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: ",
        "\r\n",
    ];

    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        // It is made of characters of base64.
        if let Ok(accept) = HeaderValue::from_bytes(self.accept.as_bytes()) {
            switch(&mut response, accept);
        }
        let more = self.more.into_iter().flat_map(|more| *more);
        response.headers_mut().extend(more);
        response
    }
}

/// The lines of a head of this type, as they are written in front of all others.
macro_rules! head {
    ($content_type:literal) => {
        concat!(
            "HTTP/1.1 200 OK\r\ncontent-type: ",
            $content_type,
            "\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n"
        )
    };
}

impl Stock {
    /// The lines in front of what is not known beforehand.
    pub(crate) fn head(self) -> &'static str {
        match self {
            Self::Taken => head!("text/html"),
            Self::Text => head!("text/plain; charset=UTF-8"),
            Self::Binary => head!("application/octet-stream"),
            Self::Script => head!("text/javascript; charset=UTF-8"),
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Taken => "text/html",
            Self::Text => "text/plain; charset=UTF-8",
            Self::Binary => "application/octet-stream",
            Self::Script => "text/javascript; charset=UTF-8",
        }
    }

    pub(crate) fn with(self, content: Bytes) -> Reply {
        Reply::Stock(Stocked {
            stock: self,
            content,
            session: None,
            more: None,
        })
    }
}

impl Reply {
    /// A polling body, as it is or as a script that calls this callback.
    pub(super) fn payload(body: Payload, jsonp: Option<&str>) -> Self {
        match jsonp {
            Some(index) => {
                let script = script(index, &String::from_utf8_lossy(&body.bytes));
                Stock::Script.with(script.into_bytes().into())
            }
            None if body.is_binary => Stock::Binary.with(body.bytes.into()),
            None => Stock::Text.with(body.bytes.into()),
        }
    }

    /// The answer to a POST that was handed on.
    pub(super) fn taken() -> Self {
        Stock::Taken.with(Bytes::from_static(b"ok"))
    }

    /// It has packets of this session.
    pub(super) fn of_session(mut self, session: Session) -> Self {
        match &mut self {
            Self::Stock(stocked) => stocked.session = Some(session),
            Self::Switching(_) => {}
            Self::Whole(response) => response.body_mut().carry(session),
        }
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Stock(_) => StatusCode::OK,
            Self::Switching(_) => StatusCode::SWITCHING_PROTOCOLS,
            Self::Whole(response) => response.status(),
        }
    }

    /// Its headers, but for those in a head that is known beforehand.
    pub(crate) fn headers(&self) -> Option<&HeaderMap> {
        match self {
            Self::Stock(stocked) => stocked.more.as_deref(),
            Self::Switching(switching) => switching.more.as_deref(),
            Self::Whole(response) => Some(response.headers()),
        }
    }

    /// The same, to add some.
    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        match self {
            Self::Stock(stocked) => stocked.more.get_or_insert_default(),
            Self::Switching(switching) => switching.more.get_or_insert_default(),
            Self::Whole(response) => response.headers_mut(),
        }
    }

    /// How long it is.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Stock(stocked) => stocked.content.len(),
            Self::Switching(_) => 0,
            Self::Whole(response) => response.body().content().map_or(0, Bytes::len),
        }
    }

    /// The same with all its headers.
    pub(crate) fn into_response(self) -> Response<Body> {
        let stocked = match self {
            Self::Stock(stocked) => stocked,
            Self::Switching(switching) => return switching.into_response(),
            Self::Whole(response) => return *response,
        };
        let mut body = Body::full(stocked.content);
        if let Some(session) = stocked.session {
            body.carry(session);
        }
        let mut response = with_body(StatusCode::OK, stocked.stock.content_type(), body);
        response
            .headers_mut()
            .extend(stocked.more.into_iter().flat_map(|more| *more));
        response
    }
}

impl From<Response<Body>> for Reply {
    fn from(response: Response<Body>) -> Self {
        Self::Whole(Box::new(response))
    }
}
