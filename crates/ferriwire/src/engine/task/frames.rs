//! Reading a WebSocket: frames to packets, of the transport or of a candidate for it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::packet::Packet;
use ferriwire_proto::engine::session::Lost;
use ferriwire_proto::engine::{Message, Transport};
use ferriwire_proto::websocket::{Item, frame::OpCode};

use super::{Candidate, LINGER, SessionTask, Wire};
use crate::engine::transport::websocket::{WebSocketIo, with_read_buffer};

/// After this many reads of a full buffer the task lets others run.
const READS_PER_TURN: usize = 4;

/// Which WebSocket something came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Current,
    Candidate,
}

impl SessionTask {
    /// Reads and handles frames until there are none, the handler wants no more, or enough was
    /// done for one turn.
    pub(super) fn read(&mut self, origin: Origin, now: Instant, cx: &mut Context<'_>) {
        for _ in 0..READS_PER_TURN {
            if self.closed || (origin == Origin::Current && !self.handler.wants_to_read()) {
                return;
            }
            if !with_read_buffer(|buffer| self.read_once(origin, buffer, now, cx)) {
                return;
            }
            self.handler.poll(now, cx);
        }
        cx.waker().wake_by_ref();
    }

    /// Returns whether there may be more to read.
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
        let count = match io.poll_read(cx, buffer) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0)) => {
                self.lose(origin, Lost::Closed);
                self.drain_machine(now, cx);
                return false;
            }
            Poll::Ready(Ok(count)) => count,
            Poll::Ready(Err(_)) => {
                self.lose(origin, Lost::Error);
                self.drain_machine(now, cx);
                return false;
            }
        };
        let mut rest = &mut buffer[..count];
        // Frames behind the one that made the candidate the transport come from the transport.
        let mut origin = origin;
        while !self.closed {
            // The decoder is taken out so that what it decoded can be handled by all of `self`.
            let Some(mut decoder) = self.io(origin).and_then(|io| io.decoder.take()) else {
                return false;
            };
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
                    tracing::debug!(session = ?self.session.id(), %violation, "bad frame");
                    self.violate(origin, violation.close_code(), cx);
                    self.drain_machine(now, cx);
                    return false;
                }
            };
            let was_candidate = origin == Origin::Candidate;
            self.drain_machine(now, cx);
            if was_candidate && self.machine.transport() == Transport::WebSocket {
                origin = Origin::Current;
            }
            let Some(io) = self.io(origin) else {
                return false;
            };
            io.decoder = Some(decoder);
            rest = &mut rest[consumed..];
            if !more && rest.is_empty() {
                return true;
            }
        }
        false
    }

    fn io(&mut self, origin: Origin) -> Option<&mut WebSocketIo> {
        match (origin, &mut self.wire, &mut self.candidate) {
            (Origin::Current, Wire::WebSocket(io), _) => Some(io),
            (Origin::Candidate, _, Some(Candidate::WebSocket(io))) => Some(io),
            _ => None,
        }
    }

    fn lose(&mut self, origin: Origin, how: Lost) {
        match origin {
            Origin::Current => self.machine.handle_transport_lost(how),
            Origin::Candidate => {
                self.candidate = None;
                self.machine.handle_candidate_lost();
            }
        }
    }

    /// The peer broke the WebSocket protocol: tell it which rule, then part.
    fn violate(&mut self, origin: Origin, code: u16, cx: &mut Context<'_>) {
        let farewell = Encoded::control_frame(OpCode::Close, &code.to_be_bytes());
        if let Some(io) = self.io(origin) {
            io.send_aside(farewell.websocket_pieces().flatten().copied());
        }
        match origin {
            Origin::Candidate => self.part_from_candidate(cx),
            Origin::Current => {
                self.linger();
                self.machine.handle_transport_lost(Lost::Error);
            }
        }
    }

    /// The upgrade has failed; long-polling goes on.
    pub(super) fn part_from_candidate(&mut self, cx: &mut Context<'_>) {
        if let Some(candidate) = self.candidate.take() {
            self.refuse(candidate, cx);
        }
        self.machine.handle_candidate_lost();
    }

    /// Nothing more is read from or sent to the WebSocket but a farewell that is queued beside.
    pub(super) fn linger(&mut self) {
        let until = tokio::time::Instant::now().into_std() + LINGER;
        self.wire = match std::mem::replace(&mut self.wire, Wire::Gone) {
            Wire::WebSocket(io) => Wire::Lingering(io, until),
            other @ (Wire::Polling | Wire::Arriving(_) | Wire::Lingering(..) | Wire::Gone) => other,
        };
    }

    fn handle_item(&mut self, origin: Origin, item: Item<'_>, now: Instant, cx: &mut Context<'_>) {
        let packet = match item {
            Item::Text(text) => {
                return match Packet::decode(&text) {
                    Ok(packet) => self.handle_websocket_packet(origin, packet, now, cx),
                    Err(error) => {
                        tracing::debug!(session = ?self.session.id(), %error, "unreadable packet");
                        match origin {
                            Origin::Current => self.machine.handle_parse_error(),
                            Origin::Candidate => self.part_from_candidate(cx),
                        }
                    }
                };
            }
            Item::Binary(data) => Packet::Message(Message::Binary(Bytes::from(data.into_owned()))),
            Item::Ping(payload) => {
                let pong = Encoded::control_frame(OpCode::Pong, payload);
                match origin {
                    Origin::Current => drop(self.session.push(&Arc::new(pong), false)),
                    Origin::Candidate => {
                        if let Some(io) = self.io(origin) {
                            io.send_aside(pong.websocket_pieces().flatten().copied());
                        }
                    }
                }
                return;
            }
            Item::Pong(_) => return,
            Item::Close(close) => {
                let code = close.map(|close| close.code.to_be_bytes());
                let echo =
                    Encoded::control_frame(OpCode::Close, code.as_ref().map_or(&[], |code| code));
                if let Some(io) = self.io(origin) {
                    io.send_aside(echo.websocket_pieces().flatten().copied());
                }
                match origin {
                    Origin::Current => {
                        self.linger();
                        self.machine.handle_transport_lost(Lost::Closed);
                    }
                    Origin::Candidate => self.part_from_candidate(cx),
                }
                return;
            }
        };
        self.handle_websocket_packet(origin, packet, now, cx);
    }

    fn handle_websocket_packet(
        &mut self,
        origin: Origin,
        packet: Packet<'_>,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        match origin {
            Origin::Current => self.handle_packet(packet, now, cx),
            Origin::Candidate => self.machine.handle_candidate_packet(&packet, now),
        }
    }
}

/// Discards what the peer still sends, until it ends its side.
pub(super) fn poll_until_end(
    io: &mut WebSocketIo,
    cx: &mut Context<'_>,
) -> Poll<std::io::Result<()>> {
    loop {
        match with_read_buffer(|buffer| io.poll_read(cx, buffer)) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
        }
    }
}
