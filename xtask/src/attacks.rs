//! The page with a row for each advisory and each attack: none is left out, and each has an answer.

use std::collections::BTreeSet;

/// The page.
pub(crate) const ATTACKS: &str = "docs/attacks.md";

/// What stands in front of the number of an id, and the last number.
const SERIES: [(&str, u32); 9] = [
    ("T-ADV-", 25),
    ("T-FIX-", 12),
    ("T-RS-", 20),
    ("T-H1-", 2),
    ("T-H2-", 5),
    ("T-TLS-", 3),
    ("T-Q-", 4),
    ("T-PY-", 3),
    ("A", 84),
];

/// Why a row may have no test, and which rows that is true for.
const REASONS: [(&str, &[&str]); 6] = [
    (
        "with WebTransport",
        &[
            "T-FIX-01", "T-FIX-02", "T-RS-19", "T-Q-01", "T-Q-02", "T-Q-03", "T-Q-04", "A71", "A72",
        ],
    ),
    ("with the cluster", &["T-ADV-18", "T-FIX-12", "A75"]),
    ("with the Admin UI", &["A76"]),
    ("with tokens", &["A77", "A78"]),
    ("of the client", &["T-ADV-02", "T-RS-20"]),
    // What has no test by its nature: a decision, and what is checked outside of tests.
    ("", &["A46", "A84"]),
];

/// The ids without a row, and the rows without an answer.
pub(crate) fn incomplete_attacks(text: &str) -> Vec<String> {
    let mut missing: BTreeSet<String> = SERIES
        .iter()
        .flat_map(|(series, last)| (1..=*last).map(move |number| format!("{series}{number:02}")))
        .collect();
    let mut complaints = Vec::new();
    for (line, row) in (1..).zip(text.lines()) {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let (Some(id), _, Some(answer)) = (cells.next(), cells.next(), cells.next()) else {
            continue;
        };
        if matches!(id, "id" | "---") {
            continue;
        }
        if !missing.remove(id) {
            complaints.push(format!(":{line}: {id} is unknown, or has two rows"));
        }
        let has_reason = REASONS
            .iter()
            .any(|(reason, ids)| answer.starts_with(reason) && ids.contains(&id));
        if !answer.contains("[`") && !has_reason {
            complaints.push(format!(":{line}: {id} has neither a test nor a reason"));
        }
    }
    complaints.extend(missing.iter().map(|id| format!(": {id} has no row")));
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attack_has_a_row_with_a_test_or_a_reason() {
        let row = |id: &str, answer: &str| format!("| {id} | what | {answer} |\n");
        let mut whole = "| id | what | test |\n|---|---|---|\n".to_owned();
        for (series, last) in SERIES {
            for number in 1..=last {
                let id = format!("{series}{number:02}");
                let reason = REASONS.iter().find(|(_, ids)| ids.contains(&id.as_str()));
                let answer = reason.map_or("[`a`](../tests/a.rs)", |(reason, _)| reason);
                whole.push_str(&row(&id, answer));
            }
        }
        assert_eq!(incomplete_attacks(&whole), Vec::<String>::new());
        let tested = row("A66", "[`a`](../tests/a.rs)");
        for broken in [
            whole.replace(&tested, ""),
            whole.replace(&tested, &row("A66", "later")),
            whole.replace(&tested, &row("A66", "of the client")),
            whole.replace(&tested, &tested.repeat(2)),
            whole.clone() + &row("A85", "[`a`](../tests/a.rs)"),
        ] {
            assert_eq!(incomplete_attacks(&broken).len(), 1, "{broken}");
        }
    }
}
