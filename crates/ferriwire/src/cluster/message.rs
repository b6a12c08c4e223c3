//! What servers say to each other. The set is that of the reference's adapters, whose numbers are
//! given; presence (1, 2 and 13 there) is the business of a [`Backend`](super::Backend).

use std::sync::Arc;
use std::time::Duration;

use ferriwire_proto::engine::queue::Overflow;
use ferriwire_proto::value::{Args, Value};

use super::id::{NodeId, RequestId};
use crate::server::Target;
use crate::socket_id::SocketId;

/// One message from one server, about one namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who says it. A server ignores what it has said itself.
    pub sender: NodeId,
    /// The full name of the namespace, with its leading slash.
    pub namespace: Arc<str>,
    /// What is said.
    pub body: Body,
}

/// What a [`Message`] says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// 3: an event for sockets.
    Broadcast {
        /// For which.
        selection: Selection,
        /// How.
        flags: Flags,
        /// Its name.
        event: Arc<str>,
        /// Its arguments.
        args: Args,
        /// Present when the sender wants to know what the clients answer.
        question: Option<Question>,
    },
    /// 4: sockets are put into rooms.
    Join {
        /// Which sockets.
        selection: Selection,
        /// Into which rooms.
        rooms: Vec<Arc<str>>,
    },
    /// 5: sockets are taken out of rooms.
    Leave {
        /// Which sockets.
        selection: Selection,
        /// Out of which rooms.
        rooms: Vec<Arc<str>>,
    },
    /// 6: sockets are taken out of the namespace.
    Disconnect {
        /// Which.
        selection: Selection,
        /// Whether their connections are closed.
        close: bool,
    },
    /// 7: asks which sockets there are; answered with [`Fetched`](Self::Fetched).
    Fetch {
        /// Among which.
        selection: Selection,
        /// The question.
        request: RequestId,
    },
    /// 8: these sockets are there.
    Fetched {
        /// What this answers.
        request: RequestId,
        /// The sockets.
        sockets: Vec<Seen>,
    },
    /// 9: an event for the servers themselves.
    ServerEvent {
        /// Its name.
        event: Arc<str>,
        /// Its arguments.
        args: Args,
        /// Present when the sender wants an answer.
        request: Option<RequestId>,
    },
    /// 10: what a listener answers to a [`ServerEvent`](Self::ServerEvent).
    ServerAnswer {
        /// What this answers.
        request: RequestId,
        /// The answer's arguments; absent when nobody listens. The reference carries the first one
        /// only, and says nothing when nobody listens.
        answer: Option<Args>,
    },
    /// 11: how many clients of the sender were asked; before any [`Answer`](Self::Answer).
    Receivers {
        /// What this answers.
        request: RequestId,
        /// How many.
        count: u64,
    },
    /// 12: what one client answers to a [`Broadcast`](Self::Broadcast).
    Answer {
        /// What this answers.
        request: RequestId,
        /// The answer's arguments; absent when the client has left or could not be asked. The
        /// reference carries the first one only, and says nothing of clients that leave.
        answer: Option<Args>,
    },
}

/// Which sockets are meant: all of the namespace when `to` is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The union of these.
    pub to: Vec<Target>,
    /// But none of these.
    pub except: Vec<Target>,
}

/// How an event is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Whoever cannot take it at once does not get it.
    pub volatile: bool,
    /// Whether it may be compressed.
    pub compress: bool,
    /// What becomes of it where too much waits.
    pub overflow: Option<Overflow>,
    /// A later event with the same key takes its place.
    pub latest: Option<Arc<str>>,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            volatile: false,
            compress: true,
            overflow: None,
            latest: None,
        }
    }
}

/// A question that clients are to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its identifier.
    pub request: RequestId,
    /// How long the sender waits.
    pub timeout: Duration,
}

/// A socket as its server shows it to others.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its id.
    pub id: SocketId,
    /// Its rooms, without its private one.
    pub rooms: Vec<Arc<str>>,
    /// The public part of its data.
    pub data: Value,
}

/// What a part of a message takes in memory beside its bytes.
const PART: usize = 48;

impl Message {
    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        let body = match &self.body {
            Body::Broadcast {
                selection,
                flags,
                event,
                args,
                question: _,
            } => {
                let latest = flags.latest.as_ref().map_or(0, |key| key.len());
                selection.size() + event.len() + size_of_args(args) + latest
            }
            Body::Join { selection, rooms } | Body::Leave { selection, rooms } => {
                selection.size() + size_of_rooms(rooms)
            }
            Body::Disconnect { selection, .. } | Body::Fetch { selection, .. } => selection.size(),
            Body::Fetched { sockets, .. } => sockets.iter().map(Seen::size).sum(),
            Body::ServerEvent { event, args, .. } => event.len() + size_of_args(args),
            Body::ServerAnswer { answer, .. } | Body::Answer { answer, .. } => {
                answer.as_ref().map_or(0, size_of_args)
            }
            Body::Receivers { .. } => 0,
        };
        size_of::<Self>() + self.namespace.len() + body
    }
}

impl Selection {
    fn size(&self) -> usize {
        let targets = self.to.iter().chain(&self.except);
        let size = |target: &Target| match target {
            Target::Room(room) => PART + room.len(),
            Target::Socket(id) => PART + id.as_str().len(),
        };
        targets.map(size).sum()
    }
}

impl Seen {
    pub(crate) fn size(&self) -> usize {
        PART + self.id.as_str().len() + size_of_rooms(&self.rooms) + size_of_value(&self.data)
    }
}

fn size_of_rooms(rooms: &[Arc<str>]) -> usize {
    rooms.iter().map(|room| PART + room.len()).sum()
}

pub(crate) fn size_of_args(Args(arguments): &Args) -> usize {
    arguments.iter().map(size_of_value).sum()
}

fn size_of_value(value: &Value) -> usize {
    PART + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Binary(data) => data.len(),
        Value::Array(values) => values.iter().map(size_of_value).sum(),
        Value::Object(entries) => {
            let size = |(name, value): (&str, &Value)| PART + name.len() + size_of_value(value);
            entries.iter().map(size).sum()
        }
    }
}
