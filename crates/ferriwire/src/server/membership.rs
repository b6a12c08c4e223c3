//! One socket without the type of its data: what rooms, broadcasts and acknowledgements need.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use ferriwire_proto::codec::Answer;
use ferriwire_proto::codec::args::{Arguments, OwnedArguments};
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::Revision;
use ferriwire_proto::packet::AckId;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::oneshot;

use super::answers::Collector;
use super::hub::{Data, Hub, check_room};
use super::listeners::Listeners;
use super::recovery::Tracking;
use super::rooms::MemberKey;
use crate::config::{Config, Limits};
use crate::engine::outbox::Push;
use crate::engine::{LimitKind, Session};
use crate::error::{AckError, EmitError, JoinError};
use crate::shown::shown;
use crate::socket_id::SocketId;

/// Memory that is larger is not kept for the next answer.
const MAX_SCRATCH: usize = 64 * 1024;

thread_local! {
    /// Where answers are encoded, so that none of them allocates.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[derive(Debug)]
pub(crate) struct Membership {
    id: SocketId,
    hub: Arc<Hub>,
    session: Session,
    key: OnceLock<MemberKey>,
    /// Read by anybody, but written only by whoever holds `pending`: a packet that depends on the
    /// state is queued under the same lock. Otherwise one that was delayed in between could stand
    /// behind the CONNECT of the next socket of that client in this namespace.
    state: AtomicU8,
    /// The rooms that it was in when it left, until everybody has been told.
    left: Mutex<Left>,
    pending: Mutex<Pending>,
    rare: OnceLock<Box<Rare>>,
}

/// Rooms that were left: one pointer, because few sockets are leaving.
type Left = Option<Box<Vec<Arc<str>>>>;

/// What there is between a socket and its client: nothing, most of the time.
type Pending = Option<Box<Owed>>;

#[derive(Debug)]
enum Owed {
    /// The acknowledgements that the client owes us.
    Acks(HashMap<AckId, Waiting>),
    /// The socket is not accepted yet.
    Prelude(Prelude),
}

/// What few sockets have.
#[derive(Debug, Default)]
struct Rare {
    /// What this socket listens to beside its namespace.
    listeners: OnceLock<Listeners>,
    /// Its session, if its client may come back.
    tracking: Option<Tracking>,
}

/// Who waits for an acknowledgement.
enum Waiting {
    One(oneshot::Sender<OwnedArguments>),
    /// It is one of the answers to a broadcast.
    Many(Collector),
}

impl fmt::Debug for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::One(_) => "One",
            Self::Many(_) => "Many",
        })
    }
}

/// What middleware does with a socket before it is accepted.
#[derive(Debug, Default)]
struct Prelude {
    messages: Vec<Arc<Encoded>>,
    /// In all messages.
    bytes: usize,
    rooms: Vec<Arc<str>>,
    acks: HashMap<AckId, Waiting>,
    /// The socket's data, which nobody else keeps yet.
    data: Option<Data>,
}

/// What is left to do when a socket was accepted.
pub(crate) struct Accepted {
    /// Its CONNECT packet, and what its client has missed.
    pub(crate) connect: Push,
    /// What its middleware sent.
    pub(crate) held: Vec<Push>,
    /// Which it joins at once.
    pub(crate) rooms: Vec<Arc<str>>,
}

/// How far a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// `auth` has decided for it, but its middleware has not.
    Joining,
    Connected,
    /// The server has taken it out; its connection does not know yet.
    Leaving,
    /// The same, and the whole connection shall be closed.
    LeavingWithConnection,
    /// Its client has come back on another connection.
    Superseded,
    Gone,
}

impl Membership {
    pub(crate) fn new(id: SocketId, hub: Arc<Hub>, session: Session) -> Self {
        Self {
            id,
            hub,
            session,
            key: OnceLock::new(),
            state: AtomicU8::new(State::Joining as u8),
            left: Mutex::new(None),
            pending: Mutex::new(Some(Box::new(Owed::Prelude(Prelude::default())))),
            rare: OnceLock::new(),
        }
    }

