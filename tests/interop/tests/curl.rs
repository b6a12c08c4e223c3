//! curl against our server: what proxies, scripts and browsers do with HTTP beside the protocol.

use std::process::Command;

use ferriwire::{Config, Cookie, Namespace, Origins, RunningServer, Server};

/// What `curl` prints, with the head of the answer in front.
async fn curl(server: &RunningServer, target: &str, options: &[&str]) -> String {
    let url = format!("http://{}{target}", server.local_addr());
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--include", "--max-time", "20"]);
    command.args(options).arg(url);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output
        .expect("curl does not panic")
        .expect("curl is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{options:?}: {error}");
    String::from_utf8(output.stdout).expect("the answer is text")
}

async fn serve(config: Config) -> RunningServer {
    let namespace = Namespace::new("/")
        .on_connect(async |socket: ferriwire::Socket| drop(socket.emit("long", "x".repeat(5_000))));
    let server = Server::new().config(config).namespace(namespace);
    server.bind("127.0.0.1:0").await.expect("the server starts")
}

const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=polling";

/// The target of the requests of the session that this answer opened.
fn session_of(handshake: &str) -> String {
    let (_, rest) = handshake.split_once("\"sid\":\"").expect("a session id");
    let (id, _) = rest.split_once('"').expect("the end of the id");
    format!("{HANDSHAKE}&sid={id}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_compressed_as_curl_asks_for() {
    let server = serve(Config::new()).await;
    for coding in ["gzip", "deflate", "br"] {
        let target = session_of(&curl(&server, HANDSHAKE, &[]).await);
        let answer = curl(&server, &target, &["--data-binary", "40"]).await;
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
        let header = format!("Accept-Encoding: {coding}");
        let mut answer = String::new();
        // CONNECT and the event may come in two answers.
        while !answer.contains("42[\"long\"") {
            answer = curl(&server, &target, &["--compressed", "--header", &header]).await;
        }
        let head = answer.to_ascii_lowercase();
        assert!(
            head.contains(&format!("content-encoding: {coding}\r\n")),
            "{answer}"
        );
        assert!(answer.contains(&"x".repeat(5_000)), "curl has decoded it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cookie_of_the_handshake_comes_back_from_the_jar_of_curl() {
    let server = serve(Config::new().cookie(Cookie::new("io").value("node-7"))).await;
    let jar = ["--cookie-jar", "-"];
    let answer = curl(&server, HANDSHAKE, &jar).await;
    let stored = answer.lines().find(|line| line.contains("\tio\t"));
    let fields: Vec<&str> = stored.expect("a cookie is stored").split('\t').collect();
    // Domain, subdomains, path, secure, expiry, name, value.
    assert!(fields[0].starts_with("#HttpOnly_127.0.0.1"), "{fields:?}");
    assert_eq!(
        (fields[2], fields[5], fields[6]),
        ("/socket.io/", "io", "node-7")
    );
    assert!(!curl(&server, HANDSHAKE, &[]).await.contains("\tio\t"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preflights_and_requests_of_listed_pages_alone_are_opened() {
    let origins = Origins::same_host().allow("https://app.example");
    let server = serve(Config::new().origins(origins)).await;
    let preflight = [
        "--request",
        "OPTIONS",
        "--header",
        "Access-Control-Request-Method: POST",
        "--header",
    ];
    for (origin, allowed) in [
        ("Origin: https://app.example", true),
        ("Origin: https://evil.example", false),
    ] {
        let answer = curl(&server, HANDSHAKE, &[&preflight[..], &[origin]].concat()).await;
        assert_eq!(answer.starts_with("HTTP/1.1 204"), allowed, "{answer}");
        let answers = [
            answer,
            curl(&server, HANDSHAKE, &["--header", origin]).await,
        ];
        for answer in answers {
            let head = answer.to_ascii_lowercase();
            let opened = head.contains("access-control-allow-origin: https://app.example\r\n");
            assert_eq!(opened, allowed, "{answer}");
        }
    }
}
