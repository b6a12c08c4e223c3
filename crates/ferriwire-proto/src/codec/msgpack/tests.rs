//! Packets as the npm parser writes and reads them, then what nobody should write.

mod attacks;
mod round_trip;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::*;
use crate::codec::{
    Arguments, ArgumentsError, Codec, Decoded, EncodeError, Limits, MAX_DEPTH, Violation,
    decode_connect_payload,
};
use crate::encoded::{Encoded, Kind};
use crate::engine::Message;
use crate::log::Offset;
use crate::packet::{AckId, Body, Packet, PacketKind};
use crate::value::{Args, Value};

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn hex(encoded: &Encoded) -> String {
    assert!(encoded.text().is_empty());
    let mut messages = encoded.attachments();
    let message = messages.next().unwrap();
    assert!(messages.next().is_none(), "one message for each packet");
    message.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a packet says, in words.
fn read(message: Bytes) -> Result<String, Violation> {
    let mut decoder = Decoder::new();
    let Decoded::Packet(packet) = decoder.decode(Message::Binary(message), &Limits::default())?
    else {
        panic!("a packet is complete at once");
    };
    let Packet { namespace, body } = packet;
    let decode = |arguments: Arguments<'_>| {
        arguments.validate().unwrap();
        arguments.decode::<Args>().map(|Args(values)| values)
    };
    Ok(match body {
        Body::Connect(None) => format!("connect {namespace}"),
        Body::Connect(Some(data)) => {
            format!("connect {namespace} {:?}", data.decode::<Value>())
        }
        Body::Disconnect => format!("disconnect {namespace}"),
        Body::Event {
            id,
            name,
            arguments,
        } => {
            let id = id.map(|id| id.0);
            format!("event {namespace} {id:?} {name} {:?}", decode(arguments))
        }
        Body::Ack { id, arguments } => format!("ack {namespace} {id} {:?}", decode(arguments)),
        Body::ConnectError(data) => format!("refused {namespace} {:?}", data.decode::<Value>()),
    })
}

/// Decodes the arguments of an event.
fn payload<T: DeserializeOwned + 'static>(message: Bytes) -> Result<T, ArgumentsError> {
    let mut decoder = Decoder::new();
    match decoder.decode(Message::Binary(message), &Limits::default()) {
        Ok(Decoded::Packet(Packet {
            body: Body::Event { arguments, .. } | Body::Ack { arguments, .. },
            ..
        })) => arguments.decode(),
        other => panic!("no arguments in {other:?}"),
    }
}

/// The bytes behind the prefix of one value, as the only argument of an event `e`.
fn event_with(argument: &str) -> Bytes {
    bytes(&format!(
        "83 a474797065 02 a464617461 92 a165 {argument} a36e7370 a12f"
    ))
}

/// Made by the parser itself, with each packet of the comment as `p`:
///
/// ```js
/// const { Encoder } = require("socket.io-msgpack-parser"); // 3.0.2, notepack.io 2.2.0
/// console.log(new Encoder().encode(p)[0].toString("hex"));
/// ```
#[test]
fn packets_of_the_npm_parser_are_read() {
    let cases = [
        // {type: 0, nsp: "/", options: {compress: true}}
        (
            "83a47479706500a36e7370a12fa76f7074696f6e7381a8636f6d7072657373c3",
            "connect /",
        ),
        // {type: 0, data: undefined, nsp: "/"}
        ("83a47479706500a464617461d40000a36e7370a12f", "connect /"),
        // {type: 0, data: {token: "x"}, nsp: "/admin", options: {compress: true}}
        (
            "84a47479706500a46461746181a5746f6b656ea178a36e7370a62f61646d696ea76f7074696f6e7381a8636f6d7072657373c3",
            r#"connect /admin Ok(Object({"token": String("x")}))"#,
        ),
        // {type: 0, data: {sid: "abc"}, nsp: "/"}
        (
            "83a47479706500a46461746181a3736964a3616263a36e7370a12f",
            r#"connect / Ok(Object({"sid": String("abc")}))"#,
        ),
        // {type: 2, data: ["hello", Buffer.from([1, 2])], id: 12, nsp: "/chat"}
        (
            "84a47479706502a46461746192a568656c6c6fc4020102a269640ca36e7370a52f63686174",
            r#"event /chat Some(12) hello Ok([Binary(b"\x01\x02")])"#,
        ),
        // {type: 2, data: ["d", new Date(1577836800123), new Date(-5)], nsp: "/"}
        (
            "83a47479706502a46461746193a164d7000000016f5e66e87bd700fffffffffffffffba36e7370a12f",
            r#"event / None d Ok([String("2020-01-01T00:00:00.123Z"), String("1969-12-31T23:59:59.995Z")])"#,
        ),
        // {type: 2, data: ["u", undefined, null, [undefined]], nsp: "/", id: undefined}
        (
            "84a47479706502a46461746194a175d40000c091d40000a36e7370a12fa26964d40000",
            "event / None u Ok([Null, Null, Array([Null])])",
        ),
        // data: ["b", Buffer.from([1, 2]), new Uint8Array([3]), new Uint8Array([4, 5]).buffer]
        (
            "83a47479706502a46461746194a162c4020102c7010003c702000405a36e7370a12f",
            r#"event / None b Ok([Binary(b"\x01\x02"), Binary(b"\x03"), Binary(b"\x04\x05")])"#,
        ),
    ];
    for (message, said) in cases {
        assert_eq!(read(bytes(message)).as_deref(), Ok(said));
    }
}

