//! What waits as the bodies of a client's POSTs, each within what the server takes (case 87).
//!
//! A message with attachments is several packets. They need not travel in one body, and what is left
//! of a message may go on as WebSocket frames, when the transport changes between two of them.

use bytes::Bytes;

use super::{Batch, Body, Control, Entry};
use crate::encoded::{Encoded, Kind};
use crate::engine::body::Writer;
use crate::engine::{Dialect, Revision};
use crate::websocket::frame::{Header, OpCode};

/// One packet of a batch.
#[derive(Clone, Copy, Debug)]
enum Packet<'a> {
    Text(&'a [u8]),
    Control(Control),
    Binary {
        message: &'a Encoded,
        index: usize,
        data: &'a Bytes,
    },
    /// A frame that only a WebSocket knows.
    Nothing(usize),
}

impl Batch {
    /// Takes the next packets as the body of a POST: at least one, and then as many as keep it at or
    /// below `max` bytes. `None` when nothing is left that has a form there.
    ///
    /// To be called on what was [taken](super::Queue::take) and not compressed; what is left of it is
    /// to be [restored](super::Queue::restore).
    #[must_use]
    pub fn take_body(&mut self, max: Option<usize>) -> Option<Body> {
        let (dialect, max) = (self.dialect, max.unwrap_or(usize::MAX));
        let mut skip = self.written;
        let (mut taken, mut size) = (0_usize, 0_usize);
        let mut chosen = Vec::new();
        for packet in self.entries().flat_map(Entry::packets) {
            let frame = packet.frame_len(dialect);
            if let Some(left) = skip.checked_sub(frame) {
                skip = left;
                continue;
            }
            let larger = size.saturating_add(packet.body_len(dialect));
            // The first one has no separator in front.
            let separator = usize::from(dialect.revision == Revision::V4);
            if !chosen.is_empty() && larger.saturating_sub(separator) > max {
                break;
            }
            taken = taken.saturating_add(frame);
            if !matches!(packet, Packet::Nothing(_)) {
                size = larger;
                chosen.push(packet);
            }
        }
        let is_binary = |packet: &Packet<'_>| matches!(packet, Packet::Binary { .. });
        let mut writer = Writer::new(dialect, chosen.iter().any(is_binary));
        for packet in chosen {
            match packet {
                Packet::Text(text) => writer.packet(text),
                Packet::Control(control) => writer.control(control),
                Packet::Binary { message, index, .. } => writer.attachment(message, index),
                Packet::Nothing(_) => {}
            }
        }
        self.advance(taken);
        (!writer.is_empty()).then(|| writer.into_body())
    }
}

impl Entry {
    /// Its packets, in the order of its frames.
    fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        let (control, message, frames) = match self {
            Self::Control(control) => (Some(Packet::Control(*control)), None, None),
            Self::Message(message) | Self::Promised(message) | Self::Deflated { message, .. } => {
                (None, Some(&**message), None)
            }
            Self::Frames(frames) => (None, None, Some(frames.texts().map(Packet::Text))),
        };
        let frames = frames.into_iter().flatten();
        control
            .into_iter()
            .chain(message.into_iter().flat_map(packets_of))
            .chain(frames)
    }
}

fn packets_of(message: &Encoded) -> impl Iterator<Item = Packet<'_>> {
    let text = match message.kind() {
        Kind::ControlFrame => Some(Packet::Nothing(message.len())),
        Kind::Event | Kind::Control => {
            Some(Packet::Text(message.text())).filter(|_| !message.text().is_empty())
        }
    };
    let attachments = message.attachments().enumerate();
    let attachments = attachments.map(move |(index, data)| Packet::Binary {
        message,
        index,
        data,
    });
    text.into_iter().chain(attachments)
}

