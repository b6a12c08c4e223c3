//! Children of dynamic namespaces in which nobody is, kept for clients that may come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hub::Hub;

/// In the order in which their last clients have left. Behind the lock of the table of names.
#[derive(Debug, Default)]
pub(super) struct Vacancies {
    /// Somebody may be at the door of one, and has not been let in: it keeps its place, so that nobody
    /// whom middleware refuses can change the order.
    by_turn: BTreeMap<u64, Arc<Hub>>,
    turn: u64,
}

impl Vacancies {
    /// Nobody is in a child any more: it gets the last place, unless it has one.
    pub(super) fn insert(&mut self, hub: &Arc<Hub>) {
        if let Some(child) = hub.child()
            && child.vacant_since() == 0
        {
            self.turn += 1;
            child.set_vacant_since(self.turn);
            self.by_turn.insert(self.turn, Arc::clone(hub));
        }
    }

    /// Somebody was let in, or the child is gone.
    pub(super) fn remove(&mut self, hub: &Hub) {
        if let Some(child) = hub.child() {
            self.by_turn.remove(&child.vacant_since());
            child.set_vacant_since(0);
        }
    }

    /// The one that has been vacant for longest, and nobody is at its door.
    pub(super) fn oldest(&self) -> Option<Arc<Hub>> {
        let is_free = |hub: &&Arc<Hub>| hub.child().is_some_and(|child| !child.is_occupied());
        self.by_turn.values().find(is_free).cloned()
    }
}
