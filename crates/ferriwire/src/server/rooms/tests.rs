use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A member that is told from others by its number.
#[derive(Debug, PartialEq)]
struct Named(SocketId, u8);

impl Identified for Named {
    fn id(&self) -> &SocketId {
        &self.0
    }
}

fn id(number: u8) -> SocketId {
    SocketId::from_random([number; 15])
}

fn room(name: &str) -> Target {
    Target::Room(name.into())
}

fn selected(rooms: &mut Rooms<Named>, to: &[Target], except: &[Target]) -> Vec<u8> {
    let mut members = Vec::new();
    rooms.select(to, except, |member| members.push(member.1));
    members.sort_unstable();
    members
}

fn found(rooms: &Rooms<Named>, number: u8) -> Option<(MemberKey, &u8)> {
    let found = rooms.by_id(&id(number));
    found.map(|(key, member)| (key, &member.1))
}

/// A shard whose member 1 is in `a` and `b`, 2 in `b`, 3 in none.
fn three_members() -> (Rooms<Named>, [MemberKey; 3]) {
    let mut rooms = Rooms::new();
    let keys = [1, 2, 3].map(|number| rooms.insert(Named(id(number), number)));
    assert!(rooms.join(keys[0], "a"));
    assert!(rooms.join(keys[0], "b"));
    assert!(rooms.join(keys[1], "b"));
    (rooms, keys)
}

#[test]
fn a_selection_is_a_union_without_the_exceptions() {
    let (mut rooms, _) = three_members();
    let socket = |number| Target::Socket(id(number));
    let cases: [(&[Target], &[Target], &[u8]); 12] = [
        (&[], &[], &[1, 2, 3]),
        (&[], &[room("a")], &[2, 3]),
        (&[], &[room("a"), room("b"), socket(1)], &[3]),
        (&[room("a")], &[], &[1]),
        (&[room("a"), room("b"), room("a")], &[], &[1, 2]),
        (
            &[room("b"), socket(1), socket(3), socket(3)],
            &[],
            &[1, 2, 3],
        ),
        (&[room("b")], &[socket(2)], &[1]),
        (&[socket(1)], &[room("b")], &[]),
        (&[room("b")], &[room("b")], &[]),
        (&[room("nobody")], &[], &[]),
        (&[socket(9)], &[], &[]),
        (&[room("b")], &[room("nobody"), socket(9)], &[1, 2]),
    ];
    for (to, except, expected) in cases {
        let members = selected(&mut rooms, to, except);
        assert_eq!(members, expected, "{to:?} except {except:?}");
    }
}

#[test]
fn a_room_named_like_a_socket_is_not_that_socket() {
    let (mut rooms, keys) = three_members();
    let name = id(1).to_string();
    assert!(!rooms.has_room(&name));
    assert!(selected(&mut rooms, &[room(&name)], &[]).is_empty());
    assert!(rooms.join(keys[1], &name));
    assert_eq!(selected(&mut rooms, &[room(&name)], &[]), [2]);
    assert_eq!(selected(&mut rooms, &[Target::Socket(id(1))], &[]), [1]);
    assert_eq!(selected(&mut rooms, &[], &[room(&name)]), [1, 3]);
}

#[test]
fn a_room_ends_with_its_last_member() {
    let (mut rooms, keys) = three_members();
    assert!(rooms.leave(keys[0], "a"));
    assert!(!rooms.has_room("a"));
    assert!(rooms.leave(keys[1], "b"));
    assert!(rooms.has_room("b"));
    let (member, left) = rooms.remove(keys[0]).unwrap();
    assert_eq!((member.1, left), (1, vec!["b".into()]));
    assert!(!rooms.has_room("b"));
    assert_eq!(rooms.len(), 2);
}

#[test]
fn joining_and_leaving_twice_changes_nothing() {
    let (mut rooms, keys) = three_members();
    assert!(!rooms.join(keys[0], "a"));
    assert_eq!(rooms.room_count(keys[0]), 2);
    assert!(!rooms.leave(keys[2], "a"));
    assert!(!rooms.leave(keys[2], "nobody"));
    assert!(!rooms.has_room("nobody"));
    assert_eq!(selected(&mut rooms, &[room("a")], &[]), [1]);
}

#[test]
fn a_key_names_nobody_once_its_member_is_gone() {
    let (mut rooms, keys) = three_members();
    let stale = keys[1];
    rooms.remove(stale).unwrap();
    let heir = rooms.insert(Named(id(4), 4));
    assert_eq!(heir.index, stale.index, "the place is taken again");
    assert!(!rooms.join(stale, "a"));
    assert!(rooms.join(heir, "a"));
    assert!(!rooms.leave(stale, "a"));
    assert_eq!(rooms.member(stale), None);
    assert_eq!(rooms.rooms(stale), Vec::<Arc<str>>::new());
    assert_eq!(rooms.room_count(stale), 0);
    assert!(rooms.remove(stale).is_none());
    assert_eq!(selected(&mut rooms, &[room("a")], &[]), [1, 4]);
    // The same when the shard was empty in between and has forgotten its places.
    for key in [keys[0], keys[2], heir] {
        rooms.remove(key).unwrap();
    }
    let first = rooms.insert(Named(id(5), 5));
    assert_eq!(first.index, keys[0].index);
    assert_eq!(rooms.member(keys[0]), None);
}

