use super::*;

mod deflate;
mod direct;
mod properties;
mod violations;

/// An item without its borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Received {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Item<'_>> for Received {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Text(text) => Self::Text(text.into_owned()),
            Item::Binary(data) => Self::Binary(data.into_owned()),
            Item::Ping(payload) => Self::Ping(payload.to_vec()),
            Item::Pong(payload) => Self::Pong(payload.to_vec()),
            Item::Close(frame) => {
                Self::Close(frame.map(|frame| (frame.code, frame.reason.to_owned())))
            }
        }
    }
}

fn server() -> Decoder {
    Decoder::new(Role::Server, Limits::default())
}

/// Feeds one piece of the stream and collects what it completes.
fn feed(decoder: &mut Decoder, bytes: &[u8], items: &mut Vec<Received>) -> Result<(), Violation> {
    let mut bytes = bytes.to_vec();
    let mut rest = bytes.as_mut_slice();
    loop {
        let Decoded { consumed, item } = decoder.decode(rest)?;
        let Some(item) = item else {
            assert_eq!(
                consumed,
                rest.len(),
                "without an item everything is consumed"
            );
            return Ok(());
        };
        items.push(item.into());
        rest = &mut rest[consumed..];
    }
}

fn decode_all(decoder: &mut Decoder, pieces: &[&[u8]]) -> (Vec<Received>, Option<Violation>) {
    let mut items = Vec::new();
    for piece in pieces {
        if let Err(violation) = feed(decoder, piece, &mut items) {
            return (items, Some(violation));
        }
    }
    (items, None)
}

/// A frame as a client sends it.
fn masked(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    masked_with([0x37, 0xFA, 0x21, 0x3D], fin, opcode, payload)
}

fn masked_with(key: [u8; 4], fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Header::new(opcode, payload.len()).as_bytes().to_vec();
    if !fin {
        frame[0] &= 0x7F;
    }
    frame[1] |= 0x80;
    frame.extend(key);
    let start = frame.len();
    frame.extend(payload);
    mask(key, 0, &mut frame[start..]);
    frame
}

fn ping(payload: &[u8]) -> Received {
    Received::Ping(payload.to_vec())
}

fn text(text: &str) -> Received {
    Received::Text(text.to_owned())
}

#[test]
fn the_examples_of_the_specification() {
    let check = |role, bytes: &[u8], expected: Received| {
        let mut decoder = Decoder::new(role, Limits::default());
        let decoded = decode_all(&mut decoder, &[bytes]);
        assert_eq!(decoded, (vec![expected], None), "{bytes:x?}");
        assert!(decoder.is_idle());
    };
    check(Role::Client, b"\x81\x05Hello", text("Hello"));
    check(
        Role::Server,
        b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        text("Hello"),
    );
    check(Role::Client, b"\x01\x03Hel\x80\x02lo", text("Hello"));
    check(Role::Client, b"\x89\x05Hello", ping(b"Hello"));
    check(
        Role::Server,
        b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        Received::Pong(b"Hello".to_vec()),
    );
    for len in [256_usize, 65_536] {
        let bytes = [Header::new(OpCode::Binary, len).as_bytes(), &vec![7; len]].concat();
        check(Role::Client, &bytes, Received::Binary(vec![7; len]));
    }
}

#[test]
fn a_short_text_that_is_there_is_taken_alone() {
    let mut decoder = server();
    let first = masked(true, OpCode::Text, b"first");
    let second = masked(true, OpCode::Text, "\u{20AC}".as_bytes());
    let mut input = [&first[..], &second, &masked(true, OpCode::Ping, b"")].concat();
    let mut rest = input.as_mut_slice();
    assert_eq!(decoder.take_text(&mut rest), Ok(Some("first")));
    assert_eq!(decoder.take_text(&mut rest), Ok(Some("\u{20AC}")));
    let ping_len = rest.len();
    assert_eq!(decoder.take_text(&mut rest), Ok(None));
    assert_eq!(rest.len(), ping_len);
}

#[test]
fn what_is_no_short_text_or_not_all_there_is_left_to_be_decoded() {
    let whole = masked(true, OpCode::Text, b"text");
    let begun = masked(false, OpCode::Text, b"be");
    for (before, input) in [
        (&[][..], &b""[..]),
        (&[], &whole[..whole.len() - 1]),
        (&[], &begun),
        (&begun, &masked(true, OpCode::Continuation, b"gun")),
        (&begun, &masked(true, OpCode::Ping, b"")),
        (&whole[..3], &whole[3..]),
        (&[], &masked(true, OpCode::Text, &[b'x'; 126])),
        (&[], &masked(true, OpCode::Binary, b"data")),
        (&[], b"\x81\x04text"),
    ] {
        let mut decoder = server();
        assert_eq!(decode_all(&mut decoder, &[before]), (vec![], None));
        let mut bytes = input.to_vec();
        let mut rest = bytes.as_mut_slice();
        assert_eq!(decoder.take_text(&mut rest), Ok(None), "{input:x?}");
        assert_eq!(rest, input);
    }
}

#[test]
fn a_text_that_is_taken_has_to_be_utf_8() {
    let mut decoder = server();
    let mut input = masked(true, OpCode::Text, b"\xE2\x82");
    let taken = decoder.take_text(&mut input.as_mut_slice());
    assert_eq!(taken, Err(Violation::InvalidUtf8));
    let mut next = masked(true, OpCode::Text, b"next");
    assert_eq!(decoder.take_text(&mut next.as_mut_slice()), Ok(None));
}

