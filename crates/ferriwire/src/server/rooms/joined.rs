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

/// The memberships of one member. Most members are in no room, and pay for a pointer.
#[derive(Debug, Default)]
pub(super) struct JoinedRooms(Option<Box<List>>);

/// A list of memberships in which a room is found in constant time. Most members are in a handful
/// of rooms, where looking at all of them is the fastest way; a longer list has an index.
#[derive(Debug, Default)]
struct List {
    joined: Vec<Joined>,
    /// From rooms to positions in `joined`.
    positions: Option<HashMap<u32, u32>>,
}

impl JoinedRooms {
    pub(super) fn push(&mut self, joined: Joined) -> u32 {
        let list = self.0.get_or_insert_default();
        let position = index(list.joined.len());
        list.joined.push(joined);
        if let Some(positions) = &mut list.positions {
            positions.insert(joined.room, position);
        } else if list.joined.len() > INDEXED_ABOVE {
            let rooms = list.joined.iter().map(|joined| joined.room);
            list.positions = Some(rooms.zip(0..).collect());
        }
        position
    }

    /// Removes an entry; the last one takes its place.
    pub(super) fn swap_remove(&mut self, at: u32) -> Option<Joined> {
        let list = self.0.as_deref_mut()?;
        let removed = super::swap_remove(&mut list.joined, at)?;
        if let Some(positions) = &mut list.positions {
            positions.remove(&removed.room);
            if let Some(moved) = list.joined.get(position(at)) {
                positions.insert(moved.room, at);
            }
            // Far enough below for a member at the border not to build it again and again.
            if list.joined.len() <= INDEXED_ABOVE / 2 {
                list.positions = None;
            }
        }
        Some(removed)
    }

    /// Notes that a membership's seat has moved within its room.
    pub(super) fn set_seat(&mut self, at: u32, seat: u32) {
        let list = self.0.as_deref_mut();
        if let Some(joined) = list.and_then(|list| list.joined.get_mut(position(at))) {
            joined.seat = seat;
        }
    }

    pub(super) fn position(&self, room: u32) -> Option<u32> {
        let list = self.0.as_deref()?;
        match &list.positions {
            Some(positions) => positions.get(&room).copied(),
            None => {
                let position = list.joined.iter().position(|joined| joined.room == room);
                position.map(index)
            }
        }
    }

    pub(super) fn get(&self, at: u32) -> Option<Joined> {
        self.0.as_deref()?.joined.get(position(at)).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Joined> {
        self.0.iter().flat_map(|list| list.joined.iter().copied())
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_deref().map_or(0, |list| list.joined.len())
    }
}

const INDEXED_ABOVE: usize = 16;
