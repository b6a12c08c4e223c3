//! Servers that break the rules. Cases 84, 85 and 87.

use ferriwire::client::DisconnectReason;
use ferriwire::{Client, ConnectFailure, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::notes;
use crate::raw::{Peer, listen};
use crate::support::{until, within};

const OPEN: &str =
    r#"0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":30}"#;

/// A server that says whatever the test wants: GETs are answered in turn and then not any more, POSTs are
/// shown and taken.
async fn server(answers: Vec<String>) -> (String, crate::Notes<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let (posts, posted) = notes();
    let answers = std::sync::Arc::new(std::sync::Mutex::new(answers.into_iter()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (posts, answers) = (posts.clone(), std::sync::Arc::clone(&answers));
            tokio::spawn(async move { serve(stream, &posts, &answers).await });
        }
    });
    (format!("http://{address}"), posted)
}

type Answers = std::sync::Mutex<std::vec::IntoIter<String>>;

async fn serve(mut stream: TcpStream, posts: &mpsc::UnboundedSender<String>, answers: &Answers) {
    let mut read = String::new();
    let mut buffer = [0; 4096];
    loop {
        while let Some(end) = read.find("\r\n\r\n") {
            let head = read[..end].to_ascii_lowercase();
            let len = head.split("content-length: ").nth(1);
            let len = len.and_then(|rest| rest.lines().next()?.trim().parse().ok());
            let (start, len) = (end + 4, len.unwrap_or(0_usize));
            if read.len() < start + len {
                break;
            }
            let body = read[start..start + len].to_owned();
            read.drain(..start + len);
            let answer = if head.starts_with("post") {
                drop(posts.send(body));
                Some(plain("ok"))
            } else {
                answers.lock().expect("nobody panicked").next()
            };
            match answer {
                Some(answer) => stream
                    .write_all(answer.as_bytes())
                    .await
                    .unwrap_or_default(),
                None => std::future::pending().await,
            }
        }
        match stream.read(&mut buffer).await {
            Ok(count @ 1..) => {
                read.push_str(str::from_utf8(&buffer[..count]).expect("clients send text"))
            }
            Ok(0) | Err(_) => return,
        }
    }
}

