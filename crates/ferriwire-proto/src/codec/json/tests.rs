//! Packets on the wire, in tables. Cases and attacks have their numbers from docs/protocol.md and
//! the list of advisories that the tests name.

mod attacks;
mod round_trip;

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::codec::{
    Answer, Arguments, Decoded, EncodeError, Limits, MAX_ATTACHMENTS, MAX_DEPTH, Payload, Violation,
};
use crate::encoded::{Encoded, Kind};
use crate::engine::Message;
use crate::packet::{AckId, Body, Packet, PacketKind};
use crate::value::{Args, Value};

/// The text of a message without the Engine.IO packet type, and what follows it.
fn wire(encoded: &Encoded) -> (String, Vec<Bytes>) {
    let text = std::str::from_utf8(encoded.text()).unwrap();
    let text = text.strip_prefix('4').expect("it is a message").to_owned();
    (text, encoded.attachments().cloned().collect())
}

/// A packet in a form that is easily compared.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    namespace: String,
    body: PlainBody,
}

#[derive(Clone, Debug, PartialEq)]
enum PlainBody {
    Connect(Option<String>),
    Disconnect,
    Event(Option<u64>, String, Args),
    Ack(u64, Args),
    ConnectError(String),
}

fn text(payload: Payload<'_>) -> String {
    match payload {
        Payload::Json(text) => text.into(),
        Payload::MessagePack(_) | Payload::Value(_) => panic!("JSON came as something else"),
    }
}

impl From<Packet<'_>> for Plain {
    fn from(packet: Packet<'_>) -> Self {
        let decode = |arguments: Arguments<'_>| arguments.decode().unwrap();
        let body = match packet.body {
            Body::Connect(payload) => PlainBody::Connect(payload.map(text)),
            Body::Disconnect => PlainBody::Disconnect,
            Body::Event {
                id,
                name,
                arguments,
            } => PlainBody::Event(id.map(|id| id.0), name.into_owned(), decode(arguments)),
            Body::Ack { id, arguments } => PlainBody::Ack(id.0, decode(arguments)),
            Body::ConnectError(payload) => PlainBody::ConnectError(text(payload)),
        };
        Self {
            namespace: packet.namespace.into(),
            body,
        }
    }
}

/// Decodes one packet, and checks that nothing of it stays behind.
fn decode(text: &str, attachments: &[Bytes]) -> Result<Plain, Violation> {
    let mut decoder = Decoder::new();
    let limits = Limits::default();
    let messages = attachments.iter().cloned().map(Message::Binary);
    let mut messages = std::iter::once(Message::Text(Cow::Borrowed(text))).chain(messages);
    let packet = loop {
        let message = messages.next().expect("attachments are missing");
        if let Decoded::Packet(packet) = decoder.decode(message, &limits)? {
            break Plain::from(packet);
        }
    };
    assert!(messages.next().is_none(), "attachments are left");
    assert!(!decoder.is_pending());
    Ok(packet)
}

/// Decodes text that is a whole packet, and all of its arguments.
fn check(text: &str) -> Result<(), Violation> {
    let mut decoder = Decoder::new();
    let message = Message::Text(Cow::Borrowed(text));
    match decoder.decode(message, &Limits::default())? {
        Decoded::Packet(Packet {
            body: Body::Event { arguments, .. } | Body::Ack { arguments, .. },
            ..
        }) => arguments.validate(),
        Decoded::Packet(_)
        | Decoded::Announced { .. }
        | Decoded::Attachment
        | Decoded::Incomplete => Ok(()),
    }
}

fn args(values: serde_json::Value) -> Args {
    let serde_json::Value::Array(values) = values else {
        panic!("a list of arguments is an array")
    };
    values.into_iter().map(Value::from).collect()
}

fn event(namespace: &str, id: Option<u64>, name: &str, values: Args) -> Plain {
    Plain {
        namespace: namespace.into(),
        body: PlainBody::Event(id, name.into(), values),
    }
}

fn plain(namespace: &str, body: PlainBody) -> Plain {
    Plain {
        namespace: namespace.into(),
        body,
    }
}

