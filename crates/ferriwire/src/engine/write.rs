//! The system call: a batch of frames to a bare socket.

use std::cell::RefCell;
use std::io::{self, IoSlice};

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
    static CORK_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
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
            corked(stream, batch, force)
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

fn corked(stream: &TcpStream, batch: &Batch, force: bool) -> io::Result<usize> {
    let mut pieces = batch.pieces();
    let (Some(first), second) = (pieces.next(), pieces.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let Some(second) = second else {
        return send(stream, &[IoSlice::new(first)], force);
    };
    CORK_BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        buffer.extend_from_slice(first);
        buffer.extend_from_slice(second);
        for piece in pieces {
            buffer.extend_from_slice(piece);
        }
        send(stream, &[IoSlice::new(buffer)], force)
    })
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
