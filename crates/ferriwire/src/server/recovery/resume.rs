//! A client joins: as somebody new, or as who it was.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::log::{self, Address, Audience, Presence};
use serde::Serialize;

use super::claim::{Claim, Request, Seen};
use super::sessions::{Identity, Session, Whereabouts};
use super::{Beginning, Gap, Recovery, State, Token, Tracking, now};
use crate::engine::outbox::Push;
use crate::engine::{Session as Connection, ViolationKind};
use crate::handshake::ConnectError;
use crate::server::hub::{Data, Hub};
use crate::server::membership::Membership;
use crate::server::rooms::Target;
use crate::socket_id::SocketId;

/// What is known of a client that may come back, from `auth` until it is accepted.
pub(crate) struct Return {
    identity: Identity,
    /// Good for a new session.
    fresh: Token,
    claim: Option<Kept>,
    gap: Option<Gap>,
}

/// A session that the client may take up.
struct Kept {
    id: SocketId,
    token: Token,
    /// What it has missed until then.
    missed: Missed,
    rooms: usize,
}

/// What a client has missed.
#[derive(Default)]
struct Missed {
    messages: Vec<(u64, Arc<Encoded>)>,
    /// Behind this seq nothing was looked at yet.
    until: u64,
}

impl Return {
    /// The id of the session that it takes up.
    pub(crate) fn kept_id(&self) -> Option<SocketId> {
        self.claim.as_ref().map(|kept| kept.id.clone())
    }

    /// In how many rooms it is.
    pub(crate) fn kept_rooms(&self) -> usize {
        self.claim.as_ref().map_or(0, |kept| kept.rooms)
    }
}

/// So much a CONNECT packet takes at most, but for one of a long name: the exact size is looked at in
/// the end, and then it is too late for another id.
const CONNECT: usize = 512;

/// The payload of an accepted CONNECT.
#[derive(Serialize)]
struct Accepted<'a> {
    sid: &'a str,
    pid: &'a str,
}

fn connect(hub: &Hub, id: &SocketId, token: Token) -> Result<Arc<Encoded>, ConnectError> {
    let pid = token.encode();
    let (sid, pid) = (id.as_str(), pid.as_str());
    hub.encode_connect(&Accepted { sid, pid })
        .map(Arc::new)
        .map_err(|error| {
            tracing::error!(%error, "a CONNECT packet cannot be written");
            ConnectError::new("internal error")
        })
}

impl Recovery {
    /// Looks, when `auth` has accepted a client, whether it may take up the session that it claims.
    pub(crate) fn plan(
        &self,
        request: Request,
        declared: Option<String>,
        id: &SocketId,
        connection: &Connection,
    ) -> Result<Box<Return>, ConnectError> {
        let mut random = [0; 16];
        if let Err(error) = getrandom::fill(&mut random) {
            tracing::error!(%error, "no random bytes for a session");
            return Err(ConnectError::new("internal error"));
        }
        let identity = match declared {
            Some(identity) => Identity::Declared(identity),
            None => Identity::SamePayload(request.fingerprint),
        };
        let (claim, gap) = match request.claim {
            None => (None, None),
            Some(Claim { token: None, .. }) => (None, Some(Gap::UnknownSession)),
            Some(Claim {
                token: Some(token),
                seen,
            }) => match self.kept(token, seen, &identity, connection) {
                Ok(kept) => (Some(kept), None),
                Err(gap) => (None, Some(gap)),
            },
        };
        if gap == Some(Gap::OtherIdentity) {
            // The token itself is a secret.
            connection.violated(ViolationKind::ForeignSession);
            tracing::debug!(socket = %id, "a client has tried to take up somebody else's session");
        } else if let Some(gap) = gap {
            tracing::debug!(socket = %id, %gap, "a client starts anew");
        }
        Ok(Box::new(Return {
            identity,
            fresh: Token::from_random(random),
            claim,
            gap,
        }))
    }

