//! A program's codec, a good one and hostile ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::codec::{
    Codec, Decoded, EncodeError, Limits, MAX_DEPTH, Violation, decode_connect_payload,
};
use crate::encoded::{Encoded, Kind};
use crate::packet::{AckId, Body, PacketKind};
use crate::value::{Args, Value};

type Failure = Box<dyn Error + Send + Sync>;

/// The packet as JSON, backwards; every character of `+` in front announces one more message, the
/// end of the text.
#[derive(Debug, Default)]
struct Backwards {
    begun: String,
}

impl CustomCodec for Backwards {
    fn encode(&self, packet: &UntypedPacket) -> Result<Parts, Failure> {
        let text = serde_json::to_string(packet)?;
        Ok(text.chars().rev().collect::<String>().into())
    }

    fn decoder(&self) -> Box<dyn CustomDecoder> {
        Box::new(Self::default())
    }
}

impl CustomDecoder for Backwards {
    fn decode(&mut self, message: Message<'_>) -> Result<Option<UntypedPacket>, Failure> {
        let text = match message {
            Message::Text(text) => text.into_owned(),
            Message::Binary(data) => str::from_utf8(&data)?.to_owned(),
        };
        if let Some(text) = text.strip_prefix('+') {
            self.begun.push_str(text);
            return Ok(None);
        }
        let text: String = [std::mem::take(&mut self.begun), text].concat();
        let text: String = text.chars().rev().collect();
        Ok(Some(serde_json::from_str(&text)?))
    }
}

/// Calls these functions.
struct Functions {
    encode: fn(&UntypedPacket) -> Result<Parts, Failure>,
    decode: Decode,
}

type Decode = Arc<dyn Fn() -> Result<Option<UntypedPacket>, Failure> + Send + Sync>;

impl CustomCodec for Functions {
    fn encode(&self, packet: &UntypedPacket) -> Result<Parts, Failure> {
        (self.encode)(packet)
    }

    fn decoder(&self) -> Box<dyn CustomDecoder> {
        Box::new(Returns(Arc::clone(&self.decode)))
    }
}

struct Returns(Decode);

impl CustomDecoder for Returns {
    fn decode(&mut self, _message: Message<'_>) -> Result<Option<UntypedPacket>, Failure> {
        (self.0)()
    }
}

fn encoding(encode: fn(&UntypedPacket) -> Result<Parts, Failure>) -> Codec {
    let decode: Decode = Arc::new(|| Err("not today".into()));
    Codec::custom(Functions { encode, decode })
}

fn decoding(
    decode: impl Fn() -> Result<Option<UntypedPacket>, Failure> + Send + Sync + 'static,
) -> Codec {
    let decode: Decode = Arc::new(decode);
    let encode = |_: &UntypedPacket| Err("not today".into());
    Codec::custom(Functions { encode, decode })
}

/// What a packet is judged to be that comes out of a codec.
fn judge(body: impl Fn() -> UntypedBody + Send + Sync + 'static) -> Result<(), Violation> {
    let codec = decoding(move || {
        Ok(Some(UntypedPacket {
            namespace: "/".to_owned(),
            body: body(),
        }))
    });
    let message = Message::Text("x".into());
    let mut decoder = codec.decoder();
    decoder.decode(message, &Limits::default()).map(drop)
}

fn event(name: &str, args: Vec<Value>) -> UntypedBody {
    UntypedBody::Event {
        id: None,
        name: name.to_owned(),
        args: Args(args),
    }
}

fn text(encoded: &Encoded) -> String {
    let text = str::from_utf8(encoded.text()).unwrap();
    text.strip_prefix('4').unwrap().to_owned()
}

