//! The chat in a real browser: two users, one refused, with screenshots to look at.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

#[test]
fn two_users_chat_in_a_browser() {
    let mut chat = Running(
        Command::new(env!("CARGO_BIN_EXE_chat"))
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the chat starts"),
    );
    let stdout = chat.0.stdout.take().expect("its output is piped");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("the chat prints its address");
    let address = line.trim().rsplit(' ').next().expect("the address is the last word");

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new("node")
        .arg(root.join("tests/interop/js/browser-chat.mjs"))
        .arg(address)
        .env("SCREENSHOTS", root.join("screenshots"))
        .output()
        .expect("node is installed");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Ends the server also when the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
