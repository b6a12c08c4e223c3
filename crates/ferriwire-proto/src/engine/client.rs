//! The client side of one session: handshake, heartbeat, upgrade and close (1.1.3 to 1.1.8, 1.2).
//!
//! As the server's [`Session`](super::session::Session) it decides, and holds neither transports nor
//! messages. Its driver sends the requests, owns a possible second transport that shall take over (the
//! candidate) and the queue of what waits, and carries out what [`Client::poll_output`] answers.
//!
//! On polling there is at most one GET and at most one POST at a time. For an upgrade both run out, then
//! `5` is sent on the candidate, and what is queued leaves behind it: so nothing is lost or reordered.

mod address;
mod config;
mod cookies;
mod heartbeat;
mod open;
mod output;
mod state;
#[cfg(test)]
mod tests;
mod violation;

use std::time::Instant;

use super::packet::Packet;
use super::session::Lost;
use super::{CloseReason, Dialect, Message, Revision, Transport};

use self::heartbeat::{Due, Heartbeat};
use self::output::Pending;
use self::state::{Candidate, Close, State};

pub use self::address::{Address, AddressError};
pub use self::config::Config;
pub use self::cookies::Cookies;
pub use self::open::{OpenError, Opened};
pub use self::output::Output;
pub use self::violation::Violation;

/// The client side of one session.
///
/// Its methods are, in this order: questions, what happens at the network, commands, outputs. Once
/// it is closed, everything that happens is ignored.
#[derive(Debug)]
pub struct Client {
    config: Config,
    /// Which of the configured transports it is opened on.
    attempt: usize,
    transport: Transport,
    state: State,
    opened: Option<Opened>,
    /// Beats while the session is open.
    heartbeat: Option<Heartbeat>,
    /// A GET is under way, or asked for.
    is_polling: bool,
    /// A POST is under way.
    is_posting: bool,
    is_reading: bool,
    pending: Pending,
}