#[test]
fn every_kind_of_packet_goes_through_a_custom_codec() {
    let codec = Codec::custom(Backwards::default());
    let payload = json!({"token": 7});
    let read = |encoded: Encoded, kind: Kind, check: &dyn Fn(Body<'_>)| {
        assert_eq!(encoded.kind(), kind);
        let mut decoder = codec.decoder();
        let message = Message::Text(text(&encoded).into());
        let Ok(Decoded::Packet(packet)) = decoder.decode(message, &Limits::default()) else {
            panic!("no packet: {}", text(&encoded));
        };
        assert_eq!(packet.namespace, "/chat");
        check(packet.body);
    };
    let said = codec.encode_event(
        "/chat",
        Some(AckId(7)),
        "say",
        &("hi", 1.5, (1, 2)),
        MAX_DEPTH,
    );
    read(said.unwrap(), Kind::Event, &|body| {
        let Body::Event {
            id: Some(AckId(7)),
            name,
            arguments,
        } = body
        else {
            panic!("{body:?}");
        };
        assert_eq!(name, "say");
        let typed: (String, f64, [u8; 2]) = arguments.decode().unwrap();
        assert_eq!(typed, ("hi".to_owned(), 1.5, [1, 2]));
        let kept = arguments.to_owned();
        assert_eq!(kept.as_arguments().decode::<Args>().unwrap().0.len(), 3);
    });
    let answer = codec.encode_ack("/chat", AckId::MAX, &(), MAX_DEPTH);
    read(answer.unwrap(), Kind::Control, &|body| {
        let Body::Ack { id, arguments } = body else {
            panic!("{body:?}");
        };
        assert_eq!((id, arguments.decode()), (AckId::MAX, Ok(Args::default())));
    });
    let connect = codec.encode_connect("/chat", &payload, MAX_DEPTH);
    read(connect.unwrap(), Kind::Control, &|body| {
        let Body::Connect(data @ Some(_)) = body else {
            panic!("{body:?}");
        };
        let auth: BTreeMap<String, u8> = decode_connect_payload(data).unwrap();
        assert_eq!(auth, BTreeMap::from([("token".to_owned(), 7)]));
    });
    let connect = codec.encode_connect("/chat", &(), MAX_DEPTH);
    read(connect.unwrap(), Kind::Control, &|body| {
        assert!(matches!(body, Body::Connect(None)), "{body:?}");
    });
    let leave = codec.encode_disconnect("/chat");
    read(leave.unwrap(), Kind::Control, &|body| {
        assert!(matches!(body, Body::Disconnect), "{body:?}");
    });
    let refusal = codec.encode_connect_error("/chat", "no", MAX_DEPTH);
    read(refusal.unwrap(), Kind::Control, &|body| {
        let Body::ConnectError(data) = body else {
            panic!("{body:?}");
        };
        assert_eq!(data.decode(), Ok("no".to_owned()));
    });
}

#[test]
fn a_custom_codec_sees_binary_data_where_it_stands() {
    fn binary_of(packet: &UntypedPacket) -> Result<Parts, Failure> {
        let UntypedBody::Event { args, .. } = &packet.body else {
            return Err("no event".into());
        };
        let binary = args.0.iter().filter_map(Value::as_binary).cloned();
        let placeholders = args.0.iter().filter(|arg| arg.get("num").is_some());
        Ok(Parts {
            text: (placeholders.count() > 0).then(|| "placeholder".to_owned()),
            binary: binary.collect(),
        })
    }

    let data = |byte| Bytes::from(vec![byte; 3]);
    let codec = encoding(binary_of);
    let encoded = codec.encode_event("/", None, "e", &(data(1), data(2)), MAX_DEPTH);
    let encoded = encoded.unwrap();
    assert_eq!(encoded.text(), b"");
    assert_eq!(encoded.attachments().len(), 2);
    let frames: Vec<u8> = encoded.websocket_pieces().flatten().copied().collect();
    assert_eq!(frames, [0x82, 3, 1, 1, 1, 0x82, 3, 2, 2, 2]);
    // What merely looks like a placeholder is data.
    let lookalike = json!({"_placeholder": true, "num": 0});
    let encoded = codec.encode_event("/", None, "e", &(lookalike, data(1)), MAX_DEPTH);
    let encoded = encoded.unwrap();
    assert_eq!(encoded.text(), b"4placeholder");
    assert_eq!(encoded.attachments().collect::<Vec<_>>(), [&data(1)]);
}