impl Packet<'_> {
    /// How many bytes its WebSocket frame takes.
    fn frame_len(self, dialect: Dialect) -> usize {
        let (opcode, payload) = match self {
            Self::Nothing(len) => return len,
            Self::Control(control) => return control.frame().len(),
            Self::Text(text) => (OpCode::Text, text.len()),
            Self::Binary { data, .. } => match (dialect.base64, dialect.revision) {
                (false, Revision::V4) => (OpCode::Binary, data.len()),
                (false, Revision::V3) => (OpCode::Binary, data.len().saturating_add(1)),
                (true, revision) => (OpCode::Text, base64_len(data.len(), revision)),
            },
        };
        let header = Header::new(opcode, payload);
        payload.saturating_add(header.as_bytes().len())
    }

    /// How many bytes it takes in a body, at most, with what stands between it and the one before.
    fn body_len(self, dialect: Dialect) -> usize {
        let packet = match self {
            Self::Nothing(_) => return 0,
            Self::Control(_) => 1,
            Self::Text(text) => text.len(),
            Self::Binary { data, .. } => base64_len(data.len(), dialect.revision),
        };
        let around = match dialect.revision {
            Revision::V4 => 1,
            // A mark, the length, and its end.
            Revision::V3 => MAX_LENGTH,
        };
        packet.saturating_add(around)
    }
}

/// How long the length in front of a packet of revision 3 is at most.
const MAX_LENGTH: usize = 2 + 20;

