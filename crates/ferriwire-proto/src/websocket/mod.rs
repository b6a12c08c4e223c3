//! RFC 6455 without I/O: frames, messages, control frames, closing.
//!
//! Bytes from the peer go into a [`Decoder`], which answers with whole messages and control frames.
//! What is sent needs no state: [`frame::Header`] writes the few bytes in front of a payload.
//!
//! Not here: the HTTP upgrade apart from its key ([`accept_key`]), deciding what a ping or a close
//! frame is answered with, and time. Extensions are not negotiated; where permessage-deflate
//! (RFC 7692) would go is said beside the check of the reserved bits.

pub mod frame;

mod close;
mod decoder;
mod handshake;
mod mask;
mod message;
mod received;
mod text;
mod violation;

pub use close::CloseFrame;
pub use decoder::{Decoded, Decoder, Item, Limits, Role};
pub use handshake::accept_key;
pub use mask::mask;
pub use violation::Violation;
