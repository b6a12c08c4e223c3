//! The server that the load generator measures. Payloads are decoded to values and encoded again.

use std::process::ExitCode;

use contract_servers::{GRACE, Outcome, config, limits, ready, run};
use ferriwire::{Args, Event, Namespace, Server, Value};

const JOIN: Event<String> = Event::new("join");
const LEAVE: Event<String> = Event::new("leave");
const BCAST: Event<(String, Value)> = Event::new("bcast");

fn main() -> ExitCode {
    run(3000, async |address| {
        let server = Server::new()
            .config(config().limits(
                // The load generator sends what the server bears: thousands of events a second
                // from one client, where the default pauses reading beyond 2,000.
                limits().max_payload(4 * 1024 * 1024).event_rate(None),
            ))
            .namespace(namespace())
            .bind(address)
            .await?;
        ready(format_args!("http://{}", server.local_addr())).await?;
        server.shutdown(GRACE).await;
        Outcome::Ok(())
    })
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
        .on("sink", async |_, _: Value| ())
}
