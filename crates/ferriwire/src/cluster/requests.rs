//! What a server has asked the others, and who has not answered.
//!
//! What comes from a broker is not trusted: only servers that were asked may answer, each as often as
//! it has announced, and what nobody reads is bounded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferriwire_proto::value::Args;

use super::id::{NodeId, RequestId};
use super::message::{Seen, size_of_args};

/// More clients than any server has.
const MAX_RECEIVERS: u64 = 1 << 20;

/// What the asker hears.
#[derive(Debug)]
pub(crate) enum Reply {
    /// One answer; `None` when there will be none.
    Answer(NodeId, Option<Args>),
    /// The sockets of one server.
    Sockets(Vec<Seen>),
    /// A server was lost that owed so many answers.
    Lost(u64),
    /// Something else has changed: there may be nothing more to wait for.
    Changed,
}

/// Called while the requests are locked: it must only pass on.
pub(crate) type Sink = Box<dyn Fn(Reply) + Send + Sync>;

/// How many answers of each server are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// One.
    One,
    /// As many as the server will announce.
    Announced,
}

pub(super) struct Requests {
    open: HashMap<RequestId, Request>,
    /// How many bytes of answers may wait to be read, for each request.
    max_unread: usize,
}

struct Request {
    waiting: BTreeMap<NodeId, Progress>,
    sink: Sink,
    unread: Arc<AtomicUsize>,
}

struct Progress {
    announced: Option<u64>,
    answered: u64,
}

impl Progress {
    fn is_complete(&self) -> bool {
        self.announced
            .is_some_and(|announced| self.answered >= announced)
    }

    /// How many answers are known to be missing.
    fn owed(&self) -> u64 {
        self.announced
            .map_or(0, |announced| announced.saturating_sub(self.answered))
    }
}

impl Requests {
    pub(super) fn new(max_unread: usize) -> Self {
        Self {
            open: HashMap::new(),
            max_unread,
        }
    }

    /// `unread` is how many bytes of answers nobody has read; the reader takes off what it reads.
    pub(super) fn enter(
        &mut self,
        id: RequestId,
        peers: &BTreeSet<NodeId>,
        due: Due,
        sink: Sink,
        unread: Arc<AtomicUsize>,
    ) {
        if peers.is_empty() {
            return;
        }
        let progress = || Progress {
            announced: (due == Due::One).then_some(1),
            answered: 0,
        };
        let waiting = peers.iter().map(|peer| (peer.clone(), progress()));
        let request = Request {
            waiting: waiting.collect(),
            sink,
            unread,
        };
        self.open.insert(id, request);
    }

    /// Whether somebody may still answer.
    pub(super) fn is_open(&self, id: &RequestId) -> bool {
        self.open.contains_key(id)
    }

    /// Forgets a request; returns who has not answered, and how many answers are known to be missing.
    pub(super) fn give_up(&mut self, id: &RequestId) -> Vec<(NodeId, u64)> {
        let waiting = self.open.remove(id).map(|request| request.waiting);
        let owed = |(node, progress): (NodeId, Progress)| (node, progress.owed().max(1));
        waiting.into_iter().flatten().map(owed).collect()
    }

    /// A server says how many answers it will give.
    pub(super) fn announce(&mut self, id: &RequestId, node: &NodeId, count: u64) -> bool {
        self.progress(id, node, |progress, sink| {
            let is_new = progress.announced.is_none() && count <= MAX_RECEIVERS;
            if is_new {
                progress.announced = Some(count);
                sink(Reply::Changed);
            }
            is_new
        })
    }

    pub(super) fn answer(&mut self, id: &RequestId, node: &NodeId, answer: Option<Args>) -> bool {
        let size = answer.as_ref().map_or(0, size_of_args);
        self.reply(id, node, size, |node| Reply::Answer(node, answer))
    }

    pub(super) fn sockets(&mut self, id: &RequestId, node: &NodeId, sockets: Vec<Seen>) -> bool {
        let size = sockets.iter().map(Seen::size).sum();
        self.reply(id, node, size, |_| Reply::Sockets(sockets))
    }

    fn reply(
        &mut self,
        id: &RequestId,
        node: &NodeId,
        size: usize,
        reply: impl FnOnce(NodeId) -> Reply,
    ) -> bool {
        let Some(request) = self.open.get(id) else {
            return false;
        };
        let unread = Arc::clone(&request.unread);
        // One answer of any size is taken when nobody has to read others first.
        let before = unread.load(Ordering::Relaxed);
        if before > 0 && before.saturating_add(size) > self.max_unread {
            return false;
        }
        self.progress(id, node, |progress, sink| {
            if progress.answered >= progress.announced.unwrap_or(MAX_RECEIVERS) {
                return false;
            }
            progress.answered = progress.answered.saturating_add(1);
            unread.fetch_add(size, Ordering::Relaxed);
            sink(reply(node.clone()));
            true
        })
    }

