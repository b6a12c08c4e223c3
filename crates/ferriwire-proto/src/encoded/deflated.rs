//! A frame in its compressed form, made once for all receivers.

use std::sync::OnceLock;

use crate::websocket::{Deflater, frame::OpCode};

/// The compressed form of one frame, its header included. It is made by whoever first writes to a
/// client that takes it; all clients of a server agree about how.
#[derive(Debug, Default)]
pub(super) struct DeflatedFrame {
    /// Empty when it would not be smaller, or the payload is below the threshold.
    frame: OnceLock<Box<[u8]>>,
}

impl DeflatedFrame {
    /// Makes it, unless that was done; says whether there is one.
    pub(super) fn make(&self, deflater: Deflater, opcode: OpCode, payload: &[u8]) -> bool {
        let make = || deflater.frame(opcode, payload).unwrap_or_default();
        !self.frame.get_or_init(make).is_empty()
    }

    /// The frame, if it was made and there is one.
    pub(super) fn get(&self) -> Option<&[u8]> {
        let frame = self.frame.get()?;
        (!frame.is_empty()).then_some(frame)
    }
}
