//! Packets in an encoding of the program's own (1.3.5).

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferriwire::codec::{CustomCodec, CustomDecoder, Message, Parts, UntypedBody, UntypedPacket};
use ferriwire::{
    Args, Codec, Config, EmitError, Error as StartError, Event, Namespace, Recovery, RunningServer,
    Server, Transport,
};

use crate::client::{Client, TRANSPORTS};
use crate::support::fail;
use crate::{log, serve_with, stop};

const SAID: Event<Args> = Event::new("said");
const EXPLOSIVE: Event<()> = Event::new("explosive");

type Failure = Box<dyn Error + Send + Sync>;

/// The packet as JSON, backwards. A `+` in front says that it goes on in the next message.
#[derive(Clone, Default)]
struct Backwards {
    /// How many events called `said` were written.
    said: Arc<AtomicUsize>,
    begun: String,
}

impl CustomCodec for Backwards {
    fn encode(&self, packet: &UntypedPacket) -> Result<Parts, Failure> {
        if let UntypedBody::Event { name, .. } = &packet.body {
            match name.as_str() {
                "said" => drop(self.said.fetch_add(1, Ordering::Relaxed)),
                "explosive" => fail("the codec does not like it"),
                _ => {}
            }
        }
        Ok(backwards(&serde_json::to_string(packet)?).into())
    }

    fn decoder(&self) -> Box<dyn CustomDecoder> {
        Box::new(self.clone())
    }
}

impl CustomDecoder for Backwards {
    fn decode(&mut self, message: Message<'_>) -> Result<Option<UntypedPacket>, Failure> {
        let Message::Text(text) = message else {
            return Err("packets are text".into());
        };
        if let Some(text) = text.strip_prefix('+') {
            self.begun.push_str(text);
            return Ok(None);
        }
        assert!(!text.starts_with('!'), "a mistake in the codec");
        self.begun.push_str(&text);
        let text = backwards(&std::mem::take(&mut self.begun));
        let mut json = serde_json::Deserializer::from_str(&text);
        json.disable_recursion_limit();
        Ok(Some(serde::Deserialize::deserialize(&mut json)?))
    }
}

fn backwards(text: &str) -> String {
    text.chars().rev().collect()
}

fn packet(body: &str) -> String {
    backwards(&format!(r#"{{"namespace":"/","body":{body}}}"#))
}

fn event(id: &str, name: &str, args: &str) -> String {
    packet(&format!(
        r#"{{"event":{{"id":{id},"name":"{name}","args":{args}}}}}"#
    ))
}

fn answer(id: u64, args: &str) -> String {
    packet(&format!(r#"{{"ack":{{"id":{id},"args":{args}}}}}"#))
}

fn config(codec: &Backwards) -> Config {
    Config::new().codec(Codec::custom(codec.clone()))
}

async fn connect(server: &RunningServer, transport: Transport) -> Client {
    let mut client = Client::open(server, transport).await;
    client.send(&packet(r#"{"connect":null}"#)).await;
    let joined = backwards(&client.packet().await);
    let start = r#"{"namespace":"/","body":{"connect":{"sid":""#;
    assert!(joined.starts_with(start), "{joined}");
    client
}

#[tokio::test]
async fn a_custom_codec_carries_events_and_answers_and_writes_a_broadcast_once() {
    let codec = Backwards::default();
    let namespace = Namespace::new("/")
        .on("echo", async |_, args: Args| args)
        .on("add", async |_, (a, b): (u8, u8)| a + b)
        .on("out", async |socket, ()| socket.disconnect());
    let server = serve_with(config(&codec), namespace).await;
    let mut clients = Vec::new();
    for transport in TRANSPORTS {
        let mut client = connect(&server, transport).await;
        client
            .send(&event("7", "echo", r#"[1.5,{"a":[null]}]"#))
            .await;
        client.expect(&answer(7, r#"[1.5,{"a":[null]}]"#)).await;
        // In three messages.
        let add = event("8", "add", "[1,2]");
        let (first, rest) = add.split_at(5);
        let (second, third) = rest.split_at(5);
        client.send(&format!("+{first}")).await;
        client.send(&format!("+{second}")).await;
        client.send(third).await;
        client.expect(&answer(8, "[3]")).await;
        clients.push(client);
    }
    let sent = server.handle("/").emit(SAID, Args(vec!["ü".into()]));
    sent.expect("the packet can be written");
    for client in &mut clients {
        client.expect(&event("null", "said", r#"["ü"]"#)).await;
    }
    assert_eq!(codec.said.load(Ordering::Relaxed), 1);
    for client in &mut clients {
        client.send(&event("null", "out", "[]")).await;
        client.expect(&packet(r#""disconnect""#)).await;
    }
}

#[tokio::test]
async fn an_error_or_a_panic_in_a_custom_codec_ends_one_connection_and_no_other() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/")
        .on_disconnect(async move |_, reason| seen.write(reason.as_str()))
        .on("echo", async |_, args: Args| args);
    let server = serve_with(config(&Backwards::default()), namespace).await;
    let deep = [&"[".repeat(1_000), "]".repeat(1_000).as_str()].concat();
    // Their own ends are not to be logged in between.
    let mut witnesses = Vec::new();
    for transport in TRANSPORTS {
        let mut witness = connect(&server, transport).await;
        let attacks = [
            "no packet".to_owned(),
            "!".to_owned(),
            event("null", "connect", "[]"),
            event("null", &"n".repeat(257), "[]"),
            event("9007199254740992", "echo", "[]"),
            event("null", "echo", &deep),
            packet(r#"{"connect_error":"no"}"#),
        ];
        for attack in attacks {
            let mut client = connect(&server, transport).await;
            client.send(&attack).await;
            client.expect_end().await;
            let reason = entries.next().await;
            assert!(reason.starts_with("forced"), "{reason} of {attack:.80}");
        }
        let mut client = connect(&server, transport).await;
        client.send_binary(&[1]).await;
        client.expect_end().await;
        assert_eq!(entries.next().await, "forced close");
        witness.send(&event("0", "echo", "[]")).await;
        witness.expect(&answer(0, "[]")).await;
        witnesses.push(witness);
    }
    stop(server).await;
}

#[tokio::test]
async fn what_a_custom_codec_cannot_write_is_an_error_for_whoever_emits_it() {
    let namespace = Namespace::new("/").on("explode", async |socket, ()| {
        matches!(socket.emit(EXPLOSIVE, ()), Err(EmitError::Encode(_)))
    });
    let server = serve_with(config(&Backwards::default()), namespace).await;
    for transport in TRANSPORTS {
        let mut client = connect(&server, transport).await;
        for id in 0..2 {
            client.send(&event(&id.to_string(), "explode", "[]")).await;
            client.expect(&answer(id, "[true]")).await;
        }
    }
}

#[tokio::test]
async fn a_server_with_recovery_and_a_custom_codec_does_not_start() {
    let config = config(&Backwards::default()).recovery(Recovery::new());
    let server = Server::new().config(config).bind("127.0.0.1:0").await;
    let error = server.expect_err("clients could not come back");
    assert!(matches!(error, StartError::RecoveryWithCustomCodec));
    let config = Config::new().codec(Codec::MessagePack);
    let config = config.recovery(Recovery::new());
    let server = Server::new().config(config).bind("127.0.0.1:0").await;
    stop(server.expect("MessagePack has room for offsets")).await;
}
