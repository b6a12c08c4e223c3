//! A chat for browsers: `cargo xtask demo`, then open the address in two windows.
mod page;
use std::sync::{Mutex, atomic::AtomicU64, atomic::Ordering};

use ferriwire::{ConnectError, Event, HandlerError, Handshake, Namespace, Server, Socket};

const JOIN: Event<String> = Event::new("join");
const LEAVE: Event<String> = Event::new("leave");
const HERE: Event<(String, Vec<String>)> = Event::new("here"); // (room, names)
const TYPE: Event<(String, bool)> = Event::new("type"); // (room, on)
const TYPING: Event<(String, String, bool)> = Event::new("typing"); // (room, name, on)
const SAY: Event<(String, String), u64> = Event::new("say"); // (room, text); answered with an id
const SAID: Event<(u64, String, String, String)> = Event::new("said"); // (id, room, from, text)
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static TURN: Mutex<()> = Mutex::new(()); // so that the last `here` that a page hears is the true one

#[derive(serde::Deserialize)]
struct SignIn {
    name: String,
    token: String,
}

fn tell_who_is_here(socket: &Socket<String>, room: &str) -> Result<(), HandlerError> {
    let _turn = TURN.lock();
    let names: Vec<_> = socket.handle().sockets_in(room).iter().map(|s| s.data().clone()).collect();
    Ok(socket.handle().to(room).emit(HERE, (room, &names))?)
}

#[tokio::main]
async fn main() -> ferriwire::Result<()> {
    let chat = Namespace::new("/chat")
        .auth(async |handshake: Handshake<SignIn>| match handshake.auth {
            SignIn { name, token } if token == "ferriwire" => Ok(name),
            _ => Err(ConnectError::new("unknown token")),
        })
        .on(JOIN, async |socket, room| {
            socket.join(&room)?;
            tell_who_is_here(&socket, &room)
        })
        .on(LEAVE, async |socket, room| {
            socket.leave(&room);
            tell_who_is_here(&socket, &room)
        })
        .on(TYPE, async |socket, (room, on)| {
            Ok(socket.to(&room).volatile().emit(TYPING, (&room, socket.data(), on))?)
        })
        .on(SAY, async |socket, (room, text)| {
            if text.len() > 8_000 {
                return Err(HandlerError::refuse("longer than 8000 bytes"));
            }
            let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
            socket.to(&room).emit(SAID, (id, &room, socket.data(), &text))?;
            Ok(id)
        })
        .on("rtt", async |_, ()| ())
        .on_disconnecting(async |socket, _| {
            socket.rooms().iter().for_each(|room| drop(tell_who_is_here(&socket, room)));
        });
    page::serve(Server::new().namespace(chat)).await
}