    fn kept(
        &self,
        token: Token,
        seen: Seen,
        identity: &Identity,
        connection: &Connection,
    ) -> Result<Kept, Gap> {
        let mut state = self.lock();
        state.sweep(now());
        let session = state.sessions.get(token).ok_or(Gap::UnknownSession)?;
        if session.identity != *identity {
            return Err(Gap::OtherIdentity);
        }
        let id = session.presence.id().parse();
        let id = id.map_err(|_| Gap::UnknownSession)?;
        let since = session.presence.since();
        let rooms = session.presence.rooms().count();
        let until = match seen {
            Seen::Nothing => since,
            Seen::Offset(offset) => match state.log.seq_of(offset) {
                Ok(seq) => seq,
                // Its offset is of an earlier process: it was cut before this one sent it anything.
                Err(log::Gap::OtherEpoch) => since,
                Err(gap) => return Err(gap.into()),
            },
            Seen::Garbage => return Err(Gap::InvalidOffset),
        };
        let mut missed = Missed {
            messages: Vec::new(),
            until,
        };
        if let Err(gap) = self.miss(&mut state, token, &mut missed, connection, CONNECT) {
            state.give_up(token, gap);
            return Err(gap);
        }
        Ok(Kept {
            id,
            token,
            missed,
            rooms,
        })
    }

    /// Makes the client a member: with its CONNECT packet, and then what it has missed, in front of
    /// anything else. In this order a client that is cut again has handed out whatever it has read, and
    /// asks for the rest.
    pub(crate) fn admit(
        &self,
        membership: &Arc<Membership>,
        data: Data,
        plan: Return,
    ) -> Result<Beginning, ConnectError> {
        let (hub, id) = (membership.hub(), membership.id());
        let Return {
            identity,
            fresh,
            claim,
            mut gap,
        } = plan;
        let anew = connect(hub, id, fresh)?;
        let again = claim.as_ref().map(|kept| connect(hub, id, kept.token));
        let again = again.transpose()?;
        let farewell = claim.as_ref().and_then(|_| hub.encode_disconnect());

        let mut guard = self.lock();
        let state = &mut *guard;
        state.sweep(now());
        // Middleware has taken its time, and the session may have been lost meanwhile.
        let has_kept_id = claim.is_some();
        let resumed = claim.zip(again).and_then(|(mut kept, again)| {
            let held = membership.held_bytes().saturating_add(again.len());
            let connection = membership.session();
            match self.miss(state, kept.token, &mut kept.missed, connection, held) {
                Ok(()) => Some((kept.token, again, kept.missed.messages)),
                Err(lost) => {
                    state.give_up(kept.token, lost);
                    gap = Some(lost);
                    None
                }
            }
        });
        let token = resumed.as_ref().map_or(fresh, |(token, ..)| *token);
        if let Some(tracking) = membership.tracking() {
            // Set once, here.
            let _ = tracking.token.set(token);
            tracking
                .recovered
                .store(resumed.is_some(), Ordering::Relaxed);
        }
        let mut earlier = Vec::new();
        let mut beginning = gap.map_or(Beginning::Fresh, Beginning::Gap);
        let (mut rooms, mut replayed, mut packet) = (Vec::new(), Vec::new(), anew);
        match resumed {
            Some((token, again, missed)) => {
                let settled = state.log.settled();
                if let Some((session, holder)) = state.sessions.take_over(token, membership) {
                    earlier.extend(
                        holder.map(|holder| Superseded::new(holder, None, farewell.as_ref())),
                    );
                    let previous = std::mem::replace(&mut session.data, Arc::clone(&data));
                    beginning = Beginning::Resumed(previous);
                    let mut heard = session.presence.come_back();
                    for (seq, _) in &missed {
                        heard.note(*seq, settled);
                    }
                    if let Some(tracking) = membership.tracking() {
                        *tracking.heard.lock() = heard;
                    }
                    rooms = session.presence.rooms().cloned().collect();
                }
                replayed = missed.into_iter().map(|(_, message)| message).collect();
                packet = again;
            }
            None => {
                if has_kept_id {
                    // One id, one socket: whoever still has it, or has it again.
                    let namesakes = hub.select(&[Target::Socket(id.clone())], &[]);
                    for (holder, data) in namesakes {
                        if let Some(token) = holder.tracking().and_then(Tracking::token) {
                            state.sessions.forget(token, &holder);
                        }
                        earlier.push(Superseded::new(holder, Some(data), farewell.as_ref()));
                    }
                }
                let presence = Presence::new(id.as_str().into(), state.log.last());
                let session = Session {
                    presence,
                    identity,
                    data: Arc::clone(&data),
                    whereabouts: Whereabouts::Here(Arc::clone(membership)),
                };
                state.sessions.insert(token, session);
            }
        }
        let mut stamp = |message: Arc<Encoded>| match Arc::try_unwrap(message) {
            Ok(message) if message.has_slot() => {
                let to = [Address::Socket(id.as_str().into())].into();
                let except = [].into();
                let message = state.stamp(message, Some(Audience { to, except }));
                if let Some(tracking) = membership.tracking() {
                    tracking.hear(state.log.last(), state.log.settled());
                }
                message
            }
            Ok(message) => Arc::new(message),
            Err(shared) => shared,
        };
        let inserted = hub.insert(membership, data, &packet, &rooms, &replayed, &mut stamp);
        for room in &inserted.0.rooms {
            if let Some(presence) = state.sessions.presence_of(membership) {
                presence.join(room, state.log.last(), state.log.trimmed());
            }
        }
        drop(guard);
        inserted.complete(hub, membership.session());
        for Superseded {
            membership,
            push,
            _data,
        } in earlier
        {
            membership.end_superseded(push);
        }
        Ok(beginning)
    }

