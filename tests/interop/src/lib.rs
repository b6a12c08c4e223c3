//! Runs the scripts of other implementations: each is a scenario of an official client.
//!
//! The scripts start the server themselves, because some of them freeze, kill or restart it. They take
//! the program named by the environment variable `INTEROP_SERVER`; when it is set already it is left
//! alone, and when it is empty the scripts take the official server instead.

use std::path::Path;
use std::process::Command;

const SERVER: &str = "INTEROP_SERVER";

/// Runs `js/run.mjs` with the official JavaScript client; panics with its output if it fails.
pub fn javascript(server: &str, arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = folder.join("node_modules");
    assert!(
        packages.is_dir(),
        "the npm packages are missing: run `cargo xtask setup`"
    );
    run(
        Command::new("node")
            .arg(folder.join("js/run.mjs"))
            .args(arguments),
        server,
    )
}

/// Runs `python/run.py` with the Python client; panics with its output if it fails.
pub fn python(server: &str, arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = folder.join("../../.setup/python/bin/python");
    assert!(
        python.is_file(),
        "the Python packages are missing: run `cargo xtask setup`"
    );
    run(
        Command::new(python)
            .arg(folder.join("python/run.py"))
            .args(arguments),
        server,
    )
}

/// Runs `js/recovery.mjs` with so many official clients for so many seconds; panics with its output if
/// one of them missed something.
pub fn recovery(server: &str, clients: u32, seconds: u32) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("js/recovery.mjs");
    let mut command = Command::new("node");
    command.arg(script).env("RECOVERY_SERVER", server);
    command.args([clients, seconds].map(|number| number.to_string()));
    run(&mut command, server)
}

fn run(command: &mut Command, server: &str) -> String {
    if std::env::var_os(SERVER).is_none() {
        command.env(SERVER, server);
    }
    let output = command.output().expect("the interpreter starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{text}\n{errors}",
        output.status
    );
    text.into_owned()
}
