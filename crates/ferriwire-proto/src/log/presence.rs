//! When one client was where: what decides which events it has missed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Address, Audience};

/// One socket in its namespace and its rooms, over all connections that it was resumed on.
///
/// A stay in a room is an interval of seqs. A socket that is away stays where it was.
#[derive(Debug)]
pub struct Presence {
    id: Arc<str>,
    /// The newest seq when it joined the namespace: what came later may be for it.
    since: u64,
    rooms: BTreeMap<Arc<str>, Stays>,
    /// How many stays have ended and are still kept.
    ended: usize,
    /// When `rooms` has grown to this, rooms that were left long ago are looked for.
    sweep_at: usize,
    /// Stays that ended were forgotten up to this seq.
    forgotten: u64,
    /// Since when it is away, and what it had heard by then.
    away: Option<(u64, Heard)>,
}

#[derive(Debug, Default)]
struct Stays {
    /// It is in there, for every seq from this one.
    open: Option<u64>,
    /// Earlier stays, both ends included, the oldest first.
    ended: Vec<(u64, u64)>,
}

/// What was addressed to a socket while it was connected, in three seqs: the run of events from
/// `first` to `last`, and `before`, the one in front of that run.
///
/// With it a client is known to have missed nothing although the log does not reach back to what it
/// has seen: because it was quiet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    before: u64,
    first: u64,
    last: u64,
}

/// How many stays that ended are kept for one socket.
const MAX_ENDED: usize = 4_096;

/// Fewer rooms than this are not looked through.
const SWEEP: usize = 32;

/// What a room takes beside its name.
const ROOM: usize = 96;

impl Heard {
    /// An event was addressed to the socket. When the one before it is `settled`, a new run begins.
    pub fn note(&mut self, seq: u64, settled: u64) {
        if self.last <= settled {
            self.before = self.last;
            self.first = seq;
        }
        self.last = seq;
    }

    /// Whether nothing was addressed to the socket behind `seen` and up to `trimmed`.
    fn nothing_within(self, seen: u64, trimmed: u64) -> bool {
        seen >= self.last || (seen >= self.before && self.first > trimmed)
    }
}

impl Presence {
    /// A socket that joins the namespace when `last` is its newest seq.
    #[must_use]
    pub fn new(id: Arc<str>, last: u64) -> Self {
        Self {
            id,
            since: last,
            rooms: BTreeMap::new(),
            ended: 0,
            sweep_at: SWEEP,
            forgotten: 0,
            away: None,
        }
    }

    /// The socket's id.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The newest seq when it joined.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.since
    }

    /// The rooms that it is in.
    pub fn rooms(&self) -> impl Iterator<Item = &Arc<str>> {
        let open = self.rooms.iter().filter(|(_, stays)| stays.open.is_some());
        open.map(|(room, _)| room)
    }

    /// About how much memory it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let names = self
            .rooms
            .keys()
            .map(|room| room.len().saturating_add(ROOM));
        let stays = self.ended.saturating_mul(size_of::<(u64, u64)>());
        names.fold(
            stays.saturating_add(size_of::<Self>()),
            usize::saturating_add,
        )
    }

    /// It joined a room when `last` was the newest seq and everything up to `trimmed` was gone.
    pub fn join(&mut self, room: &Arc<str>, last: u64, trimmed: u64) {
        self.tidy(trimmed);
        let stays = self.rooms.entry(Arc::clone(room)).or_default();
        stays.open.get_or_insert_with(|| last.saturating_add(1));
    }

    /// It left a room when `last` was the newest seq.
    pub fn leave(&mut self, room: &str, last: u64) {
        let Some(stays) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(from) = stays.open.take() else {
            return;
        };
        if from <= last {
            stays.ended.push((from, last));
            self.ended = self.ended.saturating_add(1);
        } else if stays.ended.is_empty() {
            self.rooms.remove(room);
        }
        if self.ended > MAX_ENDED {
            self.forget_ended(last, |_| true);
        }
    }

    /// Its connection was cut when `last` was the newest seq.
    pub fn go_away(&mut self, last: u64, heard: Heard) {
        self.away = Some((last, heard));
    }

    /// It is back, and had heard this when it went away.
    pub fn come_back(&mut self) -> Heard {
        self.away.take().map(|(_, heard)| heard).unwrap_or_default()
    }

    /// Whether an event of that seq and audience was for it.
    #[must_use]
    pub fn is_addressed(&self, seq: u64, audience: &Audience) -> bool {
        let is_at = |address: &Address| match address {
            Address::Socket(id) => *id == self.id,
            Address::Room(room) => self.was_in(room, seq),
        };
        seq > self.since
            && (audience.to.is_empty() || audience.to.iter().any(is_at))
            && !audience.except.iter().any(is_at)
    }

    /// Whether nothing was for it behind `seen` that is among those up to `trimmed`.
    pub(super) fn knows_what_followed(&self, seen: u64, trimmed: u64) -> bool {
        if seen < self.forgotten {
            return false;
        }
        if seen >= trimmed {
            return true;
        }
        match self.away {
            // While it was away, nobody noted what it would have heard.
            Some((since, heard)) => since >= trimmed && heard.nothing_within(seen, trimmed),
            None => false,
        }
    }

    fn was_in(&self, room: &str, seq: u64) -> bool {
        let Some(stays) = self.rooms.get(room) else {
            return false;
        };
        stays.open.is_some_and(|from| seq >= from)
            || stays
                .ended
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&seq))
    }

    /// Forgets stays that nobody will ask for, when there are many rooms.
    fn tidy(&mut self, trimmed: u64) {
        if self.rooms.len() >= self.sweep_at {
            self.forget_ended(0, |to| to <= trimmed);
            self.sweep_at = self.rooms.len().saturating_mul(2).max(SWEEP);
        }
    }

    /// Forgets ended stays; what is not complete up to `forgotten` cannot be replayed any more.
    fn forget_ended(&mut self, forgotten: u64, forget: impl Fn(u64) -> bool) {
        for stays in self.rooms.values_mut() {
            stays.ended.retain(|(_, to)| !forget(*to));
        }
        self.rooms
            .retain(|_, stays| stays.open.is_some() || !stays.ended.is_empty());
        self.ended = self.rooms.values().map(|stays| stays.ended.len()).sum();
        self.forgotten = self.forgotten.max(forgotten);
    }
}
