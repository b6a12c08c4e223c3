//! The two threads of a blocking client: one that runs the client, one that runs its handlers.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// They end when this is dropped; a handler that runs goes on to its end.
#[derive(Debug)]
pub(super) struct Threads {
    runtime: Handle,
    jobs: Jobs,
    /// The runtime is awaited as long as this lives.
    _alive: oneshot::Sender<()>,
}

/// Where handlers are sent to.
#[derive(Clone, Debug)]
pub(super) struct Jobs(mpsc::Sender<Job>);

impl Threads {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel();
        thread::Builder::new()
            .name("ferriwire-client".to_owned())
            // An error says that nobody holds the client any more, as it should.
            .spawn(move || runtime.block_on(ended).unwrap_or_default())?;
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name("ferriwire-handlers".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job()))?;
        Ok(Self {
            runtime: handle,
            jobs: Jobs(jobs),
            _alive: alive,
        })
    }

    /// Runs a future of the client here, while its own thread does the rest.
    pub(super) fn wait_for<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    pub(super) fn jobs(&self) -> Jobs {
        self.jobs.clone()
    }
}

impl Jobs {
    /// Runs a handler behind those that wait. A panic goes on where the client expects one.
    pub(super) fn run<R: Send + 'static>(
        &self,
        handler: impl FnOnce() -> R + Send + 'static,
    ) -> impl Future<Output = R> + Send + 'static {
        let (done, returned) = oneshot::channel();
        let job = move || {
            // Who does not wait any more does not want it.
            drop(done.send(catch_unwind(AssertUnwindSafe(handler))));
        };
        let sent = self.0.send(Box::new(job));
        async move {
            if sent.is_ok()
                && let Ok(returned) = returned.await
            {
                return returned.unwrap_or_else(|panic| resume_unwind(panic));
            }
            // The threads have ended, and with them whoever polls this.
            std::future::pending().await
        }
    }
}
