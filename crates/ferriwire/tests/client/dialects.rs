//! What both sides have to agree on: encodings, revisions, compression, and what requests carry.

use std::error::Error;

use ferriwire::client::{ClientBuilder, Revision};
use ferriwire::codec::{CustomCodec, CustomDecoder, Message, Parts, UntypedPacket};
use ferriwire::{
    Args, Bytes, Client, Codec, Config, ConnectError, ConnectFailure, Cookie, Deflate, Handshake,
    Namespace, Server, Value,
};

use crate::support::within;
use crate::{WAYS, notes, serve};

/// A dialect: its name, the server's side, and the client's.
type Dialect = (&'static str, Config, fn(ClientBuilder) -> ClientBuilder);

/// Each packet is a text of JSON backwards.
struct Backwards;

impl CustomCodec for Backwards {
    fn encode(&self, packet: &UntypedPacket) -> Result<Parts, Box<dyn Error + Send + Sync>> {
        let json = serde_json::to_string(packet)?;
        Ok(Parts::from(json.chars().rev().collect::<String>()))
    }

    fn decoder(&self) -> Box<dyn CustomDecoder> {
        Box::new(Self)
    }
}

impl CustomDecoder for Backwards {
    fn decode(
        &mut self,
        message: Message<'_>,
    ) -> Result<Option<UntypedPacket>, Box<dyn Error + Send + Sync>> {
        let Message::Text(text) = message else {
            return Err("packets are text".into());
        };
        let json: String = text.chars().rev().collect();
        Ok(Some(serde_json::from_str(&json)?))
    }
}

fn dialects() -> Vec<Dialect> {
    let eio3 = || Config::new().allow_eio3(true);
    vec![
        (
            "msgpack",
            Config::new().codec(Codec::MessagePack),
            |builder| builder.codec(Codec::MessagePack),
        ),
        ("base64", Config::new(), |builder| builder.base64(true)),
        (
            "deflate",
            Config::new().websocket_compression(Deflate::new().threshold(16)),
            |builder| builder.websocket_compression(Deflate::new().threshold(16)),
        ),
        (
            "deflate that the server does not want",
            Config::new(),
            |builder| builder.websocket_compression(Deflate::new()),
        ),
        ("revision 3", eio3(), |builder| {
            builder.revision(Revision::V3)
        }),
        ("revision 3 with base64", eio3(), |builder| {
            builder.revision(Revision::V3).base64(true)
        }),
    ]
}

#[tokio::test]
async fn every_dialect_carries_everything_both_ways() {
    for (name, config, speaks) in dialects() {
        let echo = |namespace: Namespace<(), _>| {
            namespace.on("echo", async |socket: ferriwire::Socket, args: Args| {
                let back = socket.emit_with_ack("back", &args).await;
                back.unwrap_or_default()
            })
        };
        let server = Server::new()
            .config(config)
            .namespace(echo(Namespace::new("/")))
            .namespace(echo(Namespace::new("/chat")));
        let server = serve(server).await;
        for way in WAYS {
            for path in ["/", "/chat"] {
                let client = speaks(way.to(&server, path)).on("back", async |_, args: Args| args);
                let client = within("connecting", client.connect()).await;
                let client = client.unwrap_or_else(|error| panic!("{name} {way:?}: {error}"));
                let args = Args(vec![
                    Value::from("text \u{20ac} \u{1f600}".repeat(10)),
                    Value::from(Bytes::from_static(b"\x00\xff")),
                    Value::Array(vec![Value::from(Bytes::from(vec![9; 5_000])), Value::Null]),
                ]);
                for compress in [true, false] {
                    let answer = client.compress(compress).emit_with_ack("echo", &args);
                    let answer = within("an answer", answer).await;
                    assert_eq!(answer.unwrap(), args, "{name} {way:?} {path}");
                }
                client.close().await;
            }
        }
    }
}

#[tokio::test]
async fn a_codec_of_the_program_is_spoken_both_ways_and_by_nobody_else() {
    let echo = Namespace::new("/chat").on("echo", async |socket: ferriwire::Socket, args: Args| {
        let back = socket.emit_with_ack("back", &args).await;
        back.unwrap_or_default()
    });
    let refusing = Namespace::new("/guarded")
        .auth(async |_: Handshake<Value>| Err::<(), _>(ConnectError::new("not welcome")));
    let server = Server::new()
        .config(Config::new().codec(Codec::custom(Backwards)))
        .namespace(echo)
        .namespace(refusing);
    let server = serve(server).await;
    for way in WAYS {
        let speaking = |path| way.to(&server, path).codec(Codec::custom(Backwards));
        let client = speaking("/chat").on("back", async |_, args: Args| args);
        let client = within("connecting", client.connect()).await.unwrap();
        let args = Args(vec!["text \u{20ac}".into(), Value::Null, Value::from(42)]);
        let answer = within("an answer", client.emit_with_ack("echo", &args)).await;
        assert_eq!(answer.unwrap(), args, "{way:?}");
        client.close().await;
        let refused = within("an answer", speaking("/guarded").connect()).await;
        let failure = refused.unwrap_err();
        assert!(
            matches!(&failure, ConnectFailure::Refused(error) if error.message() == "not welcome"),
            "{way:?}: {failure:?}"
        );
        let other = way.to(&server, "/chat").reconnection(false).connect();
        within("an end of the attempt", other).await.unwrap_err();
    }
}

#[tokio::test]
async fn servers_of_protocol_4_take_auth_as_a_query() {
    let (tokens, mut seen) = notes();
    let chat = Namespace::new("/chat").auth(async move |handshake: Handshake<Value>| {
        tokens.send(handshake.auth).expect("the test lives");
        Ok::<_, ConnectError>(())
    });
    let server = Server::new()
        .config(Config::new().allow_eio3(true))
        .namespace(Namespace::new("/"))
        .namespace(chat);
    let server = serve(server).await;
    for way in WAYS {
        let auth = std::collections::HashMap::from([("token", "a b&c=\u{e9}")]);
        let client = way.to(&server, "/chat").revision(Revision::V3).auth(&auth);
        let client = within("connecting", client.connect()).await.unwrap();
        let token = seen.next("the token").await;
        let token = token.get("token").and_then(Value::as_str);
        assert_eq!(token, Some("a b&c=\u{e9}"), "{way:?}");
        client.close().await;
    }
}

#[tokio::test]
async fn requests_carry_headers_parameters_and_cookies_to_their_path() {
    // Case 89
    let (requests, mut seen) = notes();
    let namespace = Namespace::new("/").on_connect(async move |socket| {
        let request = socket.request();
        let header = |name: &str| {
            let header = request.headers().get(name);
            header
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let token = request.query("token");
        let cookie = header("cookie");
        requests
            .send((header("x-own"), token, cookie))
            .expect("the test lives");
    });
    let config = Config::new().path("/deep/path/").cookie(Cookie::new("io"));
    let server = serve(Server::new().config(config).namespace(namespace)).await;
    for way in WAYS {
        let client = way
            .to(&server, "/")
            .path("/deep/path")
            .query("token", "a&b")
            .header("X-Own", "mine")
            .header("Cookie", "own=1")
            .connect()
            .await
            .unwrap();
        let (header, token, cookie) = seen.next("the request").await;
        assert_eq!(
            (header.as_deref(), token.as_deref()),
            (Some("mine"), Some("a&b"))
        );
        assert_eq!(cookie.as_deref(), Some("own=1"));
        client.cut();
        let (_, _, cookie) = seen.next("the next request").await;
        let cookie = cookie.expect("there is one");
        // It is set on polling only.
        let has_own = cookie.contains("; io=");
        assert_eq!(has_own, way != crate::Way::WebSocket, "{way:?}: {cookie}");
        client.close().await;
    }
    let address = server.local_addr();
    let elsewhere = Client::builder(format!("http://{address}")).connect();
    assert!(within("an answer", elsewhere).await.is_err());
}
