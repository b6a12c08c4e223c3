//! Members by identifier.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

use super::slab::Slab;
use super::{Identified, Member, SMALL};
use crate::socket_id::SocketId;

/// Finds the member that has an identifier. The members know theirs: kept here as well, they would take five
/// times as much.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// Keyed, because clients of other servers may choose what they are called.
    hasher: RandomState,
    indices: HashTable<u32>,
}

impl Ids {
    /// Enters a member, in place of another one of its identifier.
    pub(super) fn insert<M: Identified>(&mut self, members: &Slab<Member<M>>, index: u32) {
        let Some(member) = members.get(index) else {
            return;
        };
        let hash = self.hasher.hash_one(member.value.id());
        match self
            .indices
            .find_mut(hash, |index| has_id(members, *index, member.value.id()))
        {
            Some(earlier) => *earlier = index,
            None => {
                let rehash = |index: &u32| hash_of(&self.hasher, members, *index);
                self.indices.insert_unique(hash, index, rehash);
            }
        }
    }

    /// Forgets a member that is about to be removed, unless another one is found by its identifier.
    pub(super) fn remove<M: Identified>(&mut self, members: &Slab<Member<M>>, index: u32) {
        let hash = hash_of(&self.hasher, members, index);
        if let Ok(entry) = self.indices.find_entry(hash, |entry| *entry == index) {
            entry.remove();
        }
        let (len, capacity) = (self.indices.len(), self.indices.capacity());
        if capacity > SMALL && len < capacity / 4 {
            let rehash = |index: &u32| hash_of(&self.hasher, members, *index);
            self.indices.shrink_to(len.saturating_mul(2), rehash);
        }
    }

    pub(super) fn get<M: Identified>(
        &self,
        members: &Slab<Member<M>>,
        id: &SocketId,
    ) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        let found = self.indices.find(hash, |index| has_id(members, *index, id));
        found.copied()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.indices.capacity()
    }
}

fn has_id<M: Identified>(members: &Slab<Member<M>>, index: u32, id: &SocketId) -> bool {
    members
        .get(index)
        .is_some_and(|member| *member.value.id() == *id)
}

/// Every member that is entered is there.
fn hash_of<M: Identified>(hasher: &RandomState, members: &Slab<Member<M>>, index: u32) -> u64 {
    members
        .get(index)
        .map_or(0, |member| hasher.hash_one(member.value.id()))
}
