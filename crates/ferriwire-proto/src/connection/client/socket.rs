//! One namespace of a client: where it stands, and what a packet means there.

use std::time::Instant;

use serde::Deserialize;

use super::early::{Early, EarlyEvent};
use super::offset::last_text;
use super::{Config, Incoming, Violation};
use crate::codec::{Arguments, Payload, decode_connect_payload};
use crate::connection::Key;
use crate::packet::Body;
use crate::value::{Object, Value};

/// The longest id, `pid` or offset that is taken from a server, in bytes.
const MAX_ID: usize = 256;

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) name: Box<str>,
    pub(super) state: State,
    /// What a server gave that can bring a client back.
    recovery: Option<Recovery>,
}

#[derive(Debug)]
pub(super) enum State {
    /// Not joined, and not to be.
    Inactive,
    /// To be joined with the next session.
    Waiting,
    /// The driver is to make a CONNECT packet, and may know already.
    Asking { is_told: bool },
    /// CONNECT was sent, or is not needed.
    Joining(Joining),
    /// The server has answered. What came before that may not be taken yet.
    Joined { id: Box<str>, early: Early },
    /// DISCONNECT is to be sent.
    Leaving {
        /// To be joined again behind it.
        rejoin: bool,
    },
}

#[derive(Debug)]
pub(super) struct Joining {
    pub(super) deadline: Option<Instant>,
    /// Not left meanwhile. A server takes DISCONNECT only from who has joined, so it has to wait.
    pub(super) wanted: bool,
    /// CONNECT was sent for somebody else: behind the answer another one follows.
    pub(super) is_outdated: bool,
    /// The answer has not come in time, which is to be told.
    pub(super) is_late: bool,
    early: Early,
}

#[derive(Debug)]
struct Recovery {
    pid: Box<str>,
    offset: Option<Box<str>>,
}

/// What a server says when it lets a client join.
#[derive(Deserialize)]
struct Welcome {
    sid: Option<String>,
    pid: Option<String>,
}

