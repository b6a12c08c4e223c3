//! Long-polling in the connection task: GETs that wait, and POSTs with their packets (1.1.5, 1.2).
//!
//! A body is judged as a whole before its first packet is handled, and handled a few packets a turn,
//! so that one client with thousands of them does not hold up the others of its thread.

use std::task::Context;
use std::time::Instant;

use bytes::Bytes;
use ferriwire_proto::engine::packet::{Packet, ParseError};
use ferriwire_proto::engine::payload::Payload;
use ferriwire_proto::engine::session::Lost;
use ferriwire_proto::engine::{Revision, Transport, revision3};
use tokio::sync::oneshot;

use super::SessionTask;
use crate::engine::outbox::Poller;
use crate::engine::session::PostAnswer;
use crate::shown::shown;

/// After so many packets of a body the task lets others run.
const PACKETS_PER_TURN: usize = 64;

/// Requests of long-polling that wait for this task.
#[derive(Default)]
pub(super) struct Requests {
    /// GETs that came while the candidate was on its way, and may stand behind its `5`.
    early_polls: Vec<Poller>,
    /// A POST of which packets are left for the next turn. There is one at a time
    /// ([`Session::begin_post`](crate::engine::Session)).
    unfinished: Option<Box<Posted>>,
    /// POSTs whose packets were handed on, answered when the handler wants to read again.
    posts: Vec<oneshot::Sender<PostAnswer>>,
}

/// A POST and what of its body was not handed on yet.
struct Posted {
    content: Content,
    /// Where the next packet begins.
    position: usize,
    answer: oneshot::Sender<PostAnswer>,
}

enum Content {
    Text(String),
    /// Of revision 3 only.
    Binary(Bytes),
}

