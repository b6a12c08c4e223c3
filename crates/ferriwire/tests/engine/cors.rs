//! CORS: the list of origins decides who may read answers (protocol 1.5 case 15, its first half).

use ferriwire::engine::Origins;

use crate::support::http::{Http, Response};
use crate::{Echo, POLLING, config};

const PAGE: (&str, &str) = ("Origin", "https://good.example");

fn check(response: &Response, origin: &str, credentials: Option<&str>) {
    assert_eq!(response.header("access-control-allow-origin"), Some(origin));
    assert_eq!(
        response.header("access-control-allow-credentials"),
        credentials
    );
    let vary = response.header("vary");
    assert_eq!(vary, (origin != "*").then_some("Origin"));
}

#[tokio::test]
async fn listed_origins_and_everybody_may_read_answers_errors_and_preflights() {
    let listed = Origins::same_host().allow("https://good.example");
    for (origins, origin, credentials) in [
        (listed, "https://good.example", Some("true")),
        (Origins::any(), "*", None),
    ] {
        let echo = Echo::start(config().origins(origins)).await;
        let mut http = Http::connect(echo.addr()).await;
        let preflight = [
            PAGE,
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type,x-token"),
        ];
        let response = http.request("OPTIONS", POLLING, &preflight, "").await;
        assert_eq!((response.status, response.text()), (204, ""));
        check(&response, origin, credentials);
        let methods = response.header("access-control-allow-methods");
        assert_eq!(methods, Some("GET,POST"));
        let headers = response.header("access-control-allow-headers");
        assert_eq!(headers, Some("content-type,x-token"));

        let response = http.request("GET", POLLING, &[PAGE], "").await;
        assert_eq!(response.status, 200);
        check(&response, origin, credentials);
        let target = format!("{POLLING}&sid={}", response.text().get(9..29).unwrap());
        let response = http.request("POST", &target, &[PAGE], "4hi").await;
        assert_eq!(response.text(), "ok");
        check(&response, origin, credentials);
        let response = http.request("GET", &target, &[PAGE], "").await;
        assert_eq!(response.text(), "4hi");
        check(&response, origin, credentials);

        let unknown = format!("{POLLING}&sid=abcdefghijklmnopqrst");
        let response = http.request("GET", &unknown, &[PAGE], "").await;
        assert_eq!(response.status, 400);
        check(&response, origin, credentials);
        let response = http.request("PUT", &target, &[PAGE], "").await;
        assert_eq!(response.status, 500);
        check(&response, origin, credentials);
        let too_large = vec![b'4'; 1_000_001];
        let response = http.request("POST", &target, &[PAGE], too_large).await;
        assert_eq!(response.status, 413);
        check(&response, origin, credentials);
    }
}

#[tokio::test]
async fn requests_of_the_own_host_get_no_cors_headers() {
    let listed = Origins::same_host().allow("https://good.example");
    let echo = Echo::start(config().origins(listed)).await;
    for headers in [&[][..], &[("Origin", "http://localhost")]] {
        let mut http = Http::connect(echo.addr()).await;
        let response = http.request("GET", POLLING, headers, "").await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("access-control-allow-origin"), None);
        assert_eq!(response.header("access-control-allow-credentials"), None);
    }
}

#[tokio::test]
async fn an_origin_that_is_not_listed_gets_no_preflight() {
    let listed = Origins::same_host().allow("https://good.example");
    let echo = Echo::start(config().origins(listed)).await;
    for origin in ["https://good.example.evil", "http://good.example", "null"] {
        let mut http = Http::connect(echo.addr()).await;
        let response = http
            .request("OPTIONS", POLLING, &[("Origin", origin)], "")
            .await;
        assert_eq!(response.status, 403, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), None);
        assert_eq!(response.header("access-control-allow-methods"), None);
    }
}
