//! The lock of an outbox, and what its connection task sees of it at every turn without taking it.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::State;

/// An outbox's state behind its lock.
#[derive(Debug)]
pub(super) struct Watched {
    state: Mutex<State>,
    /// As the last one to hold the lock has left it. Whoever gives the connection task something to do
    /// wakes it afterwards.
    signs: AtomicU8,
}

/// What the connection task has to look after, if anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs(u8);

impl Signs {
    const BLOCKED: u8 = 1;
    const TROUBLE: u8 = 2;

    fn of(state: &State) -> Self {
        let blocked = u8::from(state.blocked) * Self::BLOCKED;
        let trouble = u8::from(state.trouble.is_some()) * Self::TROUBLE;
        Self(blocked | trouble)
    }

    pub(super) fn is_blocked(self) -> bool {
        self.0 & Self::BLOCKED != 0
    }

    pub(super) fn is_in_trouble(self) -> bool {
        self.0 & Self::TROUBLE != 0
    }
}

impl Watched {
    pub(super) fn new(state: State) -> Self {
        Self {
            signs: AtomicU8::new(Signs::of(&state).0),
            state: Mutex::new(state),
        }
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        Locked {
            state: self.state.lock(),
            signs: &self.signs,
        }
    }

    pub(super) fn signs(&self) -> Signs {
        Signs(self.signs.load(Ordering::Acquire))
    }
}

/// The lock is held; when it is let go, the signs are as the state is.
pub(super) struct Locked<'a> {
    state: MutexGuard<'a, State>,
    signs: &'a AtomicU8,
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.signs
            .store(Signs::of(&self.state).0, Ordering::Release);
    }
}
