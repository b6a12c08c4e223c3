//! A WebSocket's server by hand, and what a client must bear of it.

use std::sync::Arc;
use std::time::Duration;

use ferriwire::client::{ClientBuilder, ClientEvent, DisconnectReason};
use ferriwire::{AckError, Client, ConnectFailure, Event, Transport};
use ferriwire_proto::websocket::{Decoder, Item, Limits, Role, accept_key};
use serde::{Deserialize, Deserializer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::{fail, until, within};

const OPEN: &str =
    r#"0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}"#;

/// Where a server listens that takes little at a time.
pub(crate) fn listen() -> (TcpListener, ClientBuilder) {
    let socket = TcpSocket::new_v4().expect("there is a socket");
    socket
        .set_recv_buffer_size(8 * 1024)
        .expect("it may be small");
    let any = "127.0.0.1:0".parse().expect("an address");
    socket.bind(any).expect("a port is free");
    let listener = socket.listen(16).expect("it listens");
    let address = listener.local_addr().expect("it has an address");
    let client = Client::builder(format!("http://{address}"))
        .no_proxy()
        .transports([Transport::WebSocket])
        .reconnection_delay(Duration::from_millis(10), Duration::from_millis(50));
    (listener, client)
}

/// The next client, which has asked for a WebSocket, and the answer that opens it.
pub(crate) async fn asked(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = within("a client", listener.accept())
        .await
        .expect("it comes");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = within("a request", stream.read_buf(&mut head)).await;
        assert_ne!(read.expect("it can be read"), 0);
    }
    let head = String::from_utf8(head).expect("it is text");
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then_some(value)
    });
    let accept = accept_key(key.expect("a key")).expect("it is one");
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    (stream, answer)
}

/// The server's end of one WebSocket.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    decoder: Decoder,
    read: Vec<u8>,
    /// How many bytes of pongs have come.
    pongs: usize,
}

impl Peer {
    /// Takes the next client and opens its session.
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        Self::accept_with(listener, OPEN).await
    }

    /// The same, with those words.
    pub(crate) async fn accept_with(listener: &TcpListener, open: &str) -> Self {
        let (mut stream, answer) = asked(listener).await;
        stream
            .write_all(answer.as_bytes())
            .await
            .expect("it listens");
        let mut peer = Self::new(stream);
        peer.text(open).await;
        peer
    }

    /// Of a stream on which the handshake is over.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            decoder: Decoder::new(Role::Server, Limits::default()),
            read: Vec::new(),
            pongs: 0,
        }
    }

    /// The same, and lets it into its first namespace.
    pub(crate) async fn welcome(listener: &TcpListener) -> Self {
        let mut peer = Self::accept(listener).await;
        assert_eq!(peer.next().await, "40");
        peer.text(r#"40{"sid":"x"}"#).await;
        peer
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.texts(&[text]).await;
    }

    /// Sends several texts at once.
    pub(crate) async fn texts(&mut self, texts: &[&str]) {
        let frames: Vec<u8> = texts.iter().copied().flat_map(frame).collect();
        let sent = within("sending", self.stream.write_all(&frames)).await;
        sent.expect("the client takes it");
    }

    /// The next text, `close`, or `end`.
    pub(crate) async fn next(&mut self) -> String {
        within("a text", async {
            loop {
                let decoded = self.decoder.decode(&mut self.read).expect("frames");
                let found = decoded.item.map(|item| match item {
                    Item::Text(text) => Some(text.into_owned()),
                    Item::Close(_) => Some("close".to_owned()),
                    Item::Pong(payload) => {
                        self.pongs += payload.len();
                        None
                    }
                    Item::Binary(_) | Item::Ping(_) => None,
                });
                let consumed = decoded.consumed;
                self.read.drain(..consumed);
                match found {
                    Some(Some(text)) => return text,
                    Some(None) => {}
                    None => match self.stream.read_buf(&mut self.read).await {
                        Ok(1..) => {}
                        Ok(0) | Err(_) => return "end".to_owned(),
                    },
                }
            }
        })
        .await
    }
}

fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 127];
    frame.extend((text.len() as u64).to_be_bytes());
    if text.len() < 126 {
        frame = vec![0x81, u8::try_from(text.len()).expect("it is short")];
    } else if let Ok(len) = u16::try_from(text.len()) {
        frame = vec![0x81, 126];
        frame.extend(len.to_be_bytes());
    }
    frame.extend(text.as_bytes());
    frame
}

