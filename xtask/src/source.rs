//! Rust source as the rules want to see it: without comments and tests.
//!
//! This is no parser: it relies on rustfmt and on the habits of this repository. Should it ever take a
//! text for code, then the complaint shows it.

/// Empties the comments; lines keep their numbers.
pub(crate) fn without_comments(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    for line in source.lines() {
        if !line.trim_start().starts_with("//") {
            code.push_str(line.split(" // ").next().unwrap_or_default());
        }
        code.push('\n');
    }
    code
}

/// Empties the items marked `#[cfg(test)]`; lines keep their numbers.
///
/// The brace that ends an item stands under the item's first character.
pub(crate) fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        kept.push('\n');
        let indent = line
            .get(..line.len() - line.trim_start().len())
            .unwrap_or_default();
        let closing = format!("{indent}}}");
        let mut in_body = false;
        for line in lines.by_ref() {
            kept.push('\n');
            let line = line.trim_end();
            let is_attribute = line.trim_start().starts_with('#');
            in_body |= !is_attribute && line.ends_with('{');
            let ends = if in_body {
                line == closing
            } else {
                !is_attribute && line.ends_with([';', '}', ','])
            };
            if ends {
                break;
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_emptied_and_lines_keep_their_numbers() {
        let cases = [
            ("a\n/// b\nc\n", "a\n\nc\n"),
            ("    //! b\nc\n", "\nc\n"),
            ("a // b\nc\n", "a\nc\n"),
            ("\"http://a\"\n", "\"http://a\"\n"),
        ];
        for (source, expected) in cases {
            assert_eq!(without_comments(source), expected, "{source}");
        }
    }

    #[test]
    fn tests_are_emptied_and_lines_keep_their_numbers() {
        let cases = [
            ("a\n#[cfg(test)]\nmod tests;\nb\n", "a\n\n\nb\n"),
            (
                "#[cfg(test)]\nmod tests {\n    fn a() {\n    }\n}\nb\n",
                "\n\n\n\n\nb\n",
            ),
            (
                "#[cfg(test)]\n#[path = \"x\"]\nmod tests;\nb\n",
                "\n\n\nb\n",
            ),
            ("#[cfg(test)]\nmod tests {}\nb\n", "\n\nb\n"),
            (
                "m {\n    #[cfg(test)]\n    fn a() {\n    }\n    b\n}\n",
                "m {\n\n\n\n    b\n}\n",
            ),
        ];
        for (code, expected) in cases {
            assert_eq!(without_tests(code), expected, "{code}");
        }
    }
}
