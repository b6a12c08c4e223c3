//! Compressed messages (RFC 7692 section 6).

use proptest::prelude::*;

use super::*;
use crate::websocket::Deflater;

/// What the tests send: no mask that changes anything, so that payloads are those of the specification.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = match u16::try_from(payload.len()) {
        Ok(len @ 0..=125) => vec![first, 0x80 | len as u8],
        Ok(len) => [&[first, 0x80 | 126][..], &len.to_be_bytes()].concat(),
        Err(_) => [
            &[first, 0x80 | 127][..],
            &(payload.len() as u64).to_be_bytes(),
        ]
        .concat(),
    };
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

fn deflating(max_message: usize) -> Decoder {
    let limits = Limits {
        max_message,
        ..Limits::default()
    };
    Decoder::new(Role::Server, limits).with_inflater(Some(Inflater::new(1 << 20)))
}

/// The compressed payload of a message.
fn deflated(data: &[u8]) -> Vec<u8> {
    let frame = Deflater::new(0, 12, 6).frame(OpCode::Binary, data).unwrap();
    let header = Header::new(OpCode::Binary, frame.len()).as_bytes().len();
    let header = if frame.len() - header > 125 {
        header
    } else {
        2
    };
    frame[header..].to_vec()
}

fn decode(max_message: usize, bytes: &[u8]) -> (Vec<Received>, Option<Violation>) {
    let whole = decode_all(&mut deflating(max_message), &[bytes]);
    let by_byte: Vec<&[u8]> = bytes.chunks(1).collect();
    let in_pieces = decode_all(&mut deflating(max_message), &by_byte);
    assert_eq!(whole, in_pieces);
    whole
}

const HELLO: [u8; 7] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];

fn hello() -> Received {
    Received::Text("Hello".to_owned())
}

#[test]
fn the_examples_of_the_specification() {
    // 7.2.3.1: in one frame, and in two fragments.
    assert_eq!(decode(5, &frame(0xC1, &HELLO)), (vec![hello()], None));
    let fragments = [frame(0x41, &HELLO[..3]), frame(0x80, &HELLO[3..])].concat();
    assert_eq!(decode(5, &fragments), (vec![hello()], None));
    assert_eq!(
        decode(0, &frame(0xC2, &[0])),
        (vec![Received::Binary(Vec::new())], None)
    );
}

#[test]
fn messages_with_and_without_compression_may_follow_each_other() {
    let bytes = [
        frame(0x81, b"plain"),
        frame(0xC1, &HELLO),
        frame(0x41, &HELLO[..1]),
        frame(0x89, b"ping"),
        frame(0x00, b""),
        frame(0x80, &HELLO[1..]),
        frame(0x82, &HELLO),
    ]
    .concat();
    let expected = vec![
        Received::Text("plain".to_owned()),
        hello(),
        Received::Ping(b"ping".to_vec()),
        hello(),
        Received::Binary(HELLO.to_vec()),
    ];
    assert_eq!(decode(1000, &bytes), (expected, None));
}

#[test]
fn the_bit_stands_on_the_first_frame_of_a_message_only_and_only_when_negotiated() {
    let begun = |next: u8| [frame(0x41, &HELLO[..3]), frame(next, &HELLO[3..])].concat();
    for (bytes, bits) in [
        (begun(0xC0), 0x40),
        ([frame(0x01, b"a"), frame(0xC0, b"b")].concat(), 0x40),
        (frame(0xC8, b""), 0x40),
        (frame(0xC9, b""), 0x40),
        (frame(0xCA, b""), 0x40),
        (frame(0xA1, &HELLO), 0x20),
        (frame(0x91, &HELLO), 0x10),
        (frame(0xE1, &HELLO), 0x60),
        (frame(0xF1, &HELLO), 0x70),
    ] {
        let expected = (Vec::new(), Some(Violation::ReservedBits(bits)));
        assert_eq!(decode(1000, &bytes), expected, "{bytes:x?}");
    }
    let (items, violation) = decode_all(&mut server(), &[&frame(0xC1, &HELLO)]);
    assert_eq!(
        (items.len(), violation),
        (0, Some(Violation::ReservedBits(0x40)))
    );
    assert_eq!(violation.unwrap().close_code(), 1002);
}

