//! The rules of our sources that no lint of the compiler knows.
//!
//! Each rule is a function from the text of a file to the complaints about it, so that its test is a
//! table of texts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::attacks::{ATTACKS, incomplete_attacks};
use crate::bench::{BASELINE, stale_costs};
use crate::documents::{
    CASES, LIMITS, REASONS_OF_LIMITS, SETTINGS, incomplete_cases, missing_reasons,
    missing_settings, missing_tests,
};
use crate::reference::{self, ENTRIES, Items, incomplete_rows};
use crate::source::{without_comments, without_tests};

/// Longer files hold more than one concept.
const MAX_LINES: usize = 800;
/// The table of tasks stands here, under a heading that begins with "Tasks".
const ARCHITECTURE: &str = "ARCHITECTURE.md";
/// Only this crate may start tasks.
const SERVER_CRATE: &str = "crates/ferriwire/src/";
const PROTOCOL_CRATE: &str = "crates/ferriwire-proto/src/";

/// Checks every file that is tracked, or would be by `git add`, and returns the complaints.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let files = read_files(root)?;
    let text_of = |path: &str| {
        files
            .iter()
            .find(|file| file.path == path)
            .map(|file| &*file.text)
    };
    let may_spawn = files_that_may_spawn(text_of(ARCHITECTURE).unwrap_or_default());

    let mut items = Items::default();
    for file in &files {
        if reference::SOURCES
            .iter()
            .any(|folder| file.path.starts_with(folder))
        {
            items.add(&file.text);
        }
    }

    let mut complaints = Vec::new();
    let mut spawning = BTreeSet::new();
    for File { path, text } in &files {
        let mut complain = |found: Vec<String>| {
            complaints.extend(
                found
                    .into_iter()
                    .map(|complaint| format!("{path}{complaint}")),
            );
        };
        complain(machine_paths(text));
        complain(registry_hosts(text));
        if path.ends_with(".md") {
            complain(missing_tests(path, text, text_of));
        }
        if path == ARCHITECTURE {
            complain(stale_costs(text, text_of(BASELINE).unwrap_or_default()));
        }
        if path == CASES {
            complain(incomplete_cases(text));
        }
        if path == ATTACKS {
            complain(incomplete_attacks(text));
        }
        if path == LIMITS {
            complain(missing_settings(
                text,
                text_of(SETTINGS).unwrap_or_default(),
            ));
            let reasons = text_of(REASONS_OF_LIMITS).unwrap_or_default();
            complain(missing_reasons(text, reasons));
        }
        if path == reference::PAGE {
            let entries = text_of(ENTRIES).unwrap_or_default();
            complain(incomplete_rows(text, entries, &items));
        }
        if path.ends_with("Cargo.toml") {
            complain(lints_of_the_workspace(text));
        }
        if !path.ends_with(".rs") {
            continue;
        }
        complain(length(text));
        if path.starts_with("crates/") && path.contains("/src/") && !is_test(path) {
            let code = without_tests(&without_comments(text));
            complain(panics(&code, path.starts_with(PROTOCOL_CRATE)));
            if let Some(file) = path.strip_prefix(SERVER_CRATE) {
                let found = spawns(&code);
                if !found.is_empty() {
                    spawning.insert(file.to_owned());
                }
                if !may_spawn.contains(file) {
                    complain(found);
                }
            }
        }
    }
    for file in may_spawn.difference(&spawning) {
        complaints.push(format!(
            "{ARCHITECTURE}: names {file} as starting a task, but it does not"
        ));
    }
    Ok(complaints)
}

struct File {
    path: String,
    text: String,
}

/// Files that are not UTF-8, pictures for example, are none of our business.
fn read_files(root: &Path) -> Result<Vec<File>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cannot start git: {error}"))?;
    if !output.status.success() {
        return Err("git cannot list the files: is this a clone of the repository?".to_owned());
    }
    let paths = String::from_utf8_lossy(&output.stdout);
    let read = |path: &str| {
        let text = fs::read_to_string(root.join(path)).ok()?;
        Some(File {
            path: path.to_owned(),
            text,
        })
    };
    Ok(paths.split_terminator('\0').filter_map(read).collect())
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
}

fn length(text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let complaint = || format!(": {lines} lines, the limit is {MAX_LINES}: split it by concept");
    (lines > MAX_LINES).then(complaint).into_iter().collect()
}

/// A package that drops the common lints would also drop `unsafe_code = "forbid"`.
fn lints_of_the_workspace(manifest: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let has = |section: &str, line: &str| {
        let mut lines = manifest
            .lines()
            .map(str::trim)
            .skip_while(|text| *text != section)
            .skip(1);
        lines
            .by_ref()
            .take_while(|text| !text.starts_with('['))
            .any(|text| text == line)
    };
    if manifest.contains("[package]") && !has("[lints]", "workspace = true") {
        complaints.push(": add `[lints]` with `workspace = true`".to_owned());
    }
    if manifest.contains("[workspace]")
        && !has("[workspace.lints.rust]", "unsafe_code = \"forbid\"")
    {
        complaints.push(": the workspace must forbid `unsafe_code`".to_owned());
    }
    complaints
}

