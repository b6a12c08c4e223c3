//! A server that `listen`s ends well on SIGTERM.
//!
//! The only test of this program, because the signal is for the whole process.

mod support;

use std::process::Command;
use std::time::Duration;

use ferriwire::{Namespace, Server};
use support::websocket::{Frame, WebSocket};
use support::within;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const TARGET: &str = "/socket.io/?EIO=4&transport=websocket";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sigterm_clients_get_what_waits_and_no_disconnect_and_a_second_one_cuts_off() {
    let (left, mut reasons) = mpsc::unbounded_channel();
    let namespace = Namespace::new("/")
        .on("last", async |socket: ferriwire::Socket, ()| {
            terminate();
            // It is still in its handler when the server is asked to end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            socket.emit("bye", ()).expect("it still takes events");
        })
        .on_disconnect(async move |_, reason| left.send(reason).unwrap_or_default());
    let address = free_address().await;
    let server = Server::new().namespace(namespace);
    let server = tokio::spawn(server.listen(address));

    let mut client = connect(address).await;
    client.send_text("42[\"last\"]").await;
    let rest = within("the end of the client", client.rest()).await;
    assert!(matches!(rest.last(), Some(Frame::Close(None))), "{rest:?}");
    assert!(
        !rest.contains(&Frame::Text("41".to_owned())),
        "no DISCONNECT"
    );
    drop(client);
    let reason = within("the reason", reasons.recv()).await;
    assert_eq!(
        reason.map(|reason| reason.as_str()),
        Some("server shutting down")
    );
    let ended = within("the server", server).await;
    assert!(matches!(ended, Ok(Ok(()))), "{ended:?}");

    // A client that never answers the farewell would hold the server for its grace.
    let server = Server::new().namespace(Namespace::new("/"));
    let server = tokio::spawn(server.listen(address));
    let deaf = connect(address).await;
    terminate();
    terminate_until(&server).await;
    let ended = within("the server", server).await;
    assert!(matches!(ended, Ok(Ok(()))), "{ended:?}");
    drop(deaf);
}

/// Asks again and again: two signals in one instant may be one.
async fn terminate_until<T>(server: &tokio::task::JoinHandle<T>) {
    while !server.is_finished() {
        terminate();
        tokio::task::yield_now().await;
    }
}

fn terminate() {
    let process = std::process::id().to_string();
    let killed = Command::new("kill").args(["-TERM", &process]).status();
    assert!(killed.expect("kill runs").success());
}

/// An address that nobody listens at.
async fn free_address() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

async fn connect(address: std::net::SocketAddr) -> WebSocket {
    // The server is just starting.
    while TcpStream::connect(address).await.is_err() {
        tokio::task::yield_now().await;
    }
    let websocket = WebSocket::connect(address, TARGET, &[]).await;
    let mut websocket = websocket.expect("the handshake is accepted");
    assert!(websocket.text().await.starts_with("0{"));
    websocket.send_text("40").await;
    assert!(websocket.text().await.starts_with("40{"));
    websocket
}