/// The packets of a body in either revision.
enum Packets<'a> {
    Revision4(Payload<'a>),
    Revision3(revision3::Payload<'a>),
}

impl Requests {
    pub(super) fn is_empty(&self) -> bool {
        self.early_polls.is_empty() && self.unfinished.is_none() && self.posts.is_empty()
    }
}

impl SessionTask {
    fn requests(&mut self) -> &mut Requests {
        self.requests.get_or_insert_default()
    }

    /// A GET came.
    pub(super) fn handle_poll(&mut self, waiter: Poller, now: Instant, cx: &mut Context<'_>) {
        if self.is_candidate_arriving() {
            self.requests().early_polls.push(waiter);
        } else {
            self.attach_poll(waiter, now, cx);
        }
    }

    pub(super) fn handle_early_polls(&mut self, now: Instant, cx: &mut Context<'_>) {
        if self.is_candidate_arriving() {
            return;
        }
        let requests = self.requests.as_deref_mut();
        let early = requests.map(|requests| std::mem::take(&mut requests.early_polls));
        for waiter in early.into_iter().flatten() {
            self.attach_poll(waiter, now, cx);
        }
    }

    fn attach_poll(&mut self, waiter: Poller, now: Instant, cx: &mut Context<'_>) {
        if self.session.outbox().attach_poll(waiter).is_err() {
            // A second GET beside a waiting one ends the session; dropping its end of the channel
            // answers it with 400.
            if self.machine.transport() == Transport::Polling {
                tracing::debug!(session = ?self.session.id(), "GET refused: another one waits");
                self.machine.handle_transport_lost(Lost::Error);
            }
            return;
        }
        self.machine.handle_poll();
        self.drain_machine(now, cx);
        self.session.flush();
    }

    /// A polling request broke off, which does not concern a session that has left polling.
    pub(super) fn lose_polling(&mut self) {
        if self.machine.transport() == Transport::Polling {
            self.machine.handle_transport_lost(Lost::Error);
        }
    }

    /// A POST came: its packets are handled from this turn on, or it is refused.
    pub(super) fn handle_post(
        &mut self,
        body: Bytes,
        is_binary: bool,
        answer: oneshot::Sender<PostAnswer>,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        self.session.shard().traffic().bytes_in(body.len());
        let content = if is_binary {
            Content::Binary(body)
        } else {
            match String::from_utf8(body.into()) {
                Ok(text) => Content::Text(text),
                Err(_) => {
                    self.handle_unreadable(&ParseError::Utf8);
                    self.requests().posts.push(answer);
                    return;
                }
            }
        };
        let limit = self.core.config().limits.max_packets_per_payload;
        let revision = self.machine.revision();
        if !content.packets(0, revision, limit).is_within_limit() {
            self.handle_unreadable(&ParseError::TooManyPackets { limit });
            self.drain_machine(now, cx);
            // Who gave up the POST has been reported by its request already.
            let _ = answer.send(PostAnswer::Refused);
            return;
        }
        let posted = Posted {
            content,
            position: 0,
            answer,
        };
        self.handle_packets(posted, now, cx);
    }

    /// Goes on with the POST of which packets were left, as soon as the handler can keep more.
    pub(super) fn handle_unfinished_post(&mut self, now: Instant, cx: &mut Context<'_>) {
        if !self.closed && !self.handler.has_room() {
            return;
        }
        let requests = self.requests.as_deref_mut();
        if let Some(posted) = requests.and_then(|requests| requests.unfinished.take()) {
            self.handle_packets(*posted, now, cx);
        }
    }

    /// Whether a client that says `5` now says it behind packets that were not handled yet.
    pub(super) fn has_unfinished_post(&self) -> bool {
        let requests = self.requests.as_deref();
        requests.is_some_and(|requests| requests.unfinished.is_some())
    }

    /// Handles as many packets as one turn may. A session that is over forgets the others.
    fn handle_packets(&mut self, mut posted: Posted, now: Instant, cx: &mut Context<'_>) {
        let revision = self.machine.revision();
        // It has been found to be within its limit.
        let mut packets = posted
            .content
            .packets(posted.position, revision, usize::MAX);
        for packet in packets.by_ref().take(PACKETS_PER_TURN) {
            match packet {
                Ok(packet) => self.handle_packet(packet, now, cx),
                Err(error) => self.handle_unreadable(&error),
            }
            self.drain_machine(now, cx);
            if self.closed || !self.handler.has_room() {
                break;
            }
        }
        let undecoded = packets.undecoded().filter(|_| !self.closed);
        if let Some(undecoded) = undecoded {
            posted.position = posted.content.len().saturating_sub(undecoded);
            self.requests().unfinished = Some(Box::new(posted));
        } else {
            self.requests().posts.push(posted.answer);
        }
    }

    /// Has the task run again for packets that were left, unless others have to end first.
    #[inline(never)]
    pub(super) fn go_on_with_post(&self, cx: &Context<'_>) {
        if self.has_unfinished_post() && (self.closed || self.handler.has_room()) {
            cx.waker().wake_by_ref();
        }
    }

    fn handle_unreadable(&mut self, error: &ParseError) {
        tracing::debug!(session = ?self.session.id(), error = %shown(error), "unreadable payload");
        self.session.at_fault(error);
        self.machine.handle_parse_error();
    }

    #[inline(never)]
    pub(super) fn answer_posts(&mut self) {
        let answers = self.closed || self.handler.wants_to_read();
        let Some(requests) = self.requests.as_deref_mut().filter(|_| answers) else {
            return;
        };
        if requests.posts.is_empty() {
            return;
        }
        // A client may not expect an answer by its GET before the one to its POST.
        self.session.outbox().pause_polls();
        for post in requests.posts.drain(..) {
            // A client that gave up its POST has been reported by its request already.
            let _ = post.send(PostAnswer::HandedOn);
        }
    }
}

impl Content {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(data) => data.len(),
        }
    }

    /// The packets from this position on, where one begins.
    fn packets(&self, position: usize, revision: Revision, limit: usize) -> Packets<'_> {
        match (self, revision) {
            (Self::Text(text), Revision::V4) => {
                let rest = text.get(position..).unwrap_or_default();
                Packets::Revision4(Payload::decode(rest, limit))
            }
            (Self::Text(text), Revision::V3) => {
                let rest = text.get(position..).unwrap_or_default();
                Packets::Revision3(revision3::Payload::of_text(rest, limit))
            }
            (Self::Binary(data), _) => {
                let rest = data.get(position..).unwrap_or_default();
                Packets::Revision3(revision3::Payload::of_binary(rest, limit))
            }
        }
    }
}

impl Packets<'_> {
    fn is_within_limit(&self) -> bool {
        match self {
            Self::Revision4(payload) => payload.is_within_limit(),
            Self::Revision3(payload) => payload.is_within_limit(),
        }
    }

    fn undecoded(&self) -> Option<usize> {
        match self {
            Self::Revision4(payload) => payload.undecoded(),
            Self::Revision3(payload) => payload.undecoded(),
        }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Revision4(payload) => payload.next(),
            Self::Revision3(payload) => payload.next(),
        }
    }
}
