//! Packets as the body of a polling answer, in either revision (1.1.5, 1.2).

use std::io::Write as _;

use super::payload::SEPARATOR;
use super::queue::Control;
use super::{Dialect, Revision};
use crate::encoded::{Encoded, Kind};

/// The body of a polling answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// What is sent.
    pub bytes: Vec<u8>,
    /// Whether its type is `application/octet-stream` instead of text.
    pub is_binary: bool,
    /// Whether it may be compressed: when one of its messages may.
    pub compress: bool,
}

impl Body {
    /// A body that carries nothing but packets of Engine.IO itself.
    #[must_use]
    pub fn of_controls(dialect: Dialect, controls: &[Control]) -> Self {
        let mut writer = Writer::new(dialect, false);
        for control in controls {
            writer.control(*control);
        }
        writer.into_body()
    }

    /// A body that carries one packet, given as text with its type.
    #[must_use]
    pub fn of_packet(dialect: Dialect, packet: &str) -> Self {
        let mut writer = Writer::new(dialect, false);
        writer.text(packet.as_bytes());
        writer.into_body()
    }
}

/// How packets stand in one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Revision 4: with a separator in between.
    Separated,
    /// Revision 3: each behind its length in UTF-16 code units.
    Counted,
    /// Revision 3, when there is binary data and the client takes it: each behind a mark, and its
    /// length in bytes.
    Marked,
}

/// Puts packets into one body.
#[derive(Debug)]
pub(super) struct Writer {
    revision: Revision,
    form: Form,
    bytes: Vec<u8>,
    compress: bool,
}

