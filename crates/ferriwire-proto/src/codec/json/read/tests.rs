//! What is JSON, and which values it becomes, is as in `serde_json`, whatever the type; but for lone
//! surrogates, which they refuse.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::codec::Arguments;
use crate::codec::args::Bounds;
use crate::value::Args;

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "compared by what it shows for debugging")]
enum Shape {
    Nothing,
    One(u8),
    Two(i8, String),
    Named { a: Option<f32>, b: Vec<bool> },
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "compared by what it shows for debugging")]
struct Named {
    a: u8,
    #[serde(default)]
    b: Option<char>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "compared by what it shows for debugging")]
enum Either {
    Number(i64),
    Text(String),
    List(Vec<Self>),
    Shape(Shape),
}

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    A,
    B,
}

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Wrapped(Option<i16>);

fn ours<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let mut reader = Reader::new(text, &[]);
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

fn theirs<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.disable_recursion_limit();
    let value = T::deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

fn agree<T: DeserializeOwned + Debug>(text: &str) {
    match (ours::<T>(text), theirs::<T>(text)) {
        (Ok(ours), Ok(theirs)) => {
            // Shows the sign of zero, which equality does not.
            assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{text}");
        }
        (Err(_), Err(_)) => {}
        // To us that is nothing rather than a mistake.
        (Ok(_), Err(error)) if error.to_string().contains("number out of range") => {}
        (ours, theirs) => panic!("{text}: {ours:?} against {theirs:?}"),
    }
}

/// The text with what takes the place of escapes that are surrogates without their other half.
fn without_lone_surrogates(text: &str) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        replaced.push_str(before);
        // An escape is a whole pair, or one unit, or the backslash and a character.
        let units = |text: &str| -> Option<u16> {
            let digits = text.strip_prefix('u')?.get(..4)?;
            let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex.then(|| u16::from_str_radix(digits, 16).unwrap())
        };
        let first = units(behind);
        let second = behind
            .get(5..)
            .and_then(|text| units(text.strip_prefix('\\')?));
        let (len, is_lone) = match (first, second) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => (11, false),
            (Some(0xd800..0xe000), _) => (5, true),
            (Some(_), _) => (5, false),
            (None, _) => (behind.chars().next().map_or(0, char::len_utf8), false),
        };
        let (escape, behind) = behind.split_at(len);
        if is_lone {
            replaced.push_str("\\ufffd");
        } else {
            replaced.push('\\');
            replaced.push_str(escape);
        }
        rest = behind;
    }
    replaced + rest
}

/// What is read without serde is what is read with it, errors and their places included.
fn agree_untyped(text: &str) {
    let attachments = [Bytes::from_static(b"data")];
    for attachments in [&[], &attachments[..]] {
        let arguments = Arguments::in_text(text, 0, attachments, Bounds::counting(3));
        assert_eq!(
            arguments.decode::<Args>(),
            arguments.decode_borrowed(),
            "{text}"
        );
    }
}

/// Whoever asks for it, the text means the same.
fn agree_in_all_types(text: &str) {
    agree_untyped(text);
    agree_untyped(&format!("[{text}]"));
    agree_untyped(&format!("[1,{{\"a\":[{text}],\"b\":{text}}},{text}]"));
    let replaced = without_lone_surrogates(text);
    if replaced != text {
        assert_eq!(
            ours::<Value>(text).ok(),
            ours::<Value>(&replaced).ok(),
            "{text}"
        );
        assert_eq!(
            ours::<IgnoredAny>(text).is_ok(),
            ours::<IgnoredAny>(&replaced).is_ok(),
            "{text}"
        );
        agree_in_bytes(text);
    }
    let text = &replaced;
    agree::<Value>(text);
    agree::<IgnoredAny>(text);
    agree::<Box<RawValue>>(text);
    agree::<()>(text);
    agree::<bool>(text);
    agree::<u8>(text);
    agree::<i64>(text);
    agree::<u64>(text);
    agree::<i128>(text);
    agree::<u128>(text);
    agree::<f32>(text);
    agree::<f64>(text);
    agree::<char>(text);
    agree::<String>(text);
    agree::<Option<f64>>(text);
    agree::<(u8, String)>(text);
    agree::<Vec<Option<Value>>>(text);
    agree::<Shape>(text);
    agree::<Named>(text);
    agree::<Either>(text);
    agree::<BTreeMap<String, IgnoredAny>>(text);
    agree::<BTreeMap<Wrapped, f64>>(text);
    agree::<BTreeMap<u64, Value>>(text);
    agree::<BTreeMap<i128, Value>>(text);
    if text.is_ascii() {
        // Otherwise they cut names within characters.
        agree::<BTreeMap<bool, Value>>(text);
    }
    agree::<BTreeMap<Name, Option<bool>>>(text);
    agree::<BTreeMap<Box<str>, Vec<u8>>>(text);
    agree_in_bytes(text);
}

