//! A namespace without the type of its sockets' data: members, rooms, acknowledgement ids.
//!
//! Members are split over shards by connection, and there is one lock per shard. It is held while
//! receivers are selected and the ready packet is pushed into their outboxes, never while encoding,
//! writing or waiting.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use ferriwire_proto::codec::{Answer, Codec, EncodeError, MAX_DEPTH, to_args};
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::packet::AckId;
use parking_lot::Mutex;
use serde::Serialize;

use super::hooks::Hooks;
use super::membership::{Accepted, Membership};
use super::namespaces::Counters;
use super::recovery::Recovery;
use super::room_events::Census;
use super::rooms::{Identified, Rooms, Target};
use super::seat::Child;
use crate::cluster::node::Node;
use crate::config::Limits;
use crate::engine::outbox::Push;
use crate::engine::{LimitKind, Session};
use crate::error::JoinError;
use crate::shown::shown;
use crate::socket_id::SocketId;

pub(crate) struct Hub {
    name: Arc<str>,
    /// Chosen when the server starts. Nobody is in the namespace before that.
    codec: OnceLock<(Codec, usize)>,
    /// For clients that come back, if the server is configured so.
    recovery: OnceLock<Box<Recovery>>,
    /// The other servers, if there can be any. Set together with the codec.
    cluster: OnceLock<Arc<Node>>,
    shards: Box<[Mutex<Rooms<Member>>]>,
    next_ack: AtomicU64,
    /// Not owned: a program may keep handles in what its handlers own.
    hooks: Weak<dyn Hooks>,
    /// Whether the namespace declares listeners that see what is sent.
    watched: bool,
    /// Present when the namespace wants to know what happens to its rooms.
    census: Option<Box<Census>>,
    /// How many listeners of single sockets want to see what is sent.
    observers: AtomicUsize,
    /// Of all namespaces of the server.
    counters: Arc<Counters>,
    /// Present in the children of dynamic namespaces.
    child: Option<Box<Child>>,
}

/// What a broadcast needs of a member.
struct Member {
    session: Session,
    membership: Arc<Membership>,
    /// The socket's data, for whoever knows its type.
    data: Data,
}

impl Identified for Member {
    fn id(&self) -> &SocketId {
        self.membership.id()
    }
}

/// A new member: what is left to be done without a lock.
pub(crate) struct Inserted(pub(super) Accepted);

impl Inserted {
    pub(crate) fn complete(self, hub: &Hub, session: &Session) {
        hub.tell_room_events();
        for push in [self.0.connect].into_iter().chain(self.0.held) {
            // A client that has gone is dealt with by its own task.
            let _ = session.complete_push(push);
        }
    }
}

/// The data of a socket, without its type.
pub(crate) type Data = Arc<dyn Any + Send + Sync>;

