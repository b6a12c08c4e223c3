//! What a client says on the way to its server, seen by what stands between: requests of each transport,
//! how much is posted at a time, and how long what is compressed is.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ferriwire::{Config, Cookie, Deflate, Event, Limits, Namespace, Server, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{until, within};
use crate::{WAYS, Way, notes, serve};

const ECHO: Event<String, String> = Event::new("echo");

/// Passes on, and keeps what it passes on.
struct Between {
    address: SocketAddr,
    /// Of each connection: what the client said, and what the server did.
    said: Arc<Mutex<Vec<[Vec<u8>; 2]>>>,
}

/// One request of HTTP.
struct Request {
    head: String,
    body_len: usize,
}

impl Between {
    async fn stand_before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("it works");
        let address = listener.local_addr().expect("it works");
        let said = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.expect("it works");
                let number = {
                    let mut connections = connections.lock().expect("it works");
                    connections.push([Vec::new(), Vec::new()]);
                    connections.len() - 1
                };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                for (side, from, to) in [(0, from_client, to_server), (1, from_server, to_client)] {
                    let connections = Arc::clone(&connections);
                    let keep = move |bytes: &[u8]| {
                        connections.lock().expect("it works")[number][side]
                            .extend_from_slice(bytes);
                    };
                    tokio::spawn(pass(from, to, keep));
                }
            }
        });
        Self { address, said }
    }

    fn requests(&self) -> Vec<Request> {
        let said = self.said.lock().expect("it works");
        let mut requests = Vec::new();
        for [client, _] in said.iter() {
            let mut rest = client.as_slice();
            while let Some(end) = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = String::from_utf8(rest[..end].to_vec())
                    .expect("it works")
                    .to_lowercase();
                let len = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let body_len = len.map_or(0, |len| len.parse().expect("it works"));
                rest = rest.get(end + 4 + body_len..).unwrap_or_default();
                let is_last = head.contains("upgrade: websocket");
                requests.push(Request { head, body_len });
                if is_last {
                    break;
                }
            }
        }
        requests
    }

    /// How many bytes the client said, and the server did.
    fn lens(&self) -> [usize; 2] {
        let said = self.said.lock().expect("it works");
        [0, 1].map(|side| said.iter().map(|one| one[side].len()).sum())
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, keep: impl Fn(&[u8])) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(len) = from.read(&mut piece).await {
        keep(&piece[..len]);
        if len == 0 || to.write_all(&piece[..len]).await.is_err() {
            break;
        }
    }
}

/// The client on that way through what stands between.
fn through(way: Way, between: &Between) -> ferriwire::client::ClientBuilder {
    let address = between.address;
    way.of(ferriwire::Client::builder(format!("http://{address}")).no_proxy())
}

#[tokio::test]
async fn every_request_of_every_transport_carries_what_was_said() {
    let config = Config::new().cookie(Cookie::new("io").value("node-7"));
    let namespace = Namespace::new("/").on(ECHO, async |_, text| text);
    let server = serve(Server::new().config(config).namespace(namespace)).await;
    for way in WAYS {
        let between = Between::stand_before(server.local_addr()).await;
        let client = through(way, &between)
            .query("token", "a&b")
            .header("X-Own", "mine")
            .connect();
        let client = within("connecting", client).await.unwrap();
        let last = match way {
            Way::Polling => Transport::Polling,
            Way::WebSocket | Way::Upgrade => Transport::WebSocket,
        };
        until("the transport", || client.transport() == Some(last)).await;
        let answer = client.emit_with_ack(ECHO, "x".to_owned());
        assert_eq!(within("an answer", answer).await.unwrap(), "x");
        client.close().await;
        let requests = between.requests();
        let count = |what: &str| {
            let such = requests
                .iter()
                .filter(|request| request.head.contains(what));
            such.count()
        };
        let all = requests.len();
        assert_eq!(count("&token=a%26b"), all, "{way:?}");
        assert_eq!(count("\r\nx-own: mine"), all, "{way:?}");
        let websockets = usize::from(way != Way::Polling);
        assert_eq!(count("upgrade: websocket"), websockets, "{way:?}");
        // It is set by the first answer to a poll, and belongs to all that follow, the WebSocket's included.
        let first = usize::from(way != Way::WebSocket);
        let with_cookie = if way == Way::WebSocket {
            0
        } else {
            all - first
        };
        assert_eq!(count("\r\ncookie: io=node-7"), with_cookie, "{way:?}");
        assert!(way == Way::WebSocket || count("post /") > 0, "{way:?}");
    }
}

#[tokio::test]
async fn posts_are_as_long_as_the_server_allows_and_no_longer() {
    const MAX: usize = 1_000;
    const COUNT: usize = 40;
    let (numbers, mut seen) = notes();
    let namespace =
        Namespace::new("/").on("number", async move |_, (number, _): (usize, String)| {
            numbers.send(number).expect("the test lives");
        });
    let limits = Limits::new().max_payload(MAX);
    let config = Config::new().limits(limits);
    let server = serve(Server::new().config(config).namespace(namespace)).await;
    let between = Between::stand_before(server.local_addr()).await;
    let client = through(Way::Polling, &between).connect();
    let client = within("connecting", client).await.unwrap();
    for number in 0..COUNT {
        // In characters of three bytes, which count.
        let text = "\u{20ac}".repeat(30);
        client.emit("number", (number, text)).unwrap();
    }
    for number in 0..COUNT {
        assert_eq!(seen.next("a number").await, number);
    }
    client.close().await;
    let requests = between.requests();
    let posts: Vec<usize> = requests
        .iter()
        .filter(|request| request.head.starts_with("post"))
        .map(|request| request.body_len)
        .collect();
    assert!(posts.iter().all(|len| *len <= MAX), "{posts:?}");
    // Each event has some 120 bytes, so that eight go together.
    assert!(posts.iter().any(|len| *len > MAX - 150), "{posts:?}");
    assert!(posts.len() < COUNT / 2, "{posts:?}");
}

#[tokio::test]
async fn a_websocket_is_compressed_in_both_directions() {
    const LEN: usize = 100_000;
    let namespace = || Namespace::new("/").on(ECHO, async |_, text| text);
    for compresses in [true, false] {
        let config = match compresses {
            true => Config::new().websocket_compression(Deflate::new()),
            false => Config::new(),
        };
        let server = serve(Server::new().config(config).namespace(namespace())).await;
        let between = Between::stand_before(server.local_addr()).await;
        let client = through(Way::WebSocket, &between).websocket_compression(Deflate::new());
        let client = within("connecting", client.connect()).await.unwrap();
        let text = "compressible ".repeat(LEN / 13);
        let answer = client.emit_with_ack(ECHO, text.clone());
        assert!(within("an answer", answer).await.unwrap() == text);
        client.close().await;
        for len in between.lens() {
            assert_eq!(len < LEN / 20, compresses, "{len} bytes");
        }
    }
}
