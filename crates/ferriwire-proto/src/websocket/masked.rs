//! The frames of a client, which are masked (RFC 6455 section 5.3).

use super::frame::{LENGTH_IN_16_BITS, LENGTH_IN_64_BITS, MASKED};
use super::mask::mask;

/// Turns frames as a server writes them into those of a client, whatever pieces they come in.
///
/// What is sent is encoded once, in the form that servers send ([`crate::encoded`]); a client's form
/// is made where it is written, because every frame has a key of its own.
#[derive(Debug, Default)]
pub struct Masker {
    position: Position,
}

#[derive(Debug)]
enum Position {
    /// Of the next header some bytes may be there.
    Header { bytes: [u8; 10], len: usize },
    /// So many bytes of the payload are done, and so many left.
    Payload {
        key: [u8; 4],
        done: usize,
        left: u64,
    },
}

impl Default for Position {
    fn default() -> Self {
        Self::Header {
            bytes: [0; 10],
            len: 0,
        }
    }
}

impl Masker {
    /// Appends the masked form of the next piece to `output`. `next_key` is asked once for each frame
    /// and has to draw from a source that the server cannot guess.
    pub fn append(
        &mut self,
        mut piece: &[u8],
        output: &mut Vec<u8>,
        mut next_key: impl FnMut() -> [u8; 4],
    ) {
        output.reserve(piece.len().saturating_add(4));
        loop {
            match &mut self.position {
                Position::Header { bytes, len } => {
                    let Some((&byte, rest)) = piece.split_first() else {
                        return;
                    };
                    piece = rest;
                    if let Some(slot) = bytes.get_mut(*len) {
                        *slot = byte;
                        *len = len.saturating_add(1);
                    }
                    let Some(left) = payload_len(bytes.get(..*len).unwrap_or_default()) else {
                        continue;
                    };
                    let key = next_key();
                    if let Some(second) = bytes.get_mut(1) {
                        *second |= MASKED;
                    }
                    output.extend_from_slice(bytes.get(..*len).unwrap_or_default());
                    output.extend_from_slice(&key);
                    self.position = Position::Payload { key, done: 0, left };
                }
                Position::Payload { left: 0, .. } => self.position = Position::default(),
                Position::Payload { key, done, left } => {
                    if piece.is_empty() {
                        return;
                    }
                    let end = usize::try_from(*left).unwrap_or(usize::MAX);
                    let end = end.min(piece.len());
                    let (now, rest) = piece.split_at_checked(end).unwrap_or((piece, &[]));
                    let start = output.len();
                    output.extend_from_slice(now);
                    mask(*key, *done, output.get_mut(start..).unwrap_or_default());
                    *done = done.saturating_add(now.len());
                    *left = left.saturating_sub(now.len() as u64);
                    piece = rest;
                }
            }
        }
    }

    /// Whether no frame has been begun and not finished.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        matches!(
            self.position,
            Position::Header { len: 0, .. } | Position::Payload { left: 0, .. }
        )
    }
}

/// The length that a whole header without a mask announces.
fn payload_len(header: &[u8]) -> Option<u64> {
    match *header {
        [_, LENGTH_IN_16_BITS, a, b] => Some(u16::from_be_bytes([a, b]).into()),
        [_, LENGTH_IN_64_BITS, a, b, c, d, e, f, g, h] => {
            Some(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
        }
        [_, len @ 0..LENGTH_IN_16_BITS] => Some(len.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::encoded::Encoded;
    use crate::engine::queue::{Control, Entry, Queue};
    use crate::websocket::{Decoder, Deflater, Inflater, Item, Limits, Role};

    fn masked(pieces: &[&[u8]], keys: &[[u8; 4]]) -> Vec<u8> {
        let mut masker = Masker::default();
        let mut output = Vec::new();
        let mut keys = keys.iter();
        for piece in pieces {
            masker.append(piece, &mut output, || *keys.next().unwrap());
        }
        assert!(masker.is_between_frames());
        assert_eq!(keys.next(), None, "one key for each frame");
        output
    }

    #[test]
    fn the_example_of_the_specification() {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        let expected = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        assert_eq!(masked(&[b"\x81\x05Hello"], &[key]), expected);
    }

    #[test]
    fn every_frame_has_its_own_key() {
        let (a, b, c) = ([1, 2, 3, 4], [0; 4], [255; 4]);
        assert_eq!(
            masked(&[b"\x81\x012\x88\x00", b"\x82\x02\x00\x0f"], &[a, b, c]),
            b"\x81\x81\x01\x02\x03\x04\x33\x88\x80\x00\x00\x00\x00\x82\x82\xff\xff\xff\xff\xff\xf0"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// A server reads what was queued, whatever the sizes and wherever the pieces are cut.
        #[test]
        fn a_server_reads_what_a_client_masked(
            sizes in prop::collection::vec(
                prop_oneof![0_usize..200, Just(65_535), Just(65_536)], 1..6,
            ),
            cut in 1_usize..5000,
            key: [u8; 4],
            compressed: bool,
        ) {
            let deflater = compressed.then(|| Deflater::new(100, 15, 6));
            let mut queue = Queue::new();
            queue.set_deflater(deflater);
            let mut expected = Vec::new();
            for (index, size) in sizes.iter().enumerate() {
                let text = "t".repeat(*size);
                if index % 2 == 0 {
                    queue.push(Entry::Message(Arc::new(Encoded::text_message(&text))));
                    expected.push(format!("text 4{text}"));
                } else {
                    let data = Bytes::from(text.clone());
                    queue.push(Entry::Message(Arc::new(Encoded::binary_message(data))));
                    expected.push(format!("binary {text}"));
                }
                queue.push(Entry::Control(Control::Pong));
                expected.push("text 3".to_owned());
            }
            let mut batch = queue.take(usize::MAX);
            batch.deflate();
            let frames: Vec<u8> = batch.pieces().flatten().copied().collect();
            let (mut masker, mut output) = (Masker::default(), Vec::new());
            for piece in frames.chunks(cut) {
                masker.append(piece, &mut output, || key);
            }
            prop_assert!(masker.is_between_frames());

            let inflater = compressed.then(|| Inflater::new(1_000_000));
            let mut decoder = Decoder::new(Role::Server, Limits::default()).with_inflater(inflater);
            let (mut rest, mut seen) = (&mut output[..], Vec::new());
            while !rest.is_empty() {
                let decoded = decoder.decode(rest).unwrap();
                match decoded.item {
                    Some(Item::Text(text)) => seen.push(format!("text {text}")),
                    Some(Item::Binary(data)) => {
                        seen.push(format!("binary {}", str::from_utf8(&data).unwrap()));
                    }
                    other => prop_assert!(other.is_none(), "{other:?}"),
                }
                let consumed = decoded.consumed;
                rest = &mut rest[consumed..];
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
