//! Every way in which a socket goes, and what `on_disconnect` is told, once.

use std::time::Duration;

use ferriwire::{Bytes, Config, EmitError, Namespace, RunningServer, Transport};
use ferriwire_proto::websocket::frame::OpCode;

use crate::client::{Client, TRANSPORTS};
use crate::support::polling::Polling;
use crate::support::websocket::{Frame, WebSocket};
use crate::support::{PATIENCE, until};
use crate::{Entries, log, serve_with, stop};

async fn watched(config: Config) -> (RunningServer, Entries<&'static str>) {
    let (seen, entries) = log();
    let namespace =
        Namespace::new("/").on_disconnect(async move |_, reason| seen.write(reason.as_str()));
    (serve_with(config, namespace).await, entries)
}

/// Runs one connection to its end, and expects its reason and no other.
async fn check(reason: &str, transport: Transport, end: impl AsyncFnOnce(Client)) {
    let (server, entries) = watched(Config::new()).await;
    let client = Client::connect_over(&server, transport).await;
    end(client).await;
    until("the socket leaves", || {
        server.handle("/").socket_count() == 0
    })
    .await;
    stop(server).await;
    assert_eq!(entries.rest().await, [reason]);
}

async fn check_websocket(reason: &str, end: impl AsyncFnOnce(WebSocket)) {
    check(reason, Transport::WebSocket, async |client| {
        end(client.into_websocket()).await;
    })
    .await;
}

async fn check_polling(reason: &str, end: impl AsyncFnOnce(Polling)) {
    check(reason, Transport::Polling, async |client| {
        end(client.into_polling()).await;
    })
    .await;
}

#[tokio::test]
async fn the_client_leaves_the_namespace() {
    for transport in TRANSPORTS {
        check(
            "client namespace disconnect",
            transport,
            async |mut client| {
                client.send("1").await;
            },
        )
        .await;
    }
}

#[tokio::test]
async fn the_websocket_is_closed() {
    check_websocket("transport close", async |mut websocket| {
        websocket
            .send_frame(OpCode::Close, &1000_u16.to_be_bytes())
            .await;
        assert_eq!(websocket.rest().await, [Frame::Close(Some(1000))]);
    })
    .await;
    check_websocket("transport close", async |websocket| drop(websocket)).await;
    check_websocket("transport close", async |mut websocket| {
        websocket.send_text("1").await;
        websocket.rest().await;
    })
    .await;
}

#[tokio::test]
async fn the_websocket_breaks() {
    check_websocket("transport error", async |websocket| websocket.reset()).await;
    // A frame that is not masked.
    check_websocket("transport error", async |mut websocket| {
        websocket.send_raw(b"\x81\x01x").await;
        assert_eq!(websocket.rest().await, [Frame::Close(Some(1002))]);
    })
    .await;
    // A ping, which is not the client's part.
    check_websocket("transport error", async |mut websocket| {
        websocket.send_text("2").await;
        websocket.rest().await;
    })
    .await;
}

#[tokio::test]
async fn polling_is_closed() {
    check_polling("transport close", async |mut polling| {
        polling.start_get().await;
        assert_eq!(polling.post("1").await.text(), "ok");
        assert_eq!(polling.finish_get().await.text(), "6");
    })
    .await;
}

#[tokio::test]
async fn polling_breaks() {
    // Given up while it waits: the POSTs see to it that the server knows of the GET.
    check_polling("transport error", async |mut polling| {
        polling.start_get().await;
        for _ in 0..3 {
            assert_eq!(polling.post("3").await.text(), "ok");
        }
        polling.gets.reset();
    })
    .await;
    check_polling("transport error", async |mut polling| {
        assert_eq!(polling.post("2").await.text(), "ok");
    })
    .await;
}

#[tokio::test]
async fn the_client_sends_what_is_no_packet() {
    check_websocket("parse error", async |mut websocket| {
        websocket.send_text("x").await;
        websocket.rest().await;
    })
    .await;
    check_polling("parse error", async |mut polling| {
        assert_eq!(polling.post("x").await.text(), "ok");
    })
    .await;
}

#[tokio::test]
async fn the_client_does_not_answer_a_ping() {
    let interval = Duration::from_millis(20);
    let config = Config::new().ping_interval(interval).ping_timeout(interval);
    let (server, mut entries) = watched(config).await;
    let client = Client::connect(&server).await;
    let frames = client.into_websocket().rest().await;
    assert_eq!(frames, [Frame::Text("2".to_owned()), Frame::Close(None)]);
    assert_eq!(entries.next().await, "ping timeout");
    // Without a GET that could carry the ping as well.
    let polling = Client::connect_over(&server, Transport::Polling).await;
    assert_eq!(entries.next().await, "ping timeout");
    drop(polling);
    assert_eq!(server.stats().ping_timeouts, 2);
    stop(server).await;
    assert_eq!(entries.rest().await, Vec::<&str>::new());
}

#[tokio::test]
async fn the_server_shuts_down_without_a_disconnect_packet() {
    let (server, entries) = watched(Config::new()).await;
    let mut websocket = Client::connect(&server).await.into_websocket();
    let polling = Client::connect_over(&server, Transport::Polling).await;
    let mut polling = polling.into_polling();
    polling.start_get().await;
    for _ in 0..3 {
        assert_eq!(polling.post("3").await.text(), "ok");
    }
    let (frames, response, ()) = tokio::join!(
        async {
            let frames = websocket.rest().await;
            drop(websocket);
            frames
        },
        polling.finish_get(),
        server.shutdown(PATIENCE)
    );
    assert_eq!(frames, [Frame::Close(None)]);
    assert_eq!(response.text(), "1");
    assert!(!server.is_ready());
    drop(server);
    assert_eq!(entries.rest().await, ["server shutting down"; 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_reads_too_slowly() {
    let (seen, entries) = log();
    let (emitted, mut results) = log();
    let namespace = Namespace::new("/")
        .on("flood", async move |socket, _: ()| {
            let block = Bytes::from(vec![0; 100_000]);
            loop {
                if let Err(error) = socket.emit("block", &block) {
                    emitted.write(error);
                    emitted.write(socket.emit("block", &block).unwrap_err());
                    return;
                }
            }
        })
        .on_disconnect(async move |_, reason| seen.write(reason.as_str()));
    let server = serve_with(Config::new(), namespace).await;
    let mut slow = Client::connect(&server).await;
    slow.send(r#"2["flood"]"#).await;
    assert!(matches!(results.next().await, EmitError::Full));
    assert!(matches!(results.next().await, EmitError::Disconnected));
    until("the session ends", || server.stats().slow_consumers == 1).await;
    stop(server).await;
    assert_eq!(entries.rest().await, ["slow consumer"]);
}
