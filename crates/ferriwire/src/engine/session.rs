//! The handle to one session: where others push messages for its client and leave it notes.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;
use ferriwire_proto::encoded::{Encoded, Kind};
use ferriwire_proto::engine::queue::{Control, Overflow};
use ferriwire_proto::engine::{CloseReason, Dialect, SessionId, Transport};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Message;
use super::fault::Fault;
use super::outbox::{Flushed, Outbox, Poller, Push};
use super::reasons::{LimitKind, ViolationKind};
use super::request::Request;
use super::shard::Shard;
use super::transport::arriving::Arriving;
use super::turn;
use crate::config::Config;
use crate::error::EmitError;

/// One client's Engine.IO session: cheap to clone, usable from any task.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

/// What a session's handles and its connection task share.
pub(crate) struct Shared {
    id: SessionId,
    request: Arc<Request>,
    shard: Arc<Shard>,
    outbox: Outbox,
    /// Most of the time there are none, and an idle session pays for a pointer.
    #[expect(clippy::box_collection, reason = "one word instead of three")]
    mailbox: Mutex<Option<Box<Vec<Input>>>>,
    /// There are notes.
    has_mail: AtomicBool,
    /// Wakes the connection task, from its first turn to its end.
    waker: Mutex<Option<Waker>>,
    /// The layer above has something to look after.
    attention: AtomicBool,
    /// The session has left long-polling.
    upgraded: AtomicBool,
    /// A POST is being read or answered: there may be one at a time.
    posting: AtomicBool,
    /// The connection task has ended: nobody would read notes. Changed while the mailbox is locked.
    ended: AtomicBool,
    /// The earliest tick at which the shard will wake the task.
    armed: AtomicU64,
}

/// What HTTP requests and other tasks tell the connection task.
#[derive(Debug)]
pub(crate) enum Input {
    /// A GET waits for packets, and the session is ending or may be about to change its transport, or
    /// another one waits.
    Poll(Poller),
    /// The client gave up a waiting GET.
    PollAborted,
    /// The client does not take the answer to a GET.
    AnswerStalled,
    /// A POST brought a payload; it is answered when that has been handed on, or refused.
    Post {
        body: Bytes,
        /// Of the type `application/octet-stream`.
        is_binary: bool,
        answer: oneshot::Sender<PostAnswer>,
    },
    /// A POST broke the rules, or its connection broke.
    PostFailed,
    /// A WebSocket wants to take the session over.
    Candidate {
        upgrade: Box<Arriving>,
        dialect: Dialect,
    },
    /// Write what waits, then close.
    Close(CloseReason),
    /// The same, and see to it that the client has handled what waits before it learns of the close.
    CloseApart(CloseReason),
    /// Close at once.
    Abort(CloseReason),
}

/// What has become of the payload of a POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostAnswer {
    /// Its packets were handled, as far as the session was open.
    HandedOn,
    /// There are more of them than one payload may have: none was handled, and the session is over.
    Refused,
}

/// The deadline is not armed anywhere.
const UNARMED: u64 = u64::MAX;

impl Session {
    pub(crate) fn new(
        id: SessionId,
        request: Arc<Request>,
        shard: Arc<Shard>,
        max_buffered: usize,
        overflow: Overflow,
    ) -> Self {
        let outbox = Outbox::new(max_buffered, overflow);
        outbox.set_dialect(request.dialect);
        Self {
            shared: Arc::new(Shared {
                id,
                request,
                shard,
                outbox,
                mailbox: Mutex::new(None),
                has_mail: AtomicBool::new(false),
                waker: Mutex::new(None),
                attention: AtomicBool::new(false),
                upgraded: AtomicBool::new(false),
                posting: AtomicBool::new(false),
                ended: AtomicBool::new(false),
                armed: AtomicU64::new(UNARMED),
            }),
        }
    }

    /// Sends a message to the client. It is written at the end of the current turn.
    ///
    /// # Errors
    ///
    /// [`EmitError::Disconnected`] when the session has ended, and [`EmitError::Full`] when more
    /// waits than [`Limits::max_buffered`](crate::Limits::max_buffered) allows; the session is then
    /// closed with the reason `slow consumer`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ferriwire::engine::{Message, Session};
    /// fn greet(session: &Session) -> Result<(), ferriwire::EmitError> {
    ///     session.send("hello")
    /// }
    /// ```
    #[doc(alias = "write")]
    pub fn send(&self, message: impl Into<Message>) -> Result<(), EmitError> {
        self.push(&Arc::new(message.into().encode()), false)
    }

