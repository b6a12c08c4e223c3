//! One session with the transports that it is on: what the machine of the session asks for is done
//! here, and what arrives is told to it.

mod candidate;
mod polling;
mod receiver;
mod tools;
mod websocket;

use std::task::Context;
use std::time::Instant;

use ferriwire_proto::engine::Transport;
use ferriwire_proto::engine::client::Client as Session;
use ferriwire_proto::engine::queue::{Control, Entry};
use ferriwire_proto::engine::session::Lost;

pub(super) use self::tools::Tools;
use self::websocket::Way;
use super::super::error::ConnectFailure;
use super::super::transport::http::{Connection, Outcome};
use super::layer::Layer;
use crate::engine::running::BoxFuture;

/// How much is taken out of the queue at a time.
const BATCH: usize = 64 * 1024;

pub(super) struct Link {
    pub(super) session: Session,
    get: Option<BoxFuture<Outcome>>,
    post: Option<BoxFuture<Outcome>>,
    /// Connections that carry no request now.
    idle: Vec<Connection>,
    socket: Option<Way>,
    candidate: Option<Way>,
    /// The layer above knows of the session.
    pub(super) is_opened: bool,
    /// What went wrong first.
    pub(super) failure: Option<ConnectFailure>,
    is_closing: bool,
    /// Nobody needs it any more: the next one is not made before its end.
    pub(super) is_ending: bool,
    is_reading: bool,
}

impl Link {
    pub(super) fn new(tools: &Tools) -> Self {
        Self {
            session: Session::new(tools.config.engine.clone()),
            get: None,
            post: None,
            idle: Vec::new(),
            socket: None,
            candidate: None,
            is_opened: false,
            failure: None,
            is_closing: false,
            is_ending: false,
            is_reading: true,
        }
    }

    /// Whether what arrives is taken. Says whether that is new.
    pub(super) fn set_reading(&mut self, is_reading: bool, now: Instant) -> bool {
        let is_new = self.is_reading != is_reading;
        if is_new {
            self.is_reading = is_reading;
            self.session.set_reading(is_reading, now);
        }
        is_new
    }

    /// Takes in what has arrived. Says whether anything has.
    pub(super) fn poll_input(
        &mut self,
        layer: &mut Layer,
        tools: &mut Tools,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        let mut progress = self.poll_get(layer, tools, now, cx);
        progress |= self.poll_post(tools, cx);
        progress |= self.poll_socket(layer, tools, now, cx);
        progress | self.poll_candidate(tools, cx)
    }

    fn lose(&mut self, failure: ConnectFailure, how: Lost) {
        self.socket = None;
        self.session.handle_transport_lost(how);
        if !self.session.is_closed() {
            // The next transport is tried, and what becomes of that is what is told.
            tracing::debug!(%failure, "another transport is tried");
            return;
        }
        self.failure.get_or_insert(failure);
    }

    pub(super) fn begin_close(&mut self, layer: &Layer) {
        self.is_closing = true;
        if self.session.transport() == Transport::Polling {
            let mut outgoing = layer.shared.outgoing.lock();
            outgoing.queue().push(Entry::Control(Control::Close));
        }
    }

    /// Whether an event could leave at once.
    pub(super) fn is_writable(&self) -> bool {
        let is_there = match self.session.transport() {
            Transport::Polling => self.post.is_none(),
            Transport::WebSocket => match &self.socket {
                Some(Way::Open(websocket)) => websocket.is_flushed(),
                Some(Way::Opening(_)) | None => false,
            },
            Transport::WebTransport => false,
        };
        is_there && self.session.is_open() && self.session.may_write()
    }

    /// Writes what waits. Says whether something has changed by that.
    pub(super) fn write(&mut self, layer: &Layer, tools: &mut Tools, cx: &mut Context<'_>) -> bool {
        match self.session.transport() {
            Transport::Polling => self.write_post(layer, tools),
            Transport::WebSocket => self.write_frames(layer, tools, cx),
            Transport::WebTransport => false,
        }
    }
}
