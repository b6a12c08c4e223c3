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
    /// Requests of HTTP/1.1 that are not answered, and streams of HTTP/2 that are not done: requests,
    /// answers, WebSockets.
    pending: AtomicUsize,
    /// When the last of them was done, in milliseconds after `begun`.
    idle_since: AtomicU64,
}

/// A request that is not answered, or a stream that is not done.
pub(super) struct Pending(Arc<Activity>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.end_one();
    }
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
        Self::since(Instant::now())
    }

    /// The same of a connection that began at that time.
    pub(super) fn since(begun: Instant) -> Arc<Self> {
        Arc::new(Self {
            begun,
            requested: AtomicBool::new(false),
            pending: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
        })
    }

    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// Over HTTP/2 what is begun is the stream, see [`Streams`].
    pub(super) fn begin_request(self: &Arc<Self>, version: Version) -> Option<Pending> {
        self.requested.store(true, Ordering::Relaxed);
        (version < Version::HTTP_2).then(|| self.begin())
    }

    fn begin(self: &Arc<Self>) -> Pending {
        self.pending.fetch_add(1, Ordering::AcqRel);
        Pending(Arc::clone(self))
    }

    /// Whether anything was asked for.
    pub(super) fn has_begun(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    /// Whether there is nothing to answer, and none of its answers still waits to be taken.
    pub(super) fn rests(&self, is_writing: bool) -> bool {
        !is_writing && self.pending.load(Ordering::Acquire) == 0
    }

    /// What the connection is good for, if one that rests longer than `keep_alive` is for nothing.
    pub(super) fn purpose(&self, keep_alive: Duration, is_writing: bool) -> Purpose {
        if !self.has_begun() {
            return Purpose::Unknown;
        }
        let now = Instant::now();
        let since = if self.rests(is_writing) {
            self.begun + Duration::from_millis(self.idle_since.load(Ordering::Acquire))
        } else {
            now
        };
        let look_again = since + keep_alive;
        if look_again > now {
            Purpose::Some { look_again }
        } else {
            Purpose::None
        }
    }

    fn end_one(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.idle_since.fetch_max(now, Ordering::AcqRel);
        self.pending.fetch_sub(1, Ordering::AcqRel);
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

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let stream = self.activity.begin();
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
        assert_eq!(activity.purpose(KEEP_ALIVE, false), Purpose::Unknown);
        drop(activity.begin_request(Version::HTTP_2));
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
            assert_eq!(
                activity.purpose(KEEP_ALIVE, false),
                Purpose::Some { look_again }
            );
            drop(end);
            tokio::task::yield_now().await;
        }
        let look_again = Instant::now() + KEEP_ALIVE;
        tokio::time::sleep(KEEP_ALIVE - Duration::from_millis(1)).await;
        assert_eq!(
            activity.purpose(KEEP_ALIVE, false),
            Purpose::Some { look_again }
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(activity.purpose(KEEP_ALIVE, false), Purpose::None);
    }

    #[tokio::test(start_paused = true)]
    async fn http1_rests_since_its_last_answer_was_taken() {
        let activity = Activity::new();
        let busy = |is_writing| {
            let look_again = Instant::now() + KEEP_ALIVE;
            activity.purpose(KEEP_ALIVE, is_writing) == Purpose::Some { look_again }
        };
        let request = activity.begin_request(Version::HTTP_11);
        tokio::time::sleep(2 * KEEP_ALIVE).await;
        assert!(busy(false));
        drop(request);
        assert!(busy(false));
        tokio::time::sleep(KEEP_ALIVE).await;
        assert!(busy(true));
        assert_eq!(activity.purpose(KEEP_ALIVE, false), Purpose::None);
    }
}
