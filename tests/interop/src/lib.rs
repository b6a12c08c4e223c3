//! Runs the scripts of other implementations: each is a scenario of an official client.
//!
//! The scripts start the server themselves, because some of them freeze, kill or restart it. They take
//! the program named by the environment variable `INTEROP_SERVER`; when it is set already it is left
//! alone, and when it is empty the scripts take the official server instead.

pub mod matrix;
pub mod watched;

use std::path::Path;
use std::process::{Command, ExitStatus};

const SERVER: &str = "INTEROP_SERVER";

/// What a script has printed.
#[derive(Debug)]
pub struct Output {
    /// On stdout: of a matrix its cells.
    pub text: String,
    /// On stderr.
    pub errors: String,
    status: ExitStatus,
}

/// Runs `js/run.mjs` with the official JavaScript client; panics with its output if it fails.
pub fn javascript(server: &str, arguments: &[&str]) -> String {
    succeed(node("run.mjs").args(arguments), server)
}

/// Runs `python/run.py` with the Python client; panics with its output if it fails.
pub fn python(server: &str, arguments: &[&str]) -> String {
    succeed(interpreter().args(arguments), server)
}

/// Runs `js/matrix.mjs` with the official JavaScript clients of all generations.
pub fn javascript_matrix(server: &str) -> Output {
    run(&mut node("matrix.mjs"), server)
}

/// Runs the same steps with both forms of the Python client.
pub fn python_matrix(server: &str) -> Output {
    run(interpreter().arg("matrix"), server)
}

/// Runs `js/recovery.mjs` with so many official clients for so many seconds; panics with its output if
/// one of them missed something.
pub fn recovery(server: &str, clients: u32, seconds: u32) -> String {
    let mut command = node("recovery.mjs");
    command.env("RECOVERY_SERVER", server);
    command.args([clients, seconds].map(|number| number.to_string()));
    succeed(&mut command, server)
}

/// Runs `js/support.mjs`: the official client of that name against the server for its own suite; panics
/// with its output if it does not get what it expects.
pub fn support(server: &str, suite: &str) -> String {
    succeed(node("support.mjs").arg(suite), server)
}

fn node(script: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = folder.join("node_modules");
    assert!(
        packages.is_dir(),
        "the npm packages are missing: run `cargo xtask setup`"
    );
    let mut command = Command::new("node");
    command.arg(folder.join("js").join(script));
    command
}

fn interpreter() -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = folder.join("../../.setup/python/bin/python");
    assert!(
        python.is_file(),
        "the Python packages are missing: run `cargo xtask setup`"
    );
    let mut command = Command::new(python);
    command.arg(folder.join("python/run.py"));
    command
}

fn succeed(command: &mut Command, server: &str) -> String {
    let output = run(command, server);
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        output.text,
        output.errors
    );
    output.text
}

fn run(command: &mut Command, server: &str) -> Output {
    if std::env::var_os(SERVER).is_none() {
        command.env(SERVER, server);
    }
    let output = command.output().expect("the interpreter starts");
    Output {
        text: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        status: output.status,
    }
}