/// In library code nothing panics. `expect` with a text that says why it holds is allowed where no
/// input of a peer is decoded, which is everywhere but in the protocol crate.
fn panics(code: &str, in_protocol_crate: bool) -> Vec<String> {
    let advice =
        "not in library code: return an error, or shape the types so that it cannot happen";
    let mut complaints = Vec::new();
    for word in [".unwrap()", "panic!", "unreachable!"] {
        let found = occurrences(code, word);
        complaints.extend(found.map(|(line, _)| format!(":{line}: `{word}`: {advice}")));
    }
    for (line, behind) in occurrences(code, ".expect(") {
        // What is not a text is a method of the same name, a parser's for example.
        let Some(text) = behind.trim_start().strip_prefix('"') else {
            continue;
        };
        if in_protocol_crate {
            complaints.push(format!(":{line}: `.expect(`: {advice}"));
        } else if text.starts_with('"') {
            complaints.push(format!(":{line}: `.expect(`: say why it holds"));
        }
    }
    complaints
}

fn spawns(code: &str) -> Vec<String> {
    let complaint = |line| {
        format!(
            ":{line}: starts a task, but {ARCHITECTURE} does not name this file in its table of tasks"
        )
    };
    let words = ["::spawn(", ".spawn(", "spawn_blocking(", "spawn_local("];
    words
        .iter()
        .flat_map(|word| occurrences(code, word))
        .map(|(line, _)| complaint(line))
        .collect()
}

/// The files between backticks in the table under the heading "Tasks", relative to the server crate.
fn files_that_may_spawn(architecture: &str) -> BTreeSet<String> {
    let is_heading = |line: &&str| line.starts_with('#');
    let is_tasks = |line: &&str| {
        let title = line
            .trim_start_matches(['#', '.', ' '])
            .trim_start_matches(char::is_numeric);
        is_heading(line) && title.trim_start_matches(['.', ' ']).starts_with("Tasks")
    };
    let section = architecture
        .lines()
        .skip_while(|line| !is_tasks(line))
        .skip(1);
    let rows = section
        .take_while(|line| !is_heading(line))
        .filter(|line| line.starts_with('|'));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let files = quoted.filter(|file| file.ends_with(".rs"));
    files
        .map(|file| file.trim_start_matches(SERVER_CRATE).to_owned())
        .collect()
}

/// A path of somebody's machine means nothing on another one.
fn machine_paths(text: &str) -> Vec<String> {
    // Spelled in pieces, so that this file passes its own rule.
    let homes = ["root", "home", "Users", "work"].map(|home| format!("/{home}/"));
    let mut complaints = Vec::new();
    for home in &homes {
        for (number, line) in (1..).zip(text.lines()) {
            let begins_a_path = |(at, _): (usize, &str)| {
                let before = line.get(..at).and_then(|before| before.chars().next_back());
                !before.is_some_and(|c| c.is_alphanumeric() || "_.-/}$*)".contains(c))
            };
            if line.match_indices(home.as_str()).any(begins_a_path) {
                complaints.push(format!(":{number}: `{home}..` is a path of one machine"));
            }
        }
    }
    complaints
}

/// Where packages come from is the business of the machine that builds, not of the repository.
fn registry_hosts(text: &str) -> Vec<String> {
    let hosts = [
        ["registry.", "npmjs.org"],
        ["registry.", "yarnpkg.com"],
        ["files.", "pythonhosted.org"],
        ["pypi.", "org"],
        ["index.", "crates.io"],
        ["static.", "crates.io"],
        ["\"resolved\": ", "\"http"],
    ]
    .map(|pieces| pieces.concat());
    let found = |host: &String| {
        let complaint = |(line, _)| format!(":{line}: `{host}` names a package registry");
        occurrences(text, host).map(complaint).collect::<Vec<_>>()
    };
    hosts.iter().flat_map(found).collect()
}

/// The lines in which `word` stands, from 1, each with the text behind it. A word that begins with a
/// letter must not be the end of a longer one.
fn occurrences<'a>(text: &'a str, word: &str) -> impl Iterator<Item = (usize, &'a str)> {
    let length = word.len();
    let is_name = word.starts_with(char::is_alphabetic);
    text.match_indices(word).filter_map(move |(at, _)| {
        let before = text.get(..at)?;
        let continues = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let line = before.matches('\n').count() + 1;
        (!is_name || !continues).then_some((line, text.get(at + length..)?))
    })
}

#[cfg(test)]
mod tests;
