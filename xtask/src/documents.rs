//! What our pages say about tests: a test that is named exists, and no case is left out.
//!
//! A page names a test by a link whose text is its name and whose target is its file:
//! ``[`name`](../tests/file.rs)``.

use std::collections::BTreeSet;

/// The page with a row for each corner case of the protocols.
pub(crate) const CASES: &str = "docs/protocol-cases.md";
/// The page with a row for each limit of a server.
pub(crate) const LIMITS: &str = "docs/limits.md";
/// Where these limits are set.
pub(crate) const SETTINGS: &str = "crates/ferriwire/src/config/limits.rs";
/// Under which reasons it is counted that somebody ran into one.
pub(crate) const REASONS_OF_LIMITS: &str = "crates/ferriwire/src/engine/reasons.rs";
/// The cases are numbered from 1.
const LAST_CASE: u32 = 93;
/// Why a case may have no test, and which cases that is true for.
const REASONS: [(&str, &[u32]); 4] = [
    ("with WebTransport", &[43, 71]),
    ("with the cluster", &[92, 93]),
    (
        "of the client",
        &[
            34, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90,
        ],
    ),
    ("of Node.js only", &[74]),
];

/// The links of a page to tests that do not exist. `text_of` reads a file by its path from the root.
pub(crate) fn missing_tests<'a>(
    page: &str,
    text: &str,
    text_of: impl Fn(&str) -> Option<&'a str>,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for (name, target) in named_tests(line) {
            let file = resolve(page, target);
            match text_of(&file) {
                None => complaints.push(format!(":{number}: there is no file {file}")),
                Some(code) if !defines(&file, code, name) => {
                    complaints.push(format!(":{number}: there is no test `{name}` in {file}"));
                }
                Some(_) => {}
            }
        }
    }
    complaints
}

/// The cases without a row, and the rows that name neither a test nor an accepted reason.
pub(crate) fn incomplete_cases(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut seen = BTreeSet::new();
    for (line, row) in (1..).zip(text.lines()) {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let Some(case) = cells.next().and_then(|cell| cell.parse::<u32>().ok()) else {
            continue;
        };
        if !seen.insert(case) {
            complaints.push(format!(":{line}: case {case} has two rows"));
        }
        let answer = cells.nth(1).unwrap_or_default();
        let has_reason = REASONS
            .iter()
            .any(|(reason, cases)| answer.starts_with(reason) && cases.contains(&case));
        if named_tests(answer).next().is_none() && !has_reason {
            complaints.push(format!(
                ":{line}: case {case} has neither a test nor a reason"
            ));
        }
    }
    let missing = (1..=LAST_CASE).filter(|case| !seen.contains(case));
    complaints.extend(missing.map(|case| format!(": case {case} has no row")));
    complaints
}

/// The settings, which are the fields of the first type in `code`, that the page has no word of.
pub(crate) fn missing_settings(page: &str, code: &str) -> Vec<String> {
    let fields = code
        .lines()
        .skip_while(|line| !line.starts_with("pub struct "));
    fields
        .take_while(|line| *line != "}")
        .filter_map(|line| line.trim().strip_prefix("pub(crate) ")?.split_once(':'))
        .filter(|(name, _)| !page.contains(&format!("`{name}`")))
        .map(|(name, _)| format!(": the setting `{name}` is missing"))
        .collect()
}

/// The reasons, which are the names behind an arrow in `code`, that the page has no word of.
pub(crate) fn missing_reasons(page: &str, code: &str) -> Vec<String> {
    let names = code.lines().filter_map(|line| {
        let (_, name) = line.split_once(" => \"")?;
        name.strip_suffix("\",")
    });
    names
        .filter(|name| !page.contains(&format!("`{name}`")))
        .map(|name| format!(": the reason `{name}` is missing"))
        .collect()
}

/// The name and the target of each link to a test.
fn named_tests(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split("[`").skip(1).filter_map(|link| {
        let (name, rest) = link.split_once("`](")?;
        let (target, _) = rest.split_once(')')?;
        let is_code = [".rs", ".mjs", ".py"]
            .iter()
            .any(|end| target.ends_with(end));
        is_code.then_some((name, target))
    })
}

/// Whether that test stands in the code: a function with the attribute of one, a row of a table of
/// `scenarios!`, or what the scripts of other languages run. A helper is no test.
fn defines(file: &str, code: &str, name: &str) -> bool {
    if file.ends_with(".mjs") {
        return scenarios(code, "export const scenarios = {", "};")
            .any(|line| line.starts_with(&format!("  {name}: {{")));
    }
    if file.ends_with(".py") {
        return scenarios(code, "SCENARIOS = [", "]").any(|line| line.trim() == format!("{name},"));
    }
    let definition = format!("fn {name}(");
    let is_test = code
        .match_indices(&definition)
        .filter_map(|(at, _)| code.get(..at))
        .any(has_test_attribute);
    let row = format!("{name}:");
    is_test || scenarios(code, "scenarios! {", "}").any(|line| line.trim_start().starts_with(&row))
}

