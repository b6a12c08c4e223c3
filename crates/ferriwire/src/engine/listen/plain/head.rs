//! Which requests are plain: those of which there is only one way to read them.
//!
//! The rules are narrower than those of HTTP, and than what hyper takes: what they let pass has to be
//! answered exactly as hyper's way would, and what two servers in a row could split differently is none
//! of it. Whoever is in doubt says "not plain".

use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use crate::config::Limits;
use crate::engine::core::Core;
use crate::engine::http::{Brief, Opening, Route, is_upgrade, route};

/// The most headers of a plain request.
const MAX_HEADERS: usize = 64;

/// The longest head of a plain request.
const MAX_HEAD: usize = 8 * 1024;

/// A request that is here with all its body, and with nothing behind it.
pub(super) enum Plain {
    /// Of a session's long-polling, and judged already.
    Brief(Brief),
    /// For a WebSocket that opens a session, and judged already, but for limits.
    Opening(Opening),
    /// With whether it asks for a WebSocket.
    Whole(Box<(Request<Full<Bytes>>, bool)>),
}

/// A plain request where it was read.
struct Read<'a, 'b> {
    method: Method,
    target: &'b str,
    fields: &'a [httparse::Header<'b>],
    framing: Framing,
    head: &'b [u8],
    body: &'b [u8],
}

/// What its headers say of a message's length and of what becomes of the connection.
#[derive(Default)]
struct Framing {
    hosts: usize,
    length: Option<usize>,
    /// `Connection` names `upgrade`.
    announces: bool,
    /// `Upgrade` names `websocket`.
    websocket: bool,
}

/// Reads a request that asks for something of the engine's.
pub(super) fn parse(bytes: &[u8], core: &Core, peer: SocketAddr) -> Option<Plain> {
    let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let read = Read::parse(bytes, &mut room, &core.config().limits)?;
    if let Some(brief) = read.brief(core) {
        return Some(Plain::Brief(brief));
    }
    if let Some(opening) = read.opening(core, peer) {
        return Some(Plain::Opening(opening));
    }
    let request = read.request()?;
    let upgrades = is_upgrade(request.method(), request.headers());
    if upgrades != read.framing.upgrades() {
        return None;
    }
    let is_ours = matches!(route(core, request.uri().path()), Route::Engine);
    is_ours.then(|| Plain::Whole(Box::new((request, upgrades))))
}

impl<'a, 'b> Read<'a, 'b> {
    /// Reads a request if it is plain.
    fn parse(
        bytes: &'b [u8],
        room: &'a mut [MaybeUninit<httparse::Header<'b>>],
        limits: &Limits,
    ) -> Option<Self> {
        // Else there are empty lines in front, which HTTP allows.
        if !matches!(bytes.first(), Some(b'G' | b'P')) {
            return None;
        }
        let mut parsed = httparse::Request::new(&mut []);
        let read = parsed.parse_with_uninit_headers(bytes, room).ok()?;
        let (head, body) = match read {
            httparse::Status::Complete(len) => bytes.split_at_checked(len)?,
            httparse::Status::Partial => return None,
        };
        let method = match parsed.method? {
            "GET" => Method::GET,
            "POST" => Method::POST,
            _ => return None,
        };
        let target = parsed.path?;
        let fields: &'a [_] = parsed.headers;
        let is_plain = parsed.version == Some(1)
            && target.starts_with('/')
            && part(head, target.as_bytes(), b" HTTP/1.1\r\n").is_some()
            && head.len() <= MAX_HEAD.min(limits.max_head_bytes)
            && fields.len() <= limits.max_headers
            && head.ends_with(b"\r\n\r\n");
        if !is_plain {
            return None;
        }
        let mut framing = Framing::default();
        for field in fields {
            part(head, field.value, b"\r\n")?;
            framing.note(field.name.as_bytes(), field.value)?;
        }
        let allowed = framing.allows(&method, body.len(), limits);
        allowed.then_some(Self {
            method,
            target,
            fields,
            framing,
            head,
            body,
        })
    }

    fn brief(&self, core: &Core) -> Option<Brief> {
        if self.framing.upgrades() {
            return None;
        }
        Brief::judge(core, &self.method, self.target, self.fields, self.body)
    }

    fn opening(&self, core: &Core, peer: SocketAddr) -> Option<Opening> {
        let upgrades = self.method == Method::GET && self.framing.upgrades();
        let opening = || Opening::judge(core, self.target, self.fields, peer);
        upgrades.then(opening).flatten()
    }

    fn request(&self) -> Option<Request<Full<Bytes>>> {
        let kept = Bytes::copy_from_slice(self.head);
        let keep = |what: &[u8]| part(self.head, what, b"").map(|range| kept.slice(range));
        let uri = Uri::from_maybe_shared(keep(self.target.as_bytes())?).ok()?;
        let mut map = HeaderMap::with_capacity(self.fields.len());
        for field in self.fields {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            let value = HeaderValue::from_maybe_shared(keep(field.value)?).ok()?;
            map.append(name, value);
        }
        let mut request = Request::new(Full::new(Bytes::copy_from_slice(self.body)));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = map;
        Some(request)
    }
}

