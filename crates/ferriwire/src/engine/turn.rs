//! A turn: one poll of a connection task, with the outboxes that its handlers made dirty.
//!
//! Whatever is emitted during a turn is written when the turn ends, by the thread that emitted it:
//! no task is woken for it. What is emitted outside any turn goes to the shard task.

use std::cell::RefCell;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use super::session::Session;

/// How many outboxes one turn writes; at about 5 microseconds each that is some 2 milliseconds.
/// The rest goes to the shard tasks, which run on other threads.
const MAX_LISTED: usize = 512;

thread_local! {
    static CURRENT: RefCell<Option<List>> = const { RefCell::new(None) };
}

/// Names a turn; what is emitted outside any turn belongs to the shard tasks' one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TurnId(NonZeroU64);

impl TurnId {
    const OUTSIDE: Self = Self(NonZeroU64::MIN);
}

/// The outboxes that a turn has to flush.
#[derive(Debug)]
struct List {
    turn: TurnId,
    dirty: Vec<Session>,
}

/// An open turn of this thread. Ends, and writes, when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    /// A turn inside a turn, as `block_in_place` can cause, leaves the outer one alone.
    outer: Option<List>,
}

impl Turn {
    pub(crate) fn begin() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let list = List {
            turn: TurnId(TurnId::OUTSIDE.0.saturating_add(number)),
            dirty: Vec::new(),
        };
        Self {
            outer: CURRENT.replace(Some(list)),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let list = CURRENT.replace(self.outer.take());
        for session in list.into_iter().flat_map(|list| list.dirty) {
            session.flush();
        }
    }
}

/// The turn of this thread.
pub(crate) fn current() -> TurnId {
    CURRENT.with_borrow(|list| list.as_ref().map_or(TurnId::OUTSIDE, |list| list.turn))
}

/// Sees to it that the session's outbox is flushed: by this turn, or by its shard.
pub(crate) fn enlist(session: &Session) {
    let listed = CURRENT.with_borrow_mut(|list| match list {
        Some(list) if list.dirty.len() < MAX_LISTED => {
            list.dirty.push(session.clone());
            true
        }
        Some(_) | None => false,
    });
    if !listed {
        session.shard().enlist(session.clone());
    }
}
