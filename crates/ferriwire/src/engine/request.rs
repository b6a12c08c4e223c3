//! The request that opened a session, as far as the program may want to see it later.

use std::any::Any;
use std::net::SocketAddr;
use std::time::SystemTime;

use ferriwire_proto::engine::{Dialect, Revision, Transport};
use http::header::ORIGIN;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri};

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
    pub(crate) secure: bool,
    pub(crate) transport: Transport,
    pub(crate) dialect: Dialect,
    /// All polling answers of the session call this callback.
    pub(crate) jsonp: Option<Box<str>>,
    pub(crate) issued: SystemTime,
}

/// Where the peer of a TCP connection is: put this into a request's extensions when you mount the
/// service yourself, and [`Request::address`] will know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// That a request came over TLS: put this into its extensions when you mount the service behind TLS
/// of your own, and [`Request::secure`] will know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secure;

impl Request {
    /// The headers (`handshake.headers`).
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The path and query (`handshake.url`), whatever the version of HTTP.
    #[must_use]
    #[doc(alias = "url")]
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

    /// Where the client is (`handshake.address`), when it is known: always for
    /// [`Server::bind`](crate::Server::bind), and for a mounted service with [`PeerAddress`]. Behind
    /// [trusted proxies](crate::Config::trusted_proxies) it is what they say, with the port 0 if
    /// they do not say one.
    #[must_use]
    #[doc(alias = "remoteAddress")]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether the connection was encrypted (`handshake.secure`): with TLS on the listener of
    /// [`Server::bind_all`](crate::Server::bind_all), and for a mounted service with [`Secure`].
    #[must_use]
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// Whether there is an `Origin` header (`handshake.xdomain`), as there is when a page of another
    /// origin asks; browsers send it with each WebSocket handshake, and with each POST, of their own
    /// origin too. Whether the origin may come is decided before, by
    /// [`Config::origins`](crate::Config::origins).
    #[must_use]
    #[doc(alias = "xdomain")]
    pub fn has_origin(&self) -> bool {
        self.headers.contains_key(ORIGIN)
    }

    /// When the session was opened (`handshake.issued` and `handshake.time`).
    #[must_use]
    #[doc(alias = "time")]
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
    #[doc(alias = "protocol")]
    pub fn revision(&self) -> Revision {
        self.dialect.revision
    }
}

/// The headers in memory of their own. Those that hyper parsed are slices of its read buffer, and
/// would keep all its 8 KiB for as long as the session lives.
pub(super) fn detached(headers: &HeaderMap) -> HeaderMap {
    let mut copies = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        let copy = HeaderValue::from_bytes(value.as_bytes());
        // Neither can fail, because both were valid before.
        if let (Ok(name), Ok(mut copy)) = (name, copy) {
            copy.set_sensitive(value.is_sensitive());
            copies.append(name, copy);
        }
    }
    copies
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn detached_headers_are_the_same_and_share_no_memory() {
        let buffer = Bytes::from("x-forwarded-for: 10.0.0.1, cookie: a=1, cookie: b=2".to_owned());
        let mut parsed = HeaderMap::new();
        for (name, value) in [(0..15, 17..25), (27..33, 35..38), (27..33, 48..51)] {
            let name = HeaderName::from_bytes(&buffer[name]).unwrap();
            let value = HeaderValue::from_maybe_shared(buffer.slice(value)).unwrap();
            parsed.append(name, value);
        }
        let copies = detached(&parsed);
        assert_eq!(copies, parsed);
        assert_eq!(copies.get_all("cookie").iter().count(), 2);
        drop(parsed);
        assert!(buffer.is_unique());
    }
}
