//! Sockets of all servers, fetched and addressed.

use std::time::Duration;

use ferriwire::cluster::InProcess;
use ferriwire::{AckError, FetchError};

use super::{acquainted, enter, rooms, servers, stranger};
use crate::client::asked;
use crate::support::within;

#[tokio::test]
async fn sockets_of_all_servers_are_fetched_and_addressed_one_by_one() {
    let bus = InProcess::new();
    let [a, b] = servers(&bus, |_| rooms().public(|()| "seen")).await;
    let (mut here, here_id) = enter(&a, &["r"]).await;
    let (mut there, there_id) = enter(&b, &["r", "s"]).await;
    let handle = a.handle("/");
    let local = handle
        .all()
        .local()
        .fetch_sockets()
        .await
        .expect("it exists");
    assert_eq!(local.len(), 1);
    assert_eq!(local[0].id.as_str(), here_id);
    assert_eq!(handle.fetch_sockets().await.expect("all answer").len(), 2);
    let sockets = handle.to("s").fetch_sockets().await.expect("all answer");
    assert_eq!(sockets.len(), 1);
    let remote = &sockets[0];
    assert_eq!(remote.id.as_str(), there_id);
    assert_eq!(remote.data::<String>().expect("public data"), "seen");
    assert_eq!(remote.rooms.len(), 2);
    for (socket, client) in [(&local[0], &mut here), (remote, &mut there)] {
        let (answer, ()) = tokio::join!(
            within("an answer", socket.emit_with_ack("ask", ())),
            async {
                let id = asked(client, r#"["ask"]"#).await;
                client.send(&format!("3{id}[42]")).await;
            }
        );
        assert_eq!(answer.expect("an answer").0, [42.into()]);
    }
    remote.join(["t"]).expect("it exists");
    remote.leave(["s"]).expect("it exists");
    assert!(
        handle
            .to("s")
            .fetch_sockets()
            .await
            .expect("all answer")
            .is_empty()
    );
    assert_eq!(
        handle
            .to("t")
            .fetch_sockets()
            .await
            .expect("all answer")
            .len(),
        1
    );
    remote.disconnect(false).expect("it exists");
    there.expect("1").await;
    // It has left, and nobody is waited for.
    let gone = within("an answer", remote.emit_with_ack("ask", ())).await;
    assert!(matches!(gone, Err(AckError::Disconnected)));
}

#[tokio::test]
async fn many_sockets_join_and_leave_on_all_servers() {
    let bus = InProcess::new();
    let [a, b] = servers(&bus, |_| rooms()).await;
    let (_one, _) = enter(&a, &["r"]).await;
    let (_two, _) = enter(&b, &["r"]).await;
    let (_three, _) = enter(&b, &[]).await;
    let handle = a.handle("/");
    let count = async |room: &str| {
        let sockets = handle.to(room).fetch_sockets().await;
        sockets.expect("all answer").len()
    };
    handle.to("r").sockets_join(["x", "y"]).expect("it exists");
    assert_eq!((count("x").await, count("y").await), (2, 2));
    handle
        .all()
        .local()
        .sockets_leave(["x"])
        .expect("it exists");
    handle.to("r").sockets_leave(["y"]).expect("it exists");
    assert_eq!((count("x").await, count("y").await), (1, 0));
}

#[tokio::test]
async fn fetching_sockets_tells_who_has_not_answered() {
    let bus = InProcess::new();
    let [a, b] = servers(&bus, |_| rooms()).await;
    let (_client, _) = enter(&b, &[]).await;
    let (silent, _link) = stranger(&bus).await;
    acquainted(&a, 3).await;
    let all = a.handle("/").all().timeout(Duration::from_millis(500));
    let Err(FetchError::Incomplete { sockets, missing }) = all.fetch_sockets().await else {
        panic!("a silent server is told");
    };
    assert_eq!((sockets.len(), missing), (1, vec![silent]));
    let nowhere = a.handle("/nowhere").fetch_sockets().await;
    assert!(matches!(nowhere, Err(FetchError::NoSuchNamespace(_))));
}
