//! From which web pages clients may come: one list for every transport and for CORS.

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Request};

use super::http::fields::{Fields, text};

/// Where a browser says that a request comes from.
static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A list of origins, compared exactly.
///
/// A request without an `Origin` header is accepted, unless the browser says that it comes from
/// another site. One with an `Origin` has to come from the request's own host or from the list.
///
/// # Examples
///
/// ```
/// use ferriwire::engine::Origins;
///
/// let origins = Origins::same_host().allow("https://app.example.com");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Origins {
    any: bool,
    listed: Vec<String>,
}

/// What a request's origin is allowed to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No origin was named, or it is the host's own: no CORS headers are needed.
    Plain,
    /// Another origin that may read the answer.
    Foreign(HeaderValue),
    /// Any origin may read the answer, without credentials.
    Anyone,
    Refused,
    /// The header is not text.
    Invalid,
}

impl Origins {
    /// Only pages of the host that the request itself names.
    #[must_use]
    pub fn same_host() -> Self {
        Self::default()
    }

    /// Pages from anywhere, without cookies (`cors: { origin: "*" }`).
    #[must_use]
    pub fn any() -> Self {
        Self {
            any: true,
            listed: Vec::new(),
        }
    }

    /// Pages of this origin as well, such as `https://app.example.com`; they may send cookies.
    #[must_use]
    pub fn allow(mut self, origin: impl Into<String>) -> Self {
        self.listed.push(origin.into());
        self
    }

    /// Whether what an answer allows depends on the origin.
    pub(crate) fn is_list(&self) -> bool {
        !self.listed.is_empty()
    }

    pub(crate) fn judge<B>(&self, request: &Request<B>) -> Verdict {
        let authority = request.uri().authority();
        self.judge_fields(request.headers(), authority.map(Authority::as_str))
    }

    /// The same of a request with these headers, whose target names this `authority`.
    pub(crate) fn judge_fields<F>(&self, fields: &F, authority: Option<&str>) -> Verdict
    where
        F: Fields + ?Sized,
    {
        let Some(origin) = fields.first_named(&ORIGIN) else {
            // Browsers send no `Origin` with a same-origin GET, but say where it came from.
            let site = fields.first_named(&SEC_FETCH_SITE);
            let cross_site = site == Some(b"cross-site");
            return if cross_site && !self.any {
                Verdict::Refused
            } else {
                Verdict::Plain
            };
        };
        let Some(text) = text(origin) else {
            return Verdict::Invalid;
        };
        if self.listed.iter().any(|listed| listed == text) {
            // A copy, because what a GET keeps while it waits shall not keep what it was read into.
            let copied = HeaderValue::from_bytes(origin);
            return copied.map_or(Verdict::Invalid, Verdict::Foreign);
        }
        if self.any {
            return Verdict::Anyone;
        }
        if own_host(fields, authority).is_some_and(|host| is_same_host(text, host)) {
            Verdict::Plain
        } else {
            Verdict::Refused
        }
    }
}

/// The host that the request names: in a header, or, as over HTTP/2, in its target.
fn own_host<'a, F>(fields: &'a F, authority: Option<&'a str>) -> Option<&'a str>
where
    F: Fields + ?Sized,
{
    match fields.first_named(&HOST) {
        Some(host) => text(host),
        // What stands in front of an `@` is no part of an origin.
        None => authority?.rsplit('@').next(),
    }
}

/// Whether the origin is that host, whatever the scheme: a proxy may have ended TLS in front of us.
fn is_same_host(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let without_default = |name: &str| -> String {
        let name = name.to_ascii_lowercase();
        name.strip_suffix(default_port).unwrap_or(&name).to_owned()
    };
    without_default(authority) == without_default(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::post(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn headers(headers: &[(&str, &str)]) -> Request<()> {
        request("/engine.io/", headers)
    }

    #[test]
    fn origins_are_compared_exactly() {
        let origins = Origins::same_host().allow("https://good.example");
        let refused = [
            "https://good.example.evil",
            "https://good.example:8443",
            "http://good.example",
            "https://evil/https://good.example",
            "null",
            "",
            "https://sub.good.example",
            "http://localhost:3001",
            "http://localhost.evil:3000",
        ];
        for origin in refused {
            let request = headers(&[("host", "localhost:3000"), ("origin", origin)]);
            assert_eq!(origins.judge(&request), Verdict::Refused, "{origin}");
        }
        let good = headers(&[
            ("host", "localhost:3000"),
            ("origin", "https://good.example"),
        ]);
        assert!(matches!(origins.judge(&good), Verdict::Foreign(_)));
    }

    #[test]
    fn the_own_host_and_requests_without_origin_pass() {
        let origins = Origins::same_host();
        let own = [
            ("localhost:3000", "http://localhost:3000"),
            ("localhost", "http://localhost:80"),
            ("Example.com:443", "https://example.com"),
        ];
        for (host, origin) in own {
            let request = headers(&[("host", host), ("origin", origin)]);
            assert_eq!(origins.judge(&request), Verdict::Plain, "{origin}");
        }
        assert_eq!(origins.judge(&headers(&[("host", "a")])), Verdict::Plain);
    }

    #[test]
    fn without_a_host_header_the_own_host_is_that_of_the_target() {
        let target = "https://example.com/engine.io/";
        for (target, host, origin, expected) in [
            (target, None, "https://example.com", Verdict::Plain),
            (target, None, "https://example.com:443", Verdict::Plain),
            (target, None, "https://example.com:8443", Verdict::Refused),
            (target, None, "https://evil.example", Verdict::Refused),
            ("https://a@b:81/", None, "https://b:81", Verdict::Plain),
            ("https://a@b:81/", None, "https://a", Verdict::Refused),
            ("/engine.io/", None, "https://example.com", Verdict::Refused),
            (target, Some("a"), "https://example.com", Verdict::Refused),
            (target, Some("a"), "https://a", Verdict::Plain),
        ] {
            let mut headers = vec![("origin", origin)];
            headers.extend(host.map(|host| ("host", host)));
            let verdict = Origins::same_host().judge(&request(target, &headers));
            assert_eq!(verdict, expected, "{target} {host:?} {origin}");
        }
    }

    #[test]
    fn a_browser_that_says_cross_site_is_refused_without_an_origin() {
        let cross_site = headers(&[("host", "a"), ("sec-fetch-site", "cross-site")]);
        assert_eq!(Origins::same_host().judge(&cross_site), Verdict::Refused);
        assert_eq!(Origins::any().judge(&cross_site), Verdict::Plain);
    }
}
