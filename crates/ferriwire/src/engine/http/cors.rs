//! What pages of other origins are told (protocol 1.5 case 15).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::super::body::Body;
use super::super::origins::Verdict;
use super::answers::empty;

pub(super) fn is_preflight(method: &Method, verdict: &Verdict) -> bool {
    *method == Method::OPTIONS && matches!(verdict, Verdict::Foreign(_) | Verdict::Anyone)
}

pub(super) fn preflight(requested: Option<HeaderValue>) -> Response<Body> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static("GET,POST");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    if let Some(requested) = requested {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, requested);
    }
    response
}

pub(super) fn allow_origin(headers: &mut HeaderMap, verdict: &Verdict) {
    match verdict {
        Verdict::Plain | Verdict::Refused | Verdict::Invalid => {}
        Verdict::Anyone => {
            let anyone = HeaderValue::from_static("*");
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, anyone);
        }
        Verdict::Foreign(origin) => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            let yes = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }
}
