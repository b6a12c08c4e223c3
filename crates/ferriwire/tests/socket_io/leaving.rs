//! A socket that leaves while other threads are still busy with it.

use std::time::Duration;

use ferriwire::{Config, Namespace};

use crate::client::Client;
use crate::serve_with;

/// Long enough to see that something goes on.
const A_WHILE: Duration = Duration::from_millis(200);

/// The deadline of handlers that had all ended woke the task again and again.
#[tokio::test]
async fn its_connection_lingers_without_a_turn() {
    let namespace = Namespace::new("/").on("go", async |socket, _: ()| {
        socket.disconnect_connection();
    });
    let config = Config::new().handler_grace(Duration::ZERO);
    let server = serve_with(config, namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"2["go"]"#).await;
    client.expect("1").await;
    client.expect_end().await;
    // The client does not end its side, and the server waits for that.
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.worker_total_busy_duration(0);
    let nothing = std::future::pending::<()>();
    assert!(tokio::time::timeout(A_WHILE, nothing).await.is_err());
    let busy = metrics.worker_total_busy_duration(0) - before;
    assert!(busy < A_WHILE / 2, "{busy:?} of {A_WHILE:?}");
}
