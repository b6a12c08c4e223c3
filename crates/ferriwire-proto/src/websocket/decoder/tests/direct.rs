//! Long payloads that are read to where they stay.

use bytes::BufMut;
use proptest::prelude::*;

use super::*;

const AHEAD: usize = 300_000;

fn message(decoder: &Decoder) -> Option<&Message> {
    decoder.stream.as_ref()?.message.as_ref()
}

fn held(decoder: &Decoder) -> (usize, usize) {
    message(decoder).map_or((0, 0), |message| (message.len(), message.capacity()))
}

/// Hands over up to `most` of the bytes in the way that the decoder wants them, and says how many.
fn feed_next(
    decoder: &mut Decoder,
    rest: &[u8],
    most: usize,
    items: &mut Vec<Received>,
) -> Result<usize, Violation> {
    let count = most.min(rest.len());
    assert_eq!(decoder.awaits_much(), decoder.room(AHEAD).is_some());
    let Some(mut room) = decoder.room(AHEAD) else {
        feed(decoder, &rest[..count], items)?;
        return Ok(count);
    };
    let count = count.min(room.remaining_mut());
    room.put_slice(&rest[..count]);
    items.extend(decoder.handle_read(count)?.map(Received::from));
    Ok(count)
}

#[test]
fn a_long_message_stays_where_it_was_read_to() {
    let payload: Vec<u8> = (0..=255).cycle().take(500_000).collect();
    let frame = masked(true, OpCode::Binary, &payload);
    let mut decoder = decoder_after(&frame[..100_000]);
    let mut at = 100_000;
    let mut place = None;
    while let Some(mut room) = decoder.room(1_000_000) {
        let count = room.remaining_mut().min(150_000);
        room.put_slice(&frame[at..at + count]);
        at += count;
        let data = room.get_ref().as_ptr();
        assert_eq!(*place.get_or_insert(data), data, "it was moved");
        if let Some(item) = decoder.handle_read(count).unwrap() {
            let Item::Binary(Cow::Owned(data)) = item else {
                panic!("it is a binary message");
            };
            assert_eq!(Some(data.as_ptr()), place);
            assert_eq!(data, payload);
            assert_eq!(data.capacity(), data.len());
        }
    }
    assert_eq!(at, frame.len());
    assert!(decoder.is_idle());
}

#[test]
fn what_was_announced_is_reserved_as_far_as_it_may_be_read_now_and_given_back() {
    let len = 10_000_000;
    let limits = Limits {
        max_message: len,
        max_fragments: 0,
    };
    for (fin, opcode) in [(true, OpCode::Binary), (false, OpCode::Binary)] {
        let mut decoder = Decoder::new(Role::Server, limits);
        let frame = masked(fin, opcode, &vec![1; len]);
        feed(&mut decoder, &frame[..14], &mut Vec::new()).unwrap();
        let mut at = 14;
        let mut moved = 0;
        let mut before = 0;
        while let Some(mut room) = decoder.room(AHEAD) {
            let count = room.remaining_mut().min(70_000);
            room.put_slice(&frame[at..at + count]);
            at += count;
            let (len, capacity) = held(&decoder);
            assert!(capacity <= len + len.max(AHEAD), "{capacity} for {len}");
            let complete = decoder.handle_read(count).unwrap().is_some();
            assert_eq!(complete, fin && at == frame.len());
            decoder.settle();
            let (len, capacity) = held(&decoder);
            assert!(capacity <= 2 * len, "{capacity} for {len}");
            if capacity != before {
                moved += len;
                before = capacity;
            }
        }
        assert!(frame.len() - at < Decoder::MIN_ROOM);
        assert!(moved <= 4 * len, "{moved} bytes moved for {len}");
    }
}

