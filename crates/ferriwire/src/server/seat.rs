//! The children of dynamic namespaces, and who keeps them alive.
//!
//! Whoever joins a child has a seat in it. Seats are taken under the lock of the table of names, and
//! a child is removed under that lock when it has no seat left: so it cannot go while somebody
//! joins, and somebody who comes too late makes a new one. With recovery, a client that was cut
//! leaves a seat behind, and a child with such seats only is vacant: it stays until it has to make
//! room for another one ([`Vacancies`](super::vacancies::Vacancies)).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::RwLock;

use super::broadcast::Addressed;
use super::hub::Hub;
use super::names::Params;
use super::namespace::Serving;
use super::namespaces::Namespaces;

/// A dynamic namespace.
pub(crate) struct Parent {
    serving: Arc<dyn Serving>,
    children: Arc<Children>,
}

/// The children of a dynamic namespace by name; changed while the table of names is locked.
#[derive(Debug, Default)]
pub(crate) struct Children(RwLock<BTreeMap<Arc<str>, Arc<Hub>>>);

impl Children {
    pub(super) fn insert(&self, hub: &Arc<Hub>) {
        self.0
            .write()
            .insert(Arc::clone(hub.name()), Arc::clone(hub));
    }

    pub(super) fn remove(&self, name: &str) {
        self.0.write().remove(name);
    }

    /// The one of that name, if it is still there.
    pub(crate) fn named(&self, name: &str) -> Option<Addressed> {
        self.0.read().get(name).cloned().map(Addressed::Hub)
    }

    /// Those that there are now.
    pub(crate) fn all(&self) -> Vec<Arc<Hub>> {
        self.0.read().values().cloned().collect()
    }
}

impl Parent {
    pub(crate) fn new(serving: Arc<dyn Serving>) -> Self {
        Self {
            serving,
            children: Arc::default(),
        }
    }

    pub(crate) fn serving(&self) -> &Arc<dyn Serving> {
        &self.serving
    }

    pub(crate) fn children(&self) -> &Arc<Children> {
        &self.children
    }
}

impl fmt::Debug for Parent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serving.names().fmt(formatter)
    }
}

/// What the hub of a child has more than that of a static namespace.
///
/// It does not own its parent: a program may keep sockets of the child in what its handlers own.
#[derive(Debug)]
pub(crate) struct Child {
    parent: Weak<Parent>,
    namespaces: Weak<Namespaces>,
    params: Params,
    /// Whether it is removed when it is empty.
    cleanup: bool,
    seats: AtomicUsize,
    /// Seats of clients that may come back.
    kept: AtomicUsize,
    /// Its place among the vacant children, or 0; changed while the table of names is locked.
    vacant_since: AtomicU64,
    /// It was removed; there may be another one of its name.
    retired: AtomicBool,
}

impl Child {
    pub(crate) fn new(
        parent: &Arc<Parent>,
        namespaces: &Arc<Namespaces>,
        params: Params,
        cleanup: bool,
    ) -> Self {
        Self {
            parent: Arc::downgrade(parent),
            namespaces: Arc::downgrade(namespaces),
            params,
            cleanup,
            seats: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
            vacant_since: AtomicU64::new(0),
            retired: AtomicBool::new(false),
        }
    }

    pub(crate) fn parent(&self) -> Option<Arc<Parent>> {
        self.parent.upgrade()
    }

    pub(crate) fn is_of(&self, parent: &Arc<Parent>) -> bool {
        std::ptr::eq(self.parent.as_ptr(), Arc::as_ptr(parent))
    }

    pub(crate) fn params(&self) -> &Params {
        &self.params
    }

    pub(crate) fn namespaces(&self) -> &Weak<Namespaces> {
        &self.namespaces
    }

    /// Whether anybody is there, or about to be.
    pub(super) fn is_occupied(&self) -> bool {
        self.seats.load(Ordering::Acquire) > 0
    }

    /// Whether anybody may come back.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire) > 0
    }

    pub(super) fn vacant_since(&self) -> u64 {
        self.vacant_since.load(Ordering::Relaxed)
    }

    pub(super) fn set_vacant_since(&self, turn: u64) {
        self.vacant_since.store(turn, Ordering::Relaxed);
    }

    /// Gives a seat back. With the last one of its kind the child may go: that is looked at under the
    /// lock, where of two that leave at once the second one sees that both have left.
    fn leave(&self, seats: &AtomicUsize, hub: &Arc<Hub>) {
        let was_last = seats.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last
            && self.cleanup
            && let Some(namespaces) = self.namespaces.upgrade()
        {
            namespaces.vacate(hub);
        }
    }

    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }
}

/// A place in a namespace, from before its middleware runs until the socket has left.
#[derive(Debug)]
pub(crate) struct Seat {
    hub: Arc<Hub>,
}

impl Seat {
    /// For a child, only while the table of names is locked.
    pub(super) fn take(hub: &Arc<Hub>) -> Self {
        if let Some(child) = hub.child() {
            child.seats.fetch_add(1, Ordering::AcqRel);
        }
        Self {
            hub: Arc::clone(hub),
        }
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Middleware has let the client in. Until then a vacant child keeps its place among those that
    /// make room.
    pub(super) fn settle(&self) {
        // It gets no place while there is a seat.
        if let Some(child) = self.hub.child()
            && child.vacant_since() != 0
            && let Some(namespaces) = child.namespaces.upgrade()
        {
            namespaces.occupy(&self.hub);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(child) = self.hub.child() {
            child.leave(&child.seats, &self.hub);
        }
    }
}

/// The place of a client that was cut and may come back. It does not own the namespace, which owns it.
///
/// Dropped without a lock of recovery: its child may go with it.
#[derive(Debug)]
pub(crate) struct KeptSeat(Weak<Hub>);

impl KeptSeat {
    /// In a child that is removed when it is empty. Whoever goes away has a [`Seat`] still, so that the
    /// child is there.
    pub(crate) fn take(hub: &Arc<Hub>) -> Option<Self> {
        let child = hub.child().filter(|child| child.cleanup)?;
        child.kept.fetch_add(1, Ordering::AcqRel);
        Some(Self(Arc::downgrade(hub)))
    }
}

impl Drop for KeptSeat {
    fn drop(&mut self) {
        if let Some(hub) = self.0.upgrade()
            && let Some(child) = hub.child()
        {
            child.leave(&child.kept, &hub);
        }
    }
}
