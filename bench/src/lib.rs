//! Runs one thing so often: `PROGRAM PIECE COUNT`. `cargo xtask bench pieces` counts the instructions
//! of that under valgrind, for two counts, and takes the difference: what it costs to start is in
//! neither.
//!
//! Without arguments the pieces are named, and with `time` each is said to take so many nanoseconds.
#![expect(clippy::print_stdout, reason = "this is what the programs are for")]

use std::env;
use std::process::ExitCode;
use std::time::Instant;

/// What the load generator sends: an event with an acknowledgement.
pub const EVENT: &str = r#"27["echo",{"id":12345,"name":"alice","msg":"hello world!!"}]"#;

/// Does one thing so often.
pub type Piece = fn(usize);

/// How often a piece is timed. The least counts, because noise only ever adds.
const BATCHES: usize = 7;
/// How long a batch takes at least.
const BATCH_NANOSECONDS: u128 = 30_000_000;

/// What the programs do with their arguments.
#[must_use]
pub fn run(pieces: &[(&str, Piece)]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => {
            for (name, _) in pieces {
                println!("{name}");
            }
            ExitCode::SUCCESS
        }
        ["time"] => {
            for (name, piece) in pieces {
                println!("{name} {:.1}", nanoseconds(*piece));
            }
            ExitCode::SUCCESS
        }
        [name, count] => {
            let piece = pieces.iter().find(|(known, _)| known == name);
            match (piece, count.parse()) {
                (Some((_, piece)), Ok(count)) => {
                    piece(count);
                    ExitCode::SUCCESS
                }
                _ => ExitCode::FAILURE,
            }
        }
        _ => ExitCode::FAILURE,
    }
}

/// What one run of a piece takes, without what it takes to begin.
fn nanoseconds(piece: Piece) -> f64 {
    let timed = |count: usize| {
        let start = Instant::now();
        piece(count);
        start.elapsed().as_nanos()
    };
    let least = |count| (0..BATCHES).map(|_| timed(count)).min().unwrap_or_default();
    let start = least(0);
    let mut count = 64;
    while timed(count).saturating_sub(start) < BATCH_NANOSECONDS {
        count *= 2;
    }
    least(count).saturating_sub(start) as f64 / count as f64
}

/// What a client sends: one frame with a mask.
#[must_use]
pub fn masked_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [1, 2, 3, 4];
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length),
        _ => {
            let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&KEY);
    let masked = payload.iter().zip(KEY.iter().cycle());
    frame.extend(masked.map(|(byte, key)| byte ^ key));
    frame
}

/// The same with text.
#[must_use]
pub fn masked_text(packet: &str) -> Vec<u8> {
    masked_frame(1, packet.as_bytes())
}
