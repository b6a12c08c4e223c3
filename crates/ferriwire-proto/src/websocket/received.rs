//! The header of a received frame (RFC 6455 section 5.2).

use super::decoder::Role;
use super::frame::{FIN, Header, LENGTH_IN_16_BITS, LENGTH_IN_64_BITS, MASKED, OpCode, RSV1};
use super::violation::Violation;

/// What a received header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceivedHeader {
    pub(super) fin: bool,
    /// The message that begins here is compressed.
    pub(super) compressed: bool,
    pub(super) opcode: OpCode,
    pub(super) payload_len: u64,
    /// Zero, which changes nothing, when the frame carries no mask.
    pub(super) key: [u8; 4],
}

impl ReceivedHeader {
    /// Reads the header at the beginning of `bytes` and says how long it is; `None` when it goes on
    /// behind them. A violation is noticed with the first byte that shows it.
    ///
    /// With `deflate` a message may be compressed, as the first reserved bit of its first frame says
    /// (RFC 7692 section 6).
    pub(super) fn parse(
        bytes: &[u8],
        role: Role,
        deflate: bool,
    ) -> Result<Option<(Self, usize)>, Violation> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let reserved = first & RESERVED_BITS;
        let compressed = deflate && reserved == RSV1;
        if reserved != 0 && !compressed {
            return Err(Violation::ReservedBits(reserved));
        }
        let opcode =
            OpCode::from_bits(first & OPCODE).ok_or(Violation::ReservedOpcode(first & OPCODE))?;
        if compressed && !matches!(opcode, OpCode::Text | OpCode::Binary) {
            return Err(Violation::ReservedBits(reserved));
        }
        let fin = first & FIN != 0;
        if opcode.is_control() && !fin {
            return Err(Violation::ControlFragmented);
        }

        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        match (role, second & MASKED != 0) {
            (Role::Server, true) | (Role::Client, false) => {}
            (Role::Server, false) => return Err(Violation::NotMasked),
            (Role::Client, true) => return Err(Violation::Masked),
        }
        let short_len = second & !MASKED;
        if opcode.is_control() && usize::from(short_len) > Header::MAX_CONTROL {
            return Err(Violation::ControlTooLong);
        }

        let Some((payload_len, rest)) = parse_length(short_len, rest)? else {
            return Ok(None);
        };
        let (key, rest) = match role {
            Role::Client => ([0; 4], rest),
            Role::Server => match rest.split_first_chunk() {
                Some((key, rest)) => (*key, rest),
                None => return Ok(None),
            },
        };
        let header = Self {
            fin,
            compressed,
            opcode,
            payload_len,
            key,
        };
        Ok(Some((header, bytes.len().saturating_sub(rest.len()))))
    }
}

/// The payload length, and what follows it.
fn parse_length(short_len: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    let (len, shortest, rest) = match short_len {
        LENGTH_IN_16_BITS => {
            let Some((len, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (u64::from(u16::from_be_bytes(*len)), 126, rest)
        }
        LENGTH_IN_64_BITS => {
            let Some((len, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (u64::from_be_bytes(*len), 0x1_0000, rest)
        }
        len => (u64::from(len), 0, rest),
    };
    if len < shortest {
        return Err(Violation::LengthNotMinimal(len));
    }
    if len > MAX_PAYLOAD {
        return Err(Violation::LengthOutOfRange(len));
    }
    Ok(Some((len, rest)))
}

/// The beginning of a header whose end has not arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PartialHeader {
    bytes: [u8; MAX_RECEIVED_LEN],
    len: u8,
}

impl PartialHeader {
    /// Takes a header off `rest`, or all of `rest` when the header goes on behind it.
    pub(super) fn complete(
        &mut self,
        rest: &mut &mut [u8],
        role: Role,
        deflate: bool,
    ) -> Result<Option<ReceivedHeader>, Violation> {
        if self.is_empty()
            && let Some((header, len)) = ReceivedHeader::parse(rest, role, deflate)?
        {
            *rest = std::mem::take(rest).get_mut(len..).unwrap_or_default();
            return Ok(Some(header));
        }
        while let Some(byte) = rest.split_off_first_mut() {
            self.push(*byte);
            if let Some((header, _)) = ReceivedHeader::parse(self.as_bytes(), role, deflate)? {
                *self = Self::default();
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.len))
            .unwrap_or(&self.bytes)
    }

    fn push(&mut self, byte: u8) {
        if let Some(room) = self.bytes.get_mut(usize::from(self.len)) {
            *room = byte;
            self.len = self.len.saturating_add(1);
        }
    }
}

const RESERVED_BITS: u8 = 0x70;
const OPCODE: u8 = 0x0F;
const MAX_PAYLOAD: u64 = u64::MAX >> 1;
/// The longest header, with its mask.
const MAX_RECEIVED_LEN: usize = Header::MAX_LEN + 4;