/// `data: ["n", 0, 127, .., NaN, Infinity, 1e300]`, by the same script.
#[test]
fn numbers_of_the_npm_parser_are_read_and_written_alike() {
    let message = "83a47479706502a464617461dc001aa16e007fcc80ccffcd0100cdffffce00010000ceffffffff
        cf0000000100000000cf001fffffffffffffffe0d0dfd080d1ff7fd18000d2ffff7fffd280000000
        d3ffffffff7fffffffd3ffe0000000000001cb3fe000000000000000cb7ff8000000000000
        cb7ff0000000000000cf0000000000000000a36e7370a12f";
    // `1e300` is beyond what the npm parser can write: it comes as 0.
    let integers: Vec<i64> = vec![
        0,
        127,
        128,
        255,
        256,
        65_535,
        65_536,
        4_294_967_295,
        4_294_967_296,
        9_007_199_254_740_991,
        -1,
        -32,
        -33,
        -128,
        -129,
        -32_768,
        -32_769,
        -2_147_483_648,
        -2_147_483_649,
        -9_007_199_254_740_991,
    ];
    let Args(values) = payload(bytes(message)).unwrap();
    let read: Vec<i64> = values.iter().map_while(Value::as_i64).collect();
    assert_eq!(read, integers);
    assert_eq!(values.get(20).and_then(Value::as_f64), Some(0.5));

    let list = Args(integers.into_iter().map(Value::from).collect());
    let written = hex(&encode_event("/", None, "n", &list, MAX_DEPTH).unwrap());
    let numbers = |hex: &str| {
        let hex: String = hex.split_whitespace().collect();
        let start = hex.find("a16e00").unwrap();
        let end = hex.find("d3ffe0000000000001").unwrap();
        hex.get(start..end).unwrap().to_owned()
    };
    assert_eq!(numbers(&written), numbers(message));
}

#[test]
fn packets_are_written_as_the_npm_parser_writes_them() {
    #[derive(Serialize)]
    struct Accepted {
        sid: &'static str,
    }

    let data = Bytes::from_static(&[1, 2]);
    let none: Option<Accepted> = None;
    let chat = "84a47479706502a46461746192a568656c6c6fc4020102a269640ca36e7370a52f63686174";
    let cases = [
        (
            encode_connect("/", &Accepted { sid: "abc" }, MAX_DEPTH),
            Kind::Control,
            "83a47479706500a46461746181a3736964a3616263a36e7370a12f",
        ),
        (
            encode_connect("/", &none, MAX_DEPTH),
            Kind::Control,
            "82a47479706500a36e7370a12f",
        ),
        (
            encode_event("/chat", Some(AckId(12)), "hello", &data, MAX_DEPTH),
            Kind::Event,
            chat,
        ),
        (
            encode_event("/", None, "a", &(), MAX_DEPTH),
            Kind::Event,
            "83a47479706502a46461746191a161a36e7370a12f",
        ),
        (
            encode_ack("/", AckId(300), &("x", None::<u8>), MAX_DEPTH),
            Kind::Control,
            "84a47479706503a46461746192a178c0a26964cd012ca36e7370a12f",
        ),
        (
            Ok(encode_disconnect("/chat")),
            Kind::Control,
            "82a47479706501a36e7370a52f63686174",
        ),
        (
            encode_connect_error("/", &BTreeMap::from([("message", "no")]), MAX_DEPTH),
            Kind::Control,
            "83a47479706504a46461746181a76d657373616765a26e6fa36e7370a12f",
        ),
    ];
    for (encoded, kind, message) in cases {
        let encoded = encoded.unwrap();
        assert_eq!(hex(&encoded), message);
        assert_eq!(encoded.kind(), kind);
    }
}

