//! What breaks the protocol, when that is noticed, and what the peer is told.

use super::*;

fn check_with(limits: Limits, role: Role, bytes: &[u8], expected: Violation, code: u16) {
    assert_eq!(expected.close_code(), code, "{expected}");
    let by_byte: Vec<&[u8]> = bytes.chunks(1).collect();
    for pieces in [&[bytes][..], &by_byte] {
        let mut decoder = Decoder::new(role, limits);
        let (_, violation) = decode_all(&mut decoder, pieces);
        assert_eq!(violation, Some(expected), "{bytes:x?}");
        let afterwards = masked(true, OpCode::Text, b"more");
        let (items, violation) = decode_all(&mut decoder, &[&afterwards]);
        assert_eq!((items, violation), (Vec::new(), None), "{bytes:x?}");
        assert!(decoder.is_idle());
    }
}

fn check(role: Role, bytes: &[u8], expected: Violation, code: u16) {
    check_with(Limits::default(), role, bytes, expected, code);
}

/// Each input ends with the byte that breaks the rule, so none of them can be noticed late.
#[test]
fn headers_that_break_the_protocol() {
    use Violation as V;
    let cases: [(&[u8], Violation); 22] = [
        (b"\xC1", V::ReservedBits(0x40)),
        (b"\xA1", V::ReservedBits(0x20)),
        (b"\x91", V::ReservedBits(0x10)),
        (b"test", V::ReservedBits(0x70)),
        (b"\x83", V::ReservedOpcode(3)),
        (b"\x87", V::ReservedOpcode(7)),
        (b"\x8B", V::ReservedOpcode(11)),
        (b"\x8F", V::ReservedOpcode(15)),
        (b"\x08", V::ControlFragmented),
        (b"\x09", V::ControlFragmented),
        (b"\x0A", V::ControlFragmented),
        (b"\x81\x05", V::NotMasked),
        (b"\x88\x00", V::NotMasked),
        (b"\x88\xFE", V::ControlTooLong),
        (b"\x89\xFE", V::ControlTooLong),
        (b"\x8A\xFF", V::ControlTooLong),
        (b"\x82\xFE\x00\x7D", V::LengthNotMinimal(125)),
        (b"\x82\xFE\x00\x00", V::LengthNotMinimal(0)),
        (
            b"\x82\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF",
            V::LengthNotMinimal(0xFFFF),
        ),
        (
            b"\x82\xFF\x80\x00\x00\x00\x00\x00\x00\x00",
            V::LengthOutOfRange(1 << 63),
        ),
        (b"\x80\x80\x01\x02\x03\x04", V::NothingToContinue),
        (
            b"\x01\x80\x01\x02\x03\x04\x81\x80\x01\x02\x03\x04",
            V::MessageInterrupted,
        ),
    ];
    for (bytes, violation) in cases {
        check(Role::Server, bytes, violation, 1002);
    }
    check(Role::Client, b"\x81\x85", Violation::Masked, 1002);
    check(
        Role::Client,
        b"\x80\x00",
        Violation::NothingToContinue,
        1002,
    );
    let interrupted = b"\x02\x01a\x80\x00\x02\x00\x01\x01";
    check(
        Role::Client,
        interrupted,
        Violation::MessageInterrupted,
        1002,
    );
}

#[test]
fn close_frames_that_break_the_protocol() {
    let check = |payload: &[u8], violation, code| {
        let frame = masked(true, OpCode::Close, payload);
        check(Role::Server, &frame, violation, code);
    };
    check(b"\x03", Violation::CloseCodeIncomplete, 1002);
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        let violation = Violation::CloseCodeInvalid(code);
        check(&code.to_be_bytes(), violation, 1002);
    }
    check(b"\x03\xE8\xC3\x28", Violation::InvalidUtf8, 1007);
}

