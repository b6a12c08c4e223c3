//! Connections in memory, without what is spoken on them.

use std::io;
use std::time::Duration;

use ferriwire_proto::engine::client::Address;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::*;
use crate::client::{Connector as _, Stream};
use crate::server::{Namespace, Server};

const OPEN: &str = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n";

fn network() -> Network {
    Network::new(Server::new().namespace(Namespace::new("/"))).unwrap()
}

async fn connect(wire: &Wire) -> io::Result<Box<dyn Stream>> {
    wire.connect(&Address::parse("http://test").unwrap()).await
}

/// Opens a session, and reads its answer to the end, or until the connection ends.
async fn open(wire: &Wire) -> io::Result<String> {
    let mut stream = connect(wire).await?;
    stream.write_all(OPEN.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") && stream.read_buf(&mut answer).await? > 0 {}
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_request_reaches_the_server_and_its_answer_comes_back() {
    let network = network();
    let wire = network.wire();
    let answer = open(&wire).await.unwrap();
    assert!(answer.contains("\"sid\""), "{answer}");
    assert_eq!(wire.passed(Direction::ToServer), OPEN.len() as u64);
    assert_eq!(wire.passed(Direction::ToClient), answer.len() as u64);
    assert_eq!(network.server().stats().sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_cut_at_the_byte_that_was_named() {
    let network = network();
    let wire = network.wire();
    let whole = open(&wire).await.unwrap();
    for after in [0, 1, 50, whole.len() - 1] {
        wire.cut_after(Direction::ToClient, after as u64);
        let mut stream = connect(&wire).await.unwrap();
        stream.write_all(OPEN.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let error = loop {
            if let Err(error) = stream.read_buf(&mut answer).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(answer.len(), after);
        // The next one is whole again.
        assert_eq!(open(&wire).await.unwrap().len(), whole.len());
    }
    for after in [0, 1, OPEN.len() as u64 - 1] {
        let before = network.server().stats().sessions();
        wire.cut_after(Direction::ToServer, after);
        open(&wire).await.unwrap_err();
        assert_eq!(network.server().stats().sessions(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn both_sides_see_a_cut() {
    let network = network();
    let (wire, other) = (network.wire(), network.wire());
    let (mut stream, mut unhurt) = (
        connect(&wire).await.unwrap(),
        connect(&other).await.unwrap(),
    );
    assert_eq!((wire.connections(), other.connections()), (1, 1));
    wire.cut();
    let read = stream.read_u8().await.unwrap_err();
    assert_eq!(read.kind(), io::ErrorKind::ConnectionReset);
    let written = stream.write_all(b"x").await.unwrap_err();
    assert_eq!(written.kind(), io::ErrorKind::BrokenPipe);
    drop(stream);
    // The server has let go of it as well.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((wire.connections(), other.connections()), (0, 1));
    unhurt.write_all(OPEN.as_bytes()).await.unwrap();
    assert_eq!(unhurt.read_u8().await.unwrap(), b'H');
}

#[tokio::test(start_paused = true)]
async fn a_delay_holds_in_both_directions_and_keeps_order() {
    let network = network();
    let wire = network.wire();
    wire.delay(Duration::from_millis(100));
    let begun = Instant::now();
    let mut stream = connect(&wire).await.unwrap();
    assert_eq!(begun.elapsed().as_millis(), 200);
    let (begin, rest) = OPEN.split_at(10);
    stream.write_all(begin.as_bytes()).await.unwrap();
    wire.delay(Duration::from_millis(10));
    // It does not overtake what was written before.
    stream.write_all(rest.as_bytes()).await.unwrap();
    stream.read_u8().await.unwrap();
    assert_eq!(begun.elapsed().as_millis(), 310);
}

#[tokio::test(start_paused = true)]
async fn on_a_half_open_connection_bytes_vanish_in_silence() {
    let network = network();
    let wire = network.wire();
    let mut stream = connect(&wire).await.unwrap();
    wire.half_open();
    let many = vec![b'x'; 1024 * 1024];
    stream.write_all(&many).await.unwrap();
    let patience = Duration::from_secs(3600);
    let nothing = tokio::time::timeout(patience, stream.read_u8()).await;
    assert!(nothing.is_err());
    let nobody = tokio::time::timeout(patience, connect(&wire)).await;
    assert!(nobody.is_err());
    let (connected, ()) = tokio::join!(open(&wire), async { wire.heal() });
    connected.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_silent_goes_on_if_nothing_has_vanished() {
    let network = network();
    let wire = network.wire();
    let mut stream = connect(&wire).await.unwrap();
    wire.half_open();
    wire.heal();
    stream.write_all(OPEN.as_bytes()).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'H');
}

#[tokio::test(start_paused = true)]
async fn connections_are_refused_when_told_and_when_the_server_has_stopped() {
    let network = network();
    let wire = network.wire();
    let mut early = connect(&wire).await.unwrap();
    wire.refuse();
    let refused = connect(&wire).await.err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    early.write_all(OPEN.as_bytes()).await.unwrap();
    assert_eq!(early.read_u8().await.unwrap(), b'H');
    wire.heal();
    drop(connect(&wire).await.unwrap());
    network.server().shutdown(Duration::from_secs(10)).await;
    let refused = connect(&wire).await.err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn another_server_takes_the_place_of_one() {
    let mut network = network();
    let wire = network.wire();
    open(&wire).await.unwrap();
    let second = Server::new().namespace(Namespace::new("/"));
    network.restart(second).unwrap();
    open(&wire).await.unwrap();
    assert_eq!(network.server().stats().sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn deadlines_of_the_server_follow_the_paused_clock() {
    let network = network();
    let wire = network.wire();
    let begun = Instant::now();
    open(&wire).await.unwrap();
    while network.server().stats().sessions() > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // Nobody has joined a namespace within 20 s, nor fetched the farewell within 30 s.
    let seconds = begun.elapsed().as_secs();
    assert!((50..=52).contains(&seconds), "{seconds} s");
}
