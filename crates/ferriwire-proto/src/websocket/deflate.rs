//! Payloads to and from DEFLATE, without context takeover (RFC 7692 sections 7.2.1 and 7.2.2).
//!
//! Nothing is kept from one message to the next, so no connection has a compressor: each thread has
//! one for each direction, and what one receiver is sent can be sent to all.

use std::cell::Cell;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frame::{Header, OpCode};
use super::violation::Violation;

/// What ends a flushed DEFLATE stream, and is left out on the wire.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// What is put behind a received payload: the tail, and an empty final block, which is understood as
/// such only if the payload ended with a whole block.
const TAIL_AND_END: [u8; 6] = [0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00];

/// Where inflating begins to grow from.
const MIN_OUTPUT: usize = 256;

thread_local! {
    static COMPRESS: Cell<Option<Box<Compressor>>> = const { Cell::new(None) };
    static DECOMPRESS: Cell<Option<Box<Decompress>>> = const { Cell::new(None) };
}

/// A thread's compressor, with what it was made for.
#[derive(Debug)]
struct Compressor {
    made_for: Deflater,
    state: Compress,
}

/// Which payloads are compressed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflater {
    threshold: u32,
    window_bits: NonZeroU8,
    level: u8,
}

impl Deflater {
    /// Payloads of at least `threshold` bytes, with a window of 2 to the power of `window_bits` bytes,
    /// from 9 to 15, at a level from 1 (fast) to 9 (small). What lies outside is moved to the nearest.
    #[must_use]
    pub fn new(threshold: usize, window_bits: u8, level: u8) -> Self {
        Self {
            threshold: u32::try_from(threshold).unwrap_or(u32::MAX),
            window_bits: NonZeroU8::new(window_bits.clamp(9, 15)).unwrap_or(NonZeroU8::MIN),
            level: level.clamp(1, 9),
        }
    }

    /// The window as a power of two.
    #[must_use]
    pub const fn window_bits(self) -> u8 {
        self.window_bits.get()
    }

    /// The same within a smaller window, if the peer can name one that small: there is none of 8 bits.
    pub(super) fn within_window(self, bits: u8) -> Option<Self> {
        let window_bits = self.window_bits.min(NonZeroU8::new(bits)?);
        (bits >= 9).then_some(Self {
            window_bits,
            ..self
        })
    }

    /// A whole frame, its header included. `None` when the payload is below the threshold, or does
    /// not become smaller.
    #[must_use]
    pub fn frame(self, opcode: OpCode, payload: &[u8]) -> Option<Box<[u8]>> {
        if payload.len() < self.threshold as usize {
            return None;
        }
        // With no more room than that a payload that grows ends the attempt.
        let room = Header::MAX_LEN.saturating_add(payload.len());
        let mut frame = Vec::with_capacity(room.saturating_add(TAIL.len()));
        frame.resize(Header::MAX_LEN, 0);
        if !self.compress(payload, &mut frame) {
            return None;
        }
        let end = frame.len().checked_sub(TAIL.len())?;
        if end >= room || frame.get(end..)? != TAIL {
            return None;
        }
        frame.truncate(end);
        let header = Header::new(opcode, end.checked_sub(Header::MAX_LEN)?).compressed();
        let start = Header::MAX_LEN.checked_sub(header.as_bytes().len())?;
        frame
            .get_mut(start..Header::MAX_LEN)?
            .copy_from_slice(header.as_bytes());
        frame.drain(..start);
        Some(frame.into_boxed_slice())
    }

    /// Appends the payload's DEFLATE stream, unless it does not fit.
    fn compress(self, payload: &[u8], output: &mut Vec<u8>) -> bool {
        let kept = COMPRESS.take().filter(|kept| {
            let (made_for, level) = (kept.made_for, kept.made_for.level);
            made_for.window_bits == self.window_bits && level == self.level
        });
        let mut compressor = kept.unwrap_or_else(|| {
            let level = Compression::new(u32::from(self.level));
            Box::new(Compressor {
                made_for: self,
                state: Compress::new_with_window_bits(level, false, self.window_bits()),
            })
        });
        let state = &mut compressor.state;
        state.reset();
        let result = state.compress_vec(payload, output, FlushCompress::Sync);
        let done = result.is_ok() && state.total_in() == payload.len() as u64;
        COMPRESS.set(Some(compressor));
        done
    }
}

/// Inflates payloads, and bounds how much all connections that share it inflate at a time.
#[derive(Clone, Debug)]
pub struct Inflater {
    budget: Arc<Budget>,
}

