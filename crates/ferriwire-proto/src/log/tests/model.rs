//! Random histories of two rooms against a model that keeps every event and membership.

use proptest::prelude::*;

use super::*;

const ROOMS: [&str; 2] = ["red", "blue"];

#[derive(Clone, Debug)]
enum Step {
    Emit {
        to: Option<usize>,
        except: Option<usize>,
        direct: bool,
    },
    Join(usize),
    Leave(usize),
    Wait(u64),
    /// The client notes how far it has got.
    See,
    Cut,
    /// It comes back with what it has seen.
    Return,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let room = || 0..ROOMS.len();
    let step = prop_oneof![
        6 => (proptest::option::of(room()), proptest::option::weighted(0.2, room()), any::<bool>())
            .prop_map(|(to, except, direct)| Step::Emit { to, except, direct }),
        2 => room().prop_map(Step::Join),
        2 => room().prop_map(Step::Leave),
        2 => (0_u64..90).prop_map(Step::Wait),
        2 => Just(Step::See),
        1 => Just(Step::Cut),
        2 => Just(Step::Return),
    ];
    proptest::collection::vec(step, 1..120)
}

/// What an all-knowing observer of one client knows.
#[derive(Default)]
struct Model {
    /// Seqs of everything that was for the client.
    addressed: Vec<u64>,
    rooms: [bool; 2],
    seen: u64,
    away: bool,
}

proptest! {
    /// A replay is exactly what was missed, or it is refused; and it is not refused while the log
    /// reaches back to what the client has seen.
    #[test]
    fn a_replay_is_what_was_missed_or_is_refused(steps in steps(), packets in 1_usize..40) {
        let mut fixture = Fixture::new(packets);
        let mut presence = socket("a", &fixture.log);
        let mut heard = Heard::default();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Emit { to, except, direct } => {
                    let mut targets: Vec<Address> = to.map(|room| at(ROOMS[room])).into_iter().collect();
                    if direct {
                        targets.push(Address::Socket("a".into()));
                    }
                    let excepted = except.is_some_and(|room| model.rooms[room]);
                    let chosen = targets.is_empty() || direct || to.is_some_and(|room| model.rooms[room]);
                    let seq = fixture.emit_to(Audience {
                        to: targets.into(),
                        except: except.map(|room| at(ROOMS[room])).into_iter().collect(),
                    });
                    if chosen && !excepted {
                        model.addressed.push(seq);
                        if !model.away {
                            heard.note(seq, fixture.log.settled());
                        }
                    }
                }
                // Whoever is away does not move.
                Step::Join(room) if !model.away => {
                    presence.join(&ROOMS[room].into(), fixture.log.last(), fixture.log.trimmed());
                    model.rooms[room] = true;
                }
                Step::Leave(room) if !model.away => {
                    presence.leave(ROOMS[room], fixture.log.last());
                    model.rooms[room] = false;
                }
                Step::See if !model.away => {
                    // The newest that was for it, as a client stores it.
                    model.seen = model.addressed.last().copied().unwrap_or(0);
                }
                Step::Join(_) | Step::Leave(_) | Step::See => {}
                Step::Wait(seconds) => fixture.wait(seconds),
                Step::Cut if !model.away => {
                    presence.go_away(fixture.log.last(), heard);
                    model.away = true;
                }
                Step::Cut => {}
                Step::Return => {
                    if !model.away {
                        continue;
                    }
                    let missed: Vec<u64> =
                        model.addressed.iter().copied().filter(|seq| *seq > model.seen).collect();
                    match fixture.replay(model.seen, &presence) {
                        Ok(replayed) => {
                            prop_assert_eq!(&replayed, &missed);
                            heard = presence.come_back();
                            for seq in &replayed {
                                heard.note(*seq, fixture.log.settled());
                            }
                            model.away = false;
                        }
                        Err(gap) => {
                            prop_assert_eq!(gap, Gap::Trimmed);
                            prop_assert!(model.seen < fixture.log.trimmed());
                        }
                    }
                }
            }
            let open: Vec<&str> = presence.rooms().map(|room| &**room).collect();
            let expected: Vec<&str> = [1, 0].into_iter().filter(|room| model.rooms[*room]).map(|room| ROOMS[room]).collect();
            prop_assert_eq!(open, expected);
            prop_assert!(fixture.log.len() <= packets);
        }
    }
}