#[test]
fn what_comes_out_of_a_custom_codec_is_judged_like_any_packet() {
    fn nested(depth: usize) -> Value {
        (0..depth).fold(Value::Null, |value, _| Value::Array(vec![value]))
    }
    let long = |len: usize| "n".repeat(len);
    assert_eq!(judge(move || event(&long(256), vec![])), Ok(()));
    let (len, limit) = (257, 256);
    let too_long = Err(Violation::NameTooLong { len, limit });
    assert_eq!(judge(move || event(&long(257), vec![])), too_long);
    let many = |count| move || event("e", vec![Value::Null; count]);
    assert_eq!(judge(many(256)), Ok(()));
    let too_many = Err(Violation::TooManyArguments { limit: 256 });
    assert_eq!(judge(many(257)), too_many);
    assert_eq!(judge(|| event("e", vec![nested(128)])), Ok(()));
    assert_eq!(
        judge(|| event("e", vec![nested(129)])),
        Err(Violation::TooDeep)
    );
    // Dropping it must not take a stack of that depth either, whatever it is refused for.
    let bottomless = || nested(1_000_000);
    assert_eq!(
        judge(move || event("e", vec![bottomless()])),
        Err(Violation::TooDeep)
    );
    let reserved = |name: &str| Err(Violation::ReservedName(name.to_owned()));
    assert_eq!(
        judge(move || event("connect", vec![bottomless()])),
        reserved("connect")
    );
    let connect = |payload: fn() -> Value| move || UntypedBody::Connect(Some(payload()));
    assert_eq!(judge(connect(|| nested(0))), Ok(()));
    let shape = Err(Violation::Shape(PacketKind::Connect));
    assert_eq!(judge(connect(|| nested(1))), shape);
    let number = || UntypedBody::ConnectError(Value::from(1));
    let shape = Err(Violation::Shape(PacketKind::ConnectError));
    assert_eq!(judge(number), shape);
    let ack = |id| {
        move || UntypedBody::Ack {
            id: AckId(id),
            args: Args::default(),
        }
    };
    assert_eq!(judge(ack(AckId::MAX.0)), Ok(()));
    assert_eq!(judge(ack(AckId::MAX.0 + 1)), Err(Violation::AckId));
    // A packet of so many bytes may grow to four times as many.
    let large = |len| move || event("e", vec![Value::from("x".repeat(len))]);
    assert_eq!(judge(large(3_999_900)), Ok(()));
    assert!(matches!(
        judge(large(4_000_001)),
        Err(Violation::TooLarge {
            limit: 4_000_000,
            ..
        })
    ));
}

#[test]
fn the_messages_of_one_packet_are_limited_before_a_custom_codec_sees_them() {
    let codec = decoding(|| Ok(None));
    let limits = Limits::default();
    let part = |len: usize| Message::Binary(Bytes::from(vec![0; len]));
    let mut decoder = codec.decoder();
    for _ in 0..11 {
        let outcome = decoder.decode(part(0), &limits);
        assert!(matches!(outcome, Ok(Decoded::Incomplete)), "{outcome:?}");
    }
    let outcome = decoder.decode(part(0), &limits).map(drop);
    assert_eq!(outcome, Err(Violation::TooManyAttachments { limit: 10 }));
    let mut decoder = codec.decoder();
    assert!(decoder.decode(part(999_999), &limits).is_ok());
    assert!(decoder.decode(part(1), &limits).is_ok());
    let (len, limit) = (1_000_001, 1_000_000);
    let outcome = decoder.decode(part(1), &limits).map(drop);
    assert_eq!(outcome, Err(Violation::TooLarge { len, limit }));
    // A packet that is complete does not count against the next one.
    let codec = Codec::custom(Backwards::default());
    let packet = text(&codec.encode_event("/", None, "e", &(), MAX_DEPTH).unwrap());
    let mut decoder = codec.decoder();
    for _ in 0..50 {
        let (first, rest) = packet.split_at(5);
        let first = Message::Text(format!("+{first}").into());
        let outcome = decoder.decode(first, &limits);
        assert!(matches!(outcome, Ok(Decoded::Incomplete)), "{outcome:?}");
        let outcome = decoder.decode(Message::Text(rest.into()), &limits);
        assert!(matches!(outcome, Ok(Decoded::Packet(_))), "{outcome:?}");
    }
}

