//! Bytes in and out of one transport.

pub(crate) mod websocket;
