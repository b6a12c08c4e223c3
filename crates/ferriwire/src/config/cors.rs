//! What scripts of other origins may do; which origins those are is said by `Origins`.

use http::{HeaderName, HeaderValue, Method};
use std::time::Duration;

/// What scripts of the [listed origins](crate::Origins) may do. The list itself is
/// [`Config::origins`](crate::Config::origins), which guards every transport; this says what else
/// stands in the answers to pages of those origins.
///
/// Mirrors the other keys of `cors`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ferriwire::{Config, Cors, Origins};
///
/// let config = Config::new()
///     .origins(Origins::same_host().allow("https://app.example.com"))
///     .cors(Cors::new().max_age(Duration::from_secs(600)));
/// ```
#[derive(Clone, Debug)]
pub struct Cors {
    pub(crate) methods: HeaderValue,
    pub(crate) allowed_headers: Option<HeaderValue>,
    pub(crate) exposed_headers: Option<HeaderValue>,
    pub(crate) max_age: Option<HeaderValue>,
    pub(crate) credentials: bool,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            methods: HeaderValue::from_static("GET,POST"),
            allowed_headers: None,
            exposed_headers: None,
            max_age: None,
            credentials: true,
        }
    }
}

impl Cors {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The methods that a preflight names. Default GET and POST, which are all there are
    /// (reference: six). Mirrors `cors.methods`.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        if let Some(list) = joined(methods) {
            self.methods = list;
        }
        self
    }

    /// The request headers that scripts may set. Default: whatever the preflight asks for. Mirrors
    /// `cors.allowedHeaders`.
    #[must_use]
    #[doc(alias = "allowedHeaders")]
    pub fn allowed_headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.allowed_headers = joined(headers);
        self
    }

    /// The response headers that scripts may read beyond the few that they always may. Default
    /// none. Mirrors `cors.exposedHeaders`.
    #[must_use]
    #[doc(alias = "exposedHeaders")]
    pub fn exposed_headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.exposed_headers = joined(headers);
        self
    }

    /// How long a browser may remember the answer to a preflight, in whole seconds. Default: not
    /// said, which browsers take for five seconds. Mirrors `cors.maxAge`.
    #[must_use]
    #[doc(alias = "maxAge")]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(HeaderValue::from(age.as_secs()));
        self
    }

    /// Whether pages of the listed origins may send cookies. Default `true` (reference: `false`).
    /// With [`Origins::any`](crate::Origins::any) others never may. Mirrors `cors.credentials`.
    #[must_use]
    pub fn credentials(mut self, allow: bool) -> Self {
        self.credentials = allow;
        self
    }
}

/// A list with commas; `None` when it is empty.
fn joined<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Option<HeaderValue> {
    let names: Vec<String> = names
        .into_iter()
        .map(|name| name.as_ref().to_owned())
        .collect();
    // Names of methods and headers are valid in a header's value.
    let list = HeaderValue::try_from(names.join(",")).ok();
    list.filter(|list| !list.is_empty())
}
