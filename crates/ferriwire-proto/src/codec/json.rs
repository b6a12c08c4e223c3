//! The default encoding: one text message, then the attachments as binary messages.
//!
//! ```text
//! <type>[<attachments>-][<namespace>,][<acknowledgement id>][<JSON>]
//! ```
//!
//! The decoder looks at an event's name and no further: the arguments stay text until somebody
//! decodes them. Only a packet with attachments has its placeholders checked at once.

mod decode;
mod encode;
mod head;
pub(super) mod placeholder;
pub(super) mod read;
#[cfg(test)]
mod tests;

pub use decode::Decoder;
pub use encode::{
    encode_ack, encode_connect, encode_connect_error, encode_disconnect, encode_error,
    encode_event, encode_stamped_event,
};

pub(in crate::codec) use encode::encode_answer;
