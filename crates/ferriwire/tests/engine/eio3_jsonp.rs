//! Polling by scripts and forms (protocol 1.1.5; security A49).

use ferriwire::engine::Message;

use crate::support::http::{Http, Response};
use crate::{Echo, PATH, config};

const BAD_REQUEST: &str = r#"{"code":3,"message":"Bad request"}"#;
const FORM: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];

async fn start() -> Echo {
    Echo::start(config().allow_eio3(true).jsonp(true)).await
}

/// The body that a script hands to the callback.
fn called(response: &Response, index: &str) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    let kind = response.header("content-type");
    assert_eq!(kind, Some("text/javascript; charset=UTF-8"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let argument = response.text().strip_prefix(&format!("___eio[{index}]("));
    let argument = argument
        .and_then(|rest| rest.strip_suffix(");"))
        .expect("one call");
    serde_json::from_str(argument).expect("a string")
}

/// Opens a session, and gives the target of its requests.
async fn session(http: &mut Http, index: &str) -> String {
    let target = format!("{PATH}?EIO=3&transport=polling&b64=1&j={index}");
    let open = called(&http.get(&target).await, index);
    let (_, open) = open.split_once(':').expect("a length");
    let open: serde_json::Value = serde_json::from_str(&open[1..]).expect("data");
    format!("{target}&sid={}", open["sid"].as_str().expect("an id"))
}

#[tokio::test]
async fn packets_travel_in_scripts_and_forms() {
    let mut echo = start().await;
    let mut http = Http::connect(echo.addr()).await;
    let target = session(&mut http, "12").await;
    let handle = echo.session().await;
    let form = "d=6%3A4a%2Bb+%C3%A92%3A4x";
    let response = http.request("POST", &target, &FORM, form).await;
    assert_eq!((response.status, response.text()), (200, "ok"));
    assert_eq!(echo.received().await, Message::from("a+b \u{e9}"));
    assert_eq!(echo.received().await, Message::from("x"));
    handle.send("\u{2028}\"</script>\u{2029}").unwrap();
    let response = http.get(&target).await;
    assert!(!response.text().contains(['\u{2028}', '\u{2029}']));
    assert!(called(&response, "12").ends_with("4\u{2028}\"</script>\u{2029}"));
}

#[tokio::test]
async fn newlines_survive_a_form() {
    let mut echo = start().await;
    let mut http = Http::connect(echo.addr()).await;
    let target = session(&mut http, "0").await;
    // A newline in the data, and a backslash with an `n`.
    let form = r"d=6%3A4a%5Cnb%5C%5Cn";
    assert_eq!(
        http.request("POST", &target, &FORM, form).await.text(),
        "ok"
    );
    assert_eq!(echo.received().await, Message::from("a\nb\\n"));
}

#[tokio::test]
async fn a_script_carries_binary_data_as_base64() {
    let mut echo = start().await;
    let mut http = Http::connect(echo.addr()).await;
    // Also when the client has not asked for it.
    let target = format!("{PATH}?EIO=3&transport=polling&j=0");
    let open = called(&http.get(&target).await, "0");
    let sid = open.split('"').nth(3).unwrap();
    let handle = echo.session().await;
    handle
        .send(Message::Binary(vec![1, 2, 3, 4].into()))
        .unwrap();
    let response = http.get(&format!("{target}&sid={sid}")).await;
    assert_eq!(called(&response, "0"), "10:b4AQIDBA==");
}

#[tokio::test]
async fn a_form_without_its_field_is_no_payload() {
    let mut echo = start().await;
    let mut http = Http::connect(echo.addr()).await;
    let target = session(&mut http, "0").await;
    assert_eq!(
        http.request("POST", &target, &FORM, "e=2:4x").await.text(),
        "ok"
    );
    assert_eq!(
        echo.closed().await,
        ferriwire::engine::CloseReason::ParseError
    );
}

/// A49: off unless both switches are on, for revision 3 alone, digits alone.
#[tokio::test]
async fn scripts_are_refused_unless_they_are_allowed() {
    let on = |eio3, jsonp| config().allow_eio3(eio3).jsonp(jsonp);
    for (config, revision, index) in [
        (on(false, false), 4, "0"),
        (on(false, false), 3, "0"),
        (on(true, false), 3, "0"),
        (on(true, true), 4, "0"),
        (on(true, true), 3, ""),
        (on(true, true), 3, "%3C/script%3E"),
        (on(true, true), 3, "0]%3Balert(1)"),
        (on(true, true), 3, "12345678901234567"),
    ] {
        let echo = Echo::start(config).await;
        let target = format!("{PATH}?EIO={revision}&transport=polling&j={index}");
        let response = Http::connect(echo.addr()).await.get(&target).await;
        assert_eq!(
            (response.status, response.text()),
            (400, BAD_REQUEST),
            "{target}"
        );
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(echo.server.stats().sessions_opened, 0);
    }
}

#[tokio::test]
async fn a_session_without_scripts_gives_none() {
    let echo = start().await;
    let mut http = Http::connect(echo.addr()).await;
    let target = format!("{PATH}?EIO=3&transport=polling");
    let response = http.get(&target).await;
    let sid = response.text().split('"').nth(3).unwrap().to_owned();
    let response = http.get(&format!("{target}&j=0&sid={sid}")).await;
    assert_eq!((response.status, response.text()), (400, BAD_REQUEST));
}