/// Also where the offset is the sixteenth element, so that the header of the list grows.
#[test]
fn a_stamped_event_ends_with_its_offset() {
    let offset = Offset {
        epoch: crate::log::Epoch([9; 6]),
        seq: 7,
    };
    let stamp = str::from_utf8(&offset.encode()).unwrap().to_owned();
    for (namespace, count) in [("/", 0), ("/chat", 1), ("/", 13), ("/", 14), ("/", 300)] {
        let args = Args(vec![Value::from(300); count]);
        let mut event = encode_stamped_event(namespace, "e", &args, MAX_DEPTH).unwrap();
        assert!(event.has_slot());
        event.stamp(offset);
        let message = event.attachments().next().unwrap().clone();
        let limits = Limits {
            max_arguments: 301,
            ..Limits::default()
        };
        let mut decoder = Decoder::new();
        let Ok(Decoded::Packet(Packet {
            body: Body::Event { arguments, .. },
            ..
        })) = decoder.decode(Message::Binary(message), &limits)
        else {
            panic!("no event");
        };
        let Args(values) = arguments.decode().unwrap();
        assert_eq!(values.len(), count + 1);
        assert_eq!(values.last(), Some(&Value::from(stamp.as_str())));
    }
}

#[test]
fn what_cannot_be_sent_is_an_error() {
    let refused = |outcome: Result<Encoded, EncodeError>| outcome.unwrap_err();
    assert_eq!(
        refused(encode_event("/", None, "disconnect", &(), MAX_DEPTH)),
        EncodeError::ReservedName("disconnect".into())
    );
    assert_eq!(
        refused(encode_connect("/", "text", MAX_DEPTH)),
        EncodeError::Shape(PacketKind::Connect)
    );
    assert_eq!(
        refused(encode_connect_error("/", &7, MAX_DEPTH)),
        EncodeError::Shape(PacketKind::ConnectError)
    );
    let keys = BTreeMap::from([((1, 2), 3)]);
    assert!(matches!(
        refused(encode_event("/", None, "e", &(keys,), MAX_DEPTH)),
        EncodeError::Serialize(_)
    ));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picture: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(u8),
    Tuple(u8, String),
    Struct { user: User },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u32,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// A typed value comes back as it was, and JSON gives the same.
#[track_caller]
fn same<T: Serialize + DeserializeOwned + 'static + PartialEq + std::fmt::Debug>(value: &T) {
    for codec in [Codec::MessagePack, Codec::Json] {
        let encoded = codec
            .encode_event("/", None, "e", value, MAX_DEPTH)
            .unwrap();
        let mut decoder = codec.decoder();
        let text = str::from_utf8(encoded.text()).unwrap();
        let text = text
            .strip_prefix('4')
            .map(|text| Message::Text(text.into()));
        let messages = encoded.attachments().cloned().map(Message::Binary);
        for message in text.into_iter().chain(messages) {
            if let Decoded::Packet(Packet {
                body: Body::Event { arguments, .. },
                ..
            }) = decoder.decode(message, &Limits::default()).unwrap()
            {
                assert_eq!(arguments.decode::<T>().as_ref(), Ok(value), "{codec:?}");
            }
        }
    }
}

#[test]
fn typed_values_mean_the_same_under_both_codecs() {
    let user = User {
        name: "Zoë 🦀".into(),
        picture: Some(Bytes::from_static(&[0, 255])),
    };
    same(&user);
    same(&(
        1_u8,
        -1_i8,
        0.5_f32,
        'x',
        true,
        None::<u8>,
        Some("y".to_owned()),
    ));
    same(&(u64::MAX, i64::MIN, u128::from(u64::MAX), 1.0_f64));
    same(&vec![vec![(1_u8, "a".to_owned())], vec![]]);
    for shape in [
        Shape::Unit,
        Shape::Newtype(7),
        Shape::Tuple(1, "x".into()),
        Shape::Struct { user },
    ] {
        same(&shape);
        same(&(shape, 1_u8));
    }
    same(&BTreeMap::from([
        (-1_i16, "below".to_owned()),
        (300, "above".into()),
    ]));
    same(&BTreeMap::from([(true, 1_u8)]));
    let rest = BTreeMap::from([("a".to_owned(), Value::from(1)), ("b".into(), Value::Null)]);
    same(&Flat { id: 7, rest });
    same(&std::net::Ipv4Addr::LOCALHOST);
    same(
        &(0..300_u32)
            .map(|number| (number.to_string(), number))
            .collect::<BTreeMap<_, _>>(),
    );
    same(&(0..70_000_u32).collect::<Vec<_>>());
    same(&[
        "x".repeat(31),
        "x".repeat(32),
        "x".repeat(255),
        "x".repeat(256),
        "x".repeat(65_536),
    ]);
    let binary = |len| Bytes::from(vec![7; len]);
    same(&(
        binary(0),
        binary(255),
        binary(256),
        binary(65_535),
        binary(65_536),
    ));
}

