//! The server side of one session: heartbeat, upgrade and close (1.1.7 to 1.1.11, 1.2).
//!
//! The revision is a value: in revision 4 the server sends the pings, in revision 3 the client does.
//!
//! A session decides; it holds neither transports nor messages. Its driver owns the transport, a
//! possible second one that wants to take over (the candidate) and the queue of what waits, tells
//! the session what arrives, and carries out what [`Session::poll_output`] answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::packet::Packet;
use super::{CloseReason, Message, Revision, Transport};
use crate::deadline::sooner;

pub(super) mod heartbeat;

use heartbeat::{Due, Heartbeat};

/// How long a session waits for its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From a pong to the next ping. Default 25 s.
    #[doc(alias = "pingInterval")]
    pub ping_interval: Duration,
    /// From a ping to its pong. Default 20 s.
    #[doc(alias = "pingTimeout")]
    pub ping_timeout: Duration,
    /// From the arrival of a candidate to the end of the upgrade. Default 10 s.
    #[doc(alias = "upgradeTimeout")]
    pub upgrade_timeout: Duration,
    /// From a graceful close to its end, whatever it waits for. Default 30 s.
    #[doc(alias = "closeTimeout")]
    pub close_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
        }
    }
}

/// What a driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Queue a ping on the current transport.
    SendPing,
    /// Send `3probe` on the candidate.
    AnswerProbe,
    /// If a GET waits, answer it with what is queued, or with `6` if nothing is.
    ReleasePoll,
    /// The candidate becomes the transport, and what is queued leaves there first.
    Switch,
    /// Close the candidate; the session goes on without it.
    DropCandidate,
    /// Write what is queued and then `1` on polling or a close frame on a WebSocket, take nothing
    /// new, and call [`Session::handle_flushed`].
    BeginClose,
    /// The session is over: drop its transport and forget what is queued. Said exactly once.
    Closed(CloseReason),
    /// Nothing more to do before that time, or before the next input if there is none.
    Timeout(Option<Instant>),
}

/// What a packet is for the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// To be delivered to the layer above.
    Message(Message<'a>),
    /// A client of revision 3 wants a pong. Like the reference's, it is bare, whatever the ping carries.
    Ping,
}

/// How a transport was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The peer closed it in the way that it is meant to be closed.
    Closed,
    /// It broke, or the peer used it in a way that it does not allow.
    Error,
}

/// The server side of one session.
///
/// Its methods are, in this order: questions, what happens at the network, commands, outputs. Once
/// it is closed, everything that happens is ignored.
#[derive(Debug)]
pub struct Session {
    /// Shared, because every session of a server has the same.
    timing: Arc<Timing>,
    revision: Revision,
    transport: Transport,
    state: State,
    /// Beats while the session is open.
    heartbeat: Heartbeat,
    pending: Pending,
}

/// Where a session stands.
///
/// ```text
///              a candidate        `2probe`            `5`
///   +--------+ comes   +---------+        +-----------+
///   |  Open  |-------->| Probing |------->| Upgrading |-----> Open, on the WebSocket
///   +--------+         +---------+        +-----------+
///     |    ^                |                   |
///     |    +----------------+-------------------+  candidate lost, late, or out of order
///     |
///     | close(), deferred to the end of an upgrade
///     v
///   +---------+  flushed, late, peer gone  +--------+
///   | Closing |--------------------------->| Closed |<----- from every state: abort(), no pong or ping,
///   +---------+                            +--------+        `1`, a heartbeat in the wrong
///                                                            direction, no packet, transport lost
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    /// On one transport.
    Open,
    /// A candidate is there and has not said anything yet.
    Probing(Candidate),
    /// The probe is answered. The client lets its polls run out, and then says `5`.
    Upgrading(Candidate),
    /// What is queued leaves, and nothing else.
    Closing(Close),
    /// Over.
    Closed,
}

/// A WebSocket that wants to take over from polling.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    deadline: Option<Instant>,
    /// The graceful close that was asked for meanwhile.
    deferred: Option<Close>,
}

/// A graceful close.
#[derive(Clone, Copy, Debug)]
struct Close {
    reason: CloseReason,
    deadline: Option<Instant>,
}

/// What is decided and not polled yet.
///
/// What is asked for twice is done once, and the order of the fields is the order in which it is
/// polled: pings before the poll that could carry them, the candidate's end before the session's.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pending {
    send_ping: bool,
    answer_probe: bool,
    release_poll: bool,
    switch: bool,
    drop_candidate: bool,
    begin_close: bool,
    closed: Option<CloseReason>,
}

impl Session {
    /// A session that is open: its handshake is answered on `transport`.
    #[must_use]
    pub fn new(
        timing: impl Into<Arc<Timing>>,
        revision: Revision,
        transport: Transport,
        now: Instant,
    ) -> Self {
        let timing = timing.into();
        Self {
            revision,
            transport,
            state: State::Open,
            heartbeat: Heartbeat::new(&timing, revision, now),
            timing,
            pending: Pending::default(),
        }
    }

