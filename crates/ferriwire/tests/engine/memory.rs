//! What a server does when memory or time is short (security 2.2 and 2.3; A62, A63, A82), on pipes and
//! in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ferriwire::engine::{CloseReason, Service, Session};
use ferriwire::{Config, LimitKind, Limits, Namespace, Rate};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::mounting::pipes;
use crate::support::http::{Http, Response};
use crate::support::polling::Polling;
use crate::support::websocket::WebSocket;
use crate::support::{Endpoint, within};
use crate::{PATH, POLLING, WEBSOCKET, config, echo};

/// A server that uses as much memory as a test says.
struct Machine {
    used: Arc<AtomicUsize>,
    service: Service,
    endpoint: Endpoint,
    sessions: UnboundedReceiver<Session>,
    closed: UnboundedReceiver<CloseReason>,
}

fn measured(config: Config, used: &Arc<AtomicUsize>) -> Config {
    let used = Arc::clone(used);
    config.memory_usage(move || Some(used.load(Ordering::SeqCst)))
}

impl Machine {
    fn new(limits: Limits) -> Self {
        let used = Arc::new(AtomicUsize::new(0));
        let (server, sessions, _, closed) = echo(measured(config().limits(limits), &used));
        let service = server.into_service().expect("a service");
        Self {
            used,
            endpoint: pipes(service.clone()),
            service,
            sessions,
            closed,
        }
    }