fn plain(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn what_is_no_answer_is_an_error() {
    for (answer, is_violation) in [
        (plain(""), true),
        (plain("x"), true),
        (plain("2"), true),
        (plain("0{}"), true),
        (plain("0null"), true),
        (plain(&OPEN.replace("25000", "0")), true),
        (plain(&OPEN.replace("abc", "")), true),
        (plain("bAQID"), true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort".to_owned(), false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\u{fffd}".to_owned(), true),
        ("SMTP ready\r\n\r\n".to_owned(), true),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n".to_owned(), true),
    ] {
        for transport in [Transport::Polling, Transport::WebSocket] {
            let (url, _posted) = server(vec![answer.clone()]).await;
            let client = Client::builder(url).transports([transport]);
            let client = client.connect_timeout(std::time::Duration::from_secs(1));
            let result = within(&format!("an error for {answer}"), client.connect()).await;
            let failure = result.expect_err(&answer);
            let found = matches!(failure, ConnectFailure::Violation(_));
            if transport == Transport::Polling && !answer.contains("101") {
                assert_eq!(found, is_violation, "{answer}: {failure:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_bounded() {
    let mut answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for _ in 0..100 {
        answer.push_str("1000\r\n");
        answer.push_str(&"4".repeat(0x1000));
        answer.push_str("\r\n");
    }
    let (url, _posted) = server(vec![answer]).await;
    let result = within(
        "an error",
        Client::builder(url).max_message(10_000).connect(),
    )
    .await;
    assert!(
        matches!(result, Err(ConnectFailure::Violation(_))),
        "{result:?}"
    );
}

#[tokio::test]
async fn heads_and_refusals_of_polling_are_bounded() {
    let open = |headers: &str| plain(OPEN).replacen("\r\n", &format!("\r\n{headers}"), 1);
    let answered = async |answer: String| {
        let (url, _posted) = server(vec![answer, plain("40{\"sid\":\"x\"}")]).await;
        let client = Client::builder(url).transports([Transport::Polling]);
        within("an outcome", client.connect()).await.map(drop)
    };
    // Content-Length is the hundredth.
    let fine = [
        open(&"A: b\r\n".repeat(99)),
        open(&format!("A: {}\r\n", "x".repeat(100_000))),
    ];
    for answer in fine {
        let len = answer.len();
        let result = answered(answer).await;
        assert!(result.is_ok(), "{len} bytes: {result:?}");
    }
    for headers in [
        "A: b\r\n".repeat(100),
        // hyper compares before it reads, and one read may bring as much again.
        format!("A: {}\r\n", "x".repeat(1_000_000)),
    ] {
        let result = answered(open(&headers)).await;
        assert!(
            matches!(result, Err(ConnectFailure::Violation(_))),
            "{result:?}"
        );
    }
    let refusal = plain(&"x".repeat(200_000)).replace("200 OK", "400 No");
    match answered(refusal).await {
        Err(ConnectFailure::Http { status: 400, body }) => assert!(body.len() <= 64 * 1024),
        other => crate::support::fail(&format!("{other:?}")),
    }
}

#[tokio::test]
async fn what_cannot_be_read_ends_the_session_and_the_client_comes_back() {
    // Case 84
    for garbage in [
        "x",
        "4garbage",
        "42{}",
        "451-[\"a\",{\"_placeholder\":true,\"num\":0}]\u{1e}4x",
        "430[]\u{1e}7",
    ] {
        let connected = "40{\"sid\":\"x\"}";
        let answers = [
            OPEN,
            &format!("{connected}\u{1e}{garbage}"),
            OPEN,
            connected,
        ];
        let (url, _posted) = server(answers.map(plain).to_vec()).await;
        let (events, mut event) = notes();
        let also = events.clone();
        let client = Client::builder(url)
            .reconnection_delay(
                std::time::Duration::from_millis(1),
                std::time::Duration::from_millis(1),
            )
            .on_connect(async move |_| events.send(None).expect("the test lives"))
            .on_disconnect(async move |_, reason| also.send(Some(reason)).expect("the test lives"))
            .open()
            .unwrap();
        assert_eq!(event.next("connecting").await, None, "{garbage:?}");
        let reason = event.next("the end").await;
        assert_eq!(reason, Some(DisconnectReason::ParseError), "{garbage:?}");
        assert_eq!(
            event.next(&format!("coming back from {garbage}")).await,
            None,
            "{garbage:?}"
        );
        drop(client);
    }
}

#[tokio::test]
async fn a_server_of_another_version_is_told_apart() {
    // Case 85
    let (url, _posted) = server([OPEN, "40"].map(plain).to_vec()).await;
    let result = within("an answer", Client::builder(url).connect_retrying()).await;
    assert!(
        matches!(result, Err(ConnectFailure::Incompatible)),
        "{result:?}"
    );
}

#[tokio::test]
async fn bodies_keep_to_what_the_server_takes() {
    // Case 87
    let (url, mut posted) = server([OPEN, "40{\"sid\":\"x\"}"].map(plain).to_vec()).await;
    let client = within("connecting", Client::builder(url).connect())
        .await
        .unwrap();
    assert_eq!(posted.next("CONNECT").await, "40");
    let long = "x".repeat(100);
    for text in ["a", "b", "c", &long, "d"] {
        client.emit("e", text).unwrap();
    }
    let short = |text: &str| format!("42[\"e\",\"{text}\"]");
    let two = format!("{}\u{1e}{}", short("a"), short("b"));
    for expected in [two, short("c"), short(&long), short("d")] {
        assert_eq!(posted.next("a body").await, expected);
    }
}

#[tokio::test]
async fn what_concerns_nobody_changes_nothing() {
    let (listener, client) = listen();
    let client = client.open().unwrap();
    let mut peer = Peer::welcome(&listener).await;
    until("connected", || client.is_connected()).await;
    for odd in [
        "41/unknown,",
        "42/unknown,[\"e\"]",
        "43/unknown,0[]",
        "44/unknown,{\"message\":\"no\"}",
        "430[1]",
        "439007199254740991[1]",
        "420[\"nobody listens\"]",
        "3probe",
        "5",
        "6",
    ] {
        peer.texts(&[odd, "2"]).await;
        assert_eq!(peer.next().await, "3", "{odd}");
        assert!(client.is_connected(), "{odd}");
    }
    assert_eq!(client.id().as_deref(), Some("x"));
}

/// Nobody is led anywhere, be it in a circle.
#[tokio::test]
async fn a_server_that_sends_elsewhere_is_not_followed() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
    for transport in [Transport::Polling, Transport::WebSocket] {
        let (url, _posted) = server(vec![answer.to_owned(); 3]).await;
        let client = Client::builder(url).transports([transport]);
        let result = within("an error", client.connect()).await;
        assert!(
            matches!(result, Err(ConnectFailure::Http { status: 302, .. })),
            "{result:?}"
        );
    }
}
