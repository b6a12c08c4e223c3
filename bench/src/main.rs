//! The pieces of the hot path: steps of the protocol crate, and the whole way from a client's socket to
//! the server's handler and back.

mod client;
mod pieces;
mod whole;

use std::process::ExitCode;

use bench::Piece;
// The allocator, as in the servers that are measured.
use mimalloc as _;

const PIECES: [(&str, Piece); 18] = [
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
    ("deflate", pieces::deflate),
    ("echo", whole::echo),
    ("echo-alone", whole::echo_alone),
    ("echo-binary", whole::echo_binary),
    ("broadcast", whole::broadcast),
    ("join-leave", whole::join_leave),
    ("poll", whole::poll),
    ("connect", whole::connect),
];

fn main() -> ExitCode {
    bench::run(&PIECES)
}