#[test]
fn of_two_members_with_one_identifier_the_later_one_is_found() {
    let mut rooms = Rooms::new();
    let earlier = rooms.insert(Named(id(1), 1));
    let later = rooms.insert(Named(id(1), 2));
    assert_eq!(found(&rooms, 1), Some((later, &2)));
    rooms.remove(earlier).unwrap();
    assert_eq!(found(&rooms, 1), Some((later, &2)));
    rooms.remove(later).unwrap();
    assert_eq!(found(&rooms, 1), None);
}

#[test]
fn what_a_crowd_needed_is_given_back() {
    let mut rooms = Rooms::new();
    let keys: Vec<MemberKey> = (0..2000_u16)
        .map(|number| {
            let [a, b] = number.to_be_bytes();
            let mut bytes = [0; 15];
            (bytes[0], bytes[1]) = (a, b);
            rooms.insert(Named(SocketId::from_random(bytes), 0))
        })
        .collect();
    for (number, key) in keys.iter().enumerate() {
        rooms.join(*key, "all");
        rooms.join(*key, &format!("own {number}"));
    }
    for key in &keys[10..] {
        rooms.remove(*key).unwrap();
    }
    let all = *rooms.directory.names.get("all").unwrap();
    assert!(rooms.directory.rooms.get(all).unwrap().seats.capacity() <= SMALL);
    assert!(rooms.everyone.capacity() <= SMALL);
    assert!(rooms.directory.names.capacity() <= SMALL);
    assert!(rooms.ids.capacity() <= SMALL);
}

#[derive(Clone, Debug)]
enum Operation {
    Insert,
    Remove(prop::sample::Index),
    Join(prop::sample::Index, u8),
    /// Many rooms at once, so that lists get long enough for an index.
    JoinMany(prop::sample::Index, std::ops::Range<u8>),
    Leave(prop::sample::Index, u8),
    LeaveMany(prop::sample::Index, std::ops::Range<u8>),
    Select(Vec<Chosen>, Vec<Chosen>),
}

#[derive(Clone, Debug)]
enum Chosen {
    Room(u8),
    Member(prop::sample::Index),
}

fn operation() -> impl Strategy<Value = Operation> {
    let member = any::<prop::sample::Index>;
    let name = 0..ROOMS;
    let many = (0..ROOMS, 0..ROOMS).prop_map(|(a, b)| a.min(b)..a.max(b));
    let chosen = prop_oneof![
        3 => name.clone().prop_map(Chosen::Room),
        1 => member().prop_map(Chosen::Member),
    ];
    let targets = prop::collection::vec(chosen, 0..4);
    prop_oneof![
        3 => Just(Operation::Insert),
        2 => member().prop_map(Operation::Remove),
        6 => (member(), name.clone()).prop_map(|(member, name)| Operation::Join(member, name)),
        2 => (member(), many.clone()).prop_map(|(member, many)| Operation::JoinMany(member, many)),
        4 => (member(), name).prop_map(|(member, name)| Operation::Leave(member, name)),
        1 => (member(), many).prop_map(|(member, many)| Operation::LeaveMany(member, many)),
        4 => (targets.clone(), targets).prop_map(|(to, except)| Operation::Select(to, except)),
    ]
}

/// Rooms in the property test: more than a member may be in without an index.
const ROOMS: u8 = 40;

/// The naive model, and every key that was ever given out.
#[derive(Default)]
struct Model {
    members: BTreeMap<u8, BTreeSet<String>>,
    keys: Vec<MemberKey>,
}

impl Model {
    /// The number of a member, present or past.
    fn pick(&self, index: prop::sample::Index) -> Option<(u8, MemberKey)> {
        let number = index.index(self.keys.len().max(1));
        let key = self.keys.get(number)?;
        Some((u8::try_from(number).unwrap(), *key))
    }

    fn join(&mut self, number: u8, name: String) -> bool {
        let rooms = self.members.get_mut(&number);
        rooms.is_some_and(|rooms| rooms.insert(name))
    }

    fn leave(&mut self, number: u8, name: &str) -> bool {
        let rooms = self.members.get_mut(&number);
        rooms.is_some_and(|rooms| rooms.remove(name))
    }

    fn matches(&self, number: u8, target: &Target) -> bool {
        match target {
            Target::Room(name) => self.members[&number].contains(&**name),
            Target::Socket(socket) => *socket == id(number),
        }
    }

    fn selected(&self, to: &[Target], except: &[Target]) -> Vec<u8> {
        let any = |number, targets: &[Target]| {
            let mut targets = targets.iter();
            targets.any(|target| self.matches(number, target))
        };
        let numbers = self.members.keys().copied();
        let numbers = numbers.filter(|number| to.is_empty() || any(*number, to));
        numbers.filter(|number| !any(*number, except)).collect()
    }

