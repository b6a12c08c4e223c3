//! What happens on one HTTP connection: whether it still has a purpose.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::Version;
use hyper::rt::Executor;
use tokio::time::Instant;

use crate::engine::counters::Counters;
use crate::engine::writing::{OF_STREAM, Writing};

/// Counts what one HTTP connection is doing.
pub(super) struct Activity {
    begun: Instant,
    requested: AtomicBool,
    /// It speaks HTTP/2.
    multiplexed: AtomicBool,
    /// Streams of an HTTP/2 connection that are not done: requests, answers, WebSockets.
    streams: AtomicUsize,
    /// When the last stream was done, in milliseconds after `begun`.
    idle_since: AtomicU64,
}

/// What a connection is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Nothing was asked for yet.
    Unknown,
    /// Nothing, for long enough.
    None,
    Some {
        look_again: Instant,
    },
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            requested: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
            streams: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
        })
    }

    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    pub(super) fn request_arrived(&self, version: Version) {
        self.requested.store(true, Ordering::Relaxed);
        if version >= Version::HTTP_2 {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
    }

    /// What the connection is good for, if one that rests longer than `keep_alive` is for nothing.
    pub(super) fn purpose(&self, keep_alive: Duration) -> Purpose {
        if !self.requested.load(Ordering::Relaxed) {
            return Purpose::Unknown;
        }
        let now = Instant::now();
        let rests =
            self.multiplexed.load(Ordering::Relaxed) && self.streams.load(Ordering::Acquire) == 0;
        let since = if rests {
            self.begun + Duration::from_millis(self.idle_since.load(Ordering::Acquire))
        } else {
            // On HTTP/1.1, hyper watches what comes after the first request.
            now
        };
        let look_again = since + keep_alive;
        if look_again > now {
            Purpose::Some { look_again }
        } else {
            Purpose::None
        }
    }

    fn stream_done(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.idle_since.fetch_max(now, Ordering::AcqRel);
        self.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs the streams of one HTTP/2 connection as tasks, and counts them.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) activity: Arc<Activity>,
    pub(super) counters: Arc<Counters>,
    /// How long a client may take nothing of an answer.
    pub(super) stall_timeout: Duration,
    /// Of the connection.
    pub(super) writing: Arc<Writing>,
}

/// One that is counted.
struct Stream(Arc<Activity>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.stream_done();
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.activity.streams.fetch_add(1, Ordering::AcqRel);
        let stream = Stream(Arc::clone(&self.activity));
        let (counters, limit) = (Arc::clone(&self.counters), self.stall_timeout);
        let connection = Arc::clone(&self.writing);
        tokio::spawn(async move {
            let writing = Writing::new();
            tokio::select! {
                biased;
                () = OF_STREAM.scope(Arc::clone(&writing), future) => {}
                () = writing.stalled(limit) => writing.give_up(&counters),
            }
            writing.pass_on(&connection);
            drop(stream);
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    const KEEP_ALIVE: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn a_connection_rests_since_its_last_stream_was_done() {
        let activity = Activity::new();
        assert_eq!(activity.purpose(KEEP_ALIVE), Purpose::Unknown);
        activity.request_arrived(Version::HTTP_2);
        let streams = Streams {
            activity: Arc::clone(&activity),
            counters: Arc::new(Counters::new(Instant::now().into_std())),
            stall_timeout: KEEP_ALIVE,
            writing: Writing::new(),
        };
        let ends: Vec<_> = (0..2)
            .map(|_| {
                let (end, ended) = oneshot::channel::<()>();
                streams.execute(async move { drop(ended.await) });
                end
            })
            .collect();
        for end in ends {
            tokio::time::sleep(2 * KEEP_ALIVE).await;
            let look_again = Instant::now() + KEEP_ALIVE;
            assert_eq!(activity.purpose(KEEP_ALIVE), Purpose::Some { look_again });
            drop(end);
            tokio::task::yield_now().await;
        }
        let look_again = Instant::now() + KEEP_ALIVE;
        tokio::time::sleep(KEEP_ALIVE - Duration::from_millis(1)).await;
        assert_eq!(activity.purpose(KEEP_ALIVE), Purpose::Some { look_again });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(activity.purpose(KEEP_ALIVE), Purpose::None);
    }

    #[tokio::test(start_paused = true)]
    async fn resting_http1_is_left_to_hyper() {
        let activity = Activity::new();
        activity.request_arrived(Version::HTTP_11);
        tokio::time::sleep(2 * KEEP_ALIVE).await;
        let look_again = Instant::now() + KEEP_ALIVE;
        assert_eq!(activity.purpose(KEEP_ALIVE), Purpose::Some { look_again });
    }
}
