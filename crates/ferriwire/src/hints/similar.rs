//! Which of the known names may have been meant.

/// Longer names are not compared: nobody mistypes them by hand, and it takes the square of the length.
const MAX_LEN: usize = 64;

/// The most similar name, if one is similar enough: a third of its characters may differ.
pub(super) fn closest<'a, N: AsRef<str>>(name: &str, names: &'a [N]) -> Option<&'a str> {
    let name = letters(name)?;
    let allowed = name.len().max(3) / 3;
    let candidates = names.iter().map(AsRef::as_ref);
    let distances = candidates.filter_map(|known| {
        let distance = distance(&name, &letters(known)?);
        (distance <= allowed).then_some((distance, known))
    });
    // In the order of the names among equals, whatever order they came in.
    distances.min().map(|(_, known)| known)
}

fn letters(name: &str) -> Option<Vec<char>> {
    if name.len() > MAX_LEN * 4 {
        return None;
    }
    let letters: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
    (letters.len() <= MAX_LEN).then_some(letters)
}

/// How many letters have to be put in, taken out, exchanged, or swapped with their neighbour.
fn distance(left: &[char], right: &[char]) -> usize {
    // Three rows of the usual table: the last but one, the last, and the one being filled.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, letter) in left.iter().enumerate() {
        let mut next = Vec::with_capacity(last.len());
        next.push(row + 1);
        for (column, other) in right.iter().enumerate() {
            let exchanged = last[column] + usize::from(letter != other);
            let mut least = exchanged.min(last[column + 1] + 1).min(next[column] + 1);
            let swapped = row > 0
                && column > 0
                && Some(letter) == right.get(column - 1)
                && left.get(row - 1) == Some(other);
            if swapped {
                least = least.min(before[column - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found() {
        let names = ["message", "typing", "join", "/chat", "größe"];
        for (name, expected) in [
            ("mesage", Some("message")),
            ("mesasge", Some("message")),
            ("Message", Some("message")),
            ("typnig", Some("typing")),
            ("jion", Some("join")),
            ("/chta", Some("/chat")),
            ("groesse", None),
            ("grösse", Some("größe")),
            ("leave", None),
            ("", None),
        ] {
            assert_eq!(closest(name, &names), expected, "{name}");
        }
    }

    #[test]
    fn hostile_names_are_not_compared() {
        let long = "x".repeat(1_000_000);
        assert_eq!(closest(&long, &["x"]), None);
        assert_eq!(closest("x", &[&long]), None);
        let names: [&str; 0] = [];
        assert_eq!(closest("x", &names), None);
    }
}
