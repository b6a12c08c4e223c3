//! Coming, being refused, several at once, and being taken out.

use serde_json::{Value, json};

use crate::cell::{Cell, Transport};
use crate::make::Make;
use crate::under_test::{Client, is_other};

pub(crate) async fn it_connects_and_knows_its_id(cell: &Cell) {
    let mut client = Client::open(cell, json!({})).await;
    let line = client.next("connect").await;
    assert_eq!(
        (&line["ns"], &line["recovered"]),
        (&json!("/"), &json!(false))
    );
    // Where it upgrades, CONNECT may be answered before or after.
    let transport = line["transport"].as_str().unwrap();
    assert!(cell.transport.names().contains(&transport), "{transport}");
    if cell.transport.upgrades() {
        let line = client.next("upgrade").await;
        assert_eq!(line["transport"], "websocket");
    }
    let id = client.ask("/", "id", json!([])).await;
    assert_eq!(id, json!([line_id(&line)]));
    let status = client.status().await;
    assert_eq!(status["transport"], *cell.transport.names().last().unwrap());
    assert_eq!(status["sessions"], 1);
    let connected = json!({"connected": true, "id": line_id(&line)});
    assert_eq!(status["namespaces"]["/"], connected);

    client
        .command(json!({"cmd": "disconnect", "ns": "/"}))
        .await;
    let line = client.next("disconnect").await;
    assert_eq!(line["reason"], "io client disconnect");
    client.status_is(|status| status["sessions"] == 0).await;
}

fn line_id(line: &Value) -> &str {
    line["id"].as_str().expect("an id")
}

pub(crate) async fn a_refusal_says_why_and_is_final(cell: &Cell) {
    let options = json!({"namespaces": ["/guarded"], "auth": {"token": "bad"}});
    let mut client = Client::open(cell, options).await;
    let line = client.next("connect_error").await;
    assert_eq!(line["ns"], "/guarded");
    assert_eq!(line["data"], json!({"code": 401, "hint": ["ask", "again"]}));
    assert_eq!(line["active"], false);
    // The oldest sends its data alone.
    if cell.make != Make::Node2 {
        assert_eq!(line["message"], "not welcome");
    }
    // Nobody is left who would need a session.
    let status = client.status_is(|status| status["sessions"] == 0).await;
    assert_eq!(status["namespaces"]["/guarded"]["connected"], false);
    assert!(client.left_over("reconnect_attempt").is_empty());
}

pub(crate) async fn several_namespaces_share_one_connection(cell: &Cell) {
    let options = json!({"namespaces": ["/", "/second", "/third"]});
    let mut client = Client::connected(cell, options).await;
    for name in ["/second", "/third"] {
        assert_eq!(client.ask(name, "where", json!([])).await, json!([name]));
    }
    // A GET waits while a POST is made, so there are two. The official client keeps none.
    let most = match cell.transport {
        Transport::WebSocket => 1,
        Transport::Polling => 2,
        Transport::Upgrade => 3,
    };
    let accepted = client.relay.accepted();
    assert!(accepted <= most || is_other(), "{accepted} TCP connections");
    assert_eq!(client.status().await["sessions"], 1);

    let leave = json!({"cmd": "disconnect", "ns": "/second"});
    client.command(leave).await;
    let line = client.next("disconnect").await;
    assert_eq!(line["ns"], "/second");
    assert_eq!(line["reason"], "io client disconnect");
    assert_eq!(
        client.ask("/third", "where", json!([])).await,
        json!(["/third"])
    );
    client
        .command(json!({"cmd": "connect", "ns": "/second"}))
        .await;
    client.next("connect").await;
    assert_eq!(
        client.ask("/second", "where", json!([])).await,
        json!(["/second"])
    );
    let accepted = client.relay.accepted();
    assert!(accepted <= most || is_other(), "{accepted} TCP connections");
}

pub(crate) async fn who_is_taken_out_stays_away_until_asked(cell: &Cell) {
    let mut client = Client::connected(cell, json!({})).await;
    client.emit("leave", json!([])).await;
    let line = client.next("disconnect").await;
    assert_eq!(line["reason"], "io server disconnect");
    client.status_is(|status| status["sessions"] == 0).await;
    let connections = client.relay.accepted();
    client.command(json!({"cmd": "connect", "ns": "/"})).await;
    client.next("connect").await;
    assert!(client.left_over("reconnect_attempt").is_empty());
    assert!(client.relay.accepted() > connections);
    assert_eq!(
        client.ask("/", "echo", json!(["back"])).await,
        json!(["back"])
    );
}
