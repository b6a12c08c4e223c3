//! One long-polling session, by hand.

use super::Endpoint;
use super::http::{Http, Response};
use super::websocket::WebSocket;

/// A session with one connection for GETs and one for POSTs.
pub(crate) struct Polling {
    endpoint: Endpoint,
    path: String,
    pub(crate) sid: String,
    /// The data of the open packet.
    pub(crate) open: serde_json::Value,
    pub(crate) gets: Http,
    pub(crate) posts: Http,
}

impl Polling {
    /// Opens a session at a path such as `/engine.io/`.
    pub(crate) async fn handshake(endpoint: impl Into<Endpoint>, path: &str) -> Self {
        let endpoint = endpoint.into();
        let mut gets = Http::connect(&endpoint).await;
        let response = gets.get(&format!("{path}?EIO=4&transport=polling")).await;
        assert_eq!(response.status, 200, "{response:?}");
        let open = response.text().strip_prefix('0').expect("an open packet");
        let open: serde_json::Value = serde_json::from_str(open).expect("data in JSON");
        let sid = open["sid"].as_str().expect("a session id").to_owned();
        let posts = Http::connect(&endpoint).await;
        Self {
            endpoint,
            path: path.to_owned(),
            sid,
            open,
            gets,
            posts,
        }
    }

    /// Where this session's requests go.
    pub(crate) fn target(&self) -> String {
        self.target_for("polling")
    }

    pub(crate) fn target_for(&self, transport: &str) -> String {
        let Self { path, sid, .. } = self;
        format!("{path}?EIO=4&transport={transport}&sid={sid}")
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

    /// Sends a payload.
    pub(crate) async fn post(&mut self, payload: impl AsRef<[u8]>) -> Response {
        let target = self.target();
        self.posts.post(&target, payload).await
    }

    /// A WebSocket for this session, of which nothing was said yet.
    pub(crate) async fn candidate(&self) -> Result<WebSocket, Response> {
        WebSocket::connect(&self.endpoint, &self.target_for("websocket"), &[]).await
    }

    /// A WebSocket for this session whose probe was answered.
    pub(crate) async fn probe(&self) -> WebSocket {
        let mut websocket = self.candidate().await.expect("the upgrade is allowed");
        websocket.send_text("2probe").await;
        assert_eq!(websocket.text().await, "3probe");
        websocket
    }

    /// The session on a WebSocket. No GET may be waiting.
    pub(crate) async fn upgrade(&self) -> WebSocket {
        let mut websocket = self.probe().await;
        websocket.send_text("5").await;
        websocket
    }
}