    /// The revision that its client speaks.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The transport that the session is on.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Whether messages may be sent and are taken: it is neither closed nor being closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.state {
            State::Open => true,
            State::Probing(candidate) | State::Upgrading(candidate) => candidate.deferred.is_none(),
            State::Closing(_) | State::Closed => false,
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether there is a candidate.
    #[must_use]
    pub fn is_upgrading(&self) -> bool {
        matches!(self.state, State::Probing(_) | State::Upgrading(_))
    }

    /// A packet arrived on the current transport; what the driver has to see to is handed back.
    ///
    /// As in the reference, `0`, `5` and `6` mean nothing here and are ignored, and so is what
    /// arrives while the session is being closed, except for `1`. Unlike in the reference `1` ends
    /// the session on a WebSocket too, which its conformance suite expects.
    pub fn handle_packet<'a>(&mut self, packet: Packet<'a>, now: Instant) -> Option<Incoming<'a>> {
        if !self.is_open() {
            if matches!(packet, Packet::Close) {
                self.handle_close();
            }
            return None;
        }
        match packet {
            Packet::Message(message) => {
                let is_taken = self.handle_message(now);
                return is_taken.then_some(Incoming::Message(message));
            }
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => {
                self.heartbeat.handle_other_packet(&self.timing, now);
            }
            Packet::Ping(_) if self.revision == Revision::V3 => {
                self.heartbeat.handle_ping(&self.timing, now);
                return Some(Incoming::Ping);
            }
            Packet::Pong(_) if self.revision == Revision::V4 => {
                self.heartbeat.handle_pong(&self.timing, now);
            }
            // It is for the other side to ask, or to answer.
            Packet::Ping(_) | Packet::Pong(_) => self.end(CloseReason::TransportError),
            Packet::Close => self.handle_close(),
        }
        None
    }

    /// A message arrived on the current transport, which is what nearly all packets are. Returns whether it
    /// is to be delivered; it is the same as [`handle_packet`](Self::handle_packet) for a message.
    #[inline]
    #[must_use]
    pub fn handle_message(&mut self, now: Instant) -> bool {
        let is_open = self.is_open();
        if is_open {
            self.heartbeat.handle_other_packet(&self.timing, now);
        }
        is_open
    }

    /// Something that is not a packet arrived on the current transport.
    pub fn handle_parse_error(&mut self) {
        if self.is_open() {
            self.end(CloseReason::ParseError);
        }
    }

    /// The current transport is gone.
    pub fn handle_transport_lost(&mut self, how: Lost) {
        self.end(match how {
            Lost::Closed => CloseReason::TransportClose,
            Lost::Error => CloseReason::TransportError,
        });
    }

    /// A GET begins to wait for packets.
    pub fn handle_poll(&mut self) {
        // The client pauses polling before it says `5`, and for that its polls must be answered.
        if matches!(self.state, State::Upgrading(_)) {
            self.pending.release_poll = true;
        }
    }

    /// A WebSocket for this session has arrived. `true`: it is the candidate now. `false`: it has
    /// to be closed, and the session goes on as if it had never come.
    #[must_use]
    pub fn handle_candidate(&mut self, now: Instant) -> bool {
        let welcome = matches!(self.state, State::Open)
            && self.transport == Transport::Polling
            && !self.pending.drop_candidate;
        if welcome {
            self.state = State::Probing(Candidate {
                deadline: now.checked_add(self.timing.upgrade_timeout),
                deferred: None,
            });
        }
        welcome
    }

    /// A packet arrived on the candidate. Anything but `2probe` once and then `5` ends the upgrade;
    /// what is no packet is to be reported by [`Self::handle_candidate_parse_error`].
    pub fn handle_candidate_packet(&mut self, packet: &Packet<'_>, now: Instant) {
        match (self.state, packet) {
            (State::Probing(candidate), Packet::Ping("probe")) => {
                self.state = State::Upgrading(candidate);
                self.pending.answer_probe = true;
                self.pending.release_poll = true;
            }
            (State::Upgrading(_), Packet::Upgrade) => {
                self.transport = Transport::WebSocket;
                self.heartbeat.handle_switch(&self.timing, now);
                self.pending.release_poll = true;
                self.pending.switch = true;
                self.end_upgrade();
            }
            _ => self.drop_candidate(),
        }
    }

    /// The candidate sent something that is not a packet.
    pub fn handle_candidate_parse_error(&mut self) {
        self.drop_candidate();
    }

    /// The candidate is gone.
    pub fn handle_candidate_lost(&mut self) {
        if self.is_upgrading() {
            self.pending.answer_probe = false;
            self.end_upgrade();
        }
    }

    /// Time has passed. Returns whether that ended an upgrade, and not the session.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.is_open() {
            match self.heartbeat.handle_timeout(&self.timing, now) {
                Some(Due::Ping) => self.pending.send_ping = true,
                Some(Due::Timeout) => self.end(CloseReason::PingTimeout),
                None => {}
            }
        }
        if let Some(close) = self.ongoing_close()
            && is_due(close.deadline, now)
        {
            self.end(close.reason);
        }
        if let State::Probing(candidate) | State::Upgrading(candidate) = self.state
            && is_due(candidate.deadline, now)
        {
            self.drop_candidate();
            return true;
        }
        false
    }

    /// Closes the session gracefully: what is queued is written first, and an upgrade comes to its
    /// end before that. A close that is going on already keeps its reason.
    pub fn close(&mut self, reason: CloseReason, now: Instant) {
        let deadline = now.checked_add(self.timing.close_timeout);
        let close = Close { reason, deadline };
        match &mut self.state {
            State::Open => self.begin_close(close),
            State::Probing(candidate) | State::Upgrading(candidate) => {
                candidate.deferred.get_or_insert(close);
            }
            State::Closing(_) | State::Closed => {}
        }
    }

    /// The driver has written everything that [`Output::BeginClose`] asked for.
    pub fn handle_flushed(&mut self) {
        if let State::Closing(close) = self.state {
            self.end(close.reason);
        }
    }

    /// Ends the session at once. If it was being closed already, the reason of that is kept.
    pub fn abort(&mut self, reason: CloseReason) {
        self.end(reason);
    }

    /// Whether the driver reads from the current transport. While it does not, the ping timeout
    /// stands still: the pong may have arrived without being read.
    pub fn set_reading(&mut self, reading: bool, now: Instant) {
        self.heartbeat.set_reading(reading, now);
    }

    /// What to do next; call it again until it answers [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        match self.pending.take() {
            Some(output) => output,
            None => Output::Timeout(self.deadline()),
        }
    }

    /// Whether [`poll_output`](Self::poll_output) would name the next deadline and nothing else.
    #[must_use]
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    fn deadline(&self) -> Option<Instant> {
        let heartbeat = self.heartbeat.deadline().filter(|_| self.is_open());
        let candidate = match self.state {
            State::Probing(candidate) | State::Upgrading(candidate) => candidate.deadline,
            State::Open | State::Closing(_) | State::Closed => None,
        };
        let close = self.ongoing_close().and_then(|close| close.deadline);
        sooner(heartbeat, sooner(candidate, close))
    }

    fn ongoing_close(&self) -> Option<Close> {
        match self.state {
            State::Open | State::Closed => None,
            State::Probing(candidate) | State::Upgrading(candidate) => candidate.deferred,
            State::Closing(close) => Some(close),
        }
    }

    /// The client has said `1`.
    fn handle_close(&mut self) {
        if self.transport == Transport::Polling && !self.is_closed() {
            self.pending.release_poll = true;
        }
        self.end(CloseReason::TransportClose);
    }

    fn drop_candidate(&mut self) {
        if self.is_upgrading() {
            self.pending.answer_probe = false;
            self.pending.drop_candidate = true;
            self.end_upgrade();
        }
    }

    /// Leaves the states that have a candidate, for what comes after them.
    fn end_upgrade(&mut self) {
        match self.ongoing_close() {
            None => self.state = State::Open,
            Some(close) => self.begin_close(close),
        }
    }

    fn begin_close(&mut self, close: Close) {
        self.state = State::Closing(close);
        self.pending.begin_close = true;
    }

    /// Ends the session, for `cause` unless it was being closed for another reason.
    fn end(&mut self, cause: CloseReason) {
        if self.is_closed() {
            return;
        }
        let reason = self.ongoing_close().map_or(cause, |close| close.reason);
        self.pending.drop_candidate |= self.is_upgrading();
        self.pending.send_ping = false;
        self.pending.answer_probe = false;
        self.pending.begin_close = false;
        self.pending.closed = Some(reason);
        self.state = State::Closed;
    }
}

impl Pending {
    #[inline]
    fn is_empty(&self) -> bool {
        let flags = self.send_ping
            | self.answer_probe
            | self.release_poll
            | self.switch
            | self.drop_candidate
            | self.begin_close;
        !flags && self.closed.is_none()
    }

    fn take(&mut self) -> Option<Output> {
        if self.is_empty() {
            return None;
        }
        for (flag, output) in [
            (&mut self.send_ping, Output::SendPing),
            (&mut self.answer_probe, Output::AnswerProbe),
            (&mut self.release_poll, Output::ReleasePoll),
            (&mut self.switch, Output::Switch),
            (&mut self.drop_candidate, Output::DropCandidate),
            (&mut self.begin_close, Output::BeginClose),
        ] {
            if std::mem::take(flag) {
                return Some(output);
            }
        }
        self.closed.take().map(Output::Closed)
    }
}

fn is_due(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}

#[cfg(test)]
mod tests;
