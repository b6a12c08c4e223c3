use proptest::prelude::*;

use super::*;

const BUDGET: usize = 32 * 1024 * 1024;

fn inflate(payload: &[u8], limit: usize) -> Result<Vec<u8>, Violation> {
    let inflater = Inflater::new(BUDGET);
    let result = inflater.inflate(payload, limit);
    assert_eq!(
        inflater.budget.used.load(Ordering::Relaxed),
        0,
        "given back"
    );
    result
}

/// The payload of a frame that was compressed.
fn payload(frame: &[u8]) -> &[u8] {
    assert_eq!(frame[0] & 0x70, RSV1_ONLY);
    match frame[1] {
        126 => &frame[4..],
        127 => &frame[10..],
        _ => &frame[2..],
    }
}

const RSV1_ONLY: u8 = 0x40;

#[test]
fn the_examples_of_the_specification_are_read() {
    for (payload, expected) in [
        // 7.2.3.1: one block.
        (&[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00][..], "Hello"),
        // 7.2.3.3: without compression.
        (
            &[
                0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00,
            ],
            "Hello",
        ),
        // 7.2.3.4: a final block.
        (&[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00], "Hello"),
        // 7.2.3.5: two blocks.
        (
            &[
                0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00,
            ],
            "Hello",
        ),
        // 7.2.3.6: an empty message.
        (&[0x00], ""),
        // Not in the specification, but harmless: nothing at all, and a final block with nothing
        // behind it.
        (&[], ""),
        (&[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], "Hello"),
    ] {
        assert_eq!(
            inflate(payload, 5).unwrap(),
            expected.as_bytes(),
            "{payload:x?}"
        );
    }
}

#[test]
fn the_first_example_of_the_specification_is_what_we_write() {
    // Longer than "Hello", which would not become smaller.
    let frame = Deflater::new(0, 12, 6)
        .frame(OpCode::Text, &[b'H'; 40])
        .unwrap();
    assert_eq!(frame[0], 0xC1);
    assert_eq!(usize::from(frame[1]), frame.len() - 2);
    assert!(!frame.ends_with(&TAIL));
    assert_eq!(inflate(payload(&frame), 40).unwrap(), [b'H'; 40]);
}

#[test]
fn context_is_not_taken_over() {
    let deflater = Deflater::new(0, 12, 6);
    let data = b"some text that has nothing in common with itself".repeat(3);
    let first = deflater.frame(OpCode::Text, &data).unwrap();
    let second = deflater.frame(OpCode::Text, &data).unwrap();
    assert_eq!(first, second);
    // 7.2.3.2: the second message of that example refers to the first one.
    let taken_over = [0xF2, 0x00, 0x11, 0x00, 0x00];
    assert_eq!(inflate(&taken_over, 100), Err(Violation::InvalidDeflate));
}

#[test]
fn what_is_not_deflate_or_has_no_end_or_more_behind_its_end_is_refused() {
    for bad in [
        // A reserved type of block.
        &[0x06][..],
        &[0xFF, 0xFF, 0xFF],
        // A length that its complement does not confirm.
        &[0x00, 0x05, 0x00, 0xFA, 0xFE, 0x48],
        // Cut within a block.
        &[0xF2, 0x48, 0xCD],
        &[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65],
        // The tail was not left out, once and twice over, or something hides behind a final block.
        &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00, 0x00],
        &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x01],
        &[
            0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00, 0x00, 0xFF, 0xFF,
        ],
        &[0x03, 0x00, 0x03, 0x00, 0x03, 0x00],
    ] {
        assert_eq!(
            inflate(bad, 1000),
            Err(Violation::InvalidDeflate),
            "{bad:x?}"
        );
    }
    // A thread's state is as good as new after any of them.
    assert_eq!(
        inflate(&[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], 5).unwrap(),
        b"Hello"
    );
}

#[test]
fn a_tail_that_was_not_left_out_is_two_empty_blocks() {
    let payload = [
        0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0x00,
    ];
    assert_eq!(inflate(&payload, 5).unwrap(), b"Hello");
}

