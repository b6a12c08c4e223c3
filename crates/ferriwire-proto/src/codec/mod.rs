//! Packets and typed payloads to and from bytes (section 1.3.1 of docs/protocol.md).
//!
//! # Payloads
//!
//! A payload is the list of arguments behind an event's name, or of an acknowledgement:
//!
//! | Rust | arguments |
//! |---|---|
//! | a tuple | one for each element |
//! | `()` | none; when decoding, any |
//! | [`Args`](crate::value::Args) | all of them, however many |
//! | anything else: struct, newtype, tuple struct, enum, map, `Vec`, `Option` | one |
//!
//! Only the outermost type counts: a tuple further in is an array. To serde an array of fixed size
//! is a tuple, so `[T; 3]` is three arguments where `Vec<T>` is one.
//!
//! When decoding, arguments beyond the type are ignored, although their syntax is checked. A
//! missing one fits only an `Option`, which becomes `None`.
//!
//! # Binary data
//!
//! Whatever serialises as bytes (`Bytes`, `serde_bytes`, [`Value::Binary`](crate::value::Value)),
//! anywhere in a payload, travels as an attachment, and a placeholder stands for it in the text. In
//! a packet with attachments every placeholder is replaced by its attachment for whoever asks for
//! bytes, for anything, or for a sequence. In a packet without attachments it is plain data.

pub mod args;
pub mod custom;
pub mod json;
pub mod msgpack;

mod choice;
mod depth;
mod encode_error;
mod limits;
mod payload;
#[cfg(test)]
mod tests;
mod untyped;
mod violation;

pub use args::{Arguments, ArgumentsError, OwnedArguments};
pub use choice::{Answer, Codec, Decoded, Decoder};
pub use custom::{CustomCodec, CustomDecoder, Parts, UntypedBody, UntypedPacket};
pub use depth::MAX_DEPTH;
pub use encode_error::EncodeError;
pub use limits::{Limits, MAX_ATTACHMENTS};
pub use payload::{OwnedPayload, Payload, decode_connect_payload};
pub use untyped::{from_args, from_value, to_args, to_value};
pub use violation::Violation;
