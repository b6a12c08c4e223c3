//! The table of clients, transports and steps: what there has to be, and what there was.

use std::collections::BTreeMap;
use std::fmt;

const CLIENTS: [&str; 6] = [
    RECOVERS,
    "javascript-3.1",
    "javascript-2.5",
    "javascript-1.7",
    "python-asynchronous",
    "python-synchronous",
];
/// The one client that knows recovery.
const RECOVERS: &str = "javascript-4.8";
const TRANSPORTS: [&str; 3] = ["polling", "websocket", "upgrade"];
const STEPS: [&str; 9] = [
    "connect",
    "refuse",
    "echo",
    "binary",
    "acks",
    "rooms",
    "namespaces",
    "reconnect",
    RECOVER,
];
const RECOVER: &str = "recover";

const OK: &str = "ok";
/// What a cell says when the client does not know the step.
const UNKNOWN: &str = "unknown";
const MISSING: &str = "MISSING";

/// The cells that the scripts have printed, one on each line: client, transport, step and result.
#[derive(Debug)]
pub struct Matrix<'a> {
    cells: BTreeMap<[&'a str; 3], Vec<&'a str>>,
}

impl<'a> Matrix<'a> {
    /// Reads lines; those that are no cells do not count.
    pub fn read(lines: &'a str) -> Self {
        let mut cells: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for line in lines.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            if let [client, transport, step, result] = words[..] {
                let results = cells.entry([client, transport, step]).or_default();
                results.push(result);
            }
        }
        Self { cells }
    }

    /// Each cell that is not what it has to be, or not there, or there though nobody knows it.
    pub fn problems(&self) -> Vec<String> {
        let mut others = self.cells.clone();
        let mut problems = Vec::new();
        for client in CLIENTS {
            for transport in TRANSPORTS {
                for step in STEPS {
                    let cell = [client, transport, step];
                    let wanted = match step == RECOVER && client != RECOVERS {
                        true => UNKNOWN,
                        false => OK,
                    };
                    let found = others.remove(&cell).unwrap_or_default();
                    if found != [wanted] {
                        problems.push(format!("{cell:?} is {found:?} instead of {wanted}"));
                    }
                }
            }
        }
        let unknown = others.keys().map(|cell| format!("{cell:?} is not known"));
        problems.extend(unknown);
        problems
    }
}

/// The table, with `-` where the client does not know the step.
impl fmt::Display for Matrix<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:20} {:10}", "client", "transport")?;
        for step in STEPS {
            write!(formatter, " {step:10}")?;
        }
        for client in CLIENTS {
            for transport in TRANSPORTS {
                write!(formatter, "\n{client:20} {transport:10}")?;
                for step in STEPS {
                    let results = self.cells.get(&[client, transport, step]);
                    let result = results.and_then(|results| results.first());
                    let shown = match result.copied() {
                        Some(UNKNOWN) => "-",
                        Some(result) => result,
                        None => MISSING,
                    };
                    write!(formatter, " {shown:10}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Vec<String> {
        let mut lines = Vec::new();
        for client in CLIENTS {
            for transport in TRANSPORTS {
                for step in STEPS {
                    let unknown = step == "recover" && client != "javascript-4.8";
                    let result = if unknown { "unknown" } else { "ok" };
                    lines.push(format!("{client} {transport} {step} {result}"));
                }
            }
        }
        lines
    }

    fn problems(lines: &[String]) -> usize {
        Matrix::read(&lines.join("\n")).problems().len()
    }

    #[test]
    fn a_complete_matrix_has_no_problems() {
        assert_eq!(problems(&complete()), 0);
        assert_eq!(
            problems(&[]),
            CLIENTS.len() * TRANSPORTS.len() * STEPS.len()
        );
    }

    #[test]
    fn every_cell_counts() {
        let complete = complete();
        for index in 0..complete.len() {
            let mut lines = complete.clone();
            let cell = lines.remove(index);
            assert_eq!(problems(&lines), 1, "without {cell}");
            let (names, result) = cell.rsplit_once(' ').unwrap();
            let other = if result == "ok" { "unknown" } else { "ok" };
            for wrong in ["FAILED", other] {
                lines.push(format!("{names} {wrong}"));
                assert_eq!(problems(&lines), 1, "{names} is {wrong}");
                lines.pop();
            }
            lines.extend([cell.clone(), cell.clone()]);
            assert_eq!(problems(&lines), 1, "{cell} is there twice");
        }
    }

    #[test]
    fn a_cell_that_nobody_knows_is_a_problem() {
        let mut lines = complete();
        lines.push("javascript-4.8 polling dance ok".to_owned());
        assert_eq!(problems(&lines), 1);
    }

    #[test]
    fn the_table_shows_what_failed_and_what_is_missing() {
        let matrix = Matrix::read("noise\njavascript-4.8 polling refuse FAILED");
        let table = matrix.to_string();
        let row = table.lines().nth(1).unwrap();
        let words: Vec<_> = row.split_whitespace().collect();
        assert_eq!(
            words[..5],
            ["javascript-4.8", "polling", "MISSING", "FAILED", "MISSING"]
        );
        assert_eq!(table.lines().count(), 1 + CLIENTS.len() * TRANSPORTS.len());
    }
}
