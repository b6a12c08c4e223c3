//! What payload types mean, in both directions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::codec::{Payload, decode_connect_payload};
use crate::value::{Args, Value};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picture: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype((u8, u8));

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pair(u8, u8);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    One(Bytes),
    Two(u8, Bytes),
    Named { data: Bytes },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(u8),
    Data(Bytes),
    Named { data: Bytes },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

fn user(picture: Option<&'static [u8]>) -> User {
    User {
        name: "ann".into(),
        picture: picture.map(Bytes::from_static),
    }
}

fn bytes(data: &'static [u8]) -> Bytes {
    Bytes::from_static(data)
}

const NONE: &[Bytes] = &[];

/// How a list begins in which an event's name stands.
const NAMED: &str = r#"["name""#;

/// The list that a payload becomes, and its attachments.
fn encode<P: Serialize + ?Sized>(payload: &P) -> Result<(String, Vec<Bytes>), SerializeError> {
    let mut out = b"[".to_vec();
    let attachments = serialize_arguments(&mut out, false, payload, 10, MAX_DEPTH)?;
    out.push(b']');
    Ok((String::from_utf8(out).unwrap(), attachments))
}

fn arguments<'a>(list: &'a str, attachments: &'a [Bytes]) -> Arguments<'a> {
    Arguments::in_text(list, 0, attachments, Bounds::counting(256))
}

fn decode<T: DeserializeOwned + 'static>(
    list: &str,
    attachments: &[Bytes],
) -> Result<T, ArgumentsError> {
    arguments(list, attachments).decode()
}

/// Both ways, with and without an event's name in front.
fn both<P>(payload: P, list: &str)
where
    P: Serialize + DeserializeOwned + 'static + PartialEq + Debug,
{
    let (text, attachments) = encode(&payload).unwrap();
    assert_eq!(text, list, "{payload:?}");
    assert_eq!(
        decode::<P>(&text, &attachments).as_ref(),
        Ok(&payload),
        "{list}"
    );
    let mut named = NAMED.as_bytes().to_vec();
    serialize_arguments(&mut named, true, &payload, 10, MAX_DEPTH).unwrap();
    named.push(b']');
    let named = String::from_utf8(named).unwrap();
    let arguments = Arguments::in_text(&named, NAMED.len(), &attachments, Bounds::counting(256));
    assert_eq!(arguments.decode::<P>().as_ref(), Ok(&payload), "{named}");
    assert_eq!(
        arguments.to_owned().as_arguments().decode::<P>(),
        Ok(payload)
    );
}

