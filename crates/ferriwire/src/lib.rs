//! A Socket.IO server.
pub mod engine;
pub mod websocket;
mod config;
mod error;
pub use config::Config;
pub use error::{AckError, EmitError, Error, JoinError, Result};
