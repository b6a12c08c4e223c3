//! What the machines of a client want done: they are asked in turn, until each has nothing more.

use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use ferriwire_proto::connection::ConnectionTimeout;
use ferriwire_proto::connection::client::Output as NamespaceOutput;
use ferriwire_proto::engine::CloseReason;
use ferriwire_proto::engine::client::Output as SessionOutput;
use ferriwire_proto::engine::queue::{Control, Entry};
use ferriwire_proto::reconnect::Output as ReconnectOutput;

use super::Task;
use super::link::Link;
use crate::client::error::ConnectFailure;
use crate::client::reconnection::Reconnection;

impl Task {
    /// Does what the machines want done.
    pub(super) fn drain(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        loop {
            let mut again = self.drain_session(now, cx);
            again |= self.drain_namespaces(now, cx);
            again |= self.start_auths(now, cx);
            again |= self.drain_reconnect(now, cx);
            if !again {
                return progress;
            }
            progress = true;
        }
    }

    fn drain_session(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while let Some(link) = &mut self.link {
            let tools = &mut self.tools;
            match link.session.poll_output() {
                SessionOutput::Poll => link.start_poll(tools),
                SessionOutput::OpenWebSocket => link.open_socket(tools),
                SessionOutput::Opened => self.session_opened(cx),
                SessionOutput::OpenCandidate => link.open_candidate(tools),
                SessionOutput::SendProbe => link.send_probe(tools),
                SessionOutput::DropCandidate => link.drop_candidate(tools, cx),
                SessionOutput::Switch => {
                    link.switch(&self.layer, tools);
                    let transport = link.session.transport();
                    self.shared.set_transport(Some(transport));
                    self.layer.tell(|all| &all.upgrade, &transport, cx);
                }
                SessionOutput::SendPing => self.push(Entry::Control(Control::Ping)),
                SessionOutput::SendPong => self.push(Entry::Control(Control::Pong)),
                SessionOutput::BeginClose => link.begin_close(&self.layer),
                SessionOutput::Closed(reason) => self.end_session(reason, now, cx),
                SessionOutput::Timeout(deadline) => {
                    self.deadlines.session = deadline;
                    return progress;
                }
            }
            progress = true;
        }
        self.deadlines.session = None;
        progress
    }

    pub(super) fn push(&self, entry: Entry) {
        self.shared.outgoing.lock().queue().push(entry);
    }

    fn session_opened(&mut self, cx: &mut Context<'_>) {
        let Some(link) = &self.link else { return };
        {
            let mut outgoing = self.shared.outgoing.lock();
            outgoing.queue().set_dialect(link.session.dialect());
            outgoing.queue().set_deflater(link.deflater());
        }
        let attempts = self.reconnect.handle_connected();
        if attempts > 0 {
            let done = Reconnection::Done(attempts);
            self.layer.tell(|all| &all.reconnection, &done, cx);
        }
    }

    pub(super) fn drain_namespaces(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        loop {
            match self.layer.namespaces.poll_output() {
                NamespaceOutput::Connect(key) => self.wanted.push(key),
                NamespaceOutput::Disconnect(key) => {
                    let name = self.layer.namespaces.namespace(key).unwrap_or("/");
                    match self.shared.codec.encode_disconnect(name) {
                        Ok(packet) => self.push(Entry::Message(Arc::new(packet))),
                        Err(error) => tracing::error!(%error, "DISCONNECT cannot be written"),
                    }
                }
                NamespaceOutput::Close(timeout) => {
                    if let Some(link) = &mut self.link {
                        link.failure.get_or_insert(ConnectFailure::Timeout);
                        link.session.abort(match timeout {
                            ConnectionTimeout::Connect => CloseReason::TransportError,
                            ConnectionTimeout::Attachments => CloseReason::ParseError,
                        });
                    }
                }
                NamespaceOutput::Late(key) => self.layer.late(key, now, cx),
                NamespaceOutput::Timeout(deadline) => {
                    self.deadlines.namespaces = deadline;
                    return progress;
                }
            }
            progress = true;
        }
    }

    fn drain_reconnect(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        if self.link.as_ref().is_some_and(|link| link.is_ending) {
            // What is queued leaves on the old session, and nothing of it on the next one.
            self.deadlines.reconnect = None;
            return false;
        }
        loop {
            match self.reconnect.poll_output() {
                ReconnectOutput::Abandon => self.abandon(now, cx),
                ReconnectOutput::Wait { delay, .. } => {
                    self.pause = delay;
                    self.random = self.chance.number();
                }
                ReconnectOutput::Attempt { attempt } => {
                    self.attempt = attempt;
                    if attempt > 0 {
                        let event = Reconnection::Attempt {
                            number: attempt,
                            after: self.pause,
                        };
                        self.layer.tell(|all| &all.reconnection, &event, cx);
                    }
                    self.shared.outgoing.lock().queue().set_deflater(None);
                    self.link = Some(Link::new(&self.tools));
                }
                ReconnectOutput::GiveUp => {
                    self.layer
                        .tell(|all| &all.reconnection, &Reconnection::GaveUp, cx);
                }
                ReconnectOutput::Timeout(deadline) => {
                    self.deadlines.reconnect = deadline;
                    return progress;
                }
            }
            progress = true;
        }
    }
}
