use proptest::prelude::*;

use super::*;

fn text(data: &str) -> Packet<'_> {
    Packet::Message(Message::Text(Cow::Borrowed(data)))
}

fn binary(data: &[u8]) -> Packet<'static> {
    Packet::Message(Message::Binary(Bytes::copy_from_slice(data)))
}

fn decoded<'a>(payload: Payload<'a>) -> (Vec<Packet<'a>>, Option<ParseError>) {
    let mut packets = Vec::new();
    for packet in payload {
        match packet {
            Ok(packet) => packets.push(packet),
            Err(error) => return (packets, Some(error)),
        }
    }
    (packets, None)
}

#[test]
fn packets_are_those_of_revision_4_but_for_binary_ones() {
    for (input, expected) in [
        ("4hello", Ok(text("hello"))),
        ("2probe", Ok(Packet::Ping("probe"))),
        ("3", Ok(Packet::Pong(""))),
        ("1", Ok(Packet::Close)),
        ("5", Ok(Packet::Upgrade)),
        ("6", Ok(Packet::Noop)),
        ("b4AQIDBA==", Ok(binary(&[1, 2, 3, 4]))),
        ("b4", Ok(binary(&[]))),
        ("b", Err(ParseError::Empty)),
        ("bAQIDBA==", Err(ParseError::UnknownType('A'))),
        ("b2AQID", Err(ParseError::UnknownType('2'))),
        ("b4A", Err(ParseError::Base64)),
        ("", Err(ParseError::Empty)),
        ("7", Err(ParseError::UnknownType('7'))),
    ] {
        assert_eq!(decode_text(input), expected, "{input:?}");
    }
    for (input, expected) in [
        (&[4, 1, 2][..], Ok(binary(&[1, 2]))),
        (&[4], Ok(binary(&[]))),
        (&[], Err(ParseError::Empty)),
        (b"4", Err(ParseError::UnknownType('4'))),
        (&[2, 1], Err(ParseError::UnknownType('\u{2}'))),
        (&[255], Err(ParseError::UnknownType('\u{ff}'))),
    ] {
        assert_eq!(
            decode_binary(Bytes::copy_from_slice(input)),
            expected,
            "{input:?}"
        );
    }
}

#[test]
fn text_bodies_are_split_by_utf_16_lengths() {
    let length = Some(ParseError::Length);
    for (body, packets, error) in [
        ("6:4hello", vec![text("hello")], None),
        (
            "6:4hello2:4\u{20ac}",
            vec![text("hello"), text("\u{20ac}")],
            None,
        ),
        (
            "3:4\u{1f600}1:2",
            vec![text("\u{1f600}"), Packet::Ping("")],
            None,
        ),
        (
            "7:4\u{1f44d}\u{1f3fd}e\u{301}",
            vec![text("\u{1f44d}\u{1f3fd}e\u{301}")],
            None,
        ),
        ("10:b4AQIDBA==", vec![binary(&[1, 2, 3, 4])], None),
        ("0006:4hello", vec![text("hello")], None),
        ("4:41:2", vec![text("1:2")], None),
        ("0:", vec![], None),
        ("0:0:1:2", vec![Packet::Ping("")], None),
        ("", vec![], Some(ParseError::Empty)),
        (":4", vec![], length),
        ("4hello", vec![], length),
        ("1", vec![], length),
        ("7:4hello", vec![], length),
        ("1:21", vec![Packet::Ping("")], length),
        ("1:22", vec![Packet::Ping("")], length),
        ("5:4hello", vec![text("hell")], length),
        // Within a surrogate pair.
        ("2:4\u{1f600}", vec![], length),
        ("-1:4", vec![], length),
        ("+1:4", vec![], length),
        (" 1:4", vec![], length),
        ("1.0:4", vec![], length),
        ("1e0:4", vec![], length),
        ("0x1:4", vec![], length),
        ("\u{661}:4", vec![], length),
        ("NaN:4", vec![], length),
        ("Infinity:4", vec![], length),
        ("999999:4a", vec![], length),
        ("9999999999999999:4a", vec![], length),
        ("00000000000000001:4", vec![], length),
        ("1:x1:2", vec![], Some(ParseError::UnknownType('x'))),
        ("2:b!", vec![], Some(ParseError::UnknownType('!'))),
    ] {
        assert_eq!(
            decoded(Payload::of_text(body, 4)),
            (packets, error),
            "{body:?}"
        );
    }
}

