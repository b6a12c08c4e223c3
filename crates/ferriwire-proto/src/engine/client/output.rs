//! What a client wants of its driver, and what of that is not polled yet.

use std::time::Instant;

#[cfg(doc)]
use super::Client;
use crate::engine::CloseReason;

/// What a driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a GET with the query of [`Client::query`], and report its end by
    /// [`Client::handle_polled`] behind its packets.
    Poll,
    /// Open a WebSocket as the transport.
    OpenWebSocket,
    /// The session is open: what [`Client::opened`] answers is known, and messages may be sent.
    Opened,
    /// Open a WebSocket as the candidate, and report by [`Client::handle_candidate_open`].
    OpenCandidate,
    /// Send `2probe` on the candidate.
    SendProbe,
    /// Close the candidate; the session goes on without it.
    DropCandidate,
    /// Send `5` on the candidate, which is the transport from now on: what is queued leaves there.
    Switch,
    /// Queue a ping.
    SendPing,
    /// Queue a pong.
    SendPong,
    /// Write what is queued and then `1` on polling or a close frame on a WebSocket, take nothing
    /// new, and call [`Client::handle_flushed`].
    BeginClose,
    /// The session is over, or never was: drop its transport, its candidate and its requests. Said
    /// exactly once.
    Closed(CloseReason),
    /// Nothing more to do before that time, or before the next input if there is none.
    Timeout(Option<Instant>),
}

/// What is decided and not polled yet, in the order in which it is polled.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) opened: bool,
    pub(super) open_websocket: bool,
    pub(super) open_candidate: bool,
    pub(super) send_probe: bool,
    pub(super) drop_candidate: bool,
    pub(super) switch: bool,
    pub(super) send_ping: bool,
    pub(super) send_pong: bool,
    pub(super) poll: bool,
    pub(super) begin_close: bool,
    pub(super) closed: Option<CloseReason>,
}

impl Pending {
    pub(super) fn take(&mut self) -> Option<Output> {
        for (flag, output) in [
            (&mut self.opened, Output::Opened),
            (&mut self.open_websocket, Output::OpenWebSocket),
            (&mut self.open_candidate, Output::OpenCandidate),
            (&mut self.send_probe, Output::SendProbe),
            (&mut self.drop_candidate, Output::DropCandidate),
            (&mut self.switch, Output::Switch),
            (&mut self.send_ping, Output::SendPing),
            (&mut self.send_pong, Output::SendPong),
            (&mut self.poll, Output::Poll),
            (&mut self.begin_close, Output::BeginClose),
        ] {
            if std::mem::take(flag) {
                return Some(output);
            }
        }
        self.closed.take().map(Output::Closed)
    }
}
