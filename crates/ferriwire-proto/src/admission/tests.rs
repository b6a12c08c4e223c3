use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;

#[expect(
    clippy::disallowed_methods,
    reason = "tests need a first instant, and none can be made up"
)]
fn start() -> Instant {
    Instant::now()
}

fn source(number: u32) -> Option<Source> {
    Some(Source::V4(number))
}

/// No limits, but for what a test sets.
fn unlimited() -> Limits {
    Limits {
        connections: usize::MAX,
        unauthenticated: usize::MAX,
        connections_per_source: usize::MAX,
        handshakes_per_source: None,
        handshakes: None,
        unknown_sessions_per_source: None,
        sources: 1_024,
    }
}

/// What comes of `tries` handshakes at once: how many pass, and what the others are told.
fn flood(
    admission: &mut Admission,
    tries: usize,
    source: Option<Source>,
    now: Instant,
) -> (usize, Option<Refusal>) {
    let refused: Vec<_> = (0..tries)
        .filter_map(|_| admission.handle_handshake(source, now).err())
        .collect();
    assert!(refused.windows(2).all(|pair| pair[0] == pair[1]));
    (tries - refused.len(), refused.first().copied())
}

#[test]
fn each_limit_holds_at_the_limit_one_above_and_far_beyond() {
    let rate = Some(Rate::per_second(1).burst(10));
    let all = unlimited();
    for (limits, refusal) in [
        (
            Limits {
                connections: 10,
                ..all
            },
            Refusal::Connections,
        ),
        (
            Limits {
                unauthenticated: 10,
                ..all
            },
            Refusal::Unauthenticated,
        ),
        (
            Limits {
                connections_per_source: 10,
                ..all
            },
            Refusal::ConnectionsOfSource,
        ),
        (
            Limits {
                handshakes_per_source: rate,
                ..all
            },
            Refusal::HandshakesOfSource,
        ),
        (
            Limits {
                handshakes: rate,
                ..all
            },
            Refusal::Handshakes,
        ),
    ] {
        for (tries, refused) in [(10, None), (11, Some(refusal)), (10_000, Some(refusal))] {
            let mut admission = Admission::new(limits);
            let outcome = flood(&mut admission, tries, source(1), start());
            assert_eq!(outcome, (10, refused), "{limits:?}");
            assert_eq!(admission.connections(), 10);
        }
    }
}

#[test]
fn the_defaults_are_those_of_the_security_page() {
    let (mut admission, now) = (Admission::new(Limits::default()), start());
    let refused = Some(Refusal::HandshakesOfSource);
    assert_eq!(flood(&mut admission, 201, source(1), now), (200, refused));
    // Fifty more each second, until there are a thousand connections.
    for second in 1..=15 {
        let now = now + Duration::from_secs(second);
        assert_eq!(flood(&mut admission, 51, source(1), now), (50, refused));
    }
    let later = now + Duration::from_secs(60);
    assert_eq!(
        flood(&mut admission, 51, source(1), later),
        (50, Some(Refusal::ConnectionsOfSource))
    );
    for number in 2..10 {
        let _ = flood(&mut admission, 200, source(number), later);
    }
    assert_eq!(admission.connections(), 2_000);
    assert_eq!(admission.unauthenticated(), 2_000);
    assert_eq!(
        flood(&mut admission, 1, source(99), later),
        (0, Some(Refusal::Unauthenticated))
    );
}

#[test]
fn a_source_that_is_too_fast_takes_nothing_from_the_others() {
    let rate = |count| Some(Rate::per_second(count));
    let mut admission = Admission::new(Limits {
        handshakes_per_source: rate(5),
        handshakes: rate(10),
        ..unlimited()
    });
    let now = start();
    let _ = flood(&mut admission, 1_000, source(1), now);
    assert_eq!(flood(&mut admission, 5, source(2), now), (5, None));
    assert_eq!(
        flood(&mut admission, 5, source(3), now),
        (0, Some(Refusal::Handshakes))
    );
}

