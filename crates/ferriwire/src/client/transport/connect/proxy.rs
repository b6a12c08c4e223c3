//! Proxies: which one stands in front of a server, and what is said to it.

mod choice;
mod error;
mod http;
mod socks5;

use std::fmt;
use std::io;
use std::net::IpAddr;

use ferriwire_proto::engine::client::Address;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use self::choice::ProxyChoice;
pub use self::error::ProxyError;
use super::tcp;

/// The port of a proxy that names none, as in curl.
const PORT: u16 = 1080;

/// A proxy, and how to speak with it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    kind: Kind,
    host: Box<str>,
    port: u16,
    credentials: Option<Credentials>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Https,
    Socks5 {
        /// The proxy is told names, instead of addresses that were looked up here.
        resolves: bool,
    },
}

#[derive(Clone, PartialEq, Eq)]
struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

impl Proxy {
    /// Reads `scheme://user:password@host:port`. All but the host may be missing.
    pub(super) fn parse(text: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (kind, port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Kind::Http, PORT),
            "https" => (Kind::Https, 443),
            "socks5" => (Kind::Socks5 { resolves: false }, PORT),
            "socks5h" => (Kind::Socks5 { resolves: true }, PORT),
            _ => return Err(ProxyError::Scheme),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (credentials, place) = match authority.rsplit_once('@') {
            Some((credentials, place)) => (Some(Credentials::parse(credentials)?), place),
            None => (None, authority),
        };
        let is_bare = match place.rsplit_once(']') {
            Some((_, port)) => port.is_empty(),
            None => !place.contains(':'),
        };
        let place = match is_bare {
            true => format!("http://{place}:{port}"),
            false => format!("http://{place}"),
        };
        let address = Address::parse(&place).map_err(ProxyError::Address)?;
        let is_socks = matches!(kind, Kind::Socks5 { .. });
        if is_socks && credentials.as_ref().is_some_and(|of| !of.fit_socks()) {
            return Err(ProxyError::Credentials);
        }
        Ok(Self {
            kind,
            host: address.host().into(),
            port: address.port(),
            credentials,
        })
    }

    /// What has to be connected to.
    pub(super) fn place(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Whether TLS is spoken with the proxy itself.
    pub(super) fn is_secure(&self) -> bool {
        self.kind == Kind::Https
    }

    /// Asks the proxy, to which `stream` leads, for a way to the server.
    pub(super) async fn pass<S>(&self, stream: &mut S, server: &Address) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let credentials = self.credentials.as_ref();
        let (host, port) = (server.host(), server.port());
        match self.kind {
            Kind::Http | Kind::Https => {
                http::connect(stream, &authority(host, port), credentials).await
            }
            Kind::Socks5 { resolves } => {
                let host = match host.parse::<IpAddr>() {
                    Ok(address) => socks5::Host::Address(address),
                    Err(_) if resolves => socks5::Host::Name(host),
                    Err(_) => socks5::Host::Address(tcp::resolve(host, port).await?.ip()),
                };
                socks5::connect(stream, host, port, credentials).await
            }
        }
    }
}

/// Without what it is told of the user.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = authority(&self.host, self.port);
        write!(f, "{:?} proxy at {place}", self.kind)
    }
}

impl Credentials {
    /// Reads `user:password`, in which bytes may be written as `%` and two digits.
    fn parse(text: &str) -> Result<Self, ProxyError> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let (user, password) = (decode(user)?, decode(password)?);
        Ok(Self { user, password })
    }

    /// RFC 1929 has one byte for each length.
    fn fit_socks(&self) -> bool {
        let is_fit = |part: &[u8]| u8::try_from(part.len()).is_ok();
        is_fit(&self.user) && is_fit(&self.password)
    }
}

/// A host and a port as one text, as in the request line of CONNECT.
fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

fn decode(text: &str) -> Result<Vec<u8>, ProxyError> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
                let value = value.and_then(|value| u8::try_from(value).ok());
                value.ok_or(ProxyError::Credentials)?
            }
            byte => byte,
        });
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use ferriwire_proto::engine::client::AddressError;

    use super::*;

    #[test]
    fn a_proxy_is_named_by_its_address() {
        let (socks5, socks5h) = (
            Kind::Socks5 { resolves: false },
            Kind::Socks5 { resolves: true },
        );
        for (text, kind, host, port, credentials) in [
            ("http://proxy:8080", Kind::Http, "proxy", 8080, None),
            ("http://proxy:8080/", Kind::Http, "proxy", 8080, None),
            ("proxy", Kind::Http, "proxy", 1080, None),
            ("proxy:3128", Kind::Http, "proxy", 3128, None),
            ("HTTPS://Proxy", Kind::Https, "proxy", 443, None),
            ("socks5://[::1]:9050", socks5, "::1", 9050, None),
            ("socks5h://[::1]", socks5h, "::1", 1080, None),
            (
                "socks5://u:p@10.0.0.1",
                socks5,
                "10.0.0.1",
                1080,
                Some(("u", "p")),
            ),
            (
                "http://a%40b:c%3ad:e@p:1",
                Kind::Http,
                "p",
                1,
                Some(("a@b", "c:d:e")),
            ),
            ("http://user@p", Kind::Http, "p", 1080, Some(("user", ""))),
        ] {
            let credentials = credentials.map(|(user, password)| Credentials {
                user: user.into(),
                password: password.into(),
            });
            let expected = Proxy {
                kind,
                host: host.into(),
                port,
                credentials,
            };
            assert!(Proxy::parse(text) == Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        let long = format!("socks5://{}:x@p", "u".repeat(256));
        for (text, error) in [
            ("ftp://proxy", ProxyError::Scheme),
            ("socks4://proxy", ProxyError::Scheme),
            ("", ProxyError::Address(AddressError::Host)),
            ("http://:80", ProxyError::Address(AddressError::Host)),
            ("http://p:0", ProxyError::Address(AddressError::Port)),
            ("http://p:x", ProxyError::Address(AddressError::Port)),
            (
                "http://p\r\nX: y",
                ProxyError::Address(AddressError::Character),
            ),
            ("http://%4@p", ProxyError::Credentials),
            ("http://u:%zz@p", ProxyError::Credentials),
            (&long, ProxyError::Credentials),
        ] {
            assert_eq!(Proxy::parse(text).err(), Some(error), "{text:?}");
        }
    }

    #[test]
    fn logs_do_not_show_a_password() {
        let proxy = Proxy::parse("https://user:secret@proxy").unwrap();
        assert_eq!(format!("{proxy:?}"), "Https proxy at proxy:443");
    }
}
