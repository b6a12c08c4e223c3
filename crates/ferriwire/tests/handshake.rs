//! Handshakes: what opens a session, and what is refused (protocol 1.1.3, 1.1.4).

mod support;

use ferriwire::engine::Server;
use support::polling::Polling;
use support::websocket::{Frame, WebSocket};

#[tokio::test]
async fn a_session_opens_upgrades_and_echoes() {
    let server = Server::new().on_message(async |session, message| drop(session.send(message)));
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let mut polling = Polling::handshake(server.local_addr(), "/engine.io/").await;
    assert_eq!(polling.post("4hello").await.text(), "ok");
    assert_eq!(polling.get().await.packets(), ["4hello"]);
    let mut websocket = polling.upgrade().await;
    websocket.send_text("4again").await;
    assert_eq!(websocket.text().await, "4again");

    let target = "/engine.io/?EIO=4&transport=websocket";
    let mut other = WebSocket::connect(server.local_addr(), target, &[])
        .await
        .ok()
        .unwrap();
    assert!(other.text().await.starts_with("0{"));
    other.send_binary(&[1, 2]).await;
    assert_eq!(other.next().await, Frame::Binary(vec![1, 2]));
}