impl Inflater {
    /// At most so many bytes are being inflated at a time, by this one and its clones together.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            budget: Arc::new(Budget {
                limit: budget,
                used: AtomicUsize::new(0),
            }),
        }
    }

    /// How long a payload may be that is to be inflated to `limit` bytes: what cannot be compressed
    /// grows a little.
    pub(super) const fn max_input(limit: usize) -> usize {
        limit.saturating_add(limit / 8).saturating_add(64)
    }

    /// The content of a whole message, of at most `limit` bytes. No more than one byte beyond that is
    /// ever produced.
    pub(super) fn inflate(&self, payload: &[u8], limit: usize) -> Result<Vec<u8>, Violation> {
        if payload.is_empty() {
            // Some peers leave out even the one byte that stands for nothing.
            return Ok(Vec::new());
        }
        let mut output = Output {
            bytes: Vec::new(),
            limit,
            share: Share {
                budget: &self.budget,
                taken: 0,
            },
        };
        let mut state = DECOMPRESS.take().unwrap_or_else(|| {
            // Of the largest window, because nobody has to agree to a smaller one.
            Box::new(Decompress::new(false))
        });
        state.reset(false);
        let result = inflate_all(&mut state, payload, &mut output);
        DECOMPRESS.set(Some(state));
        result.map(|()| output.bytes)
    }
}

/// Inflates a payload and checks how it ends.
fn inflate_all(
    state: &mut Decompress,
    payload: &[u8],
    output: &mut Output<'_>,
) -> Result<(), Violation> {
    if let Some(rest) = inflate_part(state, payload, output)? {
        // A final block. Whoever makes one appends the first byte of an empty block, whose others are
        // left out (7.2.3.4); nothing else may hide there.
        return match rest {
            [] | [0] => Ok(()),
            _ => Err(Violation::InvalidDeflate),
        };
    }
    match inflate_part(state, &TAIL_AND_END, output)? {
        Some([]) => Ok(()),
        Some(_) | None => Err(Violation::InvalidDeflate),
    }
}

/// Inflates all of `input`, or as far as a final block: then what stands behind that is returned.
fn inflate_part<'a>(
    state: &mut Decompress,
    input: &'a [u8],
    output: &mut Output<'_>,
) -> Result<Option<&'a [u8]>, Violation> {
    let mut rest = input;
    loop {
        output.make_room(rest.len())?;
        let (consumed, produced) = (state.total_in(), output.bytes.len());
        let status = state
            .decompress_vec(rest, &mut output.bytes, FlushDecompress::None)
            .map_err(|_| Violation::InvalidDeflate)?;
        let consumed = state.total_in().saturating_sub(consumed);
        rest = usize::try_from(consumed)
            .ok()
            .and_then(|consumed| rest.get(consumed..))
            .unwrap_or_default();
        output.check()?;
        if status == Status::StreamEnd {
            return Ok(Some(rest));
        }
        let has_room = output.bytes.len() < output.bytes.capacity();
        if has_room && rest.is_empty() {
            return Ok(None);
        }
        if has_room && consumed == 0 && output.bytes.len() == produced {
            return Err(Violation::InvalidDeflate);
        }
    }
}

/// What has been inflated of one message.
#[derive(Debug)]
struct Output<'a> {
    bytes: Vec<u8>,
    limit: usize,
    share: Share<'a>,
}

impl Output<'_> {
    /// Doubles the room when there is none, up to one byte beyond the limit.
    fn make_room(&mut self, input: usize) -> Result<(), Violation> {
        let capacity = self.bytes.capacity();
        if self.bytes.len() < capacity {
            return Ok(());
        }
        let most = self.limit.saturating_add(1).saturating_sub(capacity);
        let more = capacity
            .max(input.saturating_mul(2))
            .max(MIN_OUTPUT)
            .min(most.max(1));
        self.share.take(more)?;
        self.bytes.reserve_exact(more);
        Ok(())
    }

    fn check(&self) -> Result<(), Violation> {
        if self.bytes.len() > self.limit {
            return Err(Violation::MessageTooLarge {
                declared: self.bytes.len() as u64,
                limit: self.limit,
            });
        }
        Ok(())
    }
}

/// What all connections inflate at a time.
#[derive(Debug)]
struct Budget {
    limit: usize,
    used: AtomicUsize,
}

/// What one message takes of the budget, until it is inflated.
#[derive(Debug)]
struct Share<'a> {
    budget: &'a Budget,
    taken: usize,
}

impl Share<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), Violation> {
        let Budget { limit, used } = self.budget;
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| sum <= limit);
        let taken = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.map_err(|_| Violation::InflateBudget { limit: *limit })?;
        self.taken = self.taken.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
