//! Opcodes, and the header of an outgoing frame (RFC 6455 section 5.2).

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpCode {
    /// The next fragment of the message that an earlier frame began.
    Continuation,
    /// A text message, or its first fragment.
    Text,
    /// A binary message, or its first fragment.
    Binary,
    /// The last frame of its sender.
    Close,
    /// Asks for a pong with the same payload.
    Ping,
    /// Answers a ping, or comes unasked.
    Pong,
}

impl OpCode {
    /// The opcode of these four bits, unless they are reserved.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// The four bits on the wire.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// Whether frames of this kind may stand between the fragments of a message.
    #[must_use]
    pub const fn is_control(self) -> bool {
        match self {
            Self::Close | Self::Ping | Self::Pong => true,
            Self::Continuation | Self::Text | Self::Binary => false,
        }
    }
}

/// The header of an outgoing frame that is final and carries no mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl Header {
    /// The length of the longest header without a mask.
    pub const MAX_LEN: usize = 10;

    /// The largest payload of a control frame.
    pub const MAX_CONTROL: usize = 125;

    /// The header in front of a payload of that length, in the shortest form.
    #[inline]
    #[must_use]
    pub fn new(opcode: OpCode, payload_len: usize) -> Self {
        let first = FIN | opcode.bits();
        match u16::try_from(payload_len) {
            Ok(len @ 0..=125) => {
                let [_, len] = len.to_be_bytes();
                let bytes = [first, len, 0, 0, 0, 0, 0, 0, 0, 0];
                Self { bytes, len: 2 }
            }
            Ok(len) => {
                let [a, b] = len.to_be_bytes();
                let bytes = [first, LENGTH_IN_16_BITS, a, b, 0, 0, 0, 0, 0, 0];
                Self { bytes, len: 4 }
            }
            Err(_) => {
                let [a, b, c, d, e, f, g, h] = (payload_len as u64).to_be_bytes();
                let bytes = [first, LENGTH_IN_64_BITS, a, b, c, d, e, f, g, h];
                Self { bytes, len: 10 }
            }
        }
    }

    /// The header of a message whose payload is compressed (RFC 7692 section 6.1).
    #[must_use]
    pub(super) const fn compressed(mut self) -> Self {
        let [first, ..] = &mut self.bytes;
        *first |= RSV1;
        self
    }

    /// The bytes to send in front of the payload.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.len))
            .unwrap_or(&self.bytes)
    }
}

/// How long header and payload of the frame are that begins here, if it is one of those texts that
/// are written by [`Header`].
pub(crate) fn text_frame_lens(frame: &[u8]) -> Option<(usize, usize)> {
    let (&[_, len], rest) = frame.split_first_chunk()?;
    match len {
        LENGTH_IN_16_BITS => Some((4, u16::from_be_bytes(*rest.first_chunk()?).into())),
        LENGTH_IN_64_BITS => {
            let len = u64::from_be_bytes(*rest.first_chunk()?);
            Some((10, usize::try_from(len).ok()?))
        }
        // Texts of a server's own are not masked.
        _ => (len & MASKED == 0).then_some((2, len.into())),
    }
}

/// In the first byte: the last frame of a message.
pub(super) const FIN: u8 = 0x80;
/// In the first byte: the payload of the message is compressed.
pub(super) const RSV1: u8 = 0x40;
/// In the second byte: a masking key follows the length.
pub(super) const MASKED: u8 = 0x80;
/// In the second byte: the length follows in two bytes.
pub(super) const LENGTH_IN_16_BITS: u8 = 126;
/// In the second byte: the length follows in eight bytes.
pub(super) const LENGTH_IN_64_BITS: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_take_the_shortest_form() {
        let cases: [(usize, &[u8]); 7] = [
            (0, &[0x82, 0]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (0x1234, &[0x82, 126, 0x12, 0x34]),
            (0xFFFF, &[0x82, 126, 0xFF, 0xFF]),
            (0x1_0000, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (
                0x1234_5678,
                &[0x82, 127, 0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78],
            ),
        ];
        for (len, expected) in cases {
            let header = Header::new(OpCode::Binary, len);
            assert_eq!(header.as_bytes(), expected, "payload of {len}");
        }
    }

    #[test]
    fn ten_opcodes_are_reserved() {
        let known = (0..=0xF).filter_map(OpCode::from_bits);
        assert_eq!(known.clone().count(), 6);
        for opcode in known {
            assert_eq!(OpCode::from_bits(opcode.bits()), Some(opcode));
            assert_eq!(opcode.is_control(), opcode.bits() & 0x8 != 0);
        }
        assert_eq!(OpCode::from_bits(0x11), None);
    }
}
