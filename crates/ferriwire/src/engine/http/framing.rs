//! Requests that two servers in a row could take for different ones (RFC 9112 sections 3.2, 6.1, 6.3).
//!
//! hyper refuses most of them itself. What it lets pass is judged here, before anything else is looked at.

use http::header::{HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Version};

/// Whether a request has one host, and no coding but chunks. HTTP/2 has other words for both.
pub(super) fn is_unambiguous(version: Version, headers: &HeaderMap) -> bool {
    if version >= Version::HTTP_2 {
        return true;
    }
    let hosts = headers.get_all(HOST).iter().count();
    let has_host = hosts == 1 || (hosts == 0 && version < Version::HTTP_11);
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        // Anything in front of it would have to be undone, which is never asked of a server like this.
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    has_host && is_plain
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn one_host_and_one_coding_are_enough() {
        for (version, headers, expected) in [
            (Version::HTTP_11, &[("host", "a")][..], true),
            (Version::HTTP_11, &[], false),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_2, &[], true),
            (Version::HTTP_11, &[("host", "a"), ("host", "a")], false),
            (Version::HTTP_10, &[("host", "a"), ("host", "b")], false),
            (
                Version::HTTP_11,
                &[("host", "a"), ("transfer-encoding", "Chunked")],
                true,
            ),
            (
                Version::HTTP_11,
                &[("host", "a"), ("transfer-encoding", "gzip, chunked")],
                false,
            ),
            (
                Version::HTTP_11,
                &[
                    ("host", "a"),
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
                false,
            ),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                );
            }
            assert_eq!(
                is_unambiguous(version, &map),
                expected,
                "{version:?} {headers:?}"
            );
        }
    }
}