    fn targets(&self, chosen: &[Chosen]) -> Vec<Target> {
        let target = |chosen: &Chosen| match chosen {
            Chosen::Room(name) => room(&name_of(*name)),
            Chosen::Member(index) => {
                Target::Socket(id(self.pick(*index).map_or(0, |(number, _)| number)))
            }
        };
        chosen.iter().map(target).collect()
    }
}

fn name_of(number: u8) -> String {
    format!("room {number}")
}

fn apply(rooms: &mut Rooms<Named>, model: &mut Model, operation: &Operation) {
    let each = |names: &std::ops::Range<u8>| names.clone().map(name_of).collect::<Vec<_>>();
    match operation {
        Operation::Insert => {
            let number = u8::try_from(model.keys.len()).unwrap();
            model.keys.push(rooms.insert(Named(id(number), number)));
            model.members.insert(number, BTreeSet::new());
        }
        Operation::Select(to, except) => {
            let (to, except) = (model.targets(to), model.targets(except));
            let expected = model.selected(&to, &except);
            assert_eq!(selected(rooms, &to, &except), expected);
        }
        Operation::Remove(index) => {
            let Some((number, key)) = model.pick(*index) else {
                return;
            };
            let removed = rooms.remove(key).map(|(member, left)| {
                let left = left.iter().map(ToString::to_string);
                (member.1, left.collect::<BTreeSet<_>>())
            });
            let expected = model.members.remove(&number);
            assert_eq!(removed, expected.map(|rooms| (number, rooms)));
        }
        Operation::Join(index, name) => {
            if let Some((number, key)) = model.pick(*index) {
                let name = name_of(*name);
                assert_eq!(rooms.join(key, &name), model.join(number, name));
            }
        }
        Operation::Leave(index, name) => {
            if let Some((number, key)) = model.pick(*index) {
                let name = name_of(*name);
                assert_eq!(rooms.leave(key, &name), model.leave(number, &name));
            }
        }
        Operation::JoinMany(index, names) => {
            if let Some((number, key)) = model.pick(*index) {
                for name in each(names) {
                    assert_eq!(rooms.join(key, &name), model.join(number, name));
                }
            }
        }
        Operation::LeaveMany(index, names) => {
            if let Some((number, key)) = model.pick(*index) {
                for name in each(names) {
                    assert_eq!(rooms.leave(key, &name), model.leave(number, &name));
                }
            }
        }
    }
}

/// Both sides of every membership point at each other, and nothing is left over.
fn check_references(rooms: &Rooms<Named>) {
    let mut memberships = 0;
    for (position, index) in rooms.everyone.iter().enumerate() {
        let member = rooms.members.get(*index).unwrap();
        assert_eq!(slab::position(member.position), position);
        for (position, joined) in member.joined.iter().enumerate() {
            let seats = &rooms.directory.rooms.get(joined.room).unwrap().seats;
            let seat = seats[slab::position(joined.seat)];
            assert_eq!(
                (seat.member, slab::position(seat.position)),
                (*index, position)
            );
            assert_eq!(member.joined.position(joined.room), Some(seat.position));
            memberships += 1;
        }
    }
    let seats_of = |index: &u32| rooms.directory.rooms.get(*index).unwrap().seats.len();
    let seats: Vec<usize> = rooms.directory.names.values().map(seats_of).collect();
    assert!(!seats.contains(&0));
    assert_eq!(seats.iter().sum::<usize>(), memberships);
}

proptest! {
    #[test]
    fn random_operations_agree_with_a_naive_model(
        operations in prop::collection::vec(operation(), 1..120),
    ) {
        let mut rooms = Rooms::new();
        let mut model = Model::default();
        for operation in &operations {
            apply(&mut rooms, &mut model, operation);
            check_references(&rooms);
        }
        prop_assert_eq!(rooms.len(), model.members.len());
        for name in (0..ROOMS).map(name_of) {
            let occupied = model.members.values().any(|rooms| rooms.contains(&name));
            prop_assert_eq!(rooms.has_room(&name), occupied);
        }
        for (number, key) in (0..).zip(&model.keys) {
            let expected = model.members.get(&number);
            let member = rooms.member(*key).map(|member| &member.1);
            prop_assert_eq!(member, expected.map(|_| &number));
            let by_id = found(&rooms, number);
            prop_assert_eq!(by_id, expected.map(|_| (*key, &number)));
            let names = rooms.rooms(*key);
            prop_assert_eq!(rooms.room_count(*key), names.len());
            let names: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
            prop_assert_eq!(names, expected.cloned().unwrap_or_default());
        }
    }
}

/// A session, a membership, and data: 64 of them are what allocators have a size for.
#[cfg(target_pointer_width = "64")]
#[test]
fn a_member_fits_into_64_bytes() {
    type Kept = [Arc<u8>; 4];
    let size = size_of::<Option<Member<Kept>>>();
    assert!(size <= 64, "{size}");
}
