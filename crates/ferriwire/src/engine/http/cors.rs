//! What pages of other origins are told (protocol 1.5 case 15).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::super::body::Body;
use super::super::origins::Verdict;
use super::answers::empty;
use crate::config::{Config, Cors};

pub(super) fn is_preflight(method: &Method, verdict: &Verdict) -> bool {
    *method == Method::OPTIONS && matches!(verdict, Verdict::Foreign(_) | Verdict::Anyone)
}

/// The answer to a preflight. The headers that it asks for are all allowed unless there is a list.
pub(super) fn preflight(cors: &Cors, request: &HeaderMap) -> Response<Body> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, cors.methods.clone());
    match &cors.allowed_headers {
        Some(listed) => {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, listed.clone());
        }
        None => {
            let depends = HeaderValue::from_name(ACCESS_CONTROL_REQUEST_HEADERS);
            headers.append(VARY, depends);
            if let Some(requested) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, requested.clone());
            }
        }
    }
    if let Some(age) = &cors.max_age {
        headers.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
    }
    response
}

/// Whether there is nothing to tell.
pub(super) fn has_nothing_to_tell(verdict: &Verdict, config: &Config) -> bool {
    *verdict == Verdict::Plain && !config.origins.is_list()
}

/// Adds what every answer tells, whatever it is an answer to.
pub(super) fn allow_origin(headers: &mut HeaderMap, verdict: &Verdict, config: &Config) {
    if config.origins.is_list() {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    match verdict {
        Verdict::Plain | Verdict::Refused | Verdict::Invalid => return,
        Verdict::Anyone => {
            let anyone = HeaderValue::from_static("*");
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, anyone);
        }
        Verdict::Foreign(origin) => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            if config.cors.credentials {
                let yes = HeaderValue::from_static("true");
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            }
        }
    }
    if let Some(exposed) = &config.cors.exposed_headers {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
    }
}
