//! The page for those who know the reference's API: no entry is left out, and what it names exists.
//!
//! A row is ``| `entry` | ours | note |``, under the heading that the list of entries has it under.
//! "Ours" names items, or says that there is none and why, or with what it will come.

use std::collections::BTreeSet;

/// The page with a row for each entry of the reference's API.
pub(crate) const PAGE: &str = "docs/coming-from-javascript.md";
/// These entries: one in each line, under headings.
pub(crate) const ENTRIES: &str = "docs/reference-api.txt";
/// What the page names is public in one of these.
pub(crate) const SOURCES: [&str; 2] = ["crates/ferriwire/src/", "crates/ferriwire-proto/src/"];
/// What is not there yet. Whoever brings it takes it out here, and then the rows that wait are found.
const LATER: [&str; 2] = ["the cluster", "WebTransport"];

/// The public items of the sources, as far as their lines tell: `Type`, `Type::member`, `function`.
///
/// Like the rest of this program it is no parser, and relies on rustfmt: what begins at the first
/// column ends with a brace there. Modules are not told apart.
#[derive(Default)]
pub(crate) struct Items(BTreeSet<String>);

impl Items {
    pub(crate) fn add(&mut self, code: &str) {
        let mut owners = Vec::new();
        for line in code.lines() {
            if line.starts_with('}') {
                owners.clear();
            } else if line.starts_with("impl") {
                owners = words(line).collect();
            } else if let Some(name) = declared(line) {
                self.0.insert(name.to_owned());
                owners = vec![name];
            } else if let Some(member) = member(line) {
                let paths = owners.iter().map(|owner| format!("{owner}::{member}"));
                self.0.extend(paths);
            }
        }
    }

    /// Whether there is such an item; the modules in front of it do not matter.
    fn has(&self, path: &str) -> bool {
        let is_module = |segment: &str| !segment.starts_with(char::is_uppercase);
        let mut item = path;
        while let Some((first, rest)) = item.split_once("::") {
            if !is_module(first) {
                break;
            }
            item = rest;
        }
        self.0.contains(item)
    }
}

/// What is wrong with the page.
pub(crate) fn incomplete_rows(page: &str, entries: &str, items: &Items) -> Vec<String> {
    let mut complaints = Vec::new();
    let known: BTreeSet<Entry<'_>> = under_headings(entries)
        .filter(|(_, _, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(_, heading, entry)| (heading, entry))
        .collect();
    let mut seen = BTreeSet::new();
    for (number, heading, line) in under_headings(page) {
        let mut complain = |what: String| complaints.push(format!(":{number}: {what}"));
        let named = spans(line).filter(|span| span.contains("::") && is_path(span));
        for item in named.filter(|item| !items.has(item)) {
            complain(format!("there is no public `{item}`"));
        }
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let entry = cells.next().and_then(|cell| {
            let cell = cell.strip_prefix('`')?.strip_suffix('`')?;
            line.starts_with('|').then_some(cell)
        });
        let Some(entry) = entry else { continue };
        if !known.contains(&(heading, entry)) {
            complain(format!("{ENTRIES} has no `{entry}` under \"{heading}\""));
        }
        if !seen.insert((heading, entry)) {
            complain(format!("`{entry}` has two rows under \"{heading}\""));
        }
        if let Some(what) = wrong_answer(cells.next().unwrap_or_default(), items) {
            complain(format!("`{entry}`: {what}"));
        }
    }
    let missing = known.difference(&seen);
    complaints.extend(
        missing.map(|(heading, entry)| format!(": no row for `{entry}` under \"{heading}\"")),
    );
    complaints
}

/// A heading, and an entry under it.
type Entry<'a> = (&'a str, &'a str);

/// What is wrong with the second cell of a row. Paths in it were looked up already.
fn wrong_answer(ours: &str, items: &Items) -> Option<String> {
    if let Some(reason) = ours.strip_prefix("not planned") {
        let is_given = reason
            .strip_prefix(", because ")
            .is_some_and(|why| !why.trim().is_empty());
        return (!is_given).then(|| "say `not planned, because ..`".to_owned());
    }
    if let Some(part) = ours.strip_prefix("later: with ") {
        let is_coming = LATER.contains(&part);
        return (!is_coming).then(|| format!("`{part}` is not among what comes later"));
    }
    let mut named = spans(ours).peekable();
    if named.peek().is_none() {
        return Some("name what stands for it, or say why there is nothing".to_owned());
    }
    let mut unknown =
        named.filter(|item| !is_path(item) || !item.contains("::") && !items.has(item));
    unknown
        .next()
        .map(|item| format!("there is no public `{item}`"))
}

/// The lines that are no headings, each with its number and the heading that it stands under.
fn under_headings(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let mut heading = "";
    (1..).zip(text.lines()).filter_map(move |(number, line)| {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title.trim();
            return None;
        }
        Some((number, heading, line.trim()))
    })
}

/// What stands between backticks.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.split("::").all(is_name)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_') && text.chars().all(is_part_of_a_name)
}

