//! The client side of Socket.IO: several namespaces over one session after the other (1.3.2, 1.3.3).
//!
//! ```text
//!               join()               handle_opened()           send_connect()
//!   +----------+      +---------+                   +--------+               +---------+
//!   | Inactive |----->| Waiting |------------------>| Asking |-------------->| Joining |
//!   +----------+      +---------+                   +--------+               +---------+
//!        ^                 ^    session closed           |                     |  |  CONNECT
//!        |                 +-----------------------------+---------------------+  v
//!        |                 |                                                 +--------+
//!        |                 +-------------------------------------------------| Joined |
//!        |     leave(), DISCONNECT, CONNECT_ERROR                            +--------+
//!        +---------------------- from everywhere ----------------------------+
//! ```
//!
//! A namespace is joined anew with every session, until it is left. What identifies the client
//! (`auth`) is made for each attempt, so the driver is asked for the CONNECT packet and may take its
//! time. Events may come before the answer to it; they are kept, within bounds.
//!
//! Packets for namespaces that are not joined are ignored, as the reference does: they may have been on
//! the way. What cannot be read ends the session, and the next one begins with a new decoder.

mod answers;
mod early;
mod offset;
mod outgoing;
mod socket;
#[cfg(test)]
mod tests;
mod violation;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::ConnectionTimeout;
use super::namespaces::Key;
use crate::codec::{Arguments, Codec, Decoded, Decoder, Limits, Payload};
use crate::engine::Message;
use crate::packet::{AckId, Packet};
use crate::value::Object;

use self::socket::{Socket, State};

pub use self::answers::Answers;
pub use self::early::EarlyEvent;
pub use self::outgoing::{Emission, Emitted, LaneConfig, Outgoing};
pub use self::violation::Violation;

/// The limits of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What one packet of the server may be.
    pub limits: Limits,
    /// How long the server may take to answer a CONNECT packet. Behind it a session on which no namespace is
    /// joined is given up; on others it is [told](Output::Late) and waited for on. Default: 45 s; the
    /// reference waits for ever.
    pub connect_timeout: Duration,
    /// How long the attachments of one packet may take. Default: 10 s; the reference waits for ever.
    pub attachments_timeout: Duration,
    /// How many bytes of events are kept that come before the answer to CONNECT, in each namespace.
    /// Default: 1 MiB; unlimited in the reference.
    pub max_early: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            connect_timeout: Duration::from_secs(45),
            attachments_timeout: Duration::from_secs(10),
            max_early: 1024 * 1024,
        }
    }
}

/// The namespaces of one client.
///
/// Its methods are, in this order: questions, inputs from the network, commands, outputs. The
/// [contract of every state machine](crate#the-contract-of-every-state-machine) holds.
#[derive(Debug)]
pub struct Client {
    config: Config,
    codec: Codec,
    /// While there is a session.
    decoder: Option<Decoder>,
    /// By key. There are few, so they are searched one by one.
    sockets: Vec<Option<Socket>>,
    /// The server speaks Socket.IO 4: then this is the id of the session, or empty without one.
    protocol_4: Option<Box<str>>,
    /// While attachments are missing.
    attachments_deadline: Option<Instant>,
    /// Nothing is read since then.
    paused: Option<Instant>,
    /// What took too long, until the driver knows.
    expired: Option<ConnectionTimeout>,
}

