//! Session id to session: looked at by handshakes, polls, upgrades and ends only.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use ferriwire_proto::engine::SessionId;
use parking_lot::Mutex;

use super::session::Session;

/// A power of two, so that requests on many cores rarely meet at one lock.
const SHARDS: usize = 16;

#[derive(Debug)]
pub(crate) struct Sessions {
    /// Chooses the shard; keyed, so that nobody can aim at one.
    hasher: RandomState,
    shards: [Mutex<HashSet<ById>>; SHARDS],
}

/// A session that is found by its id, which it has anyway.
#[derive(Debug)]
struct ById(Session);

impl Borrow<SessionId> for ById {
    fn borrow(&self) -> &SessionId {
        self.0.id()
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id().hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl Eq for ById {}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::new(HashSet::new())),
        }
    }

    /// Adds a session, unless there is one of that id.
    pub(crate) fn insert(&self, session: &Session) -> bool {
        let mut shard = self.shard(session.id()).lock();
        shard.insert(ById(session.clone()))
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<Session> {
        let shard = self.shard(id).lock();
        shard.get(id).map(|ById(session)| session.clone())
    }

    /// Removes this session, and no later one to which the program gave the same id.
    pub(crate) fn remove(&self, session: &Session) {
        let mut shard = self.shard(session.id()).lock();
        let is_there = shard.get(session.id());
        if is_there.is_some_and(|ById(other)| other.is(session)) {
            let removed = shard.take(session.id());
            drop(shard);
            drop(removed);
        }
    }

    pub(crate) fn all(&self) -> Vec<Session> {
        self.parts().flatten().collect()
    }

    /// All of them, a part at a time, so that nobody waits long for a lock.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Vec<Session>> {
        let shards = self.shards.iter();
        shards.map(|shard| {
            let shard = shard.lock();
            shard.iter().map(|ById(session)| session.clone()).collect()
        })
    }

    /// How many bytes wait for all of them, and how many were written to them. Visits each one.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let mut sum = (0_u64, 0_u64);
        for shard in &self.shards {
            for ById(session) in shard.lock().iter() {
                let (waiting, written) = session.outbox().bytes();
                sum.0 = sum.0.saturating_add(waiting as u64);
                sum.1 = sum.1.saturating_add(written);
            }
        }
        sum
    }

    fn shard(&self, id: &SessionId) -> &Mutex<HashSet<ById>> {
        let hash = self.hasher.hash_one(id);
        // The remainder is below the number of shards.
        &self.shards[(hash % SHARDS as u64) as usize]
    }
}
