//! The one task of a server in a cluster: it joins, sends what is queued, and hands on what comes.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use super::backend::{Incoming, Joined, Link};
use super::message::{Body, Message};
use super::node::Node;

/// How long after the first failure it is tried again to join, and how long at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is done with what the others ask for.
pub(crate) trait Desk: Send {
    /// Does what a message asks for, or begins to. It does not panic.
    fn handle(&mut self, message: &Arc<Message>, cx: &mut Context<'_>);

    /// Goes on with what was begun, for ever.
    fn work(&mut self) -> impl Future<Output = Infallible> + Send;
}

/// Runs until the server ends.
pub(crate) async fn run(node: Arc<Node>, mut desk: impl Desk) {
    let mut pause = FIRST_PAUSE;
    let stopped = node.stopped();
    tokio::pin!(stopped);
    loop {
        let joining = tokio::time::timeout(node.timeout(), node.backend().join(node.id()));
        let joined = tokio::select! {
            biased;
            () = &mut stopped => break,
            joined = joining => joined,
        };
        match joined {
            Ok(Ok(Joined { link, peers })) => {
                pause = FIRST_PAUSE;
                node.has_joined(peers);
                let ending = serve(&node, &*link, &mut desk).await;
                drop(tokio::time::timeout(node.timeout(), link.leave()).await);
                node.is_apart();
                if ending {
                    break;
                }
                tracing::warn!("the link to the other servers has ended");
            }
            Ok(Err(error)) => tracing::warn!(%error, "the other servers cannot be joined"),
            Err(_) => tracing::warn!("joining the other servers takes too long"),
        }
        tokio::select! {
            () = &mut stopped => break,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
    node.has_ended();
}

/// Returns whether the server ends, and not only the link.
async fn serve(node: &Node, link: &dyn Link, desk: &mut impl Desk) -> bool {
    tokio::select! {
        () = send(node, link) => true,
        () = receive(node, link, desk) => false,
    }
}

async fn send(node: &Node, link: &dyn Link) {
    while let Some((to, message)) = node.next_outgoing().await {
        tokio::task::coop::consume_budget().await;
        let published = link.publish(to.as_ref(), &message);
        match tokio::time::timeout(node.timeout(), published).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                node.count_lost(1);
                tracing::error!(%error, "a message to other servers is lost");
            }
            Err(_) => {
                node.count_lost(1);
                tracing::error!("a message to other servers is lost: the backend takes too long");
            }
        }
    }
}

async fn receive(node: &Node, link: &dyn Link, desk: &mut impl Desk) {
    loop {
        tokio::task::coop::consume_budget().await;
        let incoming = tokio::select! {
            incoming = link.receive() => incoming,
            never = desk.work() => match never {},
        };
        match incoming {
            None => return,
            Some(Incoming::Joined(peer)) => node.came(peer),
            Some(Incoming::Left(peer)) => node.went(&peer),
            Some(Incoming::Lost(count)) => {
                node.count_lost(count);
                tracing::error!(count, "messages of other servers are lost");
            }
            // Some backends bring back what they were given.
            Some(Incoming::Message(message)) if message.sender == *node.id() => {}
            Some(Incoming::Message(message)) => hand_on(node, &message, desk).await,
        }
    }
}

async fn hand_on(node: &Node, message: &Arc<Message>, desk: &mut impl Desk) {
    match &message.body {
        Body::Fetched { .. }
        | Body::ServerAnswer { .. }
        | Body::Receivers { .. }
        | Body::Answer { .. } => node.answered(&message.sender, message.body.clone()),
        Body::Broadcast { .. }
        | Body::Join { .. }
        | Body::Leave { .. }
        | Body::Disconnect { .. }
        | Body::Fetch { .. }
        | Body::ServerEvent { .. } => {
            std::future::poll_fn(|cx| {
                desk.handle(message, cx);
                std::task::Poll::Ready(())
            })
            .await;
        }
    }
}
