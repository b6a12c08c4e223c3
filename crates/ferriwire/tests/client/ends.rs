//! Each way in which a session, or the place in one namespace, ends, and who is told what of it. Cases 77, 79, 80
//! and 84.

use ferriwire::client::{DisconnectReason, Reconnection};
use ferriwire::{AckError, Args, Client, Value};
use tokio::io::AsyncWriteExt as _;

use crate::notes;
use crate::raw::{Peer, listen};
use crate::support::{until, within};

/// Silent servers are given up soon.
const OPEN: &str = r#"0{"sid":"abc","upgrades":[],"pingInterval":30,"pingTimeout":20}"#;

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The server takes the client out.
    TakenOut,
    /// The server ends the session.
    SessionClosed,
    /// The server closes the WebSocket.
    WebSocketClosed,
    /// The server's end of the connection is closed.
    ConnectionClosed,
    /// There is no ping.
    Silence,
    /// The server sends what is no packet.
    Garbage,
    /// The server sends a packet that cannot be read.
    GarbageInside,
    /// The program leaves.
    Left,
    /// The program drops the connection.
    Cut,
}

/// Every end, the reason that is told, and whether the client comes back by itself.
const ENDS: [(End, DisconnectReason, bool); 9] = [
    (End::TakenOut, DisconnectReason::Server, false),
    (End::SessionClosed, DisconnectReason::TransportClose, true),
    (End::WebSocketClosed, DisconnectReason::TransportClose, true),
    (
        End::ConnectionClosed,
        DisconnectReason::TransportClose,
        true,
    ),
    (End::Silence, DisconnectReason::PingTimeout, true),
    (End::Garbage, DisconnectReason::ParseError, true),
    (End::GarbageInside, DisconnectReason::ParseError, true),
    (End::Left, DisconnectReason::Client, false),
    (End::Cut, DisconnectReason::TransportClose, true),
];

impl End {
    /// Lets it happen. The peer is handed back if it is still there.
    async fn happen(self, client: &Client, mut peer: Peer) -> Option<Peer> {
        match self {
            Self::TakenOut => peer.text("41").await,
            Self::SessionClosed => peer.text("1").await,
            Self::WebSocketClosed => {
                let sent = peer.stream.write_all(&[0x88, 0]).await;
                sent.expect("the client takes it");
            }
            Self::ConnectionClosed => return None,
            Self::Silence => {}
            Self::Garbage => peer.text("x").await,
            Self::GarbageInside => peer.text("42{}").await,
            Self::Left => client.disconnect(),
            Self::Cut => client.cut(),
        }
        Some(peer)
    }
}