fn agree_in_bytes(text: &str) {
    // Here they let control characters through, which are no JSON.
    if !text.bytes().any(|byte| byte < b' ') {
        agree::<Bytes>(text);
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-100_i64..100).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-1_000_000_i32..1_000_000, 0..5).prop_map(|(n, e)| (f64::from(n) / 10_f64.powi(e)).into()),
        ".{0,20}".prop_map(Value::from),
        r#"[a-z"\\ü\u{0}-\u{1f}]{0,20}"#.prop_map(Value::from),
    ];
    let name = prop_oneof!["[ab]", "-?[0-9]{1,4}", Just("true".to_owned()), ".{0,5}"];
    let names_of_variants = prop_oneof![
        Just("Nothing".to_owned()),
        Just("One".to_owned()),
        Just("Two".to_owned()),
        Just("Named".to_owned()),
        Just("A".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(name.clone(), inner.clone(), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            (names_of_variants.clone(), inner)
                .prop_map(|entry| Value::Object([entry].into_iter().collect())),
        ]
    })
}

/// Text of values, compact or with white space.
fn texts() -> impl Strategy<Value = String> {
    (values(), any::<bool>()).prop_map(|(value, pretty)| {
        if pretty {
            format!(" {value:#}\r\n\t")
        } else {
            value.to_string()
        }
    })
}

/// What may make the difference between JSON and what looks like it.
const PIECES: [&str; 40] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "-",
    "+",
    ".",
    "e",
    "E",
    "0",
    "1",
    "00",
    "1e400",
    "-0",
    "99999999999999999999",
    "0.1",
    "\\u",
    "\\ud800",
    "\\udc00",
    "\\ud83d\\ude00",
    "\\u12",
    "\\n",
    "\\x",
    "\n",
    " ",
    "\u{0}",
    "\u{1f}",
    "\u{7f}",
    "é",
    "𐍈",
    "true",
    "null",
    "fals",
    "\"a\":",
    "[]",
    "{}",
];

proptest! {
    #[test]
    fn what_is_written_is_read(text in texts()) {
        agree_in_all_types(&text);
    }

    #[test]
    fn damaged_text_is_judged_alike(
        text in texts(),
        at in any::<prop::sample::Index>(),
        removed in 0..3_usize,
        piece in prop::sample::select(&PIECES[..]),
    ) {
        let start = text.floor_char_boundary(at.index(text.len() + 1));
        let end = text.ceil_char_boundary((start + removed).min(text.len()));
        agree_in_all_types(&[&text[..start], piece, &text[end..]].concat());
        agree_in_all_types(&[&text[..start], &text[end..]].concat());
    }

    #[test]
    fn every_beginning_of_a_text_is_judged_alike(text in texts()) {
        for (end, _) in text.char_indices() {
            agree::<Value>(&text[..end]);
            agree::<IgnoredAny>(&text[..end]);
            agree::<Either>(&text[..end]);
        }
    }

    #[test]
    fn pieces_in_any_order_are_judged_alike(pieces in vec(prop::sample::select(&PIECES[..]), 0..9)) {
        agree_in_all_types(&pieces.concat());
    }

    #[test]
    fn strings_of_any_pieces_are_judged_alike(pieces in vec(prop::sample::select(&PIECES[..]), 0..9)) {
        let pieces = pieces.concat();
        agree_in_all_types(&format!("\"{pieces}\""));
        agree_in_all_types(&format!("{{\"{pieces}\":1}}"));
    }

    #[test]
    fn numbers_are_rounded_alike(
        text in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,4})?",
        value in any::<f64>(),
    ) {
        agree_in_all_types(&text);
        agree_in_all_types(&format!("{value:e}"));
        agree_in_all_types(&format!("{{\"{text}\":{text}}}"));
    }
}

#[test]
fn long_numbers_are_rounded_alike() {
    let (nines, zeros) = ("9".repeat(70_000), "0".repeat(70_000));
    for text in [
        format!("{nines}e-70000"),
        format!("{nines}e-70320"),
        format!("0.{zeros}1e70001"),
        format!("0.{nines}"),
        format!("1{zeros}"),
        format!("0.{zeros}1"),
        "0e99999999999999999999".to_owned(),
        "1e-99999999999999999999".to_owned(),
        "9007199254740993.0".to_owned(),
        "9007199254740992.9".to_owned(),
        "123456789.1234567890123456".to_owned(),
        "340282346638528859811704183484516925440.0".to_owned(),
        "340282356779733661637539395458142568448.0".to_owned(),
        "-9223372036854775808".to_owned(),
        "-9223372036854775809".to_owned(),
        "18446744073709551616".to_owned(),
        "-340282366920938463463374607431768211456".to_owned(),
    ] {
        agree::<f64>(&text);
        agree::<f32>(&text);
        agree::<Value>(&text);
        agree::<i128>(&text);
        agree::<u128>(&text);
    }
}

