//! The sessions of one namespace, by token: of clients that are here, and of those that may come back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use ferriwire_proto::log::{Heard, Presence};

use super::Token;
use super::claim::Fingerprint;
use crate::server::hub::Data;
use crate::server::membership::Membership;
use crate::server::seat::KeptSeat;

#[derive(Default)]
pub(super) struct Sessions {
    by_token: HashMap<Token, Session>,
    /// Who went away, the oldest first. Some have come back since.
    away: VecDeque<Absence>,
    /// How much memory those take that are away.
    away_bytes: usize,
    /// How often anybody went away, ever.
    departures: u64,
    over: Over,
}

/// What is over: the program's data, and seats in a child, are dropped without the lock.
#[derive(Default)]
pub(super) struct Over {
    sessions: Vec<Session>,
    seats: Vec<KeptSeat>,
}

pub(super) struct Session {
    pub(super) presence: Presence,
    pub(super) identity: Identity,
    /// What `auth` made of the client the last time.
    pub(super) data: Data,
    pub(super) whereabouts: Whereabouts,
}

/// Who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// What the program says.
    Declared(String),
    /// Whoever sends the same to `auth`.
    SamePayload(Fingerprint),
}

pub(super) enum Whereabouts {
    /// The one holder of the token.
    Here(Arc<Membership>),
    Away {
        departure: u64,
        bytes: usize,
        /// In a child of a dynamic namespace.
        seat: Option<KeptSeat>,
    },
}

struct Absence {
    token: Token,
    departure: u64,
    /// `None` when the window is longer than the clock can tell.
    until: Option<Instant>,
}

impl Sessions {
    pub(super) fn insert(&mut self, token: Token, session: Session) {
        self.by_token.insert(token, session);
    }

    pub(super) fn get(&self, token: Token) -> Option<&Session> {
        self.by_token.get(&token)
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut Session> {
        self.by_token.get_mut(&token)
    }

    /// Takes a session over for a new holder, and gives its earlier one.
    pub(super) fn take_over(
        &mut self,
        token: Token,
        holder: &Arc<Membership>,
    ) -> Option<(&mut Session, Option<Arc<Membership>>)> {
        let session = self.by_token.get_mut(&token)?;
        let here = Whereabouts::Here(Arc::clone(holder));
        let earlier = match std::mem::replace(&mut session.whereabouts, here) {
            Whereabouts::Here(earlier) => Some(earlier),
            Whereabouts::Away { bytes, seat, .. } => {
                self.away_bytes = self.away_bytes.saturating_sub(bytes);
                self.over.seats.extend(seat);
                None
            }
        };
        Some((session, earlier))
    }

    /// What is known of a socket that holds its session.
    pub(super) fn presence_of(&mut self, membership: &Membership) -> Option<&mut Presence> {
        let token = membership.tracking()?.token()?;
        let session = self.by_token.get_mut(&token)?;
        session
            .is_held_by(membership)
            .then_some(&mut session.presence)
    }

    /// The holder goes away, and may come back until then.
    pub(super) fn go_away(
        &mut self,
        token: Token,
        holder: &Membership,
        (last, heard): (u64, Heard),
        until: Option<Instant>,
    ) {
        let Some(session) = self.by_token.get_mut(&token) else {
            return;
        };
        if !session.is_held_by(holder) {
            return;
        }
        self.departures = self.departures.wrapping_add(1);
        let departure = self.departures;
        let bytes = session.presence.size().saturating_add(SESSION);
        session.presence.go_away(last, heard);
        let seat = KeptSeat::take(holder.hub());
        session.whereabouts = Whereabouts::Away {
            departure,
            bytes,
            seat,
        };
        self.away_bytes = self.away_bytes.saturating_add(bytes);
        self.away.push_back(Absence {
            token,
            departure,
            until,
        });
    }

    /// The holder goes for good.
    pub(super) fn forget(&mut self, token: Token, holder: &Membership) {
        let session = self.by_token.get(&token);
        if session.is_some_and(|session| session.is_held_by(holder)) {
            self.remove(token);
        }
    }

    /// Forgets a session that nobody holds.
    pub(super) fn forget_away(&mut self, token: Token) {
        let session = self.by_token.get(&token);
        if session.is_some_and(|session| matches!(session.whereabouts, Whereabouts::Away { .. })) {
            self.remove(token);
        }
    }

    /// Forgets the sessions whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(oldest) = self.away.front()
            && oldest.until.is_some_and(|until| until <= now)
        {
            self.forget_oldest();
        }
    }

    /// Forgets who went away first; `false` if nobody is away.
    pub(super) fn forget_oldest(&mut self) -> bool {
        let Some(Absence {
            token, departure, ..
        }) = self.away.pop_front()
        else {
            return false;
        };
        if self.away.capacity() > SMALL && self.away.len() < self.away.capacity() / 4 {
            self.away.shrink_to(self.away.len().saturating_mul(2));
        }
        let session = self.by_token.get(&token);
        if session.is_some_and(|session| session.is_on(departure)) {
            self.remove(token);
        }
        true
    }

    pub(super) fn away_bytes(&self) -> usize {
        self.away_bytes
            .saturating_add(self.away.len().saturating_mul(size_of::<Absence>()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_token.is_empty()
    }

    /// What is over, for a caller that drops it when it holds no lock.
    pub(super) fn take_what_is_over(&mut self) -> Over {
        std::mem::take(&mut self.over)
    }

    fn remove(&mut self, token: Token) {
        let Some(session) = self.by_token.remove(&token) else {
            return;
        };
        if let Whereabouts::Away { bytes, .. } = session.whereabouts {
            self.away_bytes = self.away_bytes.saturating_sub(bytes);
        }
        self.over.sessions.push(session);
        if self.by_token.capacity() > SMALL && self.by_token.len() < self.by_token.capacity() / 4 {
            self.by_token
                .shrink_to(self.by_token.len().saturating_mul(2));
        }
    }
}

impl Session {
    fn is_held_by(&self, membership: &Membership) -> bool {
        match &self.whereabouts {
            Whereabouts::Here(holder) => std::ptr::eq(Arc::as_ptr(holder), membership),
            Whereabouts::Away { .. } => false,
        }
    }

    fn is_on(&self, this: u64) -> bool {
        match &self.whereabouts {
            Whereabouts::Here(_) => false,
            Whereabouts::Away { departure, .. } => *departure == this,
        }
    }
}

/// What a session takes beside its rooms, with its place in the tables; the program's data is not
/// known.
const SESSION: usize = 512;

/// Capacities up to this one are kept.
const SMALL: usize = 64;
