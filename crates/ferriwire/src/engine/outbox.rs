//! What waits for one client, and the write half of its transport, behind one short lock.
//!
//! `emit` pushes; whoever ends a turn flushes. The lock is never held across a system call or an
//! `.await`: a writer takes a batch out, marks the outbox as being written, writes, and puts back
//! what the kernel did not take. Nobody closes anything in place: a full or failed outbox is marked,
//! and the connection task, woken by that, runs the close once.

mod polling;
mod watched;

use std::sync::Arc;
use std::task::{Context, Poll};

use ferriwire_proto::encoded::{Encoded, Kind};
use ferriwire_proto::engine::Dialect;
use ferriwire_proto::engine::body::Body;
use ferriwire_proto::engine::queue::{Batch, Control, Entry, Overflow, Queue};
use ferriwire_proto::websocket::Deflater;
use tokio::sync::oneshot;

use self::watched::{Locked, Watched};
use super::tcp::BareSocket;
use super::turn::{self, TurnId};
use super::waiters::Waiters;
use super::write::{self, Written};
use crate::error::EmitError;

/// How much a writer takes out of the queue at once: two or three socket buffers' worth.
const BATCH: usize = 256 * 1024;

/// How many batches one flush writes. A reader that is as fast as somebody emits would else hold
/// the flushing thread for as long as that goes on.
const BATCHES: usize = 2;

/// Above this, an `emit` writes at once instead of at the end of the turn, so that a loop of
/// emits without an `.await` does not fill memory while the kernel could take the bytes.
const EAGER: usize = 64 * 1024;

/// While nobody could try to write, because another thread is writing or the transport is only
/// just arriving, so many times the bound may wait.
const UNTRIED: usize = 8;

#[derive(Debug)]
pub(crate) struct Outbox {
    state: Watched,
    /// How many bytes may wait, after a write was tried.
    max_buffered: usize,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    half: WriteHalf,
    phase: Phase,
    /// The turn on whose list it stands, and by which it will be flushed. Another turn lists it
    /// again, because the first one may be held up by its handlers.
    listed_by: Option<TurnId>,
    /// Somebody writes a batch outside the lock.
    writing: bool,
    /// The kernel, or another stream, takes nothing more; the connection task waits for
    /// writability.
    blocked: bool,
    /// How many bytes were written, ever: by it the connection task knows a stall from slowness.
    written: u64,
    /// A push that finds so many bytes waiting writes at once.
    next_try: usize,
    /// The answer to a POST is on its way: the waiting GET is answered behind it.
    paused: bool,
    /// A WebSocket has asked to take the session over: from then on the connection task judges each GET.
    contested: bool,
    /// The next GET that finds nothing else fetches the close packet.
    close_pending: bool,
    trouble: Option<Trouble>,
    /// When it was closed, a frame may have been on the wire in part: nothing can follow it.
    torn: bool,
    /// What becomes of events without a policy of their own when too much waits.
    overflow: Overflow,
    /// What the connection task has taken out to write, in bytes.
    in_hand: u32,
    /// How many events were dropped since the last report.
    dropped: u32,
    /// Who waits for room.
    waiters: Waiters,
}

/// The answer of a waiting GET.
pub(crate) type Poller = oneshot::Sender<Body>;

/// Where the bytes go.
#[derive(Debug)]
enum WriteHalf {
    /// Nowhere yet: the transport is not known, or it is just being changed.
    Held,
    /// Long-polling, with the answer of the waiting GET if there is one.
    Polling(Option<Poller>),
    /// A bare TCP socket: everybody may write. Whoever does has it in hand meanwhile.
    Socket(Option<Arc<BareSocket>>),
    /// Another kind of stream, drained by the connection task alone.
    Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The close packet is queued; nothing more is accepted.
    Draining,
    Closed,
}

/// What only the connection task may act upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// More waits than the bound allows.
    SlowConsumer,
    /// A write failed.
    WriteFailed,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    /// It waits; somebody else will flush.
    Queued,
    /// It waits, and the pusher has to see to it that the outbox is flushed.
    NeedsFlush,
    /// It waits with so much else that the pusher has to flush right now.
    NeedsFlushNow,
    /// Volatile, and something waited already.
    Dropped,
    /// The bound is exceeded: the connection task has to be woken, it will close.
    Overflow,
    /// The session does not take messages any more.
    Disconnected,
}

