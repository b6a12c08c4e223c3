//! Connection state recovery: clients whose connection was cut come back without a loss.
//!
//! Section 1.3.3 of docs/protocol.md. What it is about is in [`ferriwire_proto::log`]; here are the
//! lock, the sessions, and how they meet the hub.
//!
//! There is one lock per namespace. Under it an event takes its seq, is stamped, appended to the log
//! and pushed into the outboxes; rooms are joined and left; and clients come and go. So every client
//! sees offsets ascending, and has everything older in its queue when it sees one. Lock order:
//! recovery, shard, `pending` of a membership, outbox.

mod budget;
mod claim;
mod gap;
mod hooks;
mod resume;
mod sessions;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ferriwire_proto::codec::{OwnedPayload, Payload};
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::log::{Address, Audience, Epoch, Heard, Limits, Log};
use parking_lot::{Mutex, MutexGuard};

use self::claim::FingerprintKeys;
use self::sessions::{Over, Sessions};
use super::hub::{Data, Hub};
use super::membership::Membership;
use super::reason::DisconnectReason;
use super::rooms::Target;
use crate::config::Recovery as Settings;
use crate::error::EmitError;

pub(crate) use self::budget::Budget;
pub(crate) use self::claim::{Request, Token};
pub use self::gap::Gap;
pub(crate) use self::hooks::Returning;
pub(crate) use self::resume::Return;

/// The recovery of one namespace.
pub(crate) struct Recovery {
    settings: Settings,
    state: Mutex<State>,
}

/// What all namespaces of a server share.
pub(crate) struct Shared {
    settings: Settings,
    budget: Budget,
    keys: FingerprintKeys,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            budget: Budget::new(settings.max_bytes),
            keys: FingerprintKeys::default(),
        }
    }

    /// For one more namespace; `None` when there are no random bytes for the name of its log.
    pub(crate) fn recovery(&self) -> Option<Recovery> {
        let mut epoch = [0; 6];
        if let Err(error) = getrandom::fill(&mut epoch) {
            tracing::error!(%error, "no random bytes for a log: its clients cannot come back");
            return None;
        }
        Some(Recovery::new(self.settings, epoch, self.budget.share()))
    }

    /// Takes a CONNECT's payload apart, and gives what is left for `auth`.
    pub(crate) fn request(&self, payload: Option<Payload<'_>>) -> (Request, Option<OwnedPayload>) {
        Request::new(payload, &self.keys)
    }
}

/// What stands behind the lock.
struct State {
    log: Log<Arc<Encoded>>,
    sessions: Sessions,
    budget: Budget,
}

/// The lock. What the program gave to sessions that are over is dropped when it is free again,
/// because that may run the program's code; and seats that were kept, with which a child may go.
struct Locked<'a> {
    state: MutexGuard<'a, State>,
    /// Behind `state`, so that it is dropped after it.
    over: Over,
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
        self.over = self.state.sessions.take_what_is_over();
    }
}

/// What a socket knows of its session, and the log of the socket.
#[derive(Debug, Default)]
pub(crate) struct Tracking {
    /// Known when the socket is accepted.
    token: OnceLock<Token>,
    recovered: AtomicBool,
    /// How many rooms it is in already while its middleware runs.
    kept_rooms: usize,
    /// Written under the recovery lock.
    heard: Mutex<Heard>,
}

/// How a socket begins.
pub(crate) enum Beginning {
    /// Its client has not claimed to come back.
    Fresh,
    /// Its client has come back and got everything; the data that it had.
    Resumed(Data),
    /// Its client has come back and may have missed something.
    Gap(Gap),
}

/// Whether a client that went for this reason may come back: if it did not leave by the program's or
/// its own will.
pub(crate) fn may_come_back(reason: DisconnectReason) -> bool {
    match reason {
        DisconnectReason::ServerShuttingDown
        | DisconnectReason::PingTimeout
        | DisconnectReason::TransportClose
        | DisconnectReason::TransportError
        | DisconnectReason::ForcedClose
        | DisconnectReason::ForcedServerClose
        | DisconnectReason::SlowConsumer => true,
        DisconnectReason::ServerNamespaceDisconnect
        | DisconnectReason::ClientNamespaceDisconnect
        | DisconnectReason::ParseError
        | DisconnectReason::ServerError
        | DisconnectReason::LimitExceeded
        | DisconnectReason::ResumedElsewhere => false,
    }
}

impl Recovery {
    /// The recovery of a namespace of which nobody is a member yet. `epoch` has to be random.
    pub(crate) fn new(settings: Settings, epoch: [u8; 6], budget: Budget) -> Self {
        let limits = Limits {
            window: settings.window,
            packets: settings.max_log_packets,
        };
        Self {
            settings,
            state: Mutex::new(State {
                log: Log::new(Epoch(epoch), limits),
                sessions: Sessions::default(),
                budget,
            }),
        }
    }

