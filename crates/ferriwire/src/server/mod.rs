//! The Socket.IO server, on top of [`engine`](crate::engine).
//!
//! | file | concept |
//! |---|---|
//! | `builder` | the builder, listening, mounting |
//! | `namespace`, `dynamic`, `names`, `handler` | declaring what happens, and under which names |
//! | `namespaces`, `seat`, `vacancies` | which namespaces there are; children, and who keeps them |
//! | `joining` | a client's way in: name, `auth`, middleware |
//! | `connection`, `sockets`, `starter` | one client: packets to sockets to handlers |
//! | `socket`, `listeners`, `membership` | one client in one namespace, with and without its data's type |
//! | `hub`, `rooms`, `room_events`, `hooks` | who is in which room; broadcasts; what the namespace declared for them |
//! | `broadcast`, `handle`, `answers`, `remote` | addressing, from inside and from anywhere |
//! | `recovery` | clients whose connection was cut come back without a loss |
//! | `delivery`, `desk`, `server_answers` | what an operation does here; what other servers ask for, and what they answer |

mod answers;
mod broadcast;
mod builder;
mod connection;
mod delivery;
mod desk;
mod dynamic;
mod fault;
mod handle;
mod handler;
mod hooks;
mod hub;
mod joining;
mod listeners;
mod membership;
mod names;
mod namespace;
mod namespaces;
mod pace;
mod reason;
mod recovery;
mod remote;
mod room_events;
mod rooms;
mod seat;
mod server_answers;
mod socket;
mod sockets;
mod starter;
mod termination;
mod vacancies;

pub use answers::{Acknowledgement, Answer, Answers, Missing, Responses};
pub use broadcast::{Broadcast, Target};
pub use builder::{RunningServer, Server};
pub use handle::{NamespaceHandle, Untyped};
pub use handler::Ack;
pub use listeners::ListenerId;
pub use names::Params;
pub use namespace::{Declared, Fresh, Namespace};
pub use reason::DisconnectReason;
pub use recovery::Gap;
pub use remote::RemoteSocket;
pub use room_events::{RoomChange, RoomEvent};
pub use server_answers::{MissingServer, ServerAnswers, ServerResponses};
pub use socket::{Modified, Socket};
