//! What the contract servers share: where they listen, how they say so, and how they end.
//!
//! Each binary is a plain program on the public face of `ferriwire`, and does what one section of the
//! contracts asks for. All listen on loopback at `PORT`, print `READY <url>` when they accept
//! connections, and end on SIGTERM with status 0.

mod date;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use ferriwire::{Codec, Config, Deflate, Limits};
// The allocator: small messages are allocated and freed by the hundred thousand, which the system's does
// at three times the price.
use mimalloc as _;
use tokio::signal::unix::{SignalKind, signal};

pub use self::date::Date;

/// How long clients may take to be told that the server ends: those who measure kill it after a
/// second.
pub const GRACE: Duration = Duration::from_millis(500);

/// What a server returns: an error ends the program with status 1.
pub type Outcome = Result<(), Box<dyn Error>>;

/// The defaults, with what the environment asks for: Engine.IO 3 if `EIO3` is `1`, the codec that
/// `CODEC` names, and permessage-deflate if `DEFLATE` is `1`.
#[must_use]
pub fn config() -> Config {
    let config = Config::new().allow_eio3(is_set("EIO3")).codec(codec());
    match deflate() {
        Some(deflate) => config.websocket_compression(deflate),
        None => config,
    }
}

/// How WebSockets are compressed, if the environment asks for it.
#[must_use]
pub fn deflate() -> Option<Deflate> {
    is_set("DEFLATE").then(Deflate::new)
}

/// The defaults for clients that all come from loopback: whatever is counted for each address, and
/// the rate of all handshakes, is not limited.
#[must_use]
pub fn limits() -> Limits {
    Limits::new()
        .max_connections_per_address(usize::MAX)
        .handshakes_per_address(None)
        .handshakes_per_core(None)
        .unknown_sessions_per_address(None)
}

/// How many sockets the runtime takes note of at a time. A worker's queue holds 256 tasks; what does not fit
/// goes where only every sixtieth task is taken from, and waits some 40 ms there on a busy server.
const READY_AT_ONCE: usize = 32;

/// Runs a server at the address that the environment names. Status 2 means that the environment
/// asks for something that cannot be done.
pub fn run(default_port: u16, serve: impl AsyncFnOnce(SocketAddr) -> Outcome) -> ExitCode {
    let address = match address(default_port) {
        Ok(address) => address,
        Err(reason) => return fail(2, reason),
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().max_io_events_per_tick(READY_AT_ONCE);
    let runtime = match runtime.build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, error),
    };
    match runtime.block_on(serve(address)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, error),
    }
}

/// Says where the server accepts connections, and waits for SIGTERM.
///
/// # Errors
///
/// The signal cannot be listened for, or nobody reads the standard output.
pub async fn ready(url: impl Display) -> io::Result<()> {
    // Before the line is printed, so that whoever reads it may end the program at once.
    let mut terminate = signal(SignalKind::terminate())?;
    writeln!(io::stdout(), "READY {url}")?;
    terminate.recv().await;
    Ok(())
}

/// What clients speak: JSON unless `CODEC` is `msgpack`; another one is refused by [`run`].
fn codec() -> Codec {
    match std::env::var("CODEC").as_deref() {
        Ok("msgpack") => Codec::MessagePack,
        Ok(_) | Err(_) => Codec::Json,
    }
}

fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}

fn address(default_port: u16) -> Result<SocketAddr, String> {
    if let Ok(codec) = std::env::var("CODEC")
        && !["", "json", "msgpack"].contains(&codec.as_str())
    {
        return Err(format!("CODEC={codec} is not known"));
    }
    let port = match std::env::var("PORT") {
        Ok(port) => port
            .parse()
            .map_err(|_| format!("PORT={port} is not a port"))?,
        Err(_) => default_port,
    };
    Ok((Ipv4Addr::LOCALHOST, port).into())
}

fn fail(status: u8, reason: impl Display) -> ExitCode {
    // There is nobody left to tell when this fails.
    drop(writeln!(io::stderr(), "error: {reason}"));
    ExitCode::from(status)
}
