//! The server under the official test suite of the Socket.IO protocol.

use std::process::ExitCode;
use std::time::Duration;

use contract_servers::{GRACE, Outcome, config, limits, ready, run};
use ferriwire::{Args, ConnectError, Event, Handshake, Namespace, Origins, Server, Value};
use tokio::time::sleep;

/// The suite begins to wait for the greeting when it has seen the answer to CONNECT, and never sees one that
/// it has read in the same go.
const APART: Duration = Duration::from_millis(10);

const MESSAGE: Event<Args> = Event::new("message");

fn main() -> ExitCode {
    run(3000, async |address| {
        let config = config()
            .ping_interval(Duration::from_millis(300))
            .ping_timeout(Duration::from_millis(200))
            .limits(
                limits()
                    .connect_timeout(Duration::from_secs(1))
                    .max_payload(1_000_000),
            )
            .origins(Origins::any());
        let server = Server::new()
            .config(config)
            .namespace(namespace("/"))
            .namespace(namespace("/custom"))
            .bind(address)
            .await?;
        ready(format_args!("http://{}", server.local_addr())).await?;
        server.shutdown(GRACE).await;
        Outcome::Ok(())
    })
}

fn namespace(name: &str) -> Namespace<Value> {
    Namespace::new(name)
        .auth(async |handshake: Handshake| Ok::<Value, ConnectError>(handshake.auth))
        .on_connect(async |socket| {
            sleep(APART).await;
            // A client that has gone meanwhile needs no greeting.
            drop(socket.emit("auth", socket.data()));
        })
        .on(MESSAGE, async |socket, args| {
            socket.emit("message-back", args)?;
            Ok(())
        })
        .on("message-with-ack", async |_, args: Args| args)
}
