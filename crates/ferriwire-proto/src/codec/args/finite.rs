//! Numbers that no type of ours holds.

/// The text with `null` in the place of every number that is beyond `f64`; nothing if there is none.
///
/// Only called for errors. The text is JSON; it is read once, and so is each number.
pub(super) fn without_infinite(json: &str) -> Option<String> {
    let mut finite = String::new();
    let mut copied = 0;
    let mut bytes = json.bytes().enumerate();
    while let Some((start, byte)) = bytes.next() {
        match byte {
            b'"' => {
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'-' | b'0'..=b'9' => {
                let rest = json.get(start..).unwrap_or_default();
                let len = rest.bytes().take_while(|byte| is_of_number(*byte)).count();
                if let Some(skipped) = len.checked_sub(2) {
                    bytes.nth(skipped);
                }
                if is_infinite(rest.get(..len).unwrap_or_default()) {
                    finite.push_str(json.get(copied..start).unwrap_or_default());
                    finite.push_str("null");
                    copied = start.saturating_add(len);
                }
            }
            _ => {}
        }
    }
    if copied == 0 {
        return None;
    }
    finite.push_str(json.get(copied..).unwrap_or_default());
    Some(finite)
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

fn is_infinite(number: &str) -> bool {
    number.parse().is_ok_and(f64::is_infinite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_infinite_numbers_outside_of_strings_are_replaced() {
        let cases = [
            ("[1e400]", Some("[null]")),
            ("1e309", Some("null")),
            ("[-1e400,1,1E+400 ]", Some("[null,1,null ]")),
            (
                r#"{"1e400":[1e400,{"a\"":-1e999}],"b":"1e400"}"#,
                Some(r#"{"1e400":[null,{"a\"":null}],"b":"1e400"}"#),
            ),
            (
                r#"["é\\",1e400,"\\\"1e400"]"#,
                Some(r#"["é\\",null,"\\\"1e400"]"#),
            ),
            ("[1e308,-0,0,5,1e-400,0e999999999]", None),
            (r#"["1e400"]"#, None),
            ("[]", None),
            ("", None),
        ];
        for (json, expected) in cases {
            assert_eq!(without_infinite(json).as_deref(), expected, "{json}");
        }
        let largest = f64::MAX.to_string();
        assert_eq!(without_infinite(&largest), None, "309 digits");
        let more = format!("{largest}0");
        assert_eq!(without_infinite(&more).as_deref(), Some("null"));
    }
}