/// What a server did.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// A namespace is joined. Behind this, [`Client::take_early`] has what came before.
    Connected {
        /// Which one.
        key: Key,
        /// The server has kept the session, and what was missed comes.
        recovered: bool,
    },
    /// The server does not let the client join, which does not try again.
    Refused {
        /// Which namespace.
        key: Key,
        /// Why: an object or a text.
        payload: Payload<'a>,
    },
    /// The server answered without an id: it speaks another version of the protocol (case 85). The
    /// namespace is not joined.
    Incompatible {
        /// Which namespace.
        key: Key,
    },
    /// The server took the client out of a namespace, which does not join it again by itself.
    Disconnect {
        /// Which one.
        key: Key,
    },
    /// It sent an event.
    Event {
        /// In which namespace.
        key: Key,
        /// Present when it waits for an acknowledgement.
        id: Option<AckId>,
        /// The event's name.
        name: Cow<'a, str>,
        /// What follows the name.
        arguments: Arguments<'a>,
    },
    /// It acknowledged an event.
    Ack {
        /// In which namespace.
        key: Key,
        /// The number that the event carried. It need not exist.
        id: AckId,
        /// The values of the answer.
        arguments: Arguments<'a>,
    },
    /// Nothing that concerns anybody.
    Ignored,
}

/// What the driver shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make the CONNECT packet of a namespace with [`Client::claims`], and send it behind
    /// [`Client::send_connect`].
    Connect(Key),
    /// Send the DISCONNECT packet of a namespace.
    Disconnect(Key),
    /// Close the session: the server took too long.
    Close(ConnectionTimeout),
    /// The server has not let the client join a namespace in time. Others are joined, whose session it is,
    /// too: so it is waited for as long again, unless it is [left](Client::leave).
    Late(Key),
    /// Nothing more until then.
    Timeout(Option<Instant>),
}

impl Client {
    /// A client without namespaces and without a session.
    #[must_use]
    pub fn new(config: Config, codec: Codec) -> Self {
        Self {
            config,
            codec,
            decoder: None,
            sockets: Vec::new(),
            protocol_4: None,
            attachments_deadline: None,
            paused: None,
            expired: None,
        }
    }

    /// The same for servers of Socket.IO 4, which come over Engine.IO 3: they let clients join `/`
    /// without asking, give no ids, and take a query in a namespace's name instead of `auth`.
    #[must_use]
    pub fn with_protocol_4(mut self) -> Self {
        self.protocol_4 = Some(Box::default());
        self
    }

    /// The name of a namespace.
    #[must_use]
    pub fn namespace(&self, key: Key) -> Option<&str> {
        self.socket(key).map(|socket| &*socket.name)
    }

    /// The client's id in a namespace that is joined. It changes with every session that is not
    /// recovered.
    #[must_use]
    pub fn id(&self, key: Key) -> Option<&str> {
        self.socket(key)?.id()
    }

    /// Whether a namespace is joined, or is going to be without anybody's doing.
    #[must_use]
    pub fn is_active(&self, key: Key) -> bool {
        self.socket(key).is_some_and(Socket::is_active)
    }

    /// Whether any namespace is: without one nobody needs the session.
    #[must_use]
    pub fn has_active(&self) -> bool {
        self.sockets.iter().flatten().any(Socket::is_active)
    }

    /// A new session is open, whose id only a server of Socket.IO 4 needs to be known for.
    pub fn handle_opened(&mut self, session: &str, now: Instant) {
        self.decoder = Some(self.codec.decoder());
        if let Some(id) = &mut self.protocol_4 {
            *id = session.into();
        }
        let joins_main = self.protocol_4.is_some();
        for socket in self.sockets.iter_mut().flatten() {
            if !matches!(socket.state, State::Waiting) {
                continue;
            }
            socket.begin(&self.config, joins_main, now);
        }
    }

    /// The session is over. Says which namespaces were joined; those that are active are joined again
    /// with the next one.
    pub fn handle_closed(&mut self) -> Vec<Key> {
        self.decoder = None;
        self.attachments_deadline = None;
        self.paused = None;
        self.expired = None;
        let mut joined = Vec::new();
        for (key, socket) in (0..).map(Key).zip(&mut self.sockets) {
            let Some(socket) = socket else { continue };
            if matches!(socket.state, State::Joined { .. }) {
                joined.push(key);
            }
            socket.handle_closed();
        }
        joined
    }