fn base64_len(data: usize, revision: Revision) -> usize {
    let prefix = revision.base64_prefix().len();
    data.div_ceil(3).saturating_mul(4).saturating_add(prefix)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::encoded::Builder;
    use crate::engine::Message;
    use crate::engine::packet::Packet as EnginePacket;
    use crate::engine::payload::Payload;
    use crate::engine::queue::Queue;
    use crate::engine::revision3::Payload as OldPayload;

    fn text(text: &str) -> Entry {
        Entry::Message(Arc::new(Encoded::text_message(text)))
    }

    fn event(text: &str, attachments: &[&[u8]]) -> Entry {
        let mut builder = Builder::new(8, 8);
        builder.body().extend_from_slice(text.as_bytes());
        let attachments = attachments.iter().map(|data| Bytes::copy_from_slice(data));
        let encoded = builder.finish(b"4", attachments.collect(), Kind::Event);
        Entry::Message(Arc::new(encoded))
    }

    fn bodies(entries: &[Entry], max: Option<usize>) -> Vec<String> {
        let mut queue = Queue::new();
        for entry in entries {
            queue.push(entry.clone());
        }
        let mut batch = queue.take(usize::MAX);
        let bodies = std::iter::from_fn(|| batch.take_body(max));
        let bodies = bodies.map(|body| String::from_utf8(body.bytes).unwrap());
        let bodies = bodies.collect();
        assert!(batch.is_empty());
        bodies
    }

    #[test]
    fn packets_are_joined_up_to_what_the_server_takes() {
        // Case 87
        let entries = ["aaa", "bbb", "ccc"].map(text);
        for (max, expected) in [
            (None, &["4aaa\u{1e}4bbb\u{1e}4ccc"][..]),
            (Some(14), &["4aaa\u{1e}4bbb\u{1e}4ccc"]),
            (Some(13), &["4aaa\u{1e}4bbb", "4ccc"]),
            (Some(9), &["4aaa\u{1e}4bbb", "4ccc"]),
            (Some(8), &["4aaa", "4bbb", "4ccc"]),
            // One that is too large is sent all the same.
            (Some(1), &["4aaa", "4bbb", "4ccc"]),
        ] {
            assert_eq!(bodies(&entries, max), expected, "{max:?}");
        }
        assert_eq!(bodies(&[], None), [""; 0]);
    }

    #[test]
    fn what_base64_adds_counts() {
        let entries = [event("51-[]", &[b"123456"]), Entry::Control(Control::Pong)];
        let whole = "451-[]\u{1e}bMTIzNDU2\u{1e}3";
        assert_eq!(bodies(&entries, Some(whole.len())), [whole]);
        let expected = ["451-[]\u{1e}bMTIzNDU2", "3"];
        assert_eq!(bodies(&entries, Some(whole.len() - 1)), expected);
        let expected = ["451-[]", "bMTIzNDU2\u{1e}3"];
        assert_eq!(bodies(&entries, Some(15)), expected);
    }

    #[test]
    fn what_only_a_websocket_knows_is_left_out() {
        let ping = Arc::new(Encoded::control_frame(OpCode::Ping, b"x"));
        let entries = [
            Entry::Message(Arc::clone(&ping)),
            text("a"),
            Entry::Message(ping),
        ];
        assert_eq!(bodies(&entries, Some(2)), ["4a"]);
    }

    #[test]
    fn what_is_left_of_a_message_goes_on_as_frames() {
        let mut queue = Queue::new();
        queue.push(event("52-[]", &[b"one", b"two"]));
        queue.push(text("next"));
        let mut batch = queue.take(usize::MAX);
        let body = batch.take_body(Some(12)).unwrap();
        assert_eq!(body.bytes, b"452-[]\x1ebb25l");
        queue.restore(batch);
        let batch = queue.take(usize::MAX);
        let frames: Vec<u8> = batch.pieces().flatten().copied().collect();
        assert_eq!(frames, b"\x82\x03two\x81\x054next");
        assert_eq!(batch.bytes(), frames.len());
    }

    proptest! {
        /// Whatever fits: every packet is in one body, in order, and none is too large but one alone.
        #[test]
        fn bodies_are_read_back_and_within_the_limit(
            entries in prop::collection::vec(
                ("[a-z\u{20ac}]{0,40}", prop::collection::vec(any::<Vec<u8>>(), 0..3)), 0..8,
            ),
            max in 1_usize..300,
            dialect in prop::sample::select(vec![
                Dialect::new(Revision::V4, false),
                Dialect::new(Revision::V4, true),
                Dialect::new(Revision::V3, false),
                Dialect::new(Revision::V3, true),
            ]),
        ) {
            let mut queue = Queue::in_dialect(dialect);
            for (text, attachments) in &entries {
                let attachments: Vec<&[u8]> = attachments.iter().map(|data| &data[..]).collect();
                queue.push(event(text, &attachments));
            }
            let expected = queue.take(usize::MAX);
            let all: Vec<Entry> = expected.entries().cloned().collect();
            let expected: Vec<String> = all.iter().flat_map(Entry::packets).map(|packet| match packet {
                Packet::Text(text) => format!("text {}", str::from_utf8(&text[1..]).unwrap()),
                Packet::Binary { data, .. } => format!("binary {data:?}"),
                Packet::Control(_) | Packet::Nothing(_) => panic!("not queued"),
            }).collect();
            for entry in all {
                queue.push(entry);
            }
            let mut batch = queue.take(usize::MAX);
            let mut seen = Vec::new();
            while let Some(body) = batch.take_body(Some(max)) {
                let packets: Vec<_> = match (dialect.revision, body.is_binary) {
                    (Revision::V4, _) => {
                        Payload::decode(str::from_utf8(&body.bytes).unwrap(), 100).collect()
                    }
                    (Revision::V3, true) => OldPayload::of_binary(&body.bytes, 100).collect(),
                    (Revision::V3, false) => {
                        OldPayload::of_text(str::from_utf8(&body.bytes).unwrap(), 100).collect()
                    }
                };
                prop_assert!(body.bytes.len() <= max || packets.len() == 1);
                seen.extend(packets.into_iter().map(|packet| {
                    let EnginePacket::Message(message) = packet.unwrap() else {
                        panic!("only messages were queued");
                    };
                    match message {
                        Message::Text(text) => format!("text {text}"),
                        Message::Binary(data) => format!("binary {data:?}"),
                    }
                }));
            }
            prop_assert!(batch.is_empty());
            prop_assert_eq!(batch.bytes(), 0);
            prop_assert_eq!(seen, expected);
        }
    }
}
