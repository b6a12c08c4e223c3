//! How much went through the sessions of a server, counted without threads getting into each other's way.

use std::iter;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::counters::Stats;

thread_local! {
    /// Tells threads apart.
    static THREAD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// Every event and read of a server is counted here, each thread for itself.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// Of those threads that count alone: the first ones of the process, and so mostly the runtime's.
    own: Box<[Stripe]>,
    /// Of all others. A power of two, so that one is found without a division.
    shared: Box<[Stripe]>,
}

/// What a thread has counted, or some, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    events_in: AtomicU64,
    events_out: AtomicU64,
    bytes_in: AtomicU64,
    dropped_volatile: AtomicU64,
}

impl Traffic {
    /// For so many threads that work at the same time. There may be others, of which some then share
    /// a cache line.
    pub(crate) fn new(threads: usize) -> Self {
        let threads = threads.clamp(1, 256).next_power_of_two();
        let stripes = |count| iter::repeat_with(Stripe::default).take(count).collect();
        Self {
            own: stripes(threads * 4),
            shared: stripes(threads),
        }
    }

    pub(crate) fn event_in(&self) {
        self.count(1, |stripe| &stripe.events_in);
    }

    pub(crate) fn event_out(&self) {
        self.count(1, |stripe| &stripe.events_out);
    }

    pub(crate) fn bytes_in(&self, bytes: usize) {
        self.count(bytes as u64, |stripe| &stripe.bytes_in);
    }

    pub(crate) fn volatile_dropped(&self) {
        self.count(1, |stripe| &stripe.dropped_volatile);
    }

    pub(crate) fn add_to(&self, stats: &mut Stats) {
        for stripe in self.own.iter().chain(&self.shared) {
            stats.events_in += stripe.events_in.load(Ordering::Relaxed);
            stats.events_out += stripe.events_out.load(Ordering::Relaxed);
            stats.bytes_in += stripe.bytes_in.load(Ordering::Relaxed);
            stats.dropped_volatile += stripe.dropped_volatile.load(Ordering::Relaxed);
        }
    }

    #[inline]
    fn count(&self, count: u64, counter: impl FnOnce(&Stripe) -> &AtomicU64) {
        let thread = THREAD.with(|number| *number);
        if let Some(stripe) = self.own.get(thread) {
            // No other thread writes it, so what others pay for a locked addition is saved.
            let counter = counter(stripe);
            let counted = counter.load(Ordering::Relaxed);
            counter.store(counted.wrapping_add(count), Ordering::Relaxed);
        } else {
            counter(self.shared(thread)).fetch_add(count, Ordering::Relaxed);
        }
    }

    #[cold]
    fn shared(&self, thread: usize) -> &Stripe {
        let last = self.shared.len() - 1;
        &self.shared[thread & last]
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn whatever_thread_counts_it_all_is_there() {
        for threads in [0, 1, 3, 1_000] {
            let traffic = Traffic::new(threads);
            assert!(traffic.shared.len().is_power_of_two());
            thread::scope(|scope| {
                for _ in 0..10 {
                    scope.spawn(|| {
                        traffic.event_in();
                        traffic.event_out();
                        traffic.event_out();
                        traffic.bytes_in(7);
                        traffic.volatile_dropped();
                    });
                }
            });
            let mut stats = Stats::default();
            traffic.add_to(&mut stats);
            let counted = [
                stats.events_in,
                stats.events_out,
                stats.bytes_in,
                stats.dropped_volatile,
            ];
            assert_eq!(counted, [10, 20, 70, 10]);
        }
    }
}