impl Socket {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            state: State::Inactive,
            recovery: None,
        }
    }

    pub(super) fn id(&self) -> Option<&str> {
        match &self.state {
            State::Joined { id, .. } => Some(id),
            State::Inactive
            | State::Waiting
            | State::Asking { .. }
            | State::Joining(_)
            | State::Leaving { .. } => None,
        }
    }

    pub(super) fn is_active(&self) -> bool {
        match &self.state {
            State::Inactive => false,
            State::Waiting | State::Asking { .. } | State::Joined { .. } => true,
            State::Joining(joining) => joining.wanted,
            State::Leaving { rejoin } => *rejoin,
        }
    }

    /// Begins to join on a session that is open.
    pub(super) fn begin(&mut self, config: &Config, joins_main: bool, now: Instant) {
        self.state = if joins_main && *self.name == *"/" {
            joining(config, now)
        } else {
            State::Asking { is_told: false }
        };
    }

    pub(super) fn send_connect(&mut self, config: &Config, now: Instant) -> bool {
        let is_asked = matches!(self.state, State::Asking { is_told: true });
        if is_asked {
            self.state = joining(config, now);
        }
        is_asked
    }

    pub(super) fn claims(&self) -> Object {
        // Who has no offset has heard nothing since it joined, which our server takes for an offset.
        let recovery = self.recovery.iter();
        let claims = recovery.flat_map(|recovery| {
            let offset = recovery.offset.as_deref();
            let offset = offset.map(|offset| ("offset", offset));
            std::iter::once(("pid", &*recovery.pid)).chain(offset)
        });
        claims
            .map(|(name, text)| (name, Value::from(text)))
            .collect()
    }

    pub(super) fn take_early(&mut self) -> Option<EarlyEvent> {
        let State::Joined { early, .. } = &mut self.state else {
            return None;
        };
        let event = early.take()?;
        // Only now it is heard: what is lost before that has to come again.
        if event.id.is_none() {
            self.note_offset(&event.arguments.as_arguments());
        }
        Some(event)
    }

    pub(super) fn leave(&mut self) {
        match &mut self.state {
            State::Joined { .. } => self.state = State::Leaving { rejoin: false },
            State::Joining(joining) => joining.wanted = false,
            State::Leaving { rejoin } => *rejoin = false,
            State::Waiting | State::Asking { .. } => self.state = State::Inactive,
            State::Inactive => {}
        }
    }

    /// Time has passed on a session that others need: the answer is waited for on.
    pub(super) fn handle_timeout(&mut self, config: &Config, now: Instant) {
        if let State::Joining(joining) = &mut self.state
            && joining.deadline.is_some_and(|deadline| deadline <= now)
        {
            joining.deadline = now.checked_add(config.connect_timeout);
            joining.is_late = joining.wanted;
        }
    }

    /// DISCONNECT was sent, or is not needed.
    pub(super) fn end_leaving(&mut self) {
        self.state = if self.is_active() {
            State::Asking { is_told: false }
        } else {
            State::Inactive
        };
    }

    pub(super) fn handle_closed(&mut self) {
        self.state = if self.is_active() {
            State::Waiting
        } else {
            State::Inactive
        };
    }

    /// A packet came for it. `session` is the session's id, for a server of Socket.IO 4.
    pub(super) fn handle<'a>(
        &mut self,
        key: Key,
        body: Body<'a>,
        session: Option<&str>,
        max_early: usize,
    ) -> Result<Incoming<'a>, Violation> {
        let (id, name, arguments) = match body {
            Body::Connect(payload) => return Ok(self.handle_connect(key, payload, session)),
            Body::Disconnect => return Ok(self.handle_disconnect(key)),
            Body::ConnectError(payload) => return Ok(self.handle_refusal(key, payload)),
            Body::Ack { id, arguments } => {
                return Ok(match self.state {
                    State::Joined { .. } => Incoming::Ack { key, id, arguments },
                    State::Inactive
                    | State::Waiting
                    | State::Asking { .. }
                    | State::Joining(_)
                    | State::Leaving { .. } => Incoming::Ignored,
                });
            }
            Body::Event {
                id,
                name,
                arguments,
            } => (id, name, arguments),
        };
        match &mut self.state {
            State::Joined { .. } => {}
            State::Joining(joining) if joining.wanted && !joining.is_outdated => {
                let event = EarlyEvent::new(id, &name, &arguments);
                joining.early.keep(event, max_early)?;
                return Ok(Incoming::Ignored);
            }
            State::Joining(_)
            | State::Inactive
            | State::Waiting
            | State::Asking { .. }
            | State::Leaving { .. } => return Ok(Incoming::Ignored),
        }
        // Servers give an offset to events only that want no answer.
        if id.is_none() {
            self.note_offset(&arguments);
        }
        Ok(Incoming::Event {
            key,
            id,
            name,
            arguments,
        })
    }

    fn handle_connect(
        &mut self,
        key: Key,
        payload: Option<Payload<'_>>,
        session: Option<&str>,
    ) -> Incoming<'static> {
        let State::Joining(joining) = &mut self.state else {
            // The answer to something that was asked on an earlier turn, or to nothing.
            return Incoming::Ignored;
        };
        let (wanted, early) = (joining.wanted, std::mem::take(&mut joining.early));
        if !wanted || joining.is_outdated {
            self.state = State::Leaving { rejoin: wanted };
            return Incoming::Ignored;
        }
        let is_id = |id: &String| (1..=MAX_ID).contains(&id.len());
        let welcome = decode_connect_payload::<Welcome>(payload).ok();
        let (id, pid) = match session {
            Some(session) if *self.name == *"/" => (Some(session.to_owned()), None),
            // As such servers make them.
            Some(session) => (Some(format!("{}#{session}", self.name)), None),
            None => welcome.map_or((None, None), |welcome| (welcome.sid, welcome.pid)),
        };
        let Some(id) = id.filter(|id| session.is_some() || is_id(id)) else {
            self.state = State::Inactive;
            return Incoming::Incompatible { key };
        };
        let pid = pid.filter(is_id);
        let before = self.recovery.as_ref().map(|recovery| &*recovery.pid);
        let recovered = pid.is_some() && pid.as_deref() == before;
        if !recovered {
            self.recovery = pid.map(|pid| Recovery {
                pid: pid.into(),
                offset: None,
            });
        }
        self.state = State::Joined {
            id: id.into(),
            early,
        };
        Incoming::Connected { key, recovered }
    }

    fn handle_disconnect(&mut self, key: Key) -> Incoming<'static> {
        let was_active = self.is_active();
        match &self.state {
            State::Joining(joining) if joining.is_outdated => {
                self.end_leaving();
                return Incoming::Ignored;
            }
            State::Joined { .. } | State::Joining(_) => self.state = State::Inactive,
            State::Leaving { .. } => {
                // The server was faster, and takes no DISCONNECT any more.
                self.end_leaving();
                return Incoming::Ignored;
            }
            State::Inactive | State::Waiting | State::Asking { .. } => return Incoming::Ignored,
        }
        if was_active {
            Incoming::Disconnect { key }
        } else {
            Incoming::Ignored
        }
    }

    fn handle_refusal<'a>(&mut self, key: Key, payload: Payload<'a>) -> Incoming<'a> {
        let State::Joining(joining) = &self.state else {
            return Incoming::Ignored;
        };
        if joining.is_outdated {
            self.end_leaving();
            return Incoming::Ignored;
        }
        let wanted = joining.wanted;
        self.state = State::Inactive;
        if wanted {
            Incoming::Refused { key, payload }
        } else {
            Incoming::Ignored
        }
    }

    fn note_offset(&mut self, arguments: &Arguments<'_>) {
        if let Some(recovery) = &mut self.recovery
            && let Some(offset) = last_text(arguments).filter(|text| text.len() <= MAX_ID)
        {
            recovery.offset = Some(offset.into());
        }
    }
}

fn joining(config: &Config, now: Instant) -> State {
    State::Joining(Joining {
        deadline: now.checked_add(config.connect_timeout),
        wanted: true,
        is_outdated: false,
        is_late: false,
        early: Early::default(),
    })
}
