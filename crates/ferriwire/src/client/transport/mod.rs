//! How a client's bytes travel.

pub(crate) mod connect;
pub(crate) mod stream;