#[tokio::test]
async fn each_end_has_its_reason_and_its_consequences() {
    for (end, expected, comes_back) in ENDS {
        let (listener, builder) = listen();
        let (reasons, mut reason) = notes();
        let (attempts, mut attempt) = notes();
        let client = builder
            .on_disconnect(async move |client, reason| {
                let stands = (client.is_connected(), client.id(), client.is_active());
                reasons.send((reason, stands)).expect("the test lives");
            })
            .on_reconnect(async move |_, what| {
                if let Reconnection::Attempt { number, .. } = what {
                    attempts.send(number).expect("the test lives");
                }
            })
            .open()
            .unwrap();
        let open = (end == End::Silence).then_some(OPEN);
        let mut peer = match open {
            Some(open) => Peer::accept_with(&listener, open).await,
            None => Peer::accept(&listener).await,
        };
        assert_eq!(peer.next().await, "40");
        peer.text(r#"40{"sid":"x"}"#).await;
        until("connected", || client.is_connected()).await;
        let lost = client.emit_with_ack("lost", ());
        assert_eq!(peer.next().await, r#"420["lost"]"#);

        let peer = end.happen(&client, peer).await;
        let lost = within("an error", lost).await;
        assert!(
            matches!(lost, Err(AckError::Disconnected)),
            "{end:?}: {lost:?}"
        );
        let told = reason.next("the end").await;
        assert_eq!(told, (expected, (false, None, comes_back)), "{end:?}");

        // What is asked meanwhile is asked on the next session.
        let kept = client.emit_with_ack("kept", ());
        drop(peer);
        if !comes_back {
            client.connect();
        }
        let mut peer = Peer::welcome(&listener).await;
        assert_eq!(peer.next().await, r#"421["kept"]"#, "{end:?}");
        peer.text("431[7]").await;
        let kept = within("an answer", kept).await.unwrap();
        assert_eq!(kept, Args(vec![Value::from(7)]), "{end:?}");
        assert!(client.is_connected() && client.is_active(), "{end:?}");
        assert!(reason.is_empty(), "{end:?} is told once");
        assert_eq!(attempt.is_empty(), !comes_back, "{end:?}");
    }
}

#[tokio::test]
async fn the_end_of_one_namespace_is_not_that_of_others() {
    for (end, expected) in [
        (End::TakenOut, DisconnectReason::Server),
        (End::Left, DisconnectReason::Client),
    ] {
        let (listener, builder) = listen();
        let (reasons, mut reason) = notes();
        let of_main = reasons.clone();
        let client = builder
            .on_disconnect(async move |_, why| of_main.send(why).expect("the test lives"))
            .open()
            .unwrap();
        let mut peer = Peer::welcome(&listener).await;
        let admin = client
            .namespace("/admin")
            .on_disconnect(async move |_, why| reasons.send(why).expect("the test lives"));
        let admin = tokio::spawn(admin.connect());
        assert_eq!(peer.next().await, "40/admin,");
        peer.text(r#"40/admin,{"sid":"y"}"#).await;
        let admin = within("joining", admin).await.unwrap().unwrap();
        let (stays, lost) = (client.emit_with_ack("e", ()), admin.emit_with_ack("e", ()));
        assert_eq!(peer.next().await, r#"420["e"]"#);
        assert_eq!(peer.next().await, r#"42/admin,0["e"]"#);
        if end == End::Left {
            admin.disconnect();
            assert_eq!(peer.next().await, "41/admin,");
        } else {
            peer.text("41/admin,").await;
        }
        let lost = within("an error", lost).await;
        assert!(
            matches!(lost, Err(AckError::Disconnected)),
            "{end:?}: {lost:?}"
        );
        assert_eq!(reason.next("the end").await, expected);
        assert!(!admin.is_active() && !admin.is_connected(), "{end:?}");
        assert!(client.is_active() && client.is_connected(), "{end:?}");
        peer.text("430[7]").await;
        let stays = within("an answer", stays).await.unwrap();
        assert_eq!(stays, Args(vec![Value::from(7)]));
        assert!(reason.is_empty(), "{end:?} is told once");
    }
}

#[tokio::test]
async fn a_client_that_is_closed_or_dropped_says_so_and_tells_who_waits() {
    for is_closed in [true, false] {
        let (listener, builder) = listen();
        let (reasons, mut reason) = notes();
        let client = builder
            .on_disconnect(async move |_, why| reasons.send(why).expect("the test lives"))
            .open()
            .unwrap();
        let mut peer = Peer::welcome(&listener).await;
        until("connected", || client.is_connected()).await;
        let lost = client.emit_with_ack("lost", ());
        assert_eq!(peer.next().await, r#"420["lost"]"#);
        let closing = is_closed.then(|| tokio::spawn(client.close()));
        for expected in ["41", "close"] {
            assert_eq!(peer.next().await, expected);
        }
        let lost = within("an error", lost).await;
        assert!(matches!(lost, Err(AckError::Disconnected)), "{lost:?}");
        drop(peer);
        if let Some(closing) = closing {
            within("closing", closing).await.unwrap();
            assert_eq!(reason.next("the end").await, DisconnectReason::Client);
        }
    }
}
