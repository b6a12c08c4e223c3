//! The page, compiled in, and where it is found.
#![expect(clippy::print_stdout, reason = "it prints its address")]

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use ferriwire::{Config, Server};

/// Where `cargo xtask setup` puts the official browser client.
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/client-bundle");

/// Serves the page and the browser client beside the chat, at the port of the environment.
pub(crate) async fn serve(chat: Server) -> ferriwire::Result<()> {
    let chat = chat.config(Config::new().client_bundle(CLIENT)).into_service()?;
    let file = |kind, text: &'static str| get(async move || ([(CONTENT_TYPE, kind)], text));
    let app = Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("page/index.html")))
        .route("/style.css", file("text/css; charset=utf-8", include_str!("page/style.css")))
        .route("/chat.js", file("text/javascript; charset=utf-8", include_str!("page/chat.js")))
        .fallback_service(chat);
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".into());
    let listener = tokio::net::TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    println!("The chat is at http://localhost:{}", listener.local_addr()?.port());
    Ok(axum::serve(listener, app).await?)
}
