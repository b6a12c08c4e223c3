//! How the answers of long-polling are compressed.

/// How the bodies that long-polling answers with are compressed: with gzip, deflate or brotli, as the
/// client likes. What the client sends is never decompressed.
///
/// Compression tells how much a body has in common with itself: when a message carries a secret
/// beside what an attacker can choose, send it uncompressed.
///
/// Mirrors `httpCompression`.
///
/// # Examples
///
/// ```
/// use ferriwire::{Config, HttpCompression};
///
/// let config = Config::new().http_compression(HttpCompression::on().threshold(16 * 1024));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCompression {
    on: bool,
    threshold: usize,
    level: u8,
}

impl Default for HttpCompression {
    fn default() -> Self {
        Self::on()
    }
}

impl HttpCompression {
    /// Bodies of 1 KiB or more, at level 6: the defaults.
    #[must_use]
    pub fn on() -> Self {
        Self {
            on: true,
            threshold: 1024,
            level: 6,
        }
    }

    /// No body (`httpCompression: false`).
    #[must_use]
    pub fn off() -> Self {
        Self {
            on: false,
            ..Self::on()
        }
    }

    /// How many bytes a body must have. Default 1,024.
    #[must_use]
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// How hard to try, from 1 (fast) to 9 (small); anything above counts as 9, and 0 stores. Default
    /// 6. Each receiver's body is compressed for itself, so that this is what a broadcast to many
    /// polling clients costs.
    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        self.level = level.min(9);
        self
    }

    /// The level for a body of that size, if it shall be compressed.
    pub(crate) fn level_for(&self, bytes: usize) -> Option<u8> {
        (self.on && bytes >= self.threshold).then_some(self.level)
    }
}
