//! Inside a plain hyper server: `cargo run --bin mount-hyper`, then connect to localhost:3000.
#![expect(clippy::print_stdout, reason = "it prints its address")]

use ferriwire::{Namespace, Server};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};

#[tokio::main]
async fn main() -> ferriwire::Result<()> {
    let echo = Namespace::new("/").on("echo", async |_, text: String| text);
    let service = Server::new().namespace(echo).into_service()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            // A connection that breaks concerns nobody else.
            drop(connection.await);
        });
    }
}
