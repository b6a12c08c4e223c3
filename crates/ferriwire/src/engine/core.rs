//! What all sessions of one server share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::body::Body as Payload;
use ferriwire_proto::engine::queue::{Entry, Queue};
use ferriwire_proto::engine::session::Timing;
use ferriwire_proto::engine::{CloseReason, SessionId, Transport};
use tokio::sync::{Notify, Semaphore};

use super::bundle::Bundle;
use super::counters::{Counters, Stats};
use super::drain::Pace;
use super::gate::{Gate, Pass};
use super::greeting::Greeting;
use super::metrics::{self, Metrics};
use super::request::Request;
use super::running::BoxFuture;
use super::session::{Input, Session};
use super::sessions::Sessions;
use super::shard::{Shard, Sweeper};
use super::task::{SessionHandler, SessionTask};
use super::traffic::Traffic;
use super::transport::arriving::Arriving;
use super::watch::watch;
use crate::config::{Config, SetCookie};
use crate::error::Error;

/// What runs on top of all sessions of a server.
pub(crate) trait Application: Send + Sync {
    fn open(&self, session: &Session, now: Instant) -> Box<dyn SessionHandler>;

    /// What has to be done from time to time although nothing happens.
    fn sweeper(&self) -> Option<Sweeper> {
        None
    }

    /// Adds what it has counted itself.
    fn count_into(&self, _: &mut Stats) {}

    /// The sessions have ended: ends what else it runs.
    fn close(&self) -> BoxFuture<()> {
        Box::pin(std::future::ready(()))
    }
}

/// How many large answers are compressed at a time. Each takes a megabyte at most, and they only wait
/// for each other.
const COMPRESSING: usize = 16;

/// How long what runs on top may take to end when all sessions have.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct Core {
    config: Arc<Config>,
    timing: Arc<Timing>,
    application: Box<dyn Application>,
    gate: Arc<Gate>,
    sessions: Sessions,
    shards: Vec<Arc<Shard>>,
    /// The shard tasks start with the first session, which is certainly within a runtime.
    shards_started: Once,
    next_shard: AtomicUsize,
    bundle: Option<Bundle>,
    /// What each session begins with, by long-polling and by a WebSocket.
    greetings: [Greeting; 2],
    /// What follows, encoded once.
    initial_packet: Option<Arc<Encoded>>,
    cookie: Option<SetCookie>,
    compressing: Semaphore,
    counters: Arc<Counters>,
    traffic: Arc<Traffic>,
    /// A proxy that is not trusted was warned of.
    warned_of_proxy: AtomicBool,
    accepting: AtomicBool,
    /// Connection tasks that have not ended.
    tasks: AtomicUsize,
    task_ended: Notify,
}

impl Core {
    pub(crate) fn new(
        config: Config,
        application: Box<dyn Application>,
        shards: usize,
    ) -> Result<Arc<Self>, Error> {
        let bundle = config.client_bundle.as_deref().map(Bundle::read);
        let bundle = bundle.transpose()?;
        let cookie = set_cookie(&config)?;
        let initial_packet = config.initial_packet.clone();
        let initial_packet = initial_packet.map(|message| Arc::new(message.encode()));
        let now = tokio::time::Instant::now().into_std();
        let counters = Arc::new(Counters::new(now));
        let metrics = config.metrics.then(|| Arc::new(Metrics::register()));
        let gate = Gate::new(config.limits.admission(shards.max(1)));
        let greetings = [Transport::Polling, Transport::WebSocket]
            .map(|transport| Greeting::new(&config, transport));
        let config = Arc::new(config);
        let traffic = Arc::new(Traffic::new(shards));
        let shards: Vec<_> = (0..shards.max(1))
            .map(|index| {
                let (counters, traffic) = (Arc::clone(&counters), Arc::clone(&traffic));
                Arc::new(Shard::new(
                    index,
                    Arc::clone(&config),
                    counters,
                    traffic,
                    metrics.clone(),
                    now,
                ))
            })
            .collect();
        Ok(Arc::new(Self {
            timing: Arc::new(config.timing()),
            config,
            application,
            gate,
            sessions: Sessions::new(),
            shards,
            shards_started: Once::new(),
            next_shard: AtomicUsize::new(0),
            bundle,
            greetings,
            initial_packet,
            cookie,
            compressing: Semaphore::new(COMPRESSING),
            counters,
            traffic,
            warned_of_proxy: AtomicBool::new(false),
            accepting: AtomicBool::new(true),
            tasks: AtomicUsize::new(0),
            task_ended: Notify::new(),
        }))
    }

