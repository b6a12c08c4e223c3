//! Reading a WebSocket: frames to packets, of the transport or of a candidate for it.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::Transport;
use ferriwire_proto::engine::packet::{Packet, ParseError};
use ferriwire_proto::engine::session::Lost;
use ferriwire_proto::websocket::{Decoder, Item, Violation, frame::OpCode};

use super::{Candidate, SessionTask, Wire, close_frame};
use crate::engine::reasons::LimitKind;
use crate::engine::transport::websocket::{WebSocketIo, with_read_buffer};
use crate::shown::shown;

/// After this many reads of a full buffer the task lets others run.
const READS_PER_TURN: usize = 4;

/// The close code of a peer that does what it may, but too often or too slowly (RFC 6455, 7.4.1).
const POLICY_VIOLATION: u16 = 1008;

/// Which WebSocket something came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Current,
    Candidate,
}

impl SessionTask {
    /// Reads and handles frames of the current WebSocket until there are none, the handler wants no
    /// more, or enough was done for one turn.
    pub(super) fn read(&mut self, now: Instant, cx: &mut Context<'_>) {
        self.read_from(Origin::Current, now, cx);
    }

    /// The same for the candidate.
    #[cold]
    pub(super) fn read_candidate(&mut self, now: Instant, cx: &mut Context<'_>) {
        self.read_from(Origin::Candidate, now, cx);
    }

    /// Compiled for either, because a turn asks at every step which one it is.
    #[inline(always)]
    fn read_from(&mut self, origin: Origin, now: Instant, cx: &mut Context<'_>) {
        let mut is_done = false;
        let mut reserves = false;
        for _ in 0..READS_PER_TURN {
            if self.closed || (origin == Origin::Current && !self.handler.wants_to_read()) {
                is_done = true;
                break;
            }
            let is_long = self.io(origin).is_some_and(|io| io.awaits_much());
            reserves |= is_long;
            let goes_on = if is_long {
                self.read_long(origin, now, cx)
            } else {
                with_read_buffer(|buffer| self.read_once(origin, buffer, now, cx))
            };
            let io = self.io(origin).filter(|_| goes_on);
            if io.is_none_or(|io| io.poll_readable(cx).is_pending()) {
                is_done = true;
                break;
            }
            self.handler.poll(now, cx);
        }
        if reserves {
            self.settle(origin);
        }
        if !is_done {
            cx.waker().wake_by_ref();
        }
    }

    /// What this turn has not read is no longer reserved for.
    #[inline(never)]
    fn settle(&mut self, origin: Origin) {
        let io = self.io(origin).filter(|io| io.awaits_much());
        if let Some(decoder) = io.and_then(|io| io.decoder.as_mut()) {
            decoder.settle();
        }
    }

    /// Returns whether there may be more to read.
    #[inline(always)]
    fn read_once(
        &mut self,
        origin: Origin,
        buffer: &mut [u8],
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(io) = self.io(origin) else {
            return false;
        };
        let read = io.poll_read(cx, buffer);
        let Some(count) = self.arrived(origin, read, now, cx) else {
            return false;
        };
        let mut rest = &mut buffer[..count];
        while let Some(decoder) = self.texts_of(origin) {
            match decoder.take_text(&mut rest) {
                Ok(Some(text)) => self.handle_text(text, now, cx),
                Ok(None) => break,
                Err(violation) => {
                    self.handle_violation(origin, &violation, now, cx);
                    return false;
                }
            }
            if rest.is_empty() {
                return true;
            }
        }
        self.handle_bytes(origin, rest, now, cx)
    }

    /// The decoder of the current WebSocket, which takes short texts without being taken out itself.
    /// What a candidate sends may make it the current one in between.
    fn texts_of(&mut self, origin: Origin) -> Option<&mut Decoder> {
        match origin {
            Origin::Current => self.io(origin)?.decoder.as_mut(),
            Origin::Candidate => None,
        }
    }

    /// Handles frames of any kind. Returns whether there may be more to read.
    #[inline(never)]
    fn handle_bytes(
        &mut self,
        origin: Origin,
        bytes: &mut [u8],
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        // The decoder is taken out so that what it decoded can be handled by all of `self`.
        let decoder = self.io(origin).and_then(|io| io.decoder.take());
        let Some(mut decoder) = decoder else {
            return false;
        };
        let mut rest = bytes;
        // Frames behind the one that made the candidate the transport come from the transport.
        let mut origin = origin;
        // Whether the message is still the same of which fragments came before.
        let mut same_message = true;
        while !self.closed {
            let (consumed, more) = match decoder.decode(rest) {
                Ok(decoded) => {
                    let consumed = decoded.consumed;
                    let more = decoded.item.is_some();
                    if let Some(item) = decoded.item {
                        self.handle_item(origin, item, now, cx);
                    }
                    (consumed, more)
                }
                Err(violation) => {
                    self.handle_violation(origin, &violation, now, cx);
                    return false;
                }
            };
            self.settle_machine(now, cx);
            if origin == Origin::Candidate && self.machine.transport() == Transport::WebSocket {
                origin = Origin::Current;
            }
            same_message &= decoder.is_within_fragments();
            rest = &mut rest[consumed..];
            if rest.is_empty() && (!more || decoder.is_released()) {
                break;
            }
        }
        self.put_back(origin, decoder, same_message, now)
    }

