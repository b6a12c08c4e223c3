//! Acknowledgements of one socket, and of all receivers of a broadcast.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ferriwire_proto::codec::args::{Arguments, OwnedArguments};
use ferriwire_proto::packet::AckId;
use futures_util::Stream;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep};

use super::hub::Hub;
use super::membership::Membership;
use crate::error::AckError;
use crate::socket_id::SocketId;

/// The answer to an event, on its way. The event is sent whether this is awaited or not; dropping
/// it forgets the answer.
#[must_use = "the event is sent, but its answer is only seen by awaiting this"]
pub struct Acknowledgement<A> {
    state: State,
    answer: PhantomData<fn() -> A>,
}

enum State {
    Failed(Option<AckError>),
    Waiting {
        answer: oneshot::Receiver<OwnedArguments>,
        membership: Arc<Membership>,
        id: AckId,
        timer: Timer,
    },
}

/// A timeout that counts from its creation, and needs a runtime only when it is polled.
struct Timer {
    timeout: Duration,
    /// Absent when it lies beyond what the clock can tell.
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            deadline: Instant::now().checked_add(timeout),
            sleep: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        sleep.as_mut().poll(cx)
    }
}

impl<A> Acknowledgement<A> {
    pub(crate) fn failed(error: AckError) -> Self {
        Self {
            state: State::Failed(Some(error)),
            answer: PhantomData,
        }
    }

    pub(crate) fn waiting(
        answer: oneshot::Receiver<OwnedArguments>,
        membership: Arc<Membership>,
        id: AckId,
        timeout: Duration,
    ) -> Self {
        Self {
            state: State::Waiting {
                answer,
                membership,
                id,
                timer: Timer::new(timeout),
            },
            answer: PhantomData,
        }
    }
}

impl<A: DeserializeOwned> Future for Acknowledgement<A> {
    type Output = Result<A, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Failed(error) => {
                Poll::Ready(Err(error.take().unwrap_or(AckError::Disconnected)))
            }
            State::Waiting { answer, timer, .. } => match Pin::new(answer).poll(cx) {
                Poll::Ready(Ok(arguments)) => Poll::Ready(decode(&arguments)),
                Poll::Ready(Err(_)) => Poll::Ready(Err(AckError::Disconnected)),
                Poll::Pending => match timer.poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Err(AckError::Timeout(timer.timeout))),
                    Poll::Pending => Poll::Pending,
                },
            },
        }
    }
}

impl<A> Drop for Acknowledgement<A> {
    fn drop(&mut self) {
        if let State::Waiting { membership, id, .. } = &self.state {
            membership.forget_ack(*id);
        }
    }
}

impl<A> fmt::Debug for Acknowledgement<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Acknowledgement")
            .finish_non_exhaustive()
    }
}

fn decode<A: DeserializeOwned>(arguments: &OwnedArguments) -> Result<A, AckError> {
    let decoded = arguments.as_arguments().decode();
    decoded.map_err(|error| AckError::Mismatch(error.to_string()))
}

/// Broadcasts whose receivers have not all answered.
#[derive(Debug, Default)]
pub(crate) struct BroadcastAcks {
    pending: Mutex<HashMap<AckId, Expected>>,
}

#[derive(Debug)]
struct Expected {
    from: BTreeSet<SocketId>,
    answers: mpsc::UnboundedSender<RawAnswer>,
}

type RawAnswer = (SocketId, Result<OwnedArguments, AckError>);

impl BroadcastAcks {
    /// Enters a broadcast before it is sent.
    fn open(&self, id: AckId) -> mpsc::UnboundedReceiver<RawAnswer> {
        // As many answers as receivers, each once.
        let (answers, receiver) = mpsc::unbounded_channel();
        let expected = Expected {
            from: BTreeSet::new(),
            answers,
        };
        self.pending.lock().insert(id, expected);
        receiver
    }

    fn expect(&self, id: AckId, from: SocketId) {
        if let Some(expected) = self.pending.lock().get_mut(&id) {
            expected.from.insert(from);
        }
    }

    /// Hands on an answer, if it is missing.
    pub(crate) fn answer(&self, id: AckId, from: &SocketId, arguments: Arguments<'_>) -> bool {
        let Some(answers) = self.take_expected(id, from) else {
            return false;
        };
        let answer = Ok(arguments.to_owned());
        answers.send((from.clone(), answer)).is_ok()
    }

