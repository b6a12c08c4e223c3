//! The connection task: one per session, whatever its transport.
//!
//! Each turn has one order: what is due, what others left in the mailbox, the handlers, the
//! candidate transport, the WebSocket, and again until nothing moves. Then it names its next
//! deadline to its shard and waits. What it queued, for its own client or for others, is written
//! when the turn ends.

mod frames;
mod polling;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ferriwire_proto::deadline::sooner;
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::packet::Packet;
use ferriwire_proto::engine::queue::Control;
use ferriwire_proto::engine::session::{Incoming, Lost, Output, Session as Machine};
use ferriwire_proto::engine::{CloseReason, Dialect, Message, Transport};
use ferriwire_proto::websocket::frame::OpCode;

use self::frames::poll_until_end;
use self::polling::Requests;
use super::core::Core;
use super::gate::Pass;
use super::outbox::Trouble;
use super::reasons::LimitKind;
use super::running::{BoxFuture, Running};
use super::session::{Input, Session};
use super::transport::arriving::Arriving;
use super::transport::websocket::WebSocketIo;
use super::turn::Turn;
use crate::config::guarded;

/// How long a WebSocket that we closed may take to end its side, before its socket is dropped.
const LINGER: Duration = Duration::from_secs(5);

/// What runs on top of a session: the Socket.IO connection, or a program's own handlers.
pub(crate) trait SessionHandler: Send {
    /// The session is open; what is sent now stands behind the handshake.
    fn opened(&mut self, now: Instant, cx: &mut Context<'_>);

    fn handle_message(&mut self, message: Message<'_>, now: Instant, cx: &mut Context<'_>);

    /// Runs handlers and looks at deadlines.
    fn poll(&mut self, now: Instant, cx: &mut Context<'_>);

    /// Whether more messages may come. Acknowledgements never have to wait for this.
    fn wants_to_read(&self) -> bool;

    /// Whether more of a body that has been read may come. Memory decides, so that an acknowledgement in
    /// there need not wait for the handler that waits for it.
    fn has_room(&self) -> bool {
        true
    }

    fn deadline(&self) -> Option<Instant>;

    /// Whether the program has accepted the client, once: from then on it counts as one of its own.
    fn is_accepted(&self) -> bool {
        true
    }

    /// The session has ended. Handlers that still run go on to their end.
    fn closed(&mut self, reason: CloseReason, now: Instant, cx: &mut Context<'_>);

    /// Whether no handler runs any more.
    fn is_finished(&self) -> bool;
}

pub(crate) struct SessionTask {
    core: Arc<Core>,
    session: Session,
    /// While the session counts.
    pass: Option<Pass>,
    machine: Machine,
    handler: Box<dyn SessionHandler>,
    wire: Wire,
    /// Of the few sessions that are changing to a WebSocket.
    candidate: Option<Box<Candidate>>,
    /// How packets have to look on the candidate; before there was one, on the first transport.
    candidate_dialect: Dialect,
    /// Of a session on long-polling; an idle WebSocket pays for a pointer.
    requests: Option<Box<Requests>>,
    /// WebSockets that were refused, on their way out.
    refused: Running<()>,
    opened: bool,
    /// The client takes nothing more.
    stall: Option<Box<Stall>>,
    /// The close packet is queued.
    closing: bool,
    /// It must not share an answer with what stands in front of it.
    close_apart: bool,
    /// What a WebSocket is told at its end, when there is more to say than that it is the end.
    farewell: Option<Box<Encoded>>,
    /// The WebSocket has ended or failed, or its peer does not read: no farewell would arrive.
    wire_lost: bool,
    closed: bool,
    /// When a ping was sent that is not answered, in microseconds; zero otherwise.
    pinged: u32,
    /// The deadline for which the shard wakes this task, as long as it is going to.
    armed_for: Option<Instant>,
}

/// Where packets come from.
enum Wire {
    Polling,
    /// The handshake was answered; the bare connection is on its way.
    Arriving(Box<Arriving>),
    /// In place: nearly all sessions come to it, and the task has room.
    WebSocket(WebSocketIo),
    /// The session is over; the peer is given time to read our last frames.
    Lingering(Box<WebSocketIo>, Instant),
    Gone,
}

/// Since when a client takes nothing more.
struct Stall {
    /// How many bytes it has taken, ever.
    at: u64,
    /// `None` when the limit is beyond what the clock can tell.
    gives_up: Option<Instant>,
}

enum Candidate {
    Arriving(Box<Arriving>),
    WebSocket(WebSocketIo),
}

impl SessionTask {
    /// A session that begins with long-polling, or with a WebSocket that is on its way.
    pub(crate) fn new(
        core: Arc<Core>,
        session: Session,
        upgrade: Option<Arriving>,
        pass: Pass,
        now: Instant,
    ) -> Self {
        let transport = session.request().transport;
        let dialect = session.request().dialect;
        let timing = Arc::clone(core.timing());
        let machine = Machine::new(timing, dialect.revision, transport, now);
        let handler = core.open_handler(&session, now);
        let wire = match upgrade {
            Some(upgrade) => Wire::Arriving(upgrade.into()),
            None => {
                session.outbox().use_polling();
                Wire::Polling
            }
        };
        Self {
            core,
            session,
            pass: Some(pass),
            machine,
            handler,
            wire,
            candidate: None,
            candidate_dialect: dialect,
            requests: None,
            refused: Running::new(),
            opened: false,
            stall: None,
            closing: false,
            close_apart: false,
            farewell: None,
            wire_lost: false,
            closed: false,
            pinged: 0,
            armed_for: None,
        }
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = tokio::time::Instant::now().into_std();
        // No deadline lies before what was armed; what is in its first turn has armed nothing.
        if self.armed_for.is_none_or(|armed| armed <= now) {
            self.handle_due(now, cx);
        }
        if self.has_side_work() {
            self.begin_side_work(now, cx);
        }
        if let Some(inputs) = self.session.take_inputs() {
            self.handle_inputs(*inputs, now, cx);
        }
        self.handle_trouble();
        self.handler.poll(now, cx);
        if self.has_side_work() {
            self.do_side_work(now, cx);
        }
        self.poll_wire(now, cx);
        self.handler.poll(now, cx);
        if self.requests.is_some() {
            self.answer_posts();
            self.go_on_with_post(cx);
        }
        if self.pass.as_ref().is_some_and(|pass| !pass.is_accepted()) {
            self.note_acceptance();
        }
        self.machine.set_reading(self.handler.wants_to_read(), now);
        if self.session.outbox().is_blocked() || self.stall.is_some() {
            self.watch_stall(now);
        }
        if self.is_within_fragments() {
            self.watch_fragments(now, cx);
        }
        let deadline = self.drain_machine(now, cx);
        if self.closed && self.is_finished() {
            return Poll::Ready(());
        }
        self.arm(deadline);
        Poll::Pending
    }

    /// The first turn, and time that has passed.
    #[cold]
    fn handle_due(&mut self, now: Instant, cx: &mut Context<'_>) {
        if !self.opened {
            self.opened = true;
            self.session.register(cx.waker());
            self.handler.opened(now, cx);
        }
        if self.machine.handle_timeout(now) {
            self.session.limited(LimitKind::UpgradeTime);
        }
        self.settle_machine(now, cx);
    }

    /// Whether there is anything beside the WebSocket that is in use: requests, or another WebSocket.
    #[inline]
    fn has_side_work(&self) -> bool {
        self.candidate.is_some() || self.requests.is_some() || self.refused.may_go_on()
    }

    /// In front of the mailbox, because a client that has sent `5` may poll once more right behind it,
    /// and that poll belongs to an upgraded session.
    #[inline(never)]
    fn begin_side_work(&mut self, now: Instant, cx: &mut Context<'_>) {
        if self.candidate.is_some() {
            self.poll_candidate(now, cx);
        }
        if self.requests.is_some() {
            self.handle_unfinished_post(now, cx);
        }
    }

    #[inline(never)]
    fn do_side_work(&mut self, now: Instant, cx: &mut Context<'_>) {
        while self.refused.poll_next(cx).is_some() {}
        if self.candidate.is_some() {
            self.poll_candidate(now, cx);
        }
        if self.requests.is_some() {
            self.handle_early_polls(now, cx);
        }
        self.settle_machine(now, cx);
    }

    #[cold]
    fn note_acceptance(&mut self) {
        if let Some(pass) = &mut self.pass
            && self.handler.is_accepted()
        {
            pass.accept();
        }
    }

    /// A reader that has taken nothing for too long holds what waits for it no longer.
    #[cold]
    fn watch_stall(&mut self, now: Instant) {
        let Some(taken) = self.session.outbox().stalled_at() else {
            self.stall = None;
            return;
        };
        let limit = self.core.config().limits.write_stall_timeout;
        match self.stall.as_deref() {
            Some(&Stall { at, gives_up }) if at == taken => {
                if gives_up.is_some_and(|gives_up| now >= gives_up) {
                    self.machine.abort(CloseReason::SlowConsumer);
                    self.wire_lost = true;
                }
            }
            Some(_) | None => {
                let gives_up = now.checked_add(limit);
                self.stall = Some(Box::new(Stall {
                    at: taken,
                    gives_up,
                }));
            }
        }
    }

    fn arm(&mut self, machine: Option<Instant>) {
        let mut earliest = sooner(machine, self.handler.deadline());
        if self.stall.is_some()
            || self.is_within_fragments()
            || matches!(self.wire, Wire::Lingering(..))
        {
            earliest = sooner(earliest, self.own_deadline());
        }
        let Some(earliest) = earliest else {
            return;
        };
        // What is due later is armed when that has passed.
        let comes_later = self.armed_for.is_some_and(|armed| armed <= earliest);
        if !(comes_later && self.session.is_armed()) {
            self.session.arm(earliest);
            self.armed_for = Some(earliest);
        }
    }

    /// Until when the task itself waits for its client.
    #[cold]
    fn own_deadline(&self) -> Option<Instant> {
        let linger = match &self.wire {
            Wire::Lingering(_, until) => Some(*until),
            Wire::Polling | Wire::Arriving(_) | Wire::WebSocket(_) | Wire::Gone => None,
        };
        let stall = self.stall.as_ref().and_then(|stall| stall.gives_up);
        sooner(sooner(linger, stall), self.fragments_deadline())
    }

    /// Whether nothing is left to do for a session that is closed.
    #[cold]
    fn is_finished(&self) -> bool {
        matches!(self.wire, Wire::Gone | Wire::Polling)
            && self.handler.is_finished()
            && self.refused.is_empty()
    }

    #[inline(never)]
    fn handle_inputs(&mut self, inputs: Vec<Input>, now: Instant, cx: &mut Context<'_>) {
        for input in inputs {
            self.handle_input(input, now, cx);
        }
    }

    fn handle_input(&mut self, input: Input, now: Instant, cx: &mut Context<'_>) {
        match input {
            Input::Poll(waiter) => self.handle_poll(waiter, now, cx),
            // Also when the GET was answered in the same instant: the answer did not arrive.
            Input::PollAborted => self.lose_polling(),
            Input::AnswerStalled if self.machine.transport() == Transport::Polling => {
                self.machine.abort(CloseReason::SlowConsumer);
            }
            Input::AnswerStalled => {}
            Input::Post {
                body,
                is_binary,
                answer,
            } => self.handle_post(body, is_binary, answer, now, cx),
            Input::PostFailed => self.lose_polling(),
            Input::Candidate { upgrade, dialect } => {
                if self.machine.handle_candidate(now) {
                    self.candidate_dialect = dialect;
                    self.candidate = Some(Box::new(Candidate::Arriving(upgrade)));
                } else {
                    tracing::debug!(session = ?self.session.id(), "upgrade refused: there was one, or the session ends");
                    self.refuse(Candidate::Arriving(upgrade), close_frame(&[]), cx);
                }
            }
            Input::Close(reason) => self.machine.close(reason, now),
            Input::CloseApart(reason) => {
                self.close_apart = true;
                self.machine.close(reason, now);
            }
            Input::Abort(reason) => self.machine.abort(reason),
        }
        self.settle_machine(now, cx);
    }

    fn is_candidate_arriving(&self) -> bool {
        matches!(self.candidate.as_deref(), Some(Candidate::Arriving(_)))
    }

    /// How long the client took to answer the ping.
    fn note_pong(&mut self, now: Instant) {
        let sent = std::mem::take(&mut self.pinged);
        if let Some(metrics) = self.session.shard().metrics().filter(|_| sent != 0) {
            let micros = self.core.counters().micros(now).wrapping_sub(sent);
            let took = Duration::from_micros(micros.into());
            metrics.round_trip.record(took);
        }
    }

    fn handle_packet(&mut self, packet: Packet<'_>, now: Instant, cx: &mut Context<'_>) {
        let Packet::Message(message) = packet else {
            return self.handle_other_packet(packet, now);
        };
        if self.machine.handle_message(now) {
            self.handler.handle_message(message, now, cx);
        }
    }

    /// A packet that carries no message.
    #[cold]
    fn handle_other_packet(&mut self, packet: Packet<'_>, now: Instant) {
        if matches!(packet, Packet::Pong(_)) {
            self.note_pong(now);
        }
        if let Some(Incoming::Ping) = self.machine.handle_packet(packet, now) {
            self.session.push_control(Control::Pong);
        }
    }

    /// Acts upon what only this task may: a reader that is too slow, a write that failed.
    fn handle_trouble(&mut self) {
        if let Some(trouble) = self.session.outbox().trouble() {
            self.give_up(trouble);
        }
    }

    #[cold]
    fn give_up(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::SlowConsumer => {
                self.wire_lost = true;
                self.machine.abort(CloseReason::SlowConsumer);
            }
            Trouble::WriteFailed => self.lose_wire(Lost::Closed),
        }
    }

    /// The current WebSocket ended or failed.
    #[cold]
    fn lose_wire(&mut self, how: Lost) {
        self.wire_lost = true;
        self.machine.handle_transport_lost(how);
    }

    /// Does what the state machine asks for, if anything.
    fn settle_machine(&mut self, now: Instant, cx: &mut Context<'_>) {
        if !self.machine.is_settled() {
            self.drain_machine(now, cx);
        }
    }

    /// Does what the state machine asks for, until it names its next deadline.
    fn drain_machine(&mut self, now: Instant, cx: &mut Context<'_>) -> Option<Instant> {
        loop {
            let output = self.machine.poll_output();
            if let Output::Timeout(deadline) = output {
                return deadline;
            }
            self.obey(output, now, cx);
        }
    }

    /// Does one thing that the state machine asks for.
    #[cold]
    fn obey(&mut self, output: Output, now: Instant, cx: &mut Context<'_>) {
        match output {
            Output::Timeout(_) => {}
            Output::SendPing => {
                if self.session.shard().metrics().is_some() {
                    self.pinged = self.core.counters().micros(now).max(1);
                }
                self.session.push_control(Control::Ping);
            }
            Output::AnswerProbe => {
                if let Some(Candidate::WebSocket(io)) = self.candidate.as_deref_mut() {
                    let answer = Encoded::engine_packet("3probe");
                    io.send_aside(answer.websocket_pieces().flatten().copied());
                }
            }
            Output::ReleasePoll => {
                // What waits when the transport changes leaves by the new one.
                let stays = self.machine.transport() == Transport::Polling;
                self.session.outbox().release_poll(stays);
            }
            Output::Switch => self.switch(),
            Output::DropCandidate => {
                if let Some(candidate) = self.candidate.take() {
                    tracing::debug!(session = ?self.session.id(), "upgrade failed");
                    self.refuse(*candidate, close_frame(&[]), cx);
                }
            }
            Output::BeginClose => {
                self.closing = true;
                self.session.outbox().begin_close(self.close_apart);
                self.session.flush();
                self.finish_close();
            }
            Output::Closed(reason) => self.close(reason, now, cx),
        }
    }

    /// The candidate becomes the transport, and what is queued leaves there first: as soon as the
    /// answer to the probe is written.
    fn switch(&mut self) {
        match self.candidate.take().map(|candidate| *candidate) {
            Some(Candidate::WebSocket(io)) => {
                self.session.set_upgraded();
                self.core.counters().upgraded();
                self.session.outbox().hold();
                let dialect = self.candidate_dialect;
                self.session.outbox().set_dialect(dialect);
                self.wire = Wire::WebSocket(io);
                self.requests.take_if(|requests| requests.is_empty());
                if let Some(tell) = &self.core.config().hooks.upgrade {
                    guarded("on_upgrade", || tell(&self.session));
                }
            }
            // The machine asks for a switch only after a packet from the candidate.
            Some(Candidate::Arriving(_)) | None => self.machine.abort(CloseReason::TransportError),
        }
    }

    /// Whether a graceful close has written all it had.
    fn finish_close(&mut self) {
        if self.closing && self.session.outbox().is_drained() {
            self.machine.handle_flushed();
        }
    }

    fn close(&mut self, reason: CloseReason, now: Instant, cx: &mut Context<'_>) {
        self.pass = None;
        tracing::debug!(session = ?self.session.id(), %reason, "session closed");
        self.core.session_closed(&self.session, reason);
        // A graceful close has written its frame with the rest.
        let told = self.closing && self.session.outbox().is_drained();
        let whole = self.session.outbox().close();
        self.closed = true;
        if let Some(candidate) = self.candidate.take() {
            self.refuse(*candidate, close_frame(&[]), cx);
        }
        let farewell = self.farewell.take();
        self.wire = match std::mem::replace(&mut self.wire, Wire::Gone) {
            // Whatever the reason: a peer that is there is told by a close frame.
            Wire::WebSocket(mut io) if whole && !self.wire_lost => {
                if !told {
                    let farewell = farewell.unwrap_or_else(|| close_frame(&[]).into());
                    io.send_aside(farewell.websocket_pieces().flatten().copied());
                }
                if io.poll_flush_aside(cx).is_ready() {
                    io.shut_down(cx);
                }
                Wire::Lingering(Box::new(io), now + LINGER)
            }
            Wire::WebSocket(_)
            | Wire::Polling
            | Wire::Arriving(_)
            | Wire::Lingering(..)
            | Wire::Gone => Wire::Gone,
        };
        self.handler.closed(reason, now, cx);
    }

    /// Closes a WebSocket that may not become the transport, without waiting for it here.
    fn refuse(&mut self, candidate: Candidate, farewell: Encoded, cx: &mut Context<'_>) {
        let goodbye: BoxFuture<()> = Box::pin(async move {
            let mut io = match candidate {
                Candidate::WebSocket(io) => io,
                Candidate::Arriving(upgrade) => match upgrade.await {
                    Ok(io) => io,
                    Err(_) => return,
                },
            };
            io.send_aside(farewell.websocket_pieces().flatten().copied());
            let goodbye = std::future::poll_fn(|cx| {
                if io.poll_flush_aside(cx)?.is_pending() {
                    return Poll::Pending;
                }
                io.shut_down(cx);
                poll_until_end(&mut io, cx)
            });
            let _ = tokio::time::timeout(LINGER, goodbye).await;
        });
        self.refused.start((), goodbye, cx);
    }

    /// For the short time in which there is one.
    #[cold]
    fn poll_candidate(&mut self, now: Instant, cx: &mut Context<'_>) {
        if let Some(Candidate::Arriving(upgrade)) = self.candidate.as_deref_mut() {
            match Pin::new(upgrade).poll(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(io)) => {
                    self.candidate = Some(Box::new(Candidate::WebSocket(io)));
                }
                Poll::Ready(Err(_)) => {
                    self.candidate = None;
                    self.machine.handle_candidate_lost();
                }
            }
        }
        // What the candidate says stands behind the packets of a POST that came before.
        if !self.has_unfinished_post() {
            self.read_candidate(now, cx);
        }
        if let Some(Candidate::WebSocket(io)) = self.candidate.as_deref_mut()
            && matches!(io.poll_flush_aside(cx), Poll::Ready(Err(_)))
        {
            self.candidate = None;
            self.machine.handle_candidate_lost();
        }
        self.settle_machine(now, cx);
    }

    fn poll_wire(&mut self, now: Instant, cx: &mut Context<'_>) {
        if matches!(self.wire, Wire::Arriving(_)) && self.poll_arriving(cx).is_pending() {
            return;
        }
        if matches!(self.wire, Wire::WebSocket(_)) {
            self.read(now, cx);
        }
        let is_at_rest = match &self.wire {
            Wire::WebSocket(io) => !io.has_aside() && !io.wants_to_write(self.session.outbox()),
            Wire::Polling | Wire::Arriving(_) | Wire::Lingering(..) | Wire::Gone => false,
        };
        if !is_at_rest || self.closing || self.session.outbox().is_in_trouble() {
            self.write(now, cx);
        }
    }

    /// Writes what could not be written, and comes to the end of a session that is being closed.
    #[inline(never)]
    fn write(&mut self, now: Instant, cx: &mut Context<'_>) {
        if let Wire::WebSocket(io) = &mut self.wire
            && matches!(
                io.poll_write(cx, self.session.outbox()),
                Poll::Ready(Err(_))
            )
        {
            self.lose_wire(Lost::Closed);
        }
        if !self.session.outbox().is_blocked() && self.release_pongs() {
            cx.waker().wake_by_ref();
        }
        self.handle_trouble();
        self.finish_close();
        self.settle_machine(now, cx);
        if matches!(self.wire, Wire::Lingering(..)) {
            self.poll_linger(now, cx);
        }
    }

    #[cold]
    fn poll_arriving(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Wire::Arriving(upgrade) = &mut self.wire {
            match ready!(Pin::new(upgrade).poll(cx)) {
                Ok(mut io) => {
                    io.attach(self.session.outbox());
                    self.wire = Wire::WebSocket(io);
                    self.session.flush();
                }
                Err(_) => self.machine.handle_transport_lost(Lost::Error),
            }
        }
        Poll::Ready(())
    }

    #[cold]
    fn poll_linger(&mut self, now: Instant, cx: &mut Context<'_>) {
        let Wire::Lingering(io, until) = &mut self.wire else {
            return;
        };
        let written = match io.poll_flush_aside(cx) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => {
                self.wire = Wire::Gone;
                return;
            }
            Poll::Pending => false,
        };
        if written {
            io.shut_down(cx);
        }
        if now >= *until || (written && poll_until_end(io, cx).is_ready()) {
            self.wire = Wire::Gone;
        }
    }
}

impl Future for SessionTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Writes, when it is dropped, what this turn queued for others.
        let turn = Turn::begin(Some(&self.session));
        let poll = self.run(cx);
        if turn.takes_own() {
            self.session.flush();
        }
        poll
    }
}

impl Drop for SessionTask {
    fn drop(&mut self) {
        // Also when the runtime ends, or a panic in a destructor of the program got this far.
        self.session.end();
        if !self.closed {
            self.session.outbox().close();
        }
        self.core.session_ended(&self.session, self.closed);
    }
}

/// Ends a WebSocket; the payload is a code, or nothing.
fn close_frame(code: &[u8]) -> Encoded {
    Encoded::control_frame(OpCode::Close, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With 104 bytes of tokio, aligned to 128: allocators align powers of two, and for anything else
    /// that has to be aligned they waste that much.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn the_task_of_a_session_fits_into_512_bytes() {
        let size = size_of::<SessionTask>();
        assert!(size <= 512 - 104, "{size}");
    }
}
