//! A bare WebSocket that sends every message back, for the Autobahn test suite.

use std::convert::Infallible;
use std::io;
use std::process::ExitCode;

use contract_servers::{Outcome, deflate, ready, run};
use ferriwire::engine::Body;
use ferriwire::websocket::{Accepted, Config, accept};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// The suite sends messages of up to 16 MiB, and splits them into as many fragments as it likes. What is
/// inflated may be as large.
fn config() -> Config {
    Config {
        max_message: 64 * 1024 * 1024,
        max_fragments: 0,
        // Short ones as well, because the suite wants to see some.
        compression: deflate().map(|deflate| deflate.threshold(0).inflate_budget(INFLATE_BUDGET)),
        ..Config::default()
    }
}

/// All connections together.
const INFLATE_BUDGET: usize = 256 * 1024 * 1024;

fn main() -> ExitCode {
    run(9001, async |address| {
        let listener = TcpListener::bind(address).await?;
        let url = format!("ws://{}", listener.local_addr()?);
        tokio::select! {
            ended = ready(url) => ended?,
            failed = listen(listener, config()) => failed?,
        }
        Outcome::Ok(())
    })
}

async fn listen(listener: TcpListener, config: Config) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream, config.clone()));
    }
}

async fn serve(stream: TcpStream, config: Config) {
    let respond = service_fn(move |request| respond(request, config.clone()));
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), respond)
        .with_upgrades();
    // The peer broke the connection: that is its affair.
    drop(connection.await);
}

async fn respond(
    mut request: Request<Incoming>,
    config: Config,
) -> Result<Response<Body>, Infallible> {
    match accept(&mut request, config) {
        Ok((response, accepted)) => {
            tokio::spawn(async move { drop(echo(accepted).await) });
            Ok(response)
        }
        Err(refusal) => Ok(*refusal),
    }
}

async fn echo(accepted: Accepted) -> io::Result<()> {
    let mut socket = accepted.open().await?;
    while let Some(message) = socket.receive().await? {
        socket.send(message).await?;
    }
    Ok(())
}
