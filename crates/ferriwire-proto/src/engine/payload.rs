//! Several packets in one polling body (1.1.5).

use std::iter::FusedIterator;

use super::packet::{Packet, ParseError};

/// Stands between two packets. Text of a packet cannot contain it: JSON escapes it.
pub const SEPARATOR: u8 = 0x1e;

/// The packets of a polling body, in order.
///
/// It ends behind the first error; what came before that is to be delivered. A body always holds at
/// least one packet, so an empty one is an error.
#[derive(Clone, Debug)]
pub struct Payload<'a> {
    /// What is not decoded yet; `None` at the end.
    rest: Option<&'a str>,
    limit: usize,
    /// How many packets may still come.
    left: usize,
}

impl<'a> Payload<'a> {
    /// Begins to decode a body that may hold up to `max_packets` packets.
    #[must_use]
    pub fn decode(body: &'a str, max_packets: usize) -> Self {
        Self {
            rest: Some(body),
            limit: max_packets,
            left: max_packets,
        }
    }

    /// Whether so many packets are allowed as there are, which may be asked before the first of them is
    /// decoded. A body that is shorter than the limit is not looked at, and no more of it than decides.
    #[must_use]
    pub fn is_within_limit(&self) -> bool {
        let Some(rest) = self.rest else {
            return true;
        };
        if rest.len() < self.left {
            return true;
        }
        let separators = rest.matches(char::from(SEPARATOR));
        separators.take(self.left).count() < self.left
    }

    /// How many bytes at the end of the body are not decoded yet; `None` when it is done. Whoever
    /// decodes these bytes gets what would come here.
    #[must_use]
    pub fn undecoded(&self) -> Option<usize> {
        self.rest.map(str::len)
    }
}

impl<'a> Iterator for Payload<'a> {
    type Item = Result<Packet<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let Some(left) = self.left.checked_sub(1) else {
            return Some(Err(ParseError::TooManyPackets { limit: self.limit }));
        };
        self.left = left;
        let (text, behind) = match rest.split_once(char::from(SEPARATOR)) {
            Some((text, behind)) => (text, Some(behind)),
            None => (rest, None),
        };
        let decoded = Packet::decode(text);
        if decoded.is_ok() {
            self.rest = behind;
        }
        Some(decoded)
    }
}

