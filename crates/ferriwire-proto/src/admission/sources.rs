//! Where requests come from, and a bounded memory of that.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::rate::Bucket;

/// Where a client is, as far as it is told apart from others: an IPv4 address, or the first 64 bits
/// of an IPv6 address, behind which everybody has as many addresses as he likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// All of the address.
    V4(u32),
    /// The network.
    V6(u64),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        // An IPv4 client of a socket for both.
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            // Cannot fail behind the shift.
            IpAddr::V6(address) => {
                Self::V6(u64::try_from(address.to_bits() >> 64).unwrap_or_default())
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => Ipv4Addr::from_bits(*address).fmt(f),
            Self::V6(network) => {
                write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*network) << 64))
            }
        }
    }
}

/// The buckets of the sources that came lately.
///
/// Two generations: when the young one has half of what there may be, it becomes the old one, and
/// what was old is forgotten. So the latest half is always known, at a constant price.
#[derive(Debug)]
pub(super) struct Recent {
    young: BTreeMap<Source, Bucket>,
    old: BTreeMap<Source, Bucket>,
    /// Of one generation.
    limit: usize,
}

impl Recent {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            young: BTreeMap::new(),
            old: BTreeMap::new(),
            limit: limit.div_ceil(2).max(1),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.young.len().saturating_add(self.old.len())
    }

    pub(super) fn bucket(&mut self, source: Source) -> &mut Bucket {
        let known = self.young.contains_key(&source);
        let bucket = self.old.remove(&source).unwrap_or_default();
        if !known && self.young.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.entry(source).or_insert(bucket)
    }
}