#[test]
fn control_frames_between_fragments_come_out_first() {
    let stream = [
        masked(false, OpCode::Text, b"a\xE2"),
        masked(true, OpCode::Ping, b"one"),
        masked(false, OpCode::Continuation, b""),
        masked(true, OpCode::Pong, b""),
        masked(false, OpCode::Continuation, b"\x82"),
        masked(true, OpCode::Continuation, b"\xAC"),
        masked(true, OpCode::Ping, b"two"),
    ]
    .concat();
    let expected = vec![
        ping(b"one"),
        Received::Pong(Vec::new()),
        text("a\u{20AC}"),
        ping(b"two"),
    ];
    let by_byte: Vec<&[u8]> = stream.chunks(1).collect();
    for pieces in [vec![stream.as_slice()], by_byte] {
        let mut decoder = server();
        assert_eq!(decode_all(&mut decoder, &pieces), (expected.clone(), None));
        assert!(decoder.is_idle());
    }
}

#[test]
fn a_message_that_lies_in_the_input_is_borrowed_from_it() {
    let bytes = masked(true, OpCode::Text, b"borrowed");
    let is_borrowed = |header_alone: bool| {
        let mut decoder = server();
        let mut bytes = bytes.clone();
        let (header, payload) = bytes.split_at_mut(6);
        let decoded = if header_alone {
            assert_eq!(decoder.decode(header).unwrap().item, None);
            decoder.decode(payload)
        } else {
            decoder.decode(&mut bytes)
        };
        matches!(decoded.unwrap().item, Some(Item::Text(Cow::Borrowed(_))))
    };
    assert!(is_borrowed(false), "a whole frame");
    assert!(is_borrowed(true), "a payload whose header came before");
}

#[test]
fn after_a_close_frame_nothing_is_delivered() {
    let mut stream = masked(false, OpCode::Text, b"never finished");
    stream.extend(masked(true, OpCode::Close, b"\x03\xE8bye"));
    stream.extend(masked(true, OpCode::Text, b"too late"));
    stream.extend([0xFF; 20]);
    let expected = vec![Received::Close(Some((1000, "bye".to_owned())))];
    for size in [1, 3, stream.len()] {
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        let mut decoder = server();
        assert_eq!(decode_all(&mut decoder, &pieces), (expected.clone(), None));
        assert!(decoder.is_idle());
        assert!(decoder.stream.is_none(), "the unfinished message is gone");
    }
}

#[test]
fn a_decoder_is_small_and_holds_nothing_between_messages() {
    assert!(size_of::<Decoder>() <= 104, "{}", size_of::<Decoder>());
    let holds_nothing = |decoder: &Decoder| {
        let stream = decoder.stream.as_ref().unwrap();
        stream.message.is_none() && decoder.control.is_none()
    };
    let payload = vec![b'x'; 65_536];
    for opcode in [OpCode::Text, OpCode::Binary] {
        let frame = masked(true, opcode, &payload);
        let mut decoder = server();
        for size in [1000, 4096, frame.len()] {
            let mut items = Vec::new();
            for (index, piece) in frame.chunks(size).enumerate() {
                let is_last = (index + 1) * size >= frame.len();
                feed(&mut decoder, piece, &mut items).unwrap();
                assert_eq!(decoder.is_idle(), is_last);
                assert_eq!(holds_nothing(&decoder), is_last);
            }
            assert_eq!(items.len(), 1);
        }
    }
    let frame = masked(true, OpCode::Ping, &[9; 125]);
    let mut decoder = decoder_after(&frame[..50]);
    assert!(
        !holds_nothing(&decoder),
        "the payload is being put together"
    );
    let mut rest = frame[50..].to_vec();
    let item = decoder.decode(&mut rest).unwrap().item;
    assert_eq!(item, Some(Item::Ping(&[9; 125])));
    assert!(decoder.is_idle());
    assert_eq!(decoder.decode(&mut []).unwrap().item, None);
    assert!(holds_nothing(&decoder));
}

fn decoder_after(bytes: &[u8]) -> Decoder {
    let mut decoder = server();
    feed(&mut decoder, bytes, &mut Vec::new()).unwrap();
    decoder
}

#[test]
fn memory_grows_with_the_data_and_not_with_the_declared_length() {
    let len = 1_000_000;
    let frame = masked(true, OpCode::Binary, &vec![1; len]);
    let mut decoder = decoder_after(&frame[..14]);
    let capacity = |decoder: &Decoder| {
        let stream = decoder.stream.as_ref().unwrap();
        stream.message.as_ref().map_or(0, Message::capacity)
    };
    assert_eq!(capacity(&decoder), 0);
    let mut items = Vec::new();
    let mut fed = 0;
    let mut capacities = Vec::new();
    for piece in frame[14..].chunks(3000) {
        feed(&mut decoder, piece, &mut items).unwrap();
        fed += piece.len();
        assert!(capacity(&decoder) <= (2 * fed).min(len), "after {fed}");
        capacities.push(capacity(&decoder));
    }
    capacities.dedup();
    assert!(
        capacities.len() <= 12,
        "it doubles, else copying is quadratic: {capacities:?}"
    );
    let Some(Received::Binary(data)) = items.pop() else {
        panic!("the message is complete");
    };
    assert_eq!(data.len(), len);
}
