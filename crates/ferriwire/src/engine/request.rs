//! The request that opened a session, as far as the program may want to see it later.

use std::any::Any;
use std::net::SocketAddr;
use std::time::SystemTime;

use ferriwire_proto::engine::{Revision, Transport};
use http::{Extensions, HeaderMap, Method, Uri};

/// The first request of a session: headers, query, address and extensions.
///
/// It stays as it was when a session changes its transport.
#[derive(Debug)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) extensions: Extensions,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) transport: Transport,
    pub(crate) revision: Revision,
    pub(crate) issued: SystemTime,
}

/// Where the peer of a TCP connection is: put this into a request's extensions when you mount the
/// service yourself, and [`Request::address`] will know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

impl Request {
    /// The headers (`handshake.headers`).
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The path and query (`handshake.url`).
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The first query parameter of that name, percent-decoded (`handshake.query`).
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        self.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// All query parameters in order, percent-decoded, those of Engine.IO included.
    pub fn query_pairs(&self) -> impl Iterator<Item = (String, String)> {
        let query = self.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes())
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
    }

    /// Where the peer of the TCP connection is (`handshake.address`), when it is known: always for
    /// [`Server::bind`](crate::Server::bind), and for a mounted service with [`PeerAddress`].
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// When the session was opened (`handshake.issued`).
    #[must_use]
    pub fn issued(&self) -> SystemTime {
        self.issued
    }

    /// Something that a layer in front of us put into the request, such as a web session.
    #[must_use]
    pub fn extension<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.extensions.get()
    }

    /// The method: GET, unless the session was opened by an extended CONNECT.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The transport by which the session was opened.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The revision of Engine.IO that the client speaks.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }
}