#[test]
fn the_examples_of_the_specification() {
    let data = Bytes::from_static(&[1, 2, 3]);
    let binary = || Args(vec![Value::Binary(data.clone())]);
    let error = r#"{"message":"Not authorized","data":{"code":1}}"#;
    let sid = r#"{"sid":"oSO0OpakMV_3jnilAAAA"}"#;
    let project = args(json!([123]));
    let cases = [
        (
            "0".to_owned(),
            vec![],
            plain("/", PlainBody::Connect(None)),
            encode_connect("/", &(), MAX_DEPTH),
        ),
        (
            r#"0{"token":"x"}"#.to_owned(),
            vec![],
            plain("/", PlainBody::Connect(Some(r#"{"token":"x"}"#.into()))),
            encode_connect("/", &json!({"token": "x"}), MAX_DEPTH),
        ),
        (
            format!("0/admin,{sid}"),
            vec![],
            plain("/admin", PlainBody::Connect(Some(sid.into()))),
            encode_connect("/admin", &json!({"sid": "oSO0OpakMV_3jnilAAAA"}), MAX_DEPTH),
        ),
        (
            "1/admin,".to_owned(),
            vec![],
            plain("/admin", PlainBody::Disconnect),
            Ok(encode_disconnect("/admin")),
        ),
        (
            r#"2["foo"]"#.to_owned(),
            vec![],
            event("/", None, "foo", Args::default()),
            encode_event("/", None, "foo", &(), MAX_DEPTH),
        ),
        (
            r#"2/admin,456["project:delete",123]"#.to_owned(),
            vec![],
            event("/admin", Some(456), "project:delete", project.clone()),
            encode_event(
                "/admin",
                Some(AckId(456)),
                "project:delete",
                &project,
                MAX_DEPTH,
            ),
        ),
        (
            "3/admin,456[]".to_owned(),
            vec![],
            plain("/admin", PlainBody::Ack(456, Args::default())),
            encode_ack("/admin", AckId(456), &(), MAX_DEPTH),
        ),
        (
            format!("4/admin,{error}"),
            vec![],
            plain("/admin", PlainBody::ConnectError(error.into())),
            encode_connect_error(
                "/admin",
                &serde_json::value::RawValue::from_string(error.into()).unwrap(),
                MAX_DEPTH,
            ),
        ),
        (
            r#"51-["hello",{"_placeholder":true,"num":0}]"#.to_owned(),
            vec![data.clone()],
            event("/", None, "hello", binary()),
            encode_event("/", None, "hello", &binary(), MAX_DEPTH),
        ),
        (
            r#"61-/admin,456[{"_placeholder":true,"num":0}]"#.to_owned(),
            vec![data.clone()],
            plain("/admin", PlainBody::Ack(456, binary())),
            encode_ack("/admin", AckId(456), &binary(), MAX_DEPTH),
        ),
    ];
    for (text, attachments, packet, encoded) in cases {
        assert_eq!(decode(&text, &attachments), Ok(packet), "{text}");
        assert_eq!(wire(&encoded.unwrap()), (text, attachments));
    }
}

#[test]
fn other_forms_that_clients_send() {
    let none = Args::default;
    let cases = [
        ("0/admin", plain("/admin", PlainBody::Connect(None))),
        ("0/admin,", plain("/admin", PlainBody::Connect(None))),
        ("0/,{}", plain("/", PlainBody::Connect(Some("{}".into())))),
        ("1", plain("/", PlainBody::Disconnect)),
        ("1/admin", plain("/admin", PlainBody::Disconnect)),
        (
            "4\"refused\"",
            plain("/", PlainBody::ConnectError("\"refused\"".into())),
        ),
        // A bare acknowledgement; id 0; the largest id; leading zeros.
        ("37", plain("/", PlainBody::Ack(7, none()))),
        ("3/a,7", plain("/a", PlainBody::Ack(7, none()))),
        ("20[\"e\"]", event("/", Some(0), "e", none())),
        (
            "29007199254740991[\"e\"]",
            event("/", Some((1 << 53) - 1), "e", none()),
        ),
        ("20000000000000007[\"e\"]", event("/", Some(7), "e", none())),
        // Names are data: escapes, numbers as JavaScript prints them, names of properties.
        (r#"2["\u0061\"b\n"]"#, event("/", None, "a\"b\n", none())),
        ("2[5]", event("/", None, "5", none())),
        ("2[-3]", event("/", None, "-3", none())),
        ("2[1.0,2]", event("/", None, "1", args(json!([2])))),
        ("2[1e3]", event("/", None, "1000", none())),
        ("2[-0.0]", event("/", None, "0", none())),
        ("2[\"\"]", event("/", None, "", none())),
        (
            r#"2["__proto__",{"__proto__":1}]"#,
            event("/", None, "__proto__", args(json!([{"__proto__": 1}]))),
        ),
        ("2[ \"e\" , 1 ] ", event("/", None, "e", args(json!([1])))),
        // The namespace ends at the first comma, whatever is in it.
        ("2/a\"b[c,[\"e\"]", event("/a\"b[c", None, "e", none())),
        // Without attachments a placeholder is plain data (case 53).
        (
            r#"2["e",{"_placeholder":true,"num":0}]"#,
            event(
                "/",
                None,
                "e",
                args(json!([{"_placeholder": true, "num": 0}])),
            ),
        ),
    ];
    for (text, packet) in cases {
        assert_eq!(decode(text, &[]), Ok(packet), "{text}");
    }
}

#[test]
fn violations_of_the_head_and_the_payload() {
    use PacketKind::{Ack, BinaryAck, BinaryEvent, Connect, ConnectError, Disconnect, Event};
    use Violation::*;
    let shape = |kind| Some(Shape(kind));
    let cases = [
        ("", Some(UnknownType)),
        ("7", Some(UnknownType)),
        ("9[\"e\"]", Some(UnknownType)),
        ("abc", Some(UnknownType)),
        ("éabcd", Some(UnknownType)),
        (" ", Some(UnknownType)),
        // T-ADV-06, T-ADV-14 and case 52: the number of attachments.
        ("5", Some(AttachmentCount)),
        ("5-", Some(AttachmentCount)),
        ("51", Some(AttachmentCount)),
        ("5a-", Some(AttachmentCount)),
        ("51.23-", Some(AttachmentCount)),
        ("5-1-[\"e\"]", Some(AttachmentCount)),
        ("5+1-[\"e\"]", Some(AttachmentCount)),
        ("5 1-[\"e\"]", Some(AttachmentCount)),
        ("50-[\"e\"]", Some(AttachmentCount)),
        ("500000-[\"e\"]", Some(AttachmentCount)),
        ("60-[]", Some(AttachmentCount)),
        ("60-7[]", Some(AttachmentCount)),
        // T-ADV-13
        ("511-[\"e\"]", Some(TooManyAttachments { limit: 10 })),
        ("51000000-[\"e\"]", Some(TooManyAttachments { limit: 10 })),
        (
            "5100000000000000000000-[\"e\"]",
            Some(TooManyAttachments { limit: 10 }),
        ),
        ("5999999999-[\"e\"]", Some(TooManyAttachments { limit: 10 })),
        // Acknowledgement ids
        ("3[]", Some(AckId)),
        ("3", Some(AckId)),
        ("61-[]", Some(AckId)),
        ("29007199254740992[\"e\"]", Some(AckId)),
        ("212345678901234567[\"e\"]", Some(AckId)),
        ("200000000000000001[\"e\"]", Some(AckId)),
        // Payloads that do not suit their kind: cases 45 and 49, T-ADV-11.
        ("0[]", shape(Connect)),
        ("0\"x\"", shape(Connect)),
        ("0null", shape(Connect)),
        ("01", shape(Connect)),
        ("1{}", shape(Disconnect)),
        ("1/a,[]", shape(Disconnect)),
        ("4", shape(ConnectError)),
        ("4[]", shape(ConnectError)),
        ("41", shape(ConnectError)),
        ("2", shape(Event)),
        ("27", shape(Event)),
        ("2{}", shape(Event)),
        ("2abc[\"message-with-ack\",1]", shape(Event)),
        ("2 [\"e\"]", shape(Event)),
        ("2[", shape(Event)),
        ("2\"e\"", shape(Event)),
        ("2[null]", shape(Event)),
        ("2[null,\"bar\"]", shape(Event)),
        ("2[true]", shape(Event)),
        ("2[[\"a\"]]", shape(Event)),
        ("2[{\"toString\":\"foo\"}]", shape(Event)),
        ("51-{}", shape(BinaryEvent)),
        ("37{}", shape(Ack)),
        ("37 []", shape(Ack)),
        ("61-7", shape(BinaryAck)),
        ("61-7{}", shape(BinaryAck)),
        // Limits
        ("2[\"connect\"]", Some(ReservedName("connect".into()))),
        (
            "2[\"connect_error\"]",
            Some(ReservedName("connect_error".into())),
        ),
        (
            "2[\"disconnect\",1]",
            Some(ReservedName("disconnect".into())),
        ),
        (
            "2[\"disconnecting\"]",
            Some(ReservedName("disconnecting".into())),
        ),
        (
            "2[\"newListener\"]",
            Some(ReservedName("newListener".into())),
        ),
        (
            "2[\"remove\\u004cistener\"]",
            Some(ReservedName("removeListener".into())),
        ),
        // Not JSON, or too little of it
        ("2[]", None),
        ("2[\"e", None),
        ("2[\"e\"", None),
        ("2[\"e\",", None),
        ("2[\"e\",]", None),
        ("2[\"e\" 1]", None),
        ("2[\"e\"],1]", None),
        ("2[\"e\"]]", None),
        ("2[\"e\"]x", None),
        ("2[\"e\",{]}", None),
        ("2[\"e\",nul]", None),
        ("2[\"e\",\"\n\"]", None),
        ("2[\"\\x\"]", None),
        ("2[1e400]", None),
        ("2[NaN]", None),
        ("37[1", None),
        ("0{", None),
        ("0{}{}", None),
        ("0{\"a\":}", None),
        ("4\"x", None),
    ];
    for (text, violation) in cases {
        let actual = check(text).expect_err(text);
        match violation {
            Some(violation) => assert_eq!(actual, violation, "{text}"),
            None => assert!(matches!(actual, Json(_)), "{text}: {actual}"),
        }
    }
}

#[test]
fn names_of_256_bytes_are_the_longest() {
    assert_eq!(check(&format!("2[\"{}\"]", "é".repeat(128))), Ok(()));
    let too_long = Violation::NameTooLong {
        len: 257,
        limit: 256,
    };
    assert_eq!(check(&format!("2[\"{}\"]", "x".repeat(257))), Err(too_long));
}

/// The connection was closed for it.
#[test]
fn half_a_character_in_a_name_is_replaced() {
    let text = r#"2["caf\ud83d",1]"#;
    let expected = event("/", None, "caf\u{fffd}", args(json!([1])));
    assert_eq!(decode(text, &[]), Ok(expected));
}

#[test]
fn events_that_clients_may_name_freely() {
    // T-ADV-12 and A23: only the six reserved names are refused.
    for name in [
        "error",
        "connection",
        "end",
        "close",
        "data",
        "drain",
        "upgrade",
        "constructor",
        "prototype",
        "toString",
        "hasOwnProperty",
    ] {
        for count in 0..4 {
            let values: Args = std::iter::repeat_n(Value::from("x"), count).collect();
            let (text, _) = wire(&encode_event("/", None, name, &values, MAX_DEPTH).unwrap());
            assert_eq!(decode(&text, &[]), Ok(event("/", None, name, values)));
        }
    }
}

#[test]
fn what_cannot_be_encoded() {
    let binary = Value::Binary(Bytes::new());
    for name in crate::packet::RESERVED {
        let error = encode_event("/", None, name, &(), MAX_DEPTH).unwrap_err();
        assert_eq!(error, EncodeError::ReservedName(name.into()));
    }
    let eleven = vec![binary.clone(); 11];
    let ten = eleven.get(..10).unwrap();
    assert!(encode_event("/", None, "e", &ten, MAX_DEPTH).is_ok());
    let too_many = Err(EncodeError::TooManyAttachments);
    assert_eq!(
        encode_event("/", None, "e", &eleven, MAX_DEPTH).map(|_| ()),
        too_many
    );
    assert_eq!(
        encode_ack("/", AckId(1), &eleven, MAX_DEPTH).map(|_| ()),
        too_many
    );
    assert_eq!(
        encode_connect("/", &binary, MAX_DEPTH).map(|_| ()),
        Err(EncodeError::Binary)
    );
    let shape = Err(EncodeError::Shape(PacketKind::Connect));
    assert_eq!(encode_connect("/", &[1], MAX_DEPTH).map(|_| ()), shape);
    let shape = Err(EncodeError::Shape(PacketKind::ConnectError));
    assert_eq!(encode_connect_error("/", &(), MAX_DEPTH).map(|_| ()), shape);
    let keys = std::collections::BTreeMap::from([(vec![1], 1)]);
    let error = encode_event("/", None, "e", &keys, MAX_DEPTH).unwrap_err();
    assert!(matches!(error, EncodeError::Serialize(_)), "{error}");
}

#[test]
fn only_events_may_be_dropped_from_a_full_queue() {
    assert_eq!(
        encode_event("/", None, "e", &(), MAX_DEPTH).unwrap().kind(),
        Kind::Event
    );
    assert_eq!(
        encode_ack("/", AckId(1), &(), MAX_DEPTH).unwrap().kind(),
        Kind::Control
    );
    assert_eq!(encode_disconnect("/").kind(), Kind::Control);
}

#[test]
fn names_are_written_as_json() {
    let (text, _) = wire(&encode_event("/a", None, "say \"hi\"\n", &1, MAX_DEPTH).unwrap());
    assert_eq!(text, r#"2/a,["say \"hi\"\n",1]"#);
    let longest = encode_event(
        "/ns",
        Some(AckId::MAX),
        "e",
        &Bytes::from_static(b"x"),
        MAX_DEPTH,
    )
    .unwrap();
    let (text, _) = wire(&longest);
    assert_eq!(
        text,
        r#"51-/ns,9007199254740991["e",{"_placeholder":true,"num":0}]"#
    );
}

#[test]
fn a_stamped_event_ends_with_its_offset() {
    let offset = crate::log::Offset {
        epoch: crate::log::Epoch([9; 6]),
        seq: 77,
    };
    let stamp = offset.encode();
    let stamp = std::str::from_utf8(&stamp).unwrap();
    for (namespace, payload, expected) in [
        ("/", json!([]), format!("2[\"e\",[],\"{stamp}\"]")),
        (
            "/chat",
            json!("hi"),
            format!("2/chat,[\"e\",\"hi\",\"{stamp}\"]"),
        ),
    ] {
        let mut event = encode_stamped_event(namespace, "e", &payload, MAX_DEPTH).unwrap();
        assert!(event.has_slot());
        event.stamp(offset);
        assert_eq!(wire(&event), (expected, Vec::new()));
    }
    let mut event = encode_stamped_event("/", "e", &(), MAX_DEPTH).unwrap();
    event.stamp(offset);
    assert_eq!(wire(&event).0, format!("2[\"e\",\"{stamp}\"]"));
    let mut event = encode_stamped_event("/", "e", &Bytes::from_static(&[1]), MAX_DEPTH).unwrap();
    event.stamp(offset);
    let text = format!("51-[\"e\",{{\"_placeholder\":true,\"num\":0}},\"{stamp}\"]");
    assert_eq!(wire(&event), (text, vec![Bytes::from_static(&[1])]));
}

#[test]
fn the_head_of_a_packet_counts_its_attachments_in_one_digit_or_two() {
    for (namespace, shown) in [("/", ""), ("/admin", "/admin,")] {
        for count in [1, 9, 10] {
            let data = vec![Bytes::from_static(&[1]); count];
            let text = |encoded: Encoded| String::from_utf8(encoded.text().to_vec()).unwrap();
            let ack = text(encode_ack(namespace, AckId::MAX, &data, MAX_DEPTH).unwrap());
            let head = format!("46{count}-{shown}9007199254740991[[{{");
            assert!(ack.starts_with(&head), "{ack}");
            let event = text(encode_event(namespace, None, "e", &data, MAX_DEPTH).unwrap());
            let head = format!("45{count}-{shown}[\"e\",[{{");
            assert!(event.starts_with(&head), "{event}");
        }
    }
}

/// The memory is used again, also behind an answer that could not be written.
#[test]
fn an_answer_in_memory_that_was_used_is_the_same_as_one_in_its_own() {
    let mut scratch = Vec::new();
    for (namespace, answer) in [
        ("/", json!(["a"])),
        ("/admin", json!(1)),
        ("/", json!(null)),
    ] {
        let message = encode_ack(namespace, AckId(7), &answer, MAX_DEPTH).unwrap();
        let Ok(Answer::Frame(start)) =
            encode_answer(&mut scratch, namespace, AckId(7), &answer, MAX_DEPTH)
        else {
            panic!("it has no attachments");
        };
        let expected: Vec<u8> = message.websocket_pieces().flatten().copied().collect();
        assert_eq!(&scratch[start..], expected);
        let refused = encode_answer(&mut scratch, namespace, AckId(7), &json!([[]]), 1);
        assert!(matches!(refused, Err(EncodeError::TooDeep)));
    }
    let binary = (Value::Binary(Bytes::from_static(b"data")),);
    let answer = encode_answer(&mut scratch, "/", AckId(7), &binary, MAX_DEPTH).unwrap();
    let Answer::Message(message) = answer else {
        panic!("it has an attachment");
    };
    assert_eq!(message.attachments().len(), 1);
}