impl Writer {
    /// `has_binary` says whether one of the packets carries binary data.
    pub(super) fn new(dialect: Dialect, has_binary: bool) -> Self {
        let form = match dialect.revision {
            Revision::V4 => Form::Separated,
            Revision::V3 if has_binary && !dialect.base64 => Form::Marked,
            Revision::V3 => Form::Counted,
        };
        Self {
            revision: dialect.revision,
            form,
            bytes: Vec::new(),
            compress: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn into_body(self) -> Body {
        Body {
            bytes: self.bytes,
            is_binary: self.form == Form::Marked,
            compress: self.compress,
        }
    }

    pub(super) fn control(&mut self, control: Control) {
        self.text(&[control.packet_type()]);
    }

    pub(super) fn message(&mut self, message: &Encoded) {
        if message.kind() == Kind::ControlFrame {
            return;
        }
        self.compress |= message.compress();
        if !message.text().is_empty() {
            self.text(message.text());
        }
        if self.form == Form::Marked {
            for data in message.attachments() {
                self.binary(data);
            }
        } else {
            for data in message.base64_attachments() {
                self.base64(data);
            }
        }
    }

    /// One of the binary messages of a message.
    pub(super) fn attachment(&mut self, message: &Encoded, index: usize) {
        self.compress |= message.compress();
        if self.form == Form::Marked {
            if let Some(data) = message.attachments().nth(index) {
                self.binary(data);
            }
        } else {
            if let Some(data) = message.base64_attachments().nth(index) {
                self.base64(data);
            }
        }
    }

    /// A packet as text, which may be compressed.
    pub(super) fn packet(&mut self, packet: &[u8]) {
        self.compress = true;
        self.text(packet);
    }

    fn text(&mut self, packet: &[u8]) {
        match self.form {
            Form::Separated => self.separate(),
            Form::Counted => self.count(utf16_len(packet)),
            Form::Marked => self.mark(0, packet.len()),
        }
        self.bytes.extend_from_slice(packet);
    }

    fn binary(&mut self, data: &[u8]) {
        self.mark(1, data.len().saturating_add(1));
        self.bytes.push(4);
        self.bytes.extend_from_slice(data);
    }

    fn base64(&mut self, data: &str) {
        let prefix = self.revision.base64_prefix();
        match self.form {
            Form::Separated => self.separate(),
            Form::Counted | Form::Marked => self.count(prefix.len().saturating_add(data.len())),
        }
        self.bytes.extend_from_slice(prefix.as_bytes());
        self.bytes.extend_from_slice(data.as_bytes());
    }

    fn separate(&mut self) {
        if !self.bytes.is_empty() {
            self.bytes.push(SEPARATOR);
        }
    }

    fn count(&mut self, length: usize) {
        let written = write!(self.bytes, "{length}:");
        debug_assert!(written.is_ok(), "writing to a vector does not fail");
    }

    fn mark(&mut self, kind: u8, length: usize) {
        self.bytes.push(kind);
        let start = self.bytes.len();
        let written = write!(self.bytes, "{length}");
        debug_assert!(written.is_ok(), "writing to a vector does not fail");
        for digit in self.bytes.iter_mut().skip(start) {
            *digit = digit.saturating_sub(b'0');
        }
        self.bytes.push(0xFF);
    }
}

/// How many UTF-16 code units this UTF-8 takes: one for each character, and one more for each that
/// UTF-8 needs four bytes for.
fn utf16_len(text: &[u8]) -> usize {
    text.iter()
        .map(|byte| usize::from(byte & 0xC0 != 0x80) + usize::from(*byte >= 0xF0))
        .sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Message;
    use crate::engine::packet::Packet;
    use crate::engine::queue::{Entry, Queue};
    use crate::engine::revision3::Payload;

    const TEXT: Dialect = Dialect::new(Revision::V3, true);
    const BINARY: Dialect = Dialect::new(Revision::V3, false);

    fn body(dialect: Dialect, entries: &[Entry]) -> Body {
        let mut queue = Queue::in_dialect(dialect);
        for entry in entries {
            queue.push(entry.clone());
        }
        queue.take(usize::MAX).body().unwrap()
    }

    fn text(text: &str) -> Entry {
        Entry::Message(Arc::new(Encoded::text_message(text)))
    }

    fn binary(data: &'static [u8]) -> Entry {
        let data = Bytes::from_static(data);
        Entry::Message(Arc::new(Encoded::binary_message(data)))
    }

    #[test]
    fn one_message_that_may_be_compressed_is_enough_and_controls_are_none() {
        let secret = || {
            let secret = Encoded::text_message("secret").with_compress(false);
            Entry::Message(Arc::new(secret))
        };
        let ping = || Entry::Control(Control::Ping);
        for (entries, compress) in [
            (vec![ping()], false),
            (vec![secret()], false),
            (vec![secret(), ping()], false),
            (vec![secret(), text("a")], true),
            (vec![text("a"), secret()], true),
        ] {
            for dialect in [Dialect::default(), TEXT, BINARY] {
                assert_eq!(body(dialect, &entries).compress, compress, "{entries:?}");
            }
        }
    }

    #[test]
    fn text_of_revision_3_is_counted_in_utf_16() {
        for (entries, expected) in [
            (vec![text("hello"), text("\u{20ac}")], "6:4hello2:4\u{20ac}"),
            (vec![text("\u{1f600}")], "3:4\u{1f600}"),
            (
                vec![text("\u{1f44d}\u{1f3fd}e\u{301}")],
                "7:4\u{1f44d}\u{1f3fd}e\u{301}",
            ),
            (vec![text("")], "1:4"),
            (
                vec![Entry::Control(Control::Pong), Entry::Control(Control::Noop)],
                "1:31:6",
            ),
            (vec![Entry::Control(Control::Close)], "1:1"),
        ] {
            for dialect in [TEXT, BINARY] {
                let body = body(dialect, &entries);
                assert_eq!(String::from_utf8(body.bytes).unwrap(), expected);
                assert!(!body.is_binary);
            }
        }
    }

    #[test]
    fn binary_data_of_revision_3_makes_the_whole_body_binary() {
        let entries = [text("\u{20ac}"), binary(&[1, 2, 3])];
        let body = body(BINARY, &entries);
        assert_eq!(
            body.bytes,
            b"\x00\x04\xff4\xe2\x82\xac\x01\x04\xff\x04\x01\x02\x03"
        );
        assert!(body.is_binary);
    }

    #[test]
    fn clients_of_revision_3_without_binary_get_base64() {
        let entries = [text("a"), binary(&[1, 2, 3, 4]), binary(&[])];
        let body = body(TEXT, &entries);
        assert_eq!(body.bytes, b"2:4a10:b4AQIDBA==2:b4");
        assert!(!body.is_binary);
    }

    #[test]
    fn lengths_of_several_digits_are_written_digit_by_digit() {
        let data: &[u8] = &[7; 122];
        let body = body(BINARY, &[binary(data)]);
        assert_eq!(body.bytes.get(..6), Some(&b"\x01\x01\x02\x03\xff\x04"[..]));
    }

    proptest! {
        #[test]
        fn every_body_of_revision_3_is_read_back(
            messages in prop::collection::vec(
                prop_oneof![".*".prop_map(Ok), any::<Vec<u8>>().prop_map(Err)], 1..12,
            ),
            base64: bool,
        ) {
            let mut queue = Queue::in_dialect(Dialect::new(Revision::V3, base64));
            for message in &messages {
                let encoded = match message {
                    Ok(text) => Encoded::text_message(text),
                    Err(data) => Encoded::binary_message(Bytes::from(data.clone())),
                };
                queue.push(Entry::Message(Arc::new(encoded)));
            }
            let body = queue.take(usize::MAX).body().unwrap();
            let expected: Vec<_> = messages.iter().map(|message| Ok(Packet::Message(match message {
                Ok(text) => Message::Text(text.as_str().into()),
                Err(data) => Message::Binary(Bytes::from(data.clone())),
            }))).collect();
            let decoded: Vec<_> = if body.is_binary {
                Payload::of_binary(&body.bytes, 12).collect()
            } else {
                Payload::of_text(std::str::from_utf8(&body.bytes).unwrap(), 12).collect()
            };
            prop_assert_eq!(decoded, expected);
        }
    }
}
