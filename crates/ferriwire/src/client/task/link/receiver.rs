//! What arrives on the transport that a session is on: packets, and messages for the layer above.

use std::task::Context;
use std::time::Instant;

use ferriwire_proto::engine::CloseReason;
use ferriwire_proto::engine::client::Client as Session;
use ferriwire_proto::engine::packet::{Packet, ParseError};

use super::super::layer::{Broken, Layer};
use crate::client::error::ConnectFailure;

/// Where packets of the current transport go.
pub(super) struct Receiver<'a> {
    pub(super) session: &'a mut Session,
    pub(super) is_opened: &'a mut bool,
    pub(super) failure: &'a mut Option<ConnectFailure>,
    pub(super) layer: &'a mut Layer,
    /// How many bytes of events one answer to a poll may make wait for handlers.
    pub(super) max_held: usize,
    pub(super) now: Instant,
}

impl Receiver<'_> {
    pub(super) fn take_all<'p>(
        &mut self,
        packets: impl IntoIterator<Item = Result<Packet<'p>, ParseError>>,
        cx: &mut Context<'_>,
    ) {
        for packet in packets {
            if !self.take(packet, cx) {
                return;
            }
            // Small events take more room here than in the answer.
            if self.layer.held_bytes() > self.max_held {
                self.note("more events at once than can wait".to_owned());
                self.session.abort(CloseReason::ParseError);
                return;
            }
        }
    }

    /// Says whether more is wanted.
    pub(super) fn take(
        &mut self,
        packet: Result<Packet<'_>, ParseError>,
        cx: &mut Context<'_>,
    ) -> bool {
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => {
                self.note(error.to_string());
                self.session.handle_parse_error();
                return false;
            }
        };
        match self.session.handle_packet(packet, self.now) {
            Ok(Some(message)) => {
                if let Err(Broken(what)) = self.layer.handle_message(message, self.now, cx) {
                    self.note(what);
                    self.session.abort(CloseReason::ParseError);
                    return false;
                }
            }
            Ok(None) => self.open(),
            Err(violation) => {
                self.note(violation.to_string());
                return false;
            }
        }
        true
    }

    /// The first packet opens the session. Those that came with it already belong to the layer above.
    fn open(&mut self) {
        if *self.is_opened {
            return;
        }
        if let Some(opened) = self.session.opened() {
            *self.is_opened = true;
            let id = opened.session.as_str();
            self.layer.namespaces.handle_opened(id, self.now);
            // A server of Socket.IO 2 lets the client in with the same answer, whose hooks want to know it.
            let transport = self.session.transport();
            self.layer.shared.set_transport(Some(transport));
        }
    }

    fn note(&mut self, what: String) {
        self.failure.get_or_insert(ConnectFailure::Violation(what));
    }
}