#[tokio::test]
async fn who_leaves_and_comes_back_at_once_does_so_on_two_sessions() {
    let (listener, client) = listen();
    let client = client.open().unwrap();
    let mut first = Peer::welcome(&listener).await;
    until("connected", || client.is_connected()).await;
    client.emit("last", ()).unwrap();
    client.disconnect();
    client.connect();
    for expected in [r#"42["last"]"#, "41", "close"] {
        assert_eq!(first.next().await, expected);
    }
    client.emit("first", ()).unwrap();
    drop(first);
    let mut second = Peer::welcome(&listener).await;
    assert_eq!(second.next().await, r#"42["first"]"#);
    until("connected again", || client.is_connected()).await;
    within("closing", client.close()).await;
}

#[tokio::test]
async fn reading_goes_on_when_what_was_too_much_is_taken() {
    let (listener, client) = listen();
    let client = tokio::spawn(client.max_incoming(1_000).events());
    let mut peer = Peer::welcome(&listener).await;
    let (client, mut events) = client.await.unwrap().unwrap();
    let long = "x".repeat(5_000);
    peer.text(&format!(r#"42["long","{long}"]"#)).await;
    until("too much", || client.incoming_bytes() > 1_000).await;
    peer.text(r#"42["short"]"#).await;
    for expected in ["", "long", "short"] {
        match within(expected, events.next()).await {
            Some(ClientEvent::Connected { .. }) => assert_eq!(expected, ""),
            Some(ClientEvent::Event { name, .. }) => assert_eq!(name, expected),
            _ => fail("something else happened"),
        }
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_session() {
    const MAX: usize = 1_000;
    let (listener, client) = listen();
    let client = tokio::spawn(client.max_message(MAX).events());
    let mut peer = Peer::welcome(&listener).await;
    let (_client, mut events) = client.await.unwrap().unwrap();
    let of_len = |len: usize| {
        let rest = r#"42["e",""]"#.len();
        format!(r#"42["e","{}"]"#, "x".repeat(len - rest))
    };
    peer.texts(&[&of_len(MAX), &of_len(MAX + 1)]).await;
    let mut happened = Vec::new();
    for _ in 0..3 {
        happened.push(match within("an event", events.next()).await {
            Some(ClientEvent::Connected { .. }) => "connected",
            Some(ClientEvent::Event { .. }) => "event",
            Some(ClientEvent::Disconnected(DisconnectReason::TransportError)) => "error",
            _ => fail("something else happened"),
        });
    }
    assert_eq!(happened, ["connected", "event", "error"]);
}

#[tokio::test]
async fn pings_cannot_fill_the_memory() {
    const PINGS: usize = 100_000;
    let (listener, client) = listen();
    let client = client.open().unwrap();
    let mut peer = Peer::welcome(&listener).await;
    let mut pings = Vec::new();
    for _ in 0..PINGS {
        pings.extend([0x89, 125]);
        pings.extend([b'x'; 125]);
    }
    let sent = within("a flood", peer.stream.write_all(&pings)).await;
    sent.expect("the client takes it");
    peer.text("2").await;
    assert_eq!(peer.next().await, "3");
    // The kernel keeps some of it.
    assert!(peer.pongs < PINGS * 125 * 2 / 3, "{} bytes", peer.pongs);
    until("connected", || client.is_connected()).await;
}

#[tokio::test]
async fn a_namespace_that_could_not_be_joined_may_be_tried_again() {
    let (listener, client) = listen();
    let client = client.open().unwrap();
    let mut peer = Peer::welcome(&listener).await;
    let admin = tokio::spawn(client.namespace("/admin").connect());
    assert_eq!(peer.next().await, "40/admin,");
    drop(peer);
    let result = within("an error", admin).await.unwrap();
    assert!(
        matches!(result, Err(ConnectFailure::Network(_))),
        "{result:?}"
    );
    let mut peer = Peer::welcome(&listener).await;
    until("connected", || client.is_connected()).await;
    let admin = tokio::spawn(client.namespace("/admin").connect());
    assert_eq!(peer.next().await, "40/admin,");
    peer.text(r#"40/admin,{"sid":"y"}"#).await;
    let admin = within("joining", admin).await.unwrap().unwrap();
    assert_eq!(admin.id().as_deref(), Some("y"));
}

#[tokio::test]
async fn a_program_that_panics_keeps_its_client() {
    /// What cannot be read without a panic.
    #[derive(Debug)]
    struct Trap;
    impl<'de> Deserialize<'de> for Trap {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            fail("a trap")
        }
    }
    const ASK: Event<(), Trap> = Event::new("ask");
    let (listener, client) = listen();
    let client = client.open().unwrap();
    let mut peer = Peer::welcome(&listener).await;
    until("connected", || client.is_connected()).await;
    let answer = client.emit_with_ack(ASK, ());
    assert_eq!(peer.next().await, r#"420["ask"]"#);
    peer.text("430[1]").await;
    let answer = within("an answer", answer).await;
    assert!(matches!(answer, Err(AckError::Mismatch(_))), "{answer:?}");
    assert!(client.is_connected());
    // Also one that makes what identifies it.
    let admin = client.namespace("/admin").auth_with(|_| {
        if true {
            fail("no token");
        }
        async { Ok("token") }
    });
    let result = within("an error", admin.connect()).await;
    assert!(matches!(result, Err(ConnectFailure::Auth(_))), "{result:?}");
    client.emit("on", ()).unwrap();
    assert_eq!(peer.next().await, r#"42["on"]"#);
}

#[tokio::test]
async fn a_volatile_question_that_is_not_asked_is_not_waited_for() {
    let (_listener, client) = listen();
    let client = client.ack_timeout(None).open().unwrap();
    let answer = client.volatile().emit_with_ack("ask", ());
    let answer = within("an answer", answer).await;
    assert!(matches!(answer, Err(AckError::Emit(_))), "{answer:?}");
}

#[tokio::test]
async fn auth_that_cannot_be_made_is_made_again() {
    let (listener, client) = listen();
    let client = client
        .auth_with(async |attempt| match attempt.number {
            0 => Err(ferriwire::HandlerError::refuse("no network")),
            _ => Ok(std::collections::HashMap::from([("token", 7)])),
        })
        .connect_retrying();
    let client = tokio::spawn(client);
    let mut peer = Peer::accept(&listener).await;
    assert_eq!(peer.next().await, r#"40{"token":7}"#);
    peer.text(r#"40{"sid":"x"}"#).await;
    let client = within("joining", client).await.unwrap().unwrap();
    assert!(client.is_connected());
}

/// A server on polling: GETs without a session open one, the next one is answered with `first`, all later
/// ones with a ping each, and POSTs never.
async fn deaf(listener: TcpListener, open: &'static str, first: String) {
    let first = Arc::new(std::sync::Mutex::new(Some(first)));
    while let Ok((mut stream, _)) = listener.accept().await {
        let first = Arc::clone(&first);
        tokio::spawn(async move {
            loop {
                let mut head = Vec::new();
                while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                    match stream.read_buf(&mut head).await {
                        Ok(1..) => {}
                        Ok(0) | Err(_) => return,
                    }
                }
                if head.starts_with(b"POST") {
                    return std::future::pending().await;
                }
                let is_open = head.windows(4).any(|four| four == b"sid=");
                let next = is_open.then(|| first.lock().expect("no panic").take());
                let body = match next {
                    None => open.to_owned(),
                    Some(Some(first)) => first,
                    Some(None) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        "2".to_owned()
                    }
                };
                let len = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{body}");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[tokio::test]
async fn a_post_is_not_waited_for_without_an_end() {
    const OPEN: &str = r#"0{"sid":"abc","upgrades":[],"pingInterval":300,"pingTimeout":200}"#;
    let (listener, client) = listen();
    let server = tokio::spawn(deaf(listener, OPEN, "6".to_owned()));
    let client = client.transports([Transport::Polling]);
    let result = within("an error", client.connect()).await;
    assert!(matches!(result, Err(ConnectFailure::Timeout)), "{result:?}");
    server.abort();
}

#[tokio::test]
async fn many_small_events_at_once_cannot_fill_the_memory() {
    let mut flood = r#"40{"sid":"x"}"#.to_owned();
    for _ in 0..40_000 {
        flood.push_str("\u{1e}42[\"e\"]");
    }
    let (listener, client) = listen();
    let server = tokio::spawn(deaf(listener, OPEN, flood));
    let (reasons, mut reason) = crate::notes();
    let client = client
        .transports([Transport::Polling])
        .max_message(100_000)
        .max_incoming(10_000)
        .max_running_handlers(1)
        .on("e", async |_, ()| std::future::pending::<()>().await)
        .on_disconnect(async move |_, why| reasons.send(why).expect("the test lives"))
        .open()
        .unwrap();
    let why = reason.next("the end").await;
    assert_eq!(why, DisconnectReason::ParseError);
    assert!(
        client.incoming_bytes() < 1_000_000,
        "{}",
        client.incoming_bytes()
    );
    server.abort();
}
