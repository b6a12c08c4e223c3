//! A session changes from polling to a WebSocket while both sides speak: nothing is lost and nothing
//! overtakes.

use ferriwire::Namespace;

use crate::client::{Client, PATH};
use crate::support::polling::Polling;
use crate::support::within;
use crate::{log, serve};

/// How many sessions upgrade; `FERRIWIRE_UPGRADES=2000` for the long run.
fn upgrades() -> usize {
    let wanted = std::env::var("FERRIWIRE_UPGRADES").ok();
    wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or(200)
}

const DOWN: u64 = 60;

/// What the client has received, with the number that has to be the next one.
#[derive(Default)]
struct Received(u64);

impl Received {
    fn take(&mut self, packet: &str) {
        if packet != "6" {
            assert_eq!(packet, format!(r#"42["down",{}]"#, self.0));
            self.0 += 1;
        }
    }
}

/// What the client sends, numbered.
#[derive(Default)]
struct Sent(u64);

impl Sent {
    fn next(&mut self) -> String {
        self.0 += 1;
        format!(r#"42["up",{}]"#, self.0 - 1)
    }

    fn payload(&mut self) -> String {
        [self.next(), self.next(), self.next()].join("\x1e")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_both_ways_keeps_its_order_across_upgrades() {
    let (seen, mut ups) = log();
    let namespace = Namespace::new("/")
        .on("go", async |socket, _: ()| {
            tokio::spawn(async move {
                for number in 0..DOWN {
                    socket.emit("down", number).expect("the client is there");
                    tokio::task::yield_now().await;
                }
            });
        })
        .on("up", async move |_, number: u64| seen.write(number));
    let server = serve(namespace).await;
    for round in 0..upgrades() {
        let (mut received, mut sent) = (Received::default(), Sent::default());
        let polling = Polling::handshake(server.local_addr(), PATH).await;
        let mut client = Client::from(polling);
        client.join("/").await;
        let mut polling = client.into_polling();
        assert_eq!(polling.post(r#"42["go"]"#).await.text(), "ok");
        let payload = sent.payload();
        assert_eq!(polling.post(payload).await.text(), "ok");
        polling.start_get().await;
        let mut websocket = polling.probe().await;
        let payload = sent.payload();
        assert_eq!(polling.post(payload).await.text(), "ok");
        // The GET that waited, or that comes now, is answered soon with whatever there is.
        polling
            .finish_get()
            .await
            .packets()
            .into_iter()
            .for_each(|packet| received.take(packet));
        let get_waits = round % 3 == 1;
        if get_waits {
            polling.start_get().await;
        }
        if round % 2 == 1 {
            // A POST just before the upgrade packet.
            let payload = sent.payload();
            assert_eq!(polling.post(payload).await.text(), "ok");
        }
        websocket.send_text("5").await;
        for _ in 0..3 {
            websocket.send_text(&sent.next()).await;
        }
        if get_waits {
            let response = polling.finish_get().await;
            // It came before the upgrade and is answered, or behind it and is refused.
            if response.status == 200 {
                response
                    .packets()
                    .into_iter()
                    .for_each(|packet| received.take(packet));
            } else {
                assert_eq!(response.status, 400);
            }
        }
        while received.0 < DOWN {
            let packet = within("the rest", websocket.text()).await;
            received.take(&packet);
        }
        for number in 0..sent.0 {
            assert_eq!(ups.next().await, number);
        }
        assert_eq!(polling.get().await.status, 400);
    }
}

#[tokio::test]
async fn an_abandoned_upgrade_leaves_polling_as_it_was() {
    let namespace = Namespace::new("/").on("echo", async |socket, number: u64| {
        drop(socket.emit("echo", number));
    });
    let server = serve(namespace).await;
    let client = Client::connect_over(&server, ferriwire::Transport::Polling).await;
    let mut polling = client.into_polling();
    for number in 0..20 {
        let mut websocket = polling.probe().await;
        let event = format!(r#"42["echo",{number}]"#);
        if number % 2 == 0 {
            // Out of order: this belongs behind the `5`.
            websocket.send_text(&event).await;
            websocket.rest().await;
        } else {
            websocket.reset();
        }
        assert_eq!(polling.post(&event).await.text(), "ok");
        loop {
            let response = polling.get().await;
            if response.text() != "6" {
                assert_eq!(response.text(), event);
                break;
            }
        }
    }
    // And an upgrade is still possible.
    let mut websocket = polling.upgrade().await;
    websocket.send_text(r#"42["echo",99]"#).await;
    assert_eq!(websocket.text().await, r#"42["echo",99]"#);
}
