//! The system call: a batch of frames to a bare socket. And how small frames are put together for it,
//! and for any other stream.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::iter;

use ferriwire_proto::engine::queue::Batch;
use socket2::SockRef;
use tokio::net::TcpStream;

/// Batches up to this size are copied together, so that many small messages cost one plain `send`;
/// beyond it copying costs more than the slices of a `writev`.
const CORK: usize = 16 * 1024;

/// How many slices one `writev` carries at most.
const SLICES: usize = 64;

thread_local! {
    /// Shared by all connections of a thread, so that none of them owns a write buffer.
    static CORK_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Runs `write` with what a batch goes on with: its first piece when that is large or alone, else the
/// first 16 KiB of the batch, in one piece.
///
/// The buffer is taken out while in use, so that a stream of a host that writes to another one gets
/// one of its own instead of a panic.
pub(crate) fn corked<R>(batch: &Batch, write: impl FnOnce(&[u8]) -> R) -> R {
    if let Some(piece) = batch.only_piece() {
        return write(piece);
    }
    let mut pieces = batch.pieces();
    let first = pieces.next().unwrap_or_default();
    let second = pieces.next().filter(|_| first.len() < CORK);
    let Some(second) = second else {
        return write(first);
    };
    let mut buffer = CORK_BUFFER.take();
    buffer.clear();
    buffer.extend_from_slice(first);
    for piece in iter::once(second).chain(pieces) {
        let room = CORK.saturating_sub(buffer.len());
        buffer.extend_from_slice(piece.get(..room).unwrap_or(piece));
        if buffer.len() >= CORK {
            break;
        }
    }
    let result = write(&buffer);
    CORK_BUFFER.set(buffer);
    result
}

/// How far a batch came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    All,
    Blocked,
    Failed,
}

/// Writes until the batch is empty or the kernel takes nothing more.
///
/// Without `force` the runtime's idea of the socket's readiness decides whether to try at all.
pub(crate) fn batch_to_socket(stream: &TcpStream, batch: &mut Batch, force: bool) -> Written {
    while !batch.is_empty() {
        let result = if batch.bytes() <= CORK {
            corked(batch, |bytes| send(stream, &[IoSlice::new(bytes)], force))
        } else {
            gathered(stream, batch, force)
        };
        match result {
            Ok(0) => return Written::Failed,
            Ok(count) => batch.advance(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Written::Blocked,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Written::Failed,
        }
    }
    Written::All
}

fn gathered(stream: &TcpStream, batch: &Batch, force: bool) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let mut used = 0;
    for (slot, piece) in slices.iter_mut().zip(batch.pieces()) {
        *slot = IoSlice::new(piece);
        used += 1;
    }
    send(stream, &slices[..used], force)
}

fn send(stream: &TcpStream, slices: &[IoSlice<'_>], force: bool) -> io::Result<usize> {
    if force {
        return SockRef::from(stream).send_vectored(slices);
    }
    match slices {
        [one] => stream.try_write(one),
        several => stream.try_write_vectored(several),
    }
}
