//! Runs one piece of the hot path so often: `bench PIECE COUNT`. `cargo xtask bench` counts the
//! instructions of that under valgrind, for two counts, and takes the difference: what it costs to
//! start is in neither.
//!
//! Without arguments it names the pieces.
#![expect(clippy::print_stdout, reason = "this is what the program is for")]

mod echo;
mod pieces;

use std::env;
use std::process::ExitCode;

use mimalloc::MiMalloc;

/// As in the servers that are measured.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Does one thing so often.
type Piece = fn(usize);

const PIECES: [(&str, Piece); 11] = [
    ("frame", pieces::frame),
    ("packet", pieces::packet),
    ("decode-args", pieces::decode_args),
    ("decode-tuple", pieces::decode_tuple),
    ("decode-struct", pieces::decode_struct),
    ("encode-ack", pieces::encode_ack),
    ("encode-tuple", pieces::encode_tuple),
    ("encode-struct", pieces::encode_struct),
    ("queue-shared", pieces::queue_shared),
    ("queue-own", pieces::queue_own),
    ("echo", echo::echo),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => {
            for (name, _) in PIECES {
                println!("{name}");
            }
            ExitCode::SUCCESS
        }
        [name, count] => {
            let piece = PIECES.iter().find(|(known, _)| known == name);
            match (piece, count.parse()) {
                (Some((_, run)), Ok(count)) => {
                    run(count);
                    ExitCode::SUCCESS
                }
                _ => ExitCode::FAILURE,
            }
        }
        _ => ExitCode::FAILURE,
    }
}
