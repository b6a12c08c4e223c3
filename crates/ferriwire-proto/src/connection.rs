//! The server side of Socket.IO on one session: several namespaces, each joined before it is used
//! (section 1.3.2 of docs/protocol.md).
//!
//! ```text
//!                CONNECT                  accept
//!   (stranger) -----------> joining --------------------> joined
//!        ^                   |    |                          |
//!        |       refuse      |    |  leave                   |  leave, DISCONNECT
//!        +-------------------+    +----------> left <--------+
//!                                               |
//!                                               | CONNECT
//!                                               +----------> joining
//! ```
//!
//! For a stranger only CONNECT is allowed, and for a namespace that is joining nothing at all:
//! anything else ends the connection. Packets for a namespace that was left are ignored, because they
//! may have been on the way; so much is remembered of the latest namespaces that were left, as many
//! as may be joined.

pub mod client;

mod namespaces;
mod query;
#[cfg(test)]
mod tests;
mod violation;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::namespaces::{Namespaces, Standing};
use crate::codec::{Arguments, Codec, Decoded, Decoder, Limits, Payload};
use crate::deadline::sooner;
use crate::engine::Message;
use crate::packet::{AckId, Body, Packet};

pub use self::namespaces::{Key, Refusal};
pub use self::violation::Violation;

/// The limits of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What one packet may be.
    pub limits: Limits,
    /// How many namespaces may be joined or joining at a time. Default: 32; the reference has no
    /// limit.
    pub max_namespaces: usize,
    /// How many bytes a namespace's name may have. Default: 255; the reference has no limit.
    pub max_namespace_name: usize,
    /// How long a client may take until it has joined its first namespace. Default: 45 s, the
    /// reference's `connectTimeout`.
    pub connect_timeout: Duration,
    /// How long the attachments of one packet may take. Default: 10 s; the reference waits for ever.
    pub attachments_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_namespaces: 32,
            max_namespace_name: 255,
            connect_timeout: Duration::from_secs(45),
            attachments_timeout: Duration::from_secs(10),
        }
    }
}

/// The protocol of one client, whatever it has joined.
///
/// Its methods are, in this order: questions, inputs from the network, commands, outputs. The
/// [contract of every state machine](crate#the-contract-of-every-state-machine) holds.
#[derive(Debug)]
pub struct Connection {
    /// Shared, because every connection of a server has the same.
    config: Arc<Config>,
    decoder: Decoder,
    namespaces: Namespaces,
    phase: Phase,
    /// Until the first namespace is joined.
    connect_deadline: Option<Instant>,
    /// While attachments are missing.
    attachments_deadline: Option<Instant>,
    /// The client speaks Socket.IO 4; few do, and the others pay for a pointer.
    protocol_4: Option<Box<Protocol4>>,
    /// Nothing has changed since the last output.
    is_settled: bool,
}

/// What is particular to a client of Socket.IO 4.
#[derive(Debug, Default)]
struct Protocol4 {
    /// What its last CONNECT presents, an object of JSON.
    query: Option<Box<str>>,
}

impl Protocol4 {
    /// Presents the query of a namespace's name instead of an object.
    #[inline(never)]
    fn take_query<'a>(&'a mut self, decoded: &mut Decoded<'a>) {
        match decoded {
            Decoded::Packet(packet) => {
                let query;
                (packet.namespace, query) = query::split(packet.namespace);
                if let Body::Connect(payload) = &mut packet.body {
                    self.query = query.map(query::to_object);
                    *payload = self.query.as_deref().map(Payload::Json);
                }
            }
            Decoded::Announced { namespace } => (*namespace, _) = query::split(namespace),
            Decoded::Attachment | Decoded::Incomplete => {}
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The driver does not know yet.
    Expired(ConnectionTimeout),
    Closed,
}

/// What a client did, after it was checked against what it may do.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// It wants to join a namespace: answer with [`Connection::accept`] or [`Connection::refuse`].
    Connect {
        /// What the namespace is called from now on.
        key: Key,
        /// Its name.
        namespace: &'a str,
        /// An object.
        payload: Option<Payload<'a>>,
    },
    /// It wants to join, but may not: nothing has changed, it gets a CONNECT_ERROR.
    Refused {
        /// The name that it gave.
        namespace: &'a str,
        /// The message for the client is what this displays.
        why: Refusal,
    },
    /// It left a namespace. The key may be given to another one.
    Disconnect {
        /// Which one.
        key: Key,
    },
    /// It sent an event.
    Event {
        /// To which namespace.
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
    /// It sent a whole packet to a namespace that was left. Only how many there are matters.
    Ignored,
}

/// What the driver shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Close the session: the client took too long.
    Close(ConnectionTimeout),
    /// Nothing more until then.
    Timeout(Option<Instant>),
}

