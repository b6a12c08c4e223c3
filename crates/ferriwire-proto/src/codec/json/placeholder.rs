//! Placeholders: the objects that stand for attachments in the text of a packet.
//!
//! An object is a placeholder when it has the marker, wherever in the object that stands and
//! whatever else is in there. Who decodes it later wants to know from its first name, so those
//! few that are written otherwise (no known client does) are rewritten here.

use std::borrow::Cow;
use std::ops::Range;

use crate::codec::Violation;
use crate::codec::depth;

/// The name that makes an object a placeholder; its value is `true`.
pub(crate) const MARKER: &str = "_placeholder";

/// The name under which it says which attachment it stands for.
pub(crate) const INDEX: &str = "num";

/// Checks that every placeholder in `json` refers to one of `count` attachments, and puts the
/// marker first in all of them.
///
/// One linear pass over text that need not be JSON: after a syntax error it gives up, because
/// decoding the text will not come any further either.
pub(super) fn normalize(
    json: &str,
    count: usize,
    max_depth: usize,
) -> Result<Cow<'_, str>, Violation> {
    let max_depth = depth::capped(max_depth);
    if is_usual(json, count, max_depth) {
        return Ok(Cow::Borrowed(json));
    }
    scan(json, count, max_depth)
}

fn scan(json: &str, count: usize, max_depth: usize) -> Result<Cow<'_, str>, Violation> {
    let mut scan = Scan {
        json,
        count,
        max_depth,
        levels: Vec::new(),
        unusual: Vec::new(),
    };
    scan.run()?;
    Ok(rewrite(json, &scan.unusual))
}

/// Whether nothing but what all known clients write could be a placeholder in `json`, and nothing could
/// be too deep: then there is nothing to find by a scan.
fn is_usual(json: &str, count: usize, max_depth: usize) -> bool {
    let mut opens = 0_usize;
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            // With an escape a name may be written in other ways.
            b'\\' => return false,
            b'[' | b'{' => opens = opens.saturating_add(1),
            b'_' => {
                let (before, behind) = json.split_at_checked(at).unwrap_or_default();
                if let Some(behind) = behind.strip_prefix(MARKER)
                    && !(before.ends_with("{\"") && is_usual_behind_marker(behind, count))
                {
                    return false;
                }
            }
            _ => {}
        }
    }
    opens <= max_depth
}

fn is_usual_behind_marker(json: &str, count: usize) -> bool {
    let index = json.strip_prefix(r#"":true,"num":"#);
    let index = index.and_then(|index| index.split_once('}'));
    let index = index.and_then(|(index, _)| parse_index(index));
    index.is_some_and(|index| index < count)
}

fn rewrite<'a>(json: &'a str, unusual: &[Placeholder]) -> Cow<'a, str> {
    if unusual.is_empty() {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    let mut end = 0;
    for Placeholder { span, index } in unusual {
        text.push_str(json.get(end..span.start).unwrap_or_default());
        text.push_str(&format!("{{\"{MARKER}\":true,\"{INDEX}\":{index}}}"));
        end = span.end;
    }
    text.push_str(json.get(end..).unwrap_or_default());
    Cow::Owned(text)
}

/// A placeholder whose marker does not come first.
struct Placeholder {
    span: Range<usize>,
    index: usize,
}

struct Scan<'a> {
    json: &'a str,
    count: usize,
    max_depth: usize,
    levels: Vec<Level>,
    unusual: Vec<Placeholder>,
}

enum Level {
    Array,
    Object(Object),
}

#[derive(Default)]
struct Object {
    start: usize,
    /// The current entry: its name, once that was read, and where its value begins.
    name: Option<Name>,
    value_start: usize,
    names: usize,
    /// Whether the marker's value is `true`, and the index; false and nothing when repeated.
    marker: Option<bool>,
    index: Option<Option<usize>>,
    marker_is_first: bool,
}

#[derive(Clone, Copy)]
enum Name {
    Marker,
    Index,
    Other,
}

