//! Which proxy stands in front of a server: one that the program names, or one that the environment names.

use std::env;
use std::net::IpAddr;

use ferriwire_proto::engine::client::Address;

use super::{Proxy, ProxyError};
use crate::config::Network;

/// Where the name of a proxy comes from.
#[derive(Clone, Default)]
pub(crate) enum ProxyChoice {
    /// The variables that curl reads.
    #[default]
    Environment,
    /// Nowhere: connections are direct.
    Direct,
    /// The program: this text.
    Named(Box<str>),
}

impl ProxyChoice {
    /// The proxy for a server, if there is one.
    pub(in crate::client::transport::connect) fn proxy(
        &self,
        server: &Address,
    ) -> Result<Option<Proxy>, ProxyError> {
        match self {
            Self::Environment => from_environment(server, |name| env::var(name).ok()),
            Self::Direct => Ok(None),
            Self::Named(text) => Proxy::parse(text).map(Some),
        }
    }
}

/// As curl does, but that `HTTP_PROXY` in capitals is read as well, unless the process is a CGI program,
/// in which every client could set it by a header `Proxy`.
fn from_environment(
    server: &Address,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, ProxyError> {
    // An empty one is as good as none.
    let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let either = |name: &str| {
        let capitals = name.to_ascii_uppercase();
        let is_forged = name == "http_proxy" && variable("REQUEST_METHOD").is_some();
        variable(name).or_else(|| variable(&capitals).filter(|_| !is_forged))
    };
    let name = match server.is_secure() {
        true => "https_proxy",
        false => "http_proxy",
    };
    let Some(proxy) = either(name).or_else(|| either("all_proxy")) else {
        return Ok(None);
    };
    let exempt = either("no_proxy");
    if exempt.is_some_and(|exempt| is_exempt(&exempt, server.host(), server.port())) {
        return Ok(None);
    }
    Proxy::parse(proxy.trim()).map(Some)
}

/// Whether `NO_PROXY` names this server.
fn is_exempt(exempt: &str, host: &str, port: u16) -> bool {
    exempt
        .split(|char: char| char == ',' || char.is_whitespace())
        .filter(|entry| !entry.is_empty())
        .any(|entry| covers(entry, host, port))
}

/// Whether one entry does: `*`, a domain with all below it, an address, or a network; perhaps with a port.
fn covers(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let (place, of_port) = split_port(entry);
    if of_port.is_some_and(|of_port| of_port.parse() != Ok(port)) {
        return false;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return place
            .parse::<Network>()
            .is_ok_and(|network| network.contains(address));
    }
    let domain = place.strip_prefix('*').unwrap_or(place);
    let domain = domain.trim_matches('.').to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let rest = host.strip_suffix(domain.as_str());
    !domain.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn split_port(entry: &str) -> (&str, Option<&str>) {
    if let Some((place, port)) = entry.strip_prefix('[').and_then(|of| of.split_once(']')) {
        return (place, port.strip_prefix(':'));
    }
    match entry.split_once(':') {
        // More than one is an IPv6 address without brackets.
        Some((place, port)) if !port.contains(':') => (place, Some(port)),
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(server: &str, variables: &[(&str, &str)]) -> Result<Option<String>, ProxyError> {
        let server = Address::parse(server).unwrap();
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = from_environment(&server, variable)?;
        Ok(proxy.map(|proxy| {
            let (host, port) = proxy.place();
            format!("{host}:{port}")
        }))
    }

    #[test]
    fn the_environment_names_a_proxy() {
        for (server, variables, expected) in [
            ("http://a", &[][..], None),
            ("http://a", &[("http_proxy", "p:1")], Some("p:1")),
            ("ws://a", &[("HTTP_PROXY", "http://p:1")], Some("p:1")),
            ("https://a", &[("http_proxy", "p:1")], None),
            ("https://a", &[("HTTPS_PROXY", "p:1")], Some("p:1")),
            ("http://a", &[("https_proxy", "p:1")], None),
            ("http://a", &[("ALL_PROXY", "socks5://p")], Some("p:1080")),
            (
                "wss://a",
                &[("all_proxy", "p:1"), ("https_proxy", "p:2")],
                Some("p:2"),
            ),
            (
                "http://a",
                &[("HTTP_PROXY", "p:1"), ("http_proxy", "p:2")],
                Some("p:2"),
            ),
            // What a client of a CGI program may have said.
            (
                "http://a",
                &[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET")],
                None,
            ),
            (
                "http://a",
                &[("http_proxy", "p:1"), ("REQUEST_METHOD", "GET")],
                Some("p:1"),
            ),
            ("http://a", &[("http_proxy", " ")], None),
            (
                "http://a",
                &[("http_proxy", "p:1"), ("NO_PROXY", "a")],
                None,
            ),
            ("http://b", &[("all_proxy", "p:1"), ("no_proxy", "*")], None),
        ] {
            let expected = Ok(expected.map(str::to_owned));
            assert_eq!(
                chosen(server, variables),
                expected,
                "{server} {variables:?}"
            );
        }
        let unknown = chosen("http://a", &[("http_proxy", "ftp://p")]);
        assert_eq!(unknown, Err(ProxyError::Scheme));
    }

    #[test]
    fn some_servers_need_no_proxy() {
        for (exempt, host, expected) in [
            ("example.com", "example.com", true),
            ("example.com", "a.example.com", true),
            ("example.com", "badexample.com", false),
            (".example.com", "example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("Example.COM.", "example.com", true),
            ("a, b ,c", "b", true),
            ("a b", "b", true),
            ("a,b", "c", false),
            ("*", "c", true),
            (",", "c", false),
            (".", "c", false),
            ("example.com:80", "example.com", true),
            ("example.com:81", "example.com", false),
            ("example.com:x", "example.com", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.11", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("0.0.1", "10.0.0.1", false),
            ("::1", "::1", true),
            ("[::1]", "::1", true),
            ("[::1]:80", "::1", true),
            ("[::1]:81", "::1", false),
            ("fd00::/8", "fd12::1", true),
        ] {
            assert_eq!(is_exempt(exempt, host, 80), expected, "{exempt} {host}");
        }
    }
}
