//! A fixed part of the connections: what no turn flushed, and what is due.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::counters::Counters;
use super::metrics::Metrics;
use super::session::{Session, Shared};
use super::traffic::Traffic;
use crate::config::Config;

/// After this many writes the shard task lets others run.
const WRITES_PER_YIELD: usize = 64;

/// Deadlines are rounded up to this, so that thousands of heartbeats share one timer.
const COARSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Shard {
    /// Which one it is; rooms are split the same way.
    index: usize,
    config: Arc<Config>,
    dirty: Mutex<Vec<Session>>,
    ticks: Ticks,
    wheel: Mutex<Wheel>,
    changed: Notify,
    stopped: AtomicBool,
    counters: Arc<Counters>,
    /// Events that were dropped because their client read too slowly.
    dropped: AtomicU64,
    /// Memory is short: volatile messages are dropped.
    stops_volatile: AtomicBool,
    traffic: Arc<Traffic>,
    /// When the program wants them.
    metrics: Option<Arc<Metrics>>,
}

impl Shard {
    pub(crate) fn new(
        index: usize,
        config: Arc<Config>,
        counters: Arc<Counters>,
        traffic: Arc<Traffic>,
        metrics: Option<Arc<Metrics>>,
        now: Instant,
    ) -> Self {
        let tick = (config.shortest_interval() / 200).clamp(Duration::from_millis(1), COARSE);
        Self {
            index,
            config,
            dirty: Mutex::new(Vec::new()),
            ticks: Ticks { start: now, tick },
            wheel: Mutex::default(),
            changed: Notify::new(),
            stopped: AtomicBool::new(false),
            counters,
            dropped: AtomicU64::new(0),
            stops_volatile: AtomicBool::new(false),
            traffic,
            metrics,
        }
    }

    /// What the program configured, where every session can see it.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    pub(crate) fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_deref()
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn count_dropped(&self, events: u32) {
        self.dropped.fetch_add(events.into(), Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn stops_volatile(&self) -> bool {
        self.stops_volatile.load(Ordering::Relaxed)
    }

    pub(crate) fn set_stops_volatile(&self, stops: bool) {
        self.stops_volatile.store(stops, Ordering::Relaxed);
    }

    /// The session's outbox is flushed soon.
    pub(crate) fn enlist(&self, session: Session) {
        let first = {
            let mut dirty = self.dirty.lock();
            dirty.push(session);
            dirty.len() == 1
        };
        if first {
            self.changed.notify_one();
        }
    }

    /// Wakes the session's connection task when that tick is over.
    pub(crate) fn arm(&self, tick: u64, session: &Arc<Shared>) {
        let mut wheel = self.wheel.lock();
        let earlier = wheel.next();
        wheel.insert(tick, Arc::downgrade(session));
        let is_first = earlier.is_none_or(|next| tick < next);
        drop(wheel);
        if is_first {
            self.changed.notify_one();
        }
    }

    /// The tick in which a deadline falls.
    pub(crate) fn tick_of(&self, deadline: Instant) -> u64 {
        self.ticks.tick_of(deadline)
    }

    /// The shard task: flushes, wakes and sweeps until the server is gone.
    pub(crate) async fn run(self: Arc<Self>, sweepers: Vec<Sweeper>) {
        let mut sweeps: Vec<_> = sweepers.into_iter().map(Sweeps::new).collect();
        while !self.stopped.load(Ordering::Acquire) {
            self.flush_dirty().await;
            let changed = self.changed.notified();
            let next_sweep = sweeps.iter_mut().filter_map(Sweeps::sweep_if_due).min();
            let deadlines = [self.wake_due(), next_sweep];
            match deadlines.into_iter().flatten().min() {
                Some(deadline) => {
                    let _ = tokio::time::timeout_at(deadline.into(), changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// Ends the shard task.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// One round; what came meanwhile has called for the next, after the deadlines were looked at.
    async fn flush_dirty(&self) {
        let dirty = std::mem::take(&mut *self.dirty.lock());
        for (index, session) in dirty.into_iter().enumerate() {
            if index > 0 && index.is_multiple_of(WRITES_PER_YIELD) {
                tokio::task::yield_now().await;
            }
            session.flush();
        }
    }

    fn wake_due(&self) -> Option<Instant> {
        let now = tokio::time::Instant::now().into_std();
        let (due, next) = {
            let mut wheel = self.wheel.lock();
            let due = wheel.expire(self.ticks.passed_at(now));
            let next = wheel.next().map(|tick| self.ticks.time_of(tick));
            (due, next)
        };
        for session in due.into_iter().filter_map(|session| session.upgrade()) {
            session.disarm();
            session.wake();
        }
        next
    }
}

/// What a shard does from time to time for the layer above.
pub(crate) struct Sweeper {
    pub(crate) every: Duration,
    pub(crate) sweep: Box<dyn Fn() + Send + Sync>,
}

struct Sweeps {
    sweeper: Sweeper,
    next: Option<Instant>,
}

impl Sweeps {
    fn new(sweeper: Sweeper) -> Self {
        let now = tokio::time::Instant::now().into_std();
        Self {
            next: now.checked_add(sweeper.every),
            sweeper,
        }
    }

    /// Sweeps when it is time, and says when it is time again.
    fn sweep_if_due(&mut self) -> Option<Instant> {
        let now = tokio::time::Instant::now().into_std();
        if self.next.is_some_and(|next| next <= now) {
            (self.sweeper.sweep)();
            self.next = now.checked_add(self.sweeper.every);
        }
        self.next
    }
}

/// Coarse time.
#[derive(Clone, Copy, Debug)]
struct Ticks {
    start: Instant,
    tick: Duration,
}

impl Ticks {
    /// Rounded up, so that nobody is woken before the deadline has passed.
    fn tick_of(self, deadline: Instant) -> u64 {
        let since_start = deadline.saturating_duration_since(self.start).as_nanos();
        let tick = since_start.div_ceil(self.tick.as_nanos());
        u64::try_from(tick).unwrap_or(u64::MAX)
    }

    fn time_of(self, tick: u64) -> Instant {
        let nanos = self.tick.as_nanos().saturating_mul(u128::from(tick));
        let offset = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.start.checked_add(offset).unwrap_or(self.start)
    }

    /// The last tick that is over.
    fn passed_at(self, now: Instant) -> u64 {
        let since_start = now.saturating_duration_since(self.start).as_nanos();
        u64::try_from(since_start / self.tick.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Who is due at which tick.
#[derive(Debug, Default)]
struct Wheel {
    due: BTreeMap<u64, Vec<Weak<Shared>>>,
}

impl Wheel {
    fn insert(&mut self, tick: u64, session: Weak<Shared>) {
        self.due.entry(tick).or_default().push(session);
    }

    fn next(&self) -> Option<u64> {
        self.due.keys().next().copied()
    }

    fn expire(&mut self, passed: u64) -> Vec<Weak<Shared>> {
        let later = self.due.split_off(&passed.saturating_add(1));
        std::mem::replace(&mut self.due, later)
            .into_values()
            .flatten()
            .collect()
    }
}
