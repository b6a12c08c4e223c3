//! How WebSocket messages are compressed.

use ferriwire_proto::websocket::{Deflater, Inflater};

/// How much all connections inflate at a time.
const INFLATE_BUDGET: usize = 32 * 1024 * 1024;

/// How messages on WebSockets are compressed, for clients that offer permessage-deflate (RFC 7692).
///
/// Each message is compressed for itself, in either direction: no connection keeps a compressor or a
/// window, and a message to many is compressed once, by whoever is first written to.
/// That costs some of the ratio, most with many small messages that are alike. A client that takes only
/// a smaller window than ours is answered without compression.
///
/// Compression tells how much a message has in common with itself. When one carries a secret beside
/// what an attacker can choose, its length, which TLS does not hide, can give the secret away (CRIME,
/// BREACH): send such events uncompressed, see [`Broadcast::compress`](crate::Broadcast::compress).
///
/// What a client sends is inflated when a message is complete, and up to
/// [`Limits::max_payload`](crate::Limits::max_payload): a larger one ends the connection with 1009.
///
/// Clones share one budget. Mirrors `perMessageDeflate`.
///
/// # Examples
///
/// ```
/// use ferriwire::{Config, Deflate};
///
/// let config = Config::new().websocket_compression(Deflate::new().threshold(16 * 1024));
/// ```
#[doc(alias = "perMessageDeflate")]
#[derive(Clone, Debug)]
pub struct Deflate {
    threshold: usize,
    window_bits: u8,
    level: u8,
    inflater: Inflater,
}

impl Default for Deflate {
    fn default() -> Self {
        Self::new()
    }
}

impl Deflate {
    /// Messages of 1 KiB or more, with a window of 4 KiB, at level 6: the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            threshold: 1024,
            window_bits: 12,
            level: 6,
            inflater: Inflater::new(INFLATE_BUDGET),
        }
    }

    /// How many bytes the payload of a message must have. Default 1,024. Mirrors `threshold`.
    #[must_use]
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// The window as a power of two, from 9 to 15; what lies outside is moved to the nearest. Default
    /// 12, which is 4 KiB (reference: 15). A larger one finds more that is alike in large messages, and
    /// costs each client that much memory.
    #[must_use]
    #[doc(alias = "serverMaxWindowBits")]
    pub fn window_bits(mut self, bits: u8) -> Self {
        self.window_bits = bits.clamp(9, 15);
        self
    }

    /// How hard to try, from 1 (fast) to 9 (small); what lies outside is moved to the nearest. Default
    /// 6. Mirrors `zlibDeflateOptions.level`.
    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        self.level = level.clamp(1, 9);
        self
    }

    /// How many bytes all connections together inflate at a time. Default 32 MiB (reference: no limit).
    /// A message for which nothing is left, or that alone is larger, ends its connection with 1009.
    #[must_use]
    pub fn inflate_budget(mut self, bytes: usize) -> Self {
        self.inflater = Inflater::new(bytes);
        self
    }

    pub(crate) fn deflater(&self) -> Deflater {
        Deflater::new(self.threshold, self.window_bits, self.level)
    }

    pub(crate) fn inflater(&self) -> Inflater {
        self.inflater.clone()
    }
}