    /// Returns whether what came was wanted.
    fn progress(
        &mut self,
        id: &RequestId,
        node: &NodeId,
        change: impl FnOnce(&mut Progress, &Sink) -> bool,
    ) -> bool {
        let Some(request) = self.open.get_mut(id) else {
            return false;
        };
        let Some(progress) = request.waiting.get_mut(node) else {
            return false;
        };
        let wanted = change(progress, &request.sink);
        if progress.is_complete() {
            request.waiting.remove(node);
            if request.waiting.is_empty() {
                self.open.remove(id);
            }
        }
        wanted
    }

    /// A server has left, and answers nothing any more.
    pub(super) fn lose(&mut self, node: &NodeId) {
        self.open.retain(|_, request| {
            if let Some(progress) = request.waiting.remove(node) {
                let due = progress.announced.filter(|_| progress.owed() > 0);
                (request.sink)(match due {
                    Some(_) => Reply::Lost(progress.owed()),
                    None => Reply::Changed,
                });
            }
            !request.waiting.is_empty()
        });
    }
}

/// How many bytes an answer was counted as.
pub(crate) fn size_of_reply(reply: &Reply) -> usize {
    match reply {
        Reply::Answer(_, answer) => answer.as_ref().map_or(0, size_of_args),
        Reply::Sockets(sockets) => sockets.iter().map(Seen::size).sum(),
        Reply::Lost(_) | Reply::Changed => 0,
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::super::MAX_QUEUED;
    use super::*;

    type Seen = Arc<Mutex<Vec<String>>>;

    fn node(name: &str) -> NodeId {
        name.parse().expect("an id")
    }

    fn asked(peers: &[&str], due: Due) -> (Requests, RequestId, Seen) {
        let (mut requests, id) = (Requests::new(MAX_QUEUED), RequestId::from_random([7; 8]));
        let seen = Seen::default();
        let sink = Arc::clone(&seen);
        requests.enter(
            id.clone(),
            &peers.iter().map(|peer| node(peer)).collect(),
            due,
            Box::new(move |reply| {
                sink.lock().push(match reply {
                    Reply::Answer(node, _) => format!("{node} answers"),
                    Reply::Sockets(_) => "sockets".to_owned(),
                    Reply::Lost(count) => format!("lost {count}"),
                    Reply::Changed => "changed".to_owned(),
                });
            }),
            Arc::default(),
        );
        (requests, id, seen)
    }

    #[test]
    fn only_servers_that_were_asked_may_answer_and_only_once() {
        let (mut requests, id, seen) = asked(&["a", "b"], Due::One);
        let other = RequestId::from_random([8; 8]);
        assert!(!requests.answer(&id, &node("c"), None));
        assert!(!requests.answer(&other, &node("a"), None));
        assert!(requests.answer(&id, &node("a"), None));
        assert!(!requests.answer(&id, &node("a"), None));
        assert!(requests.is_open(&id));
        assert!(requests.answer(&id, &node("b"), None));
        assert!(!requests.is_open(&id));
        assert!(!requests.answer(&id, &node("b"), None));
        assert_eq!(*seen.lock(), ["a answers", "b answers"]);
    }

    #[test]
    fn as_many_answers_are_taken_as_were_announced() {
        let (mut requests, id, seen) = asked(&["a", "b", "c"], Due::Announced);
        assert!(!requests.announce(&id, &node("a"), MAX_RECEIVERS + 1));
        assert!(requests.announce(&id, &node("a"), 0));
        assert!(!requests.announce(&id, &node("a"), 5));
        // The first answer may come before the number.
        assert!(requests.answer(&id, &node("b"), None));
        assert!(requests.announce(&id, &node("b"), 2));
        assert!(!requests.announce(&id, &node("b"), 9));
        assert!(requests.answer(&id, &node("b"), None));
        assert!(!requests.answer(&id, &node("b"), None));
        assert!(requests.announce(&id, &node("c"), 3));
        assert!(requests.answer(&id, &node("c"), None));
        assert_eq!(requests.give_up(&id), [(node("c"), 2)]);
        assert!(!requests.is_open(&id));
        assert_eq!(
            *seen.lock(),
            [
                "changed",
                "b answers",
                "changed",
                "b answers",
                "changed",
                "c answers"
            ]
        );
    }

    #[test]
    fn a_server_that_leaves_is_not_waited_for() {
        let (mut requests, id, seen) = asked(&["a", "b"], Due::Announced);
        requests.announce(&id, &node("a"), 2);
        requests.lose(&node("a"));
        requests.lose(&node("b"));
        assert!(!requests.is_open(&id));
        assert_eq!(*seen.lock(), ["changed", "lost 2", "changed"]);
    }

    #[test]
    fn answers_that_nobody_reads_are_bounded() {
        let (mut requests, id, _) = asked(&["a"], Due::Announced);
        let large = || Some(Args(vec!["x".repeat(MAX_QUEUED / 2).as_str().into()]));
        assert!(requests.answer(&id, &node("a"), large()));
        assert!(!requests.answer(&id, &node("a"), large()));
        assert!(requests.answer(&id, &node("a"), None));
    }
}
