//! Engine.IO 3 by hand: one session on polling, its bodies written and read here.

use super::Endpoint;
use super::http::{Http, Response};
use super::websocket::WebSocket;

/// A session of revision 3 with one connection for GETs and one for POSTs.
pub(crate) struct Polling3 {
    endpoint: Endpoint,
    path: String,
    query: String,
    pub(crate) sid: String,
    pub(crate) open: serde_json::Value,
    pub(crate) gets: Http,
    pub(crate) posts: Http,
}

impl Polling3 {
    /// Opens a session; `query` is appended to all its requests and begins with `&` if there is one.
    pub(crate) async fn handshake(endpoint: impl Into<Endpoint>, path: &str, query: &str) -> Self {
        let endpoint = endpoint.into();
        let mut gets = Http::connect(&endpoint).await;
        let target = format!("{path}?EIO=3&transport=polling{query}");
        let response = gets.get(&target).await;
        assert_eq!(response.status, 200, "{response:?}");
        let packets = packets(response.text());
        let [packet] = packets.as_slice() else {
            super::fail(&format!("one packet was expected, not {packets:?}"));
        };
        let open = packet.strip_prefix('0').expect("an open packet");
        let open: serde_json::Value = serde_json::from_str(open).expect("data in JSON");
        let sid = open["sid"].as_str().expect("a session id").to_owned();
        let posts = Http::connect(&endpoint).await;
        Self {
            endpoint,
            path: path.to_owned(),
            query: query.to_owned(),
            sid,
            open,
            gets,
            posts,
        }
    }

    pub(crate) fn target(&self) -> String {
        self.target_for("polling")
    }

    pub(crate) fn target_for(&self, transport: &str) -> String {
        let Self {
            path, sid, query, ..
        } = self;
        format!("{path}?EIO=3&transport={transport}{query}&sid={sid}")
    }

    /// Waits for packets.
    pub(crate) async fn get(&mut self) -> Response {
        let target = self.target();
        self.gets.get(&target).await
    }

    /// Sends a GET; its answer is read by [`finish_get`](Self::finish_get).
    pub(crate) async fn start_get(&mut self) {
        let target = self.target();
        self.gets.start("GET", &target, &[], "").await;
    }

    pub(crate) async fn finish_get(&mut self) -> Response {
        self.gets.response().await
    }

    /// The packets that come next, all of them text.
    pub(crate) async fn packets(&mut self) -> Vec<String> {
        packets(self.get().await.text())
    }

    /// Sends packets in a text body.
    pub(crate) async fn send(&mut self, packets: &[&str]) -> Response {
        self.post(body(packets)).await
    }

    /// Sends a text body as it is.
    pub(crate) async fn post(&mut self, body: impl AsRef<[u8]>) -> Response {
        let target = self.target();
        self.posts.post(&target, body).await
    }

    /// Sends a binary body as it is.
    pub(crate) async fn post_binary(&mut self, body: &[u8]) -> Response {
        let target = self.target();
        let kind = [("Content-Type", "application/octet-stream")];
        self.posts.request("POST", &target, &kind, body).await
    }

    /// A WebSocket for this session whose probe was answered.
    pub(crate) async fn probe(&self) -> WebSocket {
        let target = self.target_for("websocket");
        let websocket = WebSocket::connect(&self.endpoint, &target, &[]).await;
        let mut websocket = websocket.expect("the upgrade is allowed");
        websocket.send_text("2probe").await;
        assert_eq!(websocket.text().await, "3probe");
        websocket
    }
}

/// A text body with these packets.
pub(crate) fn body(packets: &[&str]) -> String {
    let counted = |packet: &&str| format!("{}:{packet}", packet.encode_utf16().count());
    packets.iter().map(counted).collect()
}

/// The packets of a text body, split by lengths in UTF-16 code units.
pub(crate) fn packets(body: &str) -> Vec<String> {
    let units: Vec<u16> = body.encode_utf16().collect();
    let mut rest = units.as_slice();
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let colon = rest.iter().position(|unit| *unit == u16::from(b':'));
        let (length, behind) = rest.split_at(colon.expect("a length"));
        let length: usize = String::from_utf16_lossy(length).parse().expect("a length");
        let (packet, behind) = behind[1..].split_at(length);
        packets.push(String::from_utf16(packet).expect("whole characters"));
        rest = behind;
    }
    packets
}