    /// Takes a message in. Nothing comes of it while attachments are missing, and without a session.
    ///
    /// # Errors
    ///
    /// What the server broke. The session is to be closed, and may be opened again.
    pub fn handle_message<'a>(
        &'a mut self,
        message: Message<'a>,
        now: Instant,
    ) -> Result<Option<Incoming<'a>>, Violation> {
        let Self {
            config,
            decoder: Some(decoder),
            sockets,
            protocol_4,
            attachments_deadline,
            ..
        } = self
        else {
            return Ok(None);
        };
        let packet = match decoder.decode(message, &config.limits)? {
            Decoded::Packet(packet) => packet,
            Decoded::Announced { .. } | Decoded::Incomplete => {
                let deadline = now.checked_add(config.attachments_timeout);
                *attachments_deadline = attachments_deadline.or(deadline);
                return Ok(None);
            }
            Decoded::Attachment => return Ok(None),
        };
        *attachments_deadline = None;
        let Packet { namespace, body } = packet;
        let sockets = (0..).map(Key).zip(sockets);
        let mut sockets = sockets.filter_map(|(key, socket)| Some((key, socket.as_mut()?)));
        match sockets.find(|(_, socket)| *socket.name == *namespace) {
            Some((key, socket)) => socket
                .handle(key, body, protocol_4.as_deref(), config.max_early)
                .map(Some),
            None => Ok(Some(Incoming::Ignored)),
        }
    }

    /// The next event that came before the namespace was joined.
    pub fn take_early(&mut self, key: Key) -> Option<EarlyEvent> {
        self.socket_mut(key)?.take_early()
    }

    /// Whether the driver takes what arrives. While it does not, the time that the server has stands
    /// still: what is waited for may lie there.
    pub fn set_reading(&mut self, reading: bool, now: Instant) {
        if !reading {
            self.paused.get_or_insert(now);
            return;
        }
        let Some(since) = self.paused.take() else {
            return;
        };
        let pause = now.saturating_duration_since(since);
        let put_off = |at: Option<Instant>| at.and_then(|at| at.checked_add(pause));
        self.attachments_deadline = put_off(self.attachments_deadline);
        for socket in self.sockets.iter_mut().flatten() {
            if let State::Joining(joining) = &mut socket.state {
                joining.deadline = put_off(joining.deadline);
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.paused.is_some() {
            return;
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.attachments_deadline) {
            self.attachments_deadline = None;
            self.expired = Some(ConnectionTimeout::Attachments);
        } else if is_due(self.connect_deadline()) {
            self.handle_late(now);
        }
    }

    /// The answer to a CONNECT packet has not come: which concerns the session only if nobody else needs it.
    fn handle_late(&mut self, now: Instant) {
        let mut sockets = self.sockets.iter().flatten();
        if !sockets.any(|socket| socket.id().is_some()) {
            self.expired = Some(ConnectionTimeout::Connect);
            return;
        }
        for socket in self.sockets.iter_mut().flatten() {
            socket.handle_timeout(&self.config, now);
        }
    }

    /// Adds a namespace, to be [joined](Self::join); `None` if there is one of that name already.
    pub fn add(&mut self, name: &str) -> Option<Key> {
        let mut names = self.sockets.iter().flatten().map(|socket| &*socket.name);
        if names.any(|one| one == name) {
            return None;
        }
        let free = self.sockets.iter().position(Option::is_none);
        let index = free.unwrap_or(self.sockets.len());
        let key = Key(u32::try_from(index).ok()?);
        let socket = Some(Socket::new(name));
        match self.sockets.get_mut(index) {
            Some(place) => *place = socket,
            None => {
                // Most clients have one namespace, and pay for no more.
                self.sockets.reserve_exact(1);
                self.sockets.push(socket);
            }
        }
        Some(key)
    }

    /// Joins a namespace, now or as soon as there is a session.
    pub fn join(&mut self, key: Key, now: Instant) {
        let has_session = self.decoder.is_some();
        let joins_main = self.protocol_4.is_some();
        let config = self.config;
        let Some(socket) = self.socket_mut(key) else {
            return;
        };
        match &mut socket.state {
            State::Inactive if has_session => socket.begin(&config, joins_main, now),
            State::Inactive => socket.state = State::Waiting,
            State::Joining(joining) => joining.wanted = true,
            State::Leaving { rejoin } => *rejoin = true,
            State::Waiting | State::Asking { .. } | State::Joined { .. } => {}
        }
    }

    /// As [`join`](Self::join), for somebody else than who has joined before: what was asked then is not
    /// taken for an answer.
    pub fn join_anew(&mut self, key: Key, now: Instant) {
        if let Some(State::Joining(joining)) = self.socket_mut(key).map(|socket| &mut socket.state)
        {
            joining.is_outdated = true;
        }
        self.join(key, now);
    }

    /// What a CONNECT packet has to say beside what identifies the client, which takes precedence:
    /// the session that it wants back, and up to where it has heard everything.
    #[must_use]
    pub fn claims(&self, key: Key) -> Object {
        self.socket(key).map(Socket::claims).unwrap_or_default()
    }

    /// The driver sends the CONNECT packet. `false`: it is not wanted any more, and must not be sent.
    /// What was made for a session that is over is to be dropped without asking.
    #[must_use]
    pub fn send_connect(&mut self, key: Key, now: Instant) -> bool {
        let config = self.config;
        let socket = self.socket_mut(key);
        socket.is_some_and(|socket| socket.send_connect(&config, now))
    }

    /// Leaves a namespace for good. What it was told that could bring it back is kept.
    pub fn leave(&mut self, key: Key) {
        if let Some(socket) = self.socket_mut(key) {
            socket.leave();
        }
    }

    /// What to do next. Also frees what the last [`Incoming`] was borrowed from.
    pub fn poll_output(&mut self) -> Output {
        if let Some(decoder) = &mut self.decoder {
            decoder.release();
        }
        if let Some(expired) = self.expired.take() {
            // Said once: the driver closes the session.
            self.decoder = None;
            return Output::Close(expired);
        }
        for (key, socket) in (0..).map(Key).zip(self.sockets.iter_mut()) {
            let Some(socket) = socket else { continue };
            match &mut socket.state {
                State::Asking { is_told } if !*is_told => {
                    *is_told = true;
                    return Output::Connect(key);
                }
                State::Leaving { .. } => {
                    socket.end_leaving();
                    return Output::Disconnect(key);
                }
                State::Joining(joining) if joining.is_late => {
                    joining.is_late = false;
                    return Output::Late(key);
                }
                State::Inactive
                | State::Waiting
                | State::Asking { .. }
                | State::Joining(_)
                | State::Joined { .. } => {}
            }
        }
        if self.decoder.is_none() || self.paused.is_some() {
            return Output::Timeout(None);
        }
        let deadlines = [self.attachments_deadline, self.connect_deadline()];
        Output::Timeout(deadlines.into_iter().flatten().min())
    }

    fn connect_deadline(&self) -> Option<Instant> {
        let sockets = self.sockets.iter().flatten();
        let deadlines = sockets.filter_map(|socket| match &socket.state {
            State::Joining(joining) => joining.deadline,
            State::Inactive
            | State::Waiting
            | State::Asking { .. }
            | State::Joined { .. }
            | State::Leaving { .. } => None,
        });
        deadlines.min().filter(|_| self.decoder.is_some())
    }

    fn socket(&self, key: Key) -> Option<&Socket> {
        self.sockets.get(key.index())?.as_ref()
    }

    fn socket_mut(&mut self, key: Key) -> Option<&mut Socket> {
        self.sockets.get_mut(key.index())?.as_mut()
    }
}
