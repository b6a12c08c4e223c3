//! Whatever is encoded is decoded to the same, with its binary data shared.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn values() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no others", |n| n.is_finite())
            .prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        ".*".prop_map(Value::from),
        // Names that mean something to us or to JavaScript.
        Just(Value::from("_placeholder")),
        vec(any::<u8>(), 0..20).prop_map(|data| Value::Binary(data.into())),
    ];
    let name = prop_oneof![".*", Just("num".to_owned()), Just("__proto__".to_owned())];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(name.clone(), inner, 0..5).prop_map(Value::from),
        ]
    })
}

fn binaries(value: &Value) -> usize {
    match value {
        Value::Binary(_) => 1,
        Value::Array(values) => values.iter().map(binaries).sum(),
        Value::Object(entries) => entries.values().map(binaries).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

proptest! {
    #[test]
    fn arguments_survive_the_wire(
        values in vec(values(), 0..4),
        name in "[^\u{0}]{0,20}",
        id in proptest::option::of(0..=AckId::MAX.0),
        namespace in prop_oneof![Just("/".to_owned()), "/[a-z]{1,10}"],
    ) {
        let values = Args(values);
        let count: usize = values.0.iter().map(binaries).sum();
        let encoded = encode_event(&namespace, id.map(AckId), &name, &values, MAX_DEPTH);
        if count > MAX_ATTACHMENTS {
            prop_assert_eq!(encoded.map(|_| ()), Err(EncodeError::TooManyAttachments));
        } else if crate::packet::is_reserved(&name) {
            prop_assert!(encoded.is_err());
        } else {
            let (text, attachments) = wire(&encoded.unwrap());
            prop_assert_eq!(attachments.len(), count);
            prop_assert_eq!(decode(&text, &attachments), Ok(event(&namespace, id, &name, values.clone())));
        }
        if count <= MAX_ATTACHMENTS {
            let (text, attachments) = wire(&encode_ack(&namespace, AckId(1), &values, MAX_DEPTH).unwrap());
            prop_assert_eq!(decode(&text, &attachments), Ok(plain(&namespace, PlainBody::Ack(1, values))));
        }
    }

    /// Any text either is refused or validates and decodes alike.
    #[test]
    fn validating_and_decoding_agree(text in r#"2\["e",[\[\]{}",:0-9a-e\\ ]{0,12}\]"#) {
        let mut decoder = Decoder::new();
        let message = Message::Text(Cow::Borrowed(text.as_str()));
        if let Ok(Decoded::Packet(Packet { body: Body::Event { arguments, .. }, .. })) =
            decoder.decode(message, &Limits::default())
        {
            let valid = arguments.validate();
            for outcome in [
                arguments.decode::<()>().map(drop),
                arguments.decode::<u8>().map(drop),
                arguments.decode::<(String, Option<u8>)>().map(drop),
                arguments.decode::<serde::de::IgnoredAny>().map(drop),
            ] {
                match outcome {
                    Err(crate::codec::ArgumentsError::Syntax(violation)) => prop_assert_eq!(Err(violation), valid.clone()),
                    Ok(()) | Err(crate::codec::ArgumentsError::Mismatch { .. }) => prop_assert_eq!(&valid, &Ok(())),
                }
            }
        }
    }
}

#[test]
fn echoing_copies_no_attachment() {
    let data = Bytes::from(vec![5; 1_000_000]);
    let text = r#"51-["e",{"deep":[{"_placeholder":true,"num":0}]}]"#;
    let limits = Limits {
        max_packet: 2_000_000,
        ..Limits::default()
    };
    let mut decoder = Decoder::new();
    let announced = decoder.decode(Message::Text(Cow::Borrowed(text)), &limits);
    assert!(matches!(
        announced,
        Ok(Decoded::Announced { namespace: "/" })
    ));
    let Ok(Decoded::Packet(Packet {
        body: Body::Event { arguments, .. },
        ..
    })) = decoder.decode(Message::Binary(data.clone()), &limits)
    else {
        panic!("the packet is complete")
    };
    let values: Args = arguments.decode().unwrap();
    let (echo, attachments) = wire(&encode_event("/", None, "e", &values, MAX_DEPTH).unwrap());
    assert_eq!(echo, text);
    assert_eq!(attachments.first().unwrap().as_ptr(), data.as_ptr());
}