    /// Looks at what the client of a session has missed since it was looked at last. `held` bytes are
    /// queued for it beside that.
    fn miss(
        &self,
        state: &mut State,
        token: Token,
        missed: &mut Missed,
        connection: &Connection,
        held: usize,
    ) -> Result<(), Gap> {
        let State { log, sessions, .. } = state;
        let session = sessions.get_mut(token).ok_or(Gap::UnknownSession)?;
        // Its connection is not known to be dead, but it has another one now.
        if let Whereabouts::Here(holder) = &session.whereabouts
            && let Some(tracking) = holder.tracking()
        {
            session.presence.go_away(log.last(), *tracking.heard.lock());
        }
        // The queue is the connection's: other namespaces' events may wait in it.
        let (room, dialect) = connection.outbox().room();
        let left = self.settings.max_session_bytes;
        let mut left = left.min(room.saturating_sub(held));
        let mut take = |message: &Encoded| {
            let bytes = left.checked_sub(message.len_in(dialect));
            left = bytes.ok_or(Gap::TooMuch)?;
            Ok::<_, Gap>(())
        };
        for (_, message) in &missed.messages {
            take(message)?;
        }
        for (seq, message) in log.replay(missed.until, &session.presence)? {
            if missed.messages.len() >= self.settings.max_session_packets {
                return Err(Gap::TooMuch);
            }
            take(message)?;
            missed.messages.push((seq, Arc::clone(message)));
        }
        missed.until = log.last();
        Ok(())
    }
}

impl State {
    /// A session that its own client cannot take up any more is of no use.
    fn give_up(&mut self, token: Token, gap: Gap) {
        match gap {
            Gap::Trimmed | Gap::TooMuch => self.sessions.forget_away(token),
            Gap::UnknownSession | Gap::InvalidOffset | Gap::OtherIdentity => {}
        }
    }
}

/// The earlier holder of a session or an id.
struct Superseded {
    membership: Arc<Membership>,
    push: Option<Push>,
    /// Dropping it may run the program's code.
    _data: Option<Data>,
}

impl Superseded {
    fn new(
        membership: Arc<Membership>,
        data: Option<Data>,
        farewell: Option<&Arc<Encoded>>,
    ) -> Self {
        Self {
            push: membership.begin_superseded(farewell),
            membership,
            _data: data,
        }
    }
}
