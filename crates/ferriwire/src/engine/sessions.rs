//! Session id to session: looked at by handshakes, polls, upgrades and ends only.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};

use ferriwire_proto::engine::SessionId;
use parking_lot::Mutex;

use super::session::Session;

/// A power of two, so that requests on many cores rarely meet at one lock.
const SHARDS: usize = 16;

#[derive(Debug)]
pub(crate) struct Sessions {
    /// Chooses the shard; keyed, so that nobody can aim at one.
    hasher: RandomState,
    shards: [Mutex<HashMap<SessionId, Session>>; SHARDS],
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::new(HashMap::new())),
        }
    }

    /// Adds a session, unless there is one of that id.
    pub(crate) fn insert(&self, session: &Session) -> bool {
        match self.shard(session.id()).lock().entry(session.id().clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(session.clone());
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<Session> {
        self.shard(id).lock().get(id).cloned()
    }

    /// Removes this session, and no later one to which the program gave the same id.
    pub(crate) fn remove(&self, session: &Session) {
        let mut shard = self.shard(session.id()).lock();
        if let Entry::Occupied(entry) = shard.entry(session.id().clone())
            && entry.get().is(session)
        {
            let removed = entry.remove();
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
        shards.map(|shard| shard.lock().values().cloned().collect())
    }

    /// How many bytes wait for all of them, and how many were written to them. Visits each one.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let mut sum = (0_u64, 0_u64);
        for shard in &self.shards {
            for session in shard.lock().values() {
                let (waiting, written) = session.outbox().bytes();
                sum.0 = sum.0.saturating_add(waiting as u64);
                sum.1 = sum.1.saturating_add(written);
            }
        }
        sum
    }

    fn shard(&self, id: &SessionId) -> &Mutex<HashMap<SessionId, Session>> {
        let hash = self.hasher.hash_one(id);
        // The remainder is below the number of shards.
        &self.shards[(hash % SHARDS as u64) as usize]
    }
}
