//! Counts what the pieces of the hot path cost, in instructions, and compares that with what they cost
//! when somebody last looked.
//!
//! Instructions do not depend on what else the machine does. They do depend a little on the processor,
//! by which the C library chooses how to copy, hence the margin.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, run as run_command, setup};

const USAGE: &str = "usage: cargo xtask bench [--accept]";

/// What the pieces cost, as it was accepted.
const BASELINE: &str = "bench/baseline.txt";

/// How often a piece runs: the difference is what counts.
const COUNTS: [u64; 2] = [2_000, 6_000];

/// How much dearer than in the baseline a piece may be, in percent.
const MARGIN: u64 = 5;

/// A piece and its instructions.
type Cost = (String, u64);

pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result {
    let accept = match arguments {
        [] => false,
        ["--accept"] => true,
        _ => return Err(USAGE.to_owned()),
    };
    setup::valgrind(root)?;
    run_command(root, "cargo", &["build", "--release", "--package", "bench"])?;
    let program = program(root);
    let mut costs = Vec::new();
    for piece in output(&program, &[])?.lines() {
        costs.push((piece.to_owned(), instructions(&program, piece)?));
    }
    let baseline = root.join(BASELINE);
    if accept {
        return fs::write(&baseline, table(&costs)).map_err(|error| error.to_string());
    }
    let accepted = fs::read_to_string(&baseline).map_err(|error| error.to_string())?;
    let accepted = parse(&accepted).ok_or_else(|| format!("{BASELINE} is not a table of costs"))?;
    report(&costs, &accepted)
}

/// What one run of a piece costs.
fn instructions(program: &Path, piece: &str) -> Result<u64> {
    let mut counted = [0; 2];
    for (counted, count) in counted.iter_mut().zip(COUNTS) {
        *counted = count_instructions(program, piece, count)?;
    }
    let [few, many] = counted;
    let [fewer, more] = COUNTS;
    Ok(many.saturating_sub(few) / (more - fewer))
}

fn count_instructions(program: &Path, piece: &str, count: u64) -> Result<u64> {
    let program = program.display().to_string();
    let count = count.to_string();
    let options = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let arguments = [&options[..], &[&program, piece, &count]].concat();
    let said = Command::new("valgrind").args(&arguments).output();
    let said = said.map_err(|error| format!("cannot start valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&said.stderr);
    let collected = text
        .lines()
        .find_map(|line| line.split("Collected : ").nth(1));
    let collected = collected.filter(|_| said.status.success());
    let collected = collected.and_then(|figure| figure.trim().parse().ok());
    collected.ok_or_else(|| format!("valgrind could not run `{piece}`:\n{text}"))
}

fn output(program: &Path, arguments: &[&str]) -> Result<String> {
    let said = Command::new(program).args(arguments).output();
    let said = said.map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    String::from_utf8(said.stdout).map_err(|error| error.to_string())
}

/// Where cargo has put the program.
fn program(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), |target| root.join(target));
    target.join("release/bench")
}

fn table(costs: &[Cost]) -> String {
    costs
        .iter()
        .map(|(piece, cost)| format!("{piece} {cost}\n"))
        .collect()
}

fn parse(table: &str) -> Option<Vec<Cost>> {
    table
        .lines()
        .map(|line| {
            let (piece, cost) = line.split_once(' ')?;
            Some((piece.to_owned(), cost.parse().ok()?))
        })
        .collect()
}

/// Prints both, and fails when something has become dearer, or is not known.
fn report(costs: &[Cost], accepted: &[Cost]) -> Result {
    println!(
        "{:<16} {:>12} {:>10} {:>8}",
        "piece", "instructions", "accepted", "change"
    );
    let mut dearer = Vec::new();
    for (piece, cost) in costs {
        let known = accepted.iter().find(|(known, _)| known == piece);
        let Some((_, known)) = known else {
            println!("{piece:<16} {cost:>12} {:>10}", "-");
            dearer.push(piece.as_str());
            continue;
        };
        let permille = (cost * 1_000).checked_div(*known).unwrap_or(1_000);
        let sign = if permille < 1_000 { '-' } else { '+' };
        let change = permille.abs_diff(1_000);
        println!(
            "{piece:<16} {cost:>12} {known:>10} {sign}{}.{} %",
            change / 10,
            change % 10
        );
        if permille > 1_000 + MARGIN * 10 {
            dearer.push(piece);
        }
    }
    if dearer.is_empty() {
        return Ok(());
    }
    Err(format!(
        "dearer by more than {MARGIN} %, or new: {}; if that is worth it, \
         `cargo xtask bench --accept` and say why in the commit",
        dearer.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(table: &str) -> Vec<Cost> {
        parse(table).unwrap()
    }

    #[test]
    fn what_is_dearer_than_the_margin_or_new_is_reported() {
        let accepted = costs("frame 1000\npacket 200\n");
        for (now, fails) in [
            ("frame 1000\npacket 200\n", false),
            ("frame 1050\npacket 10\n", false),
            ("frame 1051\npacket 200\n", true),
            ("frame 1000\nother 1\n", true),
        ] {
            assert_eq!(report(&costs(now), &accepted).is_err(), fails, "{now}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let written = costs("frame 1000\necho 5000\n");
        assert_eq!(parse(&table(&written)), Some(written));
        assert_eq!(parse("frame\n"), None);
    }
}
