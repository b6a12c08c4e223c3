//! One HTTP/1.1 connection, by hand.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Endpoint, Stream, within};

/// A keep-alive connection that sends what it is told and reads one answer at a time.
pub(crate) struct Http {
    stream: Box<dyn Stream>,
    /// Read, and not part of an answer that was taken.
    received: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case, in the order of their arrival.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    pub(crate) async fn connect(endpoint: impl Into<Endpoint>) -> Self {
        Self {
            stream: endpoint.into().open().await,
            received: Vec::new(),
        }
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Response {
        self.start(method, target, headers, body).await;
        self.response().await
    }

    pub(crate) async fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, &[], "").await
    }

    pub(crate) async fn post(&mut self, target: &str, body: impl AsRef<[u8]>) -> Response {
        let content_type = ("Content-Type", "text/plain;charset=UTF-8");
        self.request("POST", target, &[content_type], body).await
    }

    /// Sends a request without reading its answer.
    pub(crate) async fn start(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) {
        let body = body.as_ref();
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        if !body.is_empty() || !matches!(method, "GET" | "HEAD" | "OPTIONS" | "DELETE") {
            headers.push(("Content-Length", &length));
        }
        let mut request = head(method, target, &headers);
        request.extend_from_slice(body);
        self.send(&request).await;
    }

    /// Sends a request in chunked encoding, one write per chunk, without reading its answer.
    pub(crate) async fn start_chunked(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        chunks: &[&[u8]],
    ) {
        let mut headers = headers.to_vec();
        headers.push(("Transfer-Encoding", "chunked"));
        self.send(&head(method, target, &headers)).await;
        for chunk in chunks {
            let mut bytes = format!("{:x}\r\n", chunk.len()).into_bytes();
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
            self.send(&bytes).await;
        }
        self.send(b"0\r\n\r\n").await;
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.expect("the server takes it");
    }

    /// Sends bytes to a server that may have closed.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        within("sending", async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
    }

    /// Reads the next answer, which has no body when it answers a HEAD.
    pub(crate) async fn response_to(&mut self, method: &str) -> Response {
        if method == "HEAD" {
            self.response_head().await
        } else {
            self.response().await
        }
    }

    /// Reads the next answer.
    pub(crate) async fn response(&mut self) -> Response {
        let mut response = self.response_head().await;
        let length = response.header("content-length").map(str::to_owned);
        response.body = match (response.status, length) {
            (101 | 204 | 304, _) => Vec::new(),
            (_, Some(length)) => self.take(length.parse().expect("a length")).await,
            (_, None) if response.header("transfer-encoding").is_some() => self.chunks().await,
            (_, None) => self.rest().await,
        };
        response
    }

    async fn response_head(&mut self) -> Response {
        let head_end = loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                break end;
            }
            assert!(
                self.receive().await > 0,
                "the connection ended within a head: {:?}",
                String::from_utf8_lossy(&self.received)
            );
        };
        let (status, headers) = parse_head(&self.received[..head_end]);
        self.received.drain(..head_end + 4);
        Response {
            status,
            headers,
            body: Vec::new(),
        }
    }

    /// Everything until the server ends the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.receive().await > 0 {}
        std::mem::take(&mut self.received)
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn finish(&mut self) {
        within("ending", self.stream.shutdown())
            .await
            .expect("it was open");
    }

    /// Ends the connection with a RST.
    pub(crate) fn reset(self) {
        self.stream.reset();
    }

    /// The connection, and what was read beyond the last answer.
    pub(crate) fn into_parts(self) -> (Box<dyn Stream>, Vec<u8>) {
        (self.stream, self.received)
    }

    async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            assert!(
                self.receive().await > 0,
                "the connection ended within a body"
            );
        }
        self.received.drain(..length).collect()
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line_end = loop {
                if let Some(end) = find(&self.received, b"\r\n") {
                    break end;
                }
                assert!(
                    self.receive().await > 0,
                    "the connection ended within a chunk"
                );
            };
            let line = self.take(line_end + 2).await;
            let length = std::str::from_utf8(&line[..line_end]).expect("a chunk's length");
            let length = usize::from_str_radix(length, 16).expect("a chunk's length");
            let chunk = self.take(length + 2).await;
            body.extend_from_slice(&chunk[..length]);
            if length == 0 {
                return body;
            }
        }
    }

    /// Reads some bytes; 0 when the connection has ended, in whatever way.
    async fn receive(&mut self) -> usize {
        let read = self.stream.read_buf(&mut self.received);
        within("an answer", read).await.unwrap_or(0)
    }
}

impl Response {
    /// The value of a header, named in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether some header of that name lists a value, whatever its case.
    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        let mut headers = self.headers.iter().filter(|(header, _)| header == name);
        headers.any(|(_, list)| {
            let mut values = list.split(',');
            values.any(|listed| listed.trim().eq_ignore_ascii_case(value))
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The packets of a polling payload.
    pub(crate) fn packets(&self) -> Vec<&str> {
        self.text().split('\x1e').collect()
    }
}

/// The head of a request. A `Host` is added unless it is given.
pub(crate) fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        head.push_str("Host: localhost\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn parse_head(head: &[u8]) -> (u16, Vec<(String, String)>) {
    let head = std::str::from_utf8(head).expect("a head in ASCII");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok());
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("a header");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    (status.expect("a status"), headers.collect())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
