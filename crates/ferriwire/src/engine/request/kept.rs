//! What is kept of a request head: text in one piece of memory, because most programs never ask, and
//! every client has one for as long as it is there.
//!
//! A line for the target and for each header, each with an [`END`]. The line of a header begins with its
//! name and a separator, or with a byte that no name has and that stands for a [beginning](BEGINNINGS).
//! That of the target may begin with a byte that stands for one of [`TARGETS`].

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::engine::http::fields::Fields;

/// Between a name and its value. Neither can stand in a name.
const PLAIN: u8 = b':';
/// The same, when the value is not to be shown.
const SENSITIVE: u8 = b';';
/// Behind the target and each header. It can stand in neither.
const END: u8 = b'\n';
/// Stands for the first of [`BEGINNINGS`]; the next ones for those behind it.
const FIRST: u8 = 0x80;

/// What headers of handshakes begin with, of those of one name the longest first: half of what a
/// browser sends is the same for all of them.
static BEGINNINGS: [(&str, &str); 26] = [
    ("host", ""),
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", ""),
    (
        "sec-websocket-extensions",
        "permessage-deflate; client_max_window_bits",
    ),
    (
        "user-agent",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
    ),
    ("user-agent", "Mozilla/5.0 ("),
    ("user-agent", ""),
    ("origin", "https://"),
    ("origin", ""),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-encoding", ""),
    ("accept-language", ""),
    ("cache-control", "no-cache"),
    ("pragma", "no-cache"),
    ("cookie", ""),
    ("accept", "*/*"),
    ("accept", ""),
    ("referer", "https://"),
    ("referer", ""),
    ("connection", "keep-alive"),
    ("connection", ""),
    ("authorization", "Bearer "),
    ("x-forwarded-for", ""),
    ("x-forwarded-proto", "https"),
];

/// What most targets are, or begin with: then a `&` follows.
static TARGETS: [&str; 2] = [
    "/socket.io/?EIO=4&transport=websocket",
    "/socket.io/?EIO=4&transport=polling",
];

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

/// A header as it is kept.
struct Line<'a> {
    name: &'a [u8],
    /// Its value in two parts.
    value: [&'a [u8]; 2],
    is_sensitive: bool,
}

impl Kept {
    /// `more` stands behind the headers.
    pub(super) fn new<F>(target: &str, headers: &F, more: Option<(HeaderName, &str)>) -> Self
    where
        F: Fields + ?Sized,
    {
        // As much as few requests need; what is kept has a piece of memory of its own size.
        let mut text = Vec::with_capacity(1024);
        write_target(&mut text, target);
        headers.for_each(|name, value, is_sensitive| {
            write_line(&mut text, name, value, is_sensitive);
        });
        if let Some((name, value)) = &more {
            write_line(&mut text, name.as_str(), value.as_bytes(), false);
        }
        Self {
            text: text.as_slice().into(),
            parsed: OnceLock::new(),
        }
    }

    /// The path and query as they came, in two parts of which the second begins with `&`, or is empty.
    fn target(&self) -> [&str; 2] {
        let line = self.text.split(|byte| *byte == END).next();
        let line = line.unwrap_or_default();
        let index = line.first().and_then(|first| first.checked_sub(FIRST));
        let target = index.and_then(|index| TARGETS.get(usize::from(index)));
        match target.zip(line.get(1..)) {
            Some((target, rest)) => [*target, str::from_utf8(rest).unwrap_or_default()],
            None => [str::from_utf8(line).unwrap_or_default(), ""],
        }
    }

    /// The query in two parts, neither of which ends within a parameter.
    pub(super) fn query(&self) -> [&str; 2] {
        let [target, rest] = self.target();
        [target.split_once('?').map_or("", |(_, query)| query), rest]
    }

    /// Whether there is a header of that name, which is in lower case.
    pub(super) fn has_header(&self, name: &HeaderName) -> bool {
        self.lines()
            .any(|line| line.name == name.as_str().as_bytes())
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

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let lines = self.text.split(|byte| *byte == END).skip(1);
        lines.filter_map(read_line)
    }

    fn parsed(&self) -> &Parsed {
        self.parsed.get_or_init(|| {
            let mut headers = HeaderMap::with_capacity(self.lines().count());
            for line in self.lines() {
                let value = HeaderValue::from_bytes(&line.value.concat());
                // Neither can fail, because both were valid before.
                if let (Ok(name), Ok(mut value)) = (HeaderName::from_bytes(line.name), value) {
                    value.set_sensitive(line.is_sensitive);
                    headers.append(name, value);
                }
            }
            let uri = self.target().concat().parse().unwrap_or_default();
            Box::new(Parsed { uri, headers })
        })
    }
}

fn write_target(text: &mut Vec<u8>, target: &str) {
    let known = (FIRST..).zip(TARGETS).find_map(|(byte, known)| {
        let rest = target.strip_prefix(known)?;
        let fits = rest.is_empty() || rest.starts_with('&');
        fits.then_some((byte, rest))
    });
    let rest = match known {
        Some((byte, rest)) => {
            text.push(byte);
            rest
        }
        None => target,
    };
    text.extend_from_slice(rest.as_bytes());
    text.push(END);
}

