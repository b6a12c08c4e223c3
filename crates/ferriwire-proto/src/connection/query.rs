//! What clients of Socket.IO 4 present: the query of a namespace's name (1.4).

use serde_json::{Map, Value};

/// How many parameters are looked at; the reference ignores what comes behind, too.
const MAX_PARAMETERS: usize = 1_000;

/// The name of a namespace, and its query.
pub(super) fn split(namespace: &str) -> (&str, Option<&str>) {
    match namespace.split_once('?') {
        Some((name, query)) => (name, Some(query)),
        None => (namespace, None),
    }
}

/// The query as an object of JSON: its values are strings, and lists of strings for a name that is
/// given several times.
pub(super) fn to_object(query: &str) -> Box<str> {
    let mut object = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()).take(MAX_PARAMETERS) {
        let value = Value::String(value.into_owned());
        match object.get_mut(name.as_ref()) {
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => drop(object.insert(name.into_owned(), value)),
        }
    }
    Value::Object(object).to_string().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_is_an_object_of_strings() {
        for (query, expected) in [
            ("", json!({})),
            ("token=abc", json!({"token": "abc"})),
            ("a=1&b=&c", json!({"a": "1", "b": "", "c": ""})),
            ("a=1&a=2&a=3", json!({"a": ["1", "2", "3"]})),
            ("t=%C3%A9+%2C%22", json!({"t": "\u{e9} ,\""})),
            (
                "__proto__=x&constructor=y",
                json!({"__proto__": "x", "constructor": "y"}),
            ),
            ("a=b=c?d", json!({"a": "b=c?d"})),
        ] {
            let object: Value = serde_json::from_str(&to_object(query)).unwrap();
            assert_eq!(object, expected, "{query:?}");
        }
    }

    #[test]
    fn parameters_beyond_the_limit_are_ignored() {
        let query: String = (0..5_000).map(|number| format!("k{number}=&")).collect();
        let object: Value = serde_json::from_str(&to_object(&query)).unwrap();
        assert_eq!(object.as_object().unwrap().len(), MAX_PARAMETERS);
    }
}
