//! Where in a list of arguments an error lies.

use std::fmt::Write as _;

/// The path within the given element of `list` to the position that an error of the JSON parser
/// names. Empty when the position lies elsewhere.
///
/// Only called for errors: it reads the text again, up to the position, once.
pub(super) fn path_within(list: &str, element: usize, line: usize, column: usize) -> String {
    let end = offset(list, line, column);
    let mut levels: Vec<Level<'_>> = Vec::new();
    let mut rest = list.get(..end).unwrap_or_default();
    while let Some(token) = rest.chars().next() {
        let mut behind = rest.get(token.len_utf8()..).unwrap_or_default();
        match token {
            '[' => levels.push(Level::Array(0)),
            '{' => levels.push(Level::Object(None)),
            ']' | '}' => drop(levels.pop()),
            // At the very end it is what the parser looked at, not what it complains about.
            ',' if !behind.is_empty() => match levels.last_mut() {
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

fn offset(text: &str, line: usize, column: usize) -> usize {
    let before = line.saturating_sub(1);
    let lines = text.split_inclusive('\n').take(before);
    let start = lines.map(str::len).fold(0, usize::saturating_add);
    text.floor_char_boundary(start.saturating_add(column))
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
    fn positions_become_paths() {
        let list = r#"["e",{"user":{"a\"b":[1,"x"],"name":5}},7]"#;
        let check = |marker: &str, element: usize, expected: &str| {
            let column = list.find(marker).unwrap() + marker.len();
            assert_eq!(path_within(list, element, 1, column), expected, "{marker}");
        };
        check("\"x\"", 1, r#".user.a\"b[1]"#);
        check("\"name\":5", 1, ".user.name");
        check("\"name\":5", 0, "");
        check(",7", 2, "");
        check("5}", 1, ".user");
        for column in 0..100 {
            for line in 0..3 {
                path_within(list, 1, line, column);
            }
        }
    }

    #[test]
    fn lines_count() {
        assert_eq!(path_within("[\n{\"a\":\n1}]", 0, 3, 1), ".a");
    }
}
