//! The cookie of the handshake, for load balancers.

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderValue;

/// A cookie that the answer to a polling handshake sets, so that a load balancer can send the later
/// requests of the session to the same node. Off by default.
///
/// Its value names this server, not the session: the id of a session is a secret, and a cookie is
/// sent to whatever else lives at that host. The reference puts the session's id there.
///
/// Attributes by default: `Path` is that of the server, `HttpOnly`, `SameSite=Lax`, and `Secure` for
/// requests that came over TLS. Mirrors `cookie`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ferriwire::{Config, Cookie};
///
/// let cookie = Cookie::new("io").value("node-1").max_age(Duration::from_secs(3600));
/// let config = Config::new().cookie(cookie);
/// ```
#[derive(Clone, Debug)]
pub struct Cookie {
    name: String,
    value: Option<String>,
    path: Path,
    domain: Option<String>,
    max_age: Option<Duration>,
    http_only: bool,
    same_site: Option<SameSite>,
    secure: Option<bool>,
}

/// With which requests of other sites a browser sends the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// With none.
    Strict,
    /// With top-level navigation only.
    Lax,
    /// With all. Browsers want [`Cookie::secure`] with it.
    None,
}

#[derive(Clone, Debug)]
enum Path {
    Engine,
    Other(String),
    Unset,
}

/// The header's value, for plain and for secure requests.
#[derive(Clone, Debug)]
pub(crate) struct SetCookie {
    plain: HeaderValue,
    secure: HeaderValue,
}

