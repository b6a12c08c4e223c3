//! Bytes in and out of one transport.

pub(crate) mod arriving;
pub(crate) mod websocket;
