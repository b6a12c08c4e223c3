//! The client, driven from outside by lines of JSON: commands on standard input, what happens on standard
//! output.
//!
//! A command names itself in `cmd`: `{"cmd":"open","url":"http://127.0.0.1:3000"}`. Binary values are
//! written `{"$bin":"<base64>"}`. The program ends at `exit` or at the end of its input.

mod command;
mod driven;
mod report;
mod values;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::time::timeout;

use command::Command;
use driven::Driven;
use report::report;
use serde_json::json;

/// How long saying goodbye may take.
const GRACE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = run().await;
    // The thread that reads standard input would be waited for otherwise.
    std::process::exit(i32::from(outcome.is_err()))
}

async fn run() -> io::Result<()> {
    let mut driven = Driven::default();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        if line.trim().is_empty() {
            continue;
        }
        let done = match Command::read(&line) {
            Ok(Command::Exit) => break,
            Ok(command) => driven.follow(command),
            Err(error) => Err(error),
        };
        if let Err(message) = done {
            report(&json!({"ev": "error", "message": message}));
        }
    }
    // Whoever does not answer to a goodbye is left.
    timeout(GRACE, driven.close()).await.unwrap_or_default();
    Ok(())
}