impl FusedIterator for Payload<'_> {}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::encoded::Encoded;
    use crate::engine::Message;
    use crate::engine::queue::{Control, Entry, Queue};

    fn text(data: &str) -> Packet<'_> {
        Packet::Message(Message::Text(Cow::Borrowed(data)))
    }

    fn binary(data: &[u8]) -> Packet<'static> {
        Packet::Message(Message::Binary(Bytes::copy_from_slice(data)))
    }

    fn check(body: &str, packets: &[Packet<'_>], error: Option<ParseError>) {
        let mut payload = Payload::decode(body, 4);
        for packet in packets {
            assert_eq!(payload.next(), Some(Ok(packet.clone())), "{body:?}");
        }
        assert_eq!(payload.next(), error.map(Err), "{body:?}");
        assert_eq!(payload.next(), None, "{body:?}");
    }

    #[test]
    fn packets_come_in_order_and_end_at_the_first_error() {
        check("4hello", &[text("hello")], None);
        check(
            "4hello\u{1e}bAQIDBA==",
            &[text("hello"), binary(&[1, 2, 3, 4])],
            None,
        );
        check(
            "4\u{1e}b\u{1e}3\u{1e}1",
            &[text(""), binary(&[]), Packet::Pong(""), Packet::Close],
            None,
        );
        check("", &[], Some(ParseError::Empty));
        check("abc", &[], Some(ParseError::UnknownType('a')));
        check("\u{1e}", &[], Some(ParseError::Empty));
        check("4a\u{1e}", &[text("a")], Some(ParseError::Empty));
        check("4a\u{1e}\u{1e}4b", &[text("a")], Some(ParseError::Empty));
        check(
            "4a\u{1e}x\u{1e}4b",
            &[text("a")],
            Some(ParseError::UnknownType('x')),
        );
        check("4a\u{1e4b}", &[text("a\u{1e4b}")], None);
    }

    #[test]
    fn more_packets_than_the_limit_are_refused() {
        let noops = [const { Packet::Noop }; 4];
        check("6\u{1e}6\u{1e}6\u{1e}6", &noops, None);
        let error = ParseError::TooManyPackets { limit: 4 };
        check("6\u{1e}6\u{1e}6\u{1e}6\u{1e}6", &noops, Some(error));
    }

    #[test]
    fn packets_are_counted_before_one_is_decoded() {
        for limit in [1, 2, 64, 10_000] {
            for (packets, is_within) in [
                (1, true),
                (limit, true),
                (limit + 1, false),
                (limit * 100, false),
            ] {
                for packet in ["6", "", "4hello"] {
                    let body = vec![packet; packets].join("\u{1e}");
                    let payload = Payload::decode(&body, limit);
                    assert_eq!(
                        payload.is_within_limit(),
                        is_within,
                        "{packets} of {limit} times {packet:?}"
                    );
                }
            }
        }
        assert!(!Payload::decode("", 0).is_within_limit());
        assert!(Payload::decode("\u{1e}", usize::MAX).is_within_limit());
    }

    #[derive(Clone, Debug)]
    enum Sent {
        Text(String),
        Binary(Vec<u8>),
        Ping,
    }

    fn sent() -> impl Strategy<Value = Sent> {
        prop_oneof![
            "[^\u{1e}]*".prop_map(Sent::Text),
            any::<Vec<u8>>().prop_map(Sent::Binary),
            Just(Sent::Ping),
        ]
    }

    proptest! {
        #[test]
        fn what_a_queue_wrote_is_read_back(all in prop::collection::vec(sent(), 1..20)) {
            let mut queue = Queue::new();
            for sent in &all {
                queue.push(match sent {
                    Sent::Text(data) => Entry::Message(Arc::new(Encoded::text_message(data))),
                    Sent::Binary(data) => {
                        let data = Bytes::copy_from_slice(data);
                        Entry::Message(Arc::new(Encoded::binary_message(data)))
                    }
                    Sent::Ping => Entry::Control(Control::Ping),
                });
            }
            let body = String::from_utf8(queue.take(usize::MAX).body().unwrap().bytes).unwrap();
            let expected: Vec<_> = all.iter().map(|sent| Ok(match sent {
                Sent::Text(data) => text(data),
                Sent::Binary(data) => binary(data),
                Sent::Ping => Packet::Ping(""),
            })).collect();
            prop_assert_eq!(Payload::decode(&body, all.len()).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn a_body_may_be_decoded_in_pieces(body in "[0-7b\u{1e}=A\u{e9}]*", limit in 0_usize..8) {
            let mut whole = Payload::decode(&body, usize::MAX);
            let mut pieces = Vec::new();
            let mut left = Some(body.len());
            while let Some(rest) = left {
                let mut payload = Payload::decode(&body[body.len() - rest..], usize::MAX);
                pieces.extend(payload.next());
                left = payload.undecoded();
            }
            prop_assert_eq!(pieces, whole.by_ref().collect::<Vec<_>>());
            prop_assert_eq!(whole.undecoded(), None);
            let packets = body.split('\u{1e}').count();
            prop_assert_eq!(Payload::decode(&body, limit).is_within_limit(), packets <= limit);
        }

        #[test]
        fn any_body_yields_packets_and_at_most_one_error_at_its_end(
            body in "[0-7b\u{1e}=A\u{e9}]*",
            limit in 0_usize..8,
        ) {
            let decoded: Vec<_> = Payload::decode(&body, limit).collect();
            let good = decoded.iter().take_while(|packet| packet.is_ok()).count();
            prop_assert!(good <= limit);
            prop_assert!(decoded.len() - good <= 1);
            let parts = body.split('\u{1e}').count();
            prop_assert!(good == parts || decoded.len() == good + 1);
        }
    }
}
