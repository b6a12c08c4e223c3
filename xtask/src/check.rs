//! All of a pull request that is not a test.

use std::path::Path;

use crate::{Result, rules, succeeds};

const CLIPPY: [&str; 6] = [
    "clippy",
    "--workspace",
    "--all-targets",
    "--",
    "-D",
    "warnings",
];

/// The library without any of its features: nothing may be left over.
const BARE: [&str; 7] = [
    "clippy",
    "--package",
    "ferriwire",
    "--no-default-features",
    "--",
    "-D",
    "warnings",
];

/// Runs every step even when one fails, so that one run names all that is to be mended.
pub(crate) fn run(root: &Path) -> Result {
    let outcomes = [
        crate::run(root, "cargo", &["fmt", "--all", "--check"]),
        sources(root),
        crate::run(root, "cargo", &CLIPPY),
        crate::run(root, "cargo", &BARE),
        documentation(root),
        dependencies(root),
    ];
    let failures: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() {
        println!("check: all is well");
        return Ok(());
    }
    Err(format!(
        "check: {} failed\n\n{}",
        failures.len(),
        failures.join("\n")
    ))
}

fn sources(root: &Path) -> Result {
    println!("$ (the rules of our sources)");
    let broken = rules::check(root)?;
    if broken.is_empty() {
        Ok(())
    } else {
        Err(broken.join("\n"))
    }
}

/// `RUSTDOCFLAGS` applies to rustdoc alone, so it makes cargo compile nothing again.
fn documentation(root: &Path) -> Result {
    let flags = "RUSTDOCFLAGS=-D warnings";
    crate::run(
        root,
        "env",
        &[flags, "cargo", "doc", "--workspace", "--no-deps"],
    )
}

fn dependencies(root: &Path) -> Result {
    if !succeeds(root, "cargo", &["deny", "--version"]) {
        println!("check: cargo-deny is not installed, licences and sources are not checked");
        return Ok(());
    }
    crate::run(
        root,
        "cargo",
        &["deny", "check", "bans", "licenses", "sources"],
    )
}
