//! The headers of a request, wherever they stand: in hyper's map, or where they were read.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers by name. Most requests are judged by a few of them, for which no map has to be made.
pub(crate) trait Fields {
    /// All values of that name, in their order.
    fn named<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]>;

    /// The first one.
    fn first_named<'a>(&'a self, name: &'a HeaderName) -> Option<&'a [u8]> {
        self.named(name).next()
    }

    /// Shows all of them, with names in any case, and which ones are not to be shown to others.
    fn for_each(&self, see: impl FnMut(&str, &[u8], bool));
}

impl Fields for HeaderMap {
    fn named<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name).iter().map(HeaderValue::as_bytes)
    }

    fn first_named<'a>(&'a self, name: &'a HeaderName) -> Option<&'a [u8]> {
        self.get(name).map(HeaderValue::as_bytes)
    }

    fn for_each(&self, mut see: impl FnMut(&str, &[u8], bool)) {
        for (name, value) in self {
            see(name.as_str(), value.as_bytes(), value.is_sensitive());
        }
    }
}

impl Fields for [httparse::Header<'_>] {
    fn named<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let name = name.as_str();
        let is_named = move |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name);
        self.iter().filter(is_named).map(|field| field.value)
    }

    fn for_each(&self, mut see: impl FnMut(&str, &[u8], bool)) {
        for field in self {
            see(field.name, field.value, false);
        }
    }
}

/// A value as text, which it is when all of it could be read.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    let value = str::from_utf8(value).ok()?;
    value.as_bytes().iter().all(is_text).then_some(value)
}

#[cfg(test)]
mod tests {
    use http::header::{COOKIE, HOST, ORIGIN};

    use super::*;

    #[test]
    fn both_kinds_of_headers_are_found_alike() {
        let lines = [
            ("Host", &b"a"[..]),
            ("cookie", b"a=1"),
            ("X", b""),
            ("COOKIE", b"b=\xE9"),
        ];
        let read = lines.map(|(name, value)| httparse::Header { name, value });
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        for name in [HOST, COOKIE, ORIGIN, HeaderName::from_static("x")] {
            let expected: Vec<_> = map.named(&name).collect();
            assert_eq!(read.named(&name).collect::<Vec<_>>(), expected);
            assert_eq!(read.first_named(&name), expected.first().copied());
            assert_eq!(map.first_named(&name), expected.first().copied());
        }
        let mut seen = HeaderMap::new();
        read.for_each(|name, value, _| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            seen.append(name, HeaderValue::from_bytes(value).unwrap());
        });
        assert_eq!(seen, map);
    }

    #[test]
    fn a_value_is_text_as_in_a_map() {
        for value in [&b""[..], b"a b\tc~", b"caf\xE9", b"caf\xC3\xA9"] {
            let expected = HeaderValue::from_bytes(value).unwrap();
            assert_eq!(text(value), expected.to_str().ok());
        }
    }
}
