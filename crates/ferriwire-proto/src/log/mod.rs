//! One ordered log of a namespace's events, for clients that come back after their connection was cut.
//!
//! Section 1.3.3 of docs/protocol.md. Every event that can be replayed takes the next number of its
//! log, the seq, and carries it to the client as its last argument: an [`Offset`]. A client that
//! comes back says which one it has seen last, and gets what followed it, as far as its [`Presence`]
//! says that it was addressed. Nothing is guessed: where the log does not reach, the answer is a
//! [`Gap`].
//!
//! Pure data: the caller holds the one lock under which a seq is taken, the event is appended and
//! pushed to its receivers, and rooms are joined and left.

mod offset;
mod presence;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::offset::{Epoch, Offset};
pub use self::presence::{Heard, Presence};

/// How much a log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For how long.
    pub window: Duration,
    /// How many events at most.
    pub packets: usize,
}

/// The events of a namespace, the oldest first. Their seqs have no holes.
#[derive(Debug)]
pub struct Log<M> {
    epoch: Epoch,
    limits: Limits,
    entries: VecDeque<Entry<M>>,
    bytes: usize,
    /// The newest seq that was given away.
    last: u64,
    /// The newest seq that is older than a part of the window, or not kept any more.
    settled: u64,
}

#[derive(Debug)]
struct Entry<M> {
    at: Instant,
    bytes: usize,
    audience: Audience,
    message: M,
}

/// Whom an event is for: everybody in any of `to`, or all if that is empty, but nobody in `except`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// A union; empty for everybody in the namespace.
    pub to: Box<[Address]>,
    /// None of these.
    pub except: Box<[Address]>,
}

/// A room, or the private address of one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// All members of a room.
    Room(Arc<str>),
    /// One socket, by its id.
    Socket(Arc<str>),
}

/// Why a client that came back cannot get all that it has missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The offset is of another log: the server was started anew.
    OtherEpoch,
    /// No event has that offset yet.
    Future,
    /// What followed is not kept any more.
    Trimmed,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherEpoch => "the offset is of another log",
            Self::Future => "the offset lies in the future",
            Self::Trimmed => "what followed the offset is not kept any more",
        })
    }
}

/// An entry takes this much beside its message and the names of its audience.
const ENTRY: usize = 128;

/// After this part of the window an event counts as [settled](Log::settled).
const SETTLES: u32 = 4;

impl<M> Log<M> {
    /// A log without events. `epoch` tells it from others, also from those of earlier processes.
    #[must_use]
    pub fn new(epoch: Epoch, limits: Limits) -> Self {
        Self {
            epoch,
            limits,
            entries: VecDeque::new(),
            bytes: 0,
            last: 0,
            settled: 0,
        }
    }

    /// The newest seq.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The newest offset, which is what an event carries that is not in the log itself.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.offset(self.last)
    }

    /// Everything up to this seq is not kept any more.
    #[must_use]
    pub fn trimmed(&self) -> u64 {
        let kept = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        self.last.saturating_sub(kept)
    }

    /// Everything up to this seq has been here for a while, a quarter of the window: what a socket
    /// hears now is told apart from that, see [`Heard`].
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// How much memory the events take, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many events are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes the next seq for an event of `bytes` bytes; `stamp` makes the message that carries the
    /// offset, which is returned as well. The oldest events go when there are too many.
    pub fn append(
        &mut self,
        audience: Audience,
        bytes: usize,
        now: Instant,
        stamp: impl FnOnce(Offset) -> M,
    ) -> M
    where
        M: Clone,
    {
        self.expire(now);
        self.last = self.last.saturating_add(1);
        let message = stamp(self.offset(self.last));
        let bytes = bytes.saturating_add(ENTRY).saturating_add(audience.size());
        self.bytes = self.bytes.saturating_add(bytes);
        self.entries.push_back(Entry {
            at: now,
            bytes,
            audience,
            message: message.clone(),
        });
        while self.entries.len() > self.limits.packets {
            self.drop_oldest();
        }
        message
    }

    /// Drops what is older than the window.
    pub fn expire(&mut self, now: Instant) {
        let age = |entry: &Entry<M>| now.saturating_duration_since(entry.at);
        let window = self.limits.window;
        while self
            .entries
            .front()
            .is_some_and(|oldest| age(oldest) >= window)
        {
            self.drop_oldest();
        }
        let settles = window / SETTLES;
        while let Some(next) = self.entry(self.settled.saturating_add(1))
            && age(next) >= settles
        {
            self.settled = self.settled.saturating_add(1);
        }
    }

    /// Drops the oldest event, if there is one. Who missed it has a gap.
    pub fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.entries.pop_front() else {
            return false;
        };
        self.bytes = self.bytes.saturating_sub(oldest.bytes);
        self.settled = self.settled.max(self.trimmed());
        // What a burst needed is given back once most of it is gone. Halving pays for itself.
        let (len, capacity) = (self.entries.len(), self.entries.capacity());
        if capacity > SMALL && len < capacity / 4 {
            self.entries.shrink_to(len.saturating_mul(2));
        }
        true
    }

    /// The seq that a client names, if it is one of this log.
    ///
    /// # Errors
    ///
    /// The offset is of another log, or of no event so far.
    pub fn seq_of(&self, offset: Offset) -> Result<u64, Gap> {
        if offset.epoch != self.epoch {
            return Err(Gap::OtherEpoch);
        }
        if offset.seq > self.last {
            return Err(Gap::Future);
        }
        Ok(offset.seq)
    }

    /// What somebody has missed who has seen nothing after `seen`, with the seqs; nothing of what
    /// came before its presence began.
    ///
    /// # Errors
    ///
    /// Something that it has missed may have been dropped.
    pub fn replay(
        &self,
        seen: u64,
        presence: &Presence,
    ) -> Result<impl Iterator<Item = (u64, &M)>, Gap> {
        let seen = seen.max(presence.since());
        let trimmed = self.trimmed();
        if !presence.knows_what_followed(seen, trimmed) {
            return Err(Gap::Trimmed);
        }
        let first = seen.max(trimmed).saturating_add(1);
        let skipped = first.saturating_sub(trimmed.saturating_add(1));
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let missed = (first..).zip(self.entries.iter().skip(skipped));
        let addressed = missed.filter(|(seq, entry)| presence.is_addressed(*seq, &entry.audience));
        Ok(addressed.map(|(seq, entry)| (seq, &entry.message)))
    }

    fn offset(&self, seq: u64) -> Offset {
        Offset {
            epoch: self.epoch,
            seq,
        }
    }

    fn entry(&self, seq: u64) -> Option<&Entry<M>> {
        let index = seq.checked_sub(self.trimmed().saturating_add(1))?;
        self.entries.get(usize::try_from(index).ok()?)
    }
}

impl Audience {
    /// How much memory the names take that are kept for it.
    fn size(&self) -> usize {
        let addresses = self.to.iter().chain(&self.except);
        let sizes = addresses.map(|address| match address {
            Address::Room(name) | Address::Socket(name) => {
                size_of::<Address>().saturating_add(name.len())
            }
        });
        sizes.fold(0, usize::saturating_add)
    }
}

/// Capacities up to this one are kept.
const SMALL: usize = 64;
