//! Delays as the reference computes them, and attempts in virtual time.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// `Math.random()` for a fraction, rounded up so that its decimals stay.
fn random(fraction: f64) -> u32 {
    let wanted = Duration::from_secs_f64((fraction * (f64::from(u32::MAX) + 1.0)).ceil());
    u32::try_from(wanted.as_secs()).unwrap()
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A client and its virtual clock, with one random number for all pauses.
struct Script {
    reconnect: Reconnect,
    begun: Instant,
    now: Instant,
    random: u32,
}

impl Script {
    #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
    fn with(config: Config) -> Self {
        let begun = Instant::now();
        let mut script = Self {
            reconnect: Reconnect::new(config),
            begun,
            now: begun,
            random: 0,
        };
        assert_eq!(script.drain(), (vec![], None));
        script
    }

    fn attempting(config: Config) -> Self {
        let mut script = Self::with(config);
        script.reconnect.connect(script.now);
        assert_eq!(script.drain().0, [Output::Attempt { attempt: 0 }]);
        script
    }

    fn drain(&mut self) -> (Vec<Output>, Option<Duration>) {
        let mut outputs = Vec::new();
        for _ in 0..5 {
            let output = self.reconnect.poll_output();
            if let Output::Timeout(at) = output {
                return (outputs, at.map(|at| at - self.begun));
            }
            outputs.push(output);
        }
        panic!("no end of outputs: {outputs:?}");
    }

    fn fail(&mut self) {
        self.reconnect.handle_failed(self.now, self.random);
    }

    fn lose(&mut self) {
        self.reconnect.handle_lost(self.now, self.random);
    }

    /// Waits until it wants to be woken, not a nanosecond less.
    fn wake(&mut self) -> Vec<Output> {
        let (outputs, at) = self.drain();
        assert_eq!(outputs, []);
        let at = self.begun + at.expect("it wants to be woken");
        self.reconnect
            .handle_timeout(at - Duration::from_nanos(1), self.random);
        assert_eq!(self.drain().0, []);
        self.now = at;
        self.reconnect.handle_timeout(at, self.random);
        self.drain().0
    }

    #[track_caller]
    fn expect_pause(&mut self, attempt: u32, delay: Duration) {
        let (outputs, at) = self.drain();
        assert_eq!(outputs, [Output::Wait { attempt, delay }]);
        assert_eq!(at, Some(self.now + delay - self.begun));
        assert_eq!(self.wake(), [Output::Attempt { attempt }]);
    }
}

fn without_timeout() -> Config {
    Config {
        attempt_timeout: None,
        ..Config::default()
    }
}

#[test]
fn pauses_are_those_of_the_reference() {
    // Computed with its code: floor(r * 0.5 * ms), subtracted when floor(r * 10) is even.
    for (fraction, expected) in [
        (0.0, [1000, 2000, 4000, 5000, 5000]),
        (0.1, [1050, 2100, 4200, 5000, 5000]),
        (0.25, [875, 1750, 3500, 5000, 5000]),
        (0.5, [1250, 2500, 5000, 5000, 5000]),
        (0.625, [688, 1375, 2750, 5000, 5000]),
        (0.75, [1375, 2750, 5000, 5000, 5000]),
        (0.875, [563, 1125, 2250, 4500, 5000]),
        (0.999, [1499, 2999, 5000, 5000, 5000]),
    ] {
        let backoff = Backoff::default();
        let delays = (0..5).map(|attempts| backoff.delay(attempts, random(fraction)).unwrap());
        assert_eq!(delays.collect::<Vec<_>>(), expected.map(ms), "{fraction}");
    }
}

#[test]
fn without_a_factor_there_is_no_chance() {
    for factor in [0.0, -1.0, f64::NAN] {
        let backoff = Backoff {
            jitter: Jitter::Reference(factor),
            delay: ms(300),
            ..Backoff::default()
        };
        for random in [0, 1 << 31, u32::MAX] {
            let delays = (0..6).map(|attempts| backoff.delay(attempts, random).unwrap());
            let expected = [300, 600, 1200, 2400, 4800, 5000].map(ms);
            assert_eq!(delays.collect::<Vec<_>>(), expected, "{factor}");
        }
    }
}

#[test]
fn full_jitter_spreads_over_the_whole_pause() {
    let backoff = Backoff {
        jitter: Jitter::Full,
        ..Backoff::default()
    };
    for (attempts, fraction, expected) in [
        (0, 0.0, 0),
        (0, 0.25, 250),
        (2, 0.75, 3000),
        (9, 0.0, 0),
        (9, 0.5, 2500),
        (9, 0.999, 4995),
    ] {
        let delay = backoff.delay(attempts, random(fraction));
        assert_eq!(delay, Some(ms(expected)), "{attempts} {fraction}");
    }
}

#[test]
fn pauses_grow_from_attempt_to_attempt() {
    let mut script = Script::attempting(without_timeout());
    script.random = random(0.25);
    for (attempt, delay) in [(1, 875), (2, 1750), (3, 3500), (4, 5000), (5, 5000)] {
        script.fail();
        script.expect_pause(attempt, ms(delay));
    }
    assert_eq!(script.reconnect.attempts(), 5);
    assert_eq!(script.reconnect.handle_connected(), 5);
    assert_eq!(script.drain(), (vec![], None));
    // A new loss begins anew.
    script.lose();
    script.expect_pause(1, ms(875));
}

#[test]
fn an_attempt_that_takes_too_long_is_given_up_and_counts() {
    let mut script = Script::attempting(Config::default());
    assert_eq!(script.drain(), (vec![], Some(20 * SECOND)));
    let wait = Output::Wait {
        attempt: 1,
        delay: SECOND,
    };
    assert_eq!(script.wake(), [Output::Abandon, wait]);
    // What the abandoned attempt still says means nothing.
    script.fail();
    assert_eq!(script.reconnect.handle_connected(), 0);
    assert_eq!(script.drain(), (vec![], Some(21 * SECOND)));
    assert_eq!(script.wake(), [Output::Attempt { attempt: 1 }]);
    assert_eq!(script.drain(), (vec![], Some(41 * SECOND)));
}

/// It was given up before it was made, and again and again, and nobody was told.
#[test]
fn an_attempt_that_has_no_time_is_made_before_it_is_given_up() {
    let mut script = Script::with(Config {
        attempt_timeout: Some(Duration::ZERO),
        ..Config::default()
    });
    script.reconnect.connect(script.now);
    script.reconnect.handle_timeout(script.now, 0);
    assert_eq!(script.drain().0, [Output::Attempt { attempt: 0 }]);
    script.reconnect.handle_timeout(script.now, 0);
    assert_eq!(script.drain().0.first(), Some(&Output::Abandon));
}

#[test]
fn it_gives_up_once_after_as_many_attempts_as_it_has() {
    for max in [1, 2, 7] {
        let backoff = Backoff {
            max_attempts: NonZeroU32::new(max),
            ..Backoff::default()
        };
        let mut script = Script::attempting(Config {
            backoff,
            ..without_timeout()
        });
        for attempt in 1..=max {
            script.fail();
            let expected = backoff.delay(attempt - 1, 0).unwrap();
            script.expect_pause(attempt, expected);
        }
        script.fail();
        assert_eq!(script.drain(), (vec![Output::GiveUp], None));
        assert!(!script.reconnect.is_active());
        script.fail();
        script.lose();
        assert_eq!(script.drain(), (vec![], None));
        // The program may begin anew.
        script.reconnect.connect(script.now);
        assert_eq!(script.drain().0, [Output::Attempt { attempt: 0 }]);
    }
}

#[test]
fn who_does_not_try_again_stops_in_silence() {
    let config = Config {
        enabled: false,
        ..without_timeout()
    };
    let mut script = Script::attempting(config);
    script.fail();
    assert_eq!(script.drain(), (vec![], None));
    assert!(!script.reconnect.is_active());
    let mut script = Script::attempting(config);
    script.reconnect.handle_connected();
    script.lose();
    assert_eq!(script.drain(), (vec![], None));
    assert!(!script.reconnect.is_active());
}

#[test]
fn stopping_calls_everything_off() {
    let mut attempting = Script::attempting(Config::default());
    attempting.reconnect.stop();
    let mut waiting = Script::attempting(Config::default());
    waiting.fail();
    waiting.reconnect.stop();
    let mut connected = Script::attempting(Config::default());
    connected.reconnect.handle_connected();
    connected.reconnect.stop();
    for mut script in [attempting, waiting, connected] {
        script.now += 100 * SECOND;
        script.reconnect.handle_timeout(script.now, 0);
        script.fail();
        script.lose();
        assert_eq!(script.reconnect.handle_connected(), 0);
        assert_eq!(script.drain(), (vec![], None));
        assert!(!script.reconnect.is_active());
    }
}

#[test]
fn the_program_need_not_wait_for_the_end_of_a_pause() {
    let mut script = Script::attempting(without_timeout());
    script.fail();
    script.reconnect.connect(script.now);
    // The pause was never told of, because it is over.
    assert_eq!(script.drain(), (vec![Output::Attempt { attempt: 1 }], None));
    script.reconnect.connect(script.now);
    assert_eq!(script.drain(), (vec![], None), "one attempt at a time");
}

proptest! {
    /// No number that a program or chance can choose makes a pause longer than the longest, or panics.
    #[test]
    fn no_pause_is_longer_than_the_longest(
        delay: u64,
        delay_max in 0_u64..1 << 50,
        factor: f64,
        full: bool,
        attempts: u32,
        random: u32,
    ) {
        let backoff = Backoff {
            delay: ms(delay),
            delay_max: ms(delay_max),
            jitter: if full { Jitter::Full } else { Jitter::Reference(factor) },
            max_attempts: None,
        };
        let pause = backoff.delay(attempts, random).unwrap();
        prop_assert!(pause <= ms(delay_max), "{pause:?}");
    }
}
