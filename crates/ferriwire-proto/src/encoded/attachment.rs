//! Binary data behind a text, in the form that each receiver needs.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::deflated::DeflatedFrame;
use crate::engine::{Dialect, Revision};
use crate::websocket::Deflater;
use crate::websocket::frame::{Header, OpCode};

/// In revision 3 a binary frame begins with the packet type as a number.
const TYPED: &[u8] = &[4];

/// Binary data that follows the text, with the header of its WebSocket frame.
///
/// What clients of revision 4 with binary frames need is there at once; the other forms are made by
/// the first receiver that needs them, and shared by all.
#[derive(Debug)]
pub(super) struct Attachment {
    header: Header,
    pub(super) data: Bytes,
    typed: OnceLock<Box<Head>>,
    base64: OnceLock<Box<Base64>>,
    deflated: DeflatedFrame,
}

/// The data as text, and what stands in front of it in a WebSocket frame.
#[derive(Debug)]
struct Base64 {
    text: String,
    v3: Head,
    v4: Head,
}

/// The header of a frame, and what begins its payload.
#[derive(Debug)]
struct Head {
    bytes: [u8; Header::MAX_LEN + 2],
    len: usize,
}

impl Attachment {
    pub(super) fn new(data: Bytes) -> Self {
        Self {
            header: Header::new(OpCode::Binary, data.len()),
            data,
            typed: OnceLock::new(),
            base64: OnceLock::new(),
            deflated: DeflatedFrame::default(),
        }
    }

    /// The data in base64.
    pub(super) fn base64(&self) -> &str {
        &self.encoded().text
    }

    /// Whether its frame is compressed for such a client: as it is for revision 4 with binary frames,
    /// and otherwise not at all.
    pub(super) fn deflate(&self, deflater: Deflater, dialect: Dialect) -> bool {
        dialect == Dialect::default() && self.deflated.make(deflater, OpCode::Binary, &self.data)
    }

    /// Its frame in its compressed form, if it has one for such a client.
    pub(super) fn deflated(&self, dialect: Dialect) -> Option<&[u8]> {
        (dialect == Dialect::default())
            .then(|| self.deflated.get())
            .flatten()
    }

    /// How many bytes its WebSocket frame takes; nothing is encoded for that.
    pub(super) fn len(&self, dialect: Dialect) -> usize {
        let (opcode, payload) = match (dialect.revision, dialect.base64) {
            (Revision::V4, false) => {
                return self.data.len().saturating_add(self.header.as_bytes().len());
            }
            (Revision::V3, false) => (OpCode::Binary, self.data.len().saturating_add(TYPED.len())),
            (revision, true) => {
                let text = self.data.len().div_ceil(3).saturating_mul(4);
                let prefix = revision.base64_prefix().len();
                (OpCode::Text, text.saturating_add(prefix))
            }
        };
        let header = Header::new(opcode, payload);
        payload.saturating_add(header.as_bytes().len())
    }

    /// The pieces of its WebSocket frame.
    pub(super) fn pieces(&self, dialect: Dialect) -> [&[u8]; 2] {
        match (dialect.revision, dialect.base64) {
            (Revision::V4, false) => [self.header.as_bytes(), &self.data],
            (Revision::V3, false) => {
                let head = || Box::new(Head::new(OpCode::Binary, TYPED, self.data.len()));
                [self.typed.get_or_init(head).as_bytes(), &self.data]
            }
            (revision, true) => {
                let encoded = self.encoded();
                let head = match revision {
                    Revision::V3 => &encoded.v3,
                    Revision::V4 => &encoded.v4,
                };
                [head.as_bytes(), encoded.text.as_bytes()]
            }
        }
    }

    fn encoded(&self) -> &Base64 {
        self.base64.get_or_init(|| {
            let text = STANDARD.encode(&self.data);
            let head = |revision: Revision| {
                Head::new(
                    OpCode::Text,
                    revision.base64_prefix().as_bytes(),
                    text.len(),
                )
            };
            let (v3, v4) = (head(Revision::V3), head(Revision::V4));
            Box::new(Base64 { text, v3, v4 })
        })
    }
}

impl Head {
    /// The header for a payload that consists of `begin`, at most two bytes, and `rest` bytes more.
    fn new(opcode: OpCode, begin: &[u8], rest: usize) -> Self {
        let header = Header::new(opcode, rest.saturating_add(begin.len()));
        let mut bytes = [0; Header::MAX_LEN + 2];
        let mut len = 0;
        for (slot, byte) in bytes.iter_mut().zip(header.as_bytes().iter().chain(begin)) {
            *slot = *byte;
            len += 1;
        }
        Self { bytes, len }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECTS: [Dialect; 4] = [
        Dialect::new(Revision::V3, false),
        Dialect::new(Revision::V3, true),
        Dialect::new(Revision::V4, false),
        Dialect::new(Revision::V4, true),
    ];

    #[test]
    fn every_dialect_has_its_own_frame() {
        let attachment = Attachment::new(Bytes::from_static(&[1, 2, 3, 4]));
        for (dialect, expected) in DIALECTS.into_iter().zip([
            b"\x82\x05\x04\x01\x02\x03\x04".as_slice(),
            b"\x81\x0ab4AQIDBA==",
            b"\x82\x04\x01\x02\x03\x04",
            b"\x81\x09bAQIDBA==",
        ]) {
            assert_eq!(attachment.pieces(dialect).concat(), expected, "{dialect:?}");
        }
    }

    #[test]
    fn lengths_are_known_before_anything_is_encoded() {
        for size in [
            0, 1, 2, 3, 91, 92, 93, 94, 123, 124, 125, 126, 49_149, 65_534, 65_536,
        ] {
            let attachment = Attachment::new(Bytes::from(vec![0; size]));
            let known = DIALECTS.map(|dialect| attachment.len(dialect));
            assert!(attachment.base64.get().is_none(), "encoded for its length");
            let made = DIALECTS.map(|dialect| attachment.pieces(dialect).concat().len());
            assert_eq!(known, made, "attachment of {size}");
        }
    }

    #[test]
    fn each_form_is_made_once() {
        let attachment = Attachment::new(Bytes::from_static(b"data"));
        for dialect in DIALECTS {
            let first = attachment.pieces(dialect).map(<[u8]>::as_ptr);
            let second = attachment.pieces(dialect).map(<[u8]>::as_ptr);
            assert_eq!(first, second, "{dialect:?}");
        }
        assert_eq!(attachment.base64().as_ptr(), attachment.base64().as_ptr());
    }
}
