//! What a server says about itself: logs without secrets, and hints in development mode.

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "each test program uses another part")]
#[path = "../socket_io/client.rs"]
mod client;

mod capture;
mod hints;
mod logs;
mod measures;

use ferriwire::{Config, Namespace, RunningServer, Server};

pub(crate) async fn serve<D: Send + Sync + 'static, S>(
    config: Config,
    namespace: Namespace<D, S>,
) -> RunningServer {
    let server = Server::new().config(config).namespace(namespace);
    server.bind("127.0.0.1:0").await.expect("the server starts")
}