/// What a client took too long for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionTimeout {
    /// It has joined no namespace.
    Connect,
    /// It has not sent the attachments that it had announced.
    Attachments,
}

impl fmt::Display for ConnectionTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no namespace was joined in time",
            Self::Attachments => "announced attachments did not come in time",
        })
    }
}

impl Connection {
    /// A connection that has joined nothing, to a client that speaks this codec.
    #[must_use]
    pub fn new(config: impl Into<Arc<Config>>, codec: &Codec, now: Instant) -> Self {
        let config = config.into();
        Self {
            decoder: codec.decoder(),
            namespaces: Namespaces::default(),
            phase: Phase::Open,
            connect_deadline: now.checked_add(config.connect_timeout),
            attachments_deadline: None,
            protocol_4: None,
            is_settled: false,
            config,
        }
    }

    /// The same for a client of Socket.IO 4, which comes over Engine.IO 3: it joins `/` without
    /// asking, and presents the query of a namespace's name instead of an object.
    #[must_use]
    pub fn with_protocol_4(mut self) -> Self {
        self.protocol_4 = Some(Box::default());
        self
    }

    /// To be called once, at the beginning: a client of Socket.IO 4 joins `/`. Answer it as
    /// [`Incoming::Connect`].
    pub fn join_main(&mut self) -> Option<Key> {
        if self.protocol_4.is_some() {
            self.namespaces.join("/", &self.config).ok()
        } else {
            None
        }
    }

    /// The name of a namespace that is joined or joining.
    #[must_use]
    pub fn namespace(&self, key: Key) -> Option<&str> {
        self.namespaces.name(key)
    }

