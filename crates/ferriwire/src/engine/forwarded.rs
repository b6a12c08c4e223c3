//! Where a client is, when proxies stand in front of the server: `X-Forwarded-For`,
//! `X-Forwarded-Proto`, and `Forwarded` (RFC 7239).
//!
//! Each proxy appends the address from which it got the request, so the list is read from its end:
//! the first address that is no trusted proxy is the client. What stands in front of that, the
//! client may have made up.

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;
use http::header::FORWARDED;

use super::http::fields::{Fields, text};
use crate::config::Network;

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What is known of where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client, whose port is 0 when a proxy did not tell it.
    pub(crate) address: SocketAddr,
    /// Whether the client's own connection, to the first proxy, is TLS, when that was said.
    pub(crate) secure: Option<bool>,
    /// There is a header of a proxy that is not trusted.
    pub(crate) ignored: bool,
}

/// Reads the headers of proxies, if the peer is one that is trusted.
pub(crate) fn origin<F>(peer: SocketAddr, headers: &F, trusted: &[Network]) -> Origin
where
    F: Fields + ?Sized,
{
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let direct = Origin {
        address: peer,
        secure: None,
        ignored: false,
    };
    if !is_trusted(peer.ip()) {
        let names = [&FORWARDED_FOR, &FORWARDED_PROTO, &FORWARDED];
        let ignored = names.iter().any(|name| headers.first_named(name).is_some());
        return Origin { ignored, ..direct };
    }
    let simple = elements(headers, &FORWARDED_FOR).rev().map(node);
    let simple = last_untrusted(simple, is_trusted);
    let standard = elements(headers, &FORWARDED)
        .rev()
        .map(|element| parameter(element, "for").and_then(node));
    let standard = last_untrusted(standard, is_trusted);
    let address = match (simple, standard) {
        (Some(simple), Some(standard)) if simple.ip() == standard.ip() => simple,
        // A proxy writes one of them and passes the other on, which a client may have made up.
        (Some(_), Some(_)) | (None, None) => peer,
        (Some(address), None) | (None, Some(address)) => address,
    };
    let proto = elements(headers, &FORWARDED_PROTO).next_back();
    let proto = proto.or_else(|| {
        let last = elements(headers, &FORWARDED).next_back()?;
        parameter(last, "proto")
    });
    Origin {
        address,
        secure: proto
            .map(|proto| proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss")),
        ignored: false,
    }
}

/// The first that is not trusted, or the last at all if all are. What cannot be read ends the list.
fn last_untrusted(
    nodes: impl Iterator<Item = Option<SocketAddr>>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<SocketAddr> {
    let mut client = None;
    for node in nodes {
        let Some(address) = node else { break };
        client = Some(address);
        if !is_trusted(address.ip()) {
            break;
        }
    }
    client
}

/// The elements of a list that may be spread over several headers.
fn elements<'a, F>(
    headers: &'a F,
    name: &'a HeaderName,
) -> impl DoubleEndedIterator<Item = &'a str> + use<'a, F>
where
    F: Fields + ?Sized,
{
    let values = headers.named(name).collect::<Vec<_>>();
    values
        .into_iter()
        .map(text)
        .flat_map(|value| value.unwrap_or("unreadable").split(','))
        .map(str::trim)
}

/// The value of a parameter such as `for` in `for="[2001:db8::1]:80";proto=https`.
fn parameter<'a>(element: &'a str, wanted: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let is_wanted = name.trim().eq_ignore_ascii_case(wanted);
        is_wanted.then(|| value.trim().trim_matches('"'))
    })
}

