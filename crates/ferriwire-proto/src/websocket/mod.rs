//! RFC 6455 without I/O: frames, messages, control frames, closing.
//!
//! Bytes from the peer go into a [`Decoder`], which answers with whole messages and control frames.
//! What a server sends needs no state: [`frame::Header`] writes the few bytes in front of a payload. A
//! client masks the same frames with a [`Masker`].
//!
//! Not here: the HTTP upgrade apart from its key ([`accept_key`]) and, for clients, the check of its
//! answer ([`ClientHandshake`]); deciding what a ping or a close frame is answered with; and time. The one extension is permessage-deflate (RFC 7692), without
//! context takeover: [`accept_deflate`] negotiates it, a [`Deflater`] compresses what is sent, and a
//! decoder with an [`Inflater`] reads it.

pub mod frame;

mod client;
mod close;
mod decoder;
mod deflate;
mod extensions;
mod handshake;
mod mask;
mod masked;
mod message;
mod received;
mod text;
mod violation;

pub use client::{ClientHandshake, HandshakeError};
pub use close::CloseFrame;
pub use decoder::{Decoded, Decoder, Item, Limits, Role};
pub use deflate::{Deflater, Inflater};
pub use extensions::{DEFLATE_OFFER, Deflate, accept_deflate};
pub use handshake::{Accept, accept_key};
pub use mask::mask;
pub use masked::Masker;
pub use violation::Violation;
