//! Limits of a Socket.IO server (security 2.2 and 2.3).

use ferriwire::{Config, LimitKind, Limits, Namespace, Transport};

use crate::client::{Client, PATH};
use crate::serve_with;
use crate::support::http::Http;
use crate::support::until;

#[tokio::test]
async fn clients_that_have_joined_nothing_do_not_keep_others_out_for_long() {
    let limits = Limits::new().max_unauthenticated(2);
    let config = Config::new().limits(limits);
    let server = serve_with(config, Namespace::new("/")).await;
    let handshake = format!("{PATH}?EIO=4&transport=polling");
    let status = async || {
        let mut http = Http::connect(server.local_addr()).await;
        http.get(&handshake).await.status
    };

    let mut first = Client::open(&server, Transport::WebSocket).await;
    let second = Client::open(&server, Transport::WebSocket).await;
    assert_eq!(status().await, 503);
    assert_eq!(server.stats().limited(LimitKind::Unauthenticated), 1);

    // Who joins makes room for one, and does not make it again by joining again.
    first.send("0").await;
    assert!(first.packet().await.starts_with("0{"));
    first.send("1").await;
    first.send("0").await;
    assert!(first.packet().await.starts_with("0{"));
    let third = Client::open(&server, Transport::WebSocket).await;
    assert_eq!(status().await, 503);

    // So does who goes, whether he joined or not.
    drop((second, third));
    until("two ends", || server.stats().sessions() == 1).await;
    let _polling = Client::open(&server, Transport::Polling).await;
    assert_eq!(status().await, 200);
    assert_eq!(status().await, 503);
    assert_eq!(server.stats().limited(LimitKind::Unauthenticated), 3);
}
