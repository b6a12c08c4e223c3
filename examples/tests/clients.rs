//! The clients of `examples/client` in the chat.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

#[test]
fn the_bot_greets_who_speaks_to_it() {
    let chat = Program::start(env!("CARGO_BIN_EXE_chat"), &[]);
    let url = chat.url();
    let mut bot = Program::start(env!("CARGO_BIN_EXE_client-bot"), &[&url]);
    assert!(bot.line().ends_with(" is in the lobby"));
    let mut say = Program::start(env!("CARGO_BIN_EXE_client-say"), &[&url]);
    assert_eq!(say.line(), "1");
    assert_eq!(bot.line(), "Ada: hello, bot");
}

#[test]
fn a_handler_without_async_waits_for_the_server() {
    let chat = Program::start(env!("CARGO_BIN_EXE_chat"), &[]);
    let url = chat.url();
    let mut one = Program::start(env!("CARGO_BIN_EXE_client-blocking"), &[&url]);
    let mut other = Program::start(env!("CARGO_BIN_EXE_client-blocking"), &[&url]);
    assert!(one.line().starts_with("here as "));
    assert!(other.line().starts_with("here as "));
    other.say("is anybody here?");
    assert_eq!(one.line(), "Alan: is anybody here?");
    assert_eq!(one.line(), "answered: 2");
    assert_eq!(other.line(), "Alan: who knows");
    assert!(other.ends_with_its_input());
}

#[test]
fn a_fresh_token_is_taken_for_each_attempt() {
    let chat = Program::start(env!("CARGO_BIN_EXE_chat"), &[]);
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/token.txt");
    for (token, expected) in [("stale", "refused: unknown token"), ("ferriwire", "connected as ")] {
        std::fs::write(file, token).expect("the folder is there");
        let args = [&chat.url(), file];
        let mut client = Program::start(env!("CARGO_BIN_EXE_client-token"), &args);
        assert_eq!(client.line(), "token for attempt 1");
        let line = client.line();
        assert!(line.starts_with(expected), "{line}");
    }
}

/// A program whose output is read. Dropping it kills it.
struct Program {
    child: Child,
    first: Option<String>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(program: &str, args: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(args)
            .env("PORT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next().and_then(Result::ok);
        Self { child, first, lines }
    }

    /// Of the chat, which prints its address first.
    fn url(&self) -> String {
        let line = self.first.as_deref().unwrap_or_default();
        let address = line.split_whitespace().find(|word| word.starts_with("http://"));
        let address = address.expect("it prints its address").trim_end_matches('/');
        format!("{address}/chat")
    }

    fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("its input is piped");
        writeln!(stdin, "{line}").expect("it reads");
    }

    fn ends_with_its_input(&mut self) -> bool {
        drop(self.child.stdin.take());
        self.child.wait().is_ok_and(|status| status.success())
    }

    fn line(&mut self) -> String {
        let line = self.first.take().or_else(|| self.lines.next().and_then(Result::ok));
        line.expect("it has more to say")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
