//! A contract server as its users meet it: a process, a line on stdout, a signal.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A running server. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
}

impl Process {
    /// Starts a server on a free port, and waits until it accepts connections.
    pub(crate) fn start(program: &str) -> Self {
        Self::start_with(program, "PORT", "0")
    }

    /// The same with one more variable.
    pub(crate) fn start_with(program: &str, name: &str, value: &str) -> Self {
        let mut child = Command::new(program)
            .env("PORT", "0")
            .env(name, value)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program was built with the tests");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let url = line
            .strip_prefix("READY ")
            .unwrap_or_else(|| panic!("{program} said {line:?}"));
        let url = url.trim_end().to_owned();
        Self { child, url }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let (_, address) = self.url.split_once("://").expect("a URL has a scheme");
        address.parse().unwrap()
    }

    /// Sends SIGTERM, and waits for the end.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a server says that does not start.
pub(crate) fn refusal(program: &str, name: &str, value: &str) -> (ExitStatus, String) {
    let mut child = Command::new(program)
        .env("PORT", "0")
        .env(name, value)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built with the tests");
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().expect("stderr is a pipe");
    pipe.read_to_string(&mut stderr).unwrap();
    (child.wait().unwrap(), stderr)
}
