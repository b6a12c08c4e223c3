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
    /// Most packets lie in one borrowed piece, for which nothing is kept.
    kept: Option<Box<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    pending: Option<Assembly>,
    /// What the packet borrows from that was returned last.
    complete: Option<Assembly>,
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
        Self { kept: None }
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
        if let Some(kept) = &mut self.kept {
            kept.complete = None;
            if kept.pending.is_none() {
                self.kept = None;
            }
        }
    }

    /// Whether attachments are missing.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.kept
            .as_ref()
            .is_some_and(|kept| kept.pending.is_some())
    }

    fn decode_text<'a>(
        &'a mut self,
        text: Cow<'a, str>,
        limits: &Limits,
    ) -> Result<Decoded<'a>, Violation> {
        if self.kept.take().is_some() {
            return Err(Violation::UnexpectedText);
        }
        check_len(text.len(), limits)?;
        match text {
            Cow::Borrowed(text) => {
                let decoded = read(text, &[], limits);
                if let Ok(Decoded::Announced { .. }) = &decoded {
                    self.kept.get_or_insert_default().pending = Some(assembly(text, limits)?);
                }
                decoded
            }
            Cow::Owned(text) => self.decode_owned(text, limits),
        }
    }

    #[inline(never)]
    fn decode_owned<'a>(
        &'a mut self,
        text: String,
        limits: &Limits,
    ) -> Result<Decoded<'a>, Violation> {
        let kept = self.kept.get_or_insert_default();
        let text = &kept.complete.insert(Assembly::new(text, 0)).text;
        let decoded = read(text, &[], limits);
        if let Ok(Decoded::Announced { .. }) = &decoded {
            kept.pending = Some(assembly(text, limits)?);
        }
        decoded
    }

    #[inline(never)]
    fn decode_binary<'a>(
        &'a mut self,
        data: Bytes,
        limits: &Limits,
    ) -> Result<Decoded<'a>, Violation> {
        let kept = self.kept.as_deref_mut();
        let kept = kept.ok_or(Violation::UnexpectedBinary)?;
        let mut pending = kept.pending.take().ok_or(Violation::UnexpectedBinary)?;
        pending.len = pending.len.saturating_add(data.len());
        check_len(pending.len, limits)?;
        pending.attachments.push(data);
        pending.missing = pending.missing.saturating_sub(1);
        if pending.missing > 0 {
            kept.pending = Some(pending);
            return Ok(Decoded::Attachment);
        }
        let complete = kept.complete.insert(pending);
        read(&complete.text, &complete.attachments, limits)
    }
}

/// Reads a packet, or so much of it as stands in front of its attachments if it lacks any.
#[inline(never)]
fn read<'a>(
    text: &'a str,
    attachments: &'a [Bytes],
    limits: &Limits,
) -> Result<Decoded<'a>, Violation> {
    let head = Head::parse(text, limits)?;
    let packet = head.packet(attachments, limits)?;
    if head.attachments > attachments.len() {
        let namespace = head.namespace;
        return Ok(Decoded::Announced { namespace });
    }
    Ok(Decoded::Packet(packet))
}

/// What is kept of a packet that was announced.
#[inline(never)]
fn assembly(text: &str, limits: &Limits) -> Result<Assembly, Violation> {
    let head = Head::parse(text, limits)?;
    // What refers to no attachment is found before any of them is kept.
    let payload = placeholder::normalize(head.payload, head.attachments, limits.max_depth)?;
    let before = text.strip_suffix(head.payload).unwrap_or_default();
    let text = [before, &payload].concat();
    Ok(Assembly::new(text, head.attachments))
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
