//! Packets in other encodings than JSON (1.3.4), byte by byte.

use ferriwire::{
    Args, Codec, Config, ConnectError, Event, Handshake, Namespace, RunningServer, Value,
};

use crate::client::{Client, Received, TRANSPORTS};
use crate::support::fail;
use crate::{log, serve_with, stop};

const SAID: Event<Args> = Event::new("said");

fn config() -> Config {
    Config::new().codec(Codec::MessagePack)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| {
        let digits = str::from_utf8(pair).expect("hex digits");
        u8::from_str_radix(digits, 16).expect("hex digits")
    };
    digits.chunks(2).map(byte).collect()
}

/// `{type: 0, nsp: "/"}`
const CONNECT: &str = "82 a474797065 00 a36e7370 a12f";

/// `{type: 2, data: ["echo"], id: 0, nsp: "/"}` and its answer.
const ECHO: &str = "84 a474797065 02 a464617461 91 a46563686f a26964 00 a36e7370 a12f";
const ECHOED: &str = "84 a474797065 03 a464617461 90 a26964 00 a36e7370 a12f";

async fn connect(server: &RunningServer, transport: ferriwire::Transport) -> Client {
    let mut client = Client::open(server, transport).await;
    client.send_binary(&bytes(CONNECT)).await;
    let Received::Binary(answer) = client.next().await else {
        fail("no CONNECT");
    };
    // {type: 0, data: {sid: 20 characters}, nsp: "/"}
    assert!(answer.starts_with(&bytes("83 a474797065 00 a464617461 81 a3736964 b4")));
    assert!(answer.ends_with(&bytes("a36e7370 a12f")));
    client
}

#[tokio::test]
async fn msgpack_events_and_acknowledgements_carry_binary_data_inline() {
    let namespace = Namespace::new("/")
        .on("echo", async |_, args: Args| args)
        .on("say", async |socket, args: Args| {
            drop(socket.emit(SAID, args))
        });
    let server = serve_with(config(), namespace).await;
    for transport in TRANSPORTS {
        let mut client = connect(&server, transport).await;
        // {type: 2, data: ["echo", {b: <1 2>}, [null]], options: {compress: true}, id: 300, nsp: "/"}
        let echo = "85 a474797065 02 a464617461 93 a46563686f 81 a162 c4020102 91 c0
            a76f7074696f6e73 81 a8636f6d7072657373 c3 a26964 cd012c a36e7370 a12f";
        client.send_binary(&bytes(echo)).await;
        let answer = "84 a474797065 03 a464617461 92 81 a162 c4020102 91 c0
            a26964 cd012c a36e7370 a12f";
        client.expect_binary(&bytes(answer)).await;
        let say = "83 a474797065 02 a464617461 92 a3736179 a3c3bc78 a36e7370 a12f";
        client.send_binary(&bytes(say)).await;
        let said = "83 a474797065 02 a464617461 92 a473616964 a3c3bc78 a36e7370 a12f";
        client.expect_binary(&bytes(said)).await;
    }
}

#[tokio::test]
async fn msgpack_refusals_and_farewells_are_packets_too() {
    let namespace = Namespace::new("/")
        .auth(
            async |handshake: Handshake| match handshake.auth.get("token") {
                Some(token) if token.as_u64() == Some(7) => Ok(()),
                _ => Err(ConnectError::new("no").data(Value::from(5))),
            },
        )
        .on("out", async |socket, ()| socket.disconnect());
    let server = serve_with(config(), namespace).await;
    for transport in TRANSPORTS {
        let mut client = Client::open(&server, transport).await;
        client.send_binary(&bytes(CONNECT)).await;
        // {type: 4, data: {message: "no", data: 5}, nsp: "/"}
        let refused = "83 a474797065 04 a464617461 82 a76d657373616765 a26e6f a464617461 05
            a36e7370 a12f";
        client.expect_binary(&bytes(refused)).await;
        // {type: 0, nsp: "/x"}: Invalid namespace
        client
            .send_binary(&bytes("82 a474797065 00 a36e7370 a22f78"))
            .await;
        let unknown = "83 a474797065 04 a464617461 81 a76d657373616765
            b1 496e76616c6964206e616d657370616365 a36e7370 a22f78";
        client.expect_binary(&bytes(unknown)).await;
        let token = "83 a474797065 00 a464617461 81 a5746f6b656e 07 a36e7370 a12f";
        client.send_binary(&bytes(token)).await;
        assert!(matches!(client.next().await, Received::Binary(_)));
        let out = "83 a474797065 02 a464617461 91 a36f7574 a36e7370 a12f";
        client.send_binary(&bytes(out)).await;
        client
            .expect_binary(&bytes("82 a474797065 01 a36e7370 a12f"))
            .await;
    }
}

#[tokio::test]
async fn what_is_no_msgpack_packet_closes_the_connection_and_no_other() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/")
        .on_disconnect(async move |_, reason| seen.write(reason.to_string()))
        .on("echo", async |_, args: Args| args);
    let server = serve_with(config(), namespace).await;
    for transport in TRANSPORTS {
        let mut witness = connect(&server, transport).await;
        let mut deep = bytes("83 a474797065 02 a36e7370 a12f a464617461");
        deep.extend(std::iter::repeat_n(0x91, 700_000));
        let attacks = [
            bytes("c1"),
            bytes("db ffffffff"),
            bytes("81 a26964"),
            bytes("83 a474797065 05 a464617461 91 a165 a36e7370 a12f"),
            // {type: 2, data: ["connect"], nsp: "/"}
            bytes("83 a474797065 02 a464617461 91 a7636f6e6e656374 a36e7370 a12f"),
            deep,
        ];
        for attack in attacks {
            let mut client = connect(&server, transport).await;
            client.send_binary(&attack).await;
            client.expect_end().await;
            entries.next().await;
        }
        let mut client = connect(&server, transport).await;
        client.send(r#"2["echo"]"#).await;
        client.expect_end().await;
        entries.next().await;
        witness.send_binary(&bytes(ECHO)).await;
        witness.expect_binary(&bytes(ECHOED)).await;
    }
    stop(server).await;
}

#[tokio::test]
async fn a_broadcast_in_msgpack_reaches_a_room_on_every_transport() {
    let namespace = Namespace::new("/")
        .on_connect(async |socket| drop(socket.join("room")))
        .on("echo", async |_, args: Args| args);
    let server = serve_with(config(), namespace).await;
    let mut clients = Vec::new();
    for transport in TRANSPORTS {
        let mut client = connect(&server, transport).await;
        // Its events wait until it has joined.
        client.send_binary(&bytes(ECHO)).await;
        client.expect_binary(&bytes(ECHOED)).await;
        clients.push(client);
    }
    let room = server.handle("/").to("room");
    room.emit("said", 300_u16)
        .expect("the packet can be written");
    for client in &mut clients {
        let said = "83 a474797065 02 a464617461 92 a473616964 cd012c a36e7370 a12f";
        client.expect_binary(&bytes(said)).await;
    }
}
