//! A backend for the servers of one process.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::MAX_QUEUED;
use super::backend::{Backend, Incoming, Joined, Link, Pending, Unavailable};
use super::id::NodeId;
use super::message::Message;

/// Connects servers of one process: for tests, and for programs that run several. Clones are the same
/// backend; give one to each server.
///
/// Nothing waits: what does not fit into a server's queue ([`max_queue`](Self::max_queue)) is lost to that
/// server, which is told.
#[derive(Clone)]
pub struct InProcess {
    nodes: Arc<Mutex<BTreeMap<NodeId, Arc<Inbox>>>>,
    max_queue: usize,
}

impl Default for InProcess {
    fn default() -> Self {
        Self {
            nodes: Arc::default(),
            max_queue: MAX_QUEUED,
        }
    }
}

/// What waits for one server.
struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

struct Waiting {
    /// With its size; that of presence is nothing.
    entries: VecDeque<(Incoming, usize)>,
    bytes: usize,
    capacity: usize,
}

struct Member {
    node: NodeId,
    inbox: Arc<Inbox>,
    backend: InProcess,
}

impl InProcess {
    /// A backend that nobody has joined.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes may wait for a server that joins by this clone until it takes them. Default 16 MiB;
    /// one message may be of any size when no other waits. What does not fit is lost to it and counted in
    /// its [`Stats::lost_messages`](crate::Stats::lost_messages).
    #[must_use]
    pub fn max_queue(mut self, bytes: usize) -> Self {
        self.max_queue = bytes;
        self
    }

    fn enter(&self, node: &NodeId, capacity: usize) -> Result<(Member, Vec<NodeId>), Unavailable> {
        let inbox = Arc::new(Inbox {
            waiting: Mutex::new(Waiting {
                entries: VecDeque::new(),
                bytes: 0,
                capacity,
            }),
            arrived: Notify::new(),
        });
        let mut nodes = self.nodes.lock();
        if nodes.contains_key(node) {
            return Err(Unavailable::new(format!("there is a server {node}")));
        }
        for other in nodes.values() {
            other.push(Incoming::Joined(node.clone()), 0);
        }
        let peers = nodes.keys().cloned().collect();
        nodes.insert(node.clone(), Arc::clone(&inbox));
        let member = Member {
            node: node.clone(),
            inbox,
            backend: self.clone(),
        };
        Ok((member, peers))
    }
}

impl Backend for InProcess {
    fn join<'a>(&'a self, node: &'a NodeId) -> Pending<'a, Result<Joined, Unavailable>> {
        let joined = self
            .enter(node, self.max_queue)
            .map(|(member, peers)| Joined {
                link: Box::new(member),
                peers,
            });
        Box::pin(std::future::ready(joined))
    }
}

impl Inbox {
    fn push(&self, incoming: Incoming, size: usize) {
        self.waiting.lock().push(incoming, size);
        self.arrived.notify_one();
    }
}

impl Waiting {
    fn push(&mut self, incoming: Incoming, size: usize) {
        if size > 0 && self.bytes.saturating_add(size) > self.capacity && self.bytes > 0 {
            if let Some((Incoming::Lost(count), _)) = self.entries.back_mut() {
                *count = count.saturating_add(1);
            } else {
                self.entries.push_back((Incoming::Lost(1), 0));
            }
            return;
        }
        self.bytes = self.bytes.saturating_add(size);
        self.entries.push_back((incoming, size));
    }

    fn pop(&mut self) -> Option<Incoming> {
        let (incoming, size) = self.entries.pop_front()?;
        self.bytes = self.bytes.saturating_sub(size);
        Some(incoming)
    }
}

impl Member {
    fn part(&self) {
        let mut nodes = self.backend.nodes.lock();
        if nodes.remove(&self.node).is_some() {
            for other in nodes.values() {
                other.push(Incoming::Left(self.node.clone()), 0);
            }
        }
    }

    fn send(&self, to: Option<&NodeId>, message: &Arc<Message>) {
        let size = message.size();
        let nodes = self.backend.nodes.lock();
        for (node, inbox) in &*nodes {
            if *node != self.node && to.is_none_or(|to| to == node) {
                inbox.push(Incoming::Message(Arc::clone(message)), size);
            }
        }
    }
}

impl Link for Member {
    fn publish<'a>(
        &'a self,
        to: Option<&'a NodeId>,
        message: &'a Arc<Message>,
    ) -> Pending<'a, Result<(), Unavailable>> {
        self.send(to, message);
        Box::pin(std::future::ready(Ok(())))
    }

    fn receive(&self) -> Pending<'_, Option<Incoming>> {
        Box::pin(async {
            loop {
                // Enlisted before looking, or keeps the permit of a push in between.
                let arrived = self.inbox.arrived.notified();
                let next = self.inbox.waiting.lock().pop();
                if next.is_some() {
                    return next;
                }
                arrived.await;
            }
        })
    }

    fn leave(&self) -> Pending<'_, ()> {
        self.part();
        Box::pin(std::future::ready(()))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.part();
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_set()
            .entries(self.nodes.lock().keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Body, Selection};

    fn node(name: &str) -> NodeId {
        name.parse().expect("an id")
    }

    fn message(sender: &str, close: bool) -> Arc<Message> {
        Arc::new(Message {
            sender: node(sender),
            namespace: "/".into(),
            body: Body::Disconnect {
                selection: Selection::default(),
                close,
            },
        })
    }

    #[tokio::test]
    async fn members_hear_each_other_but_not_themselves() {
        let bus = InProcess::new();
        let (a, peers) = bus.enter(&node("a"), MAX_QUEUED).expect("it is new");
        assert!(peers.is_empty());
        let (b, peers) = bus.enter(&node("b"), MAX_QUEUED).expect("it is new");
        assert_eq!(peers, [node("a")]);
        assert!(bus.enter(&node("b"), MAX_QUEUED).is_err());
        a.publish(None, &message("a", true)).await.expect("sent");
        b.publish(Some(&node("a")), &message("b", false))
            .await
            .expect("sent");
        drop(b);
        assert!(matches!(a.receive().await, Some(Incoming::Joined(id)) if id == node("b")));
        let Some(Incoming::Message(received)) = a.receive().await else {
            panic!("b's message comes first");
        };
        assert_eq!(received, message("b", false));
        assert!(matches!(a.receive().await, Some(Incoming::Left(id)) if id == node("b")));
    }

    #[tokio::test]
    async fn what_does_not_fit_is_lost_and_told_in_its_place() {
        let bus = InProcess::new();
        let (a, _) = bus.enter(&node("a"), MAX_QUEUED).expect("it is new");
        let size = message("a", true).size();
        let small = bus.clone().max_queue(2 * size);
        let b = small.join(&node("b")).await.expect("it is new").link;
        for _ in 0..5 {
            a.publish(None, &message("a", true)).await.expect("sent");
        }
        for _ in 0..2 {
            assert!(matches!(b.receive().await, Some(Incoming::Message(_))));
        }
        assert!(matches!(b.receive().await, Some(Incoming::Lost(3))));
        a.publish(None, &message("a", true)).await.expect("sent");
        assert!(matches!(b.receive().await, Some(Incoming::Message(_))));
    }
}