impl Push {
    /// What two pushes, one after the other, leave to be done.
    pub(crate) fn and(self, next: Self) -> Self {
        let rank = |push| match push {
            Self::Queued | Self::Dropped => 0,
            Self::NeedsFlush => 1,
            Self::NeedsFlushNow => 2,
            Self::Overflow => 3,
            Self::Disconnected => 4,
        };
        if rank(next) > rank(self) { next } else { self }
    }
}

/// What is left to do after a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing, or somebody else does it.
    Done,
    /// There is more, and the shard has to go on with it.
    More,
    /// More waits than the bound allows; the connection task has to be woken, it will close.
    Overflow,
    /// More waited than the bound allowed, and so many events were dropped.
    Relieved(u32),
    /// The connection task has to be woken: it drains, waits for writability, or closes.
    WakeTask,
}

impl Outbox {
    pub(crate) fn new(max_buffered: usize, overflow: Overflow) -> Self {
        Self {
            state: Watched::new(State {
                queue: Queue::new(),
                half: WriteHalf::Held,
                phase: Phase::Open,
                listed_by: None,
                writing: false,
                blocked: false,
                written: 0,
                next_try: EAGER.min(max_buffered),
                paused: false,
                contested: false,
                close_pending: false,
                trouble: None,
                torn: false,
                overflow,
                in_hand: 0,
                dropped: 0,
                waiters: Waiters::new(),
            }),
            max_buffered,
        }
    }