impl Scan<'_> {
    fn run(&mut self) -> Result<(), Violation> {
        let mut string_start = None;
        let mut escaped = false;
        for (at, byte) in self.json.bytes().enumerate() {
            if let Some(start) = string_start {
                if escaped {
                    escaped = false;
                } else if byte == b'\\' {
                    escaped = true;
                } else if byte == b'"' {
                    string_start = None;
                    self.end_string(start..at);
                }
                continue;
            }
            match (byte, self.levels.last_mut()) {
                (b'"', _) => string_start = Some(at.saturating_add(1)),
                (b'[', _) => self.enter(Level::Array)?,
                (b'{', _) => self.enter(Level::Object(Object {
                    start: at,
                    ..Object::default()
                }))?,
                (b':', Some(Level::Object(object))) => object.value_start = at.saturating_add(1),
                (b',', Some(Level::Object(object))) => object.end_entry(self.json, at),
                (b']', Some(Level::Array)) => drop(self.levels.pop()),
                (b'}', Some(Level::Object(object))) => {
                    object.end_entry(self.json, at);
                    let object = std::mem::take(object);
                    self.levels.pop();
                    self.end_object(&object, at)?;
                }
                (b']' | b'}', _) => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    fn enter(&mut self, level: Level) -> Result<(), Violation> {
        // The list itself is the one level above its arguments.
        if self.levels.len() > self.max_depth {
            return Err(Violation::TooDeep);
        }
        self.levels.push(level);
        Ok(())
    }

    fn end_string(&mut self, span: Range<usize>) {
        if let Some(Level::Object(object)) = self.levels.last_mut()
            && object.name.is_none()
        {
            let name = Name::of(self.json.get(span).unwrap_or_default());
            object.marker_is_first |= object.names == 0 && matches!(name, Name::Marker);
            object.names = object.names.saturating_add(1);
            object.name = Some(name);
        }
    }

    fn end_object(&mut self, object: &Object, at: usize) -> Result<(), Violation> {
        let Some(is_placeholder) = object.marker else {
            return Ok(());
        };
        let index = object.index.flatten().filter(|index| *index < self.count);
        let index = index
            .filter(|_| is_placeholder)
            .ok_or(Violation::Placeholder)?;
        if !object.marker_is_first {
            // What lies within it disappears with it. Those came last, so this stays linear.
            while self
                .unusual
                .pop_if(|other| other.span.start > object.start)
                .is_some()
            {}
            self.unusual.push(Placeholder {
                span: object.start..at.saturating_add(1),
                index,
            });
        }
        Ok(())
    }
}

impl Object {
    fn end_entry(&mut self, json: &str, at: usize) {
        let value = json.get(self.value_start..at).unwrap_or_default();
        let value = value.trim_matches([' ', '\t', '\n', '\r']);
        match self.name.take() {
            Some(Name::Marker) => self.marker = Some(self.marker.is_none() && value == "true"),
            Some(Name::Index) => {
                let first = self.index.is_none();
                self.index = Some(parse_index(value).filter(|_| first));
            }
            Some(Name::Other) | None => {}
        }
    }
}

impl Name {
    /// `raw` is what stands between the quotes.
    fn of(raw: &str) -> Self {
        match raw {
            MARKER => Self::Marker,
            INDEX => Self::Index,
            _ if raw.contains('\\') => match serde_json::from_str(&format!("\"{raw}\"")) {
                Ok(name) if name == *MARKER => Self::Marker,
                Ok(name) if name == *INDEX => Self::Index,
                Ok::<String, _>(_) | Err(_) => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

fn parse_index(text: &str) -> Option<usize> {
    let is_integer = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &str = r#"{"_placeholder":true,"num":1}"#;

    #[test]
    fn what_known_clients_write_is_not_scanned() {
        assert!(is_usual(USUAL, 2, 2));
        assert!(is_usual(&format!(r#"["a_b",{{"_c":[{USUAL}]}}]"#), 2, 4));
        for (json, count, max_depth) in [
            (USUAL, 1, 2),
            (USUAL, 2, 0),
            (r#"{"num":1,"_placeholder":true}"#, 2, 9),
            (r#"{"_placeholder":true, "num":1}"#, 2, 9),
            (r#"{"_placeholder":true,"num":1,"a":2}"#, 2, 9),
            (r#"["\u005fplaceholder"]"#, 2, 9),
            (r#"["_placeholder"]"#, 2, 9),
        ] {
            assert!(!is_usual(json, count, max_depth), "{json}");
        }
    }

    #[test]
    fn a_scan_of_what_is_not_scanned_would_find_nothing() {
        let pieces = [
            USUAL,
            "{",
            "}",
            "[",
            "]",
            ",",
            "\"_placeholder\"",
            ":true,\"num\":1}",
            "\"num\":0",
            "\"a_\":",
        ];
        let mut usual = 0;
        for number in 0..100_000_usize {
            let digits = (0..5).map(|place| number / 10_usize.pow(place) % 10);
            let json: String = digits.map(|digit| pieces[digit]).collect();
            if is_usual(&json, 2, 3) {
                usual += 1;
                assert!(
                    matches!(scan(&json, 2, 3), Ok(Cow::Borrowed(same)) if same == json),
                    "{json}"
                );
            }
        }
        assert!(usual > 10_000, "{usual}");
    }
}
