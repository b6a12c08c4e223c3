//! One HTTP/2 connection, by hand.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Request, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::http::Response;
use super::websocket::WebSocket;
use super::{Endpoint, within};

/// A connection on which many requests may be open.
pub(crate) struct Http2 {
    requests: SendRequest<Bytes>,
    /// Ends with the connection; `Err` when it was not in order.
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    /// A connection that has seen the server's settings.
    pub(crate) async fn connect(endpoint: impl Into<Endpoint>) -> Self {
        // What the protocol begins with.
        Self::connect_with(endpoint, 65_535, 65_535).await
    }

    /// The same with room for so many bytes that were not taken, on each stream and on all of them.
    pub(crate) async fn connect_with(
        endpoint: impl Into<Endpoint>,
        of_stream: u32,
        of_all: u32,
    ) -> Self {
        let stream = endpoint.into().open().await;
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(of_stream)
            .initial_connection_window_size(of_all);
        let handshake = within("the preface", builder.handshake(stream)).await;
        let (requests, mut connection) = handshake.expect("the server speaks HTTP/2");
        let mut ping = connection.ping_pong().expect("it was not taken before");
        let connection = tokio::spawn(connection);
        // The settings stand in front of the answer.
        let pong = within("a pong", ping.ping(h2::Ping::opaque())).await;
        pong.expect("the server answers");
        Self {
            requests,
            connection,
        }
    }

    /// Whether the server has announced that a stream may become a WebSocket.
    pub(crate) fn offers_websockets(&self) -> bool {
        self.requests.is_extended_connect_protocol_enabled()
    }

    /// Sends a request without waiting for its answer.
    pub(crate) async fn start(
        &self,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: &[u8],
    ) -> ResponseFuture {
        let request = request(method, target, headers, None);
        let (response, mut stream) = self.send(request, body.is_empty()).await;
        if !body.is_empty() {
            let body = Bytes::copy_from_slice(body);
            stream.send_data(body, true).expect("the stream is open");
        }
        response
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn request(&self, method: Method, target: &str, body: &[u8]) -> Response {
        let response = self.start(method, target, HeaderMap::new(), body).await;
        answer(response).await
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        self.request(Method::GET, target, b"").await
    }

    /// Opens a WebSocket on a stream of its own (RFC 8441), or gives the answer that refused it.
    pub(crate) async fn websocket(
        &self,
        target: &str,
        headers: HeaderMap,
    ) -> Result<WebSocket, Response> {
        let protocol = Some(Protocol::from_static("websocket"));
        let request = request(Method::CONNECT, target, headers, protocol);
        let (response, upload) = self.send(request, false).await;
        let response = within("an answer", response).await;
        let (head, download) = response.expect("the stream is open").into_parts();
        let mut response = Response {
            status: head.status.as_u16(),
            headers: texts(&head.headers),
            body: Vec::new(),
        };
        if response.status != 200 {
            response.body = within("a body", collect(download)).await;
            return Err(response);
        }
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(carry(theirs, upload, download));
        Ok(WebSocket::open(Box::new(ours), Vec::new(), response))
    }

    async fn send(&self, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let ready = within("room for a stream", self.requests.clone().ready()).await;
        let mut requests = ready.expect("the connection is open");
        requests.send_request(request, ends).expect("it is valid")
    }
}

/// Reads the answer of a request that was started.
pub(crate) async fn answer(response: ResponseFuture) -> Response {
    let response = within("an answer", response).await;
    let (head, body) = response.expect("the stream is open").into_parts();
    Response {
        status: head.status.as_u16(),
        headers: texts(&head.headers),
        body: within("a body", collect(body)).await,
    }
}

fn request(
    method: Method,
    target: &str,
    headers: HeaderMap,
    protocol: Option<Protocol>,
) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = format!("https://localhost{target}")
        .parse()
        .expect("a target");
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    if let Some(protocol) = protocol {
        request.extensions_mut().insert(protocol);
    }
    request
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| value.to_str().expect("a header in ASCII").to_owned();
    let all = headers.iter();
    all.map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

async fn collect(mut body: RecvStream) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.expect("the stream is open");
        let _ = body.flow_control().release_capacity(data.len());
        content.extend_from_slice(&data);
    }
    content
}

/// Carries bytes between a WebSocket and its stream, until both directions have ended.
async fn carry(socket: DuplexStream, mut upload: SendStream<Bytes>, mut download: RecvStream) {
    let (mut from, mut to) = tokio::io::split(socket);
    let up = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = from.read(&mut buffer).await.unwrap_or(0);
            let piece = Bytes::copy_from_slice(&buffer[..count]);
            upload.reserve_capacity(count);
            while upload.capacity() < count {
                let more = std::future::poll_fn(|cx| upload.poll_capacity(cx)).await;
                if !matches!(more, Some(Ok(_))) {
                    return;
                }
            }
            if upload.send_data(piece, count == 0).is_err() || count == 0 {
                return;
            }
        }
    };
    let down = async {
        while let Some(Ok(data)) = download.data().await {
            let _ = download.flow_control().release_capacity(data.len());
            if to.write_all(&data).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(up, down);
}