#[test]
fn the_limit_is_that_of_what_comes_out() {
    let data = vec![b'a'; 1000];
    let payload = deflated(&data);
    let bytes = frame(0xC2, &payload);
    assert_eq!(decode(1000, &bytes), (vec![Received::Binary(data)], None));
    for limit in [999, 100, 1] {
        let declared = limit as u64 + 1;
        let expected = Some(Violation::MessageTooLarge { declared, limit });
        assert_eq!(decode(limit, &bytes), (Vec::new(), expected));
        let middle = payload.len() / 2;
        let fragments = [
            frame(0x42, &payload[..middle]),
            frame(0x80, &payload[middle..]),
        ];
        assert_eq!(decode(limit, &fragments.concat()), (Vec::new(), expected));
    }
}

#[test]
fn what_cannot_be_compressed_may_be_a_little_longer_than_the_limit_and_no_more() {
    // Stored, as a compressor does it that gives up.
    let data = [7; 1000];
    let stored = [&[0x00, 0xE8, 0x03, 0x17, 0xFC][..], &data, &[0]].concat();
    let bytes = frame(0xC2, &stored);
    assert_eq!(
        decode(1000, &bytes),
        (vec![Received::Binary(data.to_vec())], None)
    );
    let most = Inflater::max_input(1000);
    let header = frame(0xC2, &vec![0; most + 1]);
    let expected = Violation::MessageTooLarge {
        declared: most as u64 + 1,
        limit: 1000,
    };
    // From the header alone.
    let (items, violation) = decode_all(&mut deflating(1000), &[&header[..8]]);
    assert_eq!((items.len(), violation), (0, Some(expected)));
}

#[test]
fn a_bomb_in_fragments_takes_no_more_memory_than_its_bytes() {
    let bomb = deflated(&vec![0; 900_000]);
    let mut decoder = deflating(1_000_000);
    let mut items = Vec::new();
    feed(&mut decoder, &frame(0x42, &bomb), &mut items).unwrap();
    // Its end has not come: nothing was inflated.
    let held = decoder
        .stream
        .as_ref()
        .and_then(|stream| stream.message.as_ref());
    assert_eq!(held.map(Message::len), Some(bomb.len()));
    assert!(held.map_or(0, Message::capacity) <= 2 * bomb.len());
    feed(&mut decoder, &frame(0x80, b""), &mut items).unwrap();
    assert_eq!(items, [Received::Binary(vec![0; 900_000])]);
    assert!(decoder.is_idle());
}

#[test]
fn text_is_checked_as_it_comes_out() {
    let bad = deflated(&[&[b'a'; 100][..], &[0xE2, 0x82]].concat());
    let expected = (Vec::new(), Some(Violation::InvalidUtf8));
    assert_eq!(decode(1000, &frame(0xC1, &bad)), expected);
    let (items, violation) = decode(1000, &frame(0xC2, &bad));
    assert_eq!((items.len(), violation), (1, None));
    let garbage = decode(1000, &frame(0xC1, &[0xFF, 0xFF]));
    assert_eq!(garbage, (Vec::new(), Some(Violation::InvalidDeflate)));
    assert_eq!(Violation::InvalidDeflate.close_code(), 1007);
}

proptest! {
    /// Messages come out as they went in, however they are compressed, fragmented and cut.
    #[test]
    fn any_chunking_of_compressed_messages_gives_what_was_sent(
        messages in prop::collection::vec(
            (prop::collection::vec(0_u8..6, 0..2000), any::<prop::sample::Index>(), any::<bool>()),
            1..6,
        ),
        size in 1_usize..500,
    ) {
        let deflater = Deflater::new(0, 12, 6);
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (data, cut, compress) in messages {
            let compressed = compress && deflater.frame(OpCode::Binary, &data).is_some();
            let payload = if compressed { deflated(&data) } else { data.clone() };
            let (first, second) = payload.split_at(cut.index(payload.len() + 1));
            bytes.extend(frame(if compressed { 0x42 } else { 0x02 }, first));
            bytes.extend(frame(0x80, second));
            expected.push(Received::Binary(data));
        }
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        let decoded = decode_all(&mut deflating(1_000_000), &pieces);
        prop_assert_eq!(decoded, (expected, None));
    }

    #[test]
    fn arbitrary_bytes_behind_the_handshake_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        decode(1000, &bytes);
        decode(1000, &frame(0xC1, &bytes));
    }
}
