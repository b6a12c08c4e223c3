use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const DIALECTS: [Dialect; 4] = [
    Dialect::new(Revision::V3, false),
    Dialect::new(Revision::V3, true),
    Dialect::new(Revision::V4, false),
    Dialect::new(Revision::V4, true),
];

fn message(text: &str) -> Entry {
    Entry::Message(Arc::new(Encoded::text_message(text)))
}

fn binary(len: usize) -> Entry {
    Entry::Message(Arc::new(Encoded::binary_message(Bytes::from(vec![9; len]))))
}

fn bytes_of(batch: &Batch) -> Vec<u8> {
    batch.pieces().flatten().copied().collect()
}

#[test]
fn a_polling_payload_joins_text_binary_and_control() {
    let mut queue = Queue::new();
    queue.push(message("hello"));
    queue.push(Entry::Message(Arc::new(Encoded::binary_message(
        Bytes::from_static(&[1, 2, 3, 4]),
    ))));
    queue.push(Entry::Control(Control::Ping));
    queue.push(Entry::Control(Control::Close));
    let body = queue.take(1000).body().unwrap();
    assert!(!body.is_binary);
    assert_eq!(body.bytes, b"4hello\x1ebAQIDBA==\x1e2\x1e1");
    assert_eq!((queue.bytes(), queue.is_empty()), (0, true));
}

#[test]
fn websocket_control_frames_have_no_polling_form() {
    let mut queue = Queue::new();
    let pong = Encoded::control_frame(crate::websocket::frame::OpCode::Pong, b"x");
    queue.push(Entry::Message(Arc::new(pong)));
    assert_eq!(queue.take(1000).body(), None);
    assert_eq!(queue.bytes(), 0);
}

#[test]
fn one_entry_larger_than_the_limit_is_taken_alone() {
    let mut queue = Queue::new();
    queue.push(binary(5000));
    queue.push(message("next"));
    let batch = queue.take(100);
    assert_eq!(batch.bytes(), 5004);
    assert_eq!(queue.bytes(), 7);
}

#[test]
fn the_first_entry_does_not_wait_behind_anything() {
    let mut queue = Queue::new();
    assert_eq!(queue.bytes_behind(), 0);
    queue.push(binary(5000));
    assert_eq!(queue.bytes_behind(), 0);
    queue.push(message("next"));
    assert_eq!(queue.bytes_behind(), 7);
    let mut batch = queue.take(100_000);
    batch.advance(10);
    queue.restore(batch);
    assert_eq!(queue.bytes_behind(), 7);
}

#[test]
fn what_waits_is_counted_anew_in_another_dialect() {
    let mut queue = Queue::in_dialect(DIALECTS[0]);
    queue.push(message("text"));
    queue.push(binary(300));
    queue.push(Entry::Control(Control::Pong));
    for dialect in DIALECTS {
        queue.set_dialect(dialect);
        let batch = queue.take(usize::MAX);
        assert_eq!(batch.bytes(), bytes_of(&batch).len(), "{dialect:?}");
        queue.restore(batch);
    }
}

proptest! {
    /// Whatever the sizes of batches and writes, the peer sees every byte once and in order.
    #[test]
    fn partial_writes_neither_lose_nor_repeat(
        sizes in prop::collection::vec(0_usize..300, 1..20),
        limit in 1_usize..600,
        writes in prop::collection::vec(1_usize..200, 1..40),
        dialect in prop::sample::select(&DIALECTS[..]),
    ) {
        let mut queue = Queue::in_dialect(dialect);
        let mut expected = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            let entry = if index % 3 == 2 { Entry::Control(Control::Ping) }
                else if index % 2 == 0 { message(&"t".repeat(*size)) } else { binary(*size) };
            expected.extend(entry.pieces(dialect).flatten().copied());
            queue.push(entry);
            let own = Encoded::text_message(&"o".repeat(*size));
            expected.extend(own.websocket_pieces().flatten());
            queue.push_own(own, Overflow::Close);
        }
        prop_assert_eq!(queue.bytes(), expected.len());
        let mut seen = Vec::new();
        let mut writes = writes.iter().cycle();
        while !queue.is_empty() {
            let mut batch = queue.take(limit);
            let bytes = bytes_of(&batch);
            prop_assert_eq!(bytes.len(), batch.bytes());
            let count = bytes.len().min(*writes.next().unwrap());
            seen.extend_from_slice(&bytes[..count]);
            batch.advance(count);
            let is_within_entry = batch.written > 0;
            queue.restore(batch);
            prop_assert_eq!(queue.is_within_entry(), is_within_entry);
            prop_assert_eq!(queue.bytes(), expected.len() - seen.len());
        }
        prop_assert_eq!(seen, expected);
    }
}

#[test]
fn the_room_of_a_long_wait_is_not_kept() {
    let mut queue = Queue::new();
    for _ in 0..1_000 {
        queue.push(message("x"));
    }
    while !queue.is_empty() {
        drop(queue.take(1));
    }
    assert_eq!(queue.entries.capacity(), 0);
}
