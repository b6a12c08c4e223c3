//! Whether the machine slept: then the clock on the wall has gone on, and the one that timers use has not.

use std::time::{Duration, Instant, SystemTime};

/// When the task ran last, by both clocks. They are the machine's own, also where tests pause that of the
/// runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    wall: SystemTime,
    monotonic: Instant,
}

impl Clocks {
    pub(crate) fn read() -> Self {
        Self {
            wall: SystemTime::now(),
            monotonic: Instant::now(),
        }
    }

    /// How long the machine has slept since then, as far as that can be told. A clock that is put forward looks
    /// the same, which costs a connection and nothing more.
    pub(crate) fn slept_until(self, now: Self) -> Duration {
        let wall = now.wall.duration_since(self.wall).unwrap_or_default();
        wall.saturating_sub(now.monotonic.saturating_duration_since(self.monotonic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_monotonic_clock_has_missed_was_slept() {
        let before = Clocks::read();
        for (wall, monotonic, slept) in
            [(10, 10, 0), (3600, 10, 3590), (10, 3600, 0), (-3600, 10, 0)]
        {
            let seconds = Duration::from_secs(i64::unsigned_abs(wall));
            let now = Clocks {
                wall: if wall < 0 {
                    before.wall - seconds
                } else {
                    before.wall + seconds
                },
                monotonic: before.monotonic + Duration::from_secs(monotonic),
            };
            let expected = Duration::from_secs(slept);
            assert_eq!(before.slept_until(now), expected, "{wall} {monotonic}");
        }
    }
}