    pub(crate) fn timing(&self) -> &Arc<Timing> {
        &self.timing
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// What happened so far, here and in what runs on top.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.counters.read();
        for shard in &self.shards {
            stats.dropped_events += shard.dropped();
        }
        self.traffic.add_to(&mut stats);
        let (waiting, written) = self.sessions.bytes();
        stats.queue_bytes = waiting;
        stats.bytes_out = stats.bytes_out.saturating_add(written);
        self.application.count_into(&mut stats);
        stats
    }

    pub(crate) fn bundle(&self) -> Option<&Bundle> {
        self.bundle.as_ref()
    }

    /// Bounds how many large answers are compressed at a time, each with an encoder's memory.
    pub(crate) fn compressing(&self) -> &Semaphore {
        &self.compressing
    }

    /// The cookie of the answer to a polling handshake.
    pub(crate) fn cookie(&self) -> Option<&SetCookie> {
        self.cookie.as_ref()
    }

    /// Says once that headers of proxies are ignored, and how to have them believed.
    pub(crate) fn warn_of_proxy(&self, peer: SocketAddr) {
        if !self.warned_of_proxy.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                "a forwarding header was ignored, because its sender is no trusted proxy: if it is \
                 yours, name it in Config::trusted_proxies, or all clients behind it share the \
                 limits of one address"
            );
        }
    }

    /// Whether new sessions are taken.
    pub(crate) fn is_accepting(&self) -> bool {
        self.accepting.load(Ordering::SeqCst)
    }

    pub(crate) fn open_handler(&self, session: &Session, now: Instant) -> Box<dyn SessionHandler> {
        self.application.open(session, now)
    }

    /// Copies the counters to where monitoring finds them.
    fn publish(&self) {
        if let Some(metrics) = self.shards.first().and_then(|shard| shard.metrics()) {
            metrics.publish(&self.stats());
        }
    }

    fn publisher(self: &Arc<Self>) -> Option<Sweeper> {
        if !self.config.metrics {
            return None;
        }
        let core = Arc::downgrade(self);
        let publish = move || {
            if let Some(core) = core.upgrade() {
                core.publish();
            }
        };
        Some(Sweeper {
            every: metrics::INTERVAL,
            sweep: Box::new(publish),
        })
    }

    /// Opens a session and starts its connection task. On polling the handshake's answer is the
    /// returned payload; on a WebSocket it is queued, to be the first frames, and the payload is empty.
    /// `None` when there is a session of that id.
    pub(crate) fn open_session(
        self: &Arc<Self>,
        id: SessionId,
        request: Arc<Request>,
        upgrade: Option<Arriving>,
        pass: Pass,
    ) -> Option<Payload> {
        self.shards_started.call_once(|| {
            let sweeper = self.application.sweeper();
            let mut sweepers: Vec<_> = sweeper.into_iter().chain(self.publisher()).collect();
            let mut watch = Some(watch(
                Arc::downgrade(self),
                self.config.limits.memory_bounds(),
            ));
            for shard in &self.shards {
                let running = Arc::clone(shard).run(std::mem::take(&mut sweepers));
                match watch.take() {
                    None => drop(tokio::spawn(running)),
                    Some(watching) => drop(tokio::spawn(async {
                        tokio::select! {
                            () = running => {}
                            () = watching => {}
                        }
                    })),
                }
            }
        });
        let dialect = request.dialect;
        let shard = self.next_shard.fetch_add(1, Ordering::Relaxed) % self.shards.len();
        let session = Session::new(
            id.clone(),
            request,
            Arc::clone(&self.shards[shard]),
            self.config.limits.max_buffered,
            self.config.overflow,
        );
        let [by_polling, by_websocket] = &self.greetings;
        let handshake = if upgrade.is_some() {
            // The outbox is new, takes more than the bound while nothing can be written, and is flushed
            // when the WebSocket is there.
            session.push_own(by_websocket.packet(&id), false);
            if let Some(packet) = &self.initial_packet {
                session.push_quietly(packet, false);
            }
            Payload {
                bytes: Vec::new(),
                is_binary: false,
                compress: false,
            }
        } else {
            let mut queue = Queue::in_dialect(dialect);
            queue.push(Entry::Message(Arc::new(by_polling.packet(&id))));
            if let Some(packet) = &self.initial_packet {
                queue.push(Entry::Message(Arc::clone(packet)));
            }
            queue.take(usize::MAX).body()?
        };
        // Counted before the server is looked at, as `shut_down` marks the server before it looks
        // at the count: one of the two sees the other.
        self.tasks.fetch_add(1, Ordering::SeqCst);
        if !self.sessions.insert(&session) {
            self.end_task();
            return None;
        }
        if !self.is_accepting() {
            // The server began to shut down in this instant, and may not have seen this session.
            session.tell(Input::Close(CloseReason::ServerShuttingDown));
        }
        self.counters.session_opened(session.transport());
        let now = tokio::time::Instant::now().into_std();
        tokio::spawn(SessionTask::new(
            Arc::clone(self),
            session,
            upgrade,
            pass,
            now,
        ));
        Some(handshake)
    }

    /// The session is over: requests do not find it any more.
    pub(crate) fn session_closed(&self, session: &Session, reason: CloseReason) {
        self.sessions.remove(session);
        let (_, written) = session.outbox().bytes();
        self.counters.written_to_ended(written);
        self.counters.session_closed(reason);
    }

    /// Its connection task has ended, before the session was [closed](Self::session_closed) or behind that.
    pub(crate) fn session_ended(&self, session: &Session, was_closed: bool) {
        if !was_closed {
            self.sessions.remove(session);
        }
        self.end_task();
    }

    fn end_task(&self) {
        if self.tasks.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.task_ended.notify_waiters();
        }
    }

    /// Takes no new sessions, lets the present ones write what they have, closes them without a
    /// DISCONNECT packet so that their clients come back, and ends those that take longer than
    /// `grace`.
    pub(crate) async fn shut_down(&self, grace: Duration) {
        let begun = Instant::now();
        self.drain(grace).await;
        self.finish(grace.saturating_sub(begun.elapsed())).await;
    }

    /// Waits for the sessions that are being closed, and cuts off those that take longer than `grace`.
    pub(crate) async fn finish(&self, grace: Duration) {
        if tokio::time::timeout(grace, self.all_ended()).await.is_err() {
            for session in self.sessions.all() {
                session.tell(Input::Abort(CloseReason::ServerShuttingDown));
            }
        }
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, self.application.close());
        drop(closed.await);
    }

    /// Takes no new sessions, and closes those that there are, in batches.
    pub(crate) async fn drain(&self, grace: Duration) {
        self.accepting.store(false, Ordering::SeqCst);
        let sessions = self.sessions.all();
        let pace = Pace::new(sessions.len(), self.config.drain_pause, grace);
        let mut batches = sessions.chunks(pace.batch).peekable();
        while let Some(batch) = batches.next() {
            for session in batch {
                session.tell(Input::Close(CloseReason::ServerShuttingDown));
            }
            if batches.peek().is_some() {
                let mut random = [0];
                // Without randomness the pauses are merely all alike.
                let _ = getrandom::fill(&mut random);
                tokio::time::sleep(pace.pause(random[0])).await;
            }
        }
    }

    async fn all_ended(&self) {
        loop {
            let ended = self.task_ended.notified();
            if self.tasks.load(Ordering::SeqCst) == 0 {
                return;
            }
            ended.await;
        }
    }
}

/// The configured cookie with a value that names this server: random, unless the program says one.
fn set_cookie(config: &Config) -> Result<Option<SetCookie>, Error> {
    let Some(cookie) = &config.cookie else {
        return Ok(None);
    };
    let mut random = [0; 15];
    getrandom::fill(&mut random).map_err(std::io::Error::from)?;
    let routing_id = URL_SAFE_NO_PAD.encode(random);
    match cookie.header(&config.path, &routing_id) {
        Some(header) => Ok(Some(header)),
        None => Err(Error::InvalidCookie(cookie.name().to_owned())),
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.publish();
        for shard in &self.shards {
            shard.stop();
        }
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Core")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
