//! The scraped text has what docs/observability.md promises.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DOCS: &str = include_str!("../../docs/observability.md");

#[test]
fn a_scrape_after_some_traffic_has_every_documented_name() {
    let mut server = Running(
        Command::new(env!("CARGO_BIN_EXE_metrics"))
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts"),
    );
    let stdout = server.0.stdout.take().expect("its output is piped");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("it prints its address");
    let address = line.trim().strip_prefix("http://").expect("a URL").to_owned();

    let path = "/socket.io/?EIO=4&transport=polling";
    let open = request(&address, "GET", path, "");
    let open: serde_json::Value = serde_json::from_str(&open[1..]).expect("an open packet");
    let session = format!("{path}&sid={}", open["sid"].as_str().expect("an id"));
    request(&address, "POST", &session, "40");
    request(&address, "GET", &session, "");
    request(&address, "POST", &session, "421[\"say\",\"lobby\",\"hello\"]");
    assert_eq!(request(&address, "GET", &session, ""), "431[5]");
    request(&address, "GET", "/socket.io/?EIO=4&transport=pigeon", "");

    let expected = [
        "ferriwire_connections 1",
        "ferriwire_handshakes_total{transport=\"polling\"} 1",
        "ferriwire_events_in_total 1",
        "ferriwire_refusals_total{reason=\"transport_unknown\"} 1",
        "ferriwire_handler_seconds_count 1",
    ];
    let begun = Instant::now();
    let text = loop {
        let text = request(&address, "GET", "/metrics", "");
        let missing = expected.iter().find(|line| !text.lines().any(|other| other == **line));
        match missing {
            None => break text,
            Some(line) => {
                assert!(begun.elapsed() < Duration::from_secs(20), "no {line} in {text}");
            }
        }
    };
    let documented = DOCS.lines().filter_map(|line| line.strip_prefix("| `ferriwire_"));
    let documented: Vec<_> = documented.filter_map(|row| row.split('`').next()).collect();
    assert!(documented.len() > 10);
    // Nobody was pinged in that time.
    for name in documented.into_iter().filter(|name| *name != "heartbeat_seconds") {
        assert!(text.contains(&format!("# TYPE ferriwire_{name} ")), "{name} in {text}");
    }
}

/// Sends one request and returns the body of its answer.
fn request(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the example listens");
    let timeout = Some(Duration::from_secs(20));
    stream.set_read_timeout(timeout).expect("a connected socket");
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    stream.write_all([&head, &length, body].concat().as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    body.to_owned()
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
