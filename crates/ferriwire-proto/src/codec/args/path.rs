//! Where in a list of arguments an error lies.

use std::fmt::Write as _;

/// The path within the given element of `list` to the place up to which it was read when an error
/// was found. Empty when that lies elsewhere.
///
/// Only called for errors: it reads the text again, up to that place, once.
pub(super) fn path_within(list: &str, element: usize, end: usize) -> String {
    let end = list.floor_char_boundary(end);
    let mut levels: Vec<Level<'_>> = Vec::new();
    let mut rest = list.get(..end).unwrap_or_default();
    while let Some(token) = rest.chars().next() {
        let mut behind = rest.get(token.len_utf8()..).unwrap_or_default();
        match token {
            '[' => levels.push(Level::Array(0)),
            '{' => levels.push(Level::Object(None)),
            ']' | '}' => drop(levels.pop()),
            ',' => match levels.last_mut() {
                Some(Level::Array(index)) => *index = index.saturating_add(1),
                Some(Level::Object(name)) => *name = None,
                None => {}
            },
            '"' => {
                let (string, tail) = behind.split_at(string_len(behind));
                behind = tail.strip_prefix('"').unwrap_or_default();
                if let Some(Level::Object(name @ None)) = levels.last_mut() {
                    *name = Some(string);
                }
            }
            _ => {}
        }
        rest = behind;
    }
    let mut levels = levels.into_iter();
    if !matches!(levels.next(), Some(Level::Array(index)) if index == element) {
        return String::new();
    }
    let mut path = String::new();
    for level in levels {
        let written = match level {
            Level::Array(index) => write!(path, "[{index}]"),
            Level::Object(Some(name)) => write!(path, ".{name}"),
            Level::Object(None) => Ok(()),
        };
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    path
}

enum Level<'a> {
    Array(usize),
    Object(Option<&'a str>),
}

/// How long the contents of a string are that begins here.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    text.bytes()
        .position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_paths() {
        let list = r#"["e",{"user":{"a\"b":[1,"x"],"name":5}},7]"#;
        let check = |marker: &str, element: usize, expected: &str| {
            let end = list.find(marker).unwrap() + marker.len();
            assert_eq!(path_within(list, element, end), expected, "{marker}");
        };
        check("\"x\"", 1, r#".user.a\"b[1]"#);
        check("\"name\":5", 1, ".user.name");
        check("\"name\":5", 0, "");
        check(",7", 2, "");
        check("5}", 1, ".user");
        for end in 0..100 {
            path_within(list, 1, end);
        }
        assert_eq!(path_within("[\n{\"é\":\n1}]", 0, 10), ".é");
    }
}