    /// Queues a message. Never waits, writes or runs foreign code.
    ///
    /// The bound is looked at by [`flush`](Self::flush), after a write was tried. Only what nobody
    /// could try to write is bounded here, at a multiple.
    pub(crate) fn push(&self, message: &Arc<Encoded>, volatile: bool) -> Push {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Push::Disconnected;
        }
        if volatile && !state.is_writable() {
            return Push::Dropped;
        }
        let bounded = message.kind() == Kind::Event;
        self.enqueue(&mut state, Entry::Message(Arc::clone(message)), bounded)
    }

    /// The same with a message for this receiver alone.
    #[inline]
    pub(crate) fn push_own(&self, message: Encoded, volatile: bool) -> Push {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Push::Disconnected;
        }
        if volatile && !state.is_writable() {
            return Push::Dropped;
        }
        let bounded = message.kind() == Kind::Event;
        let overflow = state.overflow;
        state.queue.push_own(message, overflow);
        self.after_enqueue(&mut state, bounded)
    }

    /// The same with the frame of a text for this receiver alone, which no policy may drop.
    #[inline]
    pub(crate) fn push_frame(&self, frame: &[u8]) -> Push {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Push::Disconnected;
        }
        state.queue.push_frame(frame);
        self.after_enqueue(&mut state, false)
    }

    /// The same with a message that no policy may drop.
    pub(crate) fn push_promised(&self, message: &Arc<Encoded>) -> Push {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Push::Disconnected;
        }
        self.enqueue(&mut state, Entry::Promised(Arc::clone(message)), true)
    }

    fn enqueue(&self, state: &mut State, entry: Entry, bounded: bool) -> Push {
        state.queue.push(entry);
        self.after_enqueue(state, bounded)
    }

    #[inline]
    fn after_enqueue(&self, state: &mut State, bounded: bool) -> Push {
        if state.queue.bytes() <= self.max_buffered {
            return state.after_push(false);
        }
        if !state.relieve(self.max_buffered.saturating_mul(UNTRIED)) {
            return Push::Overflow;
        }
        let over_bound = bounded && state.queue.bytes_behind() > self.max_buffered;
        state.after_push(over_bound)
    }

    /// Queues a packet of Engine.IO itself, also while draining.
    pub(crate) fn push_control(&self, control: Control) -> Push {
        let mut state = self.state.lock();
        if state.phase == Phase::Closed {
            return Push::Disconnected;
        }
        state.queue.push(Entry::Control(control));
        state.after_push(false)
    }

    /// Queues the close packet; nothing is accepted behind it.
    ///
    /// `apart` means that on polling it comes with a GET of its own. The official client acts upon `1`
    /// before it has handled what stands in front of it in the same answer, such as a DISCONNECT.
    pub(crate) fn begin_close(&self, apart: bool) {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return;
        }
        state.phase = Phase::Draining;
        let polling = matches!(state.half, WriteHalf::Polling(_));
        if polling && apart && !state.queue.is_empty() {
            state.close_pending = true;
            return;
        }
        // A polling client that has nothing to receive gets `6` in front, as the reference does.
        if matches!(state.half, WriteHalf::Polling(None)) && state.queue.is_empty() {
            state.queue.push(Entry::Control(Control::Noop));
        }
        state.queue.push(Entry::Control(Control::Close));
    }

    /// Forgets what waits and refuses what comes. Says whether the bytes on the wire end with a
    /// whole frame, so that a last one may follow.
    pub(crate) fn close(&self) -> bool {
        let (waiter, whole, dialect, waiters) = {
            let mut state = self.state.lock();
            let waiters = state.waiters.take();
            let dialect = state.queue.dialect();
            (state.close(None), !state.torn, dialect, waiters)
        };
        drop(waiters);
        if let Some(waiter) = waiter {
            // The session ends while a GET waits: the client learns it by a close packet.
            let _ = waiter.send(Body::of_controls(dialect, &[Control::Close]));
        }
        whole
    }

    /// Writes what waits, as far as the kernel takes it, and then looks at the bound.
    ///
    /// `force` tries a socket that was full a moment ago as well.
    pub(crate) fn flush(&self, force: bool) -> Flushed {
        for _ in 0..BATCHES {
            if let Some(flushed) = self.flush_batch(force) {
                return flushed;
            }
        }
        Flushed::More
    }

    /// The same for one batch; `None` when more waits.
    fn flush_batch(&self, force: bool) -> Option<Flushed> {
        let mut state = self.state.lock();
        state.listed_by = None;
        if state.phase == Phase::Closed || state.has_nothing_to_say() {
            return Some(Flushed::Done);
        }
        if state.blocked && (state.writing || matches!(state.half, WriteHalf::Task)) {
            return Some(self.check_bound(&mut state));
        }
        if state.writing || (state.blocked && !force) {
            return Some(Flushed::Done);
        }
        let stream = match &mut state.half {
            WriteHalf::Socket(stream) => stream.take(),
            WriteHalf::Held => return Some(Flushed::Done),
            WriteHalf::Task => return Some(Flushed::WakeTask),
            WriteHalf::Polling(_) => return Some(self.flush_to_poll(state)),
        };
        let Some(stream) = stream else {
            return Some(Flushed::Done);
        };
        state.writing = true;
        let mut batch = state.queue.take(BATCH);
        drop(state);
        batch.deflate();
        let taken = batch.bytes();
        let written = write::batch_to_socket(&stream, &mut batch, force);
        let _waiters;
        let mut state = self.state.lock();
        state.writing = false;
        state.count_written(taken.saturating_sub(batch.bytes()));
        _waiters = state.waiters.take();
        if state.phase == Phase::Closed {
            return Some(Flushed::Done);
        }
        if let WriteHalf::Socket(place) = &mut state.half {
            *place = Some(stream);
        }
        if !batch.is_empty() {
            state.queue.restore(batch);
        }
        match written {
            Written::Failed => {
                state.close(Some(Trouble::WriteFailed));
                Some(Flushed::WakeTask)
            }
            Written::Blocked => Some(self.block(&mut state)),
            Written::All => {
                state.blocked = false;
                state.next_try = self.eager();
                let is_done = state.queue.is_empty();
                // A draining session is finished by its connection task.
                is_done.then_some(match state.phase {
                    Phase::Draining => Flushed::WakeTask,
                    Phase::Open | Phase::Closed => Flushed::Done,
                })
            }
        }
    }

    /// Answers the GET that waits, if one does.
    #[inline(never)]
    fn flush_to_poll(&self, mut state: Locked<'_>) -> Flushed {
        if matches!(state.half, WriteHalf::Polling(None)) {
            return self.check_bound(&mut state);
        }
        if state.paused {
            return Flushed::Done;
        }
        let answer = state.take_answer();
        let draining = state.phase == Phase::Draining;
        let waiters = state.waiters.take();
        drop(state);
        drop(waiters);
        if let Some((waiter, answer)) = answer {
            self.answer_poll(waiter, &answer);
        }
        if draining {
            Flushed::WakeTask
        } else {
            Flushed::Done
        }
    }

    /// The kernel takes nothing more.
    #[cold]
    fn block(&self, state: &mut State) -> Flushed {
        // The next attempt is worth its while when a good deal more waits.
        state.next_try = state.queue.bytes().saturating_add(self.eager());
        let newly = !std::mem::replace(&mut state.blocked, true);
        // What was dropped is reported with the next attempt.
        match self.check_bound(state) {
            Flushed::Overflow => Flushed::Overflow,
            flushed if !newly => flushed,
            Flushed::Relieved(dropped) => {
                state.dropped = dropped;
                Flushed::WakeTask
            }
            Flushed::Done | Flushed::More | Flushed::WakeTask => Flushed::WakeTask,
        }
    }

    /// Whether a write that took nothing more leaves too much. What waits behind nothing, and what
    /// is being written, may be of any size.
    #[cold]
    fn check_bound(&self, state: &mut State) -> Flushed {
        if state.phase != Phase::Open {
            return Flushed::Done;
        }
        if !state.relieve(self.max_buffered) {
            return Flushed::Overflow;
        }
        match std::mem::take(&mut state.dropped) {
            0 => Flushed::Done,
            dropped => Flushed::Relieved(dropped),
        }
    }

    /// The session changes its transport: what comes waits for the next one.
    pub(crate) fn hold(&self) {
        self.state.lock().half = WriteHalf::Held;
    }

    /// How packets have to look from now on. To be called while nothing is written.
    pub(crate) fn set_dialect(&self, dialect: Dialect) {
        self.state.lock().queue.set_dialect(dialect);
    }

    /// How messages are compressed from now on, for a client that takes them so.
    pub(crate) fn set_deflater(&self, deflater: Option<Deflater>) {
        self.state.lock().queue.set_deflater(deflater);
    }

    /// The session uses long-polling.
    pub(crate) fn use_polling(&self) {
        self.state.lock().half = WriteHalf::Polling(None);
    }

    /// The session writes to a bare socket from now on.
    pub(crate) fn use_socket(&self, stream: Arc<BareSocket>) {
        self.state.lock().half = WriteHalf::Socket(Some(stream));
    }

    /// The connection task drains the outbox from now on.
    pub(crate) fn use_task(&self) {
        self.state.lock().half = WriteHalf::Task;
    }

    /// Takes a batch out for the connection task to write. Every batch must be given back by
    /// [`finish_batch`](Self::finish_batch).
    pub(crate) fn take_batch(&self) -> Option<Batch> {
        let mut batch = {
            let mut state = self.state.lock();
            if state.writing || state.queue.is_empty() {
                return None;
            }
            state.writing = true;
            let batch = state.queue.take(BATCH);
            state.in_hand = u32::try_from(batch.bytes()).unwrap_or(u32::MAX);
            batch
        };
        batch.deflate();
        Some(batch)
    }

    /// Gives back what was not written of a batch, of which `written` bytes were.
    pub(crate) fn finish_batch(&self, batch: Batch, written: usize) {
        let _waiters;
        let mut state = self.state.lock();
        _waiters = state.waiters.take();
        state.writing = false;
        state.blocked = false;
        state.in_hand = 0;
        state.count_written(written);
        if state.phase != Phase::Closed {
            state.queue.restore(batch);
        }
    }

    /// The stream takes nothing more, although the connection task tried and it took `written` bytes
    /// before: the bound counts.
    pub(crate) fn note_stall(&self, written: usize) {
        let mut state = self.state.lock();
        state.blocked = true;
        state.count_written(written);
        // The connection task, which calls this, looks at the trouble next.
        let _ = state.relieve(self.max_buffered);
    }

    /// The connection task has to pause, although the stream may take more: it took `written` bytes
    /// before.
    pub(crate) fn note_progress(&self, written: usize) {
        let mut state = self.state.lock();
        state.blocked &= written == 0;
        state.count_written(written);
    }

    /// While the reader takes nothing more: how many bytes it has taken, ever.
    pub(crate) fn stalled_at(&self) -> Option<u64> {
        if self.is_blocked() {
            self.taken_when_blocked()
        } else {
            None
        }
    }

    #[cold]
    fn taken_when_blocked(&self) -> Option<u64> {
        let state = self.state.lock();
        (state.blocked && state.phase != Phase::Closed).then_some(state.written)
    }

    /// Whether the kernel took nothing more at the last write.
    pub(crate) fn is_blocked(&self) -> bool {
        self.state.signs().is_blocked()
    }

    /// The socket is writable again.
    pub(crate) fn unblock(&self) {
        self.state.lock().blocked = false;
    }

    /// Whether there is [`trouble`](Self::trouble).
    pub(crate) fn is_in_trouble(&self) -> bool {
        self.state.signs().is_in_trouble()
    }

    /// What the connection task has to act upon.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        if self.is_in_trouble() {
            self.which_trouble()
        } else {
            None
        }
    }

    #[cold]
    fn which_trouble(&self) -> Option<Trouble> {
        self.state.lock().trouble
    }

    /// Whether everything that was pushed is on its way.
    pub(crate) fn is_drained(&self) -> bool {
        let state = self.state.lock();
        state.has_nothing_to_say() && !state.writing
    }

    /// Ready when at most `limit` bytes wait and, if that is nothing, nothing is being written; an
    /// error when the session takes no messages any more.
    pub(crate) fn poll_room(&self, limit: usize, cx: &Context<'_>) -> Poll<Result<(), EmitError>> {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Poll::Ready(Err(EmitError::Disconnected));
        }
        if state.queue.bytes() <= limit && (limit > 0 || !state.writing) {
            return Poll::Ready(Ok(()));
        }
        state.waiters.enter(cx.waker());
        Poll::Pending
    }

    /// What becomes of events without a policy of their own, from now on.
    pub(crate) fn set_overflow(&self, overflow: Overflow) {
        self.state.lock().overflow = overflow;
    }

    /// How many bytes wait.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.state.lock().queue.bytes()
    }

    /// The same with what is in hand to be written, if the client takes nothing more: nothing for who is just being written to.
    pub(crate) fn slow_bytes(&self) -> usize {
        self.state.lock().slow_bytes()
    }

    /// Gives up a client that takes nothing more, and says how many bytes waited for it. The
    /// connection task has to be woken, it will close.
    pub(crate) fn shed(&self) -> usize {
        let mut state = self.state.lock();
        let bytes = state.slow_bytes();
        if bytes > 0 {
            state.close(Some(Trouble::SlowConsumer));
        }
        bytes
    }

    /// How many bytes wait, and how many were written, ever.
    pub(crate) fn bytes(&self) -> (usize, u64) {
        let state = self.state.lock();
        (state.queue.bytes(), state.written)
    }

    /// How many bytes more may wait, and how they are counted.
    pub(crate) fn room(&self) -> (usize, Dialect) {
        let state = self.state.lock();
        let free = self.max_buffered.saturating_sub(state.queue.bytes());
        (free, state.queue.dialect())
    }

    pub(crate) fn max_buffered(&self) -> usize {
        self.max_buffered
    }

    /// Above this much a push writes at once, so that a bound below [`EAGER`] holds as well.
    fn eager(&self) -> usize {
        EAGER.min(self.max_buffered)
    }
}

