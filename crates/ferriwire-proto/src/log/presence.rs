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
    /// How much memory those stays take that have ended, and rooms that were left.
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

/// So many bytes of stays that ended are kept for one socket.
const MAX_ENDED: usize = 64 * 1024;

/// What a stay takes that has ended.
const STAY: usize = size_of::<(u64, u64)>();

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

impl Stays {
    /// How much memory those take that have ended, and the room if it is not open.
    fn size(&self, room: &str) -> usize {
        let name = if self.open.is_some() {
            0
        } else {
            room_size(room)
        };
        self.ended.len().saturating_mul(STAY).saturating_add(name)
    }
}

fn room_size(name: &str) -> usize {
    name.len().saturating_add(ROOM)
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
        let open = self.rooms().map(|room| room_size(room));
        open.fold(
            self.ended.saturating_add(size_of::<Self>()),
            usize::saturating_add,
        )
    }

    /// It joined a room when `last` was the newest seq and everything up to `trimmed` was gone.
    pub fn join(&mut self, room: &Arc<str>, last: u64, trimmed: u64) {
        self.tidy(trimmed);
        let stays = self.rooms.entry(Arc::clone(room)).or_default();
        if stays.open.is_none() {
            stays.open = Some(last.saturating_add(1));
            if !stays.ended.is_empty() {
                self.ended = self.ended.saturating_sub(room_size(room));
            }
        }
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
            self.ended = self.ended.saturating_add(STAY);
        }
        if stays.ended.is_empty() {
            self.rooms.remove(room);
        } else {
            self.ended = self.ended.saturating_add(room_size(room));
        }
        if self.ended > MAX_ENDED {
            self.forget_oldest();
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
        if stays.open.is_some_and(|from| seq >= from) {
            return true;
        }
        let next = stays.ended.partition_point(|(_, to)| *to < seq);
        stays.ended.get(next).is_some_and(|(from, _)| *from <= seq)
    }

    /// Forgets the oldest stays that ended, until half of what they may take is free.
    fn forget_oldest(&mut self) {
        while self.ended > MAX_ENDED / 2 {
            let stays = self.rooms.values().flat_map(|stays| &stays.ended);
            let mut ends: Vec<u64> = stays.map(|(_, to)| *to).collect();
            let middle = ends.len() / 2;
            if ends.is_empty() {
                return;
            }
            let (_, to, _) = ends.select_nth_unstable(middle);
            let oldest = *to;
            self.forget_ended(oldest, |to| to <= oldest);
        }
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
        let sizes = self.rooms.iter().map(|(room, stays)| stays.size(room));
        self.ended = sizes.fold(0, usize::saturating_add);
        self.forgotten = self.forgotten.max(forgotten);
    }
}
