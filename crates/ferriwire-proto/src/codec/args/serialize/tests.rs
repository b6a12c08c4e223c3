//! The text is what serde_json writes, for whatever a type may ask of a serializer.

use std::fmt;

use proptest::prelude::*;
use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::*;
use crate::codec::MAX_DEPTH;

/// Every call that a type may make, with what it passes.
#[derive(Clone, Debug)]
enum Call {
    Unit,
    None,
    UnitStruct,
    Bool(bool),
    Signed(i8, i16, i32, i64, i128),
    Unsigned(u8, u16, u32, u64, u128),
    Float(f32, f64),
    Char(char),
    Text(String),
    Display(String),
    Variant(&'static str),
    Some(Box<Self>),
    Newtype(Box<Self>),
    NewtypeVariant(&'static str, Box<Self>),
    Sequence(Option<usize>, Vec<Self>),
    Tuple(Vec<Self>),
    TupleStruct(Vec<Self>),
    TupleVariant(&'static str, Vec<Self>),
    Map(Vec<(Self, Self)>),
    Struct(Vec<(&'static str, Self)>),
    StructVariant(&'static str, Vec<(&'static str, Self)>),
}

impl Serialize for Call {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unit => serializer.serialize_unit(),
            Self::None => serializer.serialize_none(),
            Self::UnitStruct => serializer.serialize_unit_struct("Name"),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Signed(i8, i16, i32, i64, i128) => match i8.rem_euclid(5) {
                0 => serializer.serialize_i8(*i8),
                1 => serializer.serialize_i16(*i16),
                2 => serializer.serialize_i32(*i32),
                3 => serializer.serialize_i64(*i64),
                _ => serializer.serialize_i128(*i128),
            },
            Self::Unsigned(u8, u16, u32, u64, u128) => match u8 % 5 {
                0 => serializer.serialize_u8(*u8),
                1 => serializer.serialize_u16(*u16),
                2 => serializer.serialize_u32(*u32),
                3 => serializer.serialize_u64(*u64),
                _ => serializer.serialize_u128(*u128),
            },
            Self::Float(f32, f64) => match f32.to_bits() % 2 {
                0 => serializer.serialize_f32(*f32),
                _ => serializer.serialize_f64(*f64),
            },
            Self::Char(value) => serializer.serialize_char(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Display(value) => serializer.collect_str(&InPieces(value)),
            Self::Variant(variant) => serializer.serialize_unit_variant("Name", 1, variant),
            Self::Some(value) => serializer.serialize_some(value),
            Self::Newtype(value) => serializer.serialize_newtype_struct("Name", value),
            Self::NewtypeVariant(variant, value) => {
                serializer.serialize_newtype_variant("Name", 1, variant, value)
            }
            Self::Sequence(len, values) => {
                let mut sequence = serializer.serialize_seq(*len)?;
                values
                    .iter()
                    .try_for_each(|value| sequence.serialize_element(value))?;
                sequence.end()
            }
            Self::Tuple(values) => {
                let mut tuple = serializer.serialize_tuple(values.len())?;
                values
                    .iter()
                    .try_for_each(|value| tuple.serialize_element(value))?;
                tuple.end()
            }
            Self::TupleStruct(values) => {
                let mut tuple = serializer.serialize_tuple_struct("Name", values.len())?;
                values
                    .iter()
                    .try_for_each(|value| tuple.serialize_field(value))?;
                tuple.end()
            }
            Self::TupleVariant(variant, values) => {
                let len = values.len();
                let mut tuple = serializer.serialize_tuple_variant("Name", 1, variant, len)?;
                values
                    .iter()
                    .try_for_each(|value| tuple.serialize_field(value))?;
                tuple.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (name, value) in entries {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            Self::Struct(fields) => {
                let mut object = serializer.serialize_struct("Name", fields.len())?;
                for (name, value) in fields {
                    object.serialize_field(name, value)?;
                }
                object.end()
            }
            Self::StructVariant(variant, fields) => {
                let len = fields.len();
                let mut object = serializer.serialize_struct_variant("Name", 1, variant, len)?;
                for (name, value) in fields {
                    object.serialize_field(name, value)?;
                }
                object.end()
            }
        }
    }
}

/// Displayed character by character.
struct InPieces<'a>(&'a str);

impl fmt::Display for InPieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|piece| write!(f, "{piece}"))
    }
}

fn any_name() -> impl Strategy<Value = &'static str> + Clone {
    let names = [
        "",
        "a",
        "id",
        "name",
        "message",
        "fourteen bytes",
        "fifteen bytes..",
        "\"\n\\",
    ];
    prop::sample::select(names.to_vec())
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~é𝄞]{0,40}", any::<String>(), "[\"\\\\\0-\u{20}a]{0,20}"]
}

