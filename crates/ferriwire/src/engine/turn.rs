//! A turn: one poll of a connection task, with the outboxes that its handlers made dirty.
//!
//! Whatever is emitted during a turn is written when the turn ends, by the thread that emitted it:
//! no task is woken for it. What is emitted outside any turn goes to the shard task.

use std::cell::RefCell;

use super::session::Session;

/// How many outboxes one turn writes; at about 5 microseconds each that is some 2 milliseconds.
/// The rest goes to the shard tasks, which run on other threads.
const MAX_LISTED: usize = 512;

thread_local! {
    static CURRENT: RefCell<Option<Vec<Session>>> = const { RefCell::new(None) };
}

/// An open turn of this thread. Ends, and writes, when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    /// A turn inside a turn, as `block_in_place` can cause, leaves the outer one alone.
    outer: Option<Vec<Session>>,
}

impl Turn {
    pub(crate) fn begin() -> Self {
        Self {
            outer: CURRENT.replace(Some(Vec::new())),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let dirty = CURRENT.replace(self.outer.take());
        for session in dirty.into_iter().flatten() {
            session.flush();
        }
    }
}

/// Sees to it that the session's outbox is flushed: by this turn, or by its shard.
pub(crate) fn enlist(session: &Session) {
    let listed = CURRENT.with_borrow_mut(|current| match current {
        Some(list) if list.len() < MAX_LISTED => {
            list.push(session.clone());
            true
        }
        Some(_) | None => false,
    });
    if !listed {
        session.shard().enlist(session.clone());
    }
}
