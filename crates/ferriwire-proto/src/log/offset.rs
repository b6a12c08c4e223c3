//! What a client says to tell how far it has got.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Tells one log from all others: random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(pub [u8; 6]);

/// The place of an event in a log. Its text has always 16 characters, none of which has to be
/// escaped in JSON, so that room can be left for it before it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Which log.
    pub epoch: Epoch,
    /// Which event of it. The text has room for 48 bits: nine years of a million events a second.
    pub seq: u64,
}

impl Offset {
    /// How many bytes its text has.
    pub const LEN: usize = 16;

    /// The text.
    #[must_use]
    pub fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; 12];
        let [_, _, seq @ ..] = self.seq.to_be_bytes();
        let parts = self.epoch.0.into_iter().chain(seq);
        for (byte, part) in bytes.iter_mut().zip(parts) {
            *byte = part;
        }
        let mut text = [0; Self::LEN];
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        debug_assert_eq!(written, Ok(Self::LEN), "12 bytes are 16 characters");
        text
    }

    /// Reads a text; `None` when it is no offset of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != Self::LEN {
            return None;
        }
        let bytes: [u8; 12] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let [a, b, c, d, e, f, seq @ ..] = bytes;
        let [g, h, i, j, k, l] = seq;
        Some(Self {
            epoch: Epoch([a, b, c, d, e, f]),
            seq: u64::from_be_bytes([0, 0, g, h, i, j, k, l]),
        })
    }
}