#[test]
fn what_ends_makes_room() {
    let mut admission = Admission::new(Limits {
        connections: 2,
        unauthenticated: 1,
        ..unlimited()
    });
    let now = start();
    assert_eq!(admission.handle_handshake(source(1), now), Ok(()));
    assert_eq!(
        admission.handle_handshake(source(1), now),
        Err(Refusal::Unauthenticated)
    );
    admission.accept();
    assert_eq!(admission.handle_handshake(source(2), now), Ok(()));
    assert_eq!(
        admission.handle_handshake(None, now),
        Err(Refusal::Connections)
    );
    admission.end(source(2), false);
    assert_eq!(admission.handle_handshake(None, now), Ok(()));
    admission.end(None, false);
    admission.end(source(1), true);
    assert_eq!(
        (admission.connections(), admission.unauthenticated()),
        (0, 0)
    );
    assert_eq!(admission.sources(), 0);
}

#[test]
fn unknown_sessions_are_counted_by_source_and_forgiven_with_time() {
    let mut admission = Admission::new(Limits::default());
    let now = start();
    let mut ask = |source, now| admission.handle_unknown_session(source, now);
    assert!((0..20).all(|_| ask(source(1), now).is_ok()));
    let refused = Err(Refusal::UnknownSessionsOfSource);
    assert!((0..1_000).all(|_| ask(source(1), now) == refused));
    assert_eq!(ask(source(2), now), Ok(()));
    assert_eq!(ask(None, now), Ok(()));
    assert_eq!(ask(source(1), now + Duration::from_secs(3)), Ok(()));
    assert_eq!(ask(source(1), now + Duration::from_secs(3)), refused);
}

#[test]
fn short_memory_lets_nobody_in() {
    let mut admission = Admission::new(unlimited());
    admission.set_memory_is_short(true);
    assert_eq!(
        flood(&mut admission, 3, source(1), start()),
        (0, Some(Refusal::Memory))
    );
    admission.set_memory_is_short(false);
    assert_eq!(flood(&mut admission, 3, source(1), start()), (3, None));
}

#[test]
fn a_machine_that_lags_lets_fewer_in_until_it_is_in_time_again() {
    let mut admission = Admission::new(Limits {
        handshakes: Some(Rate::per_second(1_600)),
        ..unlimited()
    });
    let mut now = start();
    let (slow, quick) = (Duration::from_millis(101), Duration::from_millis(100));
    for (lag, passing) in [
        (quick, 1_600),
        (slow, 800),
        (slow, 400),
        (slow, 200),
        (slow, 100),
        (slow, 100),
        (quick, 200),
        (quick, 400),
        (quick, 800),
        (quick, 1_600),
        (quick, 1_600),
    ] {
        now += Duration::from_secs(1);
        admission.handle_lag(lag);
        let (passed, _) = flood(&mut admission, 2_000, source(1), now);
        assert_eq!(passed, passing, "{lag:?}");
    }
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let limits = Limits {
        connections: 100,
        sources: 1_000,
        ..Limits::default()
    };
    let (mut admission, now) = (Admission::new(limits), start());
    for number in 0..100_000 {
        let _ = admission.handle_handshake(source(number), now);
        let _ = admission.handle_unknown_session(source(number), now);
        assert!(admission.sources() <= 100 + 2 * 1_000);
    }
}

#[test]
fn sources_are_addresses_of_ipv4_and_networks_of_ipv6() {
    let of = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_ne!(of("::1"), of("127.0.0.1"));
    assert_eq!(of("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
    assert_eq!(of("192.0.2.1").to_string(), "192.0.2.1");
}

proptest! {
    /// Against buckets that never forget, as long as no more sources come than are remembered.
    #[test]
    fn the_latest_sources_are_never_forgotten(
        steps in prop::collection::vec((0_u32..16, 0_u64..500), 1..300),
    ) {
        let rate = Rate::per_second(2).burst(3);
        let mut admission = Admission::new(Limits {
            unknown_sessions_per_source: Some(rate),
            sources: 32,
            ..unlimited()
        });
        let mut model: BTreeMap<u32, Bucket> = BTreeMap::new();
        let mut now = start();
        for (number, millis) in steps {
            now += Duration::from_millis(millis);
            let address = IpAddr::V4(Ipv4Addr::from_bits(number));
            let asked = admission.handle_unknown_session(Some(address.into()), now);
            let expected = model.entry(number).or_default().take(1, rate, now);
            prop_assert_eq!(asked.is_ok(), expected);
            prop_assert!(admission.sources() <= 32);
        }
    }
}
