//! Socket.IO on one session: packets in, the sockets that they are for.

use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use ferriwire_proto::connection::{self, Incoming, Output};
use ferriwire_proto::deadline::sooner;
use ferriwire_proto::engine::{CloseReason, Message, Revision};

use super::namespaces::Namespaces;
use super::pace::Pace;
use super::reason::DisconnectReason;
use super::sockets::{Sockets, Verdict};
use super::starter::Arrival;
use crate::engine::task::SessionHandler;
use crate::engine::{LimitKind, Session};
use crate::handshake::ConnectError;

/// One client: the protocol's view of its namespaces, and their sockets.
pub(crate) struct Connection {
    protocol: connection::Connection,
    sockets: Sockets,
    pace: Pace,
}

impl Connection {
    pub(crate) fn new(
        session: Session,
        protocol: Arc<connection::Config>,
        namespaces: Arc<Namespaces>,
        now: Instant,
    ) -> Self {
        let mut protocol = connection::Connection::new(protocol, &session.config().codec, now);
        if session.request().revision() == Revision::V3 {
            protocol = protocol.with_protocol_4();
        }
        Self {
            protocol,
            sockets: Sockets::new(session, namespaces),
            pace: Pace::default(),
        }
    }

    fn keep_pace(&mut self, now: Instant, cx: &mut Context<'_>) {
        if self.pace.is_settled() {
            return;
        }
        let limits = &self.sockets.config().limits;
        let patience = limits.event_flood_timeout;
        let was_paused = self.pace.pause().is_some();
        if !self.pace.settle(limits.event_rate, patience, now) && !self.sockets.is_over() {
            self.sockets.session().limited(LimitKind::EventFloodTime);
            self.sockets.close(CloseReason::LimitExceeded, cx);
        }
        if self.pace.pauses_until(now).is_some() && !was_paused {
            self.sockets.session().slowed(LimitKind::Events);
        }
    }

    /// Tells the protocol what became of its namespaces, and does what it asks for, if there is anything.
    fn settle(&mut self, cx: &mut Context<'_>) {
        if self.sockets.has_verdicts() || !self.protocol.is_settled() {
            self.drain(cx);
        }
    }

    #[cold]
    fn drain(&mut self, cx: &mut Context<'_>) {
        for verdict in self.sockets.take_verdicts() {
            match verdict {
                Verdict::Accepted(key) => self.protocol.accept(key),
                Verdict::Refused(key) => self.protocol.refuse(key),
                Verdict::Left(key) => self.protocol.leave(key),
            }
        }
        if self.sockets.is_over() {
            return;
        }
        loop {
            match self.protocol.poll_output() {
                Output::Timeout(_) => return,
                Output::Close(cause) => {
                    let session = self.sockets.session();
                    tracing::debug!(session = ?session.id(), %cause, "connection closed: the client broke the protocol");
                    session.limited(cause.into());
                    self.sockets.close(CloseReason::ForcedServerClose, cx);
                }
            }
        }
    }
}

impl SessionHandler for Connection {
    fn opened(&mut self, _: Instant, cx: &mut Context<'_>) {
        if let Some(key) = self.protocol.join_main() {
            self.sockets.authorize(key, "/", None, cx);
        }
        self.drain(cx);
    }

    fn handle_message(&mut self, message: Message<'_>, now: Instant, cx: &mut Context<'_>) {
        if self.sockets.is_over() {
            return;
        }
        // Whoever was told to leave may already have read that, and come back.
        if self.sockets.end_leaving(cx) {
            self.settle(cx);
        }
        match self.protocol.handle_message(message, now) {
            Ok(Some(Incoming::Event {
                key,
                id,
                name,
                ref arguments,
            })) => {
                self.pace.count();
                let event = Arrival {
                    name: &name,
                    ack: id,
                    arguments,
                };
                self.sockets.handle_event(key, &event, cx);
            }
            // A part of a packet: attachments belong to the one that announced them.
            Ok(None) => {}
            Ok(Some(incoming)) => handle_other(incoming, &mut self.sockets, &mut self.pace, cx),
            Err(violation) => {
                self.pace.count();
                self.sockets.violate(&violation, cx);
            }
        }
        self.settle(cx);
    }

    fn poll(&mut self, now: Instant, cx: &mut Context<'_>) {
        self.keep_pace(now, cx);
        self.sockets.poll(now, cx);
        if !self.sockets.is_over() {
            self.protocol.handle_timeout(now);
        }
        self.settle(cx);
    }

    fn wants_to_read(&self) -> bool {
        self.pace.pause().is_none() && self.sockets.wants_events()
    }

    fn has_room(&self) -> bool {
        self.sockets.has_room()
    }

    fn is_accepted(&self) -> bool {
        self.sockets.was_accepted()
    }

    fn deadline(&self) -> Option<Instant> {
        if self.sockets.is_over() {
            self.sockets.grace_ends()
        } else {
            sooner(self.protocol.deadline(), self.pace.pause())
        }
    }

    fn closed(&mut self, reason: CloseReason, now: Instant, cx: &mut Context<'_>) {
        self.sockets.closed(reason, now, cx);
    }

    fn is_finished(&self) -> bool {
        self.sockets.is_finished()
    }
}

/// What is no event.
#[inline(never)]
fn handle_other(
    incoming: Incoming<'_>,
    sockets: &mut Sockets,
    pace: &mut Pace,
    cx: &mut Context<'_>,
) {
    // An answer that somebody waits for belongs to the event that asked for it.
    if !matches!(incoming, Incoming::Ack { .. }) {
        pace.count();
    }
    match incoming {
        Incoming::Connect {
            key,
            namespace,
            payload,
        } => sockets.authorize(key, namespace, payload, cx),
        Incoming::Refused { namespace, why } => {
            sockets.session().limited(why.into());
            sockets.refuse(namespace, &ConnectError::new(why.to_string()));
        }
        Incoming::Disconnect { key } => {
            sockets.end(key, DisconnectReason::ClientNamespaceDisconnect, cx);
        }
        Incoming::Ack { key, id, arguments } => match arguments.validate() {
            Ok(()) if sockets.handle_ack(key, id, arguments) => {}
            Ok(()) => pace.count(),
            Err(violation) => sockets.violate(&violation.into(), cx),
        },
        Incoming::Event { .. } | Incoming::Ignored => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that a client of one namespace has here, but for the namespace's own entry.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_connection_fits_into_224_bytes() {
        let size = size_of::<Connection>();
        assert!(size <= 224, "{size}");
    }
}
