//! The whole way: from a client's socket through the server and back, with client and server in one
//! thread. What the client does for it, a few dozen instructions, is counted too; what the kernel does
//! is not.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bench::{EVENT, masked_frame, masked_text};
use ferriwire::{Args, Config, Event, Limits, Namespace, Server, Value};
use tokio::runtime::Builder;

use crate::client::Client;

/// How many echos are on their way at a time.
const WINDOW: usize = 32;
/// How many a broadcast reaches.
const MEMBERS: usize = 64;

/// No client answers a ping, however slowly it all goes under valgrind.
const NEVER: Duration = Duration::from_hours(24);

const JOIN: Event<String> = Event::new("join");
const LEAVE: Event<String> = Event::new("leave");
const BCAST: Event<(String, Value)> = Event::new("bcast");

/// Runs a server with the handlers of the measured one, and `client` beside it.
fn with_server(client: impl AsyncFnOnce(SocketAddr) -> io::Result<()>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let outcome = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let limits = Limits::new()
                .event_rate(None)
                .max_connections_per_address(usize::MAX)
                .handshakes_per_address(None)
                .handshakes_per_core(None)
                .unknown_sessions_per_address(None);
            let server = Server::new()
                .config(Config::new().limits(limits).ping_interval(NEVER))
                .namespace(namespace())
                .bind("127.0.0.1:0")
                .await
                .map_err(io::Error::other)?;
            client(server.local_addr()).await
        })
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

fn namespace() -> Namespace {
    Namespace::new("/")
        .on("echo", async |_, args: Args| args)
        .on(JOIN, async |socket, room| {
            socket.join(room)?;
            Ok(())
        })
        .on(LEAVE, async |socket, room| socket.leave(room))
        .on(BCAST, async |socket, (room, payload)| {
            socket.handle().to(room).emit("bcast", payload)?;
            Ok(())
        })
}

/// How long the answer to [`EVENT`] is: the name and its comma are missing, and so is the mask.
fn answer(event: &[u8]) -> usize {
    event.len() - "\"echo\",".len() - 4
}

/// An event to the handler and its arguments back, 32 at a time.
pub(crate) fn echo(count: usize) {
    with_server(async |server| {
        let mut client = Client::join(server).await?;
        let event = masked_text(&format!("4{EVENT}"));
        let events = event.repeat(WINDOW);
        for _ in 0..count.div_ceil(WINDOW) {
            client.write(&events)?;
            client.read(answer(&event) * WINDOW).await?;
        }
        Ok(())
    });
}

/// The same, one at a time: each is read, handled and written for itself.
pub(crate) fn echo_alone(count: usize) {
    with_server(async |server| {
        let mut client = Client::join(server).await?;
        let event = masked_text(&format!("4{EVENT}"));
        for _ in 0..count {
            client.write(&event)?;
            client.read(answer(&event)).await?;
        }
        Ok(())
    });
}

/// The same with an attachment of 4,096 bytes.
pub(crate) fn echo_binary(count: usize) {
    with_server(async |server| {
        let mut client = Client::join(server).await?;
        let event = masked_text(r#"451-7["echo",{"_placeholder":true,"num":0}]"#);
        let attachment = masked_frame(2, &[7; 4_096]);
        let expected = answer(&event) + attachment.len() - 4;
        let both = [event, attachment].concat();
        for _ in 0..count {
            client.write(&both)?;
            client.read(expected).await?;
        }
        Ok(())
    });
}

/// One receiver's share of a broadcast of 100 bytes to 64.
pub(crate) fn broadcast(count: usize) {
    with_server(async |server| {
        let mut members = Vec::new();
        let join = masked_text(r#"427["join","r"]"#);
        for _ in 0..MEMBERS {
            let mut member = Client::join(server).await?;
            member.write(&join)?;
            member.read_until(b"437[").await?;
            members.push(member);
        }
        let mut sender = Client::join(server).await?;
        let payload = "x".repeat(83);
        let event = masked_text(&format!(r#"42["bcast","r","{payload}"]"#));
        let expected = format!(r#"..42["bcast","{payload}"]"#).len();
        for _ in 0..count.div_ceil(MEMBERS) {
            sender.write(&event)?;
            for member in &mut members {
                member.read(expected).await?;
            }
        }
        Ok(())
    });
}

/// A socket joins a room and leaves it, with an acknowledgement of both, 16 times at once.
pub(crate) fn join_leave(count: usize) {
    with_server(async |server| {
        let mut client = Client::join(server).await?;
        let pair = [
            masked_text(r#"427["join","r"]"#),
            masked_text(r#"428["leave","r"]"#),
        ];
        let pairs = pair.concat().repeat(WINDOW / 2);
        // Without arguments the answer is an empty list.
        let expected = "..437[]..438[]".len() * WINDOW / 2;
        for _ in 0..count.div_ceil(WINDOW / 2) {
            client.write(&pairs)?;
            client.read(expected).await?;
        }
        Ok(())
    });
}

/// An echo over long-polling: a POST with the event, and the GET that brings the answer.
pub(crate) fn poll(count: usize) {
    with_server(async |server| {
        let path = "/socket.io/?EIO=4&transport=polling";
        let (mut getting, mut posting) = (Client::new(server)?, Client::new(server)?);
        getting.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())?;
        let open = getting.read_until(b"}").await?;
        let open = String::from_utf8_lossy(&open);
        let sid = open.split('"').nth(3).unwrap_or_default();
        let get = format!("GET {path}&sid={sid} HTTP/1.1\r\nHost: a\r\n\r\n");
        let post = |body: &str| {
            let length = body.len();
            format!(
                "POST {path}&sid={sid} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        };
        posting.write(post("40").as_bytes())?;
        posting.read_until(b"\r\n\r\nok").await?;
        getting.write(get.as_bytes())?;
        getting.read_until(b"}").await?;
        let event = post(&format!("4{EVENT}"));
        // All answers are as long as the first ones.
        let (mut taken, mut answer) = (0, 0);
        for _ in 0..=count {
            getting.write(get.as_bytes())?;
            posting.write(event.as_bytes())?;
            if answer == 0 {
                taken = posting.read_until(b"\r\n\r\nok").await?.len();
                answer = getting.read_until(b"}]").await?.len();
            } else {
                posting.read(taken).await?;
                getting.read(answer).await?;
            }
        }
        Ok(())
    });
}

/// A WebSocket is opened, joins `/`, and goes away.
pub(crate) fn connect(count: usize) {
    with_server(async |server| {
        for _ in 0..count {
            Client::join(server).await?.reset()?;
        }
        Ok(())
    });
}
