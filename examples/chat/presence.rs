//! Who is in which room, and who types there. A change is told to the room while the lock is held (an
//! `emit` only queues), so that the last `here` which a page hears is the true one.
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ferriwire::{Event, HandlerError, Socket};

const ROOMS: [&str; 3] = ["lobby", "rust", "random"];
const HERE: Event<(String, BTreeSet<String>)> = Event::new("here"); // (room, names)
const TYPING: Event<(String, String, bool)> = Event::new("typing"); // (room, name, on)

/// A room, a name and a socket: somebody may be in a room with two windows.
type Seat = (String, String, String);

static SEATS: Mutex<BTreeSet<Seat>> = Mutex::new(BTreeSet::new());

/// Joins a room and tells everyone in it, the newcomer included.
pub(crate) fn enter(socket: &Socket<String>, room: &str) -> Result<(), HandlerError> {
    if !ROOMS.contains(&room) {
        return Err(HandlerError::refuse("there is no such room"));
    }
    socket.join(room)?;
    let mut seats = seats();
    seats.insert(seat(socket, room));
    let names = names(&seats, room);
    socket.emit(HERE, (room, &names))?;
    Ok(socket.to(room).emit(HERE, (room, &names))?)
}

/// Leaves a room and tells those who stay.
pub(crate) fn leave(socket: &Socket<String>, room: &str) -> Result<(), HandlerError> {
    let mut seats = seats();
    if seats.remove(&seat(socket, room)) {
        socket.to(room).emit(HERE, (room, &names(&seats, room)))?;
        socket.leave(room);
    }
    Ok(())
}

/// Frees the seats of a socket that is gone.
pub(crate) fn leave_all(socket: &Socket<String>) {
    for room in ROOMS {
        // The socket cannot be told any more; the others were.
        drop(leave(socket, room));
    }
}

/// Tells the others in the room; whoever is slow to read may miss it.
pub(crate) fn typing(
    socket: &Socket<String>,
    (room, on): (String, bool),
) -> Result<(), HandlerError> {
    check(socket, &room)?;
    let others = socket.to(&room).volatile();
    Ok(others.emit(TYPING, (&room, socket.data(), on))?)
}

/// Refuses those who are not in the room.
pub(crate) fn check(socket: &Socket<String>, room: &str) -> Result<(), HandlerError> {
    if !seats().contains(&seat(socket, room)) {
        return Err(HandlerError::refuse("join the room first"));
    }
    Ok(())
}

fn seat(socket: &Socket<String>, room: &str) -> Seat {
    (
        room.to_owned(),
        socket.data().clone(),
        socket.id().to_string(),
    )
}

fn names(seats: &BTreeSet<Seat>, room: &str) -> BTreeSet<String> {
    let here = seats.iter().filter(|(each, ..)| each == room);
    here.map(|(_, name, _)| name.clone()).collect()
}

fn seats() -> MutexGuard<'static, BTreeSet<Seat>> {
    SEATS.lock().unwrap_or_else(PoisonError::into_inner)
}
