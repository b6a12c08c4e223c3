//! As many children of dynamic namespaces as there may be by default: `Limits::max_dynamic_namespaces`.

use std::collections::BTreeSet;

use ferriwire::{Config, Limits, Namespace, NamespaceHandle, RunningServer, Server, Transport};

use crate::client::Client;
use crate::recovery::recovering;
use crate::support::until;
use crate::{start, stop};

/// The default.
const MOST: usize = 10_000;
const CLIENTS: usize = 10;
const FULL: &str = r#"{"message":"limit of 10000 dynamic namespaces reached"}"#;

/// What a child may take, with what its client takes in it.
const CHILD: usize = 16 * 1024;
/// What the system and the allocator may keep of memory that is free.
const KEPT: usize = 16 * 1024 * 1024;

async fn serve(config: Config) -> (RunningServer, NamespaceHandle) {
    let limits = Limits::new().max_namespaces(MOST).event_rate(None);
    let mut server = Server::new().config(config.limits(limits));
    let all = server
        .add(Namespace::pattern("/{round}/{number}"))
        .untyped();
    (start(server).await, all)
}

/// Clients with a part of the children each.
async fn fill(server: &RunningServer, round: usize, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for client in 0..count {
        let mut joining = Client::open(server, Transport::WebSocket).await;
        let numbers = client * MOST / CLIENTS..(client + 1) * MOST / CLIENTS;
        for number in numbers.clone() {
            joining.send(&format!("0/{round}/{number},")).await;
        }
        let mut accepted = BTreeSet::new();
        while accepted.len() < numbers.len() {
            let packet = joining.packet().await;
            assert!(packet.starts_with("0/"), "{packet}");
            assert!(accepted.insert(packet.split(',').next().map(str::to_owned)));
        }
        clients.push(joining);
    }
    clients
}

/// One more is refused, and one that is there is not.
async fn is_full(server: &RunningServer, round: usize) {
    let mut client = Client::open(server, Transport::WebSocket).await;
    for _ in 0..3 {
        client.send("0/one/more,").await;
        client.expect(&format!("4/one/more,{FULL}")).await;
    }
    client.send(&format!("0/{round}/{},", MOST - 1)).await;
    let packet = client.packet().await;
    assert!(packet.starts_with(&format!("0/{round}/")), "{packet}");
    let child = server.handle(&format!("/{round}/{}", MOST - 1));
    assert_eq!(child.socket_count(), 2);
    client.into_websocket().reset();
    until("the guest has left", || child.socket_count() == 1).await;
}

async fn empty(server: &RunningServer, clients: Vec<Client>) {
    for client in clients {
        client.into_websocket().reset();
    }
    until("everybody has gone", || {
        let stats = server.stats();
        stats.sessions_opened == stats.sessions_closed
    })
    .await;
}

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}

#[tokio::test]
async fn ten_thousand_children_are_the_limit_and_leave_nothing_behind() {
    let (server, all) = serve(Config::new()).await;
    let before = resident();
    let mut after_first = 0;
    for round in 0..2 {
        let clients = fill(&server, round, CLIENTS).await;
        assert_eq!(all.children().len(), MOST);
        assert!(resident().saturating_sub(before) < MOST * CHILD);
        is_full(&server, round).await;
        empty(&server, clients).await;
        until("all children are removed", || all.children().is_empty()).await;
        // What was taken once is taken again, and not beside it.
        if round == 0 {
            after_first = resident();
        }
        assert!(resident().saturating_sub(after_first) < KEPT);
    }
    stop(server).await;
}

#[tokio::test]
async fn ten_thousand_children_that_absent_clients_keep_make_room() {
    let (server, all) = serve(recovering()).await;
    let before = resident();
    let clients = fill(&server, 0, CLIENTS).await;
    is_full(&server, 0).await;
    empty(&server, clients).await;
    assert_eq!(all.children().len(), MOST);
    let clients = fill(&server, 1, 1).await;
    assert_eq!(all.children().len(), MOST);
    let newest = server.handle("/1/0");
    assert_eq!(newest.socket_count(), 1);
    assert!(resident().saturating_sub(before) < MOST * CHILD + KEPT);
    empty(&server, clients).await;
    assert_eq!(all.children().len(), MOST);
    stop(server).await;
}
