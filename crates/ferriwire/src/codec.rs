//! What it takes to encode packets in a way of one's own: see [`CustomCodec`].
//!
//! ```no_run
//! use std::error::Error;
//!
//! use ferriwire::codec::{CustomCodec, CustomDecoder, Message, Parts, UntypedPacket};
//! use ferriwire::{Codec, Config, Namespace, Server};
//!
//! /// Each packet is one text of JSON; binary data becomes lists of numbers.
//! struct Plain;
//!
//! impl CustomCodec for Plain {
//!     fn encode(&self, packet: &UntypedPacket) -> Result<Parts, Box<dyn Error + Send + Sync>> {
//!         Ok(serde_json::to_string(packet)?.into())
//!     }
//!
//!     fn decoder(&self) -> Box<dyn CustomDecoder> {
//!         Box::new(Plain)
//!     }
//! }
//!
//! impl CustomDecoder for Plain {
//!     fn decode(
//!         &mut self,
//!         message: Message<'_>,
//!     ) -> Result<Option<UntypedPacket>, Box<dyn Error + Send + Sync>> {
//!         match message {
//!             Message::Text(text) => Ok(Some(serde_json::from_str(&text)?)),
//!             Message::Binary(_) => Err("packets are text".into()),
//!         }
//!     }
//! }
//!
//! # async fn run() -> ferriwire::Result<()> {
//! let config = Config::new().codec(Codec::custom(Plain));
//! Server::new().config(config).namespace(Namespace::new("/")).listen("0.0.0.0:3000").await
//! # }
//! ```

pub use ferriwire_proto::codec::{CustomCodec, CustomDecoder, Parts, UntypedBody, UntypedPacket};
pub use ferriwire_proto::engine::Message;
pub use ferriwire_proto::packet::AckId;
