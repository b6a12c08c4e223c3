//! Acknowledgements of one socket, and of all receivers of a broadcast.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ferriwire_proto::codec::args::OwnedArguments;
use ferriwire_proto::codec::from_args;
use ferriwire_proto::packet::AckId;
use futures_util::Stream;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep};

use super::membership::Membership;
use crate::cluster::RequestId;
use crate::cluster::node::{Asked, Node};
use crate::cluster::requests::{Due, Reply, size_of_reply};
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

impl<A: DeserializeOwned + 'static> Future for Acknowledgement<A> {
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

fn decode<A: DeserializeOwned + 'static>(arguments: &OwnedArguments) -> Result<A, AckError> {
    let decoded = arguments.as_arguments().decode();
    decoded.map_err(|error| AckError::Mismatch(error.to_string()))
}

/// Where the answers to a broadcast go: called once for each receiver that was asked, outside all
/// locks.
pub(crate) type Collector = Arc<dyn Fn(&SocketId, Result<OwnedArguments, AckError>) + Send + Sync>;

enum RawAnswer {
    /// Of a client of this server.
    Here(SocketId, Result<OwnedArguments, AckError>),
    /// Of another server.
    There(Reply),
}

/// One answer to a broadcast.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer<A> {
    /// Whose it is; absent for a client of another server.
    pub socket: Option<SocketId>,
    /// What it says, or why there is none.
    pub result: Result<A, AckError>,
}

/// All that came of a broadcast with acknowledgements.
#[derive(Debug)]
#[non_exhaustive]
pub struct Responses<A> {
    /// What the receivers said, in the order in which they said it.
    pub values: Vec<A>,
    /// Who gave no usable answer, and why.
    pub missing: Vec<Missing>,
}

/// A receiver of a broadcast that gave no usable answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Missing {
    /// Who; absent for a client of another server, and for a server that is silent.
    pub socket: Option<SocketId>,
    /// Why.
    pub error: AckError,
}

impl<A> Responses<A> {
    /// Whether everybody answered; so it is when there was nobody.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

/// The answers to a broadcast, as they come in: one per receiver, on this server and on others. Those
/// that do not come within the timeout come as [`AckError::Timeout`] then, with one for each server that
/// has not said how many clients it asked. Dropping this forgets all that have not come.
#[must_use = "the event is sent, but its answers are only seen by reading this"]
pub struct Answers<A> {
    /// The numbers of the event, one for each namespace that it was sent to, and who was asked there
    /// and is not known to have answered.
    owing: Vec<(AckId, BTreeMap<SocketId, Arc<Membership>>)>,
    /// As many answers as receivers, each once.
    incoming: mpsc::UnboundedReceiver<RawAnswer>,
    sender: mpsc::UnboundedSender<RawAnswer>,
    /// How many receivers of this server have not been accounted for.
    missing: usize,
    /// What other servers were asked, if there are any.
    others: Vec<Asked>,
    /// How many bytes of their answers have not been read.
    unread: Arc<AtomicUsize>,
    /// How many answers of others will not come, and why.
    given_up: (u64, fn(Duration) -> AckError),
    timer: Timer,
    answer: PhantomData<fn() -> A>,
}

impl<A: DeserializeOwned + 'static> Answers<A> {
    /// Of nobody so far.
    pub(crate) fn new(timeout: Duration) -> Self {
        let (sender, incoming) = mpsc::unbounded_channel();
        Self {
            owing: Vec::new(),
            incoming,
            sender,
            missing: 0,
            others: Vec::new(),
            unread: Arc::default(),
            given_up: (0, AckError::Timeout),
            timer: Timer::new(timeout),
            answer: PhantomData,
        }
    }

    /// Enters what other servers are about to be asked.
    pub(crate) fn collect_from_others(&mut self, node: &Arc<Node>) -> RequestId {
        let answered = self.sender.clone();
        let sink = Box::new(move |reply| drop(answered.send(RawAnswer::There(reply))));
        let asked = node.ask(Due::Announced, &self.unread, sink);
        let request = asked.id().clone();
        self.others.push(asked);
        request
    }

    /// Has `send` send a broadcast in one namespace to those for whom it is told `true`: those who may
    /// be asked.
    pub(crate) fn collect_from(
        &mut self,
        id: AckId,
        send: impl FnOnce(&mut dyn FnMut(&Arc<Membership>) -> bool),
    ) {
        let answered = self.sender.clone();
        let collector: Collector = Arc::new(move |socket, answer| {
            // Whoever does not read the answers any more has no use for this one.
            let _ = answered.send(RawAnswer::Here(socket.clone(), answer));
        });
        let mut owing = BTreeMap::new();
        send(&mut |membership| {
            self.missing += 1;
            match membership.expect_answer(id, &collector) {
                Ok(()) => {
                    owing.insert(membership.id().clone(), Arc::clone(membership));
                    true
                }
                Err(error) => {
                    let refused = RawAnswer::Here(membership.id().clone(), Err(error));
                    let _ = self.sender.send(refused);
                    false
                }
            }
        });
        self.owing.push((id, owing));
    }