    fn take_expected(
        &self,
        id: AckId,
        from: &SocketId,
    ) -> Option<mpsc::UnboundedSender<RawAnswer>> {
        let mut pending = self.pending.lock();
        let expected = pending.get_mut(&id)?;
        let missing = expected.from.remove(from);
        missing.then(|| expected.answers.clone())
    }

    /// The socket has left: it will not answer.
    pub(crate) fn forget(&self, socket: &SocketId) {
        for expected in self.pending.lock().values_mut() {
            if expected.from.remove(socket) {
                // Whoever does not read the answers any more is about to close them.
                let answer = Err(AckError::Disconnected);
                let _ = expected.answers.send((socket.clone(), answer));
            }
        }
    }

    fn close(&self, id: AckId) {
        self.pending.lock().remove(&id);
    }
}

/// One answer to a broadcast.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer<A> {
    /// Whose it is.
    pub socket: SocketId,
    /// What it says, or why there is none.
    pub result: Result<A, AckError>,
}

/// The answers to a broadcast, as they come in: one per receiver. Those that do not come within
/// the timeout come as [`AckError::Timeout`] then. Dropping this forgets all that have not come; until
/// then the namespace remembers who is missing.
#[must_use = "the event is sent, but its answers are only seen by reading this"]
pub struct Answers<A> {
    hub: Arc<Hub>,
    id: AckId,
    incoming: mpsc::UnboundedReceiver<RawAnswer>,
    /// How many receivers have not been accounted for.
    missing: usize,
    timer: Timer,
    answer: PhantomData<fn() -> A>,
}

impl<A: DeserializeOwned> Answers<A> {
    /// Enters a broadcast, has `send` send it, and counts its receivers.
    pub(crate) fn collect_from(
        hub: &Arc<Hub>,
        id: AckId,
        timeout: Duration,
        send: impl FnOnce(&mut dyn FnMut(&Membership)),
    ) -> Self {
        let incoming = hub.broadcast_acks().open(id);
        let mut missing = 0;
        send(&mut |membership| {
            missing += 1;
            hub.broadcast_acks().expect(id, membership.id().clone());
        });
        Self {
            hub: Arc::clone(hub),
            id,
            incoming,
            missing,
            timer: Timer::new(timeout),
            answer: PhantomData,
        }
    }

    /// The next answer; `None` when every receiver is accounted for.
    pub async fn next(&mut self) -> Option<Answer<A>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// All answers, in the order in which they came.
    pub async fn all(mut self) -> Vec<Answer<A>> {
        let mut answers = Vec::with_capacity(self.missing);
        while let Some(answer) = self.next().await {
            answers.push(answer);
        }
        answers
    }

    /// Who has not answered when the time is up.
    fn overdue(&self) -> Option<SocketId> {
        let mut pending = self.hub.broadcast_acks().pending.lock();
        pending.get_mut(&self.id)?.from.pop_first()
    }
}

impl<A: DeserializeOwned> Stream for Answers<A> {
    type Item = Answer<A>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Answer<A>>> {
        if self.missing == 0 {
            return Poll::Ready(None);
        }
        let mut incoming = self.incoming.poll_recv(cx);
        if incoming.is_pending() {
            if self.timer.poll(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(socket) = self.overdue() {
                self.missing -= 1;
                let result = Err(AckError::Timeout(self.timer.timeout));
                return Poll::Ready(Some(Answer { socket, result }));
            }
            // Nobody owes an answer, so those that are missing have arrived in this instant, or are
            // about to.
            incoming = self.incoming.poll_recv(cx);
        }
        let Some((socket, answer)) = ready!(incoming) else {
            self.missing = 0;
            return Poll::Ready(None);
        };
        self.missing -= 1;
        let result = answer.and_then(|arguments| decode(&arguments));
        Poll::Ready(Some(Answer { socket, result }))
    }
}

impl<A> Drop for Answers<A> {
    fn drop(&mut self) {
        self.hub.broadcast_acks().close(self.id);
    }
}

impl<A> fmt::Debug for Answers<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Answers").finish_non_exhaustive()
    }
}
