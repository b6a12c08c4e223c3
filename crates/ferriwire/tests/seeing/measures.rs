//! What monitoring sees: names, labels, and that clients cannot make up either.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferriwire::{Config, Event, Namespace, Transport};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use crate::client::{Client, Received};
use crate::serve;
use crate::support::within;

const JOIN: Event<String> = Event::new("join");

const SETTLE: Event<()> = Event::new("settle");

const DOCS: &str = include_str!("../../../../docs/observability.md");

const SOURCE: &str = include_str!("../../src/engine/metrics.rs");

fn chat() -> Namespace<(), ferriwire::Declared> {
    Namespace::new("/")
        .on(SETTLE, async |_, ()| {})
        .on(JOIN, async |socket, room: String| {
            socket.join(&room)?;
            socket.to(room).emit("joined", ())?;
            Ok(())
        })
}

#[tokio::test]
async fn what_happened_is_published_under_documented_names() {
    let series = Series::default();
    let _guard = metrics::set_default_local_recorder(&series);
    let config = Config::new()
        .metrics(true)
        .ping_interval(Duration::from_millis(200));
    let server = serve(config, chat()).await;
    let mut client = Client::connect(&server).await;
    let mut polling = Client::connect_over(&server, Transport::Polling).await;
    polling.send(r#"2["join","lobby"]"#).await;
    polling.expect_nothing().await;
    client.send(r#"21["join","lobby"]"#).await;
    client.expect("31[]").await;
    polling.expect(r#"2["joined"]"#).await;
    client.send("0/nowhere,").await;
    client
        .expect(r#"4/nowhere,{"message":"Invalid namespace"}"#)
        .await;

    // Until the first pong has arrived and counters were published.
    within("a pong", async {
        while series.get("ferriwire_heartbeat_seconds") == 0
            || series.get("ferriwire_events_in_total") < 3
        {
            tokio::select! {
                received = client.next() => assert_ne!(received, Received::End),
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
    })
    .await;
    for (name, expected) in [
        ("ferriwire_connections", 2),
        ("ferriwire_handshakes_total{transport=polling}", 1),
        ("ferriwire_handshakes_total{transport=websocket}", 1),
        ("ferriwire_events_in_total", 3),
        ("ferriwire_events_out_total", 1),
        ("ferriwire_handler_seconds", 3),
        ("ferriwire_refusals_total{reason=unknown_namespace}", 1),
    ] {
        assert_eq!(series.get(name), expected, "{name}: {series:?}");
    }
    assert!(series.get("ferriwire_bytes_in_total") > 0);
    assert!(series.get("ferriwire_bytes_out_total") > 0);

    let stats = server.stats();
    assert_eq!((stats.events_in, stats.events_out), (3, 1));
    assert_eq!(series.names(), documented());
    assert_eq!(in_source(), documented());
}

#[tokio::test]
async fn a80_names_that_clients_make_up_are_no_series() {
    let series = Series::default();
    let _guard = metrics::set_default_local_recorder(&series);
    let server = serve(Config::new().metrics(true), chat()).await;
    let before = series.keys();
    let mut client = Client::connect(&server).await;
    for index in 0..10_000 {
        client.send(&format!(r#"2["event-{index}"]"#)).await;
        if index % 10 == 0 {
            client.send(&format!(r#"2["join","room-{index}"]"#)).await;
            client.send(&format!("0/namespace-{index},")).await;
            assert!(matches!(client.next().await, Received::Text(_)));
        }
    }
    client.expect_nothing().await;
    assert!(server.stats().events_in > 10_000);
    within("publishing", async {
        while series.get("ferriwire_refusals_total{reason=unknown_namespace}") < 1_000 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(series.keys(), before);
    assert!(before.len() < 100, "{before:?}");
}

#[tokio::test]
async fn without_the_setting_nothing_is_registered() {
    let series = Series::default();
    let _guard = metrics::set_default_local_recorder(&series);
    let server = serve(Config::new(), chat()).await;
    let mut client = Client::connect(&server).await;
    client.expect_nothing().await;
    assert_eq!(series.keys(), BTreeSet::new());
}

/// The first cells of the table in the documentation.
fn documented() -> BTreeSet<String> {
    let rows = DOCS.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split('`').next());
    let ours = names.filter(|name| name.starts_with("ferriwire_"));
    ours.map(str::to_owned).collect()
}

/// The names between quotation marks in the code.
fn in_source() -> BTreeSet<String> {
    let texts = SOURCE.split('"').skip(1).step_by(2);
    let ours = texts.filter(|text| text.starts_with("ferriwire_"));
    ours.map(str::to_owned).collect()
}

/// A recorder that can be asked. Of a histogram it knows how often something was recorded.
#[derive(Clone, Debug, Default)]
struct Series(Arc<Mutex<BTreeMap<String, Arc<Value>>>>);

#[derive(Debug, Default)]
struct Value(AtomicU64);

impl Series {
    fn of(&self, key: &Key) -> Arc<Value> {
        let mut name = key.name().to_owned();
        for label in key.labels() {
            name.push_str(&format!("{{{}={}}}", label.key(), label.value()));
        }
        let mut series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(series.entry(name).or_default())
    }

    fn get(&self, name: &str) -> u64 {
        let series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = series.get(name).expect("it is registered");
        value.0.load(Ordering::Relaxed)
    }

    fn keys(&self) -> BTreeSet<String> {
        let series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        series.keys().cloned().collect()
    }

    fn names(&self) -> BTreeSet<String> {
        let keys = self.keys().into_iter();
        keys.map(|key| key.split('{').next().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Recorder for Series {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of(key))
    }
}

impl CounterFn for Value {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }
}

impl GaugeFn for Value {
    fn increment(&self, value: f64) {
        self.0.fetch_add(value as u64, Ordering::Relaxed);
    }

    fn decrement(&self, value: f64) {
        self.0.fetch_sub(value as u64, Ordering::Relaxed);
    }

    fn set(&self, value: f64) {
        self.0.store(value as u64, Ordering::Relaxed);
    }
}

impl HistogramFn for Value {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