#[test]
fn every_byte_at_every_place_ends_a_string_or_not() {
    for len in 0..20 {
        for at in 0..len {
            for byte in 0..=u8::MAX {
                let mut text = "x".repeat(len);
                text.replace_range(at..=at, &char::from(byte).to_string());
                agree::<String>(&format!("\"{text}\""));
                agree::<IgnoredAny>(&format!("\"{text}\""));
            }
        }
    }
}

/// JavaScript writes the half of a character where a string was cut, and its servers take it: such an
/// event was lost, and with such a name the connection.
#[test]
fn a_lone_surrogate_becomes_a_replacement_character() {
    for (text, expected) in [
        (r#""\ud800""#, "\u{fffd}"),
        (r#""\udc00""#, "\u{fffd}"),
        (r#""abc\ud83d""#, "abc\u{fffd}"),
        (r#""\uD83Dabc""#, "\u{fffd}abc"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\ud83d\ude00""#, "\u{1f600}"),
    ] {
        assert_eq!(ours::<String>(text).unwrap(), expected, "{text}");
        assert_eq!(ours::<Value>(text).unwrap(), expected, "{text}");
        assert_eq!(ours::<Box<str>>(text).unwrap().as_ref(), expected, "{text}");
        let object = format!("{{{text}:1}}");
        let map: BTreeMap<String, u8> = ours(&object).unwrap();
        assert_eq!(map, BTreeMap::from([(expected.to_owned(), 1)]), "{text}");
    }
    assert_eq!(ours::<char>(r#""\ud800""#).unwrap(), '\u{fffd}');
    let bytes = ours::<Bytes>(r#""a\ud83d""#).unwrap();
    assert_eq!(bytes, &b"a\xed\xa0\xbd"[..], "bytes keep it");
    for text in [r#""\ud83""#, r#""\ud83d\u""#, r#""\ud83d\ude0""#] {
        assert!(ours::<String>(text).is_err(), "{text}");
    }
}

/// serde_json 1.0.154 cuts such a name within a character, and panics when it quotes the rest.
#[test]
fn a_name_that_is_no_bool_is_refused_whatever_it_is() {
    let error = ours::<BTreeMap<bool, ()>>("{\"𐀀¡\":null}").unwrap_err();
    let expected = "invalid type: string \"𐀀¡\", expected a boolean";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn depth_is_limited_for_whoever_asks() {
    #[derive(Debug, Deserialize)]
    enum Nest {
        One(#[expect(dead_code, reason = "only its depth counts")] Option<Box<Self>>),
    }
    let arrays = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let enums = |depth: usize| format!("{}null{}", "{\"One\":".repeat(depth), "}".repeat(depth));
    assert!(ours::<Value>(&arrays(MAX_DEPTH)).is_ok());
    assert!(ours::<IgnoredAny>(&arrays(MAX_DEPTH)).is_ok());
    assert!(ours::<Nest>(&enums(MAX_DEPTH)).is_ok());
    for depth in [MAX_DEPTH + 1, 1_000_000] {
        assert!(ours::<Value>(&arrays(depth)).unwrap_err().is_too_deep());
        assert!(
            ours::<IgnoredAny>(&arrays(depth))
                .unwrap_err()
                .is_too_deep()
        );
        assert!(ours::<Nest>(&enums(depth)).unwrap_err().is_too_deep());
    }
    let siblings = format!("[{}]", vec!["[[]]"; 1_000].join(","));
    assert!(ours::<Value>(&siblings).is_ok(), "levels are left again");
}

#[test]
fn large_lists_and_objects_are_read() {
    let names: Vec<String> = (0..60_000)
        .map(|name| format!("\"n{name}\":{name}"))
        .collect();
    agree::<Value>(&format!("{{{}}}", names.join(",")));
    agree::<Named>(&format!("{{\"a\":1,{}}}", names[..6_000].join(",")));
    agree::<Vec<u8>>(&format!("[{}]", vec!["7"; 300_000].join(",")));
    agree::<String>(&format!(
        "\"{}\"",
        "\\u00e9\\ud83d\\ude00x\\n".repeat(50_000)
    ));
}

#[test]
fn what_the_peer_broke_is_named_with_its_place() {
    for (text, expected) in [
        ("[1\n,,2]", "expected a value at line 2 column 1"),
        ("[\"a", "unexpected end of the text at line 1 column 3"),
        ("[01]", "number with a leading zero at line 1 column 2"),
    ] {
        let mut reader = Reader::new(text, &[]);
        let error = reader.skip().unwrap_err();
        assert_eq!(
            reader.violation(&error),
            Violation::Json(expected.to_owned())
        );
    }
}
