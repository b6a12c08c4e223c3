//! How a client's bytes travel.

pub(crate) mod connect;
pub(crate) mod http;
pub(crate) mod stream;
pub(crate) mod websocket;
