//! How much memory the recovery of all namespaces of a server takes together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One namespace's part of it.
#[derive(Debug)]
pub(crate) struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
    /// How much of `used` is this namespace's.
    own: usize,
}

impl Budget {
    /// A whole budget, of which nothing is used.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            used: Arc::new(AtomicUsize::new(0)),
            limit,
            own: 0,
        }
    }

    /// Another namespace's part of the same.
    pub(crate) fn share(&self) -> Self {
        Self {
            used: Arc::clone(&self.used),
            limit: self.limit,
            own: 0,
        }
    }

    /// Notes how much this namespace uses now, and says whether that is not too much.
    pub(super) fn is_kept_with(&mut self, bytes: usize) -> bool {
        let used = if bytes >= self.own {
            let more = bytes - self.own;
            self.used
                .fetch_add(more, Ordering::Relaxed)
                .saturating_add(more)
        } else {
            let less = self.own - bytes;
            self.used
                .fetch_sub(less, Ordering::Relaxed)
                .saturating_sub(less)
        };
        self.own = bytes;
        used <= self.limit
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.used.fetch_sub(self.own, Ordering::Relaxed);
    }
}
