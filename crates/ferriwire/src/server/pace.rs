//! How fast one client sends packets: it is not read from while it is too fast, and closed when it
//! goes on.

use std::time::{Duration, Instant};

use ferriwire_proto::rate::{Bucket, Rate};

/// A pause that begins so soon after another belongs to the same flood.
const SAME_FLOOD: Duration = Duration::from_secs(1);

/// What one client has sent. Counting costs an addition; the clock is looked at once a turn.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Since the last look at the clock.
    uncounted: u32,
    bucket: Bucket,
    /// Of those few clients that were too fast, once.
    pause: Option<Box<Pause>>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    /// When the flood began that this pause belongs to.
    since: Instant,
    until: Instant,
    /// As of the last look at the clock.
    is_over: bool,
}

impl Pace {
    /// Whether nothing came since it was settled, and nobody was ever too fast.
    pub(crate) fn is_settled(&self) -> bool {
        self.uncounted == 0 && self.pause.is_none()
    }

    /// A packet came.
    pub(crate) fn count(&mut self) {
        self.uncounted = self.uncounted.saturating_add(1);
    }

    /// Settles what was counted. `false` when the client has been too fast for longer than
    /// `patience`.
    pub(crate) fn settle(&mut self, rate: Option<Rate>, patience: Duration, now: Instant) -> bool {
        let count = std::mem::take(&mut self.uncounted);
        let Some(rate) = rate.filter(|_| count > 0) else {
            return true;
        };
        let Some(until) = self.bucket.overdraw(count, rate, now) else {
            return true;
        };
        let same = self
            .pause
            .as_deref()
            .filter(|last| now.saturating_duration_since(last.until) <= SAME_FLOOD);
        let since = same.map_or(now, |last| last.since);
        self.pause = Some(Box::new(Pause {
            since,
            until,
            is_over: false,
        }));
        now.saturating_duration_since(since) < patience
    }

    /// Looks at the clock, and says until when nothing is read.
    pub(crate) fn pauses_until(&mut self, now: Instant) -> Option<Instant> {
        if let Some(pause) = &mut self.pause {
            pause.is_over = pause.until <= now;
        }
        self.pause()
    }

    /// Until when nothing is read, as of the last look at the clock.
    pub(crate) fn pause(&self) -> Option<Instant> {
        let pause = self.pause.as_deref().filter(|pause| !pause.is_over);
        pause.map(|pause| pause.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn send(pace: &mut Pace, count: u32, now: Instant) -> bool {
        for _ in 0..count {
            pace.count();
        }
        let rate = Rate::per_second(2_000).burst(10_000);
        pace.settle(Some(rate), PATIENCE, now)
    }

    #[test]
    fn a_burst_is_read_and_what_follows_waits() {
        let now = Instant::now();
        for (count, pause) in [
            (9_999, None),
            (10_000, Some(0.5)),
            (10_001, Some(1.0)),
            (30_000, Some(10_000.5)),
        ] {
            let mut pace = Pace::default();
            assert!(send(&mut pace, count, now));
            let expected = pause.map(|millis| now + Duration::from_secs_f64(millis / 1_000.0));
            assert_eq!(pace.pauses_until(now), expected, "{count}");
            assert_eq!(pace.pauses_until(now + Duration::from_secs(11)), None);
        }
    }

    #[test]
    fn whoever_keeps_to_the_rate_is_never_paused() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..1_000 {
            now += Duration::from_millis(100);
            assert!(send(&mut pace, 200, now));
            assert_eq!(pace.pauses_until(now), None);
        }
    }

    #[test]
    fn a_flood_is_slowed_down_to_the_rate_and_then_ended() {
        let begun = Instant::now();
        let (mut pace, mut now, mut read) = (Pace::default(), begun, 0);
        while send(&mut pace, 5_000, now) {
            read += 5_000;
            now = pace.pauses_until(now).unwrap_or(now);
            let seconds = now.duration_since(begun).as_secs_f64();
            assert!(f64::from(read) <= 10_000.0 + 2_000.0 * seconds + 1.0);
        }
        let lasted = now.duration_since(begun);
        assert!((PATIENCE..PATIENCE * 2).contains(&lasted), "{lasted:?}");
    }

    #[test]
    fn bursts_with_rests_between_them_are_forgiven() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..20 {
            assert!(send(&mut pace, 12_000, now));
            assert!(pace.pauses_until(now).is_some());
            now += Duration::from_secs(7);
        }
    }

    #[test]
    fn without_a_rate_everything_is_read() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for _ in 0..100_000 {
            pace.count();
        }
        assert!(pace.settle(None, PATIENCE, now));
        assert_eq!(pace.pauses_until(now), None);
    }
}
