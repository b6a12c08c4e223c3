//! Logs in virtual time, and against a model that remembers everything.

mod model;

use super::*;

const WINDOW: Duration = Duration::from_secs(120);
const EPOCH: Epoch = Epoch([1, 2, 3, 4, 5, 6]);

/// A log of numbers and its clock.
struct Fixture {
    log: Log<u64>,
    now: Instant,
}

impl Fixture {
    #[expect(
        clippy::disallowed_methods,
        reason = "any instant serves as the beginning of virtual time"
    )]
    fn new(packets: usize) -> Self {
        let limits = Limits {
            window: WINDOW,
            packets,
        };
        Self {
            log: Log::new(EPOCH, limits),
            now: Instant::now(),
        }
    }

    /// Appends an event for everybody, or for a room, and returns its seq.
    fn emit(&mut self, room: Option<&str>) -> u64 {
        self.emit_to(Audience {
            to: room.map(at).into_iter().collect(),
            except: [].into(),
        })
    }

    fn emit_to(&mut self, audience: Audience) -> u64 {
        self.log.append(audience, 10, self.now, |offset| offset.seq)
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.log.expire(self.now);
    }

    fn replay(&self, seen: u64, presence: &Presence) -> Result<Vec<u64>, Gap> {
        let missed = self.log.replay(seen, presence)?;
        Ok(missed
            .map(|(seq, message)| {
                assert_eq!(seq, *message);
                seq
            })
            .collect())
    }
}

fn at(room: &str) -> Address {
    Address::Room(room.into())
}

fn socket(id: &str, log: &Log<u64>) -> Presence {
    Presence::new(id.into(), log.last())
}

#[test]
fn an_offset_is_sixteen_characters_and_survives_them() {
    for seq in [0, 1, 255, 1 << 32, (1 << 48) - 1] {
        let offset = Offset { epoch: EPOCH, seq };
        let text = offset.encode();
        let text = std::str::from_utf8(&text).unwrap();
        assert_eq!(text.len(), Offset::LEN);
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        assert_eq!(Offset::parse(text), Some(offset), "{text}");
    }
}

#[test]
fn garbage_is_no_offset() {
    let long = "A".repeat(1_000_000);
    for text in [
        "",
        "$",
        "-",
        "+",
        "0-0",
        "AAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAA=",
        "AAAAAAAA AAAAAAA",
        "ÄÄÄÄÄÄÄÄ",
        &long,
    ] {
        assert_eq!(Offset::parse(text), None);
    }
}

#[test]
fn offsets_of_other_logs_and_of_the_future_are_told_apart() {
    let mut fixture = Fixture::new(10);
    fixture.emit(None);
    let offset = |epoch, seq| Offset { epoch, seq };
    for (offset, expected) in [
        (offset(EPOCH, 0), Ok(0)),
        (offset(EPOCH, 1), Ok(1)),
        (offset(EPOCH, 2), Err(Gap::Future)),
        (offset(EPOCH, (1 << 48) - 1), Err(Gap::Future)),
        (offset(Epoch([0; 6]), 1), Err(Gap::OtherEpoch)),
    ] {
        assert_eq!(fixture.log.seq_of(offset), expected);
    }
    assert_eq!(fixture.log.last_offset(), offset(EPOCH, 1));
}

#[test]
fn only_what_follows_the_offset_and_was_addressed_is_replayed() {
    let mut fixture = Fixture::new(100);
    fixture.emit(None);
    let mut presence = socket("a", &fixture.log);
    let seen = fixture.emit(None);
    presence.join(&"red".into(), fixture.log.last(), fixture.log.trimmed());
    let red = fixture.emit(Some("red"));
    fixture.emit(Some("blue"));
    let all = fixture.emit(None);
    let direct = fixture.emit_to(Audience {
        to: [Address::Socket("a".into())].into(),
        except: [].into(),
    });
    for except in [at("red"), Address::Socket("a".into())] {
        fixture.emit_to(Audience {
            to: [].into(),
            except: [except].into(),
        });
    }
    assert_eq!(fixture.replay(seen, &presence), Ok(vec![red, all, direct]));
    assert_eq!(fixture.replay(all, &presence), Ok(vec![direct]));
    // Without an offset: everything since it joined, and nothing from before.
    assert_eq!(
        fixture.replay(0, &presence),
        Ok(vec![seen, red, all, direct])
    );
}

#[test]
fn a_stay_in_a_room_is_an_interval() {
    let mut fixture = Fixture::new(100);
    let mut presence = socket("a", &fixture.log);
    let room: Arc<str> = "red".into();
    let mut expected = Vec::new();
    for _ in 0..3 {
        fixture.emit(Some("red"));
        presence.join(&room, fixture.log.last(), 0);
        expected.push(fixture.emit(Some("red")));
        // Joining twice is the same as once.
        presence.join(&room, fixture.log.last(), 0);
        expected.push(fixture.emit(Some("red")));
        presence.leave("red", fixture.log.last());
    }
    fixture.emit(Some("red"));
    assert_eq!(fixture.replay(0, &presence), Ok(expected));
    assert_eq!(presence.rooms().count(), 0);
}

