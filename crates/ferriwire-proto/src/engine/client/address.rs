//! Where a server is, as programs write it: `http://localhost:3000/chat?token=x` (case 75).
//!
//! The path of such an address is not that of any request: it names a namespace. Requests go to a path
//! of their own, `/socket.io/` unless told otherwise.

use std::error::Error;
use std::fmt;
use std::net::Ipv6Addr;

/// The longest host name there is (RFC 1035).
const MAX_HOST: usize = 253;

/// Where a server is, and what a program wants there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    is_secure: bool,
    /// In lower case; an IPv6 address without its brackets.
    host: Box<str>,
    port: u16,
    namespace: Box<str>,
    query: Box<str>,
}

impl Address {
    /// Reads an address. Without a scheme it is `https`, as in the reference outside of browsers; `ws`
    /// and `wss` say the same as `http` and `https`.
    ///
    /// # Errors
    ///
    /// It is none, or has a user name or a password in it: those would end in logs.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        // Nothing of it may break a line of a request.
        if text
            .chars()
            .any(|c| c.is_control() || c == ' ' || c == '\\')
        {
            return Err(AddressError::Character);
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let scheme = text.split_once("://");
        let scheme = scheme.filter(|(scheme, _)| scheme.chars().all(is_part));
        let (scheme, rest) = scheme.unwrap_or_else(|| {
            let rest = text.strip_prefix("//").unwrap_or(text);
            ("https", rest)
        });
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "https" | "wss" => true,
            "http" | "ws" => false,
            _ => return Err(AddressError::Scheme),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let (host, port) = parse_authority(authority)?;
        let default = if is_secure { 443 } else { 80 };
        Ok(Self {
            is_secure,
            host,
            port: port.unwrap_or(default),
            namespace: if path.is_empty() { "/" } else { path }.into(),
            query: query.into(),
        })
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The host to connect to: a name, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The namespace that its path names.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The query for every request, without its question mark.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Whether both are the same server, so that their namespaces can share a connection, if the path
    /// and the query of their requests are the same, too.
    #[must_use]
    pub fn is_same_server(&self, other: &Self) -> bool {
        (self.is_secure, &self.host, self.port) == (other.is_secure, &other.host, other.port)
    }

    /// The value of the `Host` header: the port is left out where it is the usual one.
    #[must_use]
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        let usual = if self.is_secure { 443 } else { 80 };
        match (host.contains(':'), *port == usual) {
            (true, true) => format!("[{host}]"),
            (true, false) => format!("[{host}]:{port}"),
            (false, true) => host.to_string(),
            (false, false) => format!("{host}:{port}"),
        }
    }

    /// What a request asks for: the path, what the protocol says, and the query of the address.
    /// `path` gets a slash at its end unless there is one.
    #[must_use]
    pub fn target(&self, path: &str, query: &str) -> String {
        let path = path.trim_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        let and = if self.query.is_empty() { "" } else { "&" };
        let mut target = String::new();
        for part in ["/", path, slash, "?", query, and, &self.query] {
            for char in part.chars() {
                if char.is_ascii_graphic() {
                    target.push(char);
                } else {
                    let mut buffer = [0; 4];
                    let bytes = char.encode_utf8(&mut buffer).bytes();
                    target.extend(bytes.map(|byte| format!("%{byte:02X}")));
                }
            }
        }
        target
    }
}

/// Without the query: it may carry secrets.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.namespace)
    }
}

fn parse_authority(authority: &str) -> Result<(Box<str>, Option<u16>), AddressError> {
    if authority.contains('@') {
        return Err(AddressError::UserName);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(AddressError::Host)?;
            let host: Ipv6Addr = host.parse().map_err(|_| AddressError::Host)?;
            let port = match port.strip_prefix(':') {
                Some(port) => Some(port),
                None if port.is_empty() => None,
                None => return Err(AddressError::Port),
            };
            (host.to_string(), port)
        }
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            if host.is_empty() || host.len() > MAX_HOST || !host.chars().all(is_part) {
                return Err(AddressError::Host);
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    let port = port.map(|port| {
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| is_number && *port > 0);
        port.ok_or(AddressError::Port)
    });
    Ok((host.into(), port.transpose()?))
}

/// Why a text is no address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// It contains a space, a backslash or a control character.
    Character,
    /// Its scheme is none of `http`, `https`, `ws` and `wss`.
    Scheme,
    /// It contains a user name.
    UserName,
    /// There is no host, or it is neither a name in ASCII nor an IP address.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Character => "address with a space, a backslash or a control character",
            Self::Scheme => "address that begins with none of http, https, ws and wss",
            Self::UserName => "address with a user name: use a header for that",
            Self::Host => "address without a host name or an IP address",
            Self::Port => "address whose port is not a number from 1 to 65535",
        })
    }
}