/// Whether one of the attributes above the last line of the code, which a function begins, makes a test
/// of it.
fn has_test_attribute(before: &str) -> bool {
    let (above, _) = before.rsplit_once('\n').unwrap_or_default();
    let lines = above.lines().rev().map(str::trim);
    let head = lines.take_while(|line| !line.is_empty() && !line.ends_with(['}', '{', ';']));
    let mut attributes = head.filter(|line| line.starts_with("#["));
    attributes.any(|line| {
        ["#[test]", "#[tokio::test]", "#[tokio::test("]
            .iter()
            .any(|attribute| line.starts_with(attribute))
    })
}

/// The lines between these two.
fn scenarios<'a>(code: &'a str, first: &str, last: &str) -> impl Iterator<Item = &'a str> {
    let lines = code.lines().skip_while(move |line| *line != first);
    lines.skip(1).take_while(move |line| *line != last)
}

/// The path from the root, of a link in a page.
fn resolve(page: &str, target: &str) -> String {
    let mut path: Vec<&str> = page.split('/').collect();
    path.pop();
    for step in target.split('/') {
        match step {
            "." => {}
            ".." => drop(path.pop()),
            step => path.push(step),
        }
    }
    path.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_tests_lead_somewhere() {
        let code = "struct Holder {\n    field: u8,\n}\nfn helper() {}\n\n#[test]\nfn good() {}\nfn next() {}\n\n\
                    #[tokio::test(start_paused = true)]\n/// Words.\nasync fn slow() {}\n\n\
                    proptest! {\n    #[test]\n    fn any(a in 0..1) {}\n}\n\n#[cfg(test)]\nfn cut() {}\n\n\
                    scenarios! {\n    table: polling,\n}\n";
        let script =
            "function helper() {}\nexport const scenarios = {\n  rooms: {\n    run: 1,\n  },\n};\n";
        let python =
            "async def helper(): pass\nasync def rooms(): pass\nSCENARIOS = [\n    rooms,\n]\n";
        let text_of = |path: &str| match path {
            "tests/a.rs" => Some(code),
            "tests/a.mjs" => Some(script),
            "tests/a.py" => Some(python),
            _ => None,
        };
        let complaints = |line: &str| missing_tests("docs/page.md", line, text_of).len();
        for fine in [
            "[`good`](../tests/a.rs)",
            "[`good`](./../tests/a.rs), [`table`](../tests/a.rs)",
            "[`slow`](../tests/a.rs), [`any`](../tests/a.rs)",
            "[`rooms`](../tests/a.mjs), [`rooms`](../tests/a.py)",
            "[`Type`](https://example.org/) and [plain](../nowhere.rs)",
        ] {
            assert_eq!(complaints(fine), 0, "{fine}");
        }
        for broken in [
            "[`bad`](../tests/a.rs)",
            "[`goo`](../tests/a.rs)",
            "[`good`](../tests/b.rs)",
            "[`helper`](../tests/a.rs)",
            "[`next`](../tests/a.rs)",
            "[`cut`](../tests/a.rs)",
            "[`field`](../tests/a.rs)",
            "[`helper`](../tests/a.mjs)",
            "[`run`](../tests/a.mjs)",
            "[`helper`](../tests/a.py)",
        ] {
            assert_eq!(complaints(broken), 1, "{broken}");
        }
    }

    #[test]
    fn every_case_has_a_row_with_a_test_or_a_reason() {
        let rows = (1..=LAST_CASE).map(|case| {
            let reason = REASONS.iter().find(|(_, cases)| cases.contains(&case));
            let answer = reason.map_or("[`a`](../tests/a.rs)", |(reason, _)| reason);
            format!("| {case} | what | {answer} |\n")
        });
        let whole: String = rows.collect();
        assert_eq!(incomplete_cases(&whole), Vec::<String>::new());
        let without = whole.replacen("| 7 | what | [`a`](../tests/a.rs) |\n", "", 1);
        assert_eq!(incomplete_cases(&without).len(), 1);
        let lazy = whole.replace(
            "| 7 | what | [`a`](../tests/a.rs) |",
            "| 7 | what | later |",
        );
        assert_eq!(incomplete_cases(&lazy).len(), 1);
        let borrowed = whole.replace(
            "| 7 | what | [`a`](../tests/a.rs) |",
            "| 7 | what | of the client |",
        );
        assert_eq!(incomplete_cases(&borrowed).len(), 1);
    }

    #[test]
    fn every_reason_stands_in_the_page_of_limits() {
        let code = "pub enum Kind {\n    One => \"one\",\n    Two => \"two\",\n}\nlet x = match y { a => b, };\n";
        assert_eq!(
            missing_reasons("`one` and `two`", code),
            Vec::<String>::new()
        );
        assert_eq!(missing_reasons("`one` and two", code).len(), 1);
        assert_eq!(missing_reasons("", code).len(), 2);
    }

    #[test]
    fn every_setting_stands_in_the_page_of_limits() {
        let code = "use a;\n\npub struct Limits {\n    pub(crate) one: usize,\n    pub(crate) two: u32,\n}\n\
                    struct Other {\n    pub(crate) three: u8,\n}\n";
        assert_eq!(
            missing_settings("`one` and `two`", code),
            Vec::<String>::new()
        );
        assert_eq!(missing_settings("`one` and two", code).len(), 1);
        assert_eq!(missing_settings("", code).len(), 2);
    }
}
