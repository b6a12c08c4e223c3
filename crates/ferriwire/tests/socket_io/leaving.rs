//! A socket that leaves while other threads are still busy with it.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use ferriwire::{
    Config, ConnectError, EmitError, Handshake, Limits, Namespace, Server, Socket, Transport,
};

use crate::client::Client;
use crate::{log, serve, serve_with};

/// Long enough to see that something goes on.
const A_WHILE: Duration = Duration::from_millis(200);

/// Its DISCONNECT could stand behind the CONNECT of the socket that came after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sees_it_leaving_finds_its_farewell_in_the_queue() {
    let (seen, mut sockets) = log::<Socket>();
    let namespace = Namespace::new("/").on_connect(async move |socket| seen.write(socket));
    let server = serve(namespace).await;
    // Without a waiting GET, what is queued stays there.
    let mut client = Client::connect_over(&server, Transport::Polling).await;
    for _ in 0..100 {
        let socket = sockets.next().await;
        assert_eq!(socket.buffered_bytes(), 0);
        let leaving = socket.clone();
        let taking_out = thread::spawn(move || leaving.disconnect());
        while socket.is_connected() {
            std::hint::spin_loop();
        }
        assert!(socket.buffered_bytes() > 0);
        taking_out.join().expect("it does not panic");
        client.expect("1").await;
        client.join("/").await;
    }
}

/// What was emitted in the very moment could reach the socket that came after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_queued_for_it_any_more() {
    let (seen, mut sockets) = log::<Socket>();
    let namespace = Namespace::new("/").on_connect(async move |socket| seen.write(socket));
    let config = Config::new().limits(Limits::new().max_buffered(usize::MAX));
    let server = serve_with(config, namespace).await;
    for _ in 0..100 {
        let mut client = Client::connect_over(&server, Transport::Polling).await;
        let socket = sockets.next().await;
        let busy = socket.clone();
        let emitting = thread::spawn(move || {
            loop {
                match busy.emit("event", ()) {
                    Ok(()) => {}
                    Err(error) => return error,
                }
            }
        });
        let leaving = tokio::spawn(async move { client.send("1").await });
        while socket.is_connected() {
            std::hint::spin_loop();
        }
        let queued = socket.buffered_bytes();
        let error = emitting.join().expect("it does not panic");
        assert!(matches!(error, EmitError::Disconnected));
        assert_eq!(socket.buffered_bytes(), queued);
        leaving.await.expect("it does not panic");
    }
}

/// The namespace held the sockets of a task that did not come to its end.
#[test]
fn with_the_runtime_it_leaves_nothing_behind() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (seen, mut data) = log::<Weak<()>>();
    let namespace = Namespace::new("/")
        .auth(async |_: Handshake| Ok::<_, ConnectError>(Arc::new(())))
        .on_connect(async move |socket: Socket<Arc<()>>| {
            seen.write(Arc::downgrade(socket.data()));
        });
    let server = runtime.block_on(serve(namespace));
    let handle = server.handle("/");
    let data = runtime.block_on(async {
        let client = Client::connect(&server).await;
        let data = data.next().await;
        assert_eq!(handle.socket_count(), 1);
        // The client is there to the end.
        std::mem::forget(client);
        data
    });
    assert!(data.upgrade().is_some());
    drop(runtime);
    assert_eq!(handle.socket_count(), 0);
    assert!(data.upgrade().is_none());
    drop(server);
}

/// The deadline of handlers that had all ended woke the task again and again.
#[tokio::test]
async fn its_connection_lingers_without_a_turn() {
    let namespace = Namespace::new("/").on("go", async |socket, _: ()| {
        socket.disconnect_connection();
    });
    let config = Config::new().limits(Limits::new().handler_grace(Duration::ZERO));
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

/// One payload started as many hooks as it had packets.
#[tokio::test]
async fn nobody_joins_while_too_many_hooks_are_running() {
    let (seen, mut entries) = log();
    let namespace = Namespace::new("/").on_disconnect(async move |_, _| {
        seen.write("left");
        std::future::pending::<()>().await;
    });
    let config = Config::new().limits(Limits::new().max_running_handlers(2));
    let other = Namespace::new("/other");
    let server = Server::new()
        .config(config)
        .namespace(namespace)
        .namespace(other);
    let server = crate::start(server).await;
    let client = Client::open(&server, Transport::Polling).await;
    let mut polling = client.into_polling();
    let payload = "40\x1e41\x1e40\x1e41\x1e40\x1e40/other,";
    let target = polling.target();
    polling.posts.start("POST", &target, &[], payload).await;
    let mut client = Client::from(polling);
    for _ in 0..2 {
        assert!(client.packet().await.starts_with("0{"));
    }
    client
        .expect(r#"4{"message":"too many handlers are running"}"#)
        .await;
    client
        .expect(r#"4/other,{"message":"too many handlers are running"}"#)
        .await;
    assert_eq!([entries.next().await, entries.next().await], ["left"; 2]);
}