impl Client {
    /// A session that is to be opened. Without any transport it is closed at once.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut client = Self {
            attempt: 0,
            transport: Transport::Polling,
            state: State::Opening,
            opened: None,
            heartbeat: None,
            is_polling: false,
            is_posting: false,
            is_reading: true,
            pending: Pending::default(),
            config,
        };
        client.open();
        client
    }

    /// The transport that the session is on, or is being opened on.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// What the server told when it opened the session.
    #[must_use]
    pub fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    /// How packets have to look for the server.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect::new(self.config.revision, self.config.base64)
    }

    /// The query of a request on that transport, in which the id of the session stands if there is
    /// one: it must not be logged.
    #[must_use]
    pub fn query(&self, transport: Transport) -> String {
        let revision = match self.config.revision {
            Revision::V3 => "3",
            Revision::V4 => "4",
        };
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("EIO", revision);
        query.append_pair("transport", transport.as_str());
        if let Some(opened) = &self.opened {
            query.append_pair("sid", opened.session.as_str());
        }
        if self.config.base64 {
            query.append_pair("b64", "1");
        }
        query.finish()
    }

    /// Whether messages may be queued and are taken: it is open, and not being closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.state {
            State::Open => true,
            State::Probing(candidate) | State::Pausing(candidate) => candidate.deferred.is_none(),
            State::Opening | State::Closing(_) | State::Closed => false,
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether what is queued may be written now: on polling as a POST, one at a time and none while
    /// its requests run out for an upgrade.
    #[must_use]
    pub fn may_write(&self) -> bool {
        match self.state {
            State::Open | State::Probing(_) | State::Closing(_) => !self.is_posting,
            State::Opening | State::Pausing(_) | State::Closed => false,
        }
    }

    /// A packet arrived on the current transport. A message is handed back.
    ///
    /// # Errors
    ///
    /// What the server broke. The session is over, as the outputs say, too.
    pub fn handle_packet<'a>(
        &mut self,
        packet: Packet<'a>,
        now: Instant,
    ) -> Result<Option<Message<'a>>, Violation> {
        match self.state {
            State::Opening => return self.handle_first(packet, now).map(|()| None),
            State::Closing(_) | State::Closed => {
                if matches!(packet, Packet::Close) {
                    self.end(CloseReason::TransportClose);
                }
                return Ok(None);
            }
            State::Open | State::Probing(_) | State::Pausing(_) => {}
        }
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.handle_packet(&packet, now);
        }
        match packet {
            Packet::Message(message) => return Ok(self.is_open().then_some(message)),
            Packet::Ping(_) => self.pending.send_pong |= self.config.revision == Revision::V4,
            Packet::Close => self.end(CloseReason::TransportClose),
            Packet::Open(_) => return Err(self.broken(Violation::OpenedTwice)),
            // The reference knows no use for them here either.
            Packet::Pong(_) | Packet::Upgrade | Packet::Noop => {}
        }
        Ok(None)
    }

    /// Something that is not a packet arrived on the current transport.
    pub fn handle_parse_error(&mut self) {
        self.end(CloseReason::ParseError);
    }

    /// The GET is answered, and the packets of the answer were handled.
    pub fn handle_polled(&mut self) {
        self.is_polling = false;
        self.advance();
    }

    /// The driver sends a POST with what [`may_write`](Self::may_write) allowed.
    pub fn handle_post(&mut self) {
        self.is_posting = true;
    }

    /// The POST is answered: the server has taken it.
    pub fn handle_posted(&mut self) {
        self.is_posting = false;
        self.advance();
    }

    /// The current transport is gone, could not be opened, or one of its requests failed.
    pub fn handle_transport_lost(&mut self, how: Lost) {
        let may_go_on = matches!(self.state, State::Opening) && self.config.try_all_transports;
        self.is_polling = false;
        self.is_posting = false;
        self.attempt = self.attempt.saturating_add(1);
        if may_go_on && self.attempt < self.config.transports.len() {
            self.pending = Pending::default();
            self.open();
            return;
        }
        self.end(match how {
            Lost::Closed => CloseReason::TransportClose,
            Lost::Error => CloseReason::TransportError,
        });
    }

    /// The candidate is connected.
    pub fn handle_candidate_open(&mut self) {
        if let State::Probing(candidate) = &mut self.state
            && !candidate.is_probed
        {
            candidate.is_probed = true;
            self.pending.send_probe = true;
        }
    }

    /// A packet arrived on the candidate. Anything but `3probe`, once, ends the upgrade; what is no
    /// packet is to be reported by [`Self::handle_candidate_parse_error`].
    pub fn handle_candidate_packet(&mut self, packet: &Packet<'_>) {
        match (self.state, packet) {
            (State::Probing(candidate), Packet::Pong("probe")) if candidate.is_probed => {
                self.state = State::Pausing(candidate);
                self.advance();
            }
            _ => self.drop_candidate(),
        }
    }

    /// The candidate sent something that is not a packet.
    pub fn handle_candidate_parse_error(&mut self) {
        self.drop_candidate();
    }

    /// The candidate is gone, or could not be opened: the session stays on polling, also when
    /// [`Output::Switch`] is decided and not polled yet.
    pub fn handle_candidate_lost(&mut self) {
        self.drop_candidate();
        self.pending.drop_candidate = false;
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match self.state {
            State::Closing(close) if is_due(close.deadline) => self.end(CloseReason::ForcedClose),
            State::Probing(candidate) | State::Pausing(candidate) if is_due(candidate.deadline) => {
                self.drop_candidate();
            }
            State::Opening
            | State::Open
            | State::Probing(_)
            | State::Pausing(_)
            | State::Closing(_)
            | State::Closed => {}
        }
        if !self.is_beating() {
            return;
        }
        let heartbeat = self.heartbeat.as_mut();
        match heartbeat.and_then(|heartbeat| heartbeat.handle_timeout(now)) {
            Some(Due::Ping) => self.pending.send_ping = true,
            Some(Due::Timeout) => self.end(CloseReason::PingTimeout),
            None => {}
        }
    }

    /// Closes the session gracefully: what is queued is written first, and an upgrade that the server
    /// knows of comes to its end before that.
    pub fn close(&mut self, now: Instant) {
        let close = Close {
            deadline: now.checked_add(self.config.close_timeout),
        };
        match &mut self.state {
            State::Opening => self.end(CloseReason::ForcedClose),
            State::Open => self.begin_close(close),
            State::Probing(candidate) => {
                candidate.deferred = Some(close);
                self.drop_candidate();
            }
            State::Pausing(candidate) => {
                candidate.deferred.get_or_insert(close);
            }
            State::Closing(_) | State::Closed => {}
        }
    }

    /// The driver has written everything that [`Output::BeginClose`] asked for.
    pub fn handle_flushed(&mut self) {
        if matches!(self.state, State::Closing(_)) {
            self.end(CloseReason::ForcedClose);
        }
    }

    /// Ends the session at once.
    pub fn abort(&mut self, reason: CloseReason) {
        self.end(reason);
    }

    /// Whether the driver takes what arrives. While it does not, no GET is made and the heartbeat's
    /// deadline stands still: what is waited for may lie there.
    pub fn set_reading(&mut self, reading: bool, now: Instant) {
        self.is_reading = reading;
        // Nor one that is only asked for.
        if !reading && self.opened.is_some() && std::mem::take(&mut self.pending.poll) {
            self.is_polling = false;
        }
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.set_reading(reading, now);
        }
        self.advance();
    }

    /// What to do next; call it again until it answers [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        let timeout = Output::Timeout(self.deadline());
        self.pending.take().unwrap_or(timeout)
    }

    fn deadline(&self) -> Option<Instant> {
        let heartbeat = self.heartbeat.as_ref().filter(|_| self.is_beating());
        let own = match self.state {
            State::Probing(candidate) | State::Pausing(candidate) => candidate.deadline,
            State::Closing(close) => close.deadline,
            State::Opening | State::Open | State::Closed => None,
        };
        let heartbeat = heartbeat.and_then(Heartbeat::deadline);
        [heartbeat, own].into_iter().flatten().min()
    }

    /// Also while an upgrade comes to its end for a close: the server may be gone.
    fn is_beating(&self) -> bool {
        matches!(
            self.state,
            State::Open | State::Probing(_) | State::Pausing(_)
        )
    }

    /// Begins to open the session on the transport whose turn it is.
    fn open(&mut self) {
        match self.config.transports.get(self.attempt) {
            Some(Transport::Polling) => {
                self.transport = Transport::Polling;
                self.poll();
            }
            Some(Transport::WebSocket) => {
                self.transport = Transport::WebSocket;
                self.pending.open_websocket = true;
            }
            // No driver has it yet.
            Some(Transport::WebTransport) => self.handle_transport_lost(Lost::Error),
            None => self.end(CloseReason::TransportError),
        }
    }

    fn handle_first(&mut self, packet: Packet<'_>, now: Instant) -> Result<(), Violation> {
        let Packet::Open(text) = packet else {
            return Err(self.broken(Violation::NotOpened));
        };
        let opened = match Opened::parse(text) {
            Ok(opened) => opened,
            Err(error) => return Err(self.broken(Violation::Open(error))),
        };
        let mut heartbeat = Heartbeat::new(&opened, self.config.revision, now);
        heartbeat.set_reading(self.is_reading, now);
        self.heartbeat = Some(heartbeat);
        let may_upgrade = self.transport == Transport::Polling
            && self.config.upgrade
            && self.config.transports.contains(&Transport::WebSocket)
            && opened.upgrades.contains(&Transport::WebSocket);
        self.opened = Some(opened);
        self.pending.opened = true;
        self.state = State::Open;
        if may_upgrade {
            self.pending.open_candidate = true;
            self.state = State::Probing(Candidate {
                deadline: now.checked_add(self.config.upgrade_timeout),
                is_probed: false,
                deferred: None,
            });
        }
        Ok(())
    }

    /// Does what became possible: the next GET, or the change to the candidate.
    fn advance(&mut self) {
        match self.state {
            State::Open | State::Probing(_)
                if self.transport == Transport::Polling && self.is_reading && !self.is_polling =>
            {
                self.poll();
            }
            State::Pausing(candidate) if !self.is_polling && !self.is_posting => {
                self.transport = Transport::WebSocket;
                self.pending.switch = true;
                self.state = State::Open;
                if let Some(close) = candidate.deferred {
                    self.begin_close(close);
                }
            }
            State::Opening
            | State::Open
            | State::Probing(_)
            | State::Pausing(_)
            | State::Closing(_)
            | State::Closed => {}
        }
    }

    fn poll(&mut self) {
        self.is_polling = true;
        self.pending.poll = true;
    }

    /// Goes on with polling, which may have been paused already, or closes it.
    fn drop_candidate(&mut self) {
        // The change is decided, but `5` has not left: for the server the session is on polling.
        if std::mem::take(&mut self.pending.switch) {
            self.transport = Transport::Polling;
            self.pending.drop_candidate = true;
            self.advance();
            return;
        }
        let (State::Probing(candidate) | State::Pausing(candidate)) = self.state else {
            return;
        };
        self.pending.send_probe = false;
        // There may be none yet.
        self.pending.drop_candidate = !std::mem::take(&mut self.pending.open_candidate);
        self.state = State::Open;
        match candidate.deferred {
            Some(close) => self.begin_close(close),
            None => self.advance(),
        }
    }

    fn begin_close(&mut self, close: Close) {
        self.pending.begin_close = true;
        self.state = State::Closing(close);
    }

    fn broken(&mut self, violation: Violation) -> Violation {
        self.end(CloseReason::ParseError);
        violation
    }

    /// Ends the session, for `cause` unless this side was closing it.
    fn end(&mut self, cause: CloseReason) {
        let is_closing = match self.state {
            State::Closed => return,
            State::Opening | State::Open => false,
            State::Probing(candidate) | State::Pausing(candidate) => candidate.deferred.is_some(),
            State::Closing(_) => true,
        };
        let reason = if is_closing {
            CloseReason::ForcedClose
        } else {
            cause
        };
        self.pending = Pending {
            opened: self.pending.opened,
            closed: Some(reason),
            ..Pending::default()
        };
        self.state = State::Closed;
    }
}