    /// So much is used, and the server has seen it.
    async fn uses(&self, bytes: usize) {
        self.used.store(bytes, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }

    async fn handshake(&self) -> Response {
        Http::connect(&self.endpoint).await.get(POLLING).await
    }

    /// A polling client that does not ask for what waits for it.
    async fn slow_poller(&mut self, bytes: usize) -> Session {
        drop(Polling::handshake(&self.endpoint, PATH).await);
        let session = within("a session", self.sessions.recv()).await;
        let session = session.expect("the server runs");
        session.send("x".repeat(bytes)).expect("it is open");
        session
    }

    async fn next_closed(&mut self) -> CloseReason {
        let reason = within("a close", self.closed.recv()).await;
        reason.expect("the server runs")
    }
}

fn buffered(sessions: &[Session]) -> Vec<bool> {
    let sessions = sessions.iter();
    sessions
        .map(|session| session.buffered_bytes() > 0)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn nobody_new_is_let_in_while_memory_is_short() {
    let machine = Machine::new(Limits::new().memory(1_000_000));
    assert_eq!(machine.handshake().await.status, 200);
    let mut refused = 0;
    for (used, status) in [
        (849_999, 200),
        (850_000, 503),
        (2_000_000, 503),
        (849_999, 200),
        (0, 200),
    ] {
        machine.uses(used).await;
        let response = machine.handshake().await;
        assert_eq!(response.status, status, "{used}");
        assert_eq!(response.header("retry-after").is_some(), status == 503);
        refused += u64::from(status == 503);
        let stats = machine.service.stats();
        assert_eq!(stats.limited(LimitKind::Memory), refused);
    }
}

#[tokio::test(start_paused = true)]
async fn the_slowest_readers_are_closed_first_while_memory_is_short() {
    let mut machine = Machine::new(Limits::new().memory(1_000_000));
    let connected = WebSocket::connect(&machine.endpoint, WEBSOCKET, &[]).await;
    let mut reader = connected.unwrap();
    assert!(reader.text().await.starts_with('0'));
    let reading = within("a session", machine.sessions.recv()).await.unwrap();
    let connected = WebSocket::connect(&machine.endpoint, WEBSOCKET, &[]).await;
    let mut deaf = connected.unwrap();
    assert!(deaf.text().await.starts_with('0'));
    let stalled = within("a session", machine.sessions.recv()).await.unwrap();
    // The first message is being written when the second one comes.
    stalled.send("x".repeat(60_000)).unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    stalled.send("x".repeat(1_000)).unwrap();
    let slow = [
        machine.slow_poller(20_000).await,
        stalled,
        machine.slow_poller(40_000).await,
        machine.slow_poller(10_000).await,
    ];
    machine.uses(799_999).await;
    assert_eq!(buffered(&slow), [true; 4]);
    // One each time, and nobody for whom little waits.
    for left in [
        [true, false, true, true],
        [true, false, false, true],
        [false, false, false, true],
    ] {
        machine.used.store(800_000, Ordering::SeqCst);
        assert_eq!(machine.next_closed().await, CloseReason::SlowConsumer);
        assert_eq!(buffered(&slow), left);
    }
    machine.uses(1_000_000).await;
    assert_eq!(buffered(&slow), [false, false, false, true]);
    let stats = machine.service.stats();
    assert_eq!(stats.limited(LimitKind::Memory), 3);
    assert_eq!(stats.slow_consumers, 3);
    reading.send("still here").unwrap();
    assert_eq!(reader.text().await, "4still here");
}

#[tokio::test(start_paused = true)]
async fn as_many_readers_are_closed_as_memory_is_missing() {
    let mut machine = Machine::new(Limits::new().memory(1_000_000));
    let mut slow = Vec::new();
    for bytes in [30_000, 40_000, 50_000] {
        slow.push(machine.slow_poller(bytes).await);
    }
    machine.uses(850_100).await;
    assert_eq!(buffered(&slow), [true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_all_clients_is_bounded() {
    let limits = Limits::new().memory(usize::MAX).max_buffered_total(100_000);
    let mut machine = Machine::new(limits);
    let mut slow = Vec::new();
    for bytes in [20_000, 59_000, 20_000] {
        slow.push(machine.slow_poller(bytes).await);
    }
    // Below the bound, although the process uses more.
    machine.uses(1_000_000).await;
    assert_eq!(buffered(&slow), [true; 3]);
    slow[0].send("x".repeat(2_000)).unwrap();
    // What is shared by many takes less memory than it counts for.
    machine.uses(100_000).await;
    assert_eq!(buffered(&slow), [true; 3]);
    machine.uses(100_001).await;
    assert_eq!(buffered(&slow), [true, false, true]);
    assert_eq!(machine.next_closed().await, CloseReason::SlowConsumer);
    let stats = machine.service.stats();
    assert_eq!(stats.limited(LimitKind::BufferedTotal), 1);
}

#[tokio::test(start_paused = true)]
async fn volatile_events_are_dropped_while_memory_is_short() {
    let used = Arc::new(AtomicUsize::new(0));
    let config = measured(Config::new().limits(Limits::new().memory(1_000_000)), &used);
    let namespace = Namespace::new("/").on("go", async |socket, _: ()| {
        drop(socket.volatile().emit("volatile", 1));
        drop(socket.emit("regular", 2));
    });
    let server = ferriwire::Server::new().config(config).namespace(namespace);
    let endpoint = pipes(server.into_service().unwrap());
    let target = "/socket.io/?EIO=4&transport=websocket";
    let connected = WebSocket::connect(&endpoint, target, &[]).await;
    let mut websocket = connected.unwrap();
    assert!(websocket.text().await.starts_with('0'));
    websocket.send_text("40").await;
    assert!(websocket.text().await.starts_with("40"));
    for (bytes, comes) in [(699_999, true), (700_000, false), (699_999, true)] {
        used.store(bytes, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        websocket.send_text(r#"42["go"]"#).await;
        if comes {
            assert_eq!(websocket.text().await, r#"42["volatile",1]"#);
        }
        assert_eq!(websocket.text().await, r#"42["regular",2]"#, "{bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_timers_are_late_lets_fewer_in() {
    // One thread, so one core.
    let limits = Limits::new().handshakes_per_core(Rate::per_second(16));
    let machine = Machine::new(limits);
    let passing = async || {
        let mut passing = 0;
        for _ in 0..20 {
            passing += u32::from(machine.handshake().await.status == 200);
        }
        passing
    };
    assert_eq!(passing().await, 16);
    // The runtime comes back after three seconds.
    tokio::task::yield_now().await;
    tokio::time::advance(Duration::from_secs(3)).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(passing().await, 8);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(passing().await, 16);
}