/// Where in a head it stands, if that is where `behind` follows.
fn part(head: &[u8], what: &[u8], behind: &[u8]) -> Option<Range<usize>> {
    let begin = what.as_ptr().addr().checked_sub(head.as_ptr().addr())?;
    let end = begin.checked_add(what.len())?;
    head.get(end..)?.starts_with(behind).then_some(begin..end)
}

impl Framing {
    /// `None` when the header is one that is not for us to understand.
    fn note(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"host") {
            self.hosts += 1;
        } else if is(b"content-length") {
            let length = length(value)?;
            if self.length.replace(length).is_some() {
                return None;
            }
        } else if is(b"connection") {
            for token in value.split(|byte| *byte == b',') {
                let token = token.trim_ascii();
                if token.eq_ignore_ascii_case(b"upgrade") {
                    self.announces = true;
                } else if !token.eq_ignore_ascii_case(b"keep-alive") {
                    return None;
                }
            }
        } else if is(b"upgrade") {
            let is_second = std::mem::replace(&mut self.websocket, true);
            if is_second || !value.eq_ignore_ascii_case(b"websocket") {
                return None;
            }
        } else if is(b"transfer-encoding") || is(b"expect") || is(b"trailer") {
            return None;
        }
        Some(())
    }

    /// Whether something else than HTTP is asked for.
    fn upgrades(&self) -> bool {
        self.announces || self.websocket
    }

    /// Whether it is clear what the request is, and its body is what stands behind it.
    fn allows(&self, method: &Method, behind: usize, limits: &Limits) -> bool {
        let is_whole = match self.length {
            Some(length) => {
                *method == Method::POST && length == behind && length <= limits.max_payload
            }
            None => *method == Method::GET && behind == 0,
        };
        is_whole && self.hosts == 1 && self.announces == self.websocket
    }
}

