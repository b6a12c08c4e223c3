//! The rooms of one member.

use std::collections::HashMap;

use super::slab::{index, position};

/// A membership as the member sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) room: u32,
    /// Where the member sits in that room.
    pub(super) seat: u32,
}

/// A list of memberships in which a room is found in constant time. Most members are in a handful
/// of rooms, where looking at all of them is the fastest way; a longer list has an index.
#[derive(Debug, Default)]
pub(super) struct JoinedRooms {
    list: Vec<Joined>,
    /// From rooms to positions in `list`.
    #[expect(
        clippy::box_collection,
        reason = "most members have none, and pay for one pointer"
    )]
    positions: Option<Box<HashMap<u32, u32>>>,
}

impl JoinedRooms {
    pub(super) fn push(&mut self, joined: Joined) -> u32 {
        let position = index(self.list.len());
        self.list.push(joined);
        if let Some(positions) = &mut self.positions {
            positions.insert(joined.room, position);
        } else if self.list.len() > INDEXED_ABOVE {
            let rooms = self.list.iter().map(|joined| joined.room);
            self.positions = Some(Box::new(rooms.zip(0..).collect()));
        }
        position
    }

    /// Removes an entry; the last one takes its place.
    pub(super) fn swap_remove(&mut self, at: u32) -> Option<Joined> {
        let removed = super::swap_remove(&mut self.list, at)?;
        if let Some(positions) = &mut self.positions {
            positions.remove(&removed.room);
            if let Some(moved) = self.list.get(position(at)) {
                positions.insert(moved.room, at);
            }
            // Far enough below for a member at the border not to build it again and again.
            if self.list.len() <= INDEXED_ABOVE / 2 {
                self.positions = None;
            }
        }
        Some(removed)
    }

    /// Notes that a membership's seat has moved within its room.
    pub(super) fn set_seat(&mut self, at: u32, seat: u32) {
        if let Some(joined) = self.list.get_mut(position(at)) {
            joined.seat = seat;
        }
    }

    pub(super) fn position(&self, room: u32) -> Option<u32> {
        match &self.positions {
            Some(positions) => positions.get(&room).copied(),
            None => {
                let position = self.list.iter().position(|joined| joined.room == room);
                position.map(index)
            }
        }
    }

    pub(super) fn get(&self, at: u32) -> Option<Joined> {
        self.list.get(position(at)).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Joined> {
        self.list.iter().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
}

const INDEXED_ABOVE: usize = 16;
