//! A turn: one poll of a connection task, with the outboxes that its handlers made dirty.
//!
//! Whatever is emitted during a turn is written when the turn ends, by the thread that emitted it:
//! no task is woken for it. What is emitted outside any turn goes to the shard task.

use std::cell::{Cell, RefCell};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use super::session::Session;

/// How many outboxes one turn writes; at about 5 microseconds each that is some 2 milliseconds.
/// The rest goes to the shard tasks, which run on other threads.
const MAX_LISTED: usize = 512;

/// How many turns a thread names before it asks for more names.
const NAMES: u64 = 1 << 32;

thread_local! {
    static CURRENT: Current = const { Current::new() };

    /// Which others the turn has to flush, behind those of the turns around it. The list keeps its
    /// memory from one turn to the next.
    static OTHERS: RefCell<Vec<Session>> = const { RefCell::new(Vec::new()) };
}

/// Names a turn; what is emitted outside any turn belongs to the shard tasks' one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TurnId(NonZeroU64);

impl TurnId {
    const OUTSIDE: Self = Self(NonZeroU64::MIN);
}

/// What a thread knows of its turn. It has nothing to drop, which thread locals pay for at each use.
struct Current {
    turn: Cell<TurnId>,
    own: Cell<Own>,
    /// How many there are in the list of others.
    listed: Cell<usize>,
    /// The last name of a turn that was given on this thread.
    last_name: Cell<u64>,
}

/// The session whose task is polled, and whether its own outbox has to be flushed.
#[derive(Clone, Copy, Debug)]
struct Own {
    /// Where it lies in memory.
    address: usize,
    is_dirty: bool,
}

/// An open turn of this thread. Ends, and writes what was sent to others, when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    /// A turn inside a turn, as `block_in_place` can cause, leaves the outer one alone.
    outer: (TurnId, Own),
    /// How many the outer turns have listed.
    begin: usize,
}

impl Turn {
    /// `own` is the session whose task is polled.
    pub(crate) fn begin(own: Option<&Session>) -> Self {
        CURRENT.with(|current| {
            let own = Own {
                address: own.map_or(0, Session::address),
                is_dirty: false,
            };
            Self {
                begin: current.listed.get(),
                outer: (
                    current.turn.replace(current.name()),
                    current.own.replace(own),
                ),
            }
        })
    }

    /// Whether something was sent to the session itself; if so, the caller flushes it.
    pub(crate) fn takes_own(&self) -> bool {
        CURRENT.with(|current| {
            let own = current.own.get();
            current.own.set(Own {
                is_dirty: false,
                ..own
            });
            own.is_dirty
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        CURRENT.with(|current| {
            let (turn, own) = self.outer;
            current.turn.set(turn);
            current.own.set(own);
            if current.listed.get() > self.begin {
                current.flush_others(self.begin);
            }
        });
    }
}

impl Current {
    const fn new() -> Self {
        Self {
            turn: Cell::new(TurnId::OUTSIDE),
            own: Cell::new(Own {
                address: 0,
                is_dirty: false,
            }),
            listed: Cell::new(0),
            last_name: Cell::new(0),
        }
    }

    /// Notes that its own session is dirty, if it is that one.
    #[inline]
    fn lists_own(&self, session: &Session) -> bool {
        let own = self.own.get();
        let is_own = own.address == session.address();
        if is_own {
            self.own.set(Own {
                is_dirty: true,
                ..own
            });
        }
        is_own
    }

    /// Lists a session, unless the turn has listed enough, or there is no turn.
    fn lists_other(&self, session: &Session) -> bool {
        if self.turn.get() == TurnId::OUTSIDE {
            return false;
        }
        let has_room = self.listed.get() < MAX_LISTED;
        if has_room {
            OTHERS.with_borrow_mut(|others| {
                others.push(session.clone());
                self.listed.set(others.len());
            });
        }
        has_room
    }

    /// Flushes those that were listed from there on.
    #[inline(never)]
    fn flush_others(&self, begin: usize) {
        let mut listed = match begin {
            0 => OTHERS.take(),
            _ => OTHERS.with_borrow_mut(|others| others.split_off(begin)),
        };
        self.listed.set(begin);
        for session in listed.drain(..) {
            session.flush();
        }
        if begin == 0 {
            OTHERS.set(listed);
            self.listed.set(0);
        }
    }

    /// A name that no other turn has, on whatever thread.
    fn name(&self) -> TurnId {
        static NEXT: AtomicU64 = AtomicU64::new(NAMES);
        let mut name = self.last_name.get();
        if name.is_multiple_of(NAMES) {
            name = NEXT.fetch_add(NAMES, Ordering::Relaxed);
        }
        name += 1;
        self.last_name.set(name);
        NonZeroU64::new(name).map_or(TurnId::OUTSIDE, TurnId)
    }
}

/// The turn of this thread.
pub(crate) fn current() -> TurnId {
    CURRENT.with(|current| current.turn.get())
}

/// Sees to it that the session's outbox is flushed: by this turn, or by its shard.
#[inline]
pub(crate) fn enlist(session: &Session) {
    if !CURRENT.with(|current| current.lists_own(session)) {
        enlist_other(session);
    }
}

#[inline(never)]
fn enlist_other(session: &Session) {
    if !CURRENT.with(|current| current.lists_other(session)) {
        session.shard().enlist(session.clone());
    }
}
