//! Inside an axum application: `cargo run --bin mount-axum`, then `curl http://localhost:3000/`.
#![expect(clippy::print_stdout, reason = "it prints its address")]

use axum::Router;
use axum::routing::get;
use ferriwire::{Namespace, Server};

#[tokio::main]
async fn main() -> ferriwire::Result<()> {
    let io = Server::new().namespace(Namespace::new("/").on("echo", async |_, text: String| text));
    let everybody = io.handle("/");
    let count = move || async move { format!("{} connected\n", everybody.socket_count()) };
    let app = Router::new().route("/", get(count)).layer(io.into_layer()?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