    fn lock(&self) -> Locked<'_> {
        Locked {
            state: self.state.lock(),
            over: Over::default(),
        }
    }

    /// Sends an event that was encoded with room for its offset to all that are addressed.
    pub(crate) fn broadcast(
        &self,
        hub: &Hub,
        to: &[Target],
        except: &[Target],
        message: Encoded,
        volatile: bool,
        receiver: &mut dyn FnMut(&Arc<Membership>),
    ) {
        let audience = Audience {
            to: to.iter().map(address).collect(),
            except: except.iter().map(address).collect(),
        };
        let full = {
            let mut state = self.lock();
            let message = state.stamp(message, (!volatile).then_some(audience));
            let (last, settled) = (state.log.last(), state.log.settled());
            hub.push_to_selected(to, except, &message, volatile, &mut |member| {
                if !volatile && let Some(tracking) = member.tracking() {
                    tracking.hear(last, settled);
                }
                receiver(member);
                true
            })
        };
        for session in full {
            // Who is gone, or reads too slowly, is dealt with by its own task.
            let _ = session.flush_now();
        }
    }

    /// Sends an event that was encoded with room for its offset to one socket. When it is in the log,
    /// it will reach the client even if the connection is just breaking.
    pub(crate) fn send(
        &self,
        membership: &Membership,
        message: Encoded,
        volatile: bool,
    ) -> Result<(), EmitError> {
        let audience = Audience {
            to: [Address::Socket(membership.id().as_str().into())].into(),
            except: [].into(),
        };
        let push = {
            let mut state = self.lock();
            membership.queue(volatile, || {
                let message = state.stamp(message, (!volatile).then_some(audience));
                if !volatile && let Some(tracking) = membership.tracking() {
                    tracking.hear(state.log.last(), state.log.settled());
                }
                message
            })?
        };
        let sent = membership.session().complete_push(push);
        if volatile { sent } else { Ok(()) }
    }

    /// Holds the lock while rooms are joined or left.
    pub(crate) fn lock_rooms(&self) -> RoomsGuard<'_> {
        RoomsGuard(self.lock())
    }

    /// The socket is about to leave. Its session is kept if the client may come back; only then its
    /// rooms may be taken away.
    pub(crate) fn depart(&self, membership: &Membership, may_come_back: bool) {
        let Some(tracking) = membership.tracking() else {
            return;
        };
        let Some(token) = tracking.token() else {
            return;
        };
        let mut state = self.lock();
        let State { log, sessions, .. } = &mut *state;
        if may_come_back {
            let heard = *tracking.heard.lock();
            let until = now().checked_add(self.settings.window);
            sessions.go_away(token, membership, (log.last(), heard), until);
        } else {
            sessions.forget(token, membership);
        }
        state.settle();
    }

    /// Drops what is older than the window.
    pub(crate) fn sweep(&self) {
        self.lock().sweep(now());
    }

    /// Drops everything: nobody can come back any more.
    pub(crate) fn forget_all(&self) {
        let mut state = self.lock();
        while state.sessions.forget_oldest() {}
        while state.log.drop_oldest() {}
        state.settle();
    }

    /// How many bytes events and absent clients take.
    pub(crate) fn bytes(&self) -> usize {
        let state = self.lock();
        state.log.bytes() + state.sessions.away_bytes()
    }
}

/// While this exists, nobody sends, comes or goes.
pub(crate) struct RoomsGuard<'a>(Locked<'a>);

impl RoomsGuard<'_> {
    /// The socket has just joined a room.
    pub(crate) fn joined(&mut self, membership: &Membership, room: &str) {
        let State { log, sessions, .. } = &mut *self.0;
        if let Some(presence) = sessions.presence_of(membership) {
            presence.join(&room.into(), log.last(), log.trimmed());
        }
    }

    /// The socket has just left a room.
    pub(crate) fn left(&mut self, membership: &Membership, room: &str) {
        let State { log, sessions, .. } = &mut *self.0;
        if let Some(presence) = sessions.presence_of(membership) {
            presence.leave(room, log.last());
        }
    }
}

impl State {
    /// Gives the event its offset: a new one if it is to be kept for this audience.
    fn stamp(&mut self, message: Encoded, audience: Option<Audience>) -> Arc<Encoded> {
        // A later event in an earlier place would carry an offset beyond those behind it.
        let mut message = message.with_conflation_key(None);
        // Without anybody who is here or may come back there is nobody to keep it for.
        let audience = audience.filter(|_| !self.sessions.is_empty());
        let Some(audience) = audience else {
            message.stamp(self.log.last_offset());
            return Arc::new(message);
        };
        let bytes = message.len();
        let message = self.log.append(audience, bytes, now(), |offset| {
            message.stamp(offset);
            Arc::new(message)
        });
        self.settle();
        message
    }

    fn sweep(&mut self, now: Instant) {
        self.log.expire(now);
        self.sessions.expire(now);
        self.settle();
    }

    /// Gives up the oldest until the server's budget is kept.
    fn settle(&mut self) {
        loop {
            let (log, away) = (self.log.bytes(), self.sessions.away_bytes());
            if self.budget.is_kept_with(log.saturating_add(away)) {
                return;
            }
            // Whatever takes more. Both is told as a gap to those whom it concerns.
            let dropped = if log >= away {
                self.log.drop_oldest()
            } else {
                self.sessions.forget_oldest()
            };
            if !dropped {
                return;
            }
        }
    }
}

impl Tracking {
    /// Of a socket that may take up a session with so many rooms.
    pub(crate) fn with_rooms(kept_rooms: usize) -> Self {
        Self {
            kept_rooms,
            ..Self::default()
        }
    }

    pub(crate) fn kept_rooms(&self) -> usize {
        self.kept_rooms
    }

    fn token(&self) -> Option<Token> {
        self.token.get().copied()
    }

    pub(crate) fn is_recovered(&self) -> bool {
        self.recovered.load(Ordering::Relaxed)
    }

    /// An event is about to be queued for the socket.
    pub(crate) fn hear(&self, seq: u64, settled: u64) {
        self.heard.lock().note(seq, settled);
    }
}

fn address(target: &Target) -> Address {
    match target {
        Target::Room(name) => Address::Room(Arc::clone(name)),
        Target::Socket(id) => Address::Socket(id.as_str().into()),
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How often what is too old is dropped although nothing happens.
pub(crate) fn sweep_interval(window: Duration) -> Duration {
    (window / 8).clamp(Duration::from_millis(100), Duration::from_secs(15))
}

impl fmt::Debug for Recovery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Recovery")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
