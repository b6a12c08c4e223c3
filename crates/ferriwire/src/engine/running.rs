//! Handlers that run inside a connection task: polled by it, no task of their own.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, Stream};

/// A handler's future, on the heap.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a future says when it is asked once: for those that mostly know it at once, in front of what only
/// waiting needs.
pub(crate) async fn at_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// The handlers of one connection that wait for something. Nothing is allocated while there are
/// none. `K` says which handler it is, `F` what it runs.
pub(crate) struct Running<K, F = BoxFuture<()>> {
    waiting: Option<Box<FuturesUnordered<Job<K, F>>>>,
}

/// A handler that has ended: `Err` is what it said when it panicked.
pub(crate) type Ended<K, T = ()> = (K, Result<T, String>);

struct Job<K, F> {
    /// Taken when the job ends.
    which: Option<K>,
    future: F,
}

impl<K: Unpin, F: Future + Unpin> Running<K, F> {
    pub(crate) const fn new() -> Self {
        Self { waiting: None }
    }

    /// Starts a handler at once, and keeps it when it has to wait.
    pub(crate) fn start(
        &mut self,
        which: K,
        future: F,
        cx: &mut Context<'_>,
    ) -> Option<Ended<K, F::Output>> {
        let mut future = future;
        match poll_guarded(&mut future, cx) {
            Poll::Ready(result) => Some((which, result)),
            Poll::Pending => {
                self.keep(which, future);
                None
            }
        }
    }

    /// Goes on with a handler that was polled, and waits.
    pub(crate) fn keep(&mut self, which: K, future: F) {
        let which = Some(which);
        let waiting = self.waiting.get_or_insert_default();
        waiting.push(Job { which, future });
    }

    /// The next handler that has ended. `None` when all that are left wait; they wake the task.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Option<Ended<K, F::Output>> {
        let waiting = self.waiting.as_mut()?;
        match Pin::new(&mut **waiting).poll_next(cx) {
            Poll::Ready(Some(ended)) => ended,
            Poll::Ready(None) => {
                self.waiting = None;
                None
            }
            Poll::Pending => None,
        }
    }

    /// Whether there is anything to poll.
    pub(crate) fn may_go_on(&self) -> bool {
        self.waiting.is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends all handlers where they wait.
    pub(crate) fn clear(&mut self) {
        self.waiting = None;
    }
}

impl<K: Unpin, F: Future + Unpin> Future for Job<K, F> {
    /// Always `Some`: a job is not polled again once it has ended.
    type Output = Option<Ended<K, F::Output>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = poll_guarded(&mut self.future, cx);
        result.map(|result| self.which.take().map(|which| (which, result)))
    }
}

/// Polls a handler. One that panicked is to be dropped and never polled again.
pub(crate) fn poll_guarded<F: Future + Unpin>(
    future: &mut F,
    cx: &mut Context<'_>,
) -> Poll<Result<F::Output, String>> {
    match catch_unwind(AssertUnwindSafe(|| future.poll_unpin(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(panic) => Poll::Ready(Err(panic_message(&*panic))),
    }
}

/// What a panic said, if it said it in text.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}
