//! Long-polling by scripts and forms, for pages in browsers without anything else (1.1.5).
//!
//! A GET is answered by a script that calls the function `___eio[index]` with the body as a string; a
//! POST is a form whose field `d` is the body.

use std::borrow::Cow;

/// How many digits the index of a callback may have.
const MAX_DIGITS: usize = 16;

/// Which of the page's functions gets the answer: the parameter `j`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callback {
    /// The one with this index, digits only, so that the script calls nothing else.
    Index(Box<str>),
    /// Something else, which is refused. The reference takes the digits out of it.
    Malformed,
}

impl Callback {
    /// Reads the parameter.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let digits = (1..=MAX_DIGITS).contains(&value.len());
        if digits && value.bytes().all(|byte| byte.is_ascii_digit()) {
            Self::Index(value.into())
        } else {
            Self::Malformed
        }
    }
}

/// The script that hands `body` to the callback of that index.
#[must_use]
pub fn script(index: &str, body: &str) -> String {
    // A string of JSON is one of JavaScript but for two characters that end lines there.
    let body = serde_json::Value::from(body).to_string();
    let body = body.replace('\u{2028}', "\\u2028");
    let body = body.replace('\u{2029}', "\\u2029");
    format!("___eio[{index}]({body});")
}

/// The body that a form carries; nothing when it has no field `d`.
#[must_use]
pub fn form_body(form: &[u8]) -> Option<String> {
    let field = form_urlencoded::parse(form).find(|(name, _)| name == "d");
    field.map(|(_, body)| restore_newlines(body))
}

/// Undoes what the client did because browsers change newlines in forms: it writes a newline as
/// `\n`, and a `\n` that was there before with one backslash more.
fn restore_newlines(text: Cow<'_, str>) -> String {
    let mut restored = String::with_capacity(text.len());
    let mut backslashes: usize = 0;
    for char in text.chars() {
        if char == '\\' {
            backslashes = backslashes.saturating_add(1);
            continue;
        }
        let (kept, char) = match (char, backslashes) {
            ('n', 1) => (0, '\n'),
            ('n', 2..) => (backslashes.saturating_sub(1), 'n'),
            (other, kept) => (kept, other),
        };
        restored.extend(std::iter::repeat_n('\\', kept));
        restored.push(char);
        backslashes = 0;
    }
    restored.extend(std::iter::repeat_n('\\', backslashes));
    restored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_name_a_callback() {
        for value in ["0", "12", "0123456789012345"] {
            assert_eq!(Callback::parse(value), Callback::Index(value.into()));
        }
        for value in [
            "",
            "a",
            "1a",
            "-1",
            " 1",
            "1]",
            "</script>",
            "\u{661}",
            "01234567890123456",
        ] {
            assert_eq!(Callback::parse(value), Callback::Malformed, "{value:?}");
        }
    }

    #[test]
    fn a_script_is_one_call_whatever_the_body_holds() {
        for (body, expected) in [
            ("", r#"___eio[3]("");"#),
            ("1:6", r#"___eio[3]("1:6");"#),
            ("\"\\\n\u{0}", r#"___eio[3]("\"\\\n\u0000");"#),
            ("\u{2028}a\u{2029}", r#"___eio[3]("\u2028a\u2029");"#),
            ("\u{e9}", "___eio[3](\"\u{e9}\");"),
        ] {
            assert_eq!(script("3", body), expected);
        }
    }

    #[test]
    fn forms_give_back_what_the_client_put_in() {
        for (form, expected) in [
            ("d=", Some("")),
            ("d=6%3A4hello", Some("6:4hello")),
            ("x=1&d=a+b%2B&d=c", Some("a b+")),
            ("d=a%5Cnb", Some("a\nb")),
            (r"d=a\\nb", Some(r"a\nb")),
            (r"d=a\\\nb", Some(r"a\\nb")),
            (r"d=\\", Some(r"\\")),
            (r"d=\a\n\", Some("\\a\n\\")),
            ("", None),
            ("e=1", None),
            ("D=1", None),
        ] {
            assert_eq!(form_body(form.as_bytes()).as_deref(), expected, "{form:?}");
        }
    }
}
