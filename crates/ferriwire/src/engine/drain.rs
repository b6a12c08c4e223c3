//! Closing many sessions without a stampede: their clients come back somewhere at once.

use std::time::Duration;

/// A batch is at least so many sessions: fewer clients than that are no stampede.
const LEAST: usize = 100;

/// A batch is this part of all sessions.
const PART: usize = 10;

/// The batches take at most this part of the grace, so that the last ones have time as well.
const PART_OF_GRACE: u32 = 2;

/// In which steps sessions are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// So many at a time.
    pub(crate) batch: usize,
    /// The mean pause between two batches.
    pause: Duration,
}

impl Pace {
    /// `pause` is shortened where `grace` is too short for it.
    pub(crate) fn new(sessions: usize, pause: Duration, grace: Duration) -> Self {
        let batch = sessions.div_ceil(PART).max(LEAST);
        let pauses = sessions.div_ceil(batch).saturating_sub(1);
        let longest = u32::try_from(pauses).map_or(Duration::ZERO, |pauses| {
            grace / PART_OF_GRACE / pauses.max(1)
        });
        Self {
            batch,
            pause: pause.min(longest),
        }
    }

    /// The pause before the next batch: half of the mean to one and a half, so that several nodes
    /// that go down together do not send their clients away in step.
    pub(crate) fn pause(&self, random: u8) -> Duration {
        self.pause / 2 + self.pause * u32::from(random) / u32::from(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_tenth_goes_at_a_time_but_a_hundred_at_least() {
        let cases = [
            (0, 100),
            (100, 100),
            (1_000, 100),
            (1_001, 101),
            (50_000, 5_000),
        ];
        for (sessions, batch) in cases {
            let pace = Pace::new(sessions, SECOND, 30 * SECOND);
            assert_eq!((pace.batch, pace.pause), (batch, SECOND), "{sessions}");
        }
    }

    #[test]
    fn the_batches_take_at_most_half_of_the_grace() {
        let pace = Pace::new(10_000, SECOND, 9 * SECOND);
        assert_eq!(pace.pause, SECOND / 2);
        assert_eq!(
            Pace::new(10_000, SECOND, Duration::ZERO).pause,
            Duration::ZERO
        );
    }

    #[test]
    fn pauses_vary_around_their_mean() {
        let pace = Pace::new(10_000, SECOND, 60 * SECOND);
        assert_eq!(pace.pause(0), SECOND / 2);
        assert_eq!(pace.pause(255), SECOND * 3 / 2);
    }
}
