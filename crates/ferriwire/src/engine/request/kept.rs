//! What is kept of a request head: text in one piece of memory, because most programs never ask, and
//! every client has one for as long as it is there.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// Between a name and its value. Neither can stand in a name.
const PLAIN: u8 = b':';
/// The same, when the value is not to be shown.
const SENSITIVE: u8 = b';';
/// Behind the target and each header. It can stand in neither.
const END: u8 = b'\n';

/// A target and headers.
#[derive(Debug)]
pub(super) struct Kept {
    text: Box<[u8]>,
    /// Made when somebody asks for it.
    parsed: OnceLock<Box<Parsed>>,
}

#[derive(Debug)]
struct Parsed {
    uri: Uri,
    headers: HeaderMap,
}

impl Kept {
    /// `more` stands behind the headers.
    pub(super) fn new(target: &str, headers: &HeaderMap, more: Option<(HeaderName, &str)>) -> Self {
        let lines = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes(), value.is_sensitive()))
            .chain(
                more.iter()
                    .map(|(name, value)| (name.as_str(), value.as_bytes(), false)),
            );
        let mut text = Vec::with_capacity(target.len() + 1);
        text.extend_from_slice(target.as_bytes());
        text.push(END);
        for (name, value, is_sensitive) in lines {
            text.extend_from_slice(name.as_bytes());
            text.push(if is_sensitive { SENSITIVE } else { PLAIN });
            text.extend_from_slice(value);
            text.push(END);
        }
        Self {
            text: text.into_boxed_slice(),
            parsed: OnceLock::new(),
        }
    }

    /// The path and query as they came.
    pub(super) fn target(&self) -> &str {
        let target = self.text.split(|byte| *byte == END).next();
        target
            .and_then(|target| str::from_utf8(target).ok())
            .unwrap_or_default()
    }

    /// Whether there is a header of that name, which is in lower case.
    pub(super) fn has_header(&self, name: &HeaderName) -> bool {
        self.lines()
            .any(|(there, _, _)| there == name.as_str().as_bytes())
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.parsed().uri
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.parsed().headers
    }

    /// Forgets what was made for whoever asked, until somebody asks again.
    pub(super) fn compact(&mut self) {
        self.parsed.take();
    }

    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8], bool)> {
        let lines = self.text.split(|byte| *byte == END).skip(1);
        lines.filter_map(|line| {
            let is_separator = |byte: &u8| matches!(*byte, PLAIN | SENSITIVE);
            let at = line.iter().position(is_separator)?;
            let (name, value) = line.split_at_checked(at)?;
            let (separator, value) = value.split_first()?;
            Some((name, value, *separator == SENSITIVE))
        })
    }

    fn parsed(&self) -> &Parsed {
        self.parsed.get_or_init(|| {
            let mut headers = HeaderMap::with_capacity(self.lines().count());
            for (name, value, is_sensitive) in self.lines() {
                // Neither can fail, because both were valid before.
                if let (Ok(name), Ok(mut value)) =
                    (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
                {
                    value.set_sensitive(is_sensitive);
                    headers.append(name, value);
                }
            }
            let uri = self.target().parse().unwrap_or_default();
            Box::new(Parsed { uri, headers })
        })
    }
}

#[cfg(test)]
mod tests {
    use http::header::{COOKIE, HOST, ORIGIN};

    use super::*;

    #[test]
    fn what_was_kept_is_what_came() {
        let mut headers = HeaderMap::new();
        let mut secret = HeaderValue::from_static("token: a; b");
        secret.set_sensitive(true);
        headers.append("x-secret", secret);
        headers.append(COOKIE, HeaderValue::from_static("a=1"));
        headers.append(COOKIE, HeaderValue::from_static("b=2;c=3"));
        headers.append("x-empty", HeaderValue::from_static(""));
        headers.append("x-latin", HeaderValue::from_bytes(b"caf\xE9\tx").unwrap());
        let target = "/socket.io/?EIO=4&name=%C3%A9";
        let mut kept = Kept::new(target, &headers, Some((HOST, "example.org")));
        for _ in 0..2 {
            let mut expected = headers.clone();
            expected.append(HOST, HeaderValue::from_static("example.org"));
            assert_eq!(kept.headers(), &expected);
            assert!(kept.headers()["x-secret"].is_sensitive());
            assert!(!kept.headers()[COOKIE].is_sensitive());
            assert_eq!(kept.uri(), target);
            assert_eq!(kept.target(), target);
            kept.compact();
        }
        assert!(kept.has_header(&HOST) && kept.has_header(&COOKIE));
        assert!(!kept.has_header(&ORIGIN));
    }

    #[test]
    fn a_target_without_headers_is_kept_too() {
        let kept = Kept::new("/", &HeaderMap::new(), None);
        assert_eq!(
            (kept.uri(), kept.headers().len()),
            (&Uri::from_static("/"), 0)
        );
    }
}
