//! How a client's bytes travel.

pub(crate) mod connect;
mod head;
pub(crate) mod http;
mod refusal;
mod source;
pub(crate) mod stream;
mod upgrade;
pub(crate) mod websocket;
