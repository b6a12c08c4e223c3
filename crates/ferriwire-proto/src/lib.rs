//! The Socket.IO, Engine.IO and WebSocket protocols without I/O.
//!
//! Nothing in this crate opens a socket, reads a clock, draws a random number, starts a task or
//! names a runtime. Whoever drives it does that: bytes, packets and the time come in as arguments,
//! and what shall happen comes out as values.
//!
//! # The contract of every state machine
//!
//! 1. Change it: call a `handle_*` method with what arrived from the network, or a command.
//! 2. Drain it: call `poll_output()` until it answers `Timeout(deadline)`.
//! 3. Wait for the next input, or for the deadline; when it has passed, call `handle_timeout(now)`.
//!
//! Time is an argument, random bytes are arguments, and nothing happens between calls.
//!
//! # Map
//!
//! | module | specification | concept |
//! |---|---|---|
//! | [`engine`] | Engine.IO 4 | packets, polling payloads, handshake, one session |
//! | [`websocket`] | RFC 6455 | frames, messages, control frames, closing |
//! | [`packet`] | Socket.IO 5 | the seven packet kinds |
//! | [`codec`] | Socket.IO 5 | packets and typed arguments to and from bytes |
//! | [`encoded`] | | one outgoing message and its wire forms, each made at most once |
//! | [`connection`] | Socket.IO 5 | several namespaces on one session, from either side |
//! | [`log`] | Socket.IO 5 | a namespace's events in order, for clients that come back |
//! | [`value`] | | untyped payloads |
//! | [`admission`] | | who may open a session: counts and rates, of all and of each address |
//! | [`rate`] | | token buckets |
//! | [`id_text`] | | what identifiers are made of |
//! | [`deadline`] | | which of several comes first |
//! | [`reconnect`] | | when a client tries again, and what it keeps meanwhile |

pub mod admission;
pub mod codec;
pub mod connection;
pub mod deadline;
pub mod encoded;
pub mod engine;
pub mod id_text;
pub mod log;
pub mod packet;
pub mod rate;
pub mod reconnect;
pub mod value;
pub mod websocket;
