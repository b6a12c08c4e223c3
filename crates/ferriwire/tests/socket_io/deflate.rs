//! Broadcasts to clients with and without permessage-deflate (30, 31; A59).

use ferriwire::{Bytes, Config, Deflate, Namespace, RunningServer};

use crate::serve_with;
use crate::support::websocket::{Frame, WebSocket};

const TARGET: &str = "/socket.io/?EIO=4&transport=websocket";
const OFFER: (&str, &str) = ("Sec-WebSocket-Extensions", "permessage-deflate");

async fn join(server: &RunningServer, headers: &[(&str, &str)]) -> WebSocket {
    let websocket = WebSocket::connect(server.local_addr(), TARGET, headers).await;
    let mut websocket = websocket.expect("the handshake is allowed");
    assert!(websocket.text().await.starts_with("0{"));
    websocket.send_text("40").await;
    assert!(websocket.text().await.starts_with("40{"));
    websocket
}

/// The next two messages, and how many bytes their frames took.
async fn next_two(websocket: &mut WebSocket) -> ([Frame; 2], usize) {
    let before = websocket.decoded_bytes;
    let frames = [websocket.next().await, websocket.next().await];
    (frames, websocket.decoded_bytes - before)
}

#[tokio::test]
async fn each_client_gets_a_broadcast_in_the_form_that_it_takes() {
    let config = Config::new().websocket_compression(Deflate::new());
    let server = serve_with(config, Namespace::new("/")).await;
    let everybody = server.handle("/");
    let mut clients = Vec::new();
    for deflates in [true, false, true] {
        let headers = if deflates { &[OFFER][..] } else { &[] };
        clients.push((join(&server, headers).await, deflates));
    }
    let text = "news ".repeat(2000);
    let data = Bytes::from(vec![7; 10_000]);
    for compress in [true, false] {
        let broadcast = everybody.all().compress(compress);
        broadcast
            .emit("news", (text.as_str(), data.clone()))
            .unwrap();
        let mut forms = Vec::new();
        for (client, deflates) in &mut clients {
            let (frames, bytes) = next_two(client).await;
            let placeholder = "{\"_placeholder\":true,\"num\":0}";
            let expected = format!("451-[\"news\",\"{text}\",{placeholder}]");
            assert!(frames[0] == Frame::Text(expected));
            assert!(frames[1] == Frame::Binary(data.to_vec()));
            assert_eq!(bytes < 300, *deflates && compress, "{bytes} bytes");
            forms.push(bytes);
        }
        assert_eq!(forms[0], forms[2]);
    }
    // Below the threshold nothing is compressed for anybody.
    everybody.emit("short", "x".repeat(900)).unwrap();
    for (client, _) in &mut clients {
        let before = client.decoded_bytes;
        let length = client.text().await.len();
        assert_eq!(client.decoded_bytes - before, 4 + length);
    }
}