fn any_call() -> impl Strategy<Value = Call> {
    let leaf = prop_oneof![
        Just(Call::Unit),
        Just(Call::None),
        Just(Call::UnitStruct),
        any::<bool>().prop_map(Call::Bool),
        any::<(i8, i16, i32, i64, i128)>().prop_map(|(a, b, c, d, e)| Call::Signed(a, b, c, d, e)),
        any::<(u8, u16, u32, u64, u128)>()
            .prop_map(|(a, b, c, d, e)| Call::Unsigned(a, b, c, d, e)),
        (prop::num::f32::ANY, prop::num::f64::ANY).prop_map(|(a, b)| Call::Float(a, b)),
        (any::<f32>(), any::<i16>()).prop_map(|(a, b)| Call::Float(a, f64::from(b) / 8.0)),
        any::<char>().prop_map(Call::Char),
        any_text().prop_map(Call::Text),
        any_text().prop_map(Call::Display),
        any_name().prop_map(Call::Variant),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let list = prop::collection::vec(inner.clone(), 0..6);
        let fields = prop::collection::vec((any_name(), inner.clone()), 0..6);
        prop_oneof![
            boxed.clone().prop_map(Call::Some),
            boxed.clone().prop_map(Call::Newtype),
            (any_name(), boxed).prop_map(|(name, value)| Call::NewtypeVariant(name, value)),
            list.clone().prop_map(|list| Call::Sequence(None, list)),
            list.clone()
                .prop_map(|list| Call::Sequence(Some(list.len()), list)),
            list.clone().prop_map(Call::Tuple),
            list.clone().prop_map(Call::TupleStruct),
            (any_name(), list).prop_map(|(name, list)| Call::TupleVariant(name, list)),
            prop::collection::vec((inner.clone(), inner), 0..4).prop_map(Call::Map),
            fields.clone().prop_map(Call::Struct),
            (any_name(), fields).prop_map(|(name, fields)| Call::StructVariant(name, fields)),
        ]
    })
}

fn value<P: Serialize + ?Sized>(payload: &P) -> Result<String, SerializeError> {
    let mut out = b"before".to_vec();
    serialize_value(&mut out, payload, MAX_DEPTH)?;
    let text = String::from_utf8(out).unwrap();
    Ok(text.strip_prefix("before").unwrap().to_owned())
}

