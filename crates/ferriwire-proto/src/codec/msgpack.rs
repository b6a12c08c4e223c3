//! MessagePack, as `socket.io-msgpack-parser` 3 writes and reads it (section 1.3.4 of
//! docs/protocol.md): each packet is one binary message.
//!
//! ```text
//! {type: 0..4, data?, options?, nsp, id?}
//! ```
//!
//! Binary data stands where it belongs, so there are no attachments, and a binary event is an event.
//! The decoder walks through the whole message once before anything is built from it: lengths, UTF-8
//! and depth are checked there, without recursion, so that whatever reads it later meets no surprise.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of a dozen kinds of tokens each place takes a few"
)]

mod date;
mod decode;
mod deserialize;
mod encode;
mod key;
mod list;
mod reader;
mod serialize;
#[cfg(test)]
mod tests;
mod untyped;
mod write;

pub use decode::Decoder;
pub use encode::{
    encode_ack, encode_connect, encode_connect_error, encode_disconnect, encode_error,
    encode_event, encode_stamped_event,
};
pub(crate) use list::List;
pub(super) use untyped::{to_args, to_value};
