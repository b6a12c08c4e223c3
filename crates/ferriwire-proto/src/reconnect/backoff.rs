//! How long a client waits before it tries again.

use std::num::NonZeroU32;
use std::time::Duration;

/// How long the pauses are: they double, and chance is mixed in so that the clients of a server that
/// went down do not all come back at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first pause, before chance. Default: 1 s.
    #[doc(alias = "reconnectionDelay")]
    pub delay: Duration,
    /// The longest pause. Default: 5 s.
    #[doc(alias = "reconnectionDelayMax")]
    pub delay_max: Duration,
    /// How chance changes a pause. Default: [`Jitter::Reference`] with a factor of 0.5.
    #[doc(alias = "randomizationFactor")]
    pub jitter: Jitter,
    /// How often it is tried again. Default: without an end.
    #[doc(alias = "reconnectionAttempts")]
    pub max_attempts: Option<NonZeroU32>,
}

/// How chance changes a pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// As the reference does: a pause is longer or shorter by up to this part of it, between 0 and
    /// 1, and then cut at the longest. From the third repetition on most pauses are therefore equally
    /// long, which a server notices that many clients come back to.
    Reference(f64),
    /// Anything between nothing and the whole pause, which is cut before: clients spread evenly.
    Full,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(1),
            delay_max: Duration::from_secs(5),
            jitter: Jitter::Reference(0.5),
            max_attempts: None,
        }
    }
}

/// Beyond so many doublings every pause is the longest one, and a float stays finite.
const MAX_DOUBLINGS: u32 = 64;

impl Backoff {
    /// The pause before the next attempt, in whole milliseconds, when there were `attempts`
    /// repetitions already; `None` when there shall be no more. `random` is one number out of all
    /// that there are.
    #[must_use]
    pub fn delay(&self, attempts: u32, random: u32) -> Option<Duration> {
        if self.max_attempts.is_some_and(|max| attempts >= max.get()) {
            return None;
        }
        let random = f64::from(random) / (f64::from(u32::MAX) + 1.0);
        let doublings = i32::try_from(attempts.min(MAX_DOUBLINGS)).unwrap_or(i32::MAX);
        let delay = milliseconds(self.delay) * 2_f64.powi(doublings);
        let max = milliseconds(self.delay_max);
        let delay = match self.jitter {
            Jitter::Reference(factor) => {
                let factor = if factor > 0.0 { factor.min(1.0) } else { 0.0 };
                let deviation = (random * factor * delay).floor();
                // The first decimal of the same number decides on the direction.
                let is_shorter = (random * 10.0).floor() % 2.0 == 0.0;
                let delay = if is_shorter {
                    delay - deviation
                } else {
                    delay + deviation
                };
                delay.min(max)
            }
            Jitter::Full => random * delay.min(max),
        };
        Some(from_milliseconds(delay))
    }
}

fn milliseconds(duration: Duration) -> f64 {
    // Whole ones, as the reference counts.
    Duration::from_secs(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}

fn from_milliseconds(milliseconds: f64) -> Duration {
    // Read as seconds, because that conversion checks its range.
    let whole = Duration::try_from_secs_f64(milliseconds.floor()).unwrap_or(Duration::MAX);
    Duration::from_millis(whole.as_secs())
}