    /// The same, of a client that may come back.
    pub(crate) fn tracked(mut self, tracking: Tracking) -> Self {
        let rare = Rare {
            tracking: Some(tracking),
            ..Rare::default()
        };
        self.rare = OnceLock::from(Box::new(rare));
        self
    }

    pub(crate) fn tracking(&self) -> Option<&Tracking> {
        self.rare.get()?.tracking.as_ref()
    }

    pub(crate) fn id(&self) -> &SocketId {
        &self.id
    }

    /// Its id as logs may show it. One that a client of revision 3 derives from that of its session is
    /// as secret as that.
    pub(crate) fn shown_id(&self) -> impl fmt::Display {
        fmt::from_fn(|f| match self.session.request().revision() {
            Revision::V3 => write!(f, "{}#{:?}", shown(self.hub.name()), self.session.id()),
            Revision::V4 => write!(f, "{}", shown(&self.id)),
        })
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn config(&self) -> &Config {
        self.session.config()
    }

    pub(crate) fn key(&self) -> Option<MemberKey> {
        self.key.get().copied()
    }

    /// The socket is accepted. Queues its CONNECT packet, behind it what its client has missed, and then
    /// what was held.
    pub(crate) fn accept(
        &self,
        key: MemberKey,
        connect: &Arc<Encoded>,
        missed: &[Arc<Encoded>],
        stamp: &mut dyn FnMut(Arc<Encoded>) -> Arc<Encoded>,
    ) -> Accepted {
        let mut pending = self.pending.lock();
        // Set once, here.
        let _ = self.key.set(key);
        self.state.store(State::Connected as u8, Ordering::Release);
        let prelude = match pending.take().map(|owed| *owed) {
            Some(Owed::Prelude(prelude)) => prelude,
            Some(Owed::Acks(_)) | None => Prelude::default(),
        };
        *pending = (!prelude.acks.is_empty()).then(|| Box::new(Owed::Acks(prelude.acks)));
        let push = |message: &Arc<Encoded>| self.session.push_quietly(message, false);
        let connect = push(connect);
        let replay = |push: Push, message| push.and(self.session.promise_quietly(message));
        Accepted {
            connect: missed.iter().fold(connect, replay),
            held: prelude
                .messages
                .into_iter()
                .map(|message| push(&stamp(message)))
                .collect(),
            rooms: prelude.rooms,
        }
    }

    /// The socket is not accepted, if it has not been: nothing of what its middleware did remains.
    pub(crate) fn abandon(&self) {
        let mut pending = self.pending.lock();
        if self.state() == State::Joining {
            self.state.store(State::Gone as u8, Ordering::Release);
            let ended = pending.take();
            // Tells those who wait, outside the lock.
            drop(pending);
            drop(ended);
            self.drop_listeners();
        }
    }

    /// Middleware begins to see the socket, with this data.
    pub(crate) fn present(&self, data: Data) {
        if let Some(prelude) = prelude(&mut self.pending.lock()) {
            prelude.data = Some(data);
        }
    }

    /// Its data, as long as it is not accepted.
    pub(crate) fn joining_data(&self) -> Option<Data> {
        prelude(&mut self.pending.lock())?.data.clone()
    }

    pub(crate) fn listeners(&self) -> Option<&Listeners> {
        self.rare.get()?.listeners.get()
    }

    pub(crate) fn listeners_or_new(&self) -> &Listeners {
        let mut made = false;
        let listeners = self
            .rare
            .get_or_init(Box::default)
            .listeners
            .get_or_init(|| {
                made = true;
                Listeners::default()
            });
        if made {
            // Whoever ends the socket sees them, or is seen here, because both take this lock.
            let gone = {
                let _state = self.pending.lock();
                self.state() == State::Gone
            };
            if gone {
                self.drop_listeners();
            }
        }
        listeners
    }

    /// The socket's own listeners, and what they hold, are not needed any more.
    pub(crate) fn drop_listeners(&self) {
        if let Some(listeners) = self.listeners() {
            let observers = listeners.close();
            self.hub.observers().fetch_sub(observers, Ordering::Relaxed);
        }
    }

    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Joining,
            1 => State::Connected,
            2 => State::Leaving,
            3 => State::LeavingWithConnection,
            4 => State::Superseded,
            _ => State::Gone,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state() == State::Connected
    }

