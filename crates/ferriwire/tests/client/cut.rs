//! A golden session, cut at every byte in either direction, on each transport.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// The client has lost a session that it was in.
    lost: Arc<AtomicBool>,
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
    let (told, lost) = (Arc::clone(&record.told), Arc::clone(&record.lost));
    way.through(wire)
        .seed(7)
        .on_disconnect(async move |_, _| lost.store(true, Ordering::Relaxed))
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

/// Plays a session on a new network whose connections are cut there, and says whether that has stopped it.
async fn session(way: Way, cut: (Direction, u64)) -> bool {
    let record = Record::default();
    let network = Network::new(server(&record)).expect("the server is declared well");
    let wire = network.wire();
    wire.cut_after(cut.0, cut.1);
    let what = format!("{way:?} cut at {cut:?}");
    play_on(way, &network, &wire, &record, &what).await
}

async fn play_on(way: Way, network: &Network, wire: &Wire, record: &Record, what: &str) -> bool {
    let run = async {
        let Ok(client) = client(way, wire, record).connect().await else {
            return true;
        };
        let acked = match play(&client).await {
            Ok(()) => NOTES,
            Err((acked, AckError::Disconnected)) => acked,
            Err((_, error)) => fail(&format!("{what}: {error}")),
        };
        while !client.is_connected() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_prefix(&record.notes.lock(), acked, &format!("{what}, notes"));
        assert_prefix(&record.told.lock(), acked, &format!("{what}, told"));
        let is_cut = record.lost.load(Ordering::Relaxed);
        assert!(is_cut || acked == NOTES, "{what}: stopped without a word");
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
    is_cut
}

/// How many bytes a session without a cut has.
async fn len(way: Way, direction: Direction) -> u64 {
    let record = Record::default();
    let network = Network::new(server(&record)).expect("the server is declared well");
    let wire = network.wire();
    let what = format!("{way:?} without a cut");
    let is_cut = play_on(way, &network, &wire, &record, &what).await;
    assert!(!is_cut, "{what}");
    wire.passed(direction)
}

fn cut_everywhere(way: Way, direction: Direction) {
    let bytes = in_virtual_time(len(way, direction));
    let cuts: Vec<u64> = (0..bytes).collect();
    let mut stopped = 0;
    // A runtime has what sessions leave behind until their deadlines.
    for cuts in cuts.chunks(RUNTIME) {
        stopped += in_virtual_time(async {
            let mut stopped = 0;
            for cut in cuts {
                stopped += usize::from(session(way, (direction, *cut)).await);
            }
            stopped
        });
    }
    // What is said in the end, and of a probe, stops nothing.
    let all = cuts.len();
    assert!(
        stopped > all / 2,
        "{way:?} {direction:?}: {stopped} of {all}"
    );
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
    cut_everywhere(Way::Polling, Direction::ToServer);
}

#[test]
fn a_server_on_polling_may_be_cut_at_every_byte() {
    cut_everywhere(Way::Polling, Direction::ToClient);
}

#[test]
fn a_client_on_a_websocket_may_be_cut_at_every_byte() {
    cut_everywhere(Way::WebSocket, Direction::ToServer);
}

#[test]
fn a_server_on_a_websocket_may_be_cut_at_every_byte() {
    cut_everywhere(Way::WebSocket, Direction::ToClient);
}

#[test]
fn a_client_that_upgrades_may_be_cut_at_every_byte() {
    cut_everywhere(Way::Upgrade, Direction::ToServer);
}

#[test]
fn a_server_whose_client_upgrades_may_be_cut_at_every_byte() {
    cut_everywhere(Way::Upgrade, Direction::ToClient);
}
