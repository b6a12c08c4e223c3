//! A chat whose counters Prometheus can scrape: `cargo run --bin metrics`, then
//! `curl http://localhost:3000/metrics`.
#![expect(clippy::print_stdout, reason = "it prints its address")]

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use ferriwire::{Config, Event, Namespace, Server};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

const JOIN: Event<String> = Event::new("join");
const SAY: Event<(String, String), usize> = Event::new("say");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Before the server starts, which registers its series once.
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Suffix("_seconds".to_owned()),
            &[0.001, 0.01, 0.1, 1.0, 10.0],
        )?
        .install_recorder()?;

    let chat = Namespace::new("/")
        .on(JOIN, async |socket, room| {
            socket.join(room)?;
            Ok(())
        })
        .on(SAY, async |socket, (room, text)| {
            socket.to(room).emit("said", &text)?;
            Ok(text.len())
        });
    let io = Server::new().config(Config::new().metrics(true)).namespace(chat);

    // Moves what was recorded into the buckets also while nobody scrapes.
    let upkeep = prometheus.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    // Not for everybody: in earnest it belongs to another listener, or behind the proxy.
    let scrape = move || async move { prometheus.render() };
    let app = Router::new().route("/metrics", get(scrape)).layer(io.into_layer()?);
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
