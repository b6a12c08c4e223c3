//! Counts what the pieces of the hot path cost, in instructions, and compares that with what they cost
//! when somebody last looked.
//!
//! Instructions do not depend on what else the machine does. They do depend on the processor, by which
//! the C library and `memchr` choose how to copy and to search. The C library is told what to choose;
//! the margin is for the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::table;
use crate::{Result, built, run as run_command, setup};

/// What the pieces cost, as it was accepted.
pub(crate) const BASELINE: &str = "bench/baseline.txt";
/// Where costs of pieces are told.
const PAGE: &str = "docs/performance.md";
const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// How often a piece runs: the difference is what counts.
const COUNTS: [u64; 2] = [500, 1_500];

/// How much dearer than in the baseline a piece may be, in percent.
const MARGIN: u64 = 5;

/// The same way of copying on every x86-64, whether or not it has AVX or fast `rep movsb`.
const COPY_AS_EVERYWHERE: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.hwcaps=-AVX2,-AVX_Fast_Unaligned_Load,-AVX512VL,-ERMS,-FSRM",
);

/// A piece and its instructions.
type Cost = (String, u64);

/// Counts, and fails when something has become dearer.
pub(crate) fn compare(root: &Path) -> Result {
    let costs = count(root)?;
    report(&costs, &accepted(root)?)
}

/// Counts, takes that for the baseline, and writes it into the pages that tell of it.
pub(crate) fn accept(root: &Path) -> Result {
    let costs = count(root)?;
    write(root, BASELINE, &lines(&costs))?;
    let architecture = read(root, ARCHITECTURE)?;
    write(root, ARCHITECTURE, &refreshed(&architecture, &costs))?;
    let rows = times(root, &costs)?;
    let page = table::fill(&read(root, PAGE)?, &[("pieces", rows)])?;
    write(root, PAGE, &page)
}

/// Prints how long the pieces take here, and the same done by others. Nothing is asserted: time
/// depends on the machine and on what else it does.
pub(crate) fn time(root: &Path) -> Result {
    println!("\n{}", times(root, &accepted(root)?)?);
    Ok(())
}

fn count(root: &Path) -> Result<Vec<Cost>> {
    setup::valgrind(root)?;
    run_command(root, "cargo", &["build", "--release", "--package", "bench"])?;
    count_all(&built(root, "release/bench"))
}

fn count_all(program: &Path) -> Result<Vec<Cost>> {
    let pieces = output(program, &[])?;
    let cost = |piece: &str| Ok((piece.to_owned(), instructions(program, piece)?));
    pieces.lines().map(cost).collect()
}

/// A table of what the pieces cost, with rivals beside them: `decode-args/serde_json` of the program of
/// rivals does what our `decode-args` does.
fn times(root: &Path, costs: &[Cost]) -> Result<String> {
    let rivals = [
        "--package",
        "bench",
        "--bin",
        "bench",
        "--example",
        "rivals",
    ];
    run_command(
        root,
        "cargo",
        &[&["build", "--release"], &rivals[..]].concat(),
    )?;
    let ours = nanoseconds(&built(root, "release/bench"))?;
    let program = built(root, "release/examples/rivals");
    let (theirs, rival_costs) = (nanoseconds(&program)?, count_all(&program)?);

    let mut table = String::from(
        "| piece | instructions | ns | the same by others: instructions | ns |\n\
         |---|--:|--:|---|---|\n",
    );
    let time = |times: &BTreeMap<String, f64>, piece: &str| {
        times
            .get(piece)
            .map_or_else(|| "-".to_owned(), |time| table::number(*time))
    };
    for (piece, cost) in costs {
        let rivals = rival_costs.iter().filter_map(|(rival, cost)| {
            let (of, name) = rival.split_once('/')?;
            let ns = time(&theirs, rival);
            (of == piece).then(|| (format!("{name} {cost}"), format!("{name} {ns}")))
        });
        let (counts, times): (Vec<String>, Vec<String>) = rivals.unzip();
        let (counts, times) = (counts.join(", "), times.join(", "));
        let ns = time(&ours, piece);
        table.push_str(&format!(
            "| `{piece}` | {cost} | {ns} | {counts} | {times} |\n"
        ));
    }
    Ok(table)
}

/// What a program says of its pieces' time: the least of several batches.
fn nanoseconds(program: &Path) -> Result<BTreeMap<String, f64>> {
    let said = output(program, &["time"])?;
    let pieces = said.lines().filter_map(|line| {
        let (piece, time) = line.split_once(' ')?;
        Some((piece.to_owned(), time.parse().ok()?))
    });
    Ok(pieces.collect())
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
    let (name, value) = COPY_AS_EVERYWHERE;
    let said = Command::new("valgrind")
        .args(&arguments)
        .env(name, value)
        .output();
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

fn accepted(root: &Path) -> Result<Vec<Cost>> {
    let baseline = read(root, BASELINE)?;
    parse(&baseline).ok_or_else(|| format!("{BASELINE} is not a table of costs"))
}

fn lines(costs: &[Cost]) -> String {
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

/// A page whose rows that end in a piece and a number say what that piece costs.
fn refreshed(page: &str, costs: &[Cost]) -> String {
    let row = |line: &str| {
        let (start, _) = line.strip_suffix(" |")?.rsplit_once(" | ")?;
        let piece = start.strip_suffix('`')?.rsplit_once('`')?.1;
        let (_, cost) = costs.iter().find(|(known, _)| known == piece)?;
        Some(format!("{start} | {cost} |"))
    };
    page.split_inclusive('\n')
        .map(|line| {
            let text = line.trim_end_matches('\n');
            let end = line.get(text.len()..).unwrap_or_default();
            row(text).map_or_else(|| line.to_owned(), |row| format!("{row}{end}"))
        })
        .collect()
}

/// Complaints about a page that tells other costs than the baseline.
pub(crate) fn stale_costs(page: &str, baseline: &str) -> Vec<String> {
    let Some(costs) = parse(baseline) else {
        return vec![format!(": {BASELINE} is not a table of costs")];
    };
    let refreshed = refreshed(page, &costs);
    let pairs = page.lines().zip(refreshed.lines()).enumerate();
    pairs
        .filter(|(_, (told, known))| told != known)
        .map(|(number, (_, known))| format!(":{}: by {BASELINE} it is `{known}`", number + 1))
        .collect()
}

fn read(root: &Path, name: &str) -> Result<String> {
    fs::read_to_string(root.join(name)).map_err(|error| format!("cannot read {name}: {error}"))
}

fn write(root: &Path, name: &str, text: &str) -> Result {
    fs::write(root.join(name), text).map_err(|error| format!("cannot write {name}: {error}"))
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
         `cargo xtask bench pieces --accept` and say why in the commit",
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
        assert_eq!(parse(&lines(&written)), Some(written));
        assert_eq!(parse("frame\n"), None);
    }

    #[test]
    fn pages_tell_the_costs_of_the_baseline() {
        let baseline = "frame 1000\n";
        for (page, complaints) in [
            ("| a | `frame` | 1000 |\n", 0),
            ("| a | `frame` | 999 |\n| `frame` | 1 |\n", 2),
            ("| a | `other` | 999 |\nframe 1\n", 0),
            ("| a | `frame` | told elsewhere | here |\n", 0),
        ] {
            assert_eq!(stale_costs(page, baseline).len(), complaints, "{page}");
        }
        let page = "a\n| b | `frame` | 1 |\nc";
        let expected = "a\n| b | `frame` | 1000 |\nc";
        assert_eq!(refreshed(page, &costs(baseline)), expected);
    }
}
