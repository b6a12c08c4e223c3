//! The same as our pieces, done by others: `PIECE/RIVAL` is to be compared with `PIECE`.

use std::hint::black_box;
use std::io::{self, Cursor, Read, Write};
use std::process::ExitCode;

use bench::{EVENT, Piece, masked_text};
// The same allocator for all.
use mimalloc as _;
use serde_json::Value;
use socketioxide_core::Str;
use socketioxide_core::packet::{Packet, PacketData};
use socketioxide_core::parser::{Parse as _, ParseConfig, ParserState};
use socketioxide_parser_common::CommonParser;
use tungstenite::protocol::{Role, WebSocket};

const RIVALS: [(&str, Piece); 5] = [
    ("frame/tungstenite", frame),
    ("packet/socketioxide", packet),
    ("decode-args/socketioxide", decode_args),
    ("decode-args/serde_json", decode_args_alone),
    ("encode-ack/socketioxide", encode_ack),
];

fn main() -> ExitCode {
    bench::run(&RIVALS)
}

/// A connection on which the same frame comes as often as is asked for.
struct Frames {
    frames: Cursor<Vec<u8>>,
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.frames.read(buffer)
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A frame becomes text.
fn frame(count: usize) {
    let frames = Frames {
        frames: Cursor::new(masked_text(&format!("4{EVENT}")).repeat(count)),
    };
    let mut socket = WebSocket::from_raw_socket(frames, Role::Server, None);
    for _ in 0..count {
        let message = black_box(socket.read());
        assert!(message.is_ok_and(|message| message.is_text()), "it is read");
    }
}

fn with_packet(count: usize, use_it: impl Fn(Packet)) {
    let config = ParseConfig::default();
    let state = ParserState::default();
    for _ in 0..count {
        let text = Str::from(black_box(EVENT));
        let packet = CommonParser.decode_str(&config, &state, text);
        assert!(packet.map(&use_it).is_ok(), "the packet is read");
    }
}

/// Text becomes a packet, whose arguments stay text.
fn packet(count: usize) {
    with_packet(count, |packet| {
        black_box(packet);
    });
}

/// The same, and its arguments become values.
fn decode_args(count: usize) {
    with_packet(count, |packet| {
        let PacketData::Event(mut value, _) = packet.inner else {
            return;
        };
        let event = CommonParser.read_event(&value).map(black_box).is_ok();
        let args = CommonParser.decode_value::<(Value,)>(&mut value, true);
        assert!(black_box(args).is_ok() && event, "the arguments are read");
    });
}

/// Only the values, without a packet around them.
fn decode_args_alone(count: usize) {
    let arguments = EVENT.trim_start_matches("27");
    for _ in 0..count {
        let value = serde_json::from_str::<Value>(black_box(arguments));
        assert!(black_box(value).is_ok(), "the arguments are read");
    }
}

/// Values become an acknowledgement.
fn encode_ack(count: usize) {
    let args: Vec<Value> = serde_json::from_str(EVENT.trim_start_matches("27")).unwrap_or_default();
    let argument = args.get(1).cloned().unwrap_or_default();
    for number in 0..count {
        let value = CommonParser.encode_value(black_box(&argument), None);
        let Ok(value) = value else { return };
        let packet = Packet::ack("/", value, number as i64 % 1_000);
        black_box(CommonParser.encode(packet));
    }
}
