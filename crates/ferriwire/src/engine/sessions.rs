//! Session id to session: looked at by handshakes, polls, upgrades and ends only.

use std::hash::{BuildHasher, RandomState};

use ferriwire_proto::engine::SessionId;
use hashbrown::HashTable;
use parking_lot::Mutex;

use super::session::Session;

/// A power of two, so that requests on many cores rarely meet at one lock.
const SHARDS: usize = 16;

#[derive(Debug)]
pub(crate) struct Sessions {
    /// Chooses the shard, and the place in it; keyed, so that nobody can aim at one.
    hasher: RandomState,
    /// By their ids, which sessions have anyway.
    shards: [Mutex<HashTable<Session>>; SHARDS],
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::new(HashTable::new())),
        }
    }

    /// Adds a session, unless there is one of that id.
    pub(crate) fn insert(&self, session: &Session) -> bool {
        let (hash, shard) = self.place(session.id());
        let mut shard = shard.lock();
        let is_new = shard.find(hash, is_named(session.id())).is_none();
        if is_new {
            let hash_of = |other: &Session| self.hasher.hash_one(other.id());
            shard.insert_unique(hash, session.clone(), hash_of);
        }
        is_new
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<Session> {
        let (hash, shard) = self.place(id);
        shard.lock().find(hash, is_named(id)).cloned()
    }

    /// Removes this session, and no later one to which the program gave the same id.
    pub(crate) fn remove(&self, session: &Session) {
        let (hash, shard) = self.place(session.id());
        let mut shard = shard.lock();
        if let Ok(found) = shard.find_entry(hash, |other| other.is(session)) {
            let (removed, _) = found.remove();
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
            shard.iter().cloned().collect()
        })
    }

    /// How many bytes wait for all of them, and how many were written to them. Visits each one.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let mut sum = (0_u64, 0_u64);
        for shard in &self.shards {
            for session in shard.lock().iter() {
                let (waiting, written) = session.outbox().bytes();
                sum.0 = sum.0.saturating_add(waiting as u64);
                sum.1 = sum.1.saturating_add(written);
            }
        }
        sum
    }

    /// The hash of an id, and the shard that has its session.
    fn place(&self, id: &SessionId) -> (u64, &Mutex<HashTable<Session>>) {
        let hash = self.hasher.hash_one(id);
        // Bits by which the table does not choose. The remainder is below the number of shards.
        let index = (hash >> 40) % SHARDS as u64;
        (hash, &self.shards[index as usize])
    }
}

fn is_named(id: &SessionId) -> impl Fn(&Session) -> bool {
    move |session| session.id() == id
}
