//! How much is kept for clients that may come back: A54.

use std::time::Duration;

use ferriwire::{Config, Gap, Limits, Namespace, Recovery, RunningServer, Transport};
use serde_json::json;

use crate::client::Client;
use crate::recovery::{Guest, split};
use crate::support::until;
use crate::{Entries, log, serve_with, stop};

async fn watched(config: Config) -> (RunningServer, Entries<Gap>) {
    let (seen, entries) = log();
    let namespace = Namespace::new("/").on_gap(async move |_, gap| seen.write(gap));
    (serve_with(config, namespace).await, entries)
}

/// Emits so many events of so many bytes to an absent client, and expects that it gets them all, or
/// that it is told why not.
async fn check(config: Config, events: usize, bytes: usize, expected: Option<Gap>) {
    let (server, mut entries) = watched(config).await;
    let absent = Guest::arrive(&server, Transport::WebSocket)
        .await
        .cut(&server)
        .await;
    for _ in 0..events {
        server
            .handle("/")
            .emit("event", "x".repeat(bytes))
            .expect("it can be sent");
    }
    let again = absent.come_back(&server, Transport::WebSocket, None).await;
    match expected {
        None => {
            assert_eq!(again.id, absent.id);
            assert_eq!(again.replayed.len(), events);
        }
        Some(gap) => {
            assert_ne!(again.id, absent.id);
            assert!(again.replayed.is_empty());
            assert_eq!(entries.next().await, gap);
        }
    }
    stop(server).await;
}

fn with(recovery: Recovery) -> Config {
    Config::new().recovery(recovery)
}

#[tokio::test]
async fn a54_a_client_may_have_missed_so_many_events_and_no_more() {
    let config = || with(Recovery::new().max_session_packets(10));
    check(config(), 10, 1, None).await;
    check(config(), 11, 1, Some(Gap::TooMuch)).await;
    check(config(), 1_000, 1, Some(Gap::TooMuch)).await;
    check(with(Recovery::new()), 1_000, 1, None).await;
    check(with(Recovery::new()), 1_001, 1, Some(Gap::TooMuch)).await;
}

#[tokio::test]
async fn a54_a_client_may_have_missed_so_many_bytes_and_no_more() {
    // A frame of 10,000 characters has 35 bytes more: 4 of header, and `42["event","", "offset"]`.
    let frame = 10_000 + 4 + r#"42["event","","0123456789abcdef"]"#.len();
    let config = |bytes| with(Recovery::new().max_session_bytes(bytes));
    check(config(10 * frame), 10, 10_000, None).await;
    check(config(10 * frame - 1), 10, 10_000, Some(Gap::TooMuch)).await;
    check(config(10 * frame), 100, 10_000, Some(Gap::TooMuch)).await;
    // What could not be queued for one client is not tried.
    let small = config(100 * frame).limits(Limits::new().max_buffered(5 * frame + 512));
    check(small.clone(), 5, 10_000, None).await;
    check(small, 6, 10_000, Some(Gap::TooMuch)).await;
}

#[tokio::test]
async fn a54_the_oldest_events_of_a_namespace_go_first() {
    let config = || with(Recovery::new().max_log_packets(20));
    check(config(), 20, 1, None).await;
    check(config(), 21, 1, Some(Gap::Trimmed)).await;
    check(config(), 1_000, 1, Some(Gap::Trimmed)).await;
}

#[tokio::test]
async fn a54_a_flood_of_events_is_bounded_and_ends_as_a_gap() {
    const LIMIT: usize = 1024 * 1024;
    let (server, mut entries) = watched(with(Recovery::new().max_bytes(LIMIT))).await;
    let absent = Guest::arrive(&server, Transport::WebSocket)
        .await
        .cut(&server)
        .await;
    let text = "x".repeat(50_000);
    for _ in 0..200 {
        server.handle("/").emit("event", &text).unwrap();
        assert!(server.stats().recovery_bytes <= LIMIT);
    }
    absent.come_back(&server, Transport::WebSocket, None).await;
    assert_eq!(entries.next().await, Gap::Trimmed);
    stop(server).await;
}

#[tokio::test]
async fn a54_absent_clients_in_many_rooms_are_bounded_and_the_oldest_is_forgotten() {
    const LIMIT: usize = 1024 * 1024;
    let (seen, mut gaps) = log();
    let namespace = Namespace::new("/")
        .on_gap(async move |_, gap| seen.write(gap))
        .on_connect(async |socket| {
            for room in 0..if socket.recovered() { 0 } else { 1_000 } {
                socket.join(format!("room {room}")).unwrap();
            }
        });
    let server = serve_with(with(Recovery::new().max_bytes(LIMIT)), namespace).await;
    let mut absent = Vec::new();
    for _ in 0..50 {
        let guest = Guest::arrive(&server, Transport::WebSocket).await;
        absent.push(guest.cut(&server).await);
        assert!(server.stats().recovery_bytes <= LIMIT);
    }
    let newest = absent.last().unwrap();
    let again = newest.come_back(&server, Transport::WebSocket, None).await;
    assert_eq!(again.id, newest.id);
    absent[0]
        .come_back(&server, Transport::WebSocket, None)
        .await;
    assert_eq!(gaps.next().await, Gap::UnknownSession);
    stop(server).await;
}

#[tokio::test]
async fn nothing_is_kept_for_a_namespace_without_clients() {
    let (server, _) = watched(with(Recovery::new())).await;
    for _ in 0..100 {
        server.handle("/").emit("event", "to nobody").unwrap();
    }
    assert_eq!(server.stats().recovery_bytes, 0);
    stop(server).await;
}

#[tokio::test]
async fn a_quiet_client_recovers_after_its_offset_has_left_the_log() {
    let (server, _) = watched(with(Recovery::new().max_log_packets(10))).await;
    let all = server.handle("/");
    let mut guest = Guest::arrive(&server, Transport::WebSocket).await;
    all.emit("for all", 1).unwrap();
    let (_, offset) = guest.event().await;
    for _ in 0..100 {
        all.to("others").emit("not for it", ()).unwrap();
    }
    let absent = guest.cut(&server).await;
    all.emit("for all", 2).unwrap();
    let again = absent
        .come_back(&server, Transport::WebSocket, Some(&offset))
        .await;
    assert_eq!(again.id, absent.id);
    assert_eq!(split(&again.replayed[0]).0, json!(["for all", 2]));
    stop(server).await;
}

#[tokio::test]
async fn memory_returns_to_nothing_after_the_window_although_nothing_happens() {
    let window = Duration::from_millis(50);
    let (server, _) = watched(with(Recovery::new().window(window))).await;
    let all = server.handle("/");
    let guest = Guest::arrive(&server, Transport::WebSocket).await;
    // Somebody is still there, and everything is kept for him.
    let watcher = Client::open(&server, Transport::WebSocket).await;
    let watcher = Guest::join(watcher, "/", &json!({})).await;
    for _ in 0..100 {
        all.emit("event", "x".repeat(1_000)).unwrap();
    }
    guest.client.into_websocket().reset();
    until("the server notices", || all.socket_count() == 1).await;
    until("all is forgotten", || server.stats().recovery_bytes == 0).await;
    drop(watcher);
    stop(server).await;
}