    /// Those who were asked in the last namespace, as long as no answer has been read.
    pub(crate) fn receivers(&self) -> Vec<Arc<Membership>> {
        let last = self.owing.last();
        last.map(|(_, owing)| owing.values().cloned().collect())
            .unwrap_or_default()
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

    /// The same, what was said apart from who is missing: await it for the reference's
    /// `(error, responses)`. Nobody is waited for when there are no receivers.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{EmitError, Event, NamespaceHandle};
    ///
    /// const VOTE: Event<String, bool> = Event::new("vote");
    ///
    /// async fn everybody_agrees(lobby: &NamespaceHandle) -> Result<bool, EmitError> {
    ///     let votes = lobby.to("lobby").emit_with_ack(VOTE, "tea?")?.collect().await;
    ///     Ok(votes.is_complete() && votes.values.iter().all(|vote| *vote))
    /// }
    /// ```
    pub async fn collect(mut self) -> Responses<A> {
        let mut responses = Responses {
            values: Vec::with_capacity(self.missing),
            missing: Vec::new(),
        };
        while let Some(Answer { socket, result }) = self.next().await {
            match result {
                Ok(value) => responses.values.push(value),
                Err(error) => responses.missing.push(Missing { socket, error }),
            }
        }
        responses
    }

    /// Somebody who has not answered when the time is up, and need not do so any more.
    fn overdue(&mut self) -> Option<SocketId> {
        while let Some((id, owing)) = self.owing.last_mut() {
            while let Some((socket, membership)) = owing.pop_first() {
                if membership.forget_ack(*id) {
                    return Some(socket);
                }
            }
            self.owing.pop();
        }
        None
    }
}

impl<A: DeserializeOwned + 'static> Stream for Answers<A> {
    type Item = Answer<A>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Answer<A>>> {
        loop {
            let (owed, error) = self.given_up;
            if let Some(left) = owed.checked_sub(1) {
                self.given_up.0 = left;
                let result = Err(error(self.timer.timeout));
                return Poll::Ready(Some(Answer {
                    socket: None,
                    result,
                }));
            }
            // Looked at before the answers: what closes a question stands behind its answers.
            let closed = self.missing == 0 && !self.others.iter().any(Asked::is_open);
            match self.incoming.poll_recv(cx) {
                Poll::Ready(Some(answer)) => {
                    if let Some(answer) = self.read(answer) {
                        return Poll::Ready(Some(answer));
                    }
                }
                // We hold a sender ourselves.
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending if closed => return Poll::Ready(None),
                Poll::Pending => {
                    ready!(self.timer.poll(cx));
                    if let Some(socket) = self.overdue() {
                        self.missing -= 1;
                        let result = Err(AckError::Timeout(self.timer.timeout));
                        let socket = Some(socket);
                        return Poll::Ready(Some(Answer { socket, result }));
                    }
                    let silent = self.others.drain(..).flat_map(|asked| asked.give_up());
                    let owed: u64 = silent.map(|(_, owed)| owed).sum();
                    if owed > 0 {
                        self.given_up = (owed, AckError::Timeout);
                    } else if self.missing > 0 {
                        // Nobody owes an answer, so those that are missing have arrived in this
                        // instant, or are about to.
                        let answer = ready!(self.incoming.poll_recv(cx));
                        let answer = answer.and_then(|answer| self.read(answer));
                        if answer.is_some() {
                            return Poll::Ready(answer);
                        }
                    }
                }
            }
        }
    }
}

impl<A: DeserializeOwned + 'static> Answers<A> {
    /// `None` when this is no answer.
    fn read(&mut self, answer: RawAnswer) -> Option<Answer<A>> {
        match answer {
            RawAnswer::Here(socket, answer) => {
                self.missing -= 1;
                let mut owing = self.owing.iter_mut();
                owing.find_map(|(_, owing)| owing.remove(&socket));
                let result = answer.and_then(|arguments| decode(&arguments));
                let socket = Some(socket);
                Some(Answer { socket, result })
            }
            RawAnswer::There(reply) => {
                let size = size_of_reply(&reply);
                self.unread.fetch_sub(size, Ordering::Relaxed);
                let result = match reply {
                    Reply::Answer(_, Some(args)) => {
                        from_args(&args).map_err(|error| AckError::Mismatch(error.to_string()))
                    }
                    Reply::Answer(_, None) => Err(AckError::Disconnected),
                    Reply::Lost(owed) => {
                        self.given_up = (owed, |_| AckError::Disconnected);
                        return None;
                    }
                    Reply::Sockets(_) | Reply::Changed => return None,
                };
                Some(Answer {
                    socket: None,
                    result,
                })
            }
        }
    }
}

impl<A> Drop for Answers<A> {
    fn drop(&mut self) {
        for (id, owing) in &self.owing {
            for membership in owing.values() {
                membership.forget_ack(*id);
            }
        }
    }
}

impl<A> fmt::Debug for Answers<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Answers").finish_non_exhaustive()
    }
}