#[test]
fn sequences_of_unknown_length_and_json_text_are_written() {
    struct Unknown(usize);

    impl Serialize for Unknown {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((0..self.0).filter(|_| true))
        }
    }

    for len in [0, 1, 15, 16, 65_535, 65_536] {
        let encoded = encode_event("/", None, "e", &(Unknown(len), "end"), MAX_DEPTH).unwrap();
        let message = encoded.attachments().next().unwrap().clone();
        let (numbers, end): (Vec<usize>, String) = payload(message).unwrap();
        assert_eq!((numbers.len(), end.as_str()), (len, "end"));
    }
    let raw = serde_json::value::to_raw_value(&serde_json::json!({"a": [1, null]})).unwrap();
    let encoded = encode_event("/", None, "e", &raw, MAX_DEPTH).unwrap();
    let written = hex(&encoded);
    assert!(written.contains("81a1619201c0"), "{written}");
}

#[test]
fn binary_data_shares_the_message_unless_it_is_a_small_part_of_it() {
    let check = |large: usize, rest: usize, shares: bool| {
        let data = (Bytes::from(vec![1; large]), "x".repeat(rest));
        let encoded = encode_event("/", None, "e", &data, MAX_DEPTH).unwrap();
        let message = encoded.attachments().next().unwrap().clone();
        let range = message.as_ptr_range();
        let (binary, _): (Value, String) = payload(message.clone()).unwrap();
        let binary = binary.as_binary().unwrap();
        assert_eq!(*binary, data.0);
        assert_eq!(
            range.contains(&binary.as_ptr()),
            shares,
            "{large} of {rest}"
        );
        // Not before, so that its memory is not used again.
        drop(message);
    };
    check(1_000, 100, true);
    check(1_000, 10_000, false);
}

