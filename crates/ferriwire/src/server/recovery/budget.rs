//! How much memory the recovery of all namespaces of a server takes together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One namespace's part of it.
///
/// A namespace may take so many times as much as is free. So a busy one leaves something to the
/// others however much it wants, and gives back what it has when they want more.
#[derive(Debug)]
pub(crate) struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
    /// How much of `used` is this namespace's.
    own: usize,
}

/// With it one namespace alone gets eight ninths of the whole, two get eight seventeenths each.
const TIMES_FREE: usize = 8;

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

    /// Notes how much this namespace uses now, and says whether it may.
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
        let free = self.limit.saturating_sub(used);
        bytes <= free.saturating_mul(TIMES_FREE)
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.used.fetch_sub(self.own, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 900_000;

    /// Grows in steps until it may not, and then gives up that step.
    fn fill(budget: &mut Budget) -> usize {
        let mut bytes = budget.own;
        while budget.is_kept_with(bytes + 100) {
            bytes += 100;
        }
        while !budget.is_kept_with(bytes) {
            bytes -= 100;
        }
        bytes
    }

    #[test]
    fn one_namespace_alone_gets_nearly_everything() {
        assert_eq!(fill(&mut Budget::new(LIMIT)), LIMIT / 9 * 8);
    }

    #[test]
    fn namespaces_that_all_want_everything_come_to_the_same_share_and_keep_the_limit() {
        let whole = Budget::new(LIMIT);
        for count in [2, 3, 10] {
            let mut all: Vec<_> = (0..count).map(|_| whole.share()).collect();
            let mut shares = Vec::new();
            for _ in 0..200 {
                shares = all.iter_mut().map(fill).collect();
                assert!(whole.used.load(Ordering::Relaxed) <= LIMIT);
            }
            let (least, most) = (shares.iter().min(), shares.iter().max());
            let fair = LIMIT * TIMES_FREE / (count * TIMES_FREE + 1);
            assert!(
                least.unwrap().abs_diff(fair) <= 2_000,
                "{count}: {shares:?}"
            );
            assert!(most.unwrap().abs_diff(fair) <= 2_000, "{count}: {shares:?}");
        }
    }
}
