//! Any value comes back, and is the same under JSON.

use proptest::prelude::*;

use super::*;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has only finite ones", |number| number.is_finite())
            .prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(|data| Value::Binary(data.into())),
    ];
    leaf.prop_recursive(5, 40, 20, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
            proptest::collection::btree_map(".{0,40}", inner, 0..20).prop_map(Value::from),
        ]
    })
}

fn attachments(value: &Value) -> usize {
    match value {
        Value::Binary(_) => 1,
        Value::Array(values) => values.iter().map(attachments).sum(),
        Value::Object(entries) => entries.values().map(attachments).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

proptest! {
    #[test]
    fn any_arguments_come_back(values in proptest::collection::vec(value(), 0..20)) {
        let args = Args(values);
        let encoded = encode_ack("/x", AckId(1), &args, MAX_DEPTH).unwrap();
        let message = encoded.attachments().next().unwrap().clone();
        let came = payload::<Args>(message);
        prop_assert_eq!(came.as_ref(), Ok(&args));
        if args.0.iter().map(attachments).sum::<usize>() <= crate::codec::MAX_ATTACHMENTS {
            same(&args);
        }
    }

    /// Text and data of any length, so that every form of a header is met.
    #[test]
    fn any_length_comes_back(len in 0_usize..70_000) {
        let text = "x".repeat(len);
        let data = Bytes::from(vec![0xc1; len]);
        let encoded = encode_event("/", None, "e", &(&text, &data), MAX_DEPTH).unwrap();
        let message = encoded.attachments().next().unwrap().clone();
        prop_assert_eq!(payload::<(String, Bytes)>(message), Ok((text, data)));
    }
}
