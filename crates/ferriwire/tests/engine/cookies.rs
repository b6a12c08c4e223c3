//! The cookie of the handshake (protocol 1.5 case 10; attacks A50, A69).

use ferriwire::engine::Server;
use ferriwire::{Cookie, Error, SameSite};

use crate::support::http::Http;
use crate::support::websocket::WebSocket;
use crate::{Echo, POLLING, WEBSOCKET, config};

async fn cookie_of(cookie: Cookie) -> String {
    let echo = Echo::start(config().cookie(cookie)).await;
    let response = Http::connect(echo.addr()).await.get(POLLING).await;
    let header = response.header("set-cookie").expect("a cookie");
    header.to_owned()
}

#[tokio::test]
async fn no_cookie_is_set_by_default() {
    let echo = Echo::start(config()).await;
    let response = Http::connect(echo.addr()).await.get(POLLING).await;
    assert_eq!(response.header("set-cookie"), None);
}

#[tokio::test]
async fn each_variant_of_the_cookie_reaches_the_client() {
    let io = || Cookie::new("io").value("node-1");
    for (cookie, expected) in [
        (io(), "io=node-1; Path=/engine.io/; HttpOnly; SameSite=Lax"),
        (
            Cookie::new("woot").value("node-1"),
            "woot=node-1; Path=/engine.io/; HttpOnly; SameSite=Lax",
        ),
        (
            io().path("/custom"),
            "io=node-1; Path=/custom; HttpOnly; SameSite=Lax",
        ),
        (io().without_path(), "io=node-1; HttpOnly; SameSite=Lax"),
        (
            io().http_only(false),
            "io=node-1; Path=/engine.io/; SameSite=Lax",
        ),
        (
            io().same_site(SameSite::Strict),
            "io=node-1; Path=/engine.io/; HttpOnly; SameSite=Strict",
        ),
        (
            io().secure(true),
            "io=node-1; Path=/engine.io/; HttpOnly; Secure; SameSite=Lax",
        ),
    ] {
        assert_eq!(cookie_of(cookie).await, expected);
    }
}

#[tokio::test]
async fn the_value_names_the_server_and_not_the_session() {
    let echo = Echo::start(config().cookie(Cookie::new("io"))).await;
    let mut http = Http::connect(echo.addr()).await;
    let mut values = Vec::new();
    for _ in 0..2 {
        let response = http.get(POLLING).await;
        let header = response.header("set-cookie").expect("a cookie");
        let (value, _) = header.split_once(';').expect("attributes");
        let value = value.strip_prefix("io=").expect("the name").to_owned();
        assert!(value.len() >= 20, "{value}");
        assert!(!response.text().contains(&value));
        values.push(value);
    }
    assert_eq!(values[0], values[1]);
}

#[tokio::test]
async fn only_the_answer_to_a_polling_handshake_sets_it() {
    let echo = Echo::start(config().cookie(Cookie::new("io"))).await;
    let mut http = Http::connect(echo.addr()).await;
    let response = http.get(POLLING).await;
    let target = format!("{POLLING}&sid={}", response.text().get(9..29).unwrap());
    let post = http.post(&target, "4hi").await;
    assert_eq!((post.text(), post.header("set-cookie")), ("ok", None));
    let get = http.get(&target).await;
    assert_eq!((get.text(), get.header("set-cookie")), ("4hi", None));
    let refused = http.request("PUT", POLLING, &[], "").await;
    assert_eq!((refused.status, refused.header("set-cookie")), (400, None));
    let mut handshake = Http::connect(echo.addr()).await;
    let request = crate::support::websocket::handshake(WEBSOCKET, &[]);
    handshake.send(&request).await;
    let response = handshake.response().await;
    assert_eq!(response.status, 101);
    assert_eq!(response.header("set-cookie"), None);
    let websocket = WebSocket::connect(echo.addr(), WEBSOCKET, &[]).await;
    assert!(websocket.is_ok());
}

#[tokio::test]
async fn a_cookie_that_would_break_the_header_stops_the_server_from_starting() {
    for cookie in [
        Cookie::new("io").value("a\r\nX-Injected: 1"),
        Cookie::new("io").path("/; Domain=evil.example"),
        Cookie::new("i o"),
    ] {
        let server = Server::new().config(config().cookie(cookie));
        let error = server.bind("127.0.0.1:0").await.err();
        assert!(matches!(error, Some(Error::InvalidCookie(_))), "{error:?}");
    }
}
