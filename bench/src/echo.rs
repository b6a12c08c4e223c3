//! An event from the client's socket to the server's handler and back, 32 at a time, with client and
//! server in one thread. What the client does for it, a few dozen instructions, is counted too.

use std::io;

use ferriwire::{Args, Limits, Namespace, Rate, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::pieces::{EVENT, masked_frame};

/// How many are on their way at a time.
const WINDOW: usize = 32;

/// The request by which a client begins with a WebSocket.
const HANDSHAKE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

pub(crate) fn echo(count: usize) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let outcome = runtime.and_then(|runtime| runtime.block_on(run(count)));
    assert!(outcome.is_ok(), "{outcome:?}");
}

async fn run(count: usize) -> io::Result<()> {
    let limits = Limits::new().event_rate(Rate::per_second(u32::MAX));
    let config = ferriwire::Config::new().limits(limits);
    let server = Server::new()
        .config(config)
        .namespace(Namespace::new("/").on("echo", async |_, args: Args| args))
        .bind("127.0.0.1:0")
        .await
        .map_err(io::Error::other)?;
    let mut client = TcpStream::connect(server.local_addr()).await?;
    client.set_nodelay(true)?;
    client.write_all(HANDSHAKE.as_bytes()).await?;
    let mut buffer = vec![0; 64 * 1024];
    read_until(&mut client, &mut buffer, b"0{\"sid\"").await?;
    client.write_all(&masked_frame("40")).await?;
    read_until(&mut client, &mut buffer, b"40{\"sid\"").await?;

    let event = masked_frame(&format!("4{EVENT}"));
    // The name and its comma are missing, and so is the mask.
    let answer = event.len() - "\"echo\",".len() - 4;
    for _ in 0..count.div_ceil(WINDOW) {
        client.write_all(&event.repeat(WINDOW)).await?;
        let mut expected = answer * WINDOW;
        while expected > 0 {
            let read = client.read(&mut buffer).await?;
            expected = match expected.checked_sub(read) {
                Some(left) if read > 0 => left,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            };
        }
    }
    Ok(())
}

/// Reads until this was seen, which is followed by no more than the end of its packet.
async fn read_until(client: &mut TcpStream, buffer: &mut [u8], sign: &[u8]) -> io::Result<()> {
    let mut seen = Vec::new();
    while !seen.windows(sign.len()).any(|part| part == sign) {
        let read = client.read(buffer).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        seen.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    Ok(())
}
