//! Where a client's sockets are, one in each namespace.

use std::collections::VecDeque;

use ferriwire_proto::connection::Key;

use super::events::HeldEvent;
use crate::server::namespace::Joined;

/// All of one client, by the key that the protocol gave the namespace.
pub(super) struct Slots {
    /// In place: most clients use one namespace.
    first: Slot,
    #[expect(clippy::box_collection, reason = "one word instead of three")]
    more: Option<Box<Vec<Slot>>>,
}

pub(super) enum Slot {
    Free,
    /// `auth` decides.
    Joining,
    Joined(Occupant),
}

/// A socket, and its events that wait.
pub(super) struct Occupant {
    pub(super) key: Key,
    pub(super) socket: Box<dyn Joined>,
    /// `on_connect`, or middleware of an event, runs: events wait.
    pub(super) waiting: bool,
    #[expect(
        clippy::box_collection,
        reason = "most sockets have none, and pay for one pointer"
    )]
    pub(super) held: Option<Box<VecDeque<HeldEvent>>>,
}

impl Occupant {
    pub(super) fn held(&self) -> impl Iterator<Item = &HeldEvent> {
        self.held.iter().flat_map(|held| held.iter())
    }
}

impl Slots {
    pub(super) const fn new() -> Self {
        Self {
            first: Slot::Free,
            more: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        1 + self.more.as_ref().map_or(0, |more| more.len())
    }

    pub(super) fn get(&self, index: usize) -> Option<&Slot> {
        match index.checked_sub(1) {
            None => Some(&self.first),
            Some(index) => self.more.as_ref()?.get(index),
        }
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Slot> {
        match index.checked_sub(1) {
            None => Some(&mut self.first),
            Some(index) => self.more.as_mut()?.get_mut(index),
        }
    }

    /// That slot, which is made if there is none yet, with those in front of it.
    pub(super) fn get_or_free(&mut self, index: usize) -> &mut Slot {
        let Some(index) = index.checked_sub(1) else {
            return &mut self.first;
        };
        let more = self.more.get_or_insert_default();
        if more.len() <= index {
            more.resize_with(index + 1, || Slot::Free);
        }
        &mut more[index]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        let more = self.more.iter().flat_map(|more| more.iter());
        std::iter::once(&self.first).chain(more)
    }
}