#[test]
fn what_a_custom_codec_fails_at_is_an_error_also_when_it_panics() {
    let message = || Message::Text("x".into());
    let limits = Limits::default();
    let refused = |codec: &Codec, what: &str| {
        let violation = Violation::Codec(what.to_owned());
        let mut decoder = codec.decoder();
        let outcome = decoder.decode(message(), &limits).map(drop);
        assert_eq!(outcome, Err(violation));
        let again = Violation::Codec("it has failed before".to_owned());
        let outcome = decoder.decode(message(), &limits).map(drop);
        assert_eq!(outcome, Err(again));
    };
    refused(&decoding(|| Err("not today".into())), "not today");
    refused(&decoding(|| panic!("a mistake")), "it panicked");
    let long = "é".repeat(100_000);
    let shortened = format!("{}..", "é".repeat(128));
    refused(&decoding(move || Err(long.clone().into())), &shortened);

    let refuses = |encode, what: &str| {
        let codec = encoding(encode);
        let refusal = || Some(EncodeError::Codec(what.to_owned()));
        let event = codec.encode_event("/", None, "e", &(), MAX_DEPTH);
        assert_eq!(event.err(), refusal());
        assert_eq!(codec.encode_disconnect("/").err(), refusal());
    };
    refuses(|_| Err("not today".into()), "not today");
    refuses(|_| panic!("a mistake"), "it panicked");
    refuses(|_| Ok(Parts::default()), "a packet without parts");
}

#[test]
fn a_custom_codec_is_not_asked_for_what_no_packet_may_be() {
    let codec = encoding(|_| panic!("asked"));
    let refusal = |outcome: Result<Encoded, EncodeError>| outcome.expect_err("not refused");
    assert_eq!(
        refusal(codec.encode_event("/", None, "disconnect", &(), MAX_DEPTH)),
        EncodeError::ReservedName("disconnect".to_owned())
    );
    assert_eq!(
        refusal(codec.encode_connect("/", &7, MAX_DEPTH)),
        EncodeError::Shape(PacketKind::Connect)
    );
    assert_eq!(
        refusal(codec.encode_connect_error("/", &7, MAX_DEPTH)),
        EncodeError::Shape(PacketKind::ConnectError)
    );
    let deep = (0..129).fold(Value::Null, |value, _| Value::Array(vec![value]));
    assert_eq!(
        refusal(codec.encode_event("/", None, "e", &deep, MAX_DEPTH)),
        EncodeError::TooDeep
    );
}

#[test]
fn only_our_own_codecs_leave_room_for_offsets() {
    assert!(Codec::Json.has_offsets() && Codec::MessagePack.has_offsets());
    let codec = Codec::custom(Backwards::default());
    assert!(!codec.has_offsets());
    let stamped = codec.encode_stamped_event("/", "e", &(), MAX_DEPTH);
    assert!(matches!(stamped, Err(EncodeError::Codec(_))));
}

/// A decoder that panics when it is dropped, and fails at every message.
struct Clingy(Arc<AtomicUsize>);

impl CustomDecoder for Clingy {
    fn decode(
        &mut self,
        _: Message<'_>,
    ) -> Result<Option<UntypedPacket>, Box<dyn Error + Send + Sync>> {
        Err("never".into())
    }
}

impl Drop for Clingy {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("a mistake in the destructor");
    }
}

/// Makes such decoders.
struct Clinging(Arc<AtomicUsize>);

impl CustomCodec for Clinging {
    fn encode(&self, _: &UntypedPacket) -> Result<Parts, Box<dyn Error + Send + Sync>> {
        Err("never".into())
    }

    fn decoder(&self) -> Box<dyn CustomDecoder> {
        Box::new(Clingy(Arc::clone(&self.0)))
    }
}

#[test]
fn a_decoder_that_panics_when_it_is_dropped_harms_nobody() {
    let drops = Arc::new(AtomicUsize::new(0));
    let codec = Clinging(Arc::clone(&drops));
    let limits = Limits::default();
    let dropped = || drops.load(Ordering::Relaxed);
    // Idle, after an error of its own, and after a violation that it has not seen.
    drop(Decoder::new(&codec));
    assert_eq!(dropped(), 1);
    let mut decoder = Decoder::new(&codec);
    let outcome = decoder.decode(Message::Text("x".into()), &limits).map(drop);
    assert_eq!(outcome, Err(Violation::Codec("never".to_owned())));
    assert_eq!(dropped(), 2);
    drop(decoder);
    let mut decoder = Decoder::new(&codec);
    let large = Message::Binary(Bytes::from(vec![0; limits.max_packet + 1]));
    assert!(decoder.decode(large, &limits).is_err());
    assert_eq!(dropped(), 3);
    // While another panic unwinds, which a second one must not turn into an abort.
    let unwinding = catch_unwind(AssertUnwindSafe(|| {
        let _decoder = Decoder::new(&codec);
        panic!("something else");
    }));
    assert!(unwinding.is_err());
    assert_eq!(dropped(), 4);
}