    /// Whether a message would be queued, or held until the socket is accepted.
    pub(crate) fn takes_messages(&self) -> bool {
        matches!(self.state(), State::Joining | State::Connected)
    }

    /// Queues a message for this socket alone.
    pub(crate) fn push(&self, message: Encoded, volatile: bool) -> Result<(), EmitError> {
        if self.state() == State::Joining
            && let Some(prelude) = prelude(&mut self.pending.lock())
        {
            let limit = self.config().limits.max_buffered;
            // The client can take nothing now.
            return if volatile {
                Ok(())
            } else {
                prelude.hold(Arc::new(message), limit)
            };
        }
        if message.has_slot()
            && let Some(recovery) = self.hub.recovery()
        {
            return recovery.send(self, message, volatile);
        }
        let push = {
            let _state = self.pending.lock();
            if !self.is_connected() {
                return Err(EmitError::Disconnected);
            }
            self.session.push_own(message, volatile)
        };
        self.session.complete_push(push)
    }

    /// Answers an event of this socket's client.
    pub(crate) fn answer<A: Serialize + ?Sized>(
        &self,
        id: AckId,
        answer: &A,
    ) -> Result<(), EmitError> {
        // Taken out while in use: the program's type may answer something itself.
        let mut scratch = SCRATCH.take();
        let push = match self.hub.encode_answer(&mut scratch, id, answer) {
            Ok(Answer::Frame(start)) => self.push_frame(scratch.get(start..).unwrap_or_default()),
            Ok(Answer::Message(message)) => {
                keep_scratch(scratch);
                return self.push(message, false);
            }
            Err(error) => return Err(error.into()),
        };
        keep_scratch(scratch);
        self.session.complete_push(push)
    }

    /// Queues a frame. The caller completes the push.
    fn push_frame(&self, frame: &[u8]) -> Push {
        let _state = self.pending.lock();
        if !self.is_connected() {
            return Push::Disconnected;
        }
        self.session.push_frame(frame)
    }

    /// Makes a message and queues it, if the socket is connected. The caller completes the push.
    pub(crate) fn queue(
        &self,
        volatile: bool,
        message: impl FnOnce() -> Arc<Encoded>,
    ) -> Result<Push, EmitError> {
        let _state = self.pending.lock();
        if !self.is_connected() {
            return Err(EmitError::Disconnected);
        }
        Ok(self.session.push_quietly(&message(), volatile))
    }

    /// How many bytes its middleware has sent that wait until it is accepted.
    pub(crate) fn held_bytes(&self) -> usize {
        prelude(&mut self.pending.lock()).map_or(0, |prelude| prelude.bytes)
    }

    pub(crate) fn join(&self, room: &str) -> Result<(), JoinError> {
        let joined = self.try_join(room);
        // No lock is held here.
        match joined {
            Err(JoinError::TooManyRooms(_)) => self.session.limited(LimitKind::Rooms),
            Err(JoinError::NameTooLong(..)) => self.session.limited(LimitKind::RoomName),
            Ok(()) | Err(JoinError::Disconnected) => {}
        }
        joined
    }

    fn try_join(&self, room: &str) -> Result<(), JoinError> {
        let limits = &self.config().limits;
        if self.state() == State::Joining
            && let Some(prelude) = prelude(&mut self.pending.lock())
        {
            let kept = self.tracking().map_or(0, Tracking::kept_rooms);
            return prelude.join(room, kept, limits);
        }
        self.hub.join(self, room, limits)
    }

    pub(crate) fn leave(&self, room: &str) {
        if self.state() == State::Joining
            && let Some(prelude) = prelude(&mut self.pending.lock())
        {
            prelude.rooms.retain(|joined| **joined != *room);
            return;
        }
        self.hub.leave(self, room);
    }

