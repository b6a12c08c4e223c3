//! What one server knows of the others, and its way to them.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::Backend;
use super::id::{NodeId, RequestId};
use super::message::{Body, Message};
use super::requests::{Due, Reply, Requests, Sink, size_of_reply};
use crate::config::Limits;

/// This server in a cluster.
pub(crate) struct Node {
    id: NodeId,
    backend: Arc<dyn Backend>,
    outgoing: Mutex<Outgoing>,
    queued: Notify,
    others: Mutex<Others>,
    phase: watch::Sender<Phase>,
    stop: watch::Sender<bool>,
    started: Once,
    lost: AtomicU64,
    timeout: Duration,
    max_queued: usize,
}

#[derive(Default)]
struct Outgoing {
    messages: VecDeque<(Option<NodeId>, Arc<Message>, usize)>,
    bytes: usize,
}

struct Others {
    peers: BTreeSet<NodeId>,
    requests: Requests,
}

/// How the cluster task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has not joined, or not again.
    Apart,
    Joined,
    Ended,
}

impl Node {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        limits: &Limits,
    ) -> Result<Self, getrandom::Error> {
        let mut id = [0; 8];
        getrandom::fill(&mut id)?;
        Ok(Self {
            id: NodeId::from_random(id),
            backend,
            outgoing: Mutex::default(),
            queued: Notify::new(),
            others: Mutex::new(Others {
                peers: BTreeSet::new(),
                requests: Requests::new(limits.max_cluster_queue),
            }),
            phase: watch::Sender::new(Phase::Apart),
            stop: watch::Sender::new(false),
            started: Once::new(),
            lost: AtomicU64::new(0),
            timeout: limits.cluster_timeout,
            max_queued: limits.max_cluster_queue,
        })
    }

    pub(crate) fn id(&self) -> &NodeId {
        &self.id
    }

    /// How long others are waited for when nothing else is said.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Calls `start` once.
    pub(crate) fn start(&self, start: impl FnOnce()) {
        self.started.call_once(start);
    }

    /// How many messages were lost here, on their way out or in.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn count_lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// Queues a message for one server, or for all others, and does not wait. What does not fit is
    /// lost, and counted.
    pub(crate) fn send(&self, to: Option<NodeId>, namespace: &Arc<str>, body: Body) {
        let message = Arc::new(Message {
            sender: self.id.clone(),
            namespace: Arc::clone(namespace),
            body,
        });
        let size = message.size();
        {
            let mut outgoing = self.outgoing.lock();
            let bytes = outgoing.bytes.saturating_add(size);
            if bytes > self.max_queued && outgoing.bytes > 0 {
                drop(outgoing);
                // Said when the first one is lost, and then rarely.
                let before = self.lost.fetch_add(1, Ordering::Relaxed);
                if before.is_power_of_two() || before == 0 {
                    tracing::error!(
                        lost = before + 1,
                        "the backend takes too little: messages are lost"
                    );
                }
                return;
            }
            outgoing.bytes = bytes;
            outgoing.messages.push_back((to, message, size));
        }
        self.queued.notify_one();
    }

    /// What to send next; `None` when the server ends and nothing is left.
    pub(super) async fn next_outgoing(&self) -> Option<(Option<NodeId>, Arc<Message>)> {
        let mut stop = self.stop.subscribe();
        loop {
            let queued = self.queued.notified();
            let stopping = *stop.borrow_and_update();
            let next = {
                let mut outgoing = self.outgoing.lock();
                let next = outgoing.messages.pop_front();
                if let Some((_, _, size)) = &next {
                    outgoing.bytes = outgoing.bytes.saturating_sub(*size);
                }
                next
            };
            if let Some((to, message, _)) = next {
                return Some((to, message));
            }
            if stopping {
                return None;
            }
            tokio::select! {
                () = queued => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// How many servers there are, this one included.
    pub(crate) async fn count(&self) -> usize {
        let mut phase = self.phase.subscribe();
        // Until it has joined, for a while, it does not know.
        let joined = phase.wait_for(|phase| *phase != Phase::Apart);
        drop(tokio::time::timeout(self.timeout, joined).await);
        self.others.lock().peers.len().saturating_add(1)
    }

    pub(super) fn came(&self, node: NodeId) {
        if node != self.id {
            self.others.lock().peers.insert(node);
        }
    }

    pub(super) fn went(&self, node: &NodeId) {
        let mut others = self.others.lock();
        others.peers.remove(node);
        others.requests.lose(node);
    }

    pub(super) fn has_joined(&self, peers: Vec<NodeId>) {
        peers.into_iter().for_each(|peer| self.came(peer));
        self.phase.send_replace(Phase::Joined);
    }

    /// The link has ended: nobody can answer.
    pub(super) fn is_apart(&self) {
        self.phase.send_replace(Phase::Apart);
        let peers = std::mem::take(&mut self.others.lock().peers);
        peers.iter().for_each(|peer| self.went(peer));
    }

    pub(super) fn has_ended(&self) {
        self.is_apart();
        self.phase.send_replace(Phase::Ended);
    }

    /// Has the task send what waits, leave the others, and end.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
        // A task that was never started does not end either.
        self.started.call_once(|| {
            self.phase.send_replace(Phase::Ended);
        });
    }

    pub(super) async fn stopped(&self) {
        // The sender lives as long as `self`.
        drop(self.stop.subscribe().wait_for(|stop| *stop).await);
    }

    /// Waits until the task has ended.
    pub(crate) async fn ended(&self) {
        let mut phase = self.phase.subscribe();
        drop(phase.wait_for(|phase| *phase == Phase::Ended).await);
    }

    /// Enters a question to all servers that are known now. What they answer goes to `sink`.
    pub(crate) fn ask(self: &Arc<Self>, due: Due, unread: &Arc<AtomicUsize>, sink: Sink) -> Asked {
        let mut id = [0; 8];
        if let Err(error) = getrandom::fill(&mut id) {
            tracing::error!(%error, "a question has no random identifier");
        }
        let id = RequestId::from_random(id);
        let mut others = self.others.lock();
        let Others { peers, requests } = &mut *others;
        requests.enter(id.clone(), peers, due, sink, Arc::clone(unread));
        Asked {
            node: Arc::clone(self),
            id,
        }
    }

    /// The same, read one reply after the other.
    pub(crate) fn gather(self: &Arc<Self>, timeout: Duration) -> Gathering {
        let (sender, replies) = mpsc::unbounded_channel();
        let unread = Arc::default();
        let sink = Box::new(move |reply| drop(sender.send(reply)));
        Gathering {
            asked: self.ask(Due::One, &unread, sink),
            replies,
            unread,
            asked_at: Instant::now(),
            timeout,
        }
    }

    /// An answer of another server. One that nobody waits for is ignored.
    pub(super) fn answered(&self, node: &NodeId, body: Body) {
        let mut others = self.others.lock();
        let requests = &mut others.requests;
        let wanted = match body {
            Body::Fetched { request, sockets } => requests.sockets(&request, node, sockets),
            Body::Receivers { request, count } => requests.announce(&request, node, count),
            Body::ServerAnswer { request, answer } | Body::Answer { request, answer } => {
                requests.answer(&request, node, answer)
            }
            Body::Broadcast { .. }
            | Body::Join { .. }
            | Body::Leave { .. }
            | Body::Disconnect { .. }
            | Body::Fetch { .. }
            | Body::ServerEvent { .. } => false,
        };
        if !wanted {
            tracing::debug!(%node, "an answer that nobody waits for");
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Node")
            .field("id", &self.id)
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

/// A question to the others; forgotten when this is dropped.
pub(crate) struct Asked {
    node: Arc<Node>,
    id: RequestId,
}

impl Asked {
    pub(crate) fn id(&self) -> &RequestId {
        &self.id
    }

    /// Whether somebody may still answer. What was answered before this says `false` has gone to the
    /// sink.
    pub(crate) fn is_open(&self) -> bool {
        self.node.others.lock().requests.is_open(&self.id)
    }

    /// Waits for nobody any more; returns who has not answered, and how often.
    pub(crate) fn give_up(&self) -> Vec<(NodeId, u64)> {
        self.node.others.lock().requests.give_up(&self.id)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.give_up();
    }
}

/// The replies to a question, one for each server that was asked.
pub(crate) struct Gathering {
    asked: Asked,
    replies: mpsc::UnboundedReceiver<Reply>,
    unread: Arc<AtomicUsize>,
    asked_at: Instant,
    timeout: Duration,
}

impl Gathering {
    pub(crate) fn id(&self) -> &RequestId {
        self.asked.id()
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Hands each reply to `each`, and returns those who did not answer in time.
    pub(crate) async fn all(mut self, mut each: impl FnMut(Reply)) -> Vec<NodeId> {
        // Beyond what the clock can tell is for ever.
        let deadline = self.asked_at.checked_add(self.timeout);
        while self.asked.is_open() {
            let next = self.replies.recv();
            let next = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, next).await,
                None => Ok(next.await),
            };
            match next {
                Ok(Some(reply)) => self.read(reply, &mut each),
                Ok(None) | Err(_) => break,
            }
        }
        let silent = self.asked.give_up();
        while let Ok(reply) = self.replies.try_recv() {
            self.read(reply, &mut each);
        }
        silent.into_iter().map(|(node, _)| node).collect()
    }

    fn read(&self, reply: Reply, each: &mut impl FnMut(Reply)) {
        self.unread
            .fetch_sub(size_of_reply(&reply), Ordering::Relaxed);
        each(reply);
    }
}
