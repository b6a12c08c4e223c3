//! The request that opened a session, as far as the program may want to see it later.

mod address;
mod kept;

use std::any::Any;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ferriwire_proto::engine::handshake::Query;
use ferriwire_proto::engine::{Dialect, Revision, Transport};
use http::header::ORIGIN;
use http::{Extensions, HeaderMap, HeaderName, Method, Uri};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;

use self::address::Address;
use self::kept::Kept;
use super::http::fields::Fields;

/// The first request of a session: headers, query, address and extensions.
///
/// It stays as it was when a session changes its transport.
#[derive(Debug)]
pub struct Request {
    kept: Kept,
    /// It was an extended CONNECT.
    connects: bool,
    /// [`Secure`] was among its extensions.
    marked_secure: bool,
    /// The address is what [`PeerAddress`] said among its extensions.
    is_peer: bool,
    extensions: Extensions,
    address: Address,
    pub(crate) secure: bool,
    pub(crate) transport: Transport,
    pub(crate) dialect: Dialect,
    /// Since the epoch, in nanoseconds.
    issued: u64,
    /// What most requests have not; they pay for a pointer.
    rare: Option<Box<Rare>>,
}

/// What is said of a request's connection.
struct Told {
    /// By [`PeerAddress`].
    peer: Option<PeerAddress>,
    /// By [`Secure`].
    marked_secure: bool,
    /// By that or by a proxy.
    secure: bool,
}

#[derive(Debug)]
struct Rare {
    /// Where the last proxy is, if the client is elsewhere.
    proxy: Option<PeerAddress>,
    jsonp: Option<Box<str>>,
}

/// Where the peer of a TCP connection is: put this into a request's extensions when you mount the
/// service yourself, and [`Request::address`] will know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// That a request came over TLS: put this into its extensions when you mount the service behind TLS
/// of your own, and [`Request::secure`] will know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secure;

/// A clock that is set to before the epoch, or to after the year 2500, is not believed.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or_default()
}

static GET: Method = Method::GET;
static CONNECT: Method = Method::CONNECT;

impl Request {
    /// Keeps what a program may want to see of a request; `more` is a header that it should have had.
    pub(super) fn new<B>(
        request: &mut http::Request<B>,
        more: Option<(HeaderName, &str)>,
        address: Option<SocketAddr>,
        secure: bool,
        query: &Query,
        jsonp: Option<&str>,
    ) -> Self {
        let target = request.uri().path_and_query();
        let target = target.map_or("/", |target| target.as_str());
        let kept = Kept::new(target, request.headers(), more);
        let mut extensions = std::mem::take(request.extensions_mut());
        // Nearly every request has these, and a table for them would take 180 bytes.
        let peer: Option<PeerAddress> = extensions.remove();
        let marked_secure = extensions.remove::<Secure>().is_some();
        // What hyper leaves for itself: of a request that could become something else than the
        // WebSocket it may be, and of an extended CONNECT, whose protocol is known.
        extensions.remove::<OnUpgrade>();
        extensions.remove::<Protocol>();
        if extensions.is_empty() {
            // An empty one keeps its table.
            extensions = Extensions::new();
        }
        let told = Told {
            peer,
            marked_secure,
            secure,
        };
        let connects = request.method() == Method::CONNECT;
        Self {
            connects,
            extensions,
            ..Self::of(kept, address, told, query, jsonp)
        }
    }

    /// The same of a GET with these headers, from a `peer` of a listener of ours.
    pub(super) fn plain<F>(
        target: &str,
        headers: &F,
        peer: PeerAddress,
        address: SocketAddr,
        secure: bool,
        query: &Query,
    ) -> Self
    where
        F: Fields + ?Sized,
    {
        let kept = Kept::new(target, headers, None);
        let told = Told {
            peer: Some(peer),
            marked_secure: false,
            secure,
        };
        Self::of(kept, Some(address), told, query, None)
    }

    fn of(
        kept: Kept,
        address: Option<SocketAddr>,
        told: Told,
        query: &Query,
        jsonp: Option<&str>,
    ) -> Self {
        let Told {
            peer,
            marked_secure,
            secure,
        } = told;
        let is_peer = peer == address.map(PeerAddress);
        // Whoever put it among the extensions may ask for it there.
        let address = Address::new(address, is_peer);
        let rare = Rare {
            proxy: peer.filter(|_| !is_peer),
            jsonp: jsonp.map(Into::into),
        };
        let is_rare = rare.proxy.is_some() || rare.jsonp.is_some();
        Self {
            kept,
            connects: false,
            marked_secure,
            is_peer,
            extensions: Extensions::new(),
            address,
            secure,
            transport: query.transport,
            dialect: query.dialect(),
            issued: nanoseconds(SystemTime::now()),
            rare: is_rare.then(|| Box::new(rare)),
        }
    }

    /// Forgets what was made for hooks that looked at it.
    pub(super) fn compact(&mut self) {
        self.kept.compact();
    }

    /// The headers (`handshake.headers`).
    ///
    /// They are kept as text. The map is made when you ask first, and stays, about 1 KB, for as long as
    /// the session does; what is made for [`Config::allow_request`](crate::Config::allow_request) does
    /// not stay.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.kept.headers()
    }

    /// The path and query (`handshake.url`), whatever the version of HTTP.
    #[must_use]
    #[doc(alias = "url")]
    pub fn uri(&self) -> &Uri {
        self.kept.uri()
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
        self.kept
            .query()
            .into_iter()
            .flat_map(|part| form_urlencoded::parse(part.as_bytes()))
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
    }

    /// Where the client is (`handshake.address`), when it is known: always for
    /// [`Server::bind`](crate::Server::bind), and for a mounted service with [`PeerAddress`]. Behind
    /// [trusted proxies](crate::Config::trusted_proxies) it is what they say, with the port 0 if
    /// they do not say one.
    #[must_use]
    #[doc(alias = "remoteAddress")]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address.get()
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
        self.kept.has_header(&ORIGIN)
    }

    /// When the session was opened (`handshake.issued` and `handshake.time`).
    #[must_use]
    #[doc(alias = "time")]
    pub fn issued(&self) -> SystemTime {
        UNIX_EPOCH
            .checked_add(Duration::from_nanos(self.issued))
            .unwrap_or(UNIX_EPOCH)
    }

    /// Something that a layer in front of us put into the request, such as a web session.
    #[must_use]
    pub fn extension<T: Any + Send + Sync>(&self) -> Option<&T> {
        let proxy = self.rare.as_ref().and_then(|rare| rare.proxy.as_ref());
        let peer = self.address.as_peer().filter(|_| self.is_peer).or(proxy);
        let peer = peer.map(|peer| peer as &dyn Any);
        let secure = self.marked_secure.then_some(&Secure as &dyn Any);
        let known = [peer, secure].into_iter().flatten();
        let mut known = known.filter_map(|known| known.downcast_ref());
        known.next().or_else(|| self.extensions.get())
    }

    /// All polling answers of the session call this callback.
    pub(crate) fn jsonp(&self) -> Option<&str> {
        self.rare.as_ref()?.jsonp.as_deref()
    }

    /// The method: GET, unless the session was opened by an extended CONNECT.
    #[must_use]
    pub fn method(&self) -> &Method {
        if self.connects { &CONNECT } else { &GET }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// With 16 bytes of its `Arc`.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_request_fits_into_96_bytes() {
        let size = size_of::<Request>();
        assert!(size <= 96 - 16, "{size}");
    }
}