#[test]
fn binary_data_is_a_sequence_to_whoever_wants_one() {
    let numbers: Vec<u8> = payload(event_with("c403 010203")).unwrap();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn names_may_be_integers() {
    let map: BTreeMap<String, u8> = payload(event_with("82 05 01 e0 02")).unwrap();
    assert_eq!(map, BTreeMap::from([("5".into(), 1), ("-32".into(), 2)]));
    let map: BTreeMap<i8, u8> = payload(event_with("82 05 01 a2 2d31 02")).unwrap();
    assert_eq!(map, BTreeMap::from([(5, 1), (-1, 2)]));
}

/// A number as a name, which only a float that is ordered can be.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Degrees(f64);

impl Eq for Degrees {}

impl PartialOrd for Degrees {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Degrees {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[test]
fn names_may_be_finite_floats_under_both_codecs() {
    same(&BTreeMap::from([(Degrees(-0.5), 1), (Degrees(1e300), 2)]));
    let infinite = BTreeMap::from([(Degrees(f64::INFINITY), 1)]);
    for codec in [Codec::MessagePack, Codec::Json] {
        let outcome = codec.encode_event("/", None, "e", &infinite, MAX_DEPTH);
        assert!(matches!(outcome, Err(EncodeError::Serialize(_))));
    }
    let map = payload::<BTreeMap<Degrees, u8>>(event_with("81 a3 4e614e 02"));
    assert!(matches!(map, Err(ArgumentsError::Mismatch { .. })));
}

#[test]
fn of_two_entries_with_one_name_a_value_has_the_last() {
    let value: Value = payload(event_with("82 a161 01 a161 02")).unwrap();
    assert_eq!(value.get("a"), Some(&Value::from(2)));
}

/// As the npm parser gives them to a program: `[type, data]`.
#[test]
fn unknown_extensions_are_their_number_and_their_data() {
    for extension in [
        "d4 05 07",
        "c7 01 05 07",
        "c8 0001 05 07",
        "c9 00000001 05 07",
    ] {
        let value: (Value,) = payload(event_with(extension)).unwrap();
        let data = Value::Binary(Bytes::from_static(&[7]));
        assert_eq!(value.0, Value::Array(vec![Value::from(5), data]));
    }
    // A timestamp of MessagePack itself, which JavaScript's notepack does not know.
    let value: (Value,) = payload(event_with("d6 ff 00000000")).unwrap();
    assert_eq!(value.0.as_array().unwrap()[0], Value::from(-1));
}

#[test]
fn arguments_that_do_not_fit_are_named_by_their_path() {
    let check = |argument: &str, expected: &str| match payload::<(u8, User)>(event_with(argument)) {
        Err(ArgumentsError::Mismatch { path, .. }) => assert_eq!(path, expected),
        other => panic!("{other:?}"),
    };
    check("c0", "[0]");
    check("07", "[1]");
    let two = |value: &str| {
        let message = format!("83 a474797065 02 a464617461 93 a165 01 {value} a36e7370 a12f");
        payload::<(u8, User)>(bytes(&message))
    };
    let path = |outcome: Result<_, ArgumentsError>| match outcome {
        Err(ArgumentsError::Mismatch { path, message }) => (path, message),
        Err(error) => panic!("{error}"),
        Ok::<(u8, User), _>(fits) => panic!("{fits:?}"),
    };
    assert_eq!(path(two("81 a46e616d65 05")).0, "[1].name");
    let (missing, message) = path(two("80"));
    assert_eq!(
        (missing.as_str(), message.as_str()),
        ("[1]", "missing field `name`")
    );
    let deep = payload::<(Vec<BTreeMap<String, Vec<bool>>>,)>(event_with("92 80 81 a161 92 c2 00"));
    assert!(
        matches!(&deep, Err(ArgumentsError::Mismatch { path, .. }) if path == "[0][1].a[1]"),
        "{deep:?}"
    );
}

#[test]
fn raw_json_fits_no_argument() {
    // The last one is what `RawValue` looks for in JSON, `{"$serde_json::private::RawValue": "1"}`.
    let name = "$serde_json::private::RawValue";
    let names: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    let pretence = format!("81 be {names} a131");
    for argument in ["01", "a131", "90", "80", "c40101", "d40000", &pretence] {
        let raw = payload::<(Box<RawValue>,)>(event_with(argument));
        assert!(
            matches!(raw, Err(ArgumentsError::Mismatch { .. })),
            "{argument}: {raw:?}"
        );
    }
    let none = payload::<(Option<Box<RawValue>>,)>(event_with("c0")).unwrap();
    assert!(none.0.is_none());
    assert!(payload::<(Value,)>(event_with(&pretence)).is_ok());
}

#[test]
fn a_connect_payload_is_decoded_into_a_type() {
    #[derive(Debug, Default, PartialEq, Deserialize)]
    struct Auth {
        token: Option<u8>,
    }

    let mut decoder = Decoder::new();
    let message = bytes("83 a474797065 00 a464617461 81 a5746f6b656e 07 a36e7370 a12f");
    let Ok(Decoded::Packet(Packet {
        body: Body::Connect(data),
        ..
    })) = decoder.decode(Message::Binary(message), &Limits::default())
    else {
        panic!("no CONNECT");
    };
    assert_eq!(decode_connect_payload(data), Ok(Auth { token: Some(7) }));
    assert_eq!(decode_connect_payload(data), Ok(()));
    assert_eq!(decode_connect_payload(None), Ok(Auth::default()));
    #[derive(Debug, PartialEq, Deserialize)]
    struct Other {
        #[serde(rename = "token")]
        _token: String,
    }
    let wrong = decode_connect_payload::<Other>(data);
    assert!(matches!(wrong, Err(ArgumentsError::Mismatch { path, .. }) if path == "token"));
}

#[test]
fn arguments_that_wait_decode_as_before() {
    let mut decoder = Decoder::new();
    let message = event_with("c402 0102");
    let Ok(Decoded::Packet(Packet {
        body: Body::Event { arguments, .. },
        ..
    })) = decoder.decode(Message::Binary(message), &Limits::default())
    else {
        panic!("no event");
    };
    let kept = arguments.to_owned();
    decoder.release();
    let data: Bytes = kept.as_arguments().decode().unwrap();
    assert_eq!(data.as_ref(), [1, 2]);
}