    /// Takes the socket out of its namespace, and tells its client.
    pub(crate) fn disconnect(&self, and_connection: bool) {
        let leaving = if and_connection {
            State::LeavingWithConnection
        } else {
            State::Leaving
        };
        if !self.is_connected() {
            return;
        }
        // Whoever was sent away does not come back as who it was.
        self.depart(false);
        // First, so that no broadcast comes behind the farewell.
        self.leave_rooms();
        let farewell = self.hub.encode_disconnect();
        let push = {
            let _state = self.pending.lock();
            if !self.is_connected() {
                return;
            }
            let push = farewell.map(|farewell| self.session.push_quietly(&farewell, false));
            // Whoever sees that it is leaving finds the farewell in the queue.
            self.state.store(leaving as u8, Ordering::Release);
            push
        };
        // Before it is written, because the client may come back as soon as it has read it.
        self.session.call_attention();
        // A client that has gone needs no farewell.
        let _ = push.map(|push| self.session.complete_push(push));
    }

    /// The socket is about to leave, and its client may come back or not.
    pub(crate) fn depart(&self, may_come_back: bool) {
        if let Some(recovery) = self.hub.recovery() {
            recovery.depart(self, may_come_back);
        }
    }

    /// Its client has come back on another connection: it gets a farewell, so that it does not try
    /// to come back itself. For a caller that holds a lock.
    pub(crate) fn begin_superseded(&self, farewell: Option<&Arc<Encoded>>) -> Option<Push> {
        self.leave_rooms_quietly();
        let _state = self.pending.lock();
        if !self.is_connected() {
            return None;
        }
        let push = farewell.map(|farewell| self.session.push_quietly(farewell, false));
        self.state.store(State::Superseded as u8, Ordering::Release);
        push
    }

    /// The same without the lock.
    pub(crate) fn end_superseded(&self, push: Option<Push>) {
        self.session.call_attention();
        // A client that has gone needs no farewell.
        let _ = push.map(|push| self.session.complete_push(push));
    }

    /// Takes the socket out of all rooms, and remembers them until [`end`](Self::end).
    fn leave_rooms(&self) {
        self.leave_rooms_quietly();
        self.hub.tell_room_events();
    }

    /// The same for a caller that holds a lock, and tells the namespace later.
    fn leave_rooms_quietly(&self) {
        // Locked before, so that whoever comes second finds them.
        let mut left = self.left.lock();
        if let Some(rooms) = self.hub.remove(self) {
            *left = (!rooms.is_empty()).then(|| Box::new(rooms));
        }
    }

    /// The rooms that it is in, or was in when it began to leave.
    pub(crate) fn rooms(&self) -> Vec<Arc<str>> {
        if self.state() == State::Joining
            && let Some(prelude) = prelude(&mut self.pending.lock())
        {
            return prelude.rooms.clone();
        }
        let left = self.left.lock();
        match &*left {
            Some(rooms) => rooms.to_vec(),
            None => self.hub.rooms_of(self),
        }
    }

    /// The socket leaves: nothing is sent to it any more, but its rooms are still known.
    pub(crate) fn begin_end(&self) {
        {
            let _state = self.pending.lock();
            self.state.store(State::Gone as u8, Ordering::Release);
        }
        self.leave_rooms();
    }

    /// The socket has left, and everybody who waits for its answer is told.
    pub(crate) fn end(&self) {
        drop(self.left.lock().take());
        // From now on nobody is asked, because the socket has gone.
        let owed = self.pending.lock().take().map(|owed| *owed);
        // Those who wait are told outside the lock: of one socket's by the end of the channel.
        if let Some(Owed::Acks(acks)) = owed {
            for waiting in acks.into_values() {
                if let Waiting::Many(collector) = waiting {
                    collector(&self.id, Err(AckError::Disconnected));
                }
            }
        }
    }

    /// Enters an acknowledgement that is about to be asked for.
    pub(crate) fn expect_ack(
        &self,
        id: AckId,
    ) -> Result<oneshot::Receiver<OwnedArguments>, AckError> {
        let (sender, receiver) = oneshot::channel();
        self.enter_ack(id, Waiting::One(sender))?;
        Ok(receiver)
    }

