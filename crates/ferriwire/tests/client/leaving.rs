//! Leaving a namespace counts from the call on, and giving up is leaving.

use std::collections::HashMap;
use std::time::Duration;

use ferriwire::client::{ClientEvent, DisconnectReason, Reconnection};
use ferriwire::test::Network;
use ferriwire::{AckError, Args, ConnectFailure, EmitError, Namespace, Server};
use tokio::time::timeout;

use crate::raw::{Peer, listen};
use crate::support::{fail, until, within};
use crate::{Way, notes};

/// The note to the task was all that `disconnect` did: what was emitted next still left on the session.
#[tokio::test]
async fn what_is_emitted_behind_disconnect_waits_for_the_next_session() {
    let (listener, client) = listen();
    let client = client.open().unwrap();
    let mut first = Peer::welcome(&listener).await;
    until("connected", || client.is_connected()).await;
    let asked = client.emit_with_ack("asked", ());
    assert_eq!(first.next().await, r#"420["asked"]"#);
    client.emit("last", ()).unwrap();
    client.disconnect();
    assert!(!client.is_connected() && !client.is_active());
    assert_eq!(client.id(), None);
    client.emit("kept", ()).unwrap();
    let volatile = client.volatile().emit_with_ack("volatile", ());
    let volatile = within("an error", volatile).await;
    assert!(
        matches!(volatile, Err(AckError::Emit(EmitError::Dropped))),
        "{volatile:?}"
    );
    for expected in [r#"42["last"]"#, "41", "close"] {
        assert_eq!(first.next().await, expected);
    }
    let asked = within("an error", asked).await;
    assert!(matches!(asked, Err(AckError::Disconnected)), "{asked:?}");
    drop(first);
    client.connect();
    client.emit("then", ()).unwrap();
    let mut second = Peer::welcome(&listener).await;
    for expected in [r#"42["kept"]"#, r#"42["then"]"#] {
        assert_eq!(second.next().await, expected);
    }
}

/// What came in the same read as the event whose handler left was still handed out.
#[tokio::test]
async fn nothing_is_heard_behind_disconnect() {
    let (listener, client) = listen();
    let (names, mut name) = notes();
    let (reasons, mut reason) = notes();
    let client = client
        .on_any(async move |client, event, _| {
            client.disconnect();
            names.send(event).expect("the test lives");
        })
        .on_disconnect(async move |_, why| reasons.send(why).expect("the test lives"))
        .open()
        .unwrap();
    let mut peer = Peer::welcome(&listener).await;
    until("connected", || client.is_connected()).await;
    // Also the server's own word comes too late.
    peer.texts(&[r#"42["first"]"#, r#"42["second"]"#, "41"])
        .await;
    assert_eq!(name.next("the first one").await, "first");
    assert_eq!(reason.next("the end").await, DisconnectReason::Client);
    assert_eq!(peer.next().await, "close");
    assert!(name.is_empty() && reason.is_empty());
}

#[tokio::test]
async fn nothing_is_sent_behind_close() {
    let (listener, client) = listen();
    let client = client.open().unwrap();
    let mut peer = Peer::welcome(&listener).await;
    until("connected", || client.is_connected()).await;
    let other = client.clone();
    let mut closing = Box::pin(client.close());
    tokio::select! {
        biased;
        () = &mut closing => fail("the session has not ended yet"),
        () = std::future::ready(()) => {}
    }
    let late = other.emit("late", ());
    assert!(matches!(late, Err(EmitError::Closed)), "{late:?}");
    for expected in ["41", "close"] {
        assert_eq!(peer.next().await, expected);
    }
    drop(peer);
    within("closing", closing).await;
}

/// Events that are sent until they are acknowledged wait on, as in the reference.
#[tokio::test]
async fn what_has_to_be_acknowledged_outlives_leaving() {
    let (listener, client) = listen();
    let client = client.retries(2, Duration::from_secs(20)).open().unwrap();
    let mut first = Peer::welcome(&listener).await;
    until("connected", || client.is_connected()).await;
    client.emit("one", ()).unwrap();
    client.emit("two", ()).unwrap();
    assert_eq!(first.next().await, r#"420["one"]"#);
    client.disconnect();
    for expected in ["41", "close"] {
        assert_eq!(first.next().await, expected);
    }
    drop(first);
    client.connect();
    let mut second = Peer::welcome(&listener).await;
    assert_eq!(second.next().await, r#"420["one"]"#);
    second.text("430[]").await;
    assert_eq!(second.next().await, r#"421["two"]"#);
}

/// A namespace whose `connect` was given up was in use for ever.
#[tokio::test]
async fn who_stops_waiting_for_a_namespace_has_left_it() {
    let (listener, client) = listen();
    let client = client.open().unwrap();
    let mut peer = Peer::welcome(&listener).await;
    until("connected", || client.is_connected()).await;
    tokio::select! {
        _ = client.namespace("/admin").connect() => fail("nobody has answered"),
        text = peer.next() => assert_eq!(text, "40/admin,"),
    }
    let token = HashMap::from([("token", 7)]);
    let admin = tokio::spawn(client.namespace("/admin").auth(&token).connect());
    // The first answer is for somebody who has gone.
    client.emit("on", ()).unwrap();
    assert_eq!(peer.next().await, r#"42["on"]"#);
    tokio::task::yield_now().await;
    peer.text(r#"40/admin,{"sid":"old"}"#).await;
    assert_eq!(peer.next().await, "41/admin,");
    assert_eq!(peer.next().await, r#"40/admin,{"token":7}"#);
    peer.text(r#"40/admin,{"sid":"new"}"#).await;
    let admin = within("joining", admin).await.unwrap().unwrap();
    assert_eq!(admin.id().as_deref(), Some("new"));
    let again = within("an error", client.namespace("/admin").connect()).await;
    assert!(again.is_err(), "it is in use now");
    assert!(admin.is_connected());
}

/// Hooks of the whole client went with the namespace that it was built with.
#[tokio::test(start_paused = true)]
async fn hooks_of_the_client_outlive_its_first_namespace() {
    let server = Server::new()
        .namespace(Namespace::new("/"))
        .namespace(Namespace::new("/other"));
    let network = Network::new(server).unwrap();
    let wire = network.wire();
    let (events, mut event) = notes();
    let client = Way::WebSocket
        .through(&wire)
        .on_reconnect(async move |_, what| events.send(what).expect("the test lives"))
        .connect()
        .await
        .unwrap();
    let other = client.namespace("/other").connect().await.unwrap();
    client.disconnect();
    let again = other.namespace("/").connect().await.unwrap();
    // The handle from before has no say any more.
    client.disconnect();
    assert!(again.is_connected());
    wire.cut();
    let attempt = event.next("an attempt").await;
    assert!(
        matches!(attempt, Reconnection::Attempt { number: 1, .. }),
        "{attempt:?}"
    );
    let done = event.next("its end").await;
    assert!(matches!(done, Reconnection::Done(1)), "{done:?}");
    let back = timeout(Duration::from_secs(5), async {
        while !(again.is_connected() && other.is_connected()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    back.await.unwrap();
}

/// A refusal that nobody looks at counted as nothing, whatever was in it.
#[tokio::test]
async fn refusals_that_nobody_looks_at_count() {
    let (listener, client) = listen();
    let client = tokio::spawn(client.events());
    let mut peer = Peer::welcome(&listener).await;
    let (client, mut events) = client.await.unwrap().unwrap();
    peer.text("41").await;
    assert_eq!(peer.next().await, "close");
    drop(peer);
    client.connect();
    let mut peer = Peer::accept(&listener).await;
    assert_eq!(peer.next().await, "40");
    let long = "x".repeat(50_000);
    peer.text(&format!(r#"44{{"message":"no","data":["{long}"]}}"#))
        .await;
    until("much", || client.incoming_bytes() > 50_000).await;
    let mut names = Vec::new();
    while names.len() < 3 {
        names.push(match within("an event", events.next()).await {
            Some(ClientEvent::Connected { .. }) => "connected",
            Some(ClientEvent::Disconnected(_)) => "disconnected",
            Some(ClientEvent::ConnectError(_)) => "error",
            _ => fail("something else happened"),
        });
    }
    assert_eq!(names, ["connected", "disconnected", "error"]);
}

/// The task alone gave a namespace its place: before it had run, what was emitted was refused as on a client
/// that is closed.
#[tokio::test]
async fn what_is_emitted_right_behind_open_is_kept() {
    let (listener, client) = listen();
    let client = client.open().unwrap();
    let mut peer = Peer::welcome(&listener).await;
    until("connected", || client.is_connected()).await;
    // The runtime has one thread: the task does not run in between.
    let admin = client.namespace("/admin").open().unwrap();
    admin.emit("early", ()).unwrap();
    let asked = admin.emit_with_ack("asked", ());
    let given_up = admin.emit_with_ack("given up", ());
    drop(given_up);
    // Whoever comes second does not take the place of the first one.
    let second = client.namespace("/admin").connect();
    let second = within("an error", second).await;
    assert!(
        matches!(second, Err(ConnectFailure::AlreadyJoined)),
        "{second:?}"
    );
    assert_eq!(peer.next().await, "40/admin,");
    peer.text(r#"40/admin,{"sid":"y"}"#).await;
    for expected in [r#"42/admin,["early"]"#, r#"42/admin,0["asked"]"#] {
        assert_eq!(peer.next().await, expected);
    }
    peer.text("43/admin,0[7]").await;
    let answer = within("an answer", asked).await;
    assert_eq!(answer.unwrap(), Args(vec![7.into()]));
}

/// Who waited for an answer was told before the program was that the namespace is left.
#[tokio::test]
async fn the_end_is_told_before_answers_are_given_up() {
    for end in ["41", "1", "garbage"] {
        let (listener, client) = listen();
        let (told, mut tell) = notes();
        let client = client
            .reconnection(false)
            .on_disconnect(async move |client, _| {
                assert!(!client.is_connected());
                told.send(()).expect("the test lives");
            })
            .open()
            .unwrap();
        let mut peer = Peer::welcome(&listener).await;
        until("connected", || client.is_connected()).await;
        let asked = client.emit_with_ack("asked", ());
        assert_eq!(peer.next().await, r#"420["asked"]"#);
        peer.text(end).await;
        let asked = within("an error", asked).await;
        assert!(matches!(asked, Err(AckError::Disconnected)), "{asked:?}");
        assert_eq!(tell.try_next(), Some(()), "{end}");
    }
}
