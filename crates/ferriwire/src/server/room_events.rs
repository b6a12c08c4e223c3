//! What happens to the rooms of a namespace, told in order and exactly once.
//!
//! Rooms are split over shards, so whether a room begins or ends on this node is known only by
//! counting its members over all of them. That is done under the lock of the shard that changed, so
//! that the count is never behind; the hook is called when all locks have been let go.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;

use super::hooks::Hooks;
use crate::shown::shown;
use crate::socket_id::SocketId;

/// Something happened to a room on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomEvent {
    /// The namespace's name.
    pub namespace: Arc<str>,
    /// The room's name.
    pub room: Arc<str>,
    /// What happened.
    pub change: RoomChange,
}

/// How many changes wait for a hook at most.
const MAX_WAITING: usize = 65_536;

/// What happened to a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomChange {
    /// It has its first member (`create-room`); who that is comes next.
    Created,
    /// It has no members any more (`delete-room`); who was the last one came before.
    Deleted,
    /// A socket joined it, which was not in it before (`join-room`).
    Joined(SocketId),
    /// A socket left it (`leave-room`).
    Left(SocketId),
    /// The hook was too slow: behind the 65,536 changes that waited for it, this many more were not
    /// kept. They are of any rooms, and the room's name is empty. Whoever counts along has to look
    /// anew, for example with [`NamespaceHandle::fetch_sockets`](crate::NamespaceHandle::fetch_sockets).
    Missed(u64),
}

/// Counts the members of all rooms of one namespace. There is none without a hook.
#[derive(Default)]
pub(crate) struct Census(Mutex<State>);

#[derive(Default)]
struct State {
    members: HashMap<Arc<str>, usize>,
    waiting: VecDeque<(Arc<str>, RoomChange)>,
    /// How many were not kept since too many waited: none is until that has been told.
    missed: u64,
    /// Somebody calls the hook, and goes on until nothing waits.
    telling: bool,
}

impl Census {
    /// The caller holds the lock of the shard that the socket is in.
    pub(crate) fn joined(&self, room: &str, socket: &SocketId) {
        let mut state = self.0.lock();
        let name = match state.members.get_key_value(room) {
            Some((name, _)) => Arc::clone(name),
            None => room.into(),
        };
        let members = state.members.entry(Arc::clone(&name)).or_default();
        *members = members.saturating_add(1);
        if *members == 1 {
            state.keep(Arc::clone(&name), RoomChange::Created);
        }
        state.keep(name, RoomChange::Joined(socket.clone()));
    }

    /// The caller holds the lock of the shard that the socket is, or was, in.
    pub(crate) fn left(&self, room: &str, socket: &SocketId) {
        let mut state = self.0.lock();
        let Some((name, _)) = state.members.get_key_value(room) else {
            return;
        };
        let name = Arc::clone(name);
        state.keep(Arc::clone(&name), RoomChange::Left(socket.clone()));
        let Some(members) = state.members.get_mut(&name) else {
            return;
        };
        *members = members.saturating_sub(1);
        if *members == 0 {
            state.members.remove(&name);
            state.keep(name, RoomChange::Deleted);
        }
    }

    /// Calls the hook for all that waits, unless somebody does so already, which may be this very
    /// hook further up. The caller holds no lock.
    pub(crate) fn tell(&self, namespace: &Arc<str>, hooks: &dyn Hooks) {
        if std::mem::replace(&mut self.0.lock().telling, true) {
            return;
        }
        while let Some((room, change)) = self.next() {
            if let RoomChange::Missed(missed) = change {
                tracing::warn!(namespace = %shown(namespace), missed, "a hook for room events is too slow");
            }
            let event = RoomEvent {
                namespace: Arc::clone(namespace),
                room,
                change,
            };
            // It may be called on behalf of somebody else, who is not to suffer from it.
            if catch_unwind(AssertUnwindSafe(|| hooks.room_changed(&event))).is_err() {
                tracing::error!(namespace = %shown(namespace), "a hook for room events panicked");
            }
        }
    }

    /// The next one; with the last one the telling ends, under the same lock.
    fn next(&self) -> Option<(Arc<str>, RoomChange)> {
        let mut state = self.0.lock();
        let next = state.waiting.pop_front().or_else(|| {
            let missed = std::mem::take(&mut state.missed);
            (missed > 0).then(|| ("".into(), RoomChange::Missed(missed)))
        });
        state.telling = next.is_some();
        next
    }
}

impl State {
    fn keep(&mut self, room: Arc<str>, change: RoomChange) {
        if self.missed > 0 || self.waiting.len() >= MAX_WAITING {
            self.missed = self.missed.saturating_add(1);
        } else {
            self.waiting.push_back((room, change));
        }
    }
}

impl fmt::Debug for Census {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Census").finish_non_exhaustive()
    }
}