fn is_part_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c| !is_part_of_a_name(c));
    words.filter(|word| !word.is_empty())
}

/// The name that a line at the first column makes public.
fn declared(line: &str) -> Option<&str> {
    let mut words = words(line.strip_prefix("pub ")?);
    match words.next()? {
        "async" | "const" => words.find(|word| *word != "fn"),
        "struct" | "enum" | "trait" | "type" | "fn" => words.next(),
        _ => None,
    }
}

/// The name of the function, field or variant that a line one step to the right declares.
fn member(line: &str) -> Option<&str> {
    let line = line.strip_prefix("    ")?;
    if line.starts_with(char::is_uppercase) {
        let name = words(line).next()?;
        let behind = line.strip_prefix(name)?.trim_start();
        return behind.starts_with([',', '(', '{']).then_some(name);
    }
    let declaration = line.strip_prefix("pub ").unwrap_or(line);
    let is_public = declaration.len() < line.len();
    let mut words = words(declaration);
    match words.next()? {
        "async" | "const" if is_public => words.find(|word| *word != "fn"),
        "fn" if is_public => words.next(),
        field if is_public && declaration.strip_prefix(field)?.starts_with(':') => Some(field),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "pub struct Socket<D = ()> {\n    pub id: u8,\n    secret: u8,\n}\n\n\
        impl<D: Send> Socket<D> {\n    /// Sends.\n    #[must_use]\n    pub fn emit<E>(&self) {\n        \
        Inner {\n        }\n    }\n\n    pub async fn ready(&self) {}\n\n    pub(crate) fn hidden(&self) {}\n\n    \
        fn private(&self) {}\n}\n\npub enum Reason {\n    /// Lost.\n    Closed,\n    Other(u8),\n}\n\n\
        pub trait Reply {}\n\npub fn accept(\n    a: u8,\n) {\n}\n\npub(crate) struct Hidden;\n\n\
        impl Hidden {\n    pub const fn new() -> Self {}\n}\n\nstruct Later;\n";

    fn items() -> Items {
        let mut items = Items::default();
        items.add(CODE);
        items
    }

    #[test]
    fn public_items_are_found() {
        let items = items();
        for path in [
            "Socket",
            "Socket::id",
            "Socket::emit",
            "engine::Socket::emit",
            "Socket::ready",
            "Reason",
            "Reason::Closed",
            "engine::Reason::Other",
            "Reply",
            "accept",
            "websocket::accept",
        ] {
            assert!(items.has(path), "{path}");
        }
        for path in [
            "Socket::secret",
            "Socket::hidden",
            "Socket::private",
            "Socket::Inner",
            "Socket::Closed",
            "Reason::emit",
            "emit",
            "Emit",
            "Hidden",
            "Later",
            "",
        ] {
            assert!(!items.has(path), "{path}");
        }
    }

    #[test]
    fn every_entry_has_one_row_under_its_heading() {
        let entries = "# A remark.\n\n## Socket\nemit()\nid\n\n## Server\nid\n";
        let page = "Words.\n\n## Socket\n\n| reference | ours | note |\n|---|---|---|\n\
            | `emit()` | `Socket::emit` | |\n| `id` | `Socket::id` | a note |\n\n\
            ## Server\n\n| `id` | `Socket` | |\n\n## More\n\nWords with `Socket::emit` and `io.emit()`.\n";
        let complaints = |page: &str| incomplete_rows(page, entries, &items());
        assert_eq!(complaints(page), Vec::<String>::new());
        for (from, to, expected) in [
            ("| `id` | `Socket` | |\n", "", 1),
            ("| `emit()` | `Socket::emit` | |\n", "", 1),
            ("## Server", "## Namespace", 2),
            ("| `emit()`", "| `send()`", 2),
            ("| `id` | `Socket::id`", "| `emit()` | `Socket::id`", 2),
            ("with `Socket::emit`", "with `Socket::write`", 1),
            ("a note", "as `Socket::hidden`", 1),
        ] {
            let broken = page.replacen(from, to, 1);
            assert_eq!(complaints(&broken).len(), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn every_row_names_what_there_is_or_says_why_there_is_nothing() {
        let cases = [
            ("`Socket::emit`", 0),
            ("`Socket::emit`, `engine::Reason::Closed`", 0),
            ("`Socket`", 0),
            ("not planned, because it is private", 0),
            ("later: with the cluster", 0),
            ("", 1),
            ("something", 1),
            ("`Socket::write`", 1),
            ("`Socket::emit`, `Namespace`", 1),
            ("`socket.emit()`", 1),
            ("not planned", 1),
            ("not planned, because ", 1),
            ("later", 1),
            ("later: with a new release", 1),
        ];
        for (ours, expected) in cases {
            let page = format!("## A\n| `a` | {ours} | |\n");
            let complaints = incomplete_rows(&page, "## A\na\n", &items());
            assert_eq!(complaints.len(), expected, "{ours}: {complaints:?}");
        }
    }
}