#[test]
fn a_stay_without_an_event_leaves_nothing_behind() {
    let fixture = Fixture::new(100);
    let mut presence = socket("a", &fixture.log);
    let empty = presence.size();
    for index in 0..10_000 {
        let room: Arc<str> = format!("room {index}").into();
        presence.join(&room, fixture.log.last(), 0);
        presence.leave(&room, fixture.log.last());
    }
    assert_eq!(presence.size(), empty);
}

#[test]
fn endless_joining_and_leaving_is_bounded_and_told_as_a_gap() {
    let mut fixture = Fixture::new(1_000_000);
    let mut presence = socket("a", &fixture.log);
    for index in 0..20_000 {
        let room: Arc<str> = format!("room {index}").into();
        presence.join(&room, fixture.log.last(), fixture.log.trimmed());
        fixture.emit(Some(&room));
        presence.leave(&room, fixture.log.last());
        assert!(presence.size() < 66 * 1024, "{index}");
    }
    presence.go_away(fixture.log.last(), Heard::default());
    assert_eq!(fixture.replay(0, &presence), Err(Gap::Trimmed));
    assert_eq!(fixture.replay(20_000, &presence), Ok(vec![]));
    // The newest stays are still known.
    let newest = (19_801..=20_000).collect();
    assert_eq!(fixture.replay(19_800, &presence), Ok(newest));
}

#[test]
fn rooms_with_long_names_count_by_their_bytes_and_open_ones_are_kept() {
    let mut fixture = Fixture::new(1_000_000);
    let mut presence = socket("a", &fixture.log);
    let kept: Arc<str> = "kept".into();
    presence.join(&kept, fixture.log.last(), 0);
    for index in 0..4_096 {
        let room: Arc<str> = format!("{index:0>256}").into();
        presence.join(&room, fixture.log.last(), 0);
        fixture.emit(Some(&room));
        presence.leave(&room, fixture.log.last());
        assert!(presence.size() < 66 * 1024, "{index}");
    }
    assert_eq!(presence.rooms().collect::<Vec<_>>(), [&kept]);
    presence.go_away(fixture.log.last(), Heard::default());
    assert_eq!(fixture.replay(4_095, &presence), Ok(vec![4_096]));
}

#[test]
fn events_older_than_the_window_are_dropped_and_their_memory_with_them() {
    let mut fixture = Fixture::new(1_000_000);
    for _ in 0..10_000 {
        fixture.emit(Some("red"));
    }
    assert!(fixture.log.bytes() > 10_000 * 10);
    fixture.wait(119);
    assert_eq!(fixture.log.len(), 10_000);
    fixture.wait(1);
    assert!(fixture.log.is_empty());
    assert_eq!(fixture.log.bytes(), 0);
    assert_eq!(fixture.log.trimmed(), 10_000);
    assert_eq!(fixture.log.last(), 10_000);
}

#[test]
fn what_was_trimmed_is_a_gap_at_the_limit() {
    let mut fixture = Fixture::new(3);
    let mut presence = socket("a", &fixture.log);
    for _ in 0..5 {
        fixture.emit(None);
    }
    presence.go_away(0, Heard::default());
    assert_eq!(fixture.log.trimmed(), 2);
    assert_eq!(fixture.replay(1, &presence), Err(Gap::Trimmed));
    assert_eq!(fixture.replay(2, &presence), Ok(vec![3, 4, 5]));
}

#[test]
fn a_connection_that_was_quiet_for_longer_than_the_window_has_no_gap() {
    let mut fixture = Fixture::new(1_000_000);
    let mut presence = socket("a", &fixture.log);
    let mut heard = Heard::default();
    let seen = fixture.emit(None);
    heard.note(seen, fixture.log.settled());
    for _ in 0..10 {
        fixture.emit(Some("others"));
        fixture.wait(60);
    }
    presence.go_away(fixture.log.last(), heard);
    assert!(fixture.log.trimmed() > seen);
    let missed = fixture.emit(None);
    assert_eq!(fixture.replay(seen, &presence), Ok(vec![missed]));
    // One that has not even seen that has one.
    assert_eq!(fixture.replay(0, &presence), Err(Gap::Trimmed));
    // What was dropped since it went away might have been for it.
    fixture.wait(120);
    assert_eq!(fixture.replay(seen, &presence), Err(Gap::Trimmed));
}

#[test]
fn what_was_written_to_a_dead_connection_is_replayed_to_a_quiet_client() {
    let mut fixture = Fixture::new(1_000_000);
    let mut presence = socket("a", &fixture.log);
    let mut heard = Heard::default();
    let seen = fixture.emit(None);
    heard.note(seen, fixture.log.settled());
    fixture.wait(100);
    // The client is gone, but nobody knows that yet.
    let lost = fixture.emit(None);
    heard.note(lost, fixture.log.settled());
    presence.go_away(fixture.log.last(), heard);
    fixture.wait(60);
    assert_eq!(fixture.log.trimmed(), seen);
    assert_eq!(fixture.replay(seen, &presence), Ok(vec![lost]));
    fixture.wait(60);
    assert_eq!(fixture.replay(seen, &presence), Err(Gap::Trimmed));
}
