//! One direction of a connection in memory: bytes that arrive in order, later, or not at all.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes};
use parking_lot::Mutex;
use tokio::io::ReadBuf;
use tokio::time::Instant;

/// So many bytes may be on their way before whoever writes has to wait.
const CAPACITY: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Pipe(Mutex<State>);

#[derive(Default)]
struct State {
    /// What is on its way, each with the time of its arrival, ascending.
    pieces: VecDeque<(Instant, Bytes)>,
    /// How many bytes that is.
    len: usize,
    /// What stands behind the last piece, and when it arrives.
    end: Option<(Instant, End)>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Whoever writes has said all.
    Closed,
    /// The connection is no more.
    Reset,
}

/// What a reader finds.
pub(super) enum Found {
    /// Bytes, or the end.
    Here(io::Result<()>),
    /// Something that arrives then.
    OnItsWay(Instant),
    Nothing,
}

impl Pipe {
    /// Takes what has arrived; if nothing has, the reader is woken when that changes.
    pub(super) fn read(&self, cx: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Found {
        let now = Instant::now();
        let mut state = self.0.lock();
        if let Some((due, piece)) = state.pieces.front_mut() {
            let due = *due;
            if due > now {
                state.reader = Some(cx.waker().clone());
                return Found::OnItsWay(due);
            }
            let count = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece.split_to(count));
            if !piece.has_remaining() {
                state.pieces.pop_front();
            }
            state.len -= count;
            wake(&mut state.writer);
            return Found::Here(Ok(()));
        }
        match state.end {
            Some((due, End::Closed)) if due <= now => return Found::Here(Ok(())),
            Some((due, End::Reset)) if due <= now => {
                return Found::Here(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Some(_) | None => {}
        }
        state.reader = Some(cx.waker().clone());
        let due = state.end.map(|(due, _)| due);
        due.map_or(Found::Nothing, Found::OnItsWay)
    }

    /// How many bytes may be written.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        if state.end.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        match CAPACITY.saturating_sub(state.len) {
            0 => {
                state.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            room => Poll::Ready(Ok(room)),
        }
    }

    /// Sends what arrives at `due`.
    pub(super) fn push(&self, bytes: &[u8], due: Instant) {
        if bytes.is_empty() {
            return;
        }
        let mut state = self.0.lock();
        // A shorter way does not overtake.
        let due = state.pieces.back().map_or(due, |(last, _)| due.max(*last));
        state.pieces.push_back((due, Bytes::copy_from_slice(bytes)));
        state.len += bytes.len();
        wake(&mut state.reader);
    }

    /// Ends it behind what is on its way. A reset stands above everything that was said before.
    pub(super) fn end(&self, end: End, due: Instant) {
        let mut state = self.0.lock();
        if state.end.is_none() || end == End::Reset {
            state.end = Some((due, end));
        }
        wake(&mut state.reader);
        wake(&mut state.writer);
    }

    /// What is on its way does not arrive.
    pub(super) fn lose(&self) {
        let mut state = self.0.lock();
        state.pieces.clear();
        state.len = 0;
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