impl Hub {
    pub(crate) fn new(
        name: &str,
        shards: usize,
        hooks: Arc<dyn Hooks>,
        counters: Arc<Counters>,
        child: Option<Box<Child>>,
    ) -> Self {
        Self {
            name: name.into(),
            codec: OnceLock::new(),
            recovery: OnceLock::new(),
            cluster: OnceLock::new(),
            shards: (0..shards.max(1))
                .map(|_| Mutex::new(Rooms::new()))
                .collect(),
            next_ack: AtomicU64::new(0),
            watched: hooks.sees_outgoing(),
            census: hooks.sees_rooms().then(Box::default),
            hooks: Arc::downgrade(&hooks),
            observers: AtomicUsize::new(0),
            counters,
            child,
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What packets are written in, and how deep payloads may be nested.
    pub(crate) fn set_codec(&self, codec: &Codec, max_depth: usize) {
        // Set once: a server starts once.
        let _ = self.codec.set((codec.clone(), max_depth));
    }

    pub(crate) fn set_recovery(&self, recovery: Recovery) {
        // Set once: a server starts once.
        let _ = self.recovery.set(Box::new(recovery));
    }

    pub(crate) fn recovery(&self) -> Option<&Recovery> {
        self.recovery.get().map(|recovery| &**recovery)
    }

    pub(crate) fn set_cluster(&self, node: &Arc<Node>) {
        let _ = self.cluster.set(Arc::clone(node));
    }

    pub(crate) fn cluster(&self) -> Option<&Arc<Node>> {
        self.cluster.get()
    }

    fn codec(&self) -> (&Codec, usize) {
        let set = self.codec.get();
        set.map_or((&Codec::Json, MAX_DEPTH), |(codec, depth)| (codec, *depth))
    }

    pub(crate) fn encode_event<P: Serialize + ?Sized>(
        &self,
        id: Option<AckId>,
        name: &str,
        payload: &P,
    ) -> Result<Encoded, EncodeError> {
        let (codec, max_depth) = self.codec();
        if id.is_none() && self.recovery().is_some() {
            return codec.encode_stamped_event(&self.name, name, payload, max_depth);
        }
        codec.encode_event(&self.name, id, name, payload, max_depth)
    }

    /// Encodes the answer to an event in memory that is used again.
    #[inline]
    pub(crate) fn encode_answer<P: Serialize + ?Sized>(
        &self,
        scratch: &mut Vec<u8>,
        id: AckId,
        payload: &P,
    ) -> Result<Answer, EncodeError> {
        let (codec, max_depth) = self.codec();
        codec.encode_answer(scratch, &self.name, id, payload, max_depth)
    }

    pub(crate) fn encode_connect<P: Serialize + ?Sized>(
        &self,
        payload: &P,
    ) -> Result<Encoded, EncodeError> {
        let (codec, max_depth) = self.codec();
        codec.encode_connect(&self.name, payload, max_depth)
    }

    /// The farewell of a socket that is taken out; nothing when the codec cannot write one.
    pub(crate) fn encode_disconnect(&self) -> Option<Arc<Encoded>> {
        match self.codec().0.encode_disconnect(&self.name) {
            Ok(farewell) => Some(Arc::new(farewell)),
            Err(error) => {
                tracing::error!(namespace = %shown(&self.name), %error, "a DISCONNECT packet cannot be written");
                None
            }
        }
    }

    /// A key that no event of another namespace has: clients have one queue for all of theirs.
    pub(crate) fn conflation_key(&self, key: &str) -> Arc<str> {
        format!("{} {key}", self.name).into()
    }

    pub(crate) fn child(&self) -> Option<&Child> {
        self.child.as_deref()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// One counter for all sockets, so that a broadcast with acknowledgement is one frame.
    pub(crate) fn next_ack(&self) -> AckId {
        AckId(self.next_ack.fetch_add(1, Ordering::Relaxed))
    }

    /// What the namespace declared, as long as it is served.
    pub(crate) fn hooks(&self) -> Option<Arc<dyn Hooks>> {
        self.hooks.upgrade()
    }

    pub(crate) fn observers(&self) -> &AtomicUsize {
        &self.observers
    }

    /// Whether anybody wants to see what is sent.
    pub(crate) fn is_observed(&self) -> bool {
        self.watched || self.observers.load(Ordering::Relaxed) > 0
    }

    /// Shows what was sent to these sockets to whoever wants to see it. The caller holds no lock.
    pub(crate) fn show_outgoing<P: Serialize + ?Sized>(
        &self,
        receivers: &[Arc<Membership>],
        name: &str,
        payload: &P,
    ) {
        let Ok(args) = to_args(payload) else {
            // Only a payload that serialises differently each time.
            return tracing::error!(event = %shown(name), "the event cannot be shown");
        };
        let hooks = self.hooks().filter(|_| self.watched);
        for receiver in receivers {
            if let Some(hooks) = &hooks
                && let Some(data) = self.data_of(receiver)
            {
                hooks.show_outgoing(receiver, &data, name, &args);
            }
            if let Some(listeners) = receiver.listeners() {
                listeners.show_outgoing(receiver, name, &args);
            }
        }
    }

    fn data_of(&self, membership: &Membership) -> Option<Data> {
        if membership.key().is_none()
            && let Some(data) = membership.joining_data()
        {
            return Some(data);
        }
        let key = membership.key()?;
        let rooms = self.shard(membership.session()).lock();
        rooms.member(key).map(|member| Arc::clone(&member.data))
    }

    /// Makes the socket a member, with its CONNECT packet in front of anything that a broadcast
    /// may send it, and of what its middleware has sent; and puts it into the rooms that its
    /// middleware had it join.
    pub(crate) fn admit(&self, membership: &Arc<Membership>, data: Data, connect: &Arc<Encoded>) {
        self.insert(membership, data, connect, &[], &[], &mut |message| message)
            .complete(self, membership.session());
    }

    /// The same with rooms, and with what the client has missed behind the CONNECT packet, for a caller
    /// that holds a lock and completes it without; `stamp` sees what middleware has sent.
    pub(crate) fn insert(
        &self,
        membership: &Arc<Membership>,
        data: Data,
        connect: &Arc<Encoded>,
        kept: &[Arc<str>],
        missed: &[Arc<Encoded>],
        stamp: &mut dyn FnMut(Arc<Encoded>) -> Arc<Encoded>,
    ) -> Inserted {
        let session = membership.session();
        let accepted = {
            let mut rooms = self.shard(session).lock();
            let member = Member {
                session: session.clone(),
                membership: Arc::clone(membership),
                data,
            };
            let key = rooms.insert(member);
            let mut accepted = membership.accept(key, connect, missed, stamp);
            let max_rooms = membership.config().limits.max_rooms_per_socket;
            let mut join = |room: &str| {
                // The earlier holder of the session may have joined rooms while middleware did.
                if rooms.room_count(key) >= max_rooms {
                    tracing::debug!(socket = %membership.shown_id(), max_rooms, "a room of middleware is too many");
                    session.shard().counters().reached(LimitKind::Rooms);
                    return false;
                }
                if rooms.join(key, room)
                    && let Some(census) = &self.census
                {
                    census.joined(room, membership.id());
                }
                true
            };
            for room in kept {
                join(room);
            }
            accepted.rooms.retain(|room| join(room));
            accepted
        };
        Inserted(accepted)
    }

    /// Ends a membership, and returns the rooms that it was in; `None` when it had ended before. The
    /// caller tells the namespace of them when it holds no lock any more.
    pub(crate) fn remove(&self, membership: &Membership) -> Option<Vec<Arc<str>>> {
        let key = membership.key()?;
        let mut rooms = self.shard(membership.session()).lock();
        let (_, left) = rooms.remove(key)?;
        if let Some(census) = &self.census {
            left.iter()
                .for_each(|room| census.left(room, membership.id()));
        }
        Some(left)
    }

    /// Tells the namespace what has happened to its rooms, if it wants to know. The caller holds no
    /// lock.
    pub(crate) fn tell_room_events(&self) {
        if let Some(census) = &self.census
            && let Some(hooks) = self.hooks()
        {
            census.tell(&self.name, &*hooks);
        }
    }

    pub(crate) fn join(
        &self,
        membership: &Membership,
        room: &str,
        limits: &Limits,
    ) -> Result<(), JoinError> {
        check_room(room, limits)?;
        let max_rooms = limits.max_rooms_per_socket;
        let key = membership.key().ok_or(JoinError::Disconnected)?;
        let mut recovery = self.recovery().map(Recovery::lock_rooms);
        let mut rooms = self.shard(membership.session()).lock();
        if rooms.member(key).is_none() {
            return Err(JoinError::Disconnected);
        }
        let full = rooms.room_count(key) >= max_rooms;
        if full && !rooms.rooms(key).iter().any(|joined| **joined == *room) {
            return Err(JoinError::TooManyRooms(max_rooms));
        }
        let joined = rooms.join(key, room);
        if joined && let Some(census) = &self.census {
            census.joined(room, membership.id());
        }
        if let Some(recovery) = &mut recovery {
            recovery.joined(membership, room);
        }
        drop(rooms);
        drop(recovery);
        self.tell_room_events();
        Ok(())
    }

    pub(crate) fn leave(&self, membership: &Membership, room: &str) {
        let Some(key) = membership.key() else { return };
        let mut recovery = self.recovery().map(Recovery::lock_rooms);
        let mut rooms = self.shard(membership.session()).lock();
        let left = rooms.leave(key, room);
        if left && let Some(census) = &self.census {
            census.left(room, membership.id());
        }
        if let Some(recovery) = recovery.as_mut().filter(|_| left) {
            recovery.left(membership, room);
        }
        drop(rooms);
        drop(recovery);
        self.tell_room_events();
    }

    pub(crate) fn rooms_of(&self, membership: &Membership) -> Vec<Arc<str>> {
        let Some(key) = membership.key() else {
            return Vec::new();
        };
        self.shard(membership.session()).lock().rooms(key)
    }

    /// How many sockets are in the namespace.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Sends an event, which was encoded by [`encode_event`](Self::encode_event) without an
    /// acknowledgement, to all that are addressed, and tells `receiver` of each.
    pub(crate) fn send(
        &self,
        to: &[Target],
        except: &[Target],
        message: Encoded,
        volatile: bool,
        receiver: &mut dyn FnMut(&Arc<Membership>),
    ) {
        match self.recovery() {
            Some(recovery) => recovery.broadcast(self, to, except, message, volatile, receiver),
            None => self.broadcast(to, except, &Arc::new(message), volatile, |membership| {
                receiver(membership);
                true
            }),
        }
    }

    /// Queues a message for all that are addressed, each once, but for those to whom `receiver`,
    /// asked before, says `false`.
    pub(crate) fn broadcast(
        &self,
        to: &[Target],
        except: &[Target],
        message: &Arc<Encoded>,
        volatile: bool,
        mut receiver: impl FnMut(&Arc<Membership>) -> bool,
    ) {
        for session in self.push_to_selected(to, except, message, volatile, &mut receiver) {
            let _ = session.flush_now();
        }
    }

    /// The same for a caller that holds a lock: returns who has to be flushed at once.
    pub(crate) fn push_to_selected(
        &self,
        to: &[Target],
        except: &[Target],
        message: &Arc<Encoded>,
        volatile: bool,
        receiver: &mut dyn FnMut(&Arc<Membership>) -> bool,
    ) -> Vec<Session> {
        let mut full = Vec::new();
        for shard in &self.shards {
            shard.lock().select(to, except, |member| {
                if !receiver(&member.membership) {
                    return;
                }
                let push = member.session.push_quietly(message, volatile);
                if push == Push::NeedsFlushNow {
                    full.push(member.session.clone());
                } else {
                    // Who is gone, or reads too slowly, is dealt with by its own task.
                    let _ = member.session.complete_push(push);
                }
            });
        }
        full
    }

    /// All addressed sockets with their data.
    pub(crate) fn select(&self, to: &[Target], except: &[Target]) -> Vec<(Arc<Membership>, Data)> {
        let mut selected = Vec::new();
        for shard in &self.shards {
            shard.lock().select(to, except, |member| {
                selected.push((Arc::clone(&member.membership), Arc::clone(&member.data)));
            });
        }
        selected
    }

    fn shard(&self, session: &Session) -> &Mutex<Rooms<Member>> {
        // Servers and their namespaces have the same number of shards; the remainder keeps a
        // difference harmless.
        &self.shards[session.shard().index() % self.shards.len()]
    }
}

pub(crate) fn check_room(name: &str, limits: &Limits) -> Result<(), JoinError> {
    let (len, limit) = (name.len(), limits.max_room_name);
    if len > limit {
        return Err(JoinError::NameTooLong(len, limit));
    }
    Ok(())
}

impl fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Hub").field(&self.name).finish()
    }
}
