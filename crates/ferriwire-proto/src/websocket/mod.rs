//! RFC 6455 without I/O: frames, messages, control frames, closing.
//!
//! Bytes from the peer go into a [`Decoder`], which answers with whole messages and control frames.
//! What is sent needs no state: [`frame::Header`] writes the few bytes in front of a payload.
//!
//! Not here: the HTTP upgrade apart from its key ([`accept_key`]), deciding what a ping or a close
//! frame is answered with, and time. The one extension is permessage-deflate (RFC 7692), without
//! context takeover: [`accept_deflate`] negotiates it, a [`Deflater`] compresses what is sent, and a
//! decoder with an [`Inflater`] reads it.

pub mod frame;

mod close;
mod decoder;
mod deflate;
mod extensions;
mod handshake;
mod mask;
mod message;
mod received;
mod text;
mod violation;

pub use close::CloseFrame;
pub use decoder::{Decoded, Decoder, Item, Limits, Role};
pub use deflate::{Deflater, Inflater};
pub use extensions::accept_deflate;
pub use handshake::accept_key;
pub use mask::mask;
pub use violation::Violation;
