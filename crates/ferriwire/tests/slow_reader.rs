//! A client that stops reading while broadcasts go on: it costs its bound, and nobody else anything.
//!
//! The only test of this program, so that the memory of the process is its own.

mod support;

use std::sync::Arc;
use std::time::Duration;

use ferriwire::{Config, Namespace, Server, Socket};
use support::websocket::{Frame, WebSocket};
use support::{Endpoint, fail, within};
use tokio::sync::Semaphore;

const TARGET: &str = "/socket.io/?EIO=4&transport=websocket";
const OTHERS: usize = 100;

/// So many broadcasts go out before the others are waited for: it is one reader that is slow.
const STRIDE: usize = 20;

/// Of growth that the slow reader may cause, with all that belongs to it.
const ALLOWANCE: usize = 4 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_is_closed_as_a_slow_consumer_and_others_lose_nothing() {
    let (joined, mut sockets) = tokio::sync::mpsc::unbounded_channel();
    let (left, mut reasons) = tokio::sync::mpsc::unbounded_channel();
    let namespace = Namespace::new("/")
        .on_connect(async move |socket| joined.send(socket).unwrap_or_default())
        .on_disconnect(async move |socket, reason| {
            left.send((socket.id().clone(), reason)).unwrap_or_default();
        });
    // No ping comes in between.
    let config = Config::new().ping_interval(Duration::from_secs(600));
    let server = Server::new().config(config).namespace(namespace);
    let everybody = server.handle("/");
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr();

    let mut slow = join(Endpoint::Narrow(address)).await;
    let socket: Socket = within("a socket", sockets.recv()).await.unwrap();
    let arrived = Arc::new(Semaphore::new(0));
    let mut others = Vec::new();
    for _ in 0..OTHERS {
        let websocket = join(address.into()).await;
        others.push(tokio::spawn(read_all(websocket, Arc::clone(&arrived))));
    }
    assert_eq!(everybody.socket_count(), OTHERS + 1);

    let filler = "x".repeat(1_000);
    let mut sent = 0;
    let mut broadcast = async || {
        for _ in 0..STRIDE {
            everybody
                .emit("tick", format!("{sent:06}{filler}"))
                .unwrap();
            sent += 1;
        }
        let all = u32::try_from(STRIDE * OTHERS).expect("a small number");
        let all = within("reading", arrived.acquire_many(all)).await;
        all.expect("it is not closed").forget();
        sent
    };
    // Everybody reads at first, which sizes all buffers.
    for _ in 0..10 {
        let sent = broadcast().await;
        for number in sent - STRIDE..sent {
            check_tick(&slow.next().await, number);
        }
    }

    let before = resident();
    let fillers = fill_the_kernel(&socket, &filler);
    let mut most = before;
    let (id, reason) = loop {
        let sent = broadcast().await;
        most = most.max(resident());
        if let Ok(left) = reasons.try_recv() {
            break left;
        }
        assert!(sent < 5_000, "the bound is 1 MiB");
    };
    assert_eq!(reason.as_str(), "slow consumer");
    assert_eq!(&id, socket.id());
    let growth = most.saturating_sub(before);
    assert!(growth <= ALLOWANCE, "{growth} bytes more than before");

    // The others go on, and what the slow one finds is a prefix of what was sent.
    let sent = broadcast().await;
    assert_eq!(everybody.socket_count(), OTHERS);
    assert_eq!(server.stats().slow_consumers, 1);
    assert_eq!(server.stats().sessions(), OTHERS as u64);
    let found = slow.rest().await;
    assert!(
        found.len() < fillers + sent - 10 * STRIDE,
        "something was dropped"
    );
    for (number, frame) in found.iter().enumerate() {
        if let Some(tick) = number.checked_sub(fillers) {
            check_tick(frame, 10 * STRIDE + tick);
        } else {
            assert!(matches!(frame, Frame::Text(text) if text.starts_with("42[\"filler\"")));
        }
    }

    server.shutdown(support::PATIENCE).await;
    for other in others {
        assert_eq!(within("the end", other).await.unwrap(), sent);
    }
    for _ in 0..OTHERS {
        let (other, reason) = within("a reason", reasons.recv()).await.unwrap();
        assert_ne!(other, id, "it left once");
        assert_eq!(reason.as_str(), "server shutting down");
    }
    assert!(reasons.try_recv().is_err());
}

/// Sends to one client what the kernel holds for it: some megabytes that nobody else has to read.
fn fill_the_kernel(socket: &Socket, filler: &str) -> usize {
    for sent in 0..20_000 {
        // Above 64 KiB each `emit` has tried to write.
        if socket.buffered_bytes() > 100 * 1024 {
            return sent;
        }
        socket
            .emit("filler", filler)
            .expect("it is below its bound");
    }
    fail("the kernel does not hold 20 MB")
}

async fn join(endpoint: Endpoint) -> WebSocket {
    let connected = WebSocket::connect(endpoint, TARGET, &[]).await;
    let mut websocket = connected.expect("the handshake is accepted");
    assert!(websocket.text().await.starts_with("0{"));
    websocket.send_text("40").await;
    assert!(websocket.text().await.starts_with("40{"));
    websocket
}

/// Reads every tick in order until the server closes, and says how many there were.
async fn read_all(mut websocket: WebSocket, arrived: Arc<Semaphore>) -> usize {
    for number in 0.. {
        let frame = websocket.next().await;
        if frame == Frame::Close(None) {
            return number;
        }
        check_tick(&frame, number);
        arrived.add_permits(1);
    }
    unreachable!("there is no last number")
}

fn check_tick(frame: &Frame, number: usize) {
    let Frame::Text(text) = frame else {
        fail(&format!("a tick was expected, not {frame:?}"));
    };
    let expected = format!("42[\"tick\",\"{number:06}x");
    assert!(
        text.starts_with(&expected),
        "{expected} was expected, not {}",
        &text[..20]
    );
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: Option<usize> = kilobytes.and_then(|kilobytes| kilobytes.parse().ok());
    kilobytes.expect("a number of kilobytes") * 1024
}