fn by_serde_json<P: Serialize + ?Sized>(payload: &P) -> Result<String, SerializeError> {
    let text = serde_json::to_string(payload);
    text.map_err(|error| SerializeError::Serde(error.to_string()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_a_type_asks_for_the_text_is_that_of_serde_json(call in any_call()) {
        prop_assert_eq!(value(&call), by_serde_json(&call));
    }

    #[test]
    fn arguments_are_the_elements_of_what_serde_json_writes(calls in prop::collection::vec(any_call(), 0..4)) {
        let mut out = b"[".to_vec();
        let written = serialize_arguments(&mut out, false, &Call::Tuple(calls.clone()), 10, MAX_DEPTH);
        out.push(b']');
        let written = written.map(|_| String::from_utf8(out).unwrap());
        prop_assert_eq!(written, by_serde_json(&calls));
    }

    #[test]
    fn one_argument_that_is_no_tuple_is_written_as_a_value(call in any_call()) {
        prop_assume!(!matches!(call, Call::Unit | Call::Tuple(_)));
        let mut out = Vec::new();
        let written = serialize_arguments(&mut out, true, &call, 10, MAX_DEPTH);
        let written = written.map(|_| String::from_utf8(out).unwrap());
        prop_assert_eq!(written, by_serde_json(&call).map(|text| format!(",{text}")));
    }
}

#[test]
fn every_character_is_escaped_at_every_place_of_a_string_of_any_length() {
    for special in (0..=0x80).map(|code| char::from_u32(code).unwrap()) {
        for len in 0..40_usize {
            for place in 0..=len {
                let (before, behind) = ("x".repeat(place), "\u{7f}".repeat(len - place));
                let text = format!("{before}{special}{behind}");
                assert_eq!(value(&text), by_serde_json(&text), "{text:?}");
            }
        }
    }
}

#[test]
fn names_are_text_or_refused_in_the_words_of_serde_json() {
    let name = |name: Call| Call::Map(vec![(name, Call::Unit)]);
    for (call, text) in [
        (Call::Bool(true), r#"{"true":null}"#),
        (Call::Char('"'), r#"{"\"":null}"#),
        (Call::Signed(-5, 0, 0, 0, 0), r#"{"-5":null}"#),
        (Call::Unsigned(5, 0, 0, 0, 0), r#"{"5":null}"#),
        (Call::Float(0.0, 0.0), r#"{"0.0":null}"#),
        (Call::Variant("One"), r#"{"One":null}"#),
        (Call::Display("a\nb".to_owned()), r#"{"a\nb":null}"#),
        (
            Call::Some(Box::new(Call::Text("a".to_owned()))),
            r#"{"a":null}"#,
        ),
    ] {
        assert_eq!(value(&name(call.clone())).as_deref(), Ok(text), "{call:?}");
    }
    let refused = |message: &str| Err(SerializeError::Serde(message.to_owned()));
    let infinite = Call::Float(f32::INFINITY, 0.0);
    let message = "float key must be finite (got NaN or +/-inf)";
    assert_eq!(value(&name(infinite)), refused(message));
    for call in [
        Call::Unit,
        Call::None,
        Call::Tuple(vec![]),
        Call::Struct(vec![]),
    ] {
        assert_eq!(value(&name(call)), refused("key must be a string"));
    }
}

#[test]
fn a_raw_value_is_written_as_it_is_and_its_depth_counts_from_its_place() {
    let raw = |text: String| serde_json::value::RawValue::from_string(text).unwrap();
    let odd = raw("{ \"b\" : [1e5, \"\\u0041\"],\n\"b\": 2 }".to_owned());
    assert_eq!(value(&odd).as_deref(), Ok(odd.get()));
    assert_eq!(value(&vec![&odd, &odd]), by_serde_json(&vec![&odd, &odd]));
    let nested = |depth: usize| raw("[".repeat(depth) + &"]".repeat(depth));
    assert!(value(&[[nested(126)], [nested(126)]]).is_ok());
    assert_eq!(value(&[[nested(127)]]), Err(SerializeError::TooDeep));
}

/// A type that goes on after what it was told.
struct Deaf<'a>(&'a Call);

impl Serialize for Deaf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let _ignored = list.serialize_element(self.0);
        list.end()
    }
}

#[test]
fn what_is_refused_stays_refused_when_a_type_ignores_it() {
    let deep = (0..128).fold(Call::Unit, |call, _| {
        Call::Some(Box::new(Call::Tuple(vec![call])))
    });
    assert!(value(&deep).is_ok());
    assert_eq!(value(&Deaf(&deep)), Err(SerializeError::TooDeep));
}

#[test]
fn a_display_that_fails_is_an_error_and_no_panic() {
    struct Failing;
    impl fmt::Display for Failing {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    impl Serialize for Failing {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }
    assert!(matches!(value(&Failing), Err(SerializeError::Serde(_))));
}