    /// Writes what waits, then closes the session with the reason `forced close`.
    pub fn close(&self) {
        self.tell(Input::Close(CloseReason::ForcedClose));
    }

    /// The first request of the session.
    #[must_use]
    pub fn request(&self) -> &Arc<Request> {
        &self.shared.request
    }

    /// What becomes of events that have no policy of their own, from now on, when more waits for this
    /// client than [`Limits::max_buffered`](crate::Limits::max_buffered). Default
    /// [`Config::overflow`](crate::Config::overflow).
    pub fn set_overflow(&self, overflow: Overflow) {
        self.shared.outbox.set_overflow(overflow);
    }

    /// Waits until at most half of [`Limits::max_buffered`](crate::Limits::max_buffered) waits for the
    /// client, so that a producer can keep to its client's speed. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`EmitError::Disconnected`] when the session has ended.
    pub async fn ready(&self) -> Result<(), EmitError> {
        let limit = self.shared.outbox.max_buffered() / 2;
        poll_fn(|cx| self.shared.outbox.poll_room(limit, cx)).await
    }

    /// Waits until everything that was sent has been handed to the operating system. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`EmitError::Disconnected`] when the session has ended before.
    #[doc(alias = "drain")]
    pub async fn drained(&self) -> Result<(), EmitError> {
        poll_fn(|cx| self.shared.outbox.poll_room(0, cx)).await
    }

    /// How many bytes wait to be written to the client.
    #[must_use]
    #[doc(alias = "writeBuffer")]
    pub fn buffered_bytes(&self) -> usize {
        self.shared.outbox.buffered_bytes()
    }

    /// Names the session towards its own client, on every transport (`socket.conn.id`). It is a secret:
    /// whoever has it can send as that client.
    #[must_use]
    #[doc(alias = "sid")]
    pub fn id(&self) -> &SessionId {
        &self.shared.id
    }

