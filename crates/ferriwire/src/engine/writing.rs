//! Whether a client takes the answers that are written to it, on a connection of HTTP/1.1 or a stream of
//! HTTP/2.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};

use super::counters::Counters;
use super::reasons::LimitKind;
use super::session::{Input, Session};

tokio::task_local! {
    /// Of the stream whose task this is.
    pub(crate) static OF_STREAM: Arc<Writing>;
}

/// What waits to be taken, and since when.
#[derive(Debug)]
pub(crate) struct Writing {
    begun: Instant,
    /// When something was taken last, in milliseconds after `begun` and one more; zero while nothing
    /// waits.
    waits_since: AtomicU64,
    /// There are sessions in `answers`.
    carries: AtomicBool,
    answers: Mutex<Answers>,
}

/// Answers with packets that were handed over to be written.
#[derive(Debug, Default)]
struct Answers {
    /// Whose they are.
    sessions: Vec<Session>,
    given_up: bool,
}

/// An answer with packets of this session, until it is handed over to be written or given up.
#[derive(Debug)]
pub(crate) struct Carried {
    session: Session,
    writing: Arc<Writing>,
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.writing.carry(self.session.clone());
    }
}

impl Writing {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            waits_since: AtomicU64::new(0),
            carries: AtomicBool::new(false),
            answers: Mutex::default(),
        })
    }

    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// An answer will be handed over that has packets of this session.
    pub(crate) fn will_carry(self: &Arc<Self>, session: Session) -> Carried {
        let writing = Arc::clone(self);
        Carried { session, writing }
    }

    /// An answer was handed over that has packets of this session; or it was not, but what would have
    /// written it is given up.
    pub(crate) fn carry(&self, session: Session) {
        let mut answers = self.answers.lock();
        if !answers.given_up {
            self.carries.store(true, Ordering::Release);
            answers.sessions.push(session);
            return;
        }
        drop(answers);
        session.tell(Input::AnswerStalled);
    }

    /// The task of a stream has ended: what it handed over is written by its connection.
    pub(crate) fn pass_on(&self, connection: &Self) {
        let sessions = std::mem::take(&mut self.answers.lock().sessions);
        for session in sessions {
            connection.carry(session);
        }
    }

    /// All that was handed over was taken.
    pub(crate) fn note_flushed(&self) {
        if !self.carries.load(Ordering::Acquire) {
            return;
        }
        let mut answers = self.answers.lock();
        self.carries.store(false, Ordering::Release);
        // There is one, unless a client has several sessions and asks for all at once.
        let last = answers.sessions.pop();
        let others = match answers.sessions.is_empty() {
            true => Vec::new(),
            false => std::mem::take(&mut answers.sessions),
        };
        drop(answers);
        drop((last, others));
    }

    /// Something was taken, and more waits.
    pub(crate) fn note_progress(&self) {
        let millis = self.begun.elapsed().as_millis();
        let now = u64::try_from(millis).unwrap_or(u64::MAX).saturating_add(1);
        self.waits_since.store(now, Ordering::Relaxed);
    }

    /// Nothing is taken, perhaps since a while.
    pub(crate) fn note_wait(&self) {
        if self.waits_since.load(Ordering::Relaxed) == 0 {
            self.note_progress();
        }
    }

    /// Nothing waits.
    pub(crate) fn note_end(&self) {
        // Nearly always it is so already.
        if self.waits_since.load(Ordering::Relaxed) != 0 {
            self.waits_since.store(0, Ordering::Relaxed);
        }
    }

    /// Whether something waits to be taken.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waits_since.load(Ordering::Relaxed) != 0
    }

    /// Waits until nothing was taken for so long although something waits. To be polled behind what
    /// writes, in the same task: nothing else wakes it.
    pub(crate) fn stalled(&self, limit: Duration) -> Stalled<'_> {
        Stalled {
            writing: self,
            limit,
            timer: None,
        }
    }

    /// What waits is given up, and with it the sessions whose packets are in it.
    pub(crate) fn give_up(&self, counters: &Counters) {
        let limit = LimitKind::AnswerStall;
        let mut answers = self.answers.lock();
        answers.given_up = true;
        let sessions = std::mem::take(&mut answers.sessions);
        drop(answers);
        let id = sessions.first().map(Session::id);
        if counters.limited(limit, Instant::now().into_std()) {
            tracing::warn!(%limit, session = ?id, "connection closed: its answer is not taken");
        } else {
            tracing::debug!(%limit, session = ?id, "connection closed: its answer is not taken");
        }
        for session in sessions {
            session.tell(Input::AnswerStalled);
        }
    }

    fn waits_since(&self) -> Option<Instant> {
        let millis = self.waits_since.load(Ordering::Relaxed).checked_sub(1)?;
        self.begun.checked_add(Duration::from_millis(millis))
    }
}

/// See [`Writing::stalled`].
pub(crate) struct Stalled<'a> {
    writing: &'a Writing,
    limit: Duration,
    /// Only while something waits. What is taken does not move it: it looks again when it fires.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Future for Stalled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let since = self.writing.waits_since();
            let Some(due) = since.and_then(|since| since.checked_add(self.limit)) else {
                self.timer = None;
                return Poll::Pending;
            };
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    type Note = fn(&Writing);

    /// After how many seconds it is stalled, if `notes` happen, each after so many seconds.
    async fn stalled_after(notes: &[(u64, Note)]) -> Option<u64> {
        let begun = Instant::now();
        let writing = Writing::new();
        let mut stalled = std::pin::pin!(writing.stalled(LIMIT));
        for (seconds, note) in notes {
            let next = tokio::time::sleep_until(begun + Duration::from_secs(*seconds));
            tokio::select! {
                biased;
                () = next => note(&writing),
                () = &mut stalled => return Some(begun.elapsed().as_secs()),
            }
        }
        let stalled = tokio::time::timeout(100 * LIMIT, stalled).await;
        stalled.ok().map(|()| begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_stalled_when_nothing_was_taken_for_the_limit() {
        let (wait, progress, end) = (
            Writing::note_wait as Note,
            Writing::note_progress as Note,
            Writing::note_end as Note,
        );
        for (notes, expected) in [
            (&[][..], None),
            (&[(5, wait)], Some(35)),
            // Trying again is no progress.
            (&[(5, wait), (20, wait), (34, wait)], Some(35)),
            (&[(5, wait), (34, progress)], Some(64)),
            (&[(5, wait), (34, progress), (63, progress)], Some(93)),
            (&[(5, wait), (34, end)], None),
            (&[(5, wait), (34, end), (70, wait)], Some(100)),
            (&[(5, wait), (36, end)], Some(35)),
        ] {
            let seconds: Vec<_> = notes.iter().map(|(seconds, _)| seconds).collect();
            assert_eq!(stalled_after(notes).await, expected, "{seconds:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_the_clock_is_none() {
        let writing = Writing::new();
        writing.note_wait();
        let stalled = tokio::time::timeout(1_000 * LIMIT, writing.stalled(Duration::MAX));
        assert!(stalled.await.is_err());
    }
}
