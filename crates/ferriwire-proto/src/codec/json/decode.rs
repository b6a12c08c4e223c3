//! Messages to packets. The one thing to remember between messages is a packet whose attachments
//! are on their way.

use std::borrow::Cow;

use bytes::Bytes;

use super::head::Head;
use super::placeholder;
use crate::codec::{Decoded, Limits, Violation};
use crate::engine::Message;

/// Puts packets together from messages.
///
/// Small while no packet is under way. After a violation it is empty, but the connection is over.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Option<Box<Assembly>>,
    /// What the packet borrows from that was returned last.
    complete: Option<Box<Assembly>>,
}

/// A packet that does not lie in one borrowed piece.
#[derive(Debug)]
struct Assembly {
    text: String,
    attachments: Vec<Bytes>,
    /// How many attachments are still to come.
    missing: usize,
    /// Bytes of the text and the attachments.
    len: usize,
}

impl Decoder {
    /// An empty decoder.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            pending: None,
            complete: None,
        }
    }

    /// Takes a message in.
    ///
    /// # Errors
    ///
    /// What the peer broke.
    pub fn decode<'a>(
        &'a mut self,
        message: Message<'a>,
        limits: &Limits,
    ) -> Result<Decoded<'a>, Violation> {
        self.release();
        match message {
            Message::Text(text) => self.decode_text(text, limits),
            Message::Binary(data) => self.decode_binary(data, limits),
        }
    }

    /// Frees what the last packet was borrowed from, rather than when the next message comes.
    pub fn release(&mut self) {
        self.complete = None;
    }

    /// Whether attachments are missing.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    fn decode_text<'a>(
        &'a mut self,
        text: Cow<'a, str>,
        limits: &Limits,
    ) -> Result<Decoded<'a>, Violation> {
        if self.pending.take().is_some() {
            return Err(Violation::UnexpectedText);
        }
        check_len(text.len(), limits)?;
        let text = match text {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => &self.complete.insert(Box::new(Assembly::new(text, 0))).text,
        };
        let head = Head::parse(text, limits)?;
        let packet = head.packet(&[], limits);
        if head.attachments == 0 {
            return packet.map(Decoded::Packet);
        }
        packet?;
        // What refers to no attachment is found before any of them is kept.
        let payload = placeholder::normalize(head.payload, head.attachments, limits.max_depth)?;
        let before = text.strip_suffix(head.payload).unwrap_or_default();
        let text = [before, &payload].concat();
        self.pending = Some(Box::new(Assembly::new(text, head.attachments)));
        Ok(Decoded::Announced {
            namespace: head.namespace,
        })
    }

    fn decode_binary<'a>(
        &'a mut self,
        data: Bytes,
        limits: &Limits,
    ) -> Result<Decoded<'a>, Violation> {
        let pending = self.pending.take();
        let mut pending = pending.ok_or(Violation::UnexpectedBinary)?;
        pending.len = pending.len.saturating_add(data.len());
        check_len(pending.len, limits)?;
        pending.attachments.push(data);
        pending.missing = pending.missing.saturating_sub(1);
        if pending.missing > 0 {
            self.pending = Some(pending);
            return Ok(Decoded::Attachment);
        }
        let complete = self.complete.insert(pending);
        let head = Head::parse(&complete.text, limits)?;
        head.packet(&complete.attachments, limits)
            .map(Decoded::Packet)
    }
}

impl Assembly {
    fn new(text: String, missing: usize) -> Self {
        Self {
            len: text.len(),
            text,
            attachments: Vec::new(),
            missing,
        }
    }
}

fn check_len(len: usize, limits: &Limits) -> Result<(), Violation> {
    let limit = limits.max_packet;
    if len > limit {
        return Err(Violation::TooLarge { len, limit });
    }
    Ok(())
}