/// A length in digits and nothing else, of which there are not too many.
fn length(value: &[u8]) -> Option<usize> {
    let is_plain = (1..=9).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let digits = str::from_utf8(value).ok().filter(|_| is_plain)?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "/socket.io/?EIO=4&transport=polling";

    fn parse_any(bytes: &[u8], limits: &Limits) -> Option<Request<Full<Bytes>>> {
        let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let read = Read::parse(bytes, &mut room, limits)?;
        let request = read.request()?;
        let upgrades = is_upgrade(request.method(), request.headers());
        (upgrades == read.framing.upgrades()).then_some(request)
    }

    fn is_plain(bytes: &[u8]) -> bool {
        parse_any(bytes, &Limits::default()).is_some()
    }

    fn get(headers: &str) -> String {
        format!("GET {TARGET} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")
    }

    fn post(headers: &str, body: &str) -> String {
        format!("POST {TARGET} HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}")
    }

    #[test]
    fn what_clients_send_is_plain() {
        let browser = "Connection: keep-alive\r\nPragma: no-cache\r\nUser-Agent: Mozilla/5.0 (X)\r\n\
                       Accept: */*\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: a=1; b=2\r\n";
        for request in [
            get(""),
            get(browser),
            get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
            get("Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"),
            get("connection: upgrade\r\nconnection: keep-alive\r\nupgrade: websocket\r\n"),
            get("X-Latin: caf\u{e9}\r\n"),
            post("Content-Length: 0\r\n", ""),
            post("Content-Length: 2\r\n", "40"),
            post("content-length:002\r\n", "40"),
            post(
                "Content-Length: 2\r\nContent-Type: text/plain;charset=UTF-8\r\n",
                "40",
            ),
        ] {
            assert!(is_plain(request.as_bytes()), "{request:?}");
        }
    }

    #[test]
    fn what_was_read_is_what_came() {
        let request = post("Content-Length: 3\r\nX-A: 1\r\nx-a: \t2 3\r\n", "4\u{e9}");
        let plain = parse_any(request.as_bytes(), &Limits::default()).unwrap();
        assert!(!is_upgrade(plain.method(), plain.headers()));
        let (head, _) = plain.into_parts();
        assert_eq!(
            (head.method, head.uri),
            (Method::POST, Uri::from_static(TARGET))
        );
        let headers = head.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        let expected = [
            ("host", "a"),
            ("content-length", "3"),
            ("x-a", "1"),
            ("x-a", "2 3"),
        ];
        assert_eq!(headers, expected);
    }

    #[test]
    fn what_is_not_whole_is_not_plain() {
        let whole = [
            get("Connection: Upgrade\r\nUpgrade: websocket\r\n"),
            post("Content-Length: 4\r\n", "4abc"),
        ];
        for request in whole {
            assert!(is_plain(request.as_bytes()));
            for end in 0..request.len() {
                assert!(
                    !is_plain(&request.as_bytes()[..end]),
                    "{:?}",
                    &request[..end]
                );
            }
            for behind in ["\r\n", "x", "\0", &get("")] {
                assert!(!is_plain(format!("{request}{behind}").as_bytes()));
            }
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_plain() {
        for headers in [
            // Lengths.
            "Content-Length: 2\r\nContent-Length: 2\r\n",
            "Content-Length: 2\r\nContent-Length: 3\r\n",
            "Content-Length: 2, 2\r\n",
            "Content-Length: +2\r\n",
            "Content-Length: -2\r\n",
            "Content-Length: 0x2\r\n",
            "Content-Length: 2.0\r\n",
            "Content-Length: two\r\n",
            "Content-Length: 0000000002\r\n",
            "Content-Length: 18446744073709551618\r\n",
            "Content-Length:\r\n",
            "Content-Length : 2\r\n",
            "Content-Length: 1\r\n",
            "Content-Length: 3\r\n",
            "Content-Length\r\n",
            "",
            // What belongs to hyper.
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 2\r\nTransfer-Encoding: identity\r\n",
            "Content-Length: 2\r\ntransfer-encoding:\r\n",
            "Content-Length: 2\r\nExpect: 100-continue\r\n",
            "Content-Length: 2\r\nTrailer: a\r\n",
            "Content-Length: 2\r\nConnection: close\r\n",
            "Content-Length: 2\r\nConnection: keep-alive, close\r\n",
            "Content-Length: 2\r\nConnection: content-length\r\n",
            "Content-Length: 2\r\nConnection:\r\n",
            "Content-Length: 2\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
            // Hosts.
            "Content-Length: 2\r\nHost: a\r\n",
            "Content-Length: 2\r\nhost: b\r\n",
            // Lines.
            "Content-Length: 2\r\nX: a\nY: b\r\n",
            "Content-Length: 2\n",
            "Content-Length: 2 \r\n",
            "Content-Length: 2\r\nX: a\n",
            "Content-Length: 2\r\nX: a\rb\r\n",
            "Content-Length: 2\r\nX: a\r\n b\r\n",
            "Content-Length: 2\r\n X: a\r\n",
            "Content-Length: 2\r\nX: a\0\r\n",
            "Content-Length: 2\r\nX Y: a\r\n",
            "Content-Length: 2\r\n: a\r\n",
        ] {
            let request = post(headers, "40");
            assert!(!is_plain(request.as_bytes()), "{request:?}");
        }
        for headers in [
            "Content-Length: 0\r\n",
            "Upgrade: websocket\r\n",
            "Connection: Upgrade\r\n",
            "Connection: Upgrade\r\nUpgrade: h2c\r\n",
            "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
            "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: websocket\r\n",
        ] {
            let request = get(headers);
            assert!(!is_plain(request.as_bytes()), "{request:?}");
        }
    }

    #[test]
    fn another_request_line_is_not_plain() {
        let rest = "Host: a\r\n\r\n";
        assert!(is_plain(
            format!("GET {TARGET} HTTP/1.1\r\n{rest}").as_bytes()
        ));
        for line in [
            format!("GET {TARGET} HTTP/1.0\r\n"),
            format!("GET {TARGET} HTTP/2.0\r\n"),
            format!("GET {TARGET} HTTP/1.1 \r\n"),
            format!("GET {TARGET}\r\n"),
            format!("GET  {TARGET} HTTP/1.1\r\n"),
            format!("GET\t{TARGET}\tHTTP/1.1\r\n"),
            format!("get {TARGET} HTTP/1.1\r\n"),
            format!("HEAD {TARGET} HTTP/1.1\r\n"),
            format!("OPTIONS {TARGET} HTTP/1.1\r\n"),
            format!("PUT {TARGET} HTTP/1.1\r\n"),
            format!("GETS {TARGET} HTTP/1.1\r\n"),
            format!("\r\nGET {TARGET} HTTP/1.1\r\n"),
            format!("GET {TARGET} HTTP/1.1\n"),
            format!("GET http://a{TARGET} HTTP/1.1\r\n"),
            "GET * HTTP/1.1\r\n".to_owned(),
            "GET a HTTP/1.1\r\n".to_owned(),
            "GET /\0 HTTP/1.1\r\n".to_owned(),
            "PRI * HTTP/2.0\r\n".to_owned(),
        ] {
            let request = format!("{line}{rest}");
            assert!(!is_plain(request.as_bytes()), "{request:?}");
        }
        assert!(!is_plain(
            format!("GET {TARGET} HTTP/1.1\r\n\r\n").as_bytes()
        ));
    }

    #[test]
    fn what_is_larger_than_it_may_be_is_not_plain() {
        let limits = Limits::new().max_headers(3).max_payload(4);
        for (request, expected) in [
            (get("A: 1\r\nB: 2\r\n"), true),
            (get("A: 1\r\nB: 2\r\nC: 3\r\n"), false),
            (post("Content-Length: 4\r\n", "4abc"), true),
            (post("Content-Length: 5\r\n", "4abcd"), false),
            (get(&format!("A: {}\r\n", "x".repeat(MAX_HEAD - 100))), true),
            (get(&format!("A: {}\r\n", "x".repeat(MAX_HEAD))), false),
        ] {
            let is_plain = parse_any(request.as_bytes(), &limits).is_some();
            assert_eq!(is_plain, expected, "{request:?}");
        }
        let many = |count| get(&"A: 1\r\n".repeat(count));
        let limits = Limits::new().max_headers(1_000);
        assert!(parse_any(many(MAX_HEADERS - 1).as_bytes(), &limits).is_some());
        assert!(parse_any(many(MAX_HEADERS).as_bytes(), &limits).is_none());
    }
}
