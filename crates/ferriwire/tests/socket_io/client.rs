//! A client that says packets as texts, over a WebSocket or long-polling.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferriwire::{RunningServer, Transport};

use crate::support::fail;
use crate::support::polling::Polling;
use crate::support::websocket::{Frame, WebSocket};

pub(crate) const PATH: &str = "/socket.io/";

/// Both transports, for tests where the transport could matter.
pub(crate) const TRANSPORTS: [Transport; 2] = [Transport::WebSocket, Transport::Polling];

/// One session. Pings are answered, whatever else is being waited for.
pub(crate) struct Client {
    wire: Wire,
    arrived: VecDeque<Received>,
}

enum Wire {
    WebSocket(Box<WebSocket>),
    Polling(Box<Polling>),
}

/// A message, or that there will be no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// A packet, without the `4` in front.
    Text(String),
    /// An attachment.
    Binary(Vec<u8>),
    /// The session was closed.
    End,
}

impl Client {
    /// A session that has joined nothing.
    pub(crate) async fn open(server: &RunningServer, transport: Transport) -> Self {
        match transport {
            Transport::Polling => {
                let polling = Polling::handshake(server.local_addr(), PATH).await;
                Self::over(Wire::Polling(Box::new(polling)))
            }
            Transport::WebSocket | Transport::WebTransport => {
                Self::open_websocket(server, "", &[]).await
            }
        }
    }

    /// As [`open`](Self::open) with more in the query, such as `&color=red`, and more headers.
    pub(crate) async fn open_websocket(
        server: &RunningServer,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Self {
        let target = format!("{PATH}?EIO=4&transport=websocket{query}");
        let websocket = WebSocket::connect(server.local_addr(), &target, headers).await;
        let mut websocket = websocket.expect("the handshake is allowed");
        assert!(websocket.text().await.starts_with("0{"));
        Self::over(Wire::WebSocket(Box::new(websocket)))
    }

    /// A WebSocket that has joined the main namespace.
    pub(crate) async fn connect(server: &RunningServer) -> Self {
        Self::connect_over(server, Transport::WebSocket).await
    }

    pub(crate) async fn connect_over(server: &RunningServer, transport: Transport) -> Self {
        Self::connect_with_id(server, transport).await.0
    }

    /// The same, with the id of its socket.
    pub(crate) async fn connect_with_id(
        server: &RunningServer,
        transport: Transport,
    ) -> (Self, String) {
        let mut client = Self::open(server, transport).await;
        let id = client.join("/").await;
        (client, id)
    }

    fn over(wire: Wire) -> Self {
        Self {
            wire,
            arrived: VecDeque::new(),
        }
    }

    /// Joins a namespace, and returns the id of its socket there.
    pub(crate) async fn join(&mut self, namespace: &str) -> String {
        let prefix = match namespace {
            "/" => "0".to_owned(),
            namespace => format!("0{namespace},"),
        };
        self.send(&prefix).await;
        let answer = self.packet().await;
        let Some(payload) = answer.strip_prefix(&prefix) else {
            fail(&format!("CONNECT was expected, not {answer}"));
        };
        let payload: serde_json::Value = serde_json::from_str(payload).expect("JSON");
        let members: Vec<_> = payload.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["sid"]);
        payload["sid"].as_str().expect("a socket id").to_owned()
    }

    /// Sends a packet.
    pub(crate) async fn send(&mut self, packet: &str) {
        match &mut self.wire {
            Wire::WebSocket(websocket) => websocket.send_text(&format!("4{packet}")).await,
            Wire::Polling(polling) => {
                let response = polling.post(format!("4{packet}")).await;
                assert_eq!(response.text(), "ok");
            }
        }
    }

    /// Sends packets in as few pieces as the transport has.
    pub(crate) async fn send_all(&mut self, packets: &[&str]) {
        match &mut self.wire {
            Wire::WebSocket(websocket) => {
                for packet in packets {
                    websocket.send_text(&format!("4{packet}")).await;
                }
            }
            Wire::Polling(polling) => {
                let packets: Vec<_> = packets.iter().map(|packet| format!("4{packet}")).collect();
                let response = polling.post(packets.join("\x1e")).await;
                assert_eq!(response.text(), "ok");
            }
        }
    }

