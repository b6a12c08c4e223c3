//! The client: being built, see `docs/decisions/0009-client-driver.md`.

#![allow(dead_code, reason = "its driver comes next")]

#[cfg_attr(not(feature = "tls"), path = "without_tls.rs")]
pub(crate) mod tls;
mod transport;

#[cfg(feature = "tls")]
pub use self::tls::ClientTls;
pub use self::transport::connect::ProxyError;
