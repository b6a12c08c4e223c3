//! Which revision a request may speak (protocol 1.1.4 rows 5 and 9, 1.5 case 1; CVE-2026-102599).

use crate::support::http::Http;
use crate::support::polling::Polling;
use crate::support::revision3::Polling3;
use crate::support::websocket::{Frame, WebSocket};
use crate::{Echo, PATH, config};

const BAD_REQUEST: &str = r#"{"code":3,"message":"Bad request"}"#;
const UNSUPPORTED: &str = r#"{"code":5,"message":"Unsupported protocol version"}"#;

/// As they stand in a query, and whether that is revision 4.
const REVISIONS: [(&str, bool); 7] = [
    ("EIO=4&", true),
    ("EIO=3&", false),
    ("", false),
    ("EIO=&", false),
    ("EIO=04&", false),
    ("EIO=4%20&", false),
    ("EIO=5&", false),
];

#[tokio::test]
async fn revision_3_is_off_by_default() {
    let echo = Echo::start(config()).await;
    let mut http = Http::connect(echo.addr()).await;
    for (revision, is_4) in REVISIONS {
        let response = http
            .get(&format!("{PATH}?{revision}transport=polling"))
            .await;
        if is_4 {
            assert_eq!(response.status, 200);
        } else {
            assert_eq!(
                (response.status, response.text()),
                (400, UNSUPPORTED),
                "{revision:?}"
            );
        }
        let target = format!("{PATH}?{revision}transport=websocket");
        let connected = WebSocket::connect(echo.addr(), &target, &[]).await;
        match connected {
            Ok(_) => assert!(is_4),
            Err(refused) => {
                let expected = (400, "Unsupported protocol version");
                assert_eq!((refused.status, refused.text()), expected, "{revision:?}");
            }
        }
    }
}

/// T-ADV-17: every pair of revisions of a session and of a request for it.
#[tokio::test]
async fn requests_speak_the_revision_of_their_session() {
    let echo = Echo::start(config().allow_eio3(true)).await;
    for session_is_4 in [true, false] {
        let sid = if session_is_4 {
            Polling::handshake(echo.addr(), PATH).await.sid
        } else {
            Polling3::handshake(echo.addr(), PATH, "").await.sid
        };
        let mut http = Http::connect(echo.addr()).await;
        for (revision, is_4) in REVISIONS {
            let what = format!("{revision:?} for a session of revision 4: {session_is_4}");
            let target = format!("{PATH}?{revision}transport=polling&sid={sid}");
            let upgrade = format!("{PATH}?{revision}transport=websocket&sid={sid}");
            if is_4 == session_is_4 {
                let packet = if is_4 { "4x" } else { "2:4x" };
                assert_eq!(http.post(&target, packet).await.text(), "ok", "{what}");
                assert_eq!(http.get(&target).await.text(), packet, "{what}");
                let mut probe = WebSocket::connect(echo.addr(), &upgrade, &[])
                    .await
                    .unwrap();
                probe.send_text("2probe").await;
                assert_eq!(probe.text().await, "3probe", "{what}");
                // Polling goes on.
                probe.send_text("4x").await;
                assert_eq!(probe.next().await, Frame::Close(None));
            } else {
                for response in [http.get(&target).await, http.post(&target, "2").await] {
                    assert_eq!(
                        (response.status, response.text()),
                        (400, BAD_REQUEST),
                        "{what}"
                    );
                }
                let refused = WebSocket::connect(echo.addr(), &upgrade, &[]).await;
                let refused = refused.unwrap_err();
                assert_eq!(
                    (refused.status, refused.text()),
                    (400, "Bad request"),
                    "{what}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_binary_body_is_for_revision_3_alone() {
    let mut echo = Echo::start(config().allow_eio3(true)).await;
    let polling = Polling::handshake(echo.addr(), PATH).await;
    let mut http = Http::connect(echo.addr()).await;
    let kind = [("Content-Type", "application/octet-stream")];
    let response = http.request("POST", &polling.target(), &kind, "4x").await;
    assert_eq!((response.status, response.text()), (400, ""));
    echo.closed().await;
    let mut session = Polling3::handshake(echo.addr(), PATH, "").await;
    let response = session.post_binary(b"\x00\x02\xff4x").await;
    assert_eq!((response.status, response.text()), (200, "ok"));
    assert_eq!(session.packets().await, ["4x"]);
}

#[tokio::test]
async fn both_revisions_share_a_server() {
    let mut echo = Echo::start(config().allow_eio3(true)).await;
    let mut new = echo.polling().await;
    let mut old = Polling3::handshake(echo.addr(), PATH, "").await;
    let (first, second) = (echo.session().await, echo.session().await);
    assert_ne!(first.request().revision(), second.request().revision());
    assert_eq!(new.post("4new").await.text(), "ok");
    assert_eq!(old.send(&["4old"]).await.text(), "ok");
    assert_eq!(new.get().await.text(), "4new");
    assert_eq!(old.get().await.text(), "4:4old");
}