#[test]
fn a_tuple_is_a_list_and_anything_else_one_argument() {
    both((), "[]");
    both(5, "[5]");
    both("text".to_owned(), r#"["text"]"#);
    both(("lobby".to_owned(), 5_u8), r#"["lobby",5]"#);
    both((vec![1, 2],), "[[1,2]]");
    both(((1, 2), 3), "[[1,2],3]");
    both([1, 2, 3], "[1,2,3]");
    both([[1, 2], [3, 4]], "[[1,2],[3,4]]");
    both(vec![1, 2, 3], "[[1,2,3]]");
    both(vec![(1, 2)], "[[[1,2]]]");
    both(Some((1, 2)), "[[1,2]]");
    both(None::<u8>, "[null]");
    both(Newtype((1, 2)), "[[1,2]]");
    both(Pair(1, 2), "[[1,2]]");
    both(Unit, "[null]");
    both(user(None), r#"[{"name":"ann"}]"#);
    both(BTreeMap::from([(5, true)]), r#"[{"5":true}]"#);
    both(Value::from(vec![Value::Null]), "[[null]]");
    both(Args(vec![]), "[]");
    both(Args(vec![1.into(), Value::Array(vec![])]), "[1,[]]");
    both((1, Args(vec![2.into(), 3.into()])), "[1,[2,3]]");
    both(Some(Args(vec![])), "[[]]");
    both(Shape::Nothing, r#"["Nothing"]"#);
    both(1.5, "[1.5]");
    both('c', r#"["c"]"#);
    both(i128::MIN, "[-170141183460469231731687303715884105728]");
}

#[test]
fn binary_data_anywhere_becomes_an_attachment() {
    const FIRST: &str = r#"{"_placeholder":true,"num":0}"#;
    const SECOND: &str = r#"{"_placeholder":true,"num":1}"#;
    let data = || bytes(&[1, 2]);
    both(data(), &format!("[{FIRST}]"));
    both((data(), 1, bytes(&[3])), &format!("[{FIRST},1,{SECOND}]"));
    both(vec![data(), data()], &format!("[[{FIRST},{SECOND}]]"));
    both(
        user(Some(&[9])),
        &format!("[{{\"name\":\"ann\",\"picture\":{FIRST}}}]"),
    );
    both(Some(data()), &format!("[{FIRST}]"));
    both(
        BTreeMap::from([("a".to_owned(), data())]),
        &format!("[{{\"a\":{FIRST}}}]"),
    );
    both(Shape::One(data()), &format!("[{{\"One\":{FIRST}}}]"));
    both(Shape::Two(1, data()), &format!("[{{\"Two\":[1,{FIRST}]}}]"));
    both(
        Shape::Named { data: data() },
        &format!("[{{\"Named\":{{\"data\":{FIRST}}}}}]"),
    );
    both(Either::Data(data()), &format!("[{FIRST}]"));
    both(
        Either::Named { data: data() },
        &format!("[{{\"data\":{FIRST}}}]"),
    );
    both((Either::Number(5), data()), &format!("[5,{FIRST}]"));
    both(Value::from(data()), &format!("[{FIRST}]"));
    // Pre-order, so the object's fields come in their order.
    let object: Value = [
        ("a".to_owned(), data().into()),
        ("b".to_owned(), data().into()),
    ]
    .into_iter()
    .collect();
    both(object, &format!("[{{\"a\":{FIRST},\"b\":{SECOND}}}]"));
    let rest = BTreeMap::from([
        ("x".to_owned(), data().into()),
        ("y".to_owned(), Value::Null),
    ]);
    both(Flat { rest }, &format!("[{{\"x\":{FIRST},\"y\":null}}]"));
}

#[test]
fn attachments_fit_sequences_and_borrow() {
    let attachments = [bytes(&[1, 2, 3])];
    let list = r#"[{"_placeholder":true,"num":0},[7,8],"text"]"#;
    let expected = (vec![1, 2, 3], vec![7, 8], "text".to_owned());
    assert_eq!(
        decode::<(Vec<u8>, Vec<u8>, String)>(list, &attachments),
        Ok(expected)
    );
    let expected = ([1, 2, 3], [7, 8]);
    assert_eq!(
        decode::<([u8; 3], [u8; 2])>(list, &attachments),
        Ok(expected)
    );
    let borrowed = arguments(list, &attachments).decode_borrowed();
    let (data, _, text): (&[u8], Vec<u8>, &str) = borrowed.unwrap();
    assert_eq!((data.as_ptr(), text), (attachments[0].as_ptr(), "text"));
    let data: (Bytes, Bytes) = decode(list, &attachments).unwrap();
    assert_eq!(
        data,
        (bytes(&[1, 2, 3]), bytes(&[7, 8])),
        "an array of numbers is bytes as well"
    );
    let mismatch = decode::<(String,)>(list, &attachments);
    assert!(
        matches!(mismatch, Err(ArgumentsError::Mismatch { .. })),
        "{mismatch:?}"
    );
    let object = decode::<(Bytes,)>("[{\"num\":0}]", &attachments);
    assert!(
        matches!(object, Err(ArgumentsError::Mismatch { .. })),
        "{object:?}"
    );
    let raw: (Box<RawValue>,) = decode(list, &attachments).unwrap();
    assert_eq!(raw.0.get(), r#"{"_placeholder":true,"num":0}"#);
}

#[test]
fn names_of_any_kind_survive_among_attachments() {
    let attachments = [bytes(&[1])];
    let list = r#"[{"plain":1,"q\"\u0041":[{}],"num":2},{"5":{"_placeholder":true,"num":0}}]"#;
    let (first, second): (Value, BTreeMap<u8, Bytes>) = decode(list, &attachments).unwrap();
    assert_eq!(first, json!({"plain": 1, "q\"A": [{}], "num": 2}).into());
    assert_eq!(second, BTreeMap::from([(5, bytes(&[1]))]));
    assert_eq!(
        decode::<(Cow<'static, str>,)>("[\"x\"]", &attachments),
        Ok(("x".into(),))
    );
}

#[test]
fn missing_arguments_fit_only_options_and_further_ones_anything() {
    assert_eq!(decode::<(u8,)>("[1,2,3]", NONE), Ok((1,)));
    assert_eq!(decode::<u8>("[1,{\"a\":[]}]", NONE), Ok(1));
    assert_eq!(decode::<()>("[1,2]", NONE), Ok(()));
    assert_eq!(decode::<Option<u8>>("[]", NONE), Ok(None));
    assert_eq!(decode::<Option<u8>>("[null]", NONE), Ok(None));
    assert_eq!(decode::<Args>("[]", NONE), Ok(Args(vec![])));
    assert_eq!(decode::<(u8, Option<u8>)>("[1]", NONE), Ok((1, None)));
    assert_eq!(
        decode::<(Option<u8>, Option<Bytes>)>("[]", NONE),
        Ok((None, None))
    );
    assert_eq!(decode::<[Option<u8>; 2]>("[1]", NONE), Ok([Some(1), None]));
    for (list, outcome) in [
        ("[]", decode::<u8>("[]", NONE).map(drop)),
        ("[]", decode::<Value>("[]", NONE).map(drop)),
        ("[]", decode::<Vec<u8>>("[]", NONE).map(drop)),
        ("[]", decode::<User>("[]", NONE).map(drop)),
        ("[]", decode::<(Option<u8>, u8)>("[]", NONE).map(drop)),
        ("[1]", decode::<(u8, Value)>("[1]", NONE).map(drop)),
        ("[1]", decode::<[u8; 2]>("[1]", NONE).map(drop)),
    ] {
        let Err(ArgumentsError::Mismatch { message, .. }) = outcome else {
            panic!("{list}: {outcome:?}")
        };
        assert!(
            message.starts_with("missing argument, expected "),
            "{message}"
        );
    }
}

#[test]
fn a_mismatch_names_its_place() {
    fn check<T: DeserializeOwned + 'static + Debug>(list: &str, place: &str) {
        for has_name in [false, true] {
            let name_end = if has_name { NAMED.len() } else { 0 };
            let list = if has_name {
                list.replacen('[', &format!("{NAMED},"), 1)
            } else {
                list.to_owned()
            };
            for attachments in [NONE, &[Bytes::new()]] {
                let arguments =
                    Arguments::in_text(&list, name_end, attachments, Bounds::counting(256));
                match arguments.decode::<T>().unwrap_err() {
                    ArgumentsError::Mismatch { path, message } => {
                        assert_eq!(path, place, "{list}: {message}");
                        assert!(!message.contains("column"), "{message}");
                    }
                    ArgumentsError::Syntax(violation) => panic!("{violation}"),
                }
            }
        }
    }
    #[derive(Debug, Deserialize)]
    struct Holder {
        #[expect(dead_code, reason = "only its type counts")]
        user: User,
    }
    check::<u8>("[\"x\"]", "[0]");
    check::<(u8, u8)>("[1,\"x\"]", "[1]");
    check::<(u8, u8)>("[1,300]", "[1]");
    check::<(u8, u8)>("[1,null]", "[1]");
    check::<(u8, Holder)>(r#"[1,{"user":{"name":5}}]"#, "[1].user.name");
    check::<(u8, Holder)>(r#"[1,{"user":{"picture":[]}}]"#, "[1].user");
    check::<(u8, Vec<Vec<u8>>)>("[1,[[1],[1,2,true]]]", "[1][1][2]");
    check::<(User,)>("[[]]", "[0]");
}

#[test]
fn a_mismatch_quotes_only_so_much() {
    let list = format!(
        "[{{\"{}\":\"{}\"}}]",
        "é".repeat(1_000),
        "ü".repeat(100_000)
    );
    let outcome = decode::<BTreeMap<String, u8>>(&list, NONE).unwrap_err();
    let ArgumentsError::Mismatch { path, message } = outcome else {
        panic!("{outcome}")
    };
    assert!(
        path.starts_with("[0].éé") && path.ends_with("é.."),
        "{path}"
    );
    assert!(
        message.starts_with("invalid type: string \"üü"),
        "{message}"
    );
    assert!(path.len().max(message.len()) <= 258);
}

#[test]
fn syntax_outweighs_a_mismatch_and_what_is_satisfied_early() {
    for list in [
        "[1],1]",
        "[1,]",
        "[1 1]",
        "[1",
        "[1]x",
        "[1]]",
        "[1,[}]",
        "[1,\"\\x\"]",
        "[1,01]",
        "[,1]",
        "[1,tru]",
        "",
        "{}",
        "[1,{\"a\"}]",
    ] {
        for attachments in [NONE, &[Bytes::new()]] {
            let arguments = arguments(list, attachments);
            for outcome in [
                arguments.validate().map_err(ArgumentsError::Syntax),
                arguments.decode::<()>(),
                arguments.decode::<u8>().map(drop),
                arguments.decode::<String>().map(drop),
                arguments.decode::<(u8,)>().map(drop),
                arguments.decode::<(u8, u8, u8)>().map(drop),
                arguments.decode::<Args>().map(drop),
                arguments.decode::<Value>().map(drop),
            ] {
                let is_syntax = matches!(outcome, Err(ArgumentsError::Syntax(Violation::Json(_))));
                assert!(is_syntax, "{list:?}: {outcome:?}");
            }
        }
    }
}

#[test]
fn a19_numbers_that_no_type_holds_are_not_the_peers_fault() {
    for number in [
        "1e999999999",
        "-0",
        "9007199254740993",
        "123456789012345678901234567890",
    ] {
        let list = format!("[{number}]");
        assert_eq!(arguments(&list, NONE).validate(), Ok(()), "{number}");
        assert_eq!(decode::<()>(&list, NONE), Ok(()));
        assert!(decode::<Args>(&list, NONE).is_ok(), "{number}");
    }
    let integer = decode::<u64>("[9007199254740993]", NONE);
    assert_eq!(integer, Ok(9_007_199_254_740_993), "64 bits are kept");
    let value = decode::<Value>("[9007199254740993]", NONE);
    assert_eq!(value, Ok(Value::from(9_007_199_254_740_993_u64)));
    let value = decode::<Value>("[-9223372036854775808]", NONE);
    assert_eq!(value, Ok(Value::from(i64::MIN)));
    let value = decode::<Value>("[18446744073709551616]", NONE);
    let rounded = value.unwrap().as_f64();
    assert_eq!(rounded, Some(18_446_744_073_709_551_616.0));
}

#[test]
fn a19_a_number_beyond_f64_is_null_without_a_type() {
    let digits = "9".repeat(900_000);
    for number in [
        "1e400",
        "-1e400",
        "1E+999999999",
        &digits,
        &format!("-{digits}.5"),
    ] {
        let list = format!(r#"["x",{{"a":[1,{number}]}},{number},"1e400"]"#);
        let Args(values) = decode::<Args>(&list, NONE).unwrap();
        let inner = Value::Array(vec![Value::from(1), Value::Null]);
        assert_eq!(values[1].get("a"), Some(&inner));
        assert_eq!(values[2], Value::Null);
        assert_eq!(values[3], Value::from("1e400"), "strings stay");
    }
    assert_eq!(decode::<f64>(&format!("[0.{digits}]"), NONE), Ok(1.0));
    assert_eq!(decode::<f64>("[1e-400]", NONE), Ok(0.0));
    let marker = r#"{"_placeholder":true,"num":0}"#;
    let with_binary = decode::<(Bytes, Value)>(&format!("[{marker},1e400]"), &[bytes(&[7])]);
    assert_eq!(with_binary, Ok((bytes(&[7]), Value::Null)));
}

#[test]
fn a19_a_number_beyond_f64_fits_no_number() {
    let path = |outcome: Result<(), ArgumentsError>| match outcome {
        Err(ArgumentsError::Mismatch { path, message }) => (path, message),
        other => panic!("{other:?}"),
    };
    let beyond = |path: &str| (path.to_owned(), "number out of range".to_owned());
    let float = decode::<(u8, f64)>("[1,1e400]", NONE);
    assert_eq!(path(float.map(drop)), beyond("[1]"));
    let map = decode::<(BTreeMap<String, Vec<f64>>,)>(r#"[{"a":[0,1e400]}]"#, NONE);
    assert_eq!(path(map.map(drop)), beyond("[0].a[1]"));
    assert_eq!(decode::<Option<f64>>("[1e400]", NONE), Ok(None));
    // The first is nothing, and the second has a wrong type.
    let second = decode::<(Value, u8)>(r#"[1e400,"x"]"#, NONE);
    assert_eq!(path(second.map(drop)).0, "[1]");
    let syntax = decode::<(Value, u8)>("[1e400,x]", NONE);
    assert!(matches!(syntax, Err(ArgumentsError::Syntax(_))));
}

/// A payload of that many arrays around a value.
fn nested(depth: usize, inner: Value) -> Value {
    (0..depth).fold(inner, |value, _| Value::Array(vec![value]))
}

#[test]
fn depth_is_counted_exactly_when_encoding() {
    let too_deep = Err(SerializeError::TooDeep);
    assert!(encode(&nested(128, Value::Null)).is_ok());
    assert_eq!(encode(&nested(129, Value::Null)), too_deep);
    assert!(
        encode(&(1, nested(128, Value::Null))).is_ok(),
        "the list itself does not count"
    );
    assert!(encode(&Args(vec![nested(128, Value::Null)])).is_ok());
    assert_eq!(encode(&Args(vec![nested(129, Value::Null)])), too_deep);
    assert_eq!(encode(&vec![nested(128, Value::Null)]), too_deep);
    // A placeholder is an object.
    let data = || Value::from(bytes(&[1]));
    let (list, attachments) = encode(&nested(127, data())).unwrap();
    assert_eq!(
        decode::<Value>(&list, &attachments),
        Ok(nested(127, data()))
    );
    assert_eq!(encode(&nested(128, data())), too_deep);
    // Enums and text that is JSON already count by what they become.
    let raw = |depth: usize| {
        RawValue::from_string(format!("{}{}", "[".repeat(depth), "]".repeat(depth))).unwrap()
    };
    assert!(encode(&raw(100)).is_ok());
    assert_eq!(encode(&vec![raw(128)]), too_deep);
    assert_eq!(encode(&raw(129)), too_deep);
    assert!(encode(&vec![raw(127)]).is_ok());
    assert!(encode(&(0..128).fold(Nest::End, |nest, _| Nest::One(nest.into()))).is_ok());
    assert_eq!(
        encode(&(0..129).fold(Nest::End, |nest, _| Nest::One(nest.into()))),
        too_deep
    );
    assert!(encode(&(0..64).fold(Nest::End, |nest, _| Nest::Two(1, nest.into()))).is_ok());
    assert_eq!(
        encode(&(0..65).fold(Nest::End, |nest, _| Nest::Two(1, nest.into()))),
        too_deep
    );
}

#[derive(Serialize)]
enum Nest {
    End,
    One(Box<Self>),
    Two(u8, Box<Self>),
}

#[test]
fn what_is_decoded_at_full_depth_can_be_encoded_again() {
    let value = nested(128, Value::Null);
    let (list, _) = encode(&value).unwrap();
    assert_eq!(decode::<Value>(&list, NONE), Ok(value.clone()));
    assert_eq!(decode::<Value>(&list, &[Bytes::new()]), Ok(value));
    let deeper = format!("[{list}]");
    assert_eq!(
        decode::<()>(&deeper, NONE),
        Err(ArgumentsError::Syntax(Violation::TooDeep))
    );
}

/// A22: many placeholders for one attachment.
#[test]
fn copies_of_attachments_are_bounded_and_shares_are_free() {
    let attachments = [Bytes::from(vec![1; 100_000])];
    let placeholders = |count: usize| {
        let list = vec![r#"{"_placeholder":true,"num":0}"#; count];
        format!("[[{}]]", list.join(","))
    };
    let shared: Vec<Value> = decode(&placeholders(10_000), &attachments).unwrap();
    let data = |value: &Value| value.as_binary().map(|data| data.as_ptr());
    assert!(
        shared
            .iter()
            .all(|value| data(value) == Some(attachments[0].as_ptr()))
    );
    assert_eq!(encode(&shared), Err(SerializeError::TooManyAttachments));
    assert!(decode::<Vec<Bytes>>(&placeholders(4), &attachments).is_ok());
    assert!(decode::<Vec<Vec<u8>>>(&placeholders(4), &attachments).is_ok());
    let expansion = ArgumentsError::Syntax(Violation::Expansion { limit: 400_000 });
    let copied = decode::<Vec<Bytes>>(&placeholders(5), &attachments);
    assert_eq!(copied, Err(expansion.clone()));
    let copied = decode::<Vec<Vec<u8>>>(&placeholders(10_000), &attachments);
    assert_eq!(copied, Err(expansion));
    // Small attachments may be repeated more often than that.
    assert!(decode::<Vec<Bytes>>(&placeholders(1_000), &[bytes(&[1; 60])]).is_ok());
}

#[test]
fn the_decoder_reports_what_a_users_type_objects_to() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Name;
    impl TryFrom<String> for Name {
        type Error = &'static str;
        fn try_from(_: String) -> Result<Self, &'static str> {
            Err("no name is good enough")
        }
    }
    let outcome = decode::<(u8, Name)>("[1,\"x\"]", NONE).unwrap_err();
    let expected = "arguments do not fit at [1]: no name is good enough";
    assert_eq!(outcome.to_string(), expected);
}

#[test]
fn debugging_arguments_shows_no_contents() {
    let text = format!("{:?}", arguments("[\"secret\"]", NONE));
    assert_eq!(text, "Arguments { bytes: 10, attachments: 0 }");
}

#[test]
fn the_payload_of_a_connect_packet_is_an_object_or_nothing() {
    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Auth {
        token: Option<u8>,
    }
    let sent = decode_connect_payload(Some(Payload::Json(r#"{"token":7}"#)));
    assert_eq!(sent, Ok(Auth { token: Some(7) }));
    assert_eq!(decode_connect_payload(None), Ok(Auth::default()));
    assert_eq!(
        decode_connect_payload(Some(Payload::Json(r#"{"token":7}"#))),
        Ok(())
    );
    assert_eq!(decode_connect_payload(None), Ok(()));
    let wrong = decode_connect_payload::<Auth>(Some(Payload::Json(r#"{"token":"x"}"#)));
    assert!(matches!(wrong, Err(ArgumentsError::Mismatch { path, .. }) if path == "token"));
}

#[test]
fn a_glance_finds_the_name_that_the_first_argument_begins_with() {
    for (text, expected) in [
        (r#"[{"error":{}}]"#, true),
        (" [ { \"error\" : 1 } ]", true),
        (r#"[{"error":1,"other":2},3]"#, true),
        (r#"[{"errors":1}]"#, false),
        (r#"[{"other":1,"error":2}]"#, false),
        (r#"["error"]"#, false),
        (r#"[1,{"error":1}]"#, false),
        ("[{}]", false),
        ("[", false),
        ("[]", false),
    ] {
        let found = arguments(text, NONE).begins_with_member("error");
        assert_eq!(found, expected, "{text}");
    }
}