/// An address with or without a port, of IPv6 with or without brackets.
fn node(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(SocketAddr::new(address.ip().to_canonical(), address.port()));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address: IpAddr = bare.unwrap_or(text).parse().ok()?;
    Some(SocketAddr::new(address.to_canonical(), 0))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    /// What comes of headers, given as lines, behind a peer at 10.0.0.1, when 10.0.0.0/8 is trusted.
    fn read(lines: &[&str]) -> Origin {
        read_from("10.0.0.1:5000", lines)
    }

    fn read_from(peer: &str, lines: &[&str]) -> Origin {
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(name, value);
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        origin(peer.parse().unwrap(), &headers, &trusted)
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_trusted() {
        for (lines, expected) in [
            (&["x-forwarded-for: 203.0.113.5"][..], "203.0.113.5:0"),
            (&["x-forwarded-for: 1.1.1.1, 203.0.113.5"], "203.0.113.5:0"),
            (&["x-forwarded-for: 203.0.113.5,10.2.3.4"], "203.0.113.5:0"),
            (
                &[
                    "x-forwarded-for: 1.1.1.1",
                    "x-forwarded-for: 203.0.113.5, 10.9.9.9",
                ],
                "203.0.113.5:0",
            ),
            (&["x-forwarded-for: 203.0.113.5:4711"], "203.0.113.5:4711"),
            (&["x-forwarded-for: ::ffff:203.0.113.5"], "203.0.113.5:0"),
            (&["x-forwarded-for: 2001:db8::7"], "[2001:db8::7]:0"),
            (&["x-forwarded-for: [2001:db8::7]:80"], "[2001:db8::7]:80"),
            (
                &["x-forwarded-for: 2001:db8::7, fd00::1"],
                "[2001:db8::7]:0",
            ),
            // All are proxies: the farthest one.
            (&["x-forwarded-for: 10.0.0.7, 10.0.0.8"], "10.0.0.7:0"),
            // What cannot be read ends the list.
            (
                &["x-forwarded-for: 203.0.113.5, unknown, 10.0.0.8"],
                "10.0.0.8:0",
            ),
            (&["x-forwarded-for: unknown"], "10.0.0.1:5000"),
            (&["x-forwarded-for: "], "10.0.0.1:5000"),
            (&["x-forwarded-for: 203.0.113.5, \u{e9}"], "10.0.0.1:5000"),
            (&[], "10.0.0.1:5000"),
            (&["forwarded: for=203.0.113.5;proto=https"], "203.0.113.5:0"),
            (
                &["Forwarded: For=\"[2001:db8::7]:4711\""],
                "[2001:db8::7]:4711",
            ),
            (
                &["forwarded: for=1.1.1.1, for=203.0.113.5, for=10.0.0.2"],
                "203.0.113.5:0",
            ),
            (&["forwarded: for=_hidden"], "10.0.0.1:5000"),
            (&["forwarded: proto=https"], "10.0.0.1:5000"),
            // Both: they have to agree, because one may be the client's.
            (
                &["x-forwarded-for: 203.0.113.5", "forwarded: for=203.0.113.5"],
                "203.0.113.5:0",
            ),
            (
                &["x-forwarded-for: 203.0.113.5", "forwarded: for=1.1.1.1"],
                "10.0.0.1:5000",
            ),
        ] {
            let origin = read(lines);
            assert_eq!(origin.address, expected.parse().unwrap(), "{lines:?}");
            assert!(!origin.ignored);
        }
    }

    #[test]
    fn headers_of_a_peer_that_is_not_trusted_are_ignored() {
        for line in [
            "x-forwarded-for: 1.1.1.1",
            "x-forwarded-proto: https",
            "forwarded: for=1.1.1.1;proto=https",
        ] {
            let origin = read_from("203.0.113.9:80", &[line]);
            assert_eq!(origin.address, "203.0.113.9:80".parse().unwrap());
            assert_eq!((origin.secure, origin.ignored), (None, true), "{line}");
        }
        assert!(!read_from("203.0.113.9:80", &[]).ignored);
        assert!(!read_from("203.0.113.9:80", &["x-other: 1"]).ignored);
    }

    #[test]
    fn the_nearest_proxy_tells_whether_the_client_came_over_tls() {
        for (lines, expected) in [
            (&["x-forwarded-proto: https"][..], Some(true)),
            (&["x-forwarded-proto: WSS"], Some(true)),
            (&["x-forwarded-proto: http"], Some(false)),
            (&["x-forwarded-proto: https, http"], Some(false)),
            (&["forwarded: for=1.1.1.1;proto=https"], Some(true)),
            (&["forwarded: for=1.1.1.1"], None),
            (&[], None),
        ] {
            assert_eq!(read(lines).secure, expected, "{lines:?}");
        }
    }
}
