//! How deep JSON may be nested, measured on its text before anything is built from it.

/// How many arrays and objects may lie within each other in one argument at most, in both directions.
/// A limit above it counts as this one.
///
/// Serde recurses, and so does dropping what it built; a stack overflow cannot be caught.
pub const MAX_DEPTH: usize = 128;

/// A limit that somebody set.
pub(super) fn capped(max_depth: usize) -> usize {
    max_depth.min(MAX_DEPTH)
}

/// Whether no more than `limit` arrays and objects lie within each other in `json`.
///
/// Linear, and wrong only for text that is not JSON, where it may err in either direction by what
/// follows the first syntax error.
pub(super) fn is_within(json: &[u8], limit: usize) -> bool {
    // Nearly every payload has fewer brackets than that, strings included.
    let opening = json.iter().filter(|byte| is_opening(**byte)).count();
    opening <= limit || deepest(json) <= limit
}

fn deepest(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for &byte in json {
        if in_string {
            (in_string, escaped) = match byte {
                _ if escaped => (true, false),
                b'\\' => (true, true),
                byte => (byte != b'"', false),
            };
            continue;
        }
        match byte {
            b'"' => in_string = true,
            byte if is_opening(byte) => {
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn is_opening(byte: u8) -> bool {
    matches!(byte, b'[' | b'{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_brackets_outside_of_strings_nest() {
        let cases = [
            ("", 0),
            ("1", 0),
            ("[]", 1),
            ("[[],[]]", 2),
            (r#"{"a":[{"b":{}}]}"#, 4),
            (r#"["[[[[","{{{{"]"#, 1),
            (r#"["\"[[[",[]]"#, 2),
            (r#"["\\",[[]]]"#, 3),
            ("]]]][[", 2),
            ("[\"[[[[", 1),
        ];
        for (json, depth) in cases {
            assert_eq!(deepest(json.as_bytes()), depth, "{json}");
            for limit in 0..6 {
                assert_eq!(
                    is_within(json.as_bytes(), limit),
                    depth <= limit,
                    "{json} within {limit}"
                );
            }
        }
    }

    #[test]
    fn syntax_errors_cannot_hide_depth_before_them() {
        // A serde parser stops at its first error, so only what stands before it matters.
        assert!(!is_within("[".repeat(200).as_bytes(), MAX_DEPTH));
        assert!(!is_within("{\"a\":".repeat(200).as_bytes(), MAX_DEPTH));
    }
}
