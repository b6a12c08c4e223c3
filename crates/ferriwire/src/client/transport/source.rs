//! What a server sends, read in small pieces: most answers need no more than a few hundred bytes.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead as _, ReadBuf};

use super::stream::Stream;

/// How much is read at a time.
const PIECE: usize = 4 * 1024;

/// A stream, and what was read of it and not taken.
pub(super) struct Source<'s> {
    stream: &'s mut dyn Stream,
    pub(super) bytes: BytesMut,
}

impl<'s> Source<'s> {
    pub(super) fn new(stream: &'s mut dyn Stream) -> Self {
        let bytes = BytesMut::new();
        Self { stream, bytes }
    }

    /// Reads once. Says whether there was something.
    pub(super) async fn read(&mut self) -> io::Result<bool> {
        let Self { stream, bytes } = self;
        poll_fn(|cx| {
            // Not in the future, which would be as large for as long as it waits.
            let mut piece = [const { MaybeUninit::uninit() }; PIECE];
            let mut piece = ReadBuf::uninit(&mut piece);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut piece))?;
            bytes.extend_from_slice(piece.filled());
            Poll::Ready(Ok(!piece.filled().is_empty()))
        })
        .await
    }
}
