//! CORS: the list of origins decides who may read answers (protocol 1.5 case 15;
//! attacks A48, T-ADV-03).

use std::path::Path;
use std::time::Duration;

use ferriwire::engine::Origins;
use ferriwire::{Cors, Server};
use http::{HeaderName, Method};

use crate::support::http::{Http, Response};
use crate::{Echo, POLLING, config};

const PAGE: (&str, &str) = ("Origin", "https://good.example");

fn check(response: &Response, origin: &str, credentials: Option<&str>) {
    assert_eq!(response.header("access-control-allow-origin"), Some(origin));
    assert_eq!(
        response.header("access-control-allow-credentials"),
        credentials
    );
    let varies = response.has("vary", "Origin");
    assert_eq!(varies, origin != "*");
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

/// Where a page may come from, and whether `Origins::same_host().allow("https://good.example")` lists it.
const ORIGINS: [(&str, bool); 12] = [
    ("https://good.example", true),
    ("https://good.example.evil", false),
    ("https://good.example:8443", false),
    ("http://good.example", false),
    ("https://sub.good.example", false),
    ("https://GOOD.example", false),
    ("https://evil.example", false),
    ("https://evil.example/https://good.example", false),
    ("https://good.example,https://evil.example", false),
    ("null", false),
    ("*", false),
    ("file://", false),
];

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"];

/// The headers by which an answer is opened to other origins.
const OPENING: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

#[tokio::test]
async fn every_method_from_every_origin_is_opened_to_listed_origins_alone() {
    let folder = std::env::temp_dir().join(format!("ferriwire-cors-{}", std::process::id()));
    write_bundle(&folder);
    let listed = || Origins::same_host().allow("https://good.example");
    let cors = || {
        Cors::new()
            .exposed_headers([HeaderName::from_static("x-shown")])
            .max_age(Duration::from_secs(60))
    };
    for (name, origins) in [
        ("default", Origins::same_host()),
        ("list", listed()),
        ("any", Origins::any()),
    ] {
        let config = config()
            .path("/socket.io/")
            .origins(origins)
            .cors(cors())
            .client_bundle(&folder);
        let server = Server::new().config(config).bind("127.0.0.1:0").await;
        let server = server.expect("a free port");
        for (origin, is_listed) in ORIGINS {
            for method in METHODS {
                for target in [
                    "/socket.io/?EIO=4&transport=polling",
                    "/socket.io/?EIO=4&transport=polling&sid=abcdefghijklmnopqrst",
                    "/socket.io/socket.io.js",
                ] {
                    let what = format!("{name}: {method} {target} from {origin}");
                    let mut http = Http::connect(server.local_addr()).await;
                    let preflight = ("Access-Control-Request-Headers", "x-token");
                    let headers = [("Origin", origin), preflight, ("Connection", "close")];
                    http.start(method, target, &headers, "").await;
                    let response = http.response_to(method).await;
                    let expected = match name {
                        "list" if is_listed => Some(origin),
                        "any" => Some("*"),
                        _ => None,
                    };
                    let opened = response.header("access-control-allow-origin");
                    assert_eq!(opened, expected, "{what}");
                    let credentials = response.header("access-control-allow-credentials");
                    let expected_credentials = (name == "list" && is_listed).then_some("true");
                    assert_eq!(credentials, expected_credentials, "{what}");
                    assert_eq!(response.has("vary", "Origin"), name == "list", "{what}");
                    if expected.is_none() {
                        for header in OPENING {
                            assert_eq!(response.header(header), None, "{what}");
                        }
                    } else {
                        let shown = response.header("access-control-expose-headers");
                        assert_eq!(shown, Some("x-shown"), "{what}");
                        assert_eq!(response.status == 204, method == "OPTIONS", "{what}");
                    }
                    let nosniff = response.header("x-content-type-options");
                    assert_eq!(nosniff, Some("nosniff"), "{what}");
                }
            }
        }
    }
    drop(std::fs::remove_dir_all(&folder));
}

fn write_bundle(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a temporary folder");
    std::fs::write(folder.join("socket.io.js"), "io").expect("a temporary file");
}

#[tokio::test]
async fn a_preflight_says_what_is_configured() {
    let cors = Cors::new()
        .methods([Method::GET])
        .allowed_headers([
            HeaderName::from_static("x-token"),
            http::header::CONTENT_TYPE,
        ])
        .max_age(Duration::from_millis(600_900))
        .credentials(false);
    let origins = Origins::same_host().allow("https://good.example");
    let echo = Echo::start(config().origins(origins).cors(cors)).await;
    let asked = [PAGE, ("Access-Control-Request-Headers", "x-other")];
    let mut http = Http::connect(echo.addr()).await;
    let response = http.request("OPTIONS", POLLING, &asked, "").await;
    assert_eq!(response.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", Some("https://good.example")),
        ("access-control-allow-methods", Some("GET")),
        ("access-control-allow-headers", Some("x-token,content-type")),
        ("access-control-max-age", Some("600")),
        ("access-control-allow-credentials", None),
    ] {
        assert_eq!(response.header(name), value, "{name}");
    }
    assert!(!response.has("vary", "Access-Control-Request-Headers"));
}

#[tokio::test]
async fn reflected_headers_are_part_of_what_the_answer_varies_by() {
    let echo = Echo::start(config().origins(Origins::any())).await;
    let mut http = Http::connect(echo.addr()).await;
    let asked = [PAGE, ("Access-Control-Request-Headers", "x-a, x-b")];
    let response = http.request("OPTIONS", POLLING, &asked, "").await;
    let allowed = response.header("access-control-allow-headers");
    assert_eq!(allowed, Some("x-a, x-b"));
    assert!(response.has("vary", "Access-Control-Request-Headers"));
}