    /// Whether neither a violation nor a timeout has ended it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Takes a message in. Nothing comes of it while attachments are missing, and after the end.
    ///
    /// # Errors
    ///
    /// What the peer broke. The connection is over, and the session is to be closed.
    pub fn handle_message<'a>(
        &'a mut self,
        message: Message<'a>,
        now: Instant,
    ) -> Result<Option<Incoming<'a>>, Violation> {
        if self.phase != Phase::Open {
            return Ok(None);
        }
        self.is_settled &= self.is_passing(&message);
        let mut decoded = self.decoder.decode(message, &self.config.limits);
        if let (Some(protocol_4), Ok(decoded)) = (&mut self.protocol_4, &mut decoded) {
            protocol_4.take_query(decoded);
        }
        let outcome = match decoded {
            Ok(Decoded::Packet(Packet { namespace, body })) => {
                self.attachments_deadline = None;
                self.namespaces.route(namespace, body, &self.config)
            }
            Ok(Decoded::Announced { namespace }) => {
                self.attachments_deadline = now.checked_add(self.config.attachments_timeout);
                self.is_settled = false;
                // Before any attachment is kept.
                self.namespaces.joined(namespace).map(|_| None)
            }
            Ok(Decoded::Attachment) => Ok(None),
            Ok(Decoded::Incomplete) => {
                let deadline = now.checked_add(self.config.attachments_timeout);
                self.attachments_deadline = self.attachments_deadline.or(deadline);
                Ok(None)
            }
            Err(violation) => Err(Violation::Packet(violation)),
        };
        if outcome.is_err() {
            self.phase = Phase::Closed;
        }
        outcome
    }

    /// Whether a message leaves nothing behind but what comes of it, unless it announces attachments.
    #[inline]
    fn is_passing(&self, message: &Message<'_>) -> bool {
        matches!(message, Message::Text(Cow::Borrowed(_)))
            && matches!(self.decoder, Decoder::Json(_))
            && self.attachments_deadline.is_none()
            && !self.presents_query()
    }

    fn presents_query(&self) -> bool {
        let protocol_4 = self.protocol_4.as_ref();
        protocol_4.is_some_and(|protocol_4| protocol_4.query.is_some())
    }

    /// Notes that time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let has_passed = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if self.phase != Phase::Open {
            return;
        }
        if has_passed(self.connect_deadline) {
            self.phase = Phase::Expired(ConnectionTimeout::Connect);
        } else if has_passed(self.attachments_deadline) {
            self.phase = Phase::Expired(ConnectionTimeout::Attachments);
        }
        self.is_settled &= self.phase == Phase::Open;
    }

    /// The client is admitted to the namespace that it wants to join.
    pub fn accept(&mut self, key: Key) {
        if self.namespaces.accept(key) {
            self.connect_deadline = None;
            self.is_settled = false;
        }
    }

    /// The client is not admitted. It may try again.
    pub fn refuse(&mut self, key: Key) {
        self.namespaces.forget(key);
    }

    /// The server took the client out of the namespace. The client may join it again.
    pub fn leave(&mut self, key: Key) {
        self.namespaces.leave(key, &self.config);
    }

    /// Whether [`poll_output`](Self::poll_output) would name the deadline that it has named before, and
    /// do nothing else.
    #[must_use]
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// What to do next. Also frees what the last [`Incoming`] was borrowed from.
    pub fn poll_output(&mut self) -> Output {
        self.decoder.release();
        if let Some(protocol_4) = &mut self.protocol_4 {
            protocol_4.query = None;
        }
        match self.phase {
            Phase::Expired(timeout) => {
                self.phase = Phase::Closed;
                Output::Close(timeout)
            }
            Phase::Open | Phase::Closed => {
                self.is_settled = true;
                Output::Timeout(self.deadline())
            }
        }
    }

    /// The deadline that [`poll_output`](Self::poll_output) has named last, if nothing has happened since.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let earliest = sooner(self.connect_deadline, self.attachments_deadline);
        earliest.filter(|_| self.is_open())
    }
}

impl Namespaces {
    /// Checks a packet against what was joined. Something always comes of it.
    #[inline]
    fn route<'a>(
        &mut self,
        namespace: &'a str,
        body: Body<'a>,
        config: &Config,
    ) -> Result<Option<Incoming<'a>>, Violation> {
        let incoming = match body {
            Body::Connect(payload) => self.connect(namespace, payload, config)?,
            Body::ConnectError(_) => return Err(Violation::ConnectError),
            Body::Disconnect => match self.joined(namespace)? {
                Some(key) => {
                    self.leave(key, config);
                    Incoming::Disconnect { key }
                }
                None => Incoming::Ignored,
            },
            Body::Event {
                id,
                name,
                arguments,
            } => match self.joined(namespace)? {
                Some(key) => Incoming::Event {
                    key,
                    id,
                    name,
                    arguments,
                },
                None => Incoming::Ignored,
            },
            Body::Ack { id, arguments } => match self.joined(namespace)? {
                Some(key) => Incoming::Ack { key, id, arguments },
                None => Incoming::Ignored,
            },
        };
        Ok(Some(incoming))
    }

    #[inline(never)]
    fn connect<'a>(
        &mut self,
        namespace: &'a str,
        payload: Option<Payload<'a>>,
        config: &Config,
    ) -> Result<Incoming<'a>, Violation> {
        match self.standing(namespace) {
            Standing::Joining | Standing::Joined(_) => return Err(Violation::JoinedTwice),
            Standing::Stranger | Standing::Left => {}
        }
        Ok(match self.join(namespace, config) {
            Ok(key) => Incoming::Connect {
                key,
                namespace,
                payload,
            },
            Err(why) => Incoming::Refused { namespace, why },
        })
    }

    /// The namespace of a packet that only a member may send; nothing if the packet is ignored.
    fn joined(&self, namespace: &str) -> Result<Option<Key>, Violation> {
        match self.standing(namespace) {
            Standing::Joined(key) => Ok(Some(key)),
            Standing::Left => Ok(None),
            Standing::Joining | Standing::Stranger => Err(Violation::NotJoined),
        }
    }
}
