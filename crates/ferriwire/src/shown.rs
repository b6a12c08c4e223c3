//! What others say, as logs may show it: escaped, so that it cannot forge lines or steer a terminal,
//! and cut, so that it cannot fill a disk.

use std::fmt::{self, Write as _};

/// How many bytes are shown at most.
const MAX: usize = 256;

/// Stands where something was cut off.
const CUT: &str = "..";

/// Shows a text that a peer or the program has chosen.
pub(crate) fn shown<T: fmt::Display>(text: T) -> Shown<T> {
    Shown(text)
}

/// A text without line ends, control sequences and marks that turn its direction, of 256 bytes at most.
#[derive(Clone, Copy)]
pub(crate) struct Shown<T>(T);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut escaped = Escaped {
            text: String::new(),
            is_cut: false,
        };
        let written = write!(escaped, "{}", self.0);
        formatter.write_str(&escaped.text)?;
        if escaped.is_cut {
            // The text was told to stop by an error.
            return formatter.write_str(CUT);
        }
        written
    }
}

impl<T: fmt::Display> fmt::Debug for Shown<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

struct Escaped {
    text: String,
    is_cut: bool,
}

impl fmt::Write for Escaped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let start = self.text.len();
            match character {
                '\'' => self.text.push(character),
                other => self.text.extend(other.escape_debug()),
            }
            if self.text.len() > MAX - CUT.len() {
                self.text.truncate(start);
                self.is_cut = true;
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_or_forge_a_line_is_escaped() {
        for (text, expected) in [
            ("message", "message"),
            ("/räume/größe", "/räume/größe"),
            ("a\nERROR forged", "a\\nERROR forged"),
            ("\r\u{1b}[2J", "\\r\\u{1b}[2J"),
            ("user\u{202e}txt", "user\\u{202e}txt"),
            ("a\u{2028}b\u{85}", "a\\u{2028}b\\u{85}"),
            ("x\" level=\"error", "x\\\" level=\\\"error"),
            ("${jndi:ldap://x}{{7*7}}", "${jndi:ldap://x}{{7*7}}"),
            ("\0", "\\0"),
            ("packet type 'x'", "packet type 'x'"),
        ] {
            assert_eq!(shown(text).to_string(), expected);
        }
    }

    #[test]
    fn what_is_long_is_cut_at_256_bytes() {
        for len in [0, 1, 253, 254, 255, 256, 257, 1_000_000] {
            for character in ["x", "é", "\n", "\u{202e}", "𝄞"] {
                let text = character.repeat(len);
                let shown = shown(&text).to_string();
                assert!(shown.len() <= MAX, "{len} of {character:?}");
                let whole: String = text.chars().flat_map(char::escape_debug).collect();
                let fits = whole.len() <= MAX - CUT.len();
                assert_eq!(shown.ends_with(CUT), !fits, "{len} of {character:?}");
                assert!(!fits || shown == whole);
            }
        }
    }
}
