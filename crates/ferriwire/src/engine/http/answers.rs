//! The answers that do not depend on who asks.

use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT, X_CONTENT_TYPE_OPTIONS,
    X_XSS_PROTECTION,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::super::body::Body;
use super::fields::{Fields, text};

pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    protect(response.headers_mut());
    response
}

/// The server cannot now: try again in one to five seconds, which is drawn so that not all come
/// back at the same time.
pub(crate) fn later(status: StatusCode) -> Response<Body> {
    let mut random = [0];
    // Without random numbers all wait for a second.
    let _ = getrandom::fill(&mut random);
    let seconds = u16::from(random[0] % 5) + 1;
    let mut response = empty(status);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

pub(super) fn with_body(
    status: StatusCode,
    content_type: &'static str,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    protect(headers);
    response
}

fn protect(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

pub(super) fn close_connection(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Whether the browser is an Internet Explorer, whose filter for scripts would damage payloads.
pub(super) fn is_internet_explorer<F: Fields + ?Sized>(fields: &F) -> bool {
    let agent = fields.first_named(&USER_AGENT).and_then(text);
    agent.is_some_and(|agent| agent.contains("MSIE") || agent.contains("Trident/"))
}

/// Turns that filter off.
pub(super) fn without_filter(headers: &mut HeaderMap) {
    headers.insert(X_XSS_PROTECTION, HeaderValue::from_static("0"));
}