/// Whatever the case of the name, it is kept in lower case.
fn write_line(text: &mut Vec<u8>, name: &str, value: &[u8], is_sensitive: bool) {
    let beginnings = (FIRST..).zip(&BEGINNINGS);
    let mut fitting = beginnings.filter_map(|(byte, (known, beginning))| {
        let is_known = name.eq_ignore_ascii_case(known);
        let rest = is_known.then(|| value.strip_prefix(beginning.as_bytes()));
        rest.flatten().map(|rest| (byte, rest))
    });
    match fitting.next().filter(|_| !is_sensitive) {
        Some((byte, rest)) => {
            text.push(byte);
            text.extend_from_slice(rest);
        }
        None => {
            text.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
            text.push(if is_sensitive { SENSITIVE } else { PLAIN });
            text.extend_from_slice(value);
        }
    }
    text.push(END);
}

fn read_line(line: &[u8]) -> Option<Line<'_>> {
    let (first, rest) = line.split_first()?;
    if let Some(index) = first.checked_sub(FIRST) {
        let (name, beginning) = BEGINNINGS.get(usize::from(index))?;
        return Some(Line {
            name: name.as_bytes(),
            value: [beginning.as_bytes(), rest],
            is_sensitive: false,
        });
    }
    let is_separator = |byte: &u8| matches!(*byte, PLAIN | SENSITIVE);
    let at = line.iter().position(is_separator)?;
    let (name, value) = line.split_at_checked(at)?;
    let (separator, value) = value.split_first()?;
    Some(Line {
        name,
        value: [&[], value],
        is_sensitive: *separator == SENSITIVE,
    })
}

#[cfg(test)]
mod tests {
    use http::header::{
        ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, COOKIE, HOST,
        ORIGIN, PRAGMA, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
        UPGRADE, USER_AGENT,
    };

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
            assert_eq!(kept.target().concat(), target);
            kept.compact();
        }
        assert!(kept.has_header(&HOST) && kept.has_header(&COOKIE));
        assert!(!kept.has_header(&ORIGIN));
    }

    #[test]
    fn a_common_target_is_kept_whole() {
        let more = ["", "&t=1", "&", "s", "%20", "&transport=x", "?"];
        for known in TARGETS {
            for target in more.map(|more| format!("{known}{more}")) {
                let kept = Kept::new(&target, &HeaderMap::new(), None);
                assert_eq!(kept.target().concat(), target);
                assert_eq!(*kept.uri(), *target);
                let (_, query) = target.split_once('?').unwrap();
                assert_eq!(kept.query().concat(), query);
                let pairs = |query: &str| {
                    let pairs = form_urlencoded::parse(query.as_bytes());
                    pairs.into_owned().collect::<Vec<_>>()
                };
                assert_eq!(kept.query().map(pairs).concat(), pairs(query));
            }
        }
    }

    #[test]
    fn a_target_without_headers_is_kept_too() {
        let kept = Kept::new("/", &HeaderMap::new(), None);
        assert_eq!(
            (kept.uri(), kept.headers().len()),
            (&Uri::from_static("/"), 0)
        );
    }

    #[test]
    fn a_header_with_a_common_beginning_is_kept_whole() {
        let mut secret = HeaderValue::from_static("Bearer secret");
        secret.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer shown"));
        headers.append(AUTHORIZATION, secret);
        for (name, beginning) in &BEGINNINGS {
            let shorter = beginning.get(1..).unwrap_or_default();
            for value in [
                *beginning,
                shorter,
                &format!("{beginning}: \u{80}, more; x=1"),
            ] {
                headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
        }
        let kept = Kept::new("/", &headers, None);
        assert_eq!(kept.headers(), &headers);
        let sensitive = kept.headers().get_all(AUTHORIZATION).iter();
        let sensitive: Vec<_> = sensitive.map(HeaderValue::is_sensitive).collect();
        assert_eq!(sensitive, [false, true, false, false, false]);
    }

    #[test]
    fn a_longer_beginning_stands_in_front_of_a_shorter_one() {
        for (index, (name, beginning)) in BEGINNINGS.iter().enumerate() {
            for (later_name, later) in &BEGINNINGS[index + 1..] {
                assert!(
                    name != later_name || !later.starts_with(beginning),
                    "{name}: {later} is never used"
                );
            }
        }
    }

    #[test]
    fn what_a_browser_sends_takes_little() {
        let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                     Chrome/126.0.0.0 Safari/537.36";
        let lines = [
            (HOST, "example.org"),
            (CONNECTION, "Upgrade"),
            (PRAGMA, "no-cache"),
            (CACHE_CONTROL, "no-cache"),
            (USER_AGENT, agent),
            (UPGRADE, "websocket"),
            (ORIGIN, "https://example.org"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (ACCEPT_ENCODING, "gzip, deflate, br, zstd"),
            (ACCEPT_LANGUAGE, "en-GB,en;q=0.9"),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
            (
                SEC_WEBSOCKET_EXTENSIONS,
                "permessage-deflate; client_max_window_bits",
            ),
        ];
        let sum: usize = lines
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        let lines = lines.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let kept = Kept::new("/", &HeaderMap::from_iter(lines), None);
        assert!(kept.text.len() * 2 < sum, "{} of {sum}", kept.text.len());
    }
}
