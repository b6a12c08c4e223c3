//! What a developer and CI run: `cargo xtask setup`, `demo`, `check`, `bench`, `recovery` and `test`.
//!
//! Everything here is plain commands in a fixed order, with the same profile and target folder, so
//! that no step compiles again what an earlier one has compiled.
#![expect(
    clippy::print_stdout,
    reason = "telling what happens is the point of this program"
)]
#![expect(
    clippy::print_stderr,
    reason = "errors go where they can be told from output"
)]

mod attacks;
mod bench;
mod check;
mod demo;
mod documents;
mod recovery;
mod reference;
mod rules;
mod setup;
mod source;
mod test;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: cargo xtask COMMAND

  setup          install what the tests and the demo need; does nothing when all is there
  demo           bring up the chat (environment: PORT, default 3000) and print its address
  check          formatting, lints, documentation, licences and the rules of our sources
  bench [..]     measure: the pieces of the hot path against bench/baseline.txt, and whole servers
                 beside others; `bench pieces` the pieces alone, `bench help` tells the rest
  recovery       cut the connections of official clients, who must not miss anything
                 (--clients N, default 200; --seconds S, default 120)
  test [ARG]..   every test; ARGs go to cargo-nextest, for example a part of a test's name";

/// Either all went well, or what went wrong in words for the person at the terminal.
type Result<T = ()> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    let outcome = match arguments.as_slice() {
        ["setup"] => setup::everything(&root),
        ["demo"] => demo::run(&root),
        ["check"] => check::run(&root),
        ["bench", rest @ ..] => bench::run(&root, rest),
        ["recovery", rest @ ..] => recovery::check(&root, rest),
        ["test", rest @ ..] => test::run(&root, rest),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository: where cargo says this package lies, one folder up.
fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Prints a command, runs it in `folder` with our input and output, and fails when it fails.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result {
    let line = format!("{program} {}", arguments.join(" "));
    println!("$ {line}");
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .status()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{line}` failed: {status}"))
    }
}

/// Where cargo has put what it built: `name` begins with the profile.
fn built(root: &Path, name: &str) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), |target| root.join(target));
    target.join(name)
}

/// Whether a command succeeds; its output is of no interest.
fn succeeds(folder: &Path, program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output();
    output.is_ok_and(|output| output.status.success())
}