#[test]
fn inflating_stops_at_the_limit_and_one() {
    let zeros = vec![0; 1_000_000];
    let frame = Deflater::new(0, 15, 9)
        .frame(OpCode::Binary, &zeros)
        .unwrap();
    let bomb = payload(&frame);
    assert!(bomb.len() < 1100, "{}", bomb.len());
    assert_eq!(inflate(bomb, 1_000_000).unwrap().len(), 1_000_000);
    for limit in [999_999, 100_000, 1000, 1, 0] {
        let declared = limit as u64 + 1;
        let expected = Err(Violation::MessageTooLarge { declared, limit });
        assert_eq!(inflate(bomb, limit), expected);
    }
}

#[test]
fn no_more_memory_is_taken_than_the_limit_and_one() {
    let frame = Deflater::new(0, 15, 9)
        .frame(OpCode::Binary, &vec![0; 6_000_000])
        .unwrap();
    // A budget of exactly that shows that nothing beyond it was asked for.
    let inflater = Inflater::new(10_001);
    let refused = inflater.inflate(payload(&frame), 10_000);
    assert_eq!(
        refused,
        Err(Violation::MessageTooLarge {
            declared: 10_001,
            limit: 10_000
        })
    );
}

#[test]
fn the_budget_is_shared_and_given_back() {
    let frame = Deflater::new(0, 12, 6)
        .frame(OpCode::Binary, &[0; 5000])
        .unwrap();
    let inflater = Inflater::new(6000);
    let clone = inflater.clone();
    let other = {
        let mut share = Share {
            budget: &clone.budget,
            taken: 0,
        };
        share.take(2000).unwrap();
        share
    };
    let refused = inflater.inflate(payload(&frame), 100_000);
    assert_eq!(refused, Err(Violation::InflateBudget { limit: 6000 }));
    assert_eq!(Violation::InflateBudget { limit: 6000 }.close_code(), 1009);
    drop(other);
    let large = Inflater::new(20_000).inflate(payload(&frame), 100_000);
    assert_eq!(large.unwrap().len(), 5000);
    assert_eq!(inflater.budget.used.load(Ordering::Relaxed), 0);
}

#[test]
fn payloads_below_the_threshold_or_that_grow_are_left_alone() {
    let deflater = Deflater::new(100, 12, 6);
    assert_eq!(deflater.frame(OpCode::Text, &[b'a'; 99]), None);
    assert!(deflater.frame(OpCode::Text, &[b'a'; 100]).is_some());
    let eager = Deflater::new(0, 12, 6);
    for small in [&b""[..], b"a", b"Hello"] {
        assert_eq!(eager.frame(OpCode::Text, small), None);
    }
}

#[test]
fn settings_out_of_range_are_moved_to_the_nearest() {
    for (window, expected) in [
        (0, 9),
        (8, 9),
        (9, 9),
        (12, 12),
        (15, 15),
        (16, 15),
        (255, 15),
    ] {
        let deflater = Deflater::new(usize::MAX, window, 255);
        assert_eq!(deflater.window_bits(), expected);
        assert_eq!(deflater.level, 9);
    }
    assert_eq!(size_of::<Option<Deflater>>(), 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_message_is_read_back(
        data in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..3000),
            prop::collection::vec(0_u8..4, 0..10_000),
            (any::<u8>(), 0_usize..70_000).prop_map(|(byte, len)| vec![byte; len]),
        ],
        window in 9_u8..=15,
        level in 1_u8..=9,
    ) {
        if let Some(frame) = Deflater::new(0, window, level).frame(OpCode::Binary, &data) {
            prop_assert!(payload(&frame).len() < data.len());
            prop_assert_eq!(inflate(payload(&frame), data.len()).unwrap(), data);
        }
    }

    #[test]
    fn arbitrary_payloads_never_panic_and_never_exceed_the_limit(
        payload in prop::collection::vec(any::<u8>(), 0..400),
        limit in 0_usize..2000,
    ) {
        if let Ok(data) = inflate(&payload, limit) {
            prop_assert!(data.len() <= limit);
        }
    }
}