impl Error for AddressError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_address_names_a_server_and_a_namespace() {
        for (text, secure, host, port, namespace, query) in [
            ("http://localhost:3000", false, "localhost", 3000, "/", ""),
            ("http://localhost", false, "localhost", 80, "/", ""),
            ("https://a.example", true, "a.example", 443, "/", ""),
            ("ws://a.example/", false, "a.example", 80, "/", ""),
            ("WSS://A.Example/Chat", true, "a.example", 443, "/Chat", ""),
            ("a.example/chat", true, "a.example", 443, "/chat", ""),
            ("//a.example:8443/x/y", true, "a.example", 8443, "/x/y", ""),
            ("http://a?token=b/c", false, "a", 80, "/", "token=b/c"),
            ("a?to=http://b", true, "a", 443, "/", "to=http://b"),
            (
                "http://a/n?x=1&y=%20#part",
                false,
                "a",
                80,
                "/n",
                "x=1&y=%20",
            ),
            ("http://127.0.0.1:1/", false, "127.0.0.1", 1, "/", ""),
            ("http://[::1]:65535/n", false, "::1", 65535, "/n", ""),
            ("http://[2001:DB8::1]", false, "2001:db8::1", 80, "/", ""),
        ] {
            let address = parse(text);
            assert_eq!(
                (address.is_secure(), address.port()),
                (secure, port),
                "{text}"
            );
            assert_eq!(
                (address.host(), address.namespace()),
                (host, namespace),
                "{text}"
            );
            assert_eq!(address.query(), query, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, error) in [
            ("", AddressError::Host),
            ("http://", AddressError::Host),
            ("/chat", AddressError::Host),
            ("ftp://a", AddressError::Scheme),
            ("://a", AddressError::Scheme),
            ("http://a:b@c", AddressError::UserName),
            ("http://a@c", AddressError::UserName),
            ("http://a b", AddressError::Character),
            ("http://a/\r\nX: y", AddressError::Character),
            ("http://a\\b", AddressError::Character),
            ("http://a:", AddressError::Port),
            ("http://a:0", AddressError::Port),
            ("http://a:+1", AddressError::Port),
            ("http://a:65536", AddressError::Port),
            ("http://a:80:80", AddressError::Port),
            ("http://[::1", AddressError::Host),
            ("http://[a]", AddressError::Host),
            ("http://[::1]x", AddressError::Port),
            ("http://::1", AddressError::Host),
            ("http://b\u{fc}cher.example", AddressError::Host),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn usual_ports_make_no_other_server() {
        // Case 75
        for (one, other, same) in [
            ("http://localhost", "http://localhost:80", true),
            ("https://localhost", "wss://LOCALHOST:443/admin?x=1", true),
            ("http://[::1]", "http://[0:0::1]:80/", true),
            ("http://localhost", "https://localhost", false),
            ("http://localhost", "http://localhost:81", false),
            ("http://localhost", "http://127.0.0.1", false),
        ] {
            assert_eq!(
                parse(one).is_same_server(&parse(other)),
                same,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn requests_have_a_path_of_their_own() {
        let address = parse("http://localhost:3000/chat?token=x");
        assert_eq!(address.authority(), "localhost:3000");
        assert_eq!(parse("https://[::1]:443").authority(), "[::1]");
        assert_eq!(parse("https://[::1]:80").authority(), "[::1]:80");
        for (path, target) in [
            ("/socket.io", "/socket.io/?EIO=4&token=x"),
            ("/socket.io/", "/socket.io/?EIO=4&token=x"),
            ("a/b", "/a/b/?EIO=4&token=x"),
            ("/", "/?EIO=4&token=x"),
        ] {
            assert_eq!(address.target(path, "EIO=4"), target, "{path}");
        }
        assert_eq!(parse("http://a/chat").target("/x", "EIO=4"), "/x/?EIO=4");
        let address = parse("http://a/?name=\u{e9}%20b");
        assert_eq!(
            address.target("/x y", "EIO=4"),
            "/x%20y/?EIO=4&name=%C3%A9%20b"
        );
    }

    #[test]
    fn logs_do_not_show_the_query() {
        let address = parse("http://localhost:3000/chat?token=secret");
        assert_eq!(format!("{address:?}"), "http://localhost:3000/chat");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_line_is_broken(text in ".*", tail in ".{0,20}") {
            for text in [&text, &format!("http://a.example{tail}"), &format!("http://[{tail}")] {
                if let Ok(address) = Address::parse(text) {
                    let request = address.target("/socket.io", "EIO=4") + &address.authority();
                    prop_assert!(!request.contains(['\r', '\n', ' ', '\0']), "{request:?}");
                    prop_assert!(!address.host().is_empty() && address.port() > 0);
                }
            }
        }
    }
}