    /// Whether both are handles to one session.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.shared.outbox
    }

    /// Counts that the client ran into a limit, and warns of it now and then.
    #[cold]
    pub(crate) fn limited(&self, limit: LimitKind) {
        let now = tokio::time::Instant::now().into_std();
        if self.shared.shard.counters().limited(limit, now) {
            tracing::warn!(session = ?self.id(), %limit, "a client ran into a limit");
        } else {
            tracing::debug!(session = ?self.id(), %limit, "a client ran into a limit");
        }
    }

    /// Counts that the client is read from more slowly for a while, which is nothing to warn of.
    #[cold]
    pub(crate) fn slowed(&self, limit: LimitKind) {
        self.shared.shard.counters().reached(limit);
        tracing::debug!(session = ?self.id(), %limit, "a client is read from more slowly");
    }

    /// Counts what the client did wrong.
    #[cold]
    pub(crate) fn at_fault(&self, fault: impl Into<Fault>) {
        match fault.into() {
            Fault::Limit(limit) => self.limited(limit),
            Fault::Violation(violation) => self.violated(violation),
        }
    }

    /// Counts that the client broke a rule. Who says what it was says it in a log line of its own.
    #[cold]
    pub(crate) fn violated(&self, violation: ViolationKind) {
        self.shared.shard.counters().violated(violation);
    }

    /// Closes the session with `slow consumer`, if its client is still slow, and says how many bytes
    /// waited for it.
    pub(crate) fn shed(&self, limit: LimitKind) -> usize {
        let freed = self.shared.outbox.shed();
        if freed > 0 {
            self.limited(limit);
            self.wake();
        }
        freed
    }

    pub(crate) fn config(&self) -> &Config {
        self.shared.shard.config()
    }

    pub(crate) fn shard(&self) -> &Arc<Shard> {
        &self.shared.shard
    }

    /// Where it lies in memory, which tells it from all others as long as there is a handle to it.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }

    /// The connection task leaves its waker, once: it is a task of the runtime, whose waker is the same
    /// as long as it lives.
    pub(crate) fn register(&self, waker: &Waker) {
        *self.shared.waker.lock() = Some(waker.clone());
    }

    /// Queues a message and sees to it that it is written.
    pub(crate) fn push(&self, message: &Arc<Encoded>, volatile: bool) -> Result<(), EmitError> {
        let push = self.push_quietly(message, volatile);
        self.complete_push(push)
    }

    /// Queues a message without writing, for a caller that holds a lock: it must call
    /// [`complete_push`](Self::complete_push) when it has let it go; before that only with a push
    /// that does not need to be flushed now.
    pub(crate) fn push_quietly(&self, message: &Arc<Encoded>, volatile: bool) -> Push {
        if volatile && self.shared.shard.stops_volatile() {
            return self.drop_volatile();
        }
        let push = self.shared.outbox.push(message, volatile);
        self.count_push(message.kind(), push);
        push
    }

    /// The same with a message for this client alone.
    #[inline]
    pub(crate) fn push_own(&self, message: Encoded, volatile: bool) -> Push {
        if volatile && self.shared.shard.stops_volatile() {
            return self.drop_volatile();
        }
        let kind = message.kind();
        let push = self.shared.outbox.push_own(message, volatile);
        self.count_push(kind, push);
        push
    }

    /// The same with the frame of an acknowledgement.
    #[inline]
    pub(crate) fn push_frame(&self, frame: &[u8]) -> Push {
        self.shared.outbox.push_frame(frame)
    }

    #[cold]
    fn drop_volatile(&self) -> Push {
        self.shared.shard.traffic().volatile_dropped();
        tracing::trace!(session = ?self.id(), "volatile event dropped: memory is short");
        Push::Dropped
    }

    fn count_push(&self, kind: Kind, push: Push) {
        match push {
            Push::Dropped => {
                self.shared.shard.traffic().volatile_dropped();
                tracing::trace!(session = ?self.id(), "volatile event dropped: something waits already");
            }
            Push::Disconnected | Push::Overflow => {}
            Push::Queued | Push::NeedsFlush | Push::NeedsFlushNow => {
                if kind == Kind::Event {
                    self.shared.shard.traffic().event_out();
                }
            }
        }
    }

    /// The same with a message that no policy may drop.
    pub(crate) fn promise_quietly(&self, message: &Arc<Encoded>) -> Push {
        self.shared.outbox.push_promised(message)
    }

    /// Writes at once what has to be, and leaves the rest to the turn.
    #[inline]
    pub(crate) fn complete_push(&self, push: Push) -> Result<(), EmitError> {
        if push == Push::NeedsFlush {
            turn::enlist(self);
            return Ok(());
        }
        self.complete_at_once(push)
    }

    #[inline(never)]
    fn complete_at_once(&self, push: Push) -> Result<(), EmitError> {
        match push {
            Push::Queued | Push::Dropped | Push::NeedsFlush => Ok(()),
            Push::NeedsFlushNow => self.flush_now(),
            Push::Overflow => {
                self.wake();
                Err(EmitError::Full)
            }
            Push::Disconnected => Err(EmitError::Disconnected),
        }
    }

    pub(crate) fn push_control(&self, control: Control) {
        // Only user messages can be refused.
        let _ = self.complete_push(self.shared.outbox.push_control(control));
    }

    pub(crate) fn flush(&self) {
        let flushed = self.shared.outbox.flush(false);
        if flushed != Flushed::Done {
            // What overflows is closed by its connection task.
            let _ = self.after_flush(flushed);
        }
    }

    /// Writes also when the kernel took nothing a moment ago, because a good deal has come since.
    pub(crate) fn flush_now(&self) -> Result<(), EmitError> {
        self.after_flush(self.shared.outbox.flush(true))
    }

    #[inline(never)]
    fn after_flush(&self, flushed: Flushed) -> Result<(), EmitError> {
        match flushed {
            Flushed::Done => {}
            Flushed::More => self.shared.shard.enlist(self.clone()),
            Flushed::WakeTask => self.wake(),
            Flushed::Relieved(dropped) => self.note_dropped(dropped),
            Flushed::Overflow => {
                self.wake();
                return Err(EmitError::Full);
            }
        }
        Ok(())
    }

    #[cold]
    fn note_dropped(&self, dropped: u32) {
        tracing::debug!(session = ?self.id(), dropped, "events dropped: the client reads too slowly");
        self.shared.shard.count_dropped(dropped);
    }

    /// A GET waits for packets. The connection task is told only when there is something to judge:
    /// also that the session is over, when its deadline has passed and no timer has fired yet.
    pub(crate) fn wait_for_packets(&self, waiter: Poller) {
        if self.may_be_due() {
            return self.tell(Input::Poll(waiter));
        }
        match self.shared.outbox.attach_plain_poll(waiter) {
            Ok(true) => self.flush(),
            Ok(false) => {}
            Err(waiter) => self.tell(Input::Poll(waiter)),
        }
    }

    /// Leaves the connection task a note. Whoever waits for an answer is told by the note's end
    /// of the channel being dropped when there is no task any more.
    pub(crate) fn tell(&self, input: Input) {
        {
            let mut mailbox = self.shared.mailbox.lock();
            if !self.shared.ended.load(Ordering::Relaxed) {
                let notes = mailbox.get_or_insert_with(|| Box::new(Vec::with_capacity(1)));
                notes.push(input);
                self.shared.has_mail.store(true, Ordering::Release);
            }
        }
        self.wake();
    }

    #[expect(clippy::box_collection, reason = "as they lie in the mailbox")]
    #[inline]
    pub(crate) fn take_inputs(&self) -> Option<Box<Vec<Input>>> {
        let has_mail = self.shared.has_mail.load(Ordering::Acquire);
        if has_mail { self.empty_mailbox() } else { None }
    }

    #[expect(clippy::box_collection, reason = "as they lie in the mailbox")]
    #[inline(never)]
    fn empty_mailbox(&self) -> Option<Box<Vec<Input>>> {
        let mut mailbox = self.shared.mailbox.lock();
        self.shared.has_mail.store(false, Ordering::Relaxed);
        mailbox.take()
    }

    /// Asks the layer above to look after its sockets.
    pub(crate) fn call_attention(&self) {
        self.shared.attention.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn take_attention(&self) -> bool {
        self.shared.attention.load(Ordering::Acquire)
            && self.shared.attention.swap(false, Ordering::AcqRel)
    }

    /// The transport that the session uses now (`socket.conn.transport.name`).
    #[must_use]
    pub fn transport(&self) -> Transport {
        if self.shared.upgraded.load(Ordering::Acquire) {
            Transport::WebSocket
        } else {
            self.shared.request.transport
        }
    }

    pub(crate) fn set_upgraded(&self) {
        self.shared.upgraded.store(true, Ordering::Release);
    }

    /// Whether this POST is the only one.
    pub(crate) fn begin_post(&self) -> bool {
        !self.shared.posting.swap(true, Ordering::AcqRel)
    }

    /// The POST is answered, and the waiting GET may be.
    pub(crate) fn end_post(&self) {
        self.shared.posting.store(false, Ordering::Release);
        self.shared.outbox.resume_polls();
        self.flush();
    }

    /// The connection task has ended: drops the notes that nobody will read.
    pub(crate) fn end(&self) {
        let notes = {
            let mut mailbox = self.shared.mailbox.lock();
            self.shared.ended.store(true, Ordering::Relaxed);
            mailbox.take()
        };
        drop(notes);
        // Outside the lock, because it may be the last thing that keeps the task in memory.
        let waker = self.shared.waker.lock().take();
        drop(waker);
    }

    pub(crate) fn wake(&self) {
        self.shared.wake();
    }

    /// Whether the shard will wake the connection task at some time.
    pub(crate) fn is_armed(&self) -> bool {
        self.shared.armed.load(Ordering::Acquire) != UNARMED
    }

    /// Whether a deadline falls into this tick or an earlier one, or none is armed because one was
    /// due a moment ago.
    fn may_be_due(&self) -> bool {
        let now = tokio::time::Instant::now().into_std();
        let armed = self.shared.armed.load(Ordering::Acquire);
        armed == UNARMED || armed <= self.shared.shard.tick_of(now)
    }

    /// Has the shard wake the connection task when `deadline` has passed.
    #[cold]
    pub(crate) fn arm(&self, deadline: Instant) {
        let tick = self.shared.shard.tick_of(deadline);
        let armed = self.shared.armed.load(Ordering::Acquire);
        if armed != UNARMED && armed <= tick {
            return;
        }
        // Before the shard knows of it: the tick may be due at once, and the shard must find the
        // deadline armed when it disarms it.
        self.shared.armed.store(tick, Ordering::Release);
        self.shared.shard.arm(tick, &self.shared);
    }
}

impl Shared {
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.lock() {
            waker.wake_by_ref();
        }
    }

    /// The shard is about to wake the task: the next deadline has to be armed anew.
    pub(crate) fn disarm(&self) {
        self.armed.store(UNARMED, Ordering::Release);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Session").field(self.id()).finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Shared").field(&self.id).finish()
    }
}
