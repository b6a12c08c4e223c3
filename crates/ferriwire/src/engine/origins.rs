//! From which web pages clients may come: one list for every transport and for CORS.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};

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

    pub(crate) fn judge(&self, headers: &HeaderMap) -> Verdict {
        let Some(origin) = headers.get(ORIGIN) else {
            // Browsers send no `Origin` with a same-origin GET, but say where it came from.
            let cross_site = headers
                .get("sec-fetch-site")
                .is_some_and(|site| site.as_bytes() == b"cross-site");
            return if cross_site && !self.any {
                Verdict::Refused
            } else {
                Verdict::Plain
            };
        };
        let Ok(text) = origin.to_str() else {
            return Verdict::Invalid;
        };
        if self.listed.iter().any(|listed| listed == text) {
            return Verdict::Foreign(origin.clone());
        }
        if self.any {
            return Verdict::Anyone;
        }
        if is_own_host(text, headers) {
            Verdict::Plain
        } else {
            Verdict::Refused
        }
    }
}

/// Whether the origin is the host that the request names, whatever the scheme: a proxy may have
/// ended TLS in front of us.
fn is_own_host(origin: &str, headers: &HeaderMap) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
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

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()));
        pairs.collect()
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
            let headers = headers(&[("host", "localhost:3000"), ("origin", origin)]);
            assert_eq!(origins.judge(&headers), Verdict::Refused, "{origin}");
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
            let headers = headers(&[("host", host), ("origin", origin)]);
            assert_eq!(origins.judge(&headers), Verdict::Plain, "{origin}");
        }
        assert_eq!(origins.judge(&headers(&[("host", "a")])), Verdict::Plain);
    }

    #[test]
    fn a_browser_that_says_cross_site_is_refused_without_an_origin() {
        let cross_site = headers(&[("host", "a"), ("sec-fetch-site", "cross-site")]);
        assert_eq!(Origins::same_host().judge(&cross_site), Verdict::Refused);
        assert_eq!(Origins::any().judge(&cross_site), Verdict::Plain);
    }
}
