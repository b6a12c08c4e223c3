//! What holds in every encoding.

use std::error::Error;

use super::*;
use crate::engine::Message;
use crate::packet::Body;
use crate::value::{Args, Value};

/// Packets as JSON in one text.
struct Plain;

impl CustomCodec for Plain {
    fn encode(&self, packet: &UntypedPacket) -> Result<Parts, Box<dyn Error + Send + Sync>> {
        Ok(serde_json::to_string(packet)?.into())
    }

    fn decoder(&self) -> Box<dyn CustomDecoder> {
        Box::new(Self)
    }
}

impl CustomDecoder for Plain {
    fn decode(
        &mut self,
        message: Message<'_>,
    ) -> Result<Option<UntypedPacket>, Box<dyn Error + Send + Sync>> {
        let Message::Text(text) = message else {
            return Err("packets are text".into());
        };
        let mut json = serde_json::Deserializer::from_str(&text);
        json.disable_recursion_limit();
        Ok(Some(serde::Deserialize::deserialize(&mut json)?))
    }
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |value, _| Value::Array(vec![value]))
}

/// Sends an event from one side to the other, whose limits on depth are these.
fn pass(codec: &Codec, depth: usize, sender: usize, receiver: usize) -> Result<(), &'static str> {
    let limits = Limits {
        max_depth: receiver,
        ..Limits::default()
    };
    let payload = Args(vec![1.into(), nested(depth)]);
    let event = codec.encode_event("/", None, "e", &payload, sender);
    let event = event.map_err(|error| {
        assert_eq!(error, EncodeError::TooDeep);
        "not sent"
    })?;
    let message = match event.attachments().next() {
        Some(data) => Message::Binary(data.clone()),
        None => Message::Text(
            String::from_utf8(event.text()[1..].to_vec())
                .unwrap()
                .into(),
        ),
    };
    let too_deep = |violation| {
        assert_eq!(violation, Violation::TooDeep);
        "not taken"
    };
    let mut decoder = codec.decoder();
    let Decoded::Packet(packet) = decoder.decode(message, &limits).map_err(too_deep)? else {
        panic!("a whole packet was expected");
    };
    let Body::Event { arguments, .. } = packet.body else {
        panic!("an event was expected");
    };
    arguments.validate().map_err(too_deep)?;
    assert_eq!(arguments.to_owned().as_arguments().decode(), Ok(payload));
    Ok(())
}

#[test]
fn a_limit_on_depth_holds_in_both_directions() {
    for codec in [Codec::Json, Codec::MessagePack, Codec::custom(Plain)] {
        for limit in [0, 1, 5, 127, MAX_DEPTH] {
            for depth in [
                0,
                1,
                limit.saturating_sub(1),
                limit,
                limit + 1,
                126,
                MAX_DEPTH,
            ] {
                let case = format!("{codec:?}: {depth} within {limit}");
                let fits = depth <= limit;
                let expected = if fits { Ok(()) } else { Err("not sent") };
                assert_eq!(pass(&codec, depth, limit, MAX_DEPTH), expected, "{case}");
                if depth <= MAX_DEPTH {
                    let expected = if fits { Ok(()) } else { Err("not taken") };
                    assert_eq!(pass(&codec, depth, MAX_DEPTH, limit), expected, "{case}");
                }
            }
        }
        // Nobody may go beyond what the stack bears.
        assert_eq!(pass(&codec, MAX_DEPTH, usize::MAX, usize::MAX), Ok(()));
        let beyond = pass(&codec, MAX_DEPTH + 1, usize::MAX, usize::MAX);
        assert_eq!(beyond, Err("not sent"));
    }
}

#[test]
fn a_limit_on_depth_beyond_the_largest_counts_as_that() {
    let limits = Limits {
        max_depth: usize::MAX,
        ..Limits::default()
    };
    for (depth, taken) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false), (100_000, false)] {
        let array = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let object = format!(
            "{{\"a\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        );
        for text in [format!(r#"2["e",{array}]"#), format!("0{object}")] {
            let mut decoder = Codec::Json.decoder();
            let decoded = decoder.decode(Message::Text(text.into()), &limits);
            let checked = decoded.and_then(|decoded| match decoded {
                Decoded::Packet(packet) => match packet.body {
                    Body::Event { arguments, .. } => arguments.validate(),
                    Body::Connect(_)
                    | Body::Disconnect
                    | Body::Ack { .. }
                    | Body::ConnectError(_) => Ok(()),
                },
                Decoded::Announced { .. } | Decoded::Attachment | Decoded::Incomplete => {
                    panic!("a whole packet was expected")
                }
            });
            let expected = if taken {
                Ok(())
            } else {
                Err(Violation::TooDeep)
            };
            assert_eq!(checked, expected, "{depth}");
        }
    }
}