#[test]
fn messages_over_the_limit_are_refused_at_their_header() {
    let limits = Limits {
        max_message: 1000,
        max_fragments: 0,
    };
    let check = |before: &[u8], declared_here: usize, declared: u64| {
        let opcode = if before.is_empty() {
            OpCode::Text
        } else {
            OpCode::Continuation
        };
        let mut header = Header::new(opcode, declared_here).as_bytes().to_vec();
        header[1] |= 0x80;
        let bytes = [before, &header, &[1, 2, 3, 4]].concat();
        let violation = Violation::MessageTooLarge {
            declared,
            limit: 1000,
        };
        check_with(limits, Role::Server, &bytes, violation, 1009);
    };
    check(b"", 1001, 1001);
    check(b"", 1 << 32, 1 << 32);
    check(b"", (1 << 63) - 1, (1 << 63) - 1);
    // A character that the first fragment cuts counts as well.
    let cut = [&[b'a'; 600][..], b"\xE2"].concat();
    let begun = masked(false, OpCode::Text, &cut);
    check(&begun, 400, 1001);
    let with_ping = [begun, masked(true, OpCode::Ping, &[0; 125])].concat();
    check(&with_ping, (1 << 63) - 1, (1 << 63) + 600);

    let exact = [
        masked(false, OpCode::Binary, &[0; 600]),
        masked(true, OpCode::Continuation, &[0; 400]),
    ]
    .concat();
    let mut decoder = Decoder::new(Role::Server, limits);
    let decoded = decode_all(&mut decoder, &[&exact]);
    assert_eq!(decoded, (vec![Received::Binary(vec![0; 1000])], None));
}

#[test]
fn fragments_are_counted_even_when_empty() {
    let limits = |max_fragments| Limits {
        max_message: 1000,
        max_fragments,
    };
    let fragments = |count: usize| {
        let mut bytes = masked(false, OpCode::Text, b"");
        for _ in 2..count {
            bytes.extend(masked(false, OpCode::Continuation, b""));
        }
        bytes.extend(masked(true, OpCode::Continuation, b"end"));
        bytes
    };
    let violation = Violation::TooManyFragments { limit: 3 };
    check_with(limits(3), Role::Server, &fragments(4), violation, 1008);
    let violation = Violation::TooManyFragments { limit: 1 };
    check_with(limits(1), Role::Server, &fragments(2), violation, 1008);
    // The count begins anew with each message.
    for (limit, count) in [(3, 3), (3, 2), (0, 5000)] {
        let mut decoder = Decoder::new(Role::Server, limits(limit));
        let stream = fragments(count).repeat(2);
        let decoded = decode_all(&mut decoder, &[&stream]);
        assert_eq!(decoded, (vec![text("end"), text("end")], None));
    }
}

/// Bytes that cannot become UTF-8 are noticed when the first such byte arrives: within a frame that
/// has not ended, and in any fragment.
#[test]
fn invalid_text_is_refused_with_its_first_bad_byte() {
    let prefix = "\u{3BA}\u{20AC}\u{1F600}z".as_bytes();
    let boundaries = [0, 2, 5, 9, 10];
    let bad_sequences: [&[u8]; 7] = [
        b"\x80",
        b"\xC0",
        b"\xC3\x28",
        b"\xE0\x80",
        b"\xED\xA0",
        b"\xF4\x90",
        b"\xFF",
    ];
    for bad in bad_sequences {
        for boundary in boundaries {
            let content = [&prefix[..boundary], bad].concat();
            let declared = [&content, &b"more to come"[..]].concat();
            let mut unfinished = masked(true, OpCode::Text, &declared);
            unfinished.truncate(6 + content.len());
            check(Role::Server, &unfinished, Violation::InvalidUtf8, 1007);
            let before_last = &unfinished[..unfinished.len() - 1];
            assert!(!decoder_after(before_last).is_idle());

            for cut in 0..=content.len() {
                let mut bytes = masked(false, OpCode::Text, &content[..cut]);
                bytes.extend(masked(false, OpCode::Continuation, &content[cut..]));
                check(Role::Server, &bytes, Violation::InvalidUtf8, 1007);
            }
        }
    }
}

#[test]
fn text_may_not_end_within_a_character() {
    let whole = "\u{3BA}\u{20AC}\u{1F600}";
    for end in (0..whole.len()).filter(|end| !whole.is_char_boundary(*end)) {
        let content = &whole.as_bytes()[..end];
        let frame = masked(true, OpCode::Text, content);
        check(Role::Server, &frame, Violation::InvalidUtf8, 1007);
        let mut fragments = masked(false, OpCode::Text, content);
        fragments.extend(masked(true, OpCode::Continuation, b""));
        check(Role::Server, &fragments, Violation::InvalidUtf8, 1007);
    }
}

#[test]
fn binary_messages_are_not_looked_at() {
    let mut stream = masked(true, OpCode::Binary, b"\xFF\xC0");
    stream.extend(masked(true, OpCode::Ping, b"\xFE"));
    let by_byte: Vec<&[u8]> = stream.chunks(1).collect();
    let expected = vec![Received::Binary(b"\xFF\xC0".to_vec()), ping(b"\xFE")];
    assert_eq!(decode_all(&mut server(), &by_byte), (expected, None));
}
