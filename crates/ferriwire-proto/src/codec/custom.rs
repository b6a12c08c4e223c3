//! Encodings that programs bring along (section 1.3.5 of docs/protocol.md).
//!
//! Whatever a program's codec returns is a stranger's data: it is judged by the rules that hold for
//! every peer, and a panic in it is an error like any other that it returns.

mod decode;
mod encode;
mod packet;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use self::decode::Decoder;
pub use self::packet::{Parts, UntypedBody, UntypedPacket};
use super::args::clip;
use crate::engine::Message;

pub(super) use self::encode::{
    encode_ack, encode_connect, encode_connect_error, encode_disconnect, encode_error, encode_event,
};

/// How a program encodes packets: to be given to [`Codec::custom`](super::Codec::custom). Mirrors the
/// reference's option `parser`, with its `Encoder` and `Decoder`.
///
/// Clients must speak the same; packets should come back as they went, with text and binary data
/// told apart.
///
/// ```
/// use std::error::Error;
///
/// use ferriwire_proto::codec::{Codec, CustomCodec, CustomDecoder, MAX_DEPTH, Parts, UntypedPacket};
/// use ferriwire_proto::engine::Message;
///
/// /// Each packet is one text of JSON; binary data becomes lists of numbers.
/// struct Plain;
///
/// impl CustomCodec for Plain {
///     fn encode(&self, packet: &UntypedPacket) -> Result<Parts, Box<dyn Error + Send + Sync>> {
///         Ok(serde_json::to_string(packet)?.into())
///     }
///
///     fn decoder(&self) -> Box<dyn CustomDecoder> {
///         Box::new(Plain)
///     }
/// }
///
/// impl CustomDecoder for Plain {
///     fn decode(
///         &mut self,
///         message: Message<'_>,
///     ) -> Result<Option<UntypedPacket>, Box<dyn Error + Send + Sync>> {
///         match message {
///             Message::Text(text) => Ok(Some(serde_json::from_str(&text)?)),
///             Message::Binary(_) => Err("packets are text".into()),
///         }
///     }
/// }
///
/// let codec = Codec::custom(Plain);
/// let event = codec.encode_event("/", None, "say", &("hi", 1), MAX_DEPTH)?;
/// let written = br#"4{"namespace":"/","body":{"event":{"id":null,"name":"say","args":["hi",1]}}}"#;
/// assert_eq!(event.text(), written);
/// # Ok::<(), ferriwire_proto::codec::EncodeError>(())
/// ```
#[doc(alias = "parser")]
pub trait CustomCodec: Send + Sync + 'static {
    /// Writes a packet. Called once for each, however many receive it, and never under a lock.
    ///
    /// # Errors
    ///
    /// When it has no form in this encoding. Nothing is sent, and whoever emitted it is told.
    fn encode(&self, packet: &UntypedPacket) -> Result<Parts, Box<dyn Error + Send + Sync>>;

    /// Reads the packets of one connection. Most connections are idle, and each has one of these.
    fn decoder(&self) -> Box<dyn CustomDecoder>;
}

/// Puts the packets of one connection together from its messages.
///
/// The messages of one packet are at most as large together as any packet, and at most as many as
/// a text and its attachments. What it returns is checked for everything else, but how much memory
/// and time it takes until then is its own concern: it should refuse what is nested too deeply, and
/// what it decompresses should be bounded.
pub trait CustomDecoder: Send {
    /// Takes a message in; nothing comes of it while others of the same packet are missing.
    ///
    /// # Errors
    ///
    /// What is wrong with it. The connection is closed, and this is not called again.
    fn decode(
        &mut self,
        message: Message<'_>,
    ) -> Result<Option<UntypedPacket>, Box<dyn Error + Send + Sync>>;
}

impl fmt::Debug for dyn CustomCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomCodec")
    }
}

/// Calls into the program.
fn guarded<T>(call: impl FnOnce() -> Result<T, Box<dyn Error + Send + Sync>>) -> Result<T, String> {
    let call = || call().map_err(|error| clip(&error.to_string()));
    // What it may have left half done is its own, and after an error of a decoder it is dropped.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err("it panicked".to_owned()))
}