#[test]
fn binary_bodies_are_split_by_byte_lengths() {
    let length = Some(ParseError::Length);
    for (body, packets, error) in [
        (
            &b"\x00\x04\xff4\xe2\x82\xac\x01\x04\xff\x04\x01\x02\x03"[..],
            vec![text("\u{20ac}"), binary(&[1, 2, 3])],
            None,
        ),
        (b"\x01\x01\xff\x04", vec![binary(&[])], None),
        (b"\x00\x00\x01\xff2", vec![Packet::Ping("")], None),
        (b"\x00\x00\xff\x01\x00\xff", vec![], None),
        (b"\x00\x01\x00\xff4123456789", vec![text("123456789")], None),
        // Half a surrogate pair, as JavaScript may write it.
        (
            b"\x00\x04\xff4\xed\xa0\xbd",
            vec![text("\u{fffd}\u{fffd}\u{fffd}")],
            None,
        ),
        (b"\x00\x02\xff2\xff", vec![], Some(ParseError::Utf8)),
        (b"", vec![], Some(ParseError::Empty)),
        (b"\x00", vec![], length),
        (b"\x00\xff", vec![], length),
        (b"\x00\x01", vec![], length),
        (b"\x00\x01\xff", vec![], length),
        (b"\x01\x05\xff\x04\x01\x02", vec![], length),
        (b"\x001\xff2", vec![], length),
        (b"\x00\x0a\xff2222222222", vec![], length),
        (b"\x00\xfe\xff2", vec![], length),
        (
            b"\x02\x01\xff2",
            vec![],
            Some(ParseError::UnknownType('\u{2}')),
        ),
        (b"1:2", vec![], length),
        (
            b"\x01\x01\xff\x02",
            vec![],
            Some(ParseError::UnknownType('\u{2}')),
        ),
        (
            b"\x00\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff2",
            vec![],
            length,
        ),
        (
            b"\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xff2",
            vec![],
            length,
        ),
    ] {
        assert_eq!(
            decoded(Payload::of_binary(body, 4)),
            (packets, error),
            "{body:?}"
        );
    }
}

#[test]
fn packets_are_counted_also_the_empty_ones() {
    let too_many = Some(ParseError::TooManyPackets { limit: 4 });
    for (body, good, error) in [
        ("1:61:61:61:6", 4, None),
        ("1:61:61:61:61:6", 4, too_many),
        ("0:0:0:1:6", 1, None),
        ("0:0:0:0:1:6", 0, too_many),
    ] {
        let (packets, found) = decoded(Payload::of_text(body, 4));
        assert_eq!((packets.len(), found), (good, error), "{body:?}");
    }
    let body = b"\x00\x01\xff6".repeat(5);
    let (packets, found) = decoded(Payload::of_binary(&body, 4));
    assert_eq!((packets.len(), found), (4, too_many));
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
            for packet in ["1:6", "0:", "3:4\u{1f600}"] {
                let body = packet.repeat(packets);
                let payload = Payload::of_text(&body, limit);
                let shown = (packets, limit, packet);
                assert_eq!(payload.is_within_limit(), is_within, "{shown:?}");
            }
            for packet in [&b"\x00\x01\xff6"[..], b"\x01\x00\xff", b"\x00\x02\xff4\x80"] {
                let body = packet.repeat(packets);
                let payload = Payload::of_binary(&body, limit);
                let shown = (packets, limit, packet);
                assert_eq!(payload.is_within_limit(), is_within, "{shown:?}");
            }
        }
    }
    // What is wrong in front of the limit is found by who decodes.
    for body in ["1:61:6x1:61:61:6", "9:6666", "1:61:61:6:", "::::::"] {
        assert!(Payload::of_text(body, 4).is_within_limit(), "{body:?}");
    }
    assert!(!Payload::of_text("1:61:61:61:6:", 4).is_within_limit());
    assert!(!Payload::of_text("", 0).is_within_limit());
}

/// Every prefix of a valid body ends with packets or an error, and an error takes nothing back.
#[test]
fn every_truncation_ends() {
    let body = "6:4hello3:4\u{1f600}10:b4AQIDBA==1:212:4\u{20ac}345678901";
    let (whole, _) = decoded(Payload::of_text(body, 100));
    for (end, _) in body.char_indices() {
        let (packets, _) = decoded(Payload::of_text(&body[..end], 100));
        assert_eq!(packets[..], whole[..packets.len()], "prefix of {end}");
    }
    let body = b"\x00\x04\xff4\xe2\x82\xac\x01\x04\xff\x04\x01\x02\x03\x00\x01\x00\xff4123456789";
    let (whole, _) = decoded(Payload::of_binary(body, 100));
    for end in 0..body.len() {
        let (packets, error) = decoded(Payload::of_binary(&body[..end], 100));
        assert_eq!(packets[..], whole[..packets.len()], "prefix of {end}");
        assert_eq!(error.is_none(), [7, 14].contains(&end), "prefix of {end}");
    }
}

