//! The body of an answer that is a refusal: what a program or its log may want to know of it.
//!
//! The connection is not used again, and the status is known. So a body that breaks off, or breaks the
//! rules, is as good as what was read of it.

use bytes::BytesMut;
use httparse::Status;

use super::source::Source;

/// How much is kept of the body of a refusal.
pub(super) const MAX_REFUSAL: usize = 64 * 1024;

/// How long the line in front of a chunk may be.
const MAX_CHUNK_LINE: usize = 256;

/// How long a body is (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    /// It ends with the connection.
    Close,
}

/// As much of the body as is kept.
pub(super) async fn read(source: &mut Source<'_>, framing: Framing) -> String {
    let mut body = BytesMut::new();
    match framing {
        Framing::Length(length) => take(source, &mut body, length).await,
        Framing::Close => take(source, &mut body, u64::MAX).await,
        Framing::Chunked => {
            while let Some(size) = chunk_size(source).await {
                take(source, &mut body, size).await;
                if body.len() >= MAX_REFUSAL || !skip_line_end(source).await {
                    break;
                }
            }
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// Moves the next bytes to the body: so many, or up to the end, or to what is kept.
async fn take(source: &mut Source<'_>, body: &mut BytesMut, mut count: u64) {
    loop {
        let room = MAX_REFUSAL.saturating_sub(body.len());
        let wanted = usize::try_from(count).unwrap_or(usize::MAX).min(room);
        let piece = source.bytes.split_to(wanted.min(source.bytes.len()));
        body.extend_from_slice(&piece);
        count = count.saturating_sub(piece.len() as u64);
        let is_done = piece.len() == wanted;
        if is_done || !matches!(source.read().await, Ok(true)) {
            return;
        }
    }
}

/// The size of the next chunk. `None` behind the last one, and where there is none.
async fn chunk_size(source: &mut Source<'_>) -> Option<u64> {
    loop {
        match httparse::parse_chunk_size(&source.bytes) {
            Ok(Status::Complete((line, size))) => {
                drop(source.bytes.split_to(line.min(source.bytes.len())));
                return (size > 0).then_some(size);
            }
            Ok(Status::Partial) if source.bytes.len() <= MAX_CHUNK_LINE => {}
            Ok(Status::Partial) | Err(_) => return None,
        }
        if !matches!(source.read().await, Ok(true)) {
            return None;
        }
    }
}

/// Takes the end of the line behind a chunk. Says whether there was one.
async fn skip_line_end(source: &mut Source<'_>) -> bool {
    const LINE_END: &[u8] = b"\r\n";
    while source.bytes.len() < LINE_END.len() {
        if !matches!(source.read().await, Ok(true)) {
            return false;
        }
    }
    source.bytes.split_to(LINE_END.len()) == LINE_END
}
