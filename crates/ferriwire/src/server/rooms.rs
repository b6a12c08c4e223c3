//! Who is in which room: one shard of a namespace.
//!
//! Pure data. The caller holds one lock per shard. A socket is in exactly one shard, so that a
//! selection over several rooms never needs a second one.
//!
//! Members and rooms point at each other by position: a membership is an entry in the member's list
//! of rooms and a seat in the room, and each of the two knows where the other one is. Joining and
//! leaving take constant time, and a selection walks dense lists.

mod ids;
mod joined;
mod slab;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use self::ids::Ids;
use self::joined::{Joined, JoinedRooms};
use self::slab::Slab;
use crate::socket_id::SocketId;

/// The members of one shard and their rooms.
#[derive(Debug)]
pub(crate) struct Rooms<M> {
    members: Slab<Member<M>>,
    /// The index of every member, without gaps.
    everyone: Vec<u32>,
    ids: Ids,
    directory: Directory,
    /// How many members were inserted, ever.
    serial: u64,
    /// How many selections were made, ever.
    epoch: u64,
}

/// Names one member. After its removal the key names nobody, even if its place is taken again.
///
/// Packed, because every membership has one that is also a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub(crate) struct MemberKey {
    index: u32,
    serial: u64,
}

/// Who knows its own identifier, so that it is not kept twice.
pub(crate) trait Identified {
    fn id(&self) -> &SocketId;
}

/// Whom a message is for. Sockets and rooms are apart: no room has a socket's private address, and
/// so no client can name one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All members of a room.
    Room(Arc<str>),
    /// One member, by its identifier.
    Socket(SocketId),
}

impl<M: Identified> Rooms<M> {
    /// A shard without members and without an allocation.
    pub(crate) fn new() -> Self {
        Self {
            members: Slab::new(),
            everyone: Vec::new(),
            ids: Ids::default(),
            directory: Directory::default(),
            serial: 0,
            epoch: 0,
        }
    }

    /// Adds a member that is in no room. Of two with the same identifier the later one is found by it.
    pub(crate) fn insert(&mut self, member: M) -> MemberKey {
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let index = self.members.insert(Member {
            value: member,
            serial,
            selected: 0,
            position: slab::index(self.everyone.len()),
            joined: JoinedRooms::default(),
        });
        self.everyone.push(index);
        self.ids.insert(&self.members, index);
        MemberKey { index, serial }
    }

    /// Removes a member, and gives it back with the names of the rooms it was in.
    pub(crate) fn remove(&mut self, key: MemberKey) -> Option<(M, Vec<Arc<str>>)> {
        self.find(key)?;
        self.ids.remove(&self.members, key.index);
        let member = self.members.remove(key.index)?;
        swap_remove(&mut self.everyone, member.position);
        let moved = self.everyone.get(slab::position(member.position));
        if let Some(moved) = moved.and_then(|index| self.members.get_mut(*index)) {
            moved.position = member.position;
        }
        let rooms = member.joined.iter();
        let names = rooms.filter_map(|joined| self.unseat(joined)).collect();
        Some((member.value, names))
    }

    /// Puts a member into a room. `false` if it is there already, or is no member any more.
    pub(crate) fn join(&mut self, key: MemberKey, room: &str) -> bool {
        let Some(member) = self.members.get_mut(key.index) else {
            return false;
        };
        if member.serial != key.serial {
            return false;
        }
        let room_index = self.directory.room_or_new(room);
        if member.joined.position(room_index).is_some() {
            return false;
        }
        let Some(room) = self.directory.rooms.get_mut(room_index) else {
            return false;
        };
        let position = member.joined.push(Joined {
            room: room_index,
            seat: slab::index(room.seats.len()),
        });
        room.seats.push(Seat {
            member: key.index,
            position,
        });
        true
    }

    /// Takes a member out of a room. `false` if it is not there.
    pub(crate) fn leave(&mut self, key: MemberKey, room: &str) -> bool {
        self.take_out(key, room).is_some()
    }

    /// Calls `visit` once for each member that is in any of `to`, or for everyone if that is empty,
    /// but for none that is in any of `except`.
    ///
    /// Takes time for those selected and those excepted, hashes nothing but the targets and does
    /// not allocate.
    pub(crate) fn select(&mut self, to: &[Target], except: &[Target], mut visit: impl FnMut(&M)) {
        // Who bears the number of this selection has been seen or is excepted.
        self.epoch = self.epoch.wrapping_add(1);
        let epoch = self.epoch;
        for target in except {
            self.find_each(target, |member| member.selected = epoch);
        }
        let mut select = |member: &mut Member<M>| {
            if member.selected != epoch {
                member.selected = epoch;
                visit(&member.value);
            }
        };
        if to.is_empty() {
            for index in &self.everyone {
                if let Some(member) = self.members.get_mut(*index) {
                    select(member);
                }
            }
        }
        for target in to {
            self.find_each(target, &mut select);
        }
    }

    /// Calls `visit` for each member that a target names.
    fn find_each(&mut self, target: &Target, mut visit: impl FnMut(&mut Member<M>)) {
        let (seats, member) = match target {
            Target::Room(name) => (self.directory.seats(name), None),
            Target::Socket(id) => (&[][..], self.ids.get(&self.members, id)),
        };
        for index in seats.iter().map(|seat| seat.member).chain(member) {
            if let Some(member) = self.members.get_mut(index) {
                visit(member);
            }
        }
    }

