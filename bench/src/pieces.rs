//! What happens to one event, step by step, without a server around it.

use std::hint::black_box;
use std::sync::Arc;

use bench::{EVENT, masked_text};
use ferriwire_proto::codec::json::{Decoder, encode_ack as ack, encode_event};
use ferriwire_proto::codec::{Arguments, Decoded, Limits, MAX_DEPTH};
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::Message;
use ferriwire_proto::engine::queue::{Entry, Overflow, Queue};
use ferriwire_proto::packet::{AckId, Body};
use ferriwire_proto::value::Args;
use ferriwire_proto::websocket::frame::OpCode;
use ferriwire_proto::websocket::{self, Deflater, Item};
use serde::{Deserialize, Serialize};

const TUPLE: &str = r#"2["say","lobby",17]"#;
const STRUCT: &str = r#"2["move",{"x":1.5,"y":-20,"name":"alice","alive":true,"tags":["a","b"]}]"#;

#[derive(Debug, Deserialize, Serialize)]
struct Move {
    x: f64,
    y: i64,
    name: String,
    alive: bool,
    tags: Vec<String>,
}

fn one_move() -> Move {
    Move {
        x: 1.5,
        y: -20,
        name: "alice".to_owned(),
        alive: true,
        tags: vec!["a".to_owned(), "b".to_owned()],
    }
}

/// A frame becomes text.
pub(crate) fn frame(count: usize) {
    let mut decoder =
        websocket::Decoder::new(websocket::Role::Server, websocket::Limits::default());
    let frame = masked_text(&format!("4{EVENT}"));
    let mut buffer = frame.clone();
    for _ in 0..count {
        buffer.copy_from_slice(&frame);
        let decoded = decoder
            .decode(black_box(&mut buffer))
            .map(|decoded| decoded.item);
        let is_text = matches!(black_box(decoded), Ok(Some(Item::Text(_))));
        assert!(is_text, "the frame is read");
    }
}

/// Gives the arguments of this packet to `use_them`.
fn with_arguments(count: usize, packet: &str, use_them: impl Fn(Arguments<'_>) -> bool) {
    let (mut decoder, limits) = (Decoder::new(), Limits::default());
    for _ in 0..count {
        let message = Message::Text(black_box(packet).into());
        let is_read = if let Ok(Decoded::Packet(packet)) = decoder.decode(message, &limits)
            && let Body::Event { arguments, .. } = packet.body
        {
            use_them(arguments)
        } else {
            false
        };
        assert!(is_read, "the packet is read");
    }
}

/// Text becomes a packet, whose arguments stay text.
pub(crate) fn packet(count: usize) {
    with_arguments(count, EVENT, |arguments| {
        black_box(arguments);
        true
    });
}

/// The same, and its arguments become values.
pub(crate) fn decode_args(count: usize) {
    with_arguments(count, EVENT, |arguments| {
        black_box(arguments.decode::<Args>()).is_ok()
    });
}

/// The same with types that the program knows.
pub(crate) fn decode_tuple(count: usize) {
    with_arguments(count, TUPLE, |arguments| {
        black_box(arguments.decode::<(String, u64)>()).is_ok()
    });
}

/// The same with a type of the program's own.
pub(crate) fn decode_struct(count: usize) {
    with_arguments(count, STRUCT, |arguments| {
        black_box(arguments.decode::<Move>()).is_ok()
    });
}

/// Values become an acknowledgement.
pub(crate) fn encode_ack(count: usize) {
    with_arguments(1, EVENT, |arguments| {
        let Ok(args) = arguments.decode::<Args>() else {
            return false;
        };
        (0..count).all(|number| {
            let id = AckId(number as u64 % 1_000);
            black_box(ack("/", id, black_box(&args), MAX_DEPTH)).is_ok()
        })
    });
}

/// Types that the program knows become an event.
pub(crate) fn encode_tuple(count: usize) {
    for _ in 0..count {
        let event = encode_event("/", None, "said", black_box(&("lobby", "hello")), MAX_DEPTH);
        assert!(black_box(event).is_ok(), "it can be written");
    }
}

/// The same with a type of the program's own.
pub(crate) fn encode_struct(count: usize) {
    let moved = one_move();
    for _ in 0..count {
        let event = encode_event("/", None, "move", black_box(&(&moved,)), MAX_DEPTH);
        assert!(black_box(event).is_ok(), "it can be written");
    }
}

/// One receiver's share of a broadcast: a message that it shares waits, and is written.
pub(crate) fn queue_shared(count: usize) {
    let message = Arc::new(Encoded::text_message(&"x".repeat(100)));
    let mut queue = Queue::new();
    for _ in 0..count {
        queue.push(Entry::Message(Arc::clone(&message)));
        write(&mut queue);
    }
}

/// An acknowledgement, of which 32 are written at once.
pub(crate) fn queue_own(count: usize) {
    let mut queue = Queue::new();
    for number in 0..count {
        queue.push_own(Encoded::engine_packet("437[true]"), Overflow::Close);
        if number % 32 == 31 {
            write(&mut queue);
        }
    }
}

/// A message of 1,000 bytes is compressed, which happens once for all receivers.
pub(crate) fn deflate(count: usize) {
    let record = r#"{"id":12345,"name":"alice","msg":"hello world!!"},"#;
    let message: String = record.repeat(20);
    let deflater = Deflater::new(0, 12, 6);
    for _ in 0..count {
        let frame = deflater.frame(OpCode::Text, black_box(message.as_bytes()));
        assert!(black_box(frame).is_some(), "it becomes smaller");
    }
}

fn write(queue: &mut Queue) {
    let mut batch = queue.take(usize::MAX);
    let bytes = batch.pieces().map(|piece| black_box(piece).len()).sum();
    batch.advance(bytes);
    assert!(batch.is_empty(), "everything is written");
}