/// T-ADV-04: the work is counted, not timed, and grows with the body: no character is looked at twice,
/// and of a length that does not fit nothing but its digits.
#[test]
fn bodies_made_for_much_work_take_one_step_for_each_byte() {
    const SIZE: usize = 1_000_000;
    let text = |pattern: &str| pattern.repeat(SIZE / pattern.len());
    let bodies = [
        text("1:2"),
        text("2:4\u{bc}"),
        text("3:4\u{1f600}"),
        text("0:"),
        format!("999999:4{}", "a".repeat(SIZE)),
        format!("999999999999999:4{}", "a".repeat(SIZE)),
        format!("{}:4{}", SIZE / 2 + 2, "\u{bc}".repeat(SIZE / 2)),
        "1".repeat(SIZE),
        "0".repeat(SIZE),
        ":".repeat(SIZE),
        "\u{1f600}".repeat(SIZE / 4),
    ];
    for body in bodies {
        for limit in [10_000, usize::MAX] {
            steps::take();
            let count = Payload::of_text(&body, limit).count();
            assert!(count <= body.len() / 3 + 1);
            let steps = steps::take();
            assert!(steps <= body.len(), "{steps} steps for {body:.20}");
            let _ = Payload::of_text(&body, limit).is_within_limit();
            let steps = steps::take();
            assert!(steps <= body.len(), "{steps} steps to count {body:.20}");
        }
    }
    let bodies = [
        b"\x01\xff".repeat(SIZE / 2),
        b"\x01\x01\xff\x04".repeat(SIZE / 4),
        b"\x00\x00\xff".repeat(SIZE / 3),
        vec![1; SIZE],
        vec![0; SIZE],
        [
            b"\x00\x09\x09\x09\x09\x09\x09\xff4".to_vec(),
            vec![b'a'; SIZE],
        ]
        .concat(),
        vec![0xff; SIZE],
    ];
    for body in bodies {
        steps::take();
        let count = Payload::of_binary(&body, usize::MAX).count();
        assert!(count <= body.len() / 4 + 1);
        let steps = steps::take();
        assert!(steps <= body.len(), "{steps} steps for {:?}", &body[..8]);
    }
}

/// What comes when each packet is decoded for itself.
fn in_pieces<'a>(
    length: usize,
    decode: impl Fn(usize) -> Payload<'a>,
) -> Vec<Result<Packet<'a>, ParseError>> {
    let mut pieces = Vec::new();
    let mut left = Some(length);
    while let Some(rest) = left {
        let mut payload = decode(length - rest);
        pieces.extend(payload.next());
        left = payload.undecoded();
    }
    pieces
}

proptest! {
    #[test]
    fn a_text_body_may_be_decoded_in_pieces(body in "([0-3]:[2-4b\u{e9}\u{1f600}]{0,3}){0,6}") {
        let pieces = in_pieces(body.len(), |position| Payload::of_text(&body[position..], 100));
        prop_assert_eq!(pieces, Payload::of_text(&body, 100).collect::<Vec<_>>());
    }

    #[test]
    fn a_binary_body_may_be_decoded_in_pieces(
        body in prop::collection::vec(prop::sample::select(&[0_u8, 1, 2, 4, 50, 52, 255][..]), 0..40),
    ) {
        let pieces = in_pieces(body.len(), |position| Payload::of_binary(&body[position..], 100));
        prop_assert_eq!(pieces, Payload::of_binary(&body, 100).collect::<Vec<_>>());
    }

    #[test]
    fn any_text_body_ends_with_at_most_one_error(body in "[0-9:b2-4A=\u{e9}\u{1f600}]*", limit in 0_usize..8) {
        let all: Vec<_> = Payload::of_text(&body, limit).collect();
        let good = all.iter().take_while(|packet| packet.is_ok()).count();
        prop_assert!(good <= limit);
        prop_assert!(all.len() - good <= 1);
        prop_assert!(!body.is_empty() || all == [Err(ParseError::Empty)] || limit == 0);
    }

    #[test]
    fn any_binary_body_ends_with_at_most_one_error(
        body in prop::collection::vec(prop::sample::select(&[0_u8, 1, 2, 3, 4, 9, 50, 52, 128, 255][..]), 0..40),
        limit in 0_usize..8,
    ) {
        let all: Vec<_> = Payload::of_binary(&body, limit).collect();
        let good = all.iter().take_while(|packet| packet.is_ok()).count();
        prop_assert!(good <= limit);
        prop_assert!(all.len() - good <= 1);
    }
}
