//! How often something may happen: token buckets, with the time as a parameter.

use std::time::{Duration, Instant};

/// So many times in a period, and so many at once.
///
/// # Examples
///
/// ```
/// use ferriwire_proto::rate::Rate;
///
/// // Fifty a second, and two hundred at once after a rest.
/// let rate = Rate::per_second(50).burst(200);
/// assert_eq!(rate, Rate::per_minute(3_000).burst(200));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Until what was used once has come back.
    interval: Duration,
    burst: u32,
}

impl Rate {
    /// So many a second, and as many at once. Zero allows nothing.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        Self::per(Duration::from_secs(1), count)
    }

    /// So many a minute, and as many at once. Zero allows nothing.
    #[must_use]
    pub const fn per_minute(count: u32) -> Self {
        Self::per(Duration::from_secs(60), count)
    }

    const fn per(period: Duration, count: u32) -> Self {
        let interval = match period.checked_div(count) {
            Some(interval) => interval,
            None => Duration::MAX,
        };
        Self {
            interval,
            burst: count,
        }
    }

    /// How many at once, after a rest in which nothing happened.
    #[must_use]
    pub const fn burst(mut self, count: u32) -> Self {
        self.burst = count;
        self
    }

    /// How long an empty bucket takes to be full.
    #[must_use]
    pub const fn refill_time(&self) -> Duration {
        self.interval.saturating_mul(self.burst)
    }

    /// So many times as much, in the same time.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        Self {
            interval: self.interval.checked_div(factor).unwrap_or(Duration::MAX),
            burst: self.burst.saturating_mul(factor),
        }
    }
}

/// What is left of a [`Rate`]. A new bucket is full, and one that is full again is like a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When it is full if nothing more is taken; `None` when it is.
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes `count`, all or nothing, and says whether so much was there.
    #[must_use]
    pub fn take(&mut self, count: u32, rate: Rate, now: Instant) -> bool {
        let missing = self.missing_with(count, rate, now);
        // What never comes back was never there.
        let enough = missing <= rate.refill_time() && missing < Duration::MAX;
        if enough {
            self.full_at = now.checked_add(missing);
        }
        enough
    }

    /// Takes `count` also when it is not there. When nothing is left, says from when on something
    /// is there again, which is tomorrow at the latest.
    #[must_use]
    pub fn overdraw(&mut self, count: u32, rate: Rate, now: Instant) -> Option<Instant> {
        let missing = self.missing_with(count, rate, now);
        self.full_at = now.checked_add(missing.min(DAY));
        let whole = rate.refill_time();
        let wait = missing.saturating_sub(whole).saturating_add(rate.interval);
        (missing >= whole).then(|| now.checked_add(wait.min(DAY)).unwrap_or(now))
    }

    /// Whether it is as full as it can be.
    #[must_use]
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|full_at| full_at <= now)
    }

    /// The time that it takes to refill what is missing and what is to be taken.
    fn missing_with(&self, count: u32, rate: Rate, now: Instant) -> Duration {
        let missing = self.full_at.map(|at| at.saturating_duration_since(now));
        let taken = rate.interval.saturating_mul(count);
        missing.unwrap_or_default().saturating_add(taken)
    }
}

/// Nobody waits longer.
const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "tests need a first instant, and none can be made up"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_burst_passes_and_the_next_one_waits() {
        let (rate, now) = (Rate::per_second(50).burst(200), start());
        let mut bucket = Bucket::default();
        assert!((0..200).all(|_| bucket.take(1, rate, now)));
        assert!(!bucket.take(1, rate, now));
        assert!(!bucket.take(1, rate, now + Duration::from_millis(19)));
        assert!(bucket.take(1, rate, now + Duration::from_millis(20)));
        assert!(!bucket.take(1, rate, now + Duration::from_millis(39)));
        let rested = now + Duration::from_secs(5);
        assert!(bucket.is_full(rested));
        assert!(bucket.take(200, rate, rested));
        assert!(!bucket.take(1, rate, rested));
    }

    #[test]
    fn nothing_passes_at_a_rate_of_nothing() {
        let now = start();
        for rate in [
            Rate::per_second(0),
            Rate::per_second(0).burst(5),
            Rate::per_second(5).burst(0),
        ] {
            assert!(!Bucket::default().take(1, rate, now), "{rate:?}");
        }
    }

    #[test]
    fn what_was_overdrawn_is_waited_for() {
        let (rate, now) = (Rate::per_second(10).burst(20), start());
        let mut bucket = Bucket::default();
        assert_eq!(bucket.overdraw(19, rate, now), None);
        let next = now + Duration::from_millis(100);
        assert_eq!(bucket.overdraw(1, rate, now), Some(next));
        assert_eq!(
            bucket.overdraw(30, rate, next),
            Some(next + Duration::from_secs(3))
        );
        assert!(bucket.is_full(next + Duration::from_secs(5)));
    }

    #[test]
    fn an_endless_wait_ends_tomorrow() {
        let now = start();
        let tomorrow = Some(now + DAY);
        assert_eq!(
            Bucket::default().overdraw(1, Rate::per_second(0), now),
            tomorrow
        );
    }

    proptest! {
        /// Against the definition: in no window does more pass than the burst and what came back
        /// in that window, and nothing is refused that this allows.
        #[test]
        fn exactly_what_the_rate_allows_passes(
            count in 1_u32..50,
            burst in 1_u32..20,
            steps in prop::collection::vec((0_u64..200, 1_u32..4), 1..200),
        ) {
            let rate = Rate::per_second(count).burst(burst);
            let interval = rate.interval.as_nanos();
            let capacity = interval * u128::from(burst);
            let mut bucket = Bucket::default();
            // The model: nanoseconds' worth of what is there.
            let mut there = capacity;
            let mut now = start();
            for (millis, wanted) in steps {
                let passed = Duration::from_millis(millis);
                now += passed;
                there = capacity.min(there + passed.as_nanos());
                let price = interval * u128::from(wanted);
                let expected = price <= there;
                if expected {
                    there -= price;
                }
                prop_assert_eq!(bucket.take(wanted, rate, now), expected);
                prop_assert_eq!(bucket.is_full(now), there == capacity);
            }
        }
    }
}
