//! Children of dynamic namespaces in which nobody is, kept for clients that may come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hub::Hub;

/// In the order in which their last clients have left. Behind the lock of the table of names.
#[derive(Debug, Default)]
pub(super) struct Vacancies {
    /// Somebody may have come to one since. Then it gets another place when it is vacant again: each has
    /// one place at most.
    by_turn: BTreeMap<u64, Arc<Hub>>,
    turn: u64,
}

impl Vacancies {
    /// The last client of a child has just left.
    pub(super) fn insert(&mut self, hub: &Arc<Hub>) {
        self.remove(hub);
        if let Some(child) = hub.child() {
            self.turn += 1;
            child.set_vacant_since(self.turn);
            self.by_turn.insert(self.turn, Arc::clone(hub));
        }
    }

    pub(super) fn remove(&mut self, hub: &Hub) {
        if let Some(child) = hub.child() {
            self.by_turn.remove(&child.vacant_since());
            child.set_vacant_since(0);
        }
    }

    /// The one that has been vacant for longest.
    pub(super) fn oldest(&mut self) -> Option<Arc<Hub>> {
        while let Some((_, hub)) = self.by_turn.pop_first() {
            if let Some(child) = hub.child() {
                child.set_vacant_since(0);
                if !child.is_occupied() {
                    return Some(hub);
                }
            }
        }
        None
    }
}
