//! Client and server in one process, over connections in memory that can be cut, slowed down and silenced.
//!
//! For tests of programs that use this crate, in virtual time: on a tokio runtime whose clock is paused
//! (`start_paused = true`, tokio's feature `test-util`) nothing waits for real, and every run is the same.
//! Both sides are what they are otherwise; only sockets, TLS and proxies are missing. This module is
//! there with the feature `test`:
//!
//! ```toml
//! [dev-dependencies]
//! ferriwire = { version = "0.1", features = ["test"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! # Examples
//!
//! Two users connect, one of them is dropped, comes back, and has missed nothing:
//!
//! ```
//! use std::time::Duration;
//!
//! use ferriwire::test::Network;
//! use ferriwire::{Client, Config, Event, Namespace, Recovery, Server};
//! use tokio::sync::mpsc;
//!
//! const SAY: Event<String> = Event::new("say");
//! const SAID: Event<String> = Event::new("said");
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let chat = Namespace::new("/").on(SAY, async |socket, text| {
//!     socket.broadcast().emit(SAID, &text)?;
//!     Ok(())
//! });
//! let config = Config::new().recovery(Recovery::new());
//! let network = Network::new(Server::new().config(config).namespace(chat))?;
//!
//! let alice = network.client("http://test/").connect().await?;
//! let wire = network.wire();
//! let (heard, mut hears) = mpsc::unbounded_channel();
//! let bob = wire
//!     .client("http://test/")
//!     .on(SAID, async move |_, text| {
//!         heard.send(text)?;
//!         Ok(())
//!     })
//!     .connect()
//!     .await?;
//!
//! // A first message: with it Bob knows from where on he will have missed something.
//! alice.emit(SAY, "are you there?")?;
//! assert_eq!(hears.recv().await.as_deref(), Some("are you there?"));
//!
//! wire.refuse();
//! wire.cut();
//! tokio::time::sleep(Duration::from_secs(3)).await;
//! assert!(!bob.is_connected());
//! alice.emit(SAY, "did you hear that?")?;
//!
//! wire.heal();
//! assert_eq!(hears.recv().await.as_deref(), Some("did you hear that?"));
//! assert!(bob.is_connected());
//! # Ok(())
//! # }
//! ```

mod link;
mod network;
mod pipe;
mod wire;

pub use self::network::Network;
pub use self::wire::{Direction, Wire};

#[cfg(test)]
mod tests;