    /// Sends an attachment.
    pub(crate) async fn send_binary(&mut self, data: &[u8]) {
        match &mut self.wire {
            Wire::WebSocket(websocket) => websocket.send_binary(data).await,
            Wire::Polling(polling) => {
                let response = polling.post(format!("b{}", STANDARD.encode(data))).await;
                assert_eq!(response.text(), "ok");
            }
        }
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Received {
        loop {
            if let Some(received) = self.arrived.pop_front() {
                return received;
            }
            self.receive().await;
        }
    }

    /// The next packet, which has to be text.
    pub(crate) async fn packet(&mut self) -> String {
        match self.next().await {
            Received::Text(packet) => packet,
            other @ (Received::Binary(_) | Received::End) => {
                fail(&format!("a packet was expected, not {other:?}"))
            }
        }
    }

    /// The next packet is this one.
    pub(crate) async fn expect(&mut self, packet: &str) {
        assert_eq!(self.packet().await, packet);
    }

    /// The next message is this attachment.
    pub(crate) async fn expect_binary(&mut self, data: &[u8]) {
        assert_eq!(self.next().await, Received::Binary(data.to_vec()));
    }

    /// The session ends, and nothing comes before that.
    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.next().await, Received::End);
    }

    /// Nothing has been sent to this client that it has not read: the namespace has to answer
    /// `settle` with nothing.
    pub(crate) async fn expect_nothing(&mut self) {
        self.send("2999[\"settle\"]").await;
        self.expect("3999[]").await;
    }

    /// How it is connected.
    pub(crate) fn transport(&self) -> Transport {
        match &self.wire {
            Wire::WebSocket(_) => Transport::WebSocket,
            Wire::Polling(_) => Transport::Polling,
        }
    }

    pub(crate) fn into_websocket(self) -> WebSocket {
        match self.wire {
            Wire::WebSocket(websocket) => *websocket,
            Wire::Polling(_) => fail("this client polls"),
        }
    }

    pub(crate) fn into_polling(self) -> Polling {
        match self.wire {
            Wire::Polling(polling) => *polling,
            Wire::WebSocket(_) => fail("this client has a WebSocket"),
        }
    }

    async fn receive(&mut self) {
        match &mut self.wire {
            Wire::WebSocket(websocket) => match websocket.next().await {
                Frame::Text(text) if text == "2" => websocket.send_text("3").await,
                Frame::Text(text) => self.arrived.push_back(packet(&text)),
                Frame::Binary(data) => self.arrived.push_back(Received::Binary(data)),
                Frame::Ping(_) | Frame::Pong(_) => {}
                Frame::Close(_) | Frame::End => self.arrived.push_back(Received::End),
            },
            Wire::Polling(polling) => {
                let response = polling.get().await;
                if response.status != 200 {
                    self.arrived.push_back(Received::End);
                    return;
                }
                for text in response.packets() {
                    match text {
                        "2" => drop(polling.post("3").await),
                        "6" => {}
                        "1" => self.arrived.push_back(Received::End),
                        text => self.arrived.push_back(packet(text)),
                    }
                }
            }
        }
    }
}

impl From<Polling> for Client {
    fn from(polling: Polling) -> Self {
        Self::over(Wire::Polling(Box::new(polling)))
    }
}

/// The number under which the client is asked this.
pub(crate) async fn asked(client: &mut Client, event: &str) -> u64 {
    let packet = client.packet().await;
    let id = packet
        .strip_prefix('2')
        .and_then(|packet| packet.strip_suffix(event));
    let id = id.and_then(|id| id.parse().ok());
    id.unwrap_or_else(|| fail(&format!("{event} was expected, not {packet}")))
}

fn packet(text: &str) -> Received {
    if let Some(packet) = text.strip_prefix('4') {
        return Received::Text(packet.to_owned());
    }
    let attachment = text.strip_prefix('b').map(|data| STANDARD.decode(data));
    match attachment {
        Some(Ok(data)) => Received::Binary(data),
        _ => fail(&format!("a message was expected, not {text}")),
    }
}
