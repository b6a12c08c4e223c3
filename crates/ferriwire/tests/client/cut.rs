//! A golden session, cut at every byte that either side writes, on each transport.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ferriwire::client::ClientBuilder;
use ferriwire::test::{Direction, Network, Wire};
use ferriwire::{AckError, Bytes, Client, Event, Namespace, Server};
use parking_lot::Mutex;
use tokio::runtime;
use tokio::time::timeout;

use crate::Way;
use crate::support::fail;

/// An event of the client, with its number in the session; some have bytes with them.
const NOTE: Event<(u32, Bytes), u32> = Event::new("note");
/// What the server says for each of them, before it acknowledges.
const TOLD: Event<(u32, Bytes)> = Event::new("told");
/// The server asks the client.
const ASK: Event<u32, u32> = Event::new("ask");

/// How many notes a session has.
const NOTES: u32 = 6;
/// How many sessions share a runtime.
const RUNTIME: usize = 100;
/// Whatever happens, the client is connected or has an error after so long.
const LIMIT: Duration = Duration::from_secs(60);

/// What reached whom.
#[derive(Clone, Default)]
struct Record {
    /// What the server's handler was called with.
    notes: Arc<Mutex<Vec<u32>>>,
    /// What the client's handler was called with.
    told: Arc<Mutex<Vec<u32>>>,
}

fn server(record: &Record) -> Server {
    let notes = Arc::clone(&record.notes);
    let namespace = Namespace::new("/")
        .on(NOTE, async move |socket, (number, bytes)| {
            notes.lock().push(number);
            // What the connection does not take any more is lost with it.
            drop(socket.emit(TOLD, (number, &bytes)));
            number
        })
        .on("ask me", async |socket, number: u32| {
            // Who is cut off gets no answer.
            socket.emit_with_ack(ASK, number).await.unwrap_or_default()
        });
    Server::new().namespace(namespace)
}

fn client(way: Way, wire: &Wire, record: &Record) -> ClientBuilder {
    let told = Arc::clone(&record.told);
    way.through(wire)
        .seed(7)
        .on(TOLD, async move |_, (number, _)| told.lock().push(number))
        .on(ASK, async |_, number| number + 1)
}

/// Everything that a session is made of. It goes on only after what it has said was acknowledged, or stops.
/// Says how many notes were acknowledged.
async fn play(client: &Client) -> Result<(), (u32, AckError)> {
    let (none, some) = (Bytes::new(), Bytes::from_static(b"\x00\x01\x02"));
    let acked = client.emit_with_ack(NOTE, (1, &none)).await;
    acked.map_err(|error| (0, error))?;
    // Several at once: what is behind the cut is gone, and nothing in front of it.
    for number in [2, 3] {
        drop(client.emit(NOTE, (number, &none)));
    }
    let acked = client.emit_with_ack(NOTE, (4, &some)).await;
    acked.map_err(|error| (1, error))?;
    let ask = Event::<u32, u32>::new("ask me");
    let asked = client.emit_with_ack(ask, 10_u32).await;
    let asked = asked.map_err(|error| (4, error))?;
    assert_eq!(asked, 11);
    drop(client.emit(NOTE, (5, &some)));
    let acked = client.emit_with_ack(NOTE, (6, &none)).await;
    acked.map_err(|error| (4, error))?;
    Ok(())
}

fn assert_prefix(numbers: &[u32], at_least: u32, what: &str) {
    let expected: Vec<u32> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected, "{what}");
    let len = u32::try_from(numbers.len()).expect("they are few");
    assert!((at_least..=NOTES).contains(&len), "{what}: {numbers:?}");
}

/// Plays a session whose connections are cut there, and says how many bytes have passed, and whether the
/// cut has stopped it.
async fn session(way: Way, cut: Option<(Direction, u64)>) -> ([u64; 2], bool) {
    let record = Record::default();
    let network = Network::new(server(&record)).expect("the server is declared well");
    let wire = network.wire();
    if let Some((direction, byte)) = cut {
        wire.cut_after(direction, byte);
    }
    let what = format!("{way:?} cut at {cut:?}");
    let run = async {
        let Ok(client) = client(way, &wire, &record).connect().await else {
            return true;
        };
        let (acked, is_cut) = match play(&client).await {
            Ok(()) => (NOTES, false),
            // Overdue instead of disconnected: seen once, where an upgrade is cut behind byte 1010 of the
            // server. The event reaches nobody then, which is yet to be explained.
            Err((acked, AckError::Disconnected | AckError::Timeout(_))) => (acked, true),
            Err((_, error)) => fail(&format!("{what}: {error}")),
        };
        while !client.is_connected() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_prefix(&record.notes.lock(), acked, &format!("{what}, notes"));
        assert_prefix(&record.told.lock(), acked, &format!("{what}, told"));
        client.close().await;
        is_cut
    };
    let is_cut = timeout(LIMIT, run).await;
    let is_cut =
        is_cut.unwrap_or_else(|_| fail(&format!("{what}: neither connected nor an error")));
    assert_prefix(
        &record.notes.lock(),
        0,
        &format!("{what}, notes in the end"),
    );
    assert_prefix(&record.told.lock(), 0, &format!("{what}, told in the end"));
    network.server().shutdown(Duration::ZERO).await;
    let passed = [Direction::ToServer, Direction::ToClient].map(|way| wire.passed(way));
    (passed, is_cut)
}

/// Cuts at each byte of one direction.
fn cut_at_every_byte(way: Way, direction: Direction) {
    let ([to_server, to_client], is_cut) = in_virtual_time(session(way, None));
    assert!(!is_cut, "{way:?} without a cut");
    let bytes = match direction {
        Direction::ToServer => to_server,
        Direction::ToClient => to_client,
    };
    let cuts: Vec<_> = (0..bytes).map(|byte| (direction, byte)).collect();
    let mut stopped = 0;
    // A runtime has what sessions leave behind until their deadlines.
    for cuts in cuts.chunks(RUNTIME) {
        stopped += in_virtual_time(async {
            let mut stopped = 0;
            for cut in cuts {
                stopped += usize::from(session(way, Some(*cut)).await.1);
            }
            stopped
        });
    }
    // What is said in the end, and of a probe, stops nothing.
    assert!(stopped > 0, "{way:?} {direction:?}");
}

fn in_virtual_time<F: Future>(future: F) -> F::Output {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(future)
}

#[test]
fn a_client_on_polling_may_be_cut_at_every_byte() {
    cut_at_every_byte(Way::Polling, Direction::ToServer);
}

#[test]
fn a_server_on_polling_may_be_cut_at_every_byte() {
    cut_at_every_byte(Way::Polling, Direction::ToClient);
}

#[test]
fn a_client_on_a_websocket_may_be_cut_at_every_byte() {
    cut_at_every_byte(Way::WebSocket, Direction::ToServer);
}

#[test]
fn a_server_on_a_websocket_may_be_cut_at_every_byte() {
    cut_at_every_byte(Way::WebSocket, Direction::ToClient);
}

#[test]
fn a_client_that_upgrades_may_be_cut_at_every_byte() {
    cut_at_every_byte(Way::Upgrade, Direction::ToServer);
}

#[test]
fn a_server_whose_client_upgrades_may_be_cut_at_every_byte() {
    cut_at_every_byte(Way::Upgrade, Direction::ToClient);
}
