//! A chat for browsers: `cargo run --bin chat`, then open the address in two windows.
#![expect(clippy::print_stdout, reason = "it prints its address")]
mod presence;

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{Router, http::header::CONTENT_TYPE, response::Html, routing::get};
use ferriwire::{Config, ConnectError, Event, HandlerError, Handshake, Namespace, Server};

const JOIN: Event<String> = Event::new("join"); // `presence` tells the room who is in it
const LEAVE: Event<String> = Event::new("leave");
const TYPE: Event<(String, bool)> = Event::new("type"); // (room, on)
const SAY: Event<(String, String), u64> = Event::new("say"); // (room, text); acknowledged with an id
const SAID: Event<(u64, String, String, String)> = Event::new("said"); // (id, room, from, text)
const RTT: Event<()> = Event::new("rtt"); // the page measures how long the acknowledgement takes
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

#[derive(serde::Deserialize)]
struct SignIn {
    name: String,
    token: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chat = Namespace::new("/chat")
        .auth(async |handshake: Handshake<SignIn>| match handshake.auth {
            SignIn { token, .. } if token != "ferriwire" => Err(ConnectError::new("unknown token")),
            SignIn { name, .. } if (1..=96).contains(&name.len()) => Ok(name),
            _ => Err(ConnectError::new("a name has 1 to 96 bytes")),
        })
        .on(JOIN, async |socket, room| presence::enter(&socket, &room))
        .on(LEAVE, async |socket, room| presence::leave(&socket, &room))
        .on(TYPE, async |socket, state| presence::typing(&socket, state))
        .on(SAY, async |socket, (room, text)| {
            presence::check(&socket, &room)?;
            if text.len() > 8_000 {
                return Err(HandlerError::refuse("longer than 8000 bytes"));
            }
            let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
            let said = (id, &room, socket.data(), &text);
            socket.to(&room).emit(SAID, said)?;
            Ok(id)
        })
        .on(RTT, async |_, ()| ())
        .on_disconnect(async |socket, _| presence::leave_all(&socket));

    let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/client-bundle");
    let io = Server::new().config(Config::new().client_bundle(bundle));
    let io = io.namespace(chat);
    let css = [(CONTENT_TYPE, "text/css")];
    let js = [(CONTENT_TYPE, "text/javascript")];
    let app = Router::new()
        .route("/", get(Html(include_str!("page/index.html"))))
        .route("/style.css", get((css, include_str!("page/style.css"))))
        .route("/chat.js", get((js, include_str!("page/chat.js"))))
        .fallback_service(io.into_service()?);
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".into());
    let listener = tokio::net::TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    let port = listener.local_addr()?.port();
    println!("The chat is at http://localhost:{port}");
    Ok(axum::serve(listener, app).await?)
}