    /// The same for a broadcast, whose answers are collected.
    pub(crate) fn expect_answer(&self, id: AckId, collector: &Collector) -> Result<(), AckError> {
        self.enter_ack(id, Waiting::Many(Arc::clone(collector)))
    }

    fn enter_ack(&self, id: AckId, waiting: Waiting) -> Result<(), AckError> {
        let entered = self.try_enter_ack(id, waiting);
        // No lock is held here.
        if let Err(AckError::TooManyPending(_)) = entered {
            self.session.limited(LimitKind::PendingAcks);
        }
        entered
    }

    fn try_enter_ack(&self, id: AckId, waiting: Waiting) -> Result<(), AckError> {
        let limit = self.config().limits.max_pending_acks;
        let mut pending = self.pending.lock();
        if self.state() == State::Gone {
            return Err(AckError::Disconnected);
        }
        let asked = pending.as_deref_mut().map_or(0, |owed| owed.acks().len());
        if asked >= limit {
            return Err(AckError::TooManyPending(limit));
        }
        let owed = pending.get_or_insert_with(|| Box::new(Owed::Acks(HashMap::new())));
        owed.acks().insert(id, waiting);
        Ok(())
    }

    /// Nobody waits for this acknowledgement any more. `false` when it has been given, or never will.
    pub(crate) fn forget_ack(&self, id: AckId) -> bool {
        self.take_ack(id).is_some()
    }

    /// Hands an acknowledgement to whoever waits for it. `false` when nobody does: it was not
    /// asked for, was given twice, or came too late.
    pub(crate) fn handle_ack(&self, id: AckId, arguments: Arguments<'_>) -> bool {
        match self.take_ack(id) {
            Some(Waiting::One(waiting)) => waiting.send(arguments.to_owned()).is_ok(),
            Some(Waiting::Many(collector)) => {
                collector(&self.id, Ok(arguments.to_owned()));
                true
            }
            None => false,
        }
    }

    fn take_ack(&self, id: AckId) -> Option<Waiting> {
        let mut pending = self.pending.lock();
        let owed = pending.as_deref_mut()?;
        let waiting = owed.acks().remove(&id);
        if matches!(owed, Owed::Acks(acks) if acks.is_empty()) {
            *pending = None;
        }
        waiting
    }
}

/// Where the next answer is encoded.
fn keep_scratch(scratch: Vec<u8>) {
    if scratch.capacity() <= MAX_SCRATCH {
        SCRATCH.set(scratch);
    }
}

/// What middleware has done, as long as the socket is not accepted.
fn prelude(pending: &mut Pending) -> Option<&mut Prelude> {
    match pending.as_deref_mut()? {
        Owed::Prelude(prelude) => Some(prelude),
        Owed::Acks(_) => None,
    }
}

impl Owed {
    fn acks(&mut self) -> &mut HashMap<AckId, Waiting> {
        match self {
            Self::Acks(acks) => acks,
            Self::Prelude(prelude) => &mut prelude.acks,
        }
    }
}

impl Prelude {
    fn hold(&mut self, message: Arc<Encoded>, max_bytes: usize) -> Result<(), EmitError> {
        let bytes = self.bytes.saturating_add(message.len());
        // As in the outbox, one message may be of any size when nothing else waits.
        if bytes > max_bytes && !self.messages.is_empty() {
            return Err(EmitError::Full);
        }
        self.bytes = bytes;
        self.messages.push(message);
        Ok(())
    }

    /// `kept` is in how many rooms the socket will be anyway.
    fn join(&mut self, room: &str, kept: usize, limits: &Limits) -> Result<(), JoinError> {
        check_room(room, limits)?;
        let max_rooms = limits.max_rooms_per_socket;
        if self.rooms.iter().any(|joined| **joined == *room) {
            return Ok(());
        }
        if self.rooms.len().saturating_add(kept) >= max_rooms {
            return Err(JoinError::TooManyRooms(max_rooms));
        }
        self.rooms.push(room.into());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With 16 bytes of its `Arc`.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_membership_fits_into_128_bytes() {
        let size = size_of::<Membership>();
        assert!(size <= 128 - 16, "{size}");
    }
}
