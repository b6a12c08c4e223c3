//! A server for real clients of every language.
//!
//! Clients of Engine.IO 3 are always taken. WebTransport follows when `ferriwire` speaks it.

use std::process::ExitCode;
use std::time::Duration;

use contract_servers::{GRACE, Outcome, config, limits, ready, run};
use ferriwire::{
    Args, ConnectError, Event, HandlerError, Handshake, Namespace, Origins, Server, Value,
};
use serde_json::json;

const ECHO: Event<Args> = Event::new("echo");
const ASK: Event<Args> = Event::new("ask");
const JOIN: Event<String> = Event::new("join");
const ROOM: Event<Args> = Event::new("room");

fn main() -> ExitCode {
    run(3000, async |address| {
        let config = config()
            .ping_interval(Duration::from_secs(2))
            .ping_timeout(Duration::from_millis(1500))
            .limits(
                limits()
                    .connect_timeout(Duration::from_secs(3))
                    .max_payload(1_000_000),
            )
            .allow_eio3(true)
            .origins(Origins::any());
        let server = Server::new()
            .config(config)
            .namespace(namespace("/"))
            .namespace(namespace("/chat"))
            .bind(address)
            .await?;
        ready(format_args!("http://{}", server.local_addr())).await?;
        server.shutdown(GRACE).await;
        Outcome::Ok(())
    })
}

fn namespace(name: &str) -> Namespace {
    Namespace::new(name)
        .auth(async |handshake: Handshake| check(&handshake))
        .on(ECHO, async |socket, args| {
            socket.emit("echo", args)?;
            Ok(())
        })
        .on("ack", async |_, args: Args| args)
        .on(ASK, async |socket, args| {
            let answer = socket.emit_with_ack("question", args).await?;
            socket.emit("answer", answer)?;
            Ok(())
        })
        .on(JOIN, async |socket, room| {
            socket.join(room)?;
            Ok(())
        })
        .on(ROOM, async |socket, Args(mut args)| {
            if args.is_empty() {
                return Err(HandlerError::refuse("the first argument is the room"));
            }
            let room = args.remove(0);
            let room = room
                .as_str()
                .ok_or_else(|| HandlerError::refuse("a room is a string"))?;
            socket.handle().to(room).emit("room", Args(args))?;
            Ok(())
        })
        .on("bye", async |socket, ()| socket.disconnect())
}

fn check(handshake: &Handshake) -> Result<(), ConnectError> {
    let token = match handshake.auth.get("token") {
        Some(token) => token.as_str().map(str::to_owned),
        None => handshake.query("token"),
    };
    if token.as_deref() == Some("good") {
        return Ok(());
    }
    Err(ConnectError::new("not authorized").data(Value::from(json!({"code": 401}))))
}