impl State {
    fn count_written(&mut self, bytes: usize) {
        self.written = self.written.wrapping_add(bytes as u64);
    }

    fn slow_bytes(&self) -> usize {
        let takes_nothing = match &self.half {
            WriteHalf::Polling(waiter) => waiter.is_none(),
            WriteHalf::Held | WriteHalf::Socket(_) | WriteHalf::Task => self.blocked,
        };
        if takes_nothing && self.phase == Phase::Open {
            self.queue.bytes().saturating_add(self.in_hand as usize)
        } else {
            0
        }
    }

    /// Drops what the policies allow when more than `limit` waits. Closes, and says so by `false`,
    /// when that is not enough.
    #[cold]
    fn relieve(&mut self, limit: usize) -> bool {
        if self.queue.bytes_behind() <= limit {
            return true;
        }
        let dropped = self.queue.relieve(limit, self.overflow);
        let dropped = u32::try_from(dropped).unwrap_or(u32::MAX);
        self.dropped = self.dropped.saturating_add(dropped);
        let fits = self.queue.bytes_behind() <= limit;
        if !fits {
            self.close(Some(Trouble::SlowConsumer));
        }
        fits
    }

    fn has_nothing_to_say(&self) -> bool {
        self.queue.is_empty() && !self.close_pending
    }

    fn after_push(&mut self, over_bound: bool) -> Push {
        if over_bound || self.queue.bytes() > self.next_try {
            return Push::NeedsFlushNow;
        }
        let turn = turn::current();
        if self.listed_by.replace(turn) == Some(turn) {
            Push::Queued
        } else {
            Push::NeedsFlush
        }
    }

    /// Whether a volatile message would be on its way at once.
    fn is_writable(&self) -> bool {
        self.queue.is_empty()
            && !self.blocked
            && !self.writing
            && !matches!(self.half, WriteHalf::Polling(None) | WriteHalf::Held)
    }

    #[cold]
    fn close(&mut self, trouble: Option<Trouble>) -> Option<Poller> {
        self.phase = Phase::Closed;
        self.torn |= self.writing || self.queue.is_within_entry();
        self.queue.clear();
        self.trouble = self.trouble.or(trouble);
        match &mut self.half {
            WriteHalf::Polling(waiter) => waiter.take(),
            WriteHalf::Held | WriteHalf::Socket(_) | WriteHalf::Task => {
                self.half = WriteHalf::Held;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