    /// The same for what goes on for long: it is read to where it stays.
    #[inline(never)]
    fn read_long(&mut self, origin: Origin, now: Instant, cx: &mut Context<'_>) -> bool {
        let Some(io) = self.io(origin) else {
            return false;
        };
        let read = io.poll_read_long(cx);
        let Some(count) = self.arrived(origin, read, now, cx) else {
            return false;
        };
        let decoder = self.io(origin).and_then(|io| io.decoder.take());
        let Some(mut decoder) = decoder else {
            return false;
        };
        match decoder.handle_read(count) {
            Ok(None) => {}
            Ok(Some(item)) => {
                self.handle_item(origin, item, now, cx);
                self.settle_machine(now, cx);
            }
            Err(violation) => {
                self.handle_violation(origin, &violation, now, cx);
                return false;
            }
        }
        self.put_back(origin, decoder, true, now)
    }

    /// How many bytes were read; `None` when that is none for now, or the end.
    #[inline(always)]
    fn arrived(
        &mut self,
        origin: Origin,
        read: Poll<io::Result<usize>>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Option<usize> {
        match read {
            Poll::Ready(Ok(count)) if count > 0 => {
                self.session.shard().traffic().bytes_in(count);
                return Some(count);
            }
            Poll::Pending => {}
            Poll::Ready(Ok(_)) => self.lose(origin, Lost::Closed, now, cx),
            Poll::Ready(Err(_)) => self.lose(origin, Lost::Error, now, cx),
        }
        None
    }

    /// Gives the decoder back, unless its WebSocket has ended, which is the answer.
    fn put_back(
        &mut self,
        origin: Origin,
        decoder: Decoder,
        same_message: bool,
        now: Instant,
    ) -> bool {
        let is_closed = self.closed;
        let Some(io) = self.io(origin).filter(|_| !is_closed) else {
            return false;
        };
        let since = io.fragments_since.filter(|_| same_message).or(Some(now));
        io.fragments_since = since.filter(|_| decoder.is_within_fragments());
        io.decoder = Some(decoder);
        true
    }

    #[cold]
    fn handle_violation(
        &mut self,
        origin: Origin,
        violation: &Violation,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        tracing::debug!(session = ?self.session.id(), violation = %shown(violation), "bad frame");
        self.session.at_fault(violation);
        self.violate(origin, violation.close_code(), cx);
        self.drain_machine(now, cx);
    }

    fn io(&mut self, origin: Origin) -> Option<&mut WebSocketIo> {
        match origin {
            Origin::Current => match &mut self.wire {
                Wire::WebSocket(io) => Some(io),
                Wire::Polling | Wire::Arriving(_) | Wire::Lingering(..) | Wire::Gone => None,
            },
            Origin::Candidate => match self.candidate.as_deref_mut() {
                Some(Candidate::WebSocket(io)) => Some(io),
                Some(Candidate::Arriving(_)) | None => None,
            },
        }
    }

    #[cold]
    fn lose(&mut self, origin: Origin, how: Lost, now: Instant, cx: &mut Context<'_>) {
        match origin {
            Origin::Current => self.lose_wire(how),
            Origin::Candidate => {
                self.candidate = None;
                self.machine.handle_candidate_lost();
            }
        }
        self.drain_machine(now, cx);
    }

    /// The peer broke the WebSocket protocol: tell it which rule, then part.
    fn violate(&mut self, origin: Origin, code: u16, cx: &mut Context<'_>) {
        self.part(origin, close_frame(&code.to_be_bytes()), Lost::Error, cx);
    }

    /// Ends a WebSocket with this frame.
    #[cold]
    fn part(&mut self, origin: Origin, farewell: Encoded, how: Lost, cx: &mut Context<'_>) {
        match origin {
            Origin::Candidate => self.part_from_candidate(farewell, cx),
            Origin::Current => {
                self.farewell = Some(farewell.into());
                self.machine.handle_transport_lost(how);
            }
        }
    }

    /// The upgrade has failed; long-polling goes on.
    fn part_from_candidate(&mut self, farewell: Encoded, cx: &mut Context<'_>) {
        tracing::debug!(session = ?self.session.id(), "upgrade failed");
        if let Some(candidate) = self.candidate.take() {
            self.refuse(*candidate, farewell, cx);
        }
        self.machine.handle_candidate_lost();
    }

    /// A text of the current WebSocket.
    fn handle_text(&mut self, text: &str, now: Instant, cx: &mut Context<'_>) {
        match self.machine.revision().decode_text(text) {
            Ok(packet) => self.handle_packet(packet, now, cx),
            Err(error) => self.handle_parse_error(Origin::Current, error, cx),
        }
        self.settle_machine(now, cx);
    }

    fn handle_item(&mut self, origin: Origin, item: Item<'_>, now: Instant, cx: &mut Context<'_>) {
        let revision = self.machine.revision();
        match item {
            Item::Text(text) => {
                self.handle_websocket_packet(origin, revision.decode_text(&text), now, cx);
            }
            Item::Binary(data) => {
                let packet = revision.decode_binary(Bytes::from(data.into_owned()));
                self.handle_websocket_packet(origin, packet, now, cx);
            }
            Item::Ping(payload) => self.handle_ping(origin, payload, now, cx),
            Item::Pong(_) => {}
            Item::Close(close) => {
                let code = close.map(|close| close.code.to_be_bytes());
                let echo = close_frame(code.as_ref().map_or(&[], |code| code));
                if origin == Origin::Current {
                    self.write_owed(cx);
                }
                self.part(origin, echo, Lost::Closed, cx);
            }
        }
    }

    #[cold]
    fn handle_ping(&mut self, origin: Origin, payload: &[u8], now: Instant, cx: &mut Context<'_>) {
        let rate = self.core.config().limits.ping_rate;
        if let (Some(rate), Some(io)) = (rate, self.io(origin))
            && !io.take_ping(rate, now)
        {
            self.session.limited(LimitKind::Pings);
            return self.violate(origin, POLICY_VIOLATION, cx);
        }
        let pong = Encoded::control_frame(OpCode::Pong, payload);
        match origin {
            Origin::Current if self.session.outbox().is_blocked() => self.hold_pong(pong),
            Origin::Current => drop(self.session.push(&Arc::new(pong), false)),
            Origin::Candidate => {
                if let Some(io) = self.io(origin) {
                    io.send_aside(pong.websocket_pieces().flatten().copied());
                }
            }
        }
    }

    fn hold_pong(&mut self, pong: Encoded) {
        let limit = self.core.config().limits.max_pending_pongs;
        if let Some(io) = self.io(Origin::Current)
            && io.hold_pong(pong, limit)
        {
            self.session.limited(LimitKind::PendingPongs);
        }
    }

    /// Queues the pongs that waited, once the stream takes something again.
    pub(super) fn release_pongs(&mut self) -> bool {
        let Some(io) = self.io(Origin::Current).filter(|io| io.has_pongs()) else {
            return false;
        };
        let pongs = io.take_pongs();
        for pong in pongs {
            drop(self.session.push(&Arc::new(pong), false));
        }
        true
    }

    /// Whether a message has begun to come in fragments.
    pub(super) fn is_within_fragments(&self) -> bool {
        matches!(&self.wire, Wire::WebSocket(io) if io.fragments_since.is_some())
    }

    /// A message that comes in fragments without an end holds memory, while its control frames keep
    /// the session alive.
    #[inline(never)]
    pub(super) fn watch_fragments(&mut self, now: Instant, cx: &mut Context<'_>) {
        if self.fragments_deadline().is_some_and(|until| until <= now) {
            self.session.limited(LimitKind::FragmentsTime);
            self.violate(Origin::Current, POLICY_VIOLATION, cx);
        }
    }

    pub(super) fn fragments_deadline(&self) -> Option<Instant> {
        let Wire::WebSocket(io) = &self.wire else {
            return None;
        };
        let timeout = self.core.config().limits.fragments_timeout;
        io.fragments_since?.checked_add(timeout)
    }

    /// Writes what was sent so far, as far as the peer takes it: answers to messages that came in
    /// the same segment as the close frame.
    #[cold]
    fn write_owed(&mut self, cx: &mut Context<'_>) {
        self.session.flush();
        if let Wire::WebSocket(io) = &mut self.wire {
            // An error shows again when the close frame is written.
            let _ = io.poll_write(cx, self.session.outbox());
        }
    }

    fn handle_websocket_packet(
        &mut self,
        origin: Origin,
        packet: Result<Packet<'_>, ParseError>,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        match (origin, packet) {
            (Origin::Current, Ok(packet)) => self.handle_packet(packet, now, cx),
            (Origin::Candidate, Ok(packet)) => self.machine.handle_candidate_packet(&packet, now),
            (origin, Err(error)) => self.handle_parse_error(origin, error, cx),
        }
    }

    #[cold]
    fn handle_parse_error(&mut self, origin: Origin, error: ParseError, cx: &mut Context<'_>) {
        tracing::debug!(session = ?self.session.id(), error = %shown(error), "unreadable packet");
        self.session.at_fault(&error);
        match origin {
            Origin::Current => self.machine.handle_parse_error(),
            Origin::Candidate => self.part_from_candidate(close_frame(&[]), cx),
        }
    }
}

/// Discards what the peer still sends, until it ends its side. Others may run now and then.
pub(super) fn poll_until_end(io: &mut WebSocketIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    for _ in 0..READS_PER_TURN {
        match with_read_buffer(|buffer| io.poll_read(cx, buffer)) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}
