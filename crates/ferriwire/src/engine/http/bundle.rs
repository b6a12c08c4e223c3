//! Answering with a file of the browser client.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderName, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::super::body::Body;
use super::super::bundle::File;
use super::answers::{empty, with_body};
use super::encoding::{Coding, negotiate};

/// The file as a client asks for it: compressed, or not at all when it has it already.
pub(super) async fn serve(file: &File, method: &Method, headers: &HeaderMap) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    let wanted = negotiate(headers, Coding::FOR_FILES);
    let coding = wanted.filter(|_| file.is_compressible());
    let tag = file.tag(coding);
    let mut response = if has_already(headers, &tag) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        match file.content(coding).await {
            Ok(content) => with_body(StatusCode::OK, file.content_type(), Body::full(content)),
            Err(error) => {
                tracing::error!(%error, "cannot compress a client file");
                return empty(StatusCode::INTERNAL_SERVER_ERROR);
            }
        }
    };
    let answered = response.status() == StatusCode::OK;
    let headers = response.headers_mut();
    let caching = HeaderValue::from_static("public, max-age=0");
    headers.insert(CACHE_CONTROL, caching);
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    insert(headers, ETAG, &tag);
    if let Some(coding) = coding.filter(|_| answered) {
        let name = HeaderValue::from_static(coding.name());
        headers.insert(CONTENT_ENCODING, name);
    }
    response
}

/// Whether the client's tags name this one; by the weak comparison of RFC 9110, section 13.1.2.
fn has_already(headers: &HeaderMap, tag: &str) -> bool {
    let mut values = headers.get_all(IF_NONE_MATCH).iter();
    values.any(|value| {
        // Our tags hold no comma, so that cutting foreign ones apart makes none of ours.
        let mut tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.any(|listed| listed == "*" || listed.trim_start_matches("W/") == tag)
    })
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // A tag is made of characters of base64, and a coding's name of letters.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
