//! Several servers as one: what they say to each other, and over what.
//!
//! Rooms, sockets and handlers stay on the server where the client is. What crosses is a
//! [`Message`]: a broadcast for the sockets of the others, a question, or its answer. Local delivery
//! comes first and never waits for the others; without a backend there are none.
//!
//! A [`Backend`] carries messages; it sees neither sockets nor rooms, and is handed bytes by nobody
//! but its broker. [`InProcess`] connects the servers of one process.
//!
//! | file | concept |
//! |---|---|
//! | `id`, `message` | who, and what is said |
//! | `backend`, `in_process` | over what |
//! | `node`, `requests` | what one server knows of the others, and what it has asked them |
//! | `task` | the one task that sends and receives |
//!
//! # Examples
//!
//! ```
//! use ferriwire::cluster::InProcess;
//! use ferriwire::{Namespace, Server};
//!
//! # async fn run() -> ferriwire::Result<()> {
//! let bus = InProcess::new();
//! let red = Server::new().namespace(Namespace::new("/")).cluster(bus.clone());
//! let blue = Server::new().namespace(Namespace::new("/")).cluster(bus);
//! let (red, blue) = (red.bind("127.0.0.1:0").await?, blue.bind("127.0.0.1:0").await?);
//! // Reaches the clients of both.
//! red.handle("/").emit("news", "hello").ok();
//! # Ok(())
//! # }
//! ```

mod backend;
mod id;
mod in_process;
mod message;
pub(crate) mod node;
pub(crate) mod requests;
pub(crate) mod task;

use std::time::Duration;

pub use backend::{Backend, Incoming, Joined, Link, Pending, Unavailable};
pub use id::{InvalidId, NodeId, RequestId};
pub use in_process::InProcess;
pub use message::{Body, Flags, Message, Question, Seen, Selection};

/// How long the other servers are waited for when nothing else is said, and a backend for anything.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// How many bytes may wait for a backend when nothing else is said, for a server of an [`InProcess`]
/// backend, and of answers that nobody has read.
pub(crate) const MAX_QUEUED: usize = 16 * 1024 * 1024;