impl Cookie {
    /// A cookie of that name; the reference's is `io`. A name, value, path or domain that cannot stand
    /// in a cookie is reported when the server starts.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: None,
            path: Path::Engine,
            domain: None,
            max_age: None,
            http_only: true,
            same_site: Some(SameSite::Lax),
            secure: None,
        }
    }

    /// The value. Default: random, made anew whenever the server starts. A load balancer that knows its
    /// nodes by name wants the name of this one.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Below which path the browser sends it. Default: that of the server (reference: `/`).
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Path::Other(path.into());
        self
    }

    /// Leaves the path out (`path: false`): browsers then take the path of the request.
    #[must_use]
    pub fn without_path(mut self) -> Self {
        self.path = Path::Unset;
        self
    }

    /// To which hosts the browser sends it. Default: only to the one that set it.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// How long the browser keeps it, in whole seconds. Default: until it is closed.
    #[must_use]
    #[doc(alias = "maxAge")]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Whether scripts cannot read it. Default `true`.
    #[must_use]
    #[doc(alias = "httpOnly")]
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// With which requests of other sites it is sent. Default [`SameSite::Lax`]; `None` leaves the
    /// attribute out.
    #[must_use]
    #[doc(alias = "sameSite")]
    pub fn same_site(mut self, same_site: impl Into<Option<SameSite>>) -> Self {
        self.same_site = same_site.into();
        self
    }

    /// Whether it is sent over TLS only. Default: when the handshake came over TLS, as far as the
    /// server knows (reference: `false`). Say `true` when a proxy in front of it ends TLS.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = Some(secure);
        self
    }

    /// The header for a server at `engine_path`; `None` when it would not be a valid one.
    pub(crate) fn header(&self, engine_path: &str, routing_id: &str) -> Option<SetCookie> {
        let value = self.value.as_deref().unwrap_or(routing_id);
        let path = match &self.path {
            Path::Engine => Some(engine_path),
            Path::Other(path) => Some(path.as_str()),
            Path::Unset => None,
        };
        let domain = self.domain.as_deref();
        let valid = !self.name.is_empty()
            && self.name.bytes().all(is_token)
            && value.bytes().all(is_cookie_octet)
            && path.is_none_or(|path| path.bytes().all(is_attribute_octet))
            && domain.is_none_or(|domain| domain.bytes().all(is_attribute_octet));
        if !valid {
            return None;
        }
        let text = |secure: bool| {
            let mut text = format!("{}={value}", self.name);
            if let Some(age) = self.max_age {
                // Writing to a `String` cannot fail.
                let _ = write!(text, "; Max-Age={}", age.as_secs());
            }
            for (attribute, value) in [("Domain", domain), ("Path", path)] {
                if let Some(value) = value {
                    let _ = write!(text, "; {attribute}={value}");
                }
            }
            for (attribute, on) in [("HttpOnly", self.http_only), ("Secure", secure)] {
                if on {
                    let _ = write!(text, "; {attribute}");
                }
            }
            if let Some(same_site) = self.same_site {
                let _ = write!(text, "; SameSite={same_site:?}");
            }
            HeaderValue::try_from(text).ok()
        };
        Some(SetCookie {
            plain: text(self.secure.unwrap_or(false))?,
            secure: text(self.secure.unwrap_or(true))?,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl SetCookie {
    pub(crate) fn value(&self, secure: bool) -> HeaderValue {
        if secure {
            self.secure.clone()
        } else {
            self.plain.clone()
        }
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 6265, section 4.1.1: no blank, quote, comma, semicolon or backslash.
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

/// The same for the values of attributes: anything but controls and semicolons.
fn is_attribute_octet(byte: u8) -> bool {
    (byte.is_ascii_graphic() || byte == b' ') && byte != b';'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(cookie: &Cookie) -> Option<String> {
        let header = cookie.header("/socket.io/", "node")?;
        Some(header.value(false).to_str().unwrap().to_owned())
    }

    #[test]
    fn attributes_stand_as_they_are_asked_for() {
        let io = || Cookie::new("io");
        for (cookie, expected) in [
            (io(), "io=node; Path=/socket.io/; HttpOnly; SameSite=Lax"),
            (
                Cookie::new("woot").value("a=b"),
                "woot=a=b; Path=/socket.io/; HttpOnly; SameSite=Lax",
            ),
            (
                io().path("/custom"),
                "io=node; Path=/custom; HttpOnly; SameSite=Lax",
            ),
            (io().without_path(), "io=node; HttpOnly; SameSite=Lax"),
            (
                io().http_only(false),
                "io=node; Path=/socket.io/; SameSite=Lax",
            ),
            (
                io().same_site(SameSite::Strict),
                "io=node; Path=/socket.io/; HttpOnly; SameSite=Strict",
            ),
            (io().same_site(None), "io=node; Path=/socket.io/; HttpOnly"),
            (
                io().same_site(SameSite::None).secure(true),
                "io=node; Path=/socket.io/; HttpOnly; Secure; SameSite=None",
            ),
            (
                io().max_age(Duration::from_millis(60_500))
                    .domain("a.example"),
                "io=node; Max-Age=60; Domain=a.example; Path=/socket.io/; HttpOnly; SameSite=Lax",
            ),
        ] {
            assert_eq!(plain(&cookie).as_deref(), Some(expected));
        }
    }

    #[test]
    fn secure_follows_the_request_unless_it_is_said() {
        for (said, plain, secure) in [
            (None, false, true),
            (Some(true), true, true),
            (Some(false), false, false),
        ] {
            let mut cookie = Cookie::new("io");
            cookie.secure = said;
            let header = cookie.header("/", "node").unwrap();
            for (of_request, expected) in [(false, plain), (true, secure)] {
                let text = header.value(of_request);
                let text = text.to_str().unwrap();
                assert_eq!(text.contains("; Secure"), expected, "{said:?} {of_request}");
            }
        }
    }

    #[test]
    fn what_could_end_the_header_or_begin_another_attribute_is_refused() {
        let io = || Cookie::new("io");
        for cookie in [
            Cookie::new(""),
            Cookie::new("i o"),
            Cookie::new("io="),
            Cookie::new("i\u{f6}"),
            io().value("a;Domain=evil"),
            io().value("a b"),
            io().value("a\r\nSet-Cookie: b=c"),
            io().value("a\0"),
            io().path("/; Domain=evil"),
            io().path("/\n"),
            io().domain("a\r\n"),
        ] {
            assert_eq!(plain(&cookie), None, "{cookie:?}");
        }
    }
}
