//! Official clients whose connections are cut every few seconds miss nothing, get nothing twice and
//! nothing out of order. `cargo xtask recovery` runs the same with more clients for longer.
#![expect(clippy::print_stdout, reason = "the figures are worth reading")]

const SERVER: &str = env!("CARGO_BIN_EXE_recovery-server");

#[test]
fn fifty_clients_that_are_cut_for_twenty_seconds_miss_nothing() {
    let figures = interop::recovery(SERVER, 50, 20);
    println!("{figures}");
}
