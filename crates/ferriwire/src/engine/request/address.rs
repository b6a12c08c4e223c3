//! Where a client is, in little memory.

use std::net::{SocketAddr, SocketAddrV4};

use super::PeerAddress;

/// An address as most requests have it is kept in place, in half of what one of any kind takes.
#[derive(Debug)]
pub(super) enum Address {
    Unknown,
    V4(SocketAddrV4),
    /// Of IPv6, or to be lent as it came.
    Whole(Box<PeerAddress>),
}

impl Address {
    /// With `is_lent`, [`as_peer`](Self::as_peer) will have it.
    pub(super) fn new(address: Option<SocketAddr>, is_lent: bool) -> Self {
        match address {
            None => Self::Unknown,
            Some(SocketAddr::V4(address)) if !is_lent => Self::V4(address),
            Some(address) => Self::Whole(Box::new(PeerAddress(address))),
        }
    }

    pub(super) fn get(&self) -> Option<SocketAddr> {
        match self {
            Self::Unknown => None,
            Self::V4(address) => Some(SocketAddr::V4(*address)),
            Self::Whole(address) => Some(address.0),
        }
    }

    /// The address, if it is kept whole.
    pub(super) fn as_peer(&self) -> Option<&PeerAddress> {
        match self {
            Self::Unknown | Self::V4(_) => None,
            Self::Whole(address) => Some(address),
        }
    }
}