#[test]
fn nothing_that_may_end_soon_or_is_a_text_has_room() {
    let long = vec![b'x'; 3 * Decoder::MIN_ROOM];
    for (opcode, len, has_room) in [
        (OpCode::Binary, Decoder::MIN_ROOM, true),
        (OpCode::Binary, Decoder::MIN_ROOM - 1, false),
        (OpCode::Text, long.len(), false),
    ] {
        let frame = masked(true, opcode, &long[..len]);
        let header = frame.len() - len;
        let mut decoder = decoder_after(&frame[..header - 1]);
        assert!(!decoder.awaits_much(), "its header has not arrived");
        feed(&mut decoder, &frame[header - 1..header], &mut Vec::new()).unwrap();
        assert_eq!(decoder.awaits_much(), has_room, "{opcode:?} of {len}");
        assert_eq!(decoder.room(AHEAD).is_some(), has_room);
    }
    let mut decoder = decoder_after(&masked(true, OpCode::Close, b""));
    assert!(decoder.room(AHEAD).is_none());
    assert_eq!(decoder.handle_read(7), Ok(None), "and nothing is taken");
}

#[test]
fn a_long_message_that_cannot_be_inflated_ends_the_stream() {
    let mut frame = masked(true, OpCode::Binary, &vec![0xFF; 200_000]);
    frame[0] |= crate::websocket::frame::RSV1;
    let mut decoder = server().with_inflater(Some(Inflater::new(usize::MAX)));
    let mut items = Vec::new();
    let mut at = 0;
    let violation = loop {
        match feed_next(&mut decoder, &frame[at..], 100_000, &mut items) {
            Ok(count) => at += count,
            Err(violation) => break violation,
        }
    };
    assert_eq!(violation, Violation::InvalidDeflate);
    assert!(at > 0 && items.is_empty());
    assert!(decoder.stream.is_none());
}

fn long() -> impl Strategy<Value = Vec<(OpCode, Vec<usize>, Vec<u8>)>> {
    let opcode = prop_oneof![3 => Just(OpCode::Binary), 1 => Just(OpCode::Text)];
    let cuts = prop::collection::vec(0_usize..250_000, 0..3);
    let payload = (0_usize..400_000, 0_u8..128)
        .prop_map(|(len, first)| (first..128).cycle().take(len).collect());
    prop::collection::vec((opcode, cuts, payload), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_chunking_gives_what_was_sent(
        all in long(),
        sizes in prop::collection::vec(prop_oneof![1_usize..100, 1_usize..200_000], 1..8),
        settles in any::<bool>(),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (opcode, mut cuts, payload) in all {
            cuts.retain(|cut| *cut < payload.len());
            cuts.sort_unstable();
            let mut opcode_here = opcode;
            let mut start = 0;
            for cut in cuts {
                stream.extend(masked(false, opcode_here, &payload[start..cut]));
                stream.extend(masked(true, OpCode::Ping, b"between"));
                expected.push(ping(b"between"));
                opcode_here = OpCode::Continuation;
                start = cut;
            }
            stream.extend(masked(true, opcode_here, &payload[start..]));
            expected.push(if opcode == OpCode::Text {
                Received::Text(String::from_utf8(payload).unwrap())
            } else {
                Received::Binary(payload)
            });
        }
        let mut decoder = Decoder::new(Role::Server, Limits { max_message: usize::MAX, max_fragments: 0 });
        let mut items = Vec::new();
        let mut rest = stream.as_slice();
        let mut steps = sizes.iter().cycle();
        let long_step = if sizes.iter().sum::<usize>() < 20_000 { 30_000 } else { 0 };
        while !rest.is_empty() {
            let most = steps.next().map_or(1, |size| size + long_step);
            let count = feed_next(&mut decoder, rest, most, &mut items).unwrap();
            rest = &rest[count..];
            if settles {
                decoder.settle();
                let (len, capacity) = held(&decoder);
                prop_assert!(message(&decoder).is_none_or(|it| !it.is_kept_as_it_came()) || capacity <= 2 * len);
            }
        }
        prop_assert!(decoder.is_idle());
        prop_assert_eq!(items, expected);
    }
}
