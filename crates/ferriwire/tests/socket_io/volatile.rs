//! Events that are not worth waiting for: 60.

use ferriwire::{Bytes, Namespace, Transport};

use crate::client::Client;
use crate::serve;

#[tokio::test]
async fn a_volatile_event_is_dropped_when_something_waits_and_regular_ones_still_come() {
    let namespace = Namespace::new("/")
        .on("go", async |socket, _: ()| {
            drop(socket.emit("regular", 1));
            drop(socket.volatile().emit("volatile", 2));
            drop(socket.volatile().emit("volatile", Bytes::from_static(b"2")));
            drop(socket.emit("regular", 3));
        })
        .on("others", async |socket, _: ()| {
            drop(socket.emit("regular", 1));
            let all = socket.broadcast().to(socket.id()).volatile();
            drop(all.emit("nobody, because of the exception", ()));
        })
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    client.send(r#"2["go"]"#).await;
    client.expect(r#"2["regular",1]"#).await;
    client.expect(r#"2["regular",3]"#).await;
    client.expect_nothing().await;
    client.send(r#"2["others"]"#).await;
    client.expect(r#"2["regular",1]"#).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn of_two_volatile_events_in_a_row_the_first_one_comes() {
    let namespace = Namespace::new("/")
        .on("text", async |socket, _: ()| {
            drop(socket.volatile().emit("volatile", 1));
            drop(socket.volatile().emit("volatile", 2));
        })
        .on("binary", async |socket, _: ()| {
            drop(socket.volatile().emit("volatile", Bytes::from_static(b"1")));
            drop(socket.volatile().emit("volatile", Bytes::from_static(b"2")));
        })
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut client = Client::connect(&server).await;
    for _ in 0..2 {
        client.send(r#"2["text"]"#).await;
        client.expect(r#"2["volatile",1]"#).await;
        client.send(r#"2["binary"]"#).await;
        client
            .expect(r#"51-["volatile",{"_placeholder":true,"num":0}]"#)
            .await;
        client.expect_binary(b"1").await;
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn without_a_waiting_get_a_volatile_event_is_dropped() {
    let server = serve(Namespace::new("/")).await;
    let client = Client::connect_over(&server, Transport::Polling).await;
    let mut polling = client.into_polling();
    let all = server.handle("/").all();
    all.clone()
        .volatile()
        .emit("volatile", 1)
        .expect("it exists");
    all.emit("regular", 2).expect("it exists");
    all.clone()
        .volatile()
        .emit("volatile", 3)
        .expect("it exists");
    assert_eq!(polling.get().await.text(), r#"42["regular",2]"#);
}

#[tokio::test]
async fn a_waiting_get_takes_a_volatile_event() {
    let server = serve(Namespace::new("/")).await;
    let client = Client::connect_over(&server, Transport::Polling).await;
    let mut polling = client.into_polling();
    let all = server.handle("/").all().volatile();
    polling.start_get().await;
    // Some come before the GET does, and are dropped.
    let storm = async {
        loop {
            all.emit("volatile", ()).expect("it exists");
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        response = polling.finish_get() => {
            assert_eq!(response.text(), r#"42["volatile"]"#);
        }
        () = storm => {}
    }
}
