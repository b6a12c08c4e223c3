//! The server under the official test suite of the Engine.IO protocol: every message comes back.

use std::process::ExitCode;
use std::time::Duration;

use contract_servers::{GRACE, Outcome, config, limits, ready, run};
use ferriwire::Origins;
use ferriwire::engine::Server;

fn main() -> ExitCode {
    run(3000, async |address| {
        let config = config()
            .path("/engine.io/")
            .ping_interval(Duration::from_millis(300))
            .ping_timeout(Duration::from_millis(200))
            .limits(limits().max_payload(1_000_000))
            .origins(Origins::any());
        let server = Server::new()
            .config(config)
            // A session that has ended meanwhile needs no answer.
            .on_message(async |session, message| drop(session.send(message)))
            .bind(address)
            .await?;
        ready(format_args!("http://{}", server.local_addr())).await?;
        server.shutdown(GRACE).await;
        Outcome::Ok(())
    })
}