    /// The names of the rooms a member is in, in no particular order.
    pub(crate) fn rooms(&self, key: MemberKey) -> Vec<Arc<str>> {
        let Some(member) = self.find(key) else {
            return Vec::new();
        };
        let rooms = member.joined.iter();
        let rooms = rooms.filter_map(|joined| self.directory.rooms.get(joined.room));
        rooms.map(|room| Arc::clone(&room.name)).collect()
    }

    /// How many rooms a member is in.
    pub(crate) fn room_count(&self, key: MemberKey) -> usize {
        self.find(key).map_or(0, |member| member.joined.len())
    }

    /// The member of that key.
    pub(crate) fn member(&self, key: MemberKey) -> Option<&M> {
        self.find(key).map(|member| &member.value)
    }

    #[cfg(test)]
    /// The member of that identifier.
    pub(crate) fn by_id(&self, id: &SocketId) -> Option<(MemberKey, &M)> {
        let index = self.ids.get(&self.members, id)?;
        let member = self.members.get(index)?;
        let serial = member.serial;
        Some((MemberKey { index, serial }, &member.value))
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        self.everyone.len()
    }

    #[cfg(test)]
    /// Whether anybody is in the room.
    pub(crate) fn has_room(&self, room: &str) -> bool {
        self.directory.names.contains_key(room)
    }

    fn find(&self, key: MemberKey) -> Option<&Member<M>> {
        let member = self.members.get(key.index)?;
        (member.serial == key.serial).then_some(member)
    }

    fn take_out(&mut self, key: MemberKey, room: &str) -> Option<()> {
        self.find(key)?;
        let room = *self.directory.names.get(room)?;
        let member = self.members.get_mut(key.index)?;
        let position = member.joined.position(room)?;
        let joined = member.joined.swap_remove(position)?;
        // The last entry of the list has moved here, so its seat must point here.
        if let Some(moved) = member.joined.get(position)
            && let Some(seat) = self.directory.seat_mut(moved)
        {
            seat.position = position;
        }
        self.unseat(joined)?;
        Some(())
    }

    /// Takes a seat out of its room and the room away with the last one; gives the room's name.
    fn unseat(&mut self, joined: Joined) -> Option<Arc<str>> {
        let room = self.directory.rooms.get_mut(joined.room)?;
        let name = Arc::clone(&room.name);
        swap_remove(&mut room.seats, joined.seat);
        // The last seat of the room has moved here, so its member must point here.
        if let Some(moved) = room.seats.get(slab::position(joined.seat)) {
            if let Some(member) = self.members.get_mut(moved.member) {
                member.joined.set_seat(moved.position, joined.seat);
            }
        } else if room.seats.is_empty() {
            self.directory.rooms.remove(joined.room);
            self.directory.names.remove(&name);
            give_back_map(&mut self.directory.names);
        }
        Some(name)
    }
}

#[derive(Debug)]
struct Member<M> {
    value: M,
    serial: u64,
    /// The last selection that came by.
    selected: u64,
    /// Where it is in `everyone`.
    position: u32,
    joined: JoinedRooms,
}

/// The rooms, and what finds them by name.
#[derive(Debug, Default)]
struct Directory {
    rooms: Slab<Room>,
    names: HashMap<Arc<str>, u32>,
}

#[derive(Debug)]
struct Room {
    name: Arc<str>,
    /// Never empty between calls.
    seats: Vec<Seat>,
}

/// A membership as the room sees it.
#[derive(Clone, Copy, Debug)]
struct Seat {
    member: u32,
    /// Where the room is in that member's list.
    position: u32,
}

impl Directory {
    fn seats(&self, name: &str) -> &[Seat] {
        let index = self.names.get(name);
        let room = index.and_then(|index| self.rooms.get(*index));
        room.map(|room| room.seats.as_slice()).unwrap_or_default()
    }

    fn room_or_new(&mut self, name: &str) -> u32 {
        if let Some(index) = self.names.get(name) {
            return *index;
        }
        let name: Arc<str> = name.into();
        let index = self.rooms.insert(Room {
            name: Arc::clone(&name),
            seats: Vec::new(),
        });
        self.names.insert(name, index);
        index
    }

    fn seat_mut(&mut self, joined: Joined) -> Option<&mut Seat> {
        let room = self.rooms.get_mut(joined.room)?;
        room.seats.get_mut(slab::position(joined.seat))
    }
}

/// Removes an entry in constant time; the last one takes its place.
fn swap_remove<T>(list: &mut Vec<T>, position: u32) -> Option<T> {
    let position = slab::position(position);
    if position >= list.len() {
        return None;
    }
    let removed = list.swap_remove(position);
    // What a crowd needed is given back once most of it has left. Halving pays for itself.
    if list.capacity() > SMALL && list.len() < list.capacity() / 4 {
        list.shrink_to(list.len().saturating_mul(2));
    }
    Some(removed)
}

/// The same for a map from which something was removed.
fn give_back_map<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > SMALL && map.len() < map.capacity() / 4 {
        map.shrink_to(map.len().saturating_mul(2));
    }
}

/// Capacities up to this one are kept.
const SMALL: usize = 64;

#[cfg(test)]
mod tests;
